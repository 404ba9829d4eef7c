"""The leaky bucket and the operating budget, by a clock that the test moves."""

from __future__ import annotations

import pytest

from bitrix24_source.sandbox import Portal


def test_the_bucket_holds_fifty(ask):
    """Fifty requests at once pass, the next is refused before it runs."""
    answers = [ask("profile") for _ in range(51)]

    assert [answer["status"] for answer in answers] == [200] * 50 + [503]
    assert answers[-1]["error"] == "QUERY_LIMIT_EXCEEDED"


def test_the_bucket_leaks_two_a_second(ask, clock):
    """A second later two more fit."""
    for _ in range(50):
        ask("profile")
    clock.advance(1)

    assert [ask("profile")["status"] for _ in range(3)] == [200, 200, 503]


def test_a_batch_is_one_request(ask, portal):
    """Fifty commands in a batch fill the bucket by one."""
    for _ in range(49):
        ask("batch", cmd={f"c{place}": "profile" for place in range(50)})

    assert ask("profile")["status"] == 200
    assert portal.limits.refused == 0


def test_limits_can_be_switched_off(ask, portal):
    """Without a capacity nothing is refused."""
    portal.limits.capacity = None

    assert {ask("profile")["status"] for _ in range(200)} == {200}


@pytest.fixture
def slow(clock) -> Portal:
    """A portal where every call takes 100 seconds of its own time."""
    portal = Portal(items=600, clock=clock, latency=(100.0, 0.0))
    portal.limits.capacity = None
    return portal


def asked_status(portal: Portal, method: str) -> tuple[int, dict]:
    import orjson

    reply = portal.handle("POST", portal.webhook_path + method)
    return reply.status, orjson.loads(reply.body)


def test_the_call_that_crosses_the_line_still_finishes(slow):
    """480 seconds in ten minutes: the fifth call ends at 500, the sixth is refused, another method is not."""
    answers = [asked_status(slow, "profile") for _ in range(6)]

    assert [status for status, _ in answers] == [200] * 5 + [429]
    assert [answer["time"]["operating"] for status, answer in answers[:5]] == [100, 200, 300, 400, 500]
    assert answers[-1][1]["error"] == "OPERATION_TIME_LIMIT"
    assert asked_status(slow, "scope")[0] == 200


def test_at_the_reset_one_minute_leaves_the_sum(slow, clock):
    """`operating_reset_at` is when the oldest basket goes, and then one more call fits."""
    answers = [asked_status(slow, "profile")[1] for _ in range(5)]
    reset_at = answers[-1]["time"]["operating_reset_at"]
    clock.advance(reset_at - clock.now().timestamp() - 1)
    before = asked_status(slow, "profile")[0]
    clock.advance(1)

    assert (before, asked_status(slow, "profile")[0]) == (429, 200)


def test_each_credential_has_its_own_budget(slow):
    """The webhook's budget is used up, the application's is not."""
    for _ in range(5):
        asked_status(slow, "profile")
    token = slow.access.issue().access_token

    assert slow.handle("GET", "/rest/profile", f"auth={token}").status == 200
    assert slow.handle("GET", slow.webhook_path + "profile").status == 429


@pytest.mark.parametrize(("billing", "blocked"), [("nested", "profile"), ("batch", "batch"), ("both", "batch")])
def test_who_pays_for_a_batch(slow, billing, blocked):
    """A command in a batch is billed to its method, to the batch, or to both, as the portal is set."""
    slow.interpretations.batch_billing = billing
    body = b'{"cmd": {"a": "profile"}}'
    path, headers = slow.webhook_path + "batch", {"Content-Type": "application/json"}
    for _ in range(5):
        slow.handle("POST", path, "", headers, body)
    batch = slow.handle("POST", path, "", headers, body)

    assert (batch.status == 429) is (blocked == "batch")
    assert (asked_status(slow, "profile")[0] == 429) is (billing != "batch")


def test_latency_is_waited_for_on_the_portals_clock(clock):
    """Seconds a page and a row: a page of fifty takes 0.04 + 50 x 0.0005."""
    portal = Portal(scenario="bench", items=100, clock=clock, latency=(0.04, 0.0005))
    before = clock.monotonic()
    portal.handle("GET", portal.webhook_path + "crm.item.list", "entityTypeId=177")

    assert clock.monotonic() - before == pytest.approx(0.065)

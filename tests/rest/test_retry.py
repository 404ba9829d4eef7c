"""What is tried again, when, and how often, before a person hears of it."""

from __future__ import annotations

import random

import pytest
import requests

from bitrix24_source.errors import Bitrix24Error, LimitError, OperatingLimitError, UnavailableError
from bitrix24_source.rest.client import ClientSettings
from bitrix24_source.rest.retry import RetryPolicy
from bitrix24_source.sandbox import Fault, Portal

GOOD = {"json": {"result": "at last"}}


def refused(code: object, status: int, description: str = "", **more: object) -> dict[str, object]:
    return {"json": {"error": code, "error_description": description, **more}, "status_code": status}


def named(answer: dict[str, object]) -> str:
    """Test ids that can be read."""
    parts = answer.get("exc", answer.get("json", answer.get("text", answer.get("content"))))
    shown = parts.get("error") if isinstance(parts, dict) else getattr(parts, "__name__", parts)
    return f"{shown!r} {answer.get('status_code', '')}".strip()


PASSING_CODES = [
    refused("QUERY_LIMIT_EXCEEDED", 503),
    refused("query_limit_exceeded", 200),
    refused("INTERNAL_SERVER_ERROR", 500),
    refused(" ERROR_UNEXPECTED_ANSWER ", 500),
    refused("A_CODE_THAT_NOBODY_DOCUMENTED", 502),
    refused(0, 500),
]
PASSING_NOISE = [
    {"text": "<html><body>502 Bad Gateway</body></html>", "status_code": 502},
    {"text": "<html><body>503</body></html>", "status_code": 503},
    {"text": "<html>Gateway Time-out</html>", "status_code": 504},
    {"text": "<html>Technical maintenance</html>", "status_code": 200},
    {"content": b'{"result": {"types": [{"id": 1, "ti'},
    {"content": b""},
    {"content": b'{"result": "\xc3\x28"}'},
    {"content": b"upstream connect error", "status_code": 503},
    {"exc": requests.exceptions.ConnectionError("reset by peer")},
    {"exc": requests.exceptions.ChunkedEncodingError("incomplete read")},
    {"exc": requests.exceptions.ReadTimeout},
    {"exc": requests.exceptions.ConnectTimeout},
    {"exc": requests.exceptions.ProxyError("proxy is down")},
]
FINAL = [
    refused("OVERLOAD_LIMIT", 503),
    refused("PORTAL_DELETED", 500),
    refused("expired_token", 401),
    refused("invalid_token", 401),
    refused("NO_AUTH_FOUND", 401),
    refused("METHOD_CONFIRM_WAITING", 401),
    refused("METHOD_CONFIRM_DENIED", 403),
    refused("insufficient_scope", 403),
    refused("INVALID_CREDENTIALS", 403),
    refused("user_access_error", 403),
    refused("ACCESS_DENIED", 403, "REST is available only on commercial plans"),
    refused("ACCESS_DENIED", 400),
    refused("Access denied.", 200),
    refused("allowed_only_intranet_user", 403),
    refused("INVALID_REQUEST", 400),
    refused("INVALID_ARG_VALUE", 400),
    refused("NOT_FOUND", 400),
    refused(0, 400, "Smart process not found"),
    refused("", 400),
    refused("ENTITY_TYPE_NOT_SUPPORTED", 400),
    refused("100", 400),
    refused("ERROR_CORE", 400),
    refused("ERROR_METHOD_NOT_FOUND", 404),
    refused("ERROR_BATCH_METHOD_NOT_ALLOWED", 405),
    {"text": "<html>404</html>", "status_code": 404},
    {"text": "<html>Forbidden</html>", "status_code": 403},
    {"exc": requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")},
    {"exc": requests.exceptions.InvalidURL("label too long")},
]


@pytest.mark.parametrize("answer", PASSING_CODES + PASSING_NOISE, ids=named)
def test_tried_again(scripted_client, mocker, clock, answer):
    """What may pass is tried again after one short pause, and nobody hears of it."""
    client = scripted_client(answer, GOOD)

    assert client.call("crm.type.list").result == "at last"
    assert len(mocker.request_history) == 2
    assert 0.25 <= clock.monotonic() <= 0.51


@pytest.mark.parametrize("answer", FINAL, ids=named)
def test_fails_at_once(scripted_client, mocker, clock, answer):
    """What no waiting cures is said at once: one request, no pause."""
    with pytest.raises(Bitrix24Error):
        scripted_client(answer, GOOD).call("crm.type.list")

    assert len(mocker.request_history) == 1
    assert clock.monotonic() == 0


@pytest.mark.parametrize("answer", PASSING_CODES, ids=named)
def test_a_refusal_that_stays(scripted_client, mocker, clock, answer):
    """A code that does not pass is raised after ten attempts and two minutes at most."""
    with pytest.raises(UnavailableError):
        scripted_client(answer).call("crm.type.list")

    assert len(mocker.request_history) == 10
    assert 45 < clock.monotonic() <= 121.5


@pytest.mark.parametrize("answer", PASSING_NOISE, ids=named)
def test_first_contact_is_short(scripted_client, mocker, clock, answer):
    """An address that has never answered may be wrong: three attempts, about a second."""
    with pytest.raises(UnavailableError):
        scripted_client(answer).call("crm.type.list")

    assert len(mocker.request_history) == 3
    assert clock.monotonic() <= 1.5


@pytest.mark.parametrize("answer", PASSING_NOISE, ids=named)
def test_a_portal_that_has_answered_is_waited_for(scripted_client, mocker, answer):
    """A portal that was there a moment ago gets all ten attempts."""
    client = scripted_client(GOOD, answer)
    client.call("profile")
    with pytest.raises(UnavailableError):
        client.call("crm.type.list")

    assert len(mocker.request_history) == 1 + 10


def test_two_minutes_are_enough(scripted_client, mocker, clock):
    """Attempts that take their time are cut by the clock and not by their number."""

    def slow(_request: object, _context: object) -> str:
        clock.advance(50)
        return "<html>"

    client = scripted_client(GOOD, {"text": slow, "status_code": 502})
    client.call("profile")
    with pytest.raises(UnavailableError):
        client.call("crm.type.list")

    assert len(mocker.request_history) == 1 + 3


def test_pauses_are_jittered(scripted_client, clock):
    """Two clients with other dice come back at other moments."""
    ends = []
    for seed in (1, 2):
        begin = clock.monotonic()
        scripted_client(
            PASSING_CODES[2], GOOD, settings=ClientSettings(retry_policy=RetryPolicy(rng=random.Random(seed)))
        ).call("profile")
        ends.append(clock.monotonic() - begin)

    assert ends[0] != ends[1]


def test_query_limit_fills_the_bucket(scripted_client, clock):
    """After QUERY_LIMIT_EXCEEDED even a burst waits its turn: others have used up the portal's room."""
    client = scripted_client(PASSING_CODES[0], GOOD)
    for _ in range(11):
        client.call("profile")

    assert clock.monotonic() >= 5 - 1


def test_long_waits_are_announced(scripted_client, caplog):
    """A wait of more than a few seconds says until when, and why; short ones are whispered."""
    with caplog.at_level("INFO"):
        scripted_client(refused("OPERATION_TIME_LIMIT", 429), PASSING_CODES[2], GOOD).call("crm.item.list")

    (message,) = [record.getMessage() for record in caplog.records]
    assert message == "Waiting until 12:01:00 UTC (60 s): this method used up its ten-minute time budget"


# --- the time budget ----------------------------------------------------------------------------------------------


def reset_in(clock, seconds: float) -> dict[str, object]:
    return {"operating": 480.5, "operating_reset_at": int(clock.now().timestamp() + seconds)}


@pytest.mark.parametrize(
    ("seconds", "before", "in_error"),
    [(90, None, 90), (90, 300, 90), (300, 300, None), (60, None, None), (60, None, -10)],
)
def test_waits_until_reset_and_no_longer(scripted_client, mocker, clock, seconds, before, in_error):
    """OPERATION_TIME_LIMIT is waited out to the moment named by the error, else by the last answer, else for a minute."""
    first = {"json": {"result": 1, **({"time": reset_in(clock, before)} if before else {})}}
    limit = refused("OPERATION_TIME_LIMIT", 429, **({"time": reset_in(clock, in_error)} if in_error else {}))
    client = scripted_client(first, limit, GOOD)
    client.call("crm.item.list")

    assert client.call("crm.item.list").result == "at last"
    assert len(mocker.request_history) == 3
    assert seconds <= clock.monotonic() <= seconds + 0.1


@pytest.mark.parametrize("ahead", [1800, -1800])
def test_the_moment_of_a_reset_is_read_by_the_portals_clock(scripted_client, clock, ahead):
    """A machine whose clock is half an hour off waits for a budget as long as any other."""
    portal_now = clock.now().timestamp() + ahead
    time = {"finish": portal_now, "operating": 480.5, "operating_reset_at": int(portal_now + 300)}
    client = scripted_client({"json": {"result": 1, "time": time}}, refused("OPERATION_TIME_LIMIT", 429), GOOD)
    client.call("crm.item.list")

    assert client.call("crm.item.list").result == "at last"
    assert 300 <= clock.monotonic() <= 300.1


def test_a_limit_that_is_said_by_a_web_page(scripted_client, clock):
    """HTTP 429 without a code is waited out like the one with a code: it lasts longer than a failure that passes."""
    page = {"status_code": 429, "text": "<html>Too many requests</html>"}

    client = scripted_client({"json": {"result": 1}}, *[page] * 8, GOOD)
    client.call("profile")
    assert client.call("crm.item.list").result == "at last"
    assert clock.monotonic() >= 480


def test_a_budget_that_never_frees(scripted_client, mocker, clock):
    """After half an hour of waiting for one method a person hears of it."""
    with pytest.raises(OperatingLimitError, match="ten-minute time budget"):
        scripted_client(refused("OPERATION_TIME_LIMIT", 429)).call("crm.item.list")

    assert 1800 <= clock.monotonic() < 1900
    assert len(mocker.request_history) == 31


def test_a_slow_portals_budget_is_lived_with(clock, portal, connect):
    """Forty calls of half a minute each, more than twice the budget: each is answered, after few refusals."""
    portal.costs.latency = (30.0, 0.0)
    client = connect()
    for _ in range(40):
        client.call("crm.type.list")

    statuses = [seen.status for seen in portal.requests]
    assert statuses.count(200) == 40
    assert 0 < statuses.count(429) <= 4


# --- through the sandbox ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="reset", at="before"),
        Fault(kind="reset", at="headers"),
        Fault(kind="reset", at="body"),
        Fault(kind="truncate"),
        Fault(kind="invalid_utf8"),
        Fault(kind="empty"),
        Fault(kind="hang"),
        Fault(kind="slow", seconds=120),
        Fault(kind="http", status=502),
        Fault(kind="limit", error="QUERY_LIMIT_EXCEEDED"),
        Fault(kind="limit", error="OPERATION_TIME_LIMIT"),
        Fault(kind="error"),
    ],
    ids=lambda fault: f"{fault.kind} {fault.at}",
)
def test_the_sandbox_misbehaves_once(portal: Portal, client, fault):
    """Whatever spoils one answer, the next attempt brings the very answer that was asked for."""
    expected = client.call("crm.type.list", {"filter": {">id": 1}}).result
    portal.faults.add(
        Fault(kind=fault.kind, at=fault.at, seconds=fault.seconds, status=fault.status, error=fault.error)
    )

    assert client.call("crm.type.list", {"filter": {">id": 1}}).result == expected
    assert len(portal.requests) == 3


def test_overload_is_not_waited_for(portal: Portal, client, clock):
    """OVERLOAD_LIMIT has QUERY_LIMIT_EXCEEDED's status and the opposite meaning: one request, and who can lift it."""
    portal.faults.add(Fault(kind="OVERLOAD_LIMIT", times=None))
    with pytest.raises(Bitrix24Error, match="ask Bitrix24 support") as caught:
        client.call("profile")

    assert not isinstance(caught.value, LimitError)
    assert (len(portal.requests), clock.monotonic()) == (1, 0)

"""A portal's limits: our own pace never meets them, somebody else's use is waited out, and no request takes long."""

from __future__ import annotations

import pytest
from fixtures.item_warehouse import read_ranges

from bitrix24_source.reader.events import PageBatch
from bitrix24_source.reader.id_ranges import IdRange
from bitrix24_source.reader.list_queries import ListQuery
from bitrix24_source.sandbox import Portal

BILLINGS = ["nested", "batch", "both"]  # the methods that a portal may bill for a command in a batch
ENOUGH = 30.0
"""seconds that a request may take: half of what the cloud allows"""


def limited(clock, items, latency, billing="nested"):
    """A portal with the documented limits, whose pages take the given seconds each and for each row."""
    portal = Portal("bench", items=items, clock=clock, latency=latency)
    portal.interpretations.batch_billing = billing
    return portal


@pytest.mark.parametrize("connections", [pytest.param(1, marks=pytest.mark.slow), 4])
@pytest.mark.parametrize(
    ("latency", "billing"),
    [
        pytest.param((0.3, 0.008), "nested", id="0.7 s a page-nested"),
        pytest.param((0.3, 0.008), "batch", id="0.7 s a page-batch", marks=pytest.mark.slow),
        pytest.param((0.3, 0.008), "both", id="0.7 s a page-both", marks=pytest.mark.slow),
        *(pytest.param((2.0, 0.02), billing, id=f"3 s a page-{billing}") for billing in BILLINGS),
    ],
)
def test_our_own_pace_meets_no_limit(clock, recording_adapter, read_items, latency, billing, connections):
    """Seventy thousand items at 0.7 s a page, or seventeen thousand at 3 s, are twice the budget of ten minutes: we wait for
    it by ourselves, whoever is billed for a batch, and no request takes half a minute."""
    portal = limited(clock, 70_000 if latency[0] < 1 else 17_000, latency, billing)
    way = recording_adapter(portal)
    done = read_items(way, connections=connections)

    assert 0 == portal.limits.refused
    assert {177: None} == done.ended
    assert portal.items(177).ids() == done.ids()
    assert max(way.seconds) <= ENOUGH


def only_the_batch_tells(answer):
    """A portal that says nothing of single commands."""
    answer["result"]["result_time"] = []


def only_the_commands_tell(answer):
    """A portal that says nothing of the batch."""
    for key in ("operating", "operating_reset_at"):
        del answer["time"][key]


@pytest.mark.parametrize(("billing", "tell"), [("batch", only_the_batch_tells), ("nested", only_the_commands_tell)])
def test_either_figure_is_enough(clock, recording_adapter, read_items, portal_with, billing, tell):
    """The larger of the outer and the nested `operating` is believed, so that either may be missing."""
    portal = portal_with({177: 11_000}, scripted=True, latency=(2.0, 0.02))
    portal.interpretations.batch_billing, portal.tell = billing, tell
    done = read_items(recording_adapter(portal))

    assert 0 == portal.limits.refused
    assert portal.items(177).ids() == done.ids()


def test_the_wait_is_no_longer_than_it_must_be(clock, recording_adapter, read_items):
    """The budget is used: the load takes little longer than somebody who always stops right at the limit."""
    portal = limited(clock, 18_000, (2.0, 0.02))
    read_items(recording_adapter(portal), connections=1)
    windows, rest = divmod(portal.costs.spent, 480)
    least = windows * 600 + rest

    assert clock.monotonic() <= 1.3 * least, f"{clock.monotonic():.0f} s where {least:.0f} s are possible"


@pytest.mark.parametrize("billing", BILLINGS)
@pytest.mark.parametrize("connections", [1, 4])
def test_others_eat_the_budget(clock, recording_adapter, read_items, billing, connections):
    """Another consumer of the same credential takes most of the budget: the load meets its limits, waits, and finishes."""
    portal = limited(clock, 6_000, (2.0, 0.02), billing)
    way = recording_adapter(portal)

    def another_consumer(number):
        if number % 5 == 3:
            for method in ("crm.item.list", "batch"):
                portal.limits.charge(portal.access.owner().key, method, 120.0)

    way.before = another_consumer
    done = read_items(way, connections=connections)

    assert {177: None} == done.ended
    assert portal.items(177).ids() == done.ids()


def test_the_budget_is_gone_before_we_begin(clock, recording_adapter, read_items):
    """An empty budget is waited for until it is free, not a little and not for ever."""
    portal = limited(clock, 500, (0.3, 0.008))
    portal.limits.charge(portal.access.owner().key, "crm.item.list", 500.0)
    way = recording_adapter(portal)
    done = read_items(way)

    assert portal.items(177).ids() == done.ids()
    assert 600 <= clock.monotonic() <= 700
    assert portal.limits.refused <= 3, "it knocked at a closed door"


def test_a_portal_without_budgets(clock, recording_adapter, read_items):
    """Self-hosted portals have no such limit as a rule: nothing is waited for."""
    portal = limited(clock, 20_000, (0.3, 0.008))
    portal.limits.operating_seconds = None
    way = recording_adapter(portal)
    for_all = read_items(way, connections=1)

    assert portal.items(177).ids() == for_all.ids()
    assert max(way.seconds) <= ENOUGH


def test_pages_that_become_slow_and_fast_again(clock, recording_adapter, read_items):
    """A slow quarter of an hour makes requests small, and the portal's recovery makes them large again."""
    portal = limited(clock, 40_000, (0.05, 0.0))
    portal.limits.operating_seconds = None
    way = recording_adapter(portal)

    def weather(number):
        portal.costs.latency = (1.0, 0.0) if 6 <= number < 20 else (0.05, 0.0)

    way.before = weather
    done = read_items(way, connections=1)
    sizes = [len(seen.commands) for seen in portal.requests]

    assert portal.items(177).ids() == done.ids()
    assert 50 == max(sizes[:6])
    assert max(sizes[8:20]) <= 15
    assert 50 == max(sizes[24:])


@pytest.mark.parametrize("connections", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_the_request_limit_is_kept(portal_with, recording_adapter, connections):
    """Reading after reading of a quick portal: requests stay within the bucket of fifty that loses two a second."""
    portal = portal_with({177: 60}, latency=(0.0001, 0.0))
    client, seen = recording_adapter(portal).client(), 0
    for _ in range(25):
        for event in read_ranges(client, [IdRange(ListQuery(177, select=("id",)))], connections):
            seen += len(event.rows) if isinstance(event, PageBatch) else 0

    assert 0 == portal.limits.refused
    assert len(portal.requests) > 60
    assert 25 * 60 == seen


def test_a_bucket_that_others_fill(clock, recording_adapter, read_items):
    """When somebody else fills the portal's bucket, requests are refused for a while, and nothing is lost."""
    portal = limited(clock, 20_000, (0.01, 0.0))
    way = recording_adapter(portal)

    def somebody_else(number):
        if number % 3 == 1:
            portal.limits._level = 50.0

    way.before = somebody_else
    done = read_items(way)

    assert portal.items(177).ids() == done.ids()
    assert portal.limits.refused > 0


def test_a_load_within_the_limits(clock, memory_job):
    """The same with the catalogue: not one refusal in a whole run."""
    portal = limited(clock, 2_000, (0.3, 0.008))
    crm = memory_job(portal)
    crm.run("spa_types", "spa_fields", "spa_items")

    assert 0 == portal.limits.refused
    assert 2_000 == len(crm.ids())
    assert [] == crm.issues()


def test_clusters_of_ids_far_apart(portal_with, recording_adapter, read_items):
    """Where most of the span of ids is empty, what is asked for in vain is a fraction of what a chain for each part would be."""
    portal = portal_with({177: 10_000})
    items, store = portal.items(177), portal.world.objects[177]
    for start in (10_000_000, 2_000_000_000):
        store._last = start
        for _ in range(200):
            items.add(title="far away")
    way = recording_adapter(portal)
    done = read_items(way, connections=1)  # with more, how much is in vain depends on which of them answers first

    assert items.ids() == done.ids()
    assert way.wasted() < 100, way.wasted()

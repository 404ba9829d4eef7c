"""How long a request takes where pages differ, and what a limit or a bad moment costs besides the time that it takes."""

from __future__ import annotations

import pytest
from fixtures.item_warehouse import read_ranges

from bitrix24_source.reader.id_ranges import IdRange
from bitrix24_source.reader.list_queries import ListQuery
from bitrix24_source.sandbox import Fault

ENOUGH = 30.0
"""seconds that a request may take: half of what the cloud allows"""


def slow(portal, clock, seconds_of):
    """A portal whose commands take seconds of their own, and which says nothing of them."""
    portal.limits.operating_seconds = None

    def say(command, result):
        if command.startswith("crm.item.list"):
            clock.sleep(seconds_of(command))
        return result

    portal.say = say


@pytest.mark.parametrize("seconds", [0.6, 2.0, 3.0])
def test_many_lists_that_are_slow(clock, portal_with, recording_adapter, read_items, seconds):
    """Looks for newest ids are quick, and pages are not: the ones tell nothing of the others."""
    types = range(1030, 1090, 2)
    portal = portal_with(dict.fromkeys(types, 600), scripted=True)
    slow(portal, clock, lambda command: 0.02 if "DESC" in command else seconds)
    way = recording_adapter(portal)
    done = read_items(way, types=types, connections=1)

    assert dict.fromkeys(types) == done.ended
    assert max(way.seconds) <= ENOUGH


def test_ids_beside_whole_rows(clock, portal_with, recording_adapter):
    """The ids of one list come quickly, the rows of another take more than a second a page."""
    portal = portal_with({177: 20_000, 1030: 5_000}, scripted=True)
    slow(portal, clock, lambda command: 0.02 if "DESC" in command or "entityTypeId=177" in command else 1.2)
    way = recording_adapter(portal)
    lists = [IdRange(ListQuery(1030, select=("title",))), IdRange(ListQuery(177, select=("id",)))]
    for _ in read_ranges(way.client(), lists, 1):
        pass

    assert max(way.seconds) <= ENOUGH


@pytest.mark.parametrize("nth", [1, pytest.param(2, marks=pytest.mark.slow), 5])
def test_a_used_up_budget_costs_its_own_time_alone(clock, portal_with, recording_adapter, read_items, nth):
    """Somebody has used up the budget for ten minutes: that is waited for once, and is no sign of slow pages."""
    portal = portal_with({177: 20_000})
    way, until = recording_adapter(portal), []

    def is_blocked(_asked):
        if len(way.seconds) >= nth - 1 and not until:
            until.append(clock.monotonic() + 590)
        return bool(until) and clock.monotonic() < until[0]

    portal.faults.add(Fault("batch", "OPERATION_TIME_LIMIT", times=None, when=is_blocked))
    done = read_items(way, connections=1)

    assert portal.items(177).ids() == done.ids()
    assert clock.monotonic() <= 680
    assert len(portal.requests) <= 20_000 / 2500 * 1.1 + 12 + 10  # ten minutes of looks at a closed door


@pytest.mark.parametrize("fault", [Fault("batch", "reset"), Fault("batch", "http", status=502)], ids=["reset", "502"])
def test_a_bad_moment_after_a_used_up_budget(clock, portal_with, recording_adapter, read_items, fault):
    """What a limit took does not count against the network: the load finishes."""
    portal = portal_with({177: 300})
    portal.faults.add(Fault("batch", "OPERATION_TIME_LIMIT", times=None, when=lambda _: clock.monotonic() < 300))
    fault.when, fault.struck = (lambda _: clock.monotonic() >= 300), 0
    portal.faults.add(fault)
    done = read_items(recording_adapter(portal))

    assert {177: None} == done.ended
    assert portal.items(177).ids() == done.ids()


@pytest.mark.parametrize("connections", [1, 4])
def test_a_gateway_that_gives_up_at_once(clock, portal_with, recording_adapter, read_items, connections):
    """A 504 that did not take a minute says nothing of the request's size: it is repeated as it was."""
    portal = portal_with({177: 20_000})
    portal.faults.add(Fault("batch", "http", status=504, nth=6, times=4))
    done = read_items(recording_adapter(portal), connections=connections)

    assert portal.items(177).ids() == done.ids()
    assert len(portal.requests) <= 20_000 / 2500 * 1.1 + 12 + 4

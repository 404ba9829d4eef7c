"""The zone of the credential's owner: the portal moves filters on `updatedTime` by it, and no change is missed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bitrix24_source.reader import ListQuery
from bitrix24_source.rest import Response
from bitrix24_source.sandbox import Clock
from bitrix24_source.sync.change_filter import FilterCheck, TimeFilter, _measure

HOUR = 3600
MOSCOW = timezone(timedelta(hours=3))
ROWS, CHANGED = 200, 20


def zone_beside_moscow(hours: float) -> timezone:
    return timezone(timedelta(hours=3 + hours))


def is_probe(filter_: Any) -> bool:
    return "id" in filter_


@pytest.mark.parametrize("hours", [0, 2, -5.75, 10.75, -14])
def test_only_what_changed_is_read_whatever_the_owners_zone(clock, portal_with, reader, hours):
    """All changed rows arrive, few others are read again, and nothing is reported."""
    crm = reader(portal_with({177: ROWS}, zone=MOSCOW, owner_zone=zone_beside_moscow(hours)))
    crm.run()
    for number in range(2):
        clock.advance(3 * HOUR)
        for id_ in range(1, CHANGED + 1):
            crm.portal.items(177).update(id_ * 7, title=f"changed {number}")
        clock.advance(3 * HOUR)
        written = crm.run()[177]

        assert crm.differs(177) == []
        assert CHANGED <= written <= CHANGED + 5
    assert crm.issues() == []


def test_the_shift_costs_two_requests(clock, portal_with, reader):
    """Of a quiet run of many types: one for rows to measure by and one for the probes, a third after the owner has moved."""
    crm = reader(portal_with({177: 60, **dict.fromkeys(range(1030, 1050, 2), 60)}, zone=MOSCOW))
    crm.run()
    requests = []
    for hours in (0, 0, 2, 2):
        crm.portal.set_user_zone(1, zone_beside_moscow(hours))
        clock.advance(HOUR)
        crm.run()
        requests.append(
            sum(
                "DESC&start=-1&select[0]=id&select[1]" in str(body) or "filter[id]=" in str(body)
                for body in crm.adapter.bodies
            )
        )

    assert requests == [2, 2, 3, 2]
    assert crm.issues() == []


@pytest.mark.parametrize("way", [(11, -9), (-5.75, 2), (0, 14)])
def test_the_owner_travels_between_runs(clock, portal_with, reader, way):
    """Wherever the owner was in the run before, no change is missed and nothing is reported."""
    crm = reader(portal_with({177: 200}, zone=MOSCOW))
    crm.run()
    for number, hours in enumerate((*way, *way)):
        crm.portal.set_user_zone(1, zone_beside_moscow(hours))
        clock.advance(20 * 60)
        crm.portal.items(177).update(3 + number, title=f"changed {number}")
        clock.advance(20 * 60)
        crm.run(overlap=timedelta())
        assert crm.differs(177) == []
    assert crm.issues() == []


def test_activities_are_not_moved(clock, portal_with, memory_job):
    """The filter of legacy lists heeds the offset alone: their changes arrive with an owner who is hours away."""
    crm = memory_job(portal_with({177: 60}, zone=MOSCOW, owner_zone=zone_beside_moscow(9)))
    crm.run("activities", "spa_items")
    clock.advance(HOUR)
    crm.portal.items(177).update(9, title="changed")
    crm.run("activities", "spa_items")

    asked = [str(command) for body in crm.adapter.bodies for command in body.get("cmd", {}).values()]
    bounds = [
        command for command in asked if "LAST_UPDATED" in command and "%3E%3D" in command and "%5BID%5D" not in command
    ]
    assert all("15%3A45" in command for command in bounds)  # the first run at noon UTC, less the overlap
    assert crm.differs(177) == []
    assert crm.issues() == []


def measured(answers: Callable[[str], bool]) -> FilterCheck:
    """What is made of a portal whose row 7 is found by the bounds that `answers` says."""
    now = datetime(2025, 7, 10, 12, tzinfo=MOSCOW)
    measurement = _measure([ListQuery(177)], now, TimeFilter())
    calls = next(measurement)
    while True:
        bounds = [call.params.get("filter", {}).get(">=updatedTime") for call in calls]
        row = {"id": 7, "updatedTime": "2025-07-08T12:00:00+03:00"}
        found = [[row] if bound is None or answers(bound) else [] for bound in bounds]
        try:
            calls = measurement.send([Response({"items": rows}) for rows in found])
        except StopIteration as end:
            return end.value


def test_a_shift_that_cannot_be_measured():
    """Where a row is found by some late bounds and not by earlier ones, bounds are set back by 14 hours, and that is said."""
    check = measured(lambda bound: int(bound[11:13]) % 2 == 0)

    assert check.filter == TimeFilter(margin=timedelta(hours=14))
    assert "14 hours earlier" in check.trouble


@pytest.mark.parametrize("is_found", [True, False], ids=["ignored", "refused"])
def test_a_filter_that_says_the_same_to_all_bounds(is_found):
    """A filter that is ignored or finds nothing cannot be used, in any format of times."""
    check = measured(lambda _bound: is_found)

    assert check.filter is None
    assert "all items are read" in check.trouble


def test_trouble_is_reported_once(clock, portal_with, reader):
    """While nothing changes it is no news in the next runs, and a filter that works again is used again."""
    crm = reader(portal_with({177: 60}))
    for understood in ("honoured", "ignored", "ignored", "ignored", "honoured", "ignored"):
        crm.portal.interpretations.time_filter = understood
        clock.advance(HOUR)
        crm.run()

    assert len(crm.issues()) == 2


@pytest.mark.parametrize("start", [(2026, 3, 28, 22), (2026, 10, 24, 22)], ids=["spring", "autumn"])
def test_zones_that_do_not_change_clocks_together(portal_with, reader, start):
    """Times of the other half-year are shown an hour off there, and rows that changed then do not mislead the measurement."""
    clock = Clock(datetime(*start, tzinfo=timezone.utc))
    portal = portal_with({177: 120}, clock=clock, zone=ZoneInfo("Europe/Moscow"), owner_zone=ZoneInfo("Europe/Berlin"))
    crm = reader(portal)
    crm.run()
    for number in range(12):
        clock.advance(15 * 60)
        portal.items(177).update(1 + number, title=f"changed {number}")
        clock.advance(15 * 60)
        crm.run(overlap=timedelta())
        assert crm.items(177)[1 + number]["title"] == f"changed {number}"
    assert crm.issues() == []

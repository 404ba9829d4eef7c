"""Time zones of server and owner: what a filter by time finds, and how times and dates are printed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bitrix24_source.sandbox import Clock, Portal

from .conftest import asked

TYPE = 177
MOSCOW, BERLIN = ZoneInfo("Europe/Moscow"), ZoneInfo("Europe/Berlin")
SUMMER = datetime(2025, 7, 1, 9, 0, tzinfo=timezone.utc)
WINTER = datetime(2025, 12, 1, 9, 0, tzinfo=timezone.utc)


def found(portal: Portal, **conditions: Any) -> list[int]:
    rows = asked(portal, "crm.item.list", entityTypeId=TYPE, filter=conditions, select=["id"])["result"]["items"]
    return [row["id"] for row in rows]


def item(portal: Portal, number: int) -> dict[str, Any]:
    result: dict[str, Any] = asked(portal, "crm.item.get", entityTypeId=TYPE, id=number)["result"]["item"]
    return result


@pytest.mark.parametrize("hours", [0, 2, -8.75, 11])
def test_a_datetime_filter_is_moved_by_the_owners_zone(clock, hours):
    """`>=` finds the row up to its own second plus owner's zone minus server's, whatever offset the bound carries."""
    owner = timezone(timedelta(hours=3 + hours))
    portal = Portal(items=600, clock=clock, owner_zone=owner)
    exact = datetime.fromisoformat(item(portal, 5)["updatedTime"]) + timedelta(hours=hours)
    late = exact + timedelta(seconds=1)

    for zone in (timezone.utc, owner):
        assert found(portal, id=5, **{">=updatedTime": exact.astimezone(zone).isoformat()}) == [5]
        assert found(portal, id=5, **{">=updatedTime": late.astimezone(zone).isoformat()}) == []
        assert found(portal, **{"@updatedTime": [exact.astimezone(zone).isoformat()]}) == [5]
        assert found(portal, **{"0": {"updatedTime": exact.astimezone(zone).isoformat()}}) == [5]


def test_a_naive_bound_is_the_owners_wall_clock(clock):
    """A literal without an offset means what the owner's clock showed at that instant."""
    owner = timezone(timedelta(hours=-2))
    portal = Portal(items=600, clock=clock, owner_zone=owner)
    at = datetime.fromisoformat(item(portal, 5)["updatedTime"]).astimezone(owner)

    assert found(portal, updatedTime=f"{at:%Y-%m-%d %H:%M:%S}") == [5]


def test_a_portal_without_time_zones_moves_nothing(clock):
    """With the option use_time_zones off the owner's zone does not count."""
    portal = Portal(items=600, clock=clock, owner_zone=timezone.utc)
    portal.world.zones.use_time_zones = False

    assert found(portal, updatedTime=item(portal, 5)["updatedTime"]) == [5]


def test_legacy_lists_and_stage_history_are_not_moved(clock):
    """Activities and the stage history are found at their own second by an owner two hours east of the server."""
    portal = Portal(items=600, clock=clock, owner_zone=timezone(timedelta(hours=5)))
    activity = asked(portal, "crm.activity.list", order={"ID": "ASC"})["result"][0]
    move = asked(portal, "crm.stagehistory.list", entityTypeId=TYPE)["result"]["items"][0]

    activities = asked(portal, "crm.activity.list", filter={"LAST_UPDATED": activity["LAST_UPDATED"]})
    moves = asked(portal, "crm.stagehistory.list", entityTypeId=TYPE, filter={"CREATED_TIME": move["CREATED_TIME"]})

    assert activity["ID"] in [row["ID"] for row in activities["result"]]
    assert move["ID"] in [row["ID"] for row in moves["result"]["items"]]


def test_zones_of_people_are_told(portal, ask):
    """TIME_ZONE names a chosen zone, and TIME_ZONE_OFFSET has the seconds to the server's as text."""
    portal.set_user_zone(1, ZoneInfo("Europe/Samara"))
    portal.set_user_zone(2, timezone(timedelta(hours=1)))
    first, second, third = ask("user.get", FILTER={"ID": [1, 2, 3]})["result"]

    assert (first["TIME_ZONE"], first["TIME_ZONE_OFFSET"]) == ("Europe/Samara", "3600")
    assert (second["TIME_ZONE"], second["TIME_ZONE_OFFSET"]) == ("", "-7200")
    assert (third["TIME_ZONE"], third["TIME_ZONE_OFFSET"]) == ("", "0")
    assert ask("profile")["result"]["TIME_ZONE"] == "Europe/Samara"


def test_datetimes_of_the_other_half_year_are_an_hour_off():
    """A Berlin owner of a Moscow portal sees winter times an hour late in summer, and right where the module is older."""
    portal = Portal(items=600, clock=Clock(SUMMER), zone=MOSCOW, owner_zone=BERLIN)
    portal.items(TYPE).update(5, updatedTime="2025-01-15T12:00:00+03:00")
    portal.items(TYPE).update(6, updatedTime="2025-06-15T12:00:00+03:00")

    assert item(portal, 5)["updatedTime"] == "2025-01-15T11:00:00+03:00"
    assert item(portal, 6)["updatedTime"] == "2025-06-15T12:00:00+03:00"
    portal.clock.advance((WINTER - SUMMER).total_seconds())
    assert item(portal, 5)["updatedTime"] == "2025-01-15T12:00:00+03:00"
    assert item(portal, 6)["updatedTime"] == "2025-06-15T13:00:00+03:00"
    portal.interpretations.printed_offset = "now"
    assert item(portal, 6)["updatedTime"] == "2025-06-15T12:00:00+03:00"


@pytest.mark.parametrize("hours", [-11, -5, 0, 3, 13])
def test_a_date_is_utc_midnight_on_the_servers_clock(clock, hours):
    """West of UTC the first ten characters are the day before."""
    zone = timezone(timedelta(hours=hours))
    portal = Portal(items=600, clock=clock, zone=zone)
    created = datetime.fromisoformat(item(portal, 5)["createdTime"])
    begun = datetime.fromisoformat(item(portal, 5)["begindate"])

    assert begun.utcoffset() == timedelta(hours=hours)
    assert begun.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M") == f"{created:%Y-%m-%d} 00:00"


def test_a_change_of_clocks_moves_dates_by_an_hour():
    """The offset of today is added to the midnight of the date: in winter a summer's date shows 01:00, not 02:00."""
    portal = Portal(items=600, clock=Clock(SUMMER), zone=BERLIN)
    portal.items(TYPE).update(5, begindate="2025-06-15T02:00:00+02:00")

    assert item(portal, 5)["begindate"] == "2025-06-15T02:00:00+02:00"
    portal.clock.advance((WINTER - SUMMER).total_seconds())
    assert item(portal, 5)["begindate"] == "2025-06-15T01:00:00+02:00"

"""Clocks and spellings of time: whatever a portal makes of a filter on `updatedTime`, no change is missed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from bitrix24_source.sandbox import Clock

HOUR = 3600
UNRELIABLE = "the portal's filter on updatedTime cannot be relied on: all items are read instead of those that changed"
RESPELLED = "the portal ignores the offset of times in filters: they are written in its own zone"
SET_BACK = "the portal's clock was set back"


def at(*moment):
    return Clock(datetime(*moment, tzinfo=timezone.utc))


# --- portals that misunderstand -------------------------------------------------------------------------------------


@pytest.mark.parametrize("naive", ["server", "utc"])
@pytest.mark.parametrize("understood", ["honoured", "ignored", "iso_ignored", "offset_ignored"])
def test_what_a_portal_makes_of_a_time(clock, portal_with, reader, understood, naive):
    """Whether it honours a literal, ignores it, or reads it in another zone: every change is there after the next run, what was
    found out is in load_issues once, and all is read again only where no format works."""
    crm = reader(portal_with({177: 400, 1030: 60}))
    crm.portal.interpretations.time_filter, crm.portal.interpretations.naive_dates = understood, naive
    crm.run()
    written = []
    for changed in (7, 300):
        clock.advance(HOUR)
        crm.portal.items(177).update(changed, title="changed")
        clock.advance(2 * HOUR)
        written.append(sum(crm.run().values()))
        assert [] == crm.differs(177, 1030)
    works = understood != "ignored"
    expected = {"honoured": [], "ignored": [UNRELIABLE]}.get(understood, [RESPELLED])

    assert ([1, 1] if works else [460, 460]) == written
    assert expected == crm.issues()


def test_a_filter_that_is_ignored_after_the_trial(clock, portal_with, reader):
    """The filter is asked of one item and checked on every row: where it brings old ones, that is said."""
    crm = reader(portal_with({177: 60, 1030: 60}))
    crm.run()
    clock.advance(2 * HOUR)
    crm.portal.items(1030).update(9, title="changed")

    def ignore_the_rest(_number):
        """What comes after the trial."""
        if any("id" in filter_ for _, filter_ in crm.adapter.lists()):
            crm.portal.interpretations.time_filter = "ignored"

    crm.before = ignore_the_rest
    crm.run()

    assert [] == crm.differs(177, 1030)
    assert {
        f"spa_items_{type_}: the portal ignores the filter on updatedTime; all items were read" for type_ in (177, 1030)
    } == set(crm.issues())


def test_the_item_of_the_trial_is_changed_meanwhile(clock, portal_with, reader):
    """That is no reason to mistrust the portal: another one is asked for."""
    crm = reader(portal_with({177: 40, 1030: 0}))
    crm.run()
    clock.advance(HOUR)

    def change_it(_number):
        if len(crm.adapter.lists()) == 2:
            oldest = min(crm.portal.items(177).ids(), key=lambda id_: crm.portal.items(177)[id_]["updatedTime"])
            crm.portal.items(177).update(oldest, title="changed")

    crm.before = change_it

    assert {177: 1} == crm.run()
    assert [] == crm.differs(177) + crm.issues()


def test_nothing_to_ask_about(clock, portal_with, reader):
    """Types without items are no reason to mistrust a portal, and their first items come."""
    crm = reader(portal_with({177: 0, 1030: 0}))
    crm.run()
    clock.advance(HOUR)
    crm.run()
    crm.portal.items(1030).add(title="first")
    crm.run()

    assert [] == crm.differs(1030)
    assert [1] == crm.ids(1030)
    assert [] == crm.issues()


def test_many_empty_types_before_the_first_item(clock, portal_with, reader):
    """The item by which the filter is tried may be of any type."""
    crm = reader(portal_with({**dict.fromkeys(range(1030, 1060, 2), 0), 1100: 60}))
    crm.run()
    clock.advance(HOUR)

    assert {} == crm.run()
    assert [] == crm.issues()


def test_times_that_cannot_be_read(clock, portal_with, reader):
    """A portal that writes times in a way of its own cannot be asked for changes: all is read, and that is said."""
    crm = reader(portal_with({177: 3}))
    items = crm.portal.items(177)
    for id_ in items.ids():
        items.update(id_, updatedTime="01.07.2025 15:00:00")
    crm.run()
    clock.advance(2 * HOUR)
    items.update(2, title="changed", updatedTime="01.07.2025 17:00:00")
    crm.run()

    assert ["changed"] == [row["title"] for id_, row in crm.items(177).items() if id_ == 2]
    assert [UNRELIABLE] == crm.issues()


# --- clocks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-14, -2, 2, 14])
def test_a_portal_whose_clock_is_off(portal_with, reader, hours):
    """Hours before or behind ours, always: times are compared with the portal's own."""
    ours = at(2025, 7, 1, 12)
    portal = portal_with({177: 60}, clock=Clock(ours.now() + timedelta(hours=hours)))
    crm = reader(portal, clock=ours)
    crm.run()
    for id_ in (7, 8):
        portal.items(177).update(id_, title="changed")
        for clock in (ours, portal.clock):
            clock.advance(HOUR)
        second = crm.run()
        assert [] == crm.differs(177)

    assert {177: 1} == second
    assert [] == crm.issues()


@pytest.mark.parametrize("later", [HOUR / 2, 24 * HOUR])
def test_the_portals_clock_is_set_back(portal_with, reader, later):
    """It was five hours fast, and was corrected after a run: what changed since looks older than the last run. Noticed at once,
    or a day later by our own clock; everything is read, that is said, and the run after goes on with what changed."""
    ours = at(2025, 7, 1, 12)
    portal = portal_with({177: 60}, clock=Clock(ours.now() + timedelta(hours=5)))
    crm = reader(portal, clock=ours)
    crm.run()
    for each in (ours, portal.clock):
        each.advance(HOUR)
    portal.clock.set(ours.now())
    portal.items(177).update(7, title="changed after it was set back")
    for each in (ours, portal.clock):
        each.advance(later)
    second = crm.run()
    found = crm.differs(177)
    for each in (ours, portal.clock):
        each.advance(HOUR)
    third = crm.run()

    assert [] == found
    assert {177: 60} == second
    assert {} == third
    assert [True] == [SET_BACK in message for message in crm.issues()]


def test_both_clocks_are_set_back(clock, portal_with, reader):
    """Where ours is set back as well, the portal's standing before the last run is enough to notice."""
    crm = reader(portal_with({177: 60}))
    crm.run()
    clock.set(clock.now() - timedelta(hours=3))
    crm.portal.items(177).update(7, title="changed", updatedTime=(clock.now() + timedelta(minutes=1)).isoformat())
    clock.advance(HOUR)
    crm.run()

    assert [] == crm.differs(177)
    assert [True] == [SET_BACK in message for message in crm.issues()]


def test_the_portals_clock_jumps_during_a_run(clock, portal_with, reader):
    """Back by an hour while items are read, with changes before and after."""
    ours = at(2025, 7, 1, 12)
    portal = portal_with({177: 1500}, clock=Clock(ours.now()))
    crm = reader(portal, clock=ours)

    def work(number):
        portal.items(177).update(3 + number, title=f"changed {number}")
        if number == 4:
            portal.clock.set(portal.clock.now() - timedelta(hours=1))

    crm.before = work
    crm.run()
    for each in (ours, portal.clock):
        each.advance(HOUR / 2)
    crm.run()

    assert [] == crm.differs(177)


def test_small_corrections_are_no_event(portal_with, reader):
    """Clocks that drift by seconds are read a little further back, and nobody is told."""
    ours = at(2025, 7, 1, 12)
    portal = portal_with({177: 60}, clock=Clock(ours.now()))
    crm = reader(portal, clock=ours)
    crm.run()
    portal.clock.set(portal.clock.now() - timedelta(seconds=40))
    portal.items(177).update(7, title="changed")
    for each in (ours, portal.clock):
        each.advance(HOUR)
    second = crm.run(overlap=timedelta())

    assert {177: 1} == second
    assert [] == crm.differs(177) + crm.issues()


# --- daylight saving ------------------------------------------------------------------------------------------------

SPRING, AUTUMN = (2026, 3, 28, 23, 30), (2025, 10, 25, 23, 30)
"""an hour and a half before clocks in Berlin change, in UTC"""


@pytest.mark.parametrize(
    ("start", "understood"),
    [
        pytest.param(SPRING, "honoured", id="spring-honoured"),
        pytest.param(SPRING, "iso_ignored", id="spring-iso_ignored", marks=pytest.mark.slow),
        pytest.param(SPRING, "offset_ignored", id="spring-offset_ignored", marks=pytest.mark.slow),
        *(pytest.param(AUTUMN, how, id=f"autumn-{how}") for how in ("honoured", "iso_ignored", "offset_ignored")),
    ],
)
def test_the_night_when_clocks_change(portal_with, reader, start, understood):
    """A run every twenty minutes through that night, and a change in each minute between: none is missed, whatever spelling of
    times the portal understands."""
    clock = at(*start)
    portal = portal_with({177: 60}, clock=clock, zone=ZoneInfo("Europe/Berlin"))
    portal.interpretations.time_filter = understood
    crm = reader(portal)
    crm.run()
    items, number = portal.items(177), 0
    for _ in range(9):
        for _ in range(20):
            clock.advance(60)
            items.update(1 + number % 40, title=f"change {number}")
            number += 1
        crm.run(overlap=timedelta())
        assert [] == crm.differs(177)
    assert {"honoured": []}.get(understood, [RESPELLED]) == crm.issues()

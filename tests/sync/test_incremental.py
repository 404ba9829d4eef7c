"""The second run and all after it: what changed is read, nothing else, and nothing that changed is missed."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from bitrix24_source.sandbox import Fault
from bitrix24_source.sync.session import RunSession
from bitrix24_source.sync.slice_limits import SliceLimits

HOUR = 3600


# --- only what changed ----------------------------------------------------------------------------------------------


def test_only_what_changed_is_read(clock, portal_with, reader):
    """Three changed items of a thousand are three rows; as the overlap of the next run they come again, and then no more."""
    crm = reader(portal_with({177: 1000, 1030: 100}))
    crm.run()
    clock.advance(HOUR)
    for id_ in (1, 500, 1000):
        crm.portal.items(177).update(id_, title="changed")
    read = []
    for _ in range(3):
        read.append(crm.run())
        clock.advance(HOUR)

    assert [{177: 3}, {177: 3}, {}] == read
    assert [] == crm.differs(177)


@pytest.mark.parametrize(("minutes", "rows"), [(0, 1), (15, 2), (60, 3)])
def test_the_overlap_is_configurable(clock, portal_with, reader, minutes, rows):
    """Rows that changed before the last run come again if that was no longer ago than the overlap.

    An item that changed 30 hours ago is there to measure the filter by; older ones would set the bound back by an hour.
    """
    crm = reader(portal_with({177: 10}))
    items = crm.portal.items(177)
    items.update(10, title="quiet")
    clock.advance(29 * HOUR)
    for id_, wait in ((1, 40 * 60), (2, 10 * 60)):
        items.update(id_, title="before")
        clock.advance(wait)
    crm.run()
    clock.advance(HOUR)
    items.update(3, title="after")

    assert {177: rows} == crm.run(overlap=timedelta(minutes=minutes))


# --- nothing is missed ----------------------------------------------------------------------------------------------


def test_many_rows_with_one_timestamp(clock, portal_with, reader):
    """Somebody changed everything at once: all of it comes, each row once, and not again with the next run."""
    crm = reader(portal_with({177: 1500}))
    crm.run()
    clock.advance(HOUR)
    for id_ in range(1, 1501):
        crm.portal.items(177).update(id_, title=f"new {id_}")
    clock.advance(HOUR)
    second, asked = crm.run(), crm.requests

    assert {177: 1500} == second
    assert [f"new {id_}" for id_ in range(1, 1501)] == [crm.items(177)[id_]["title"] for id_ in range(1, 1501)]
    assert asked <= 10
    assert {} == crm.run()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_people_work_during_every_run(clock, portal_with, reader, seed):
    """Between any two requests of each run items are added, changed and deleted; a run when they rest finds it all."""
    crm, dice = reader(portal_with({177: 600, 1030: 100})), random.Random(seed)

    def work(_number):
        clock.advance(1)
        for type_ in (177, 1030):
            items = crm.portal.items(type_)
            ids = items.ids()
            for id_ in dice.sample(ids, 10):
                items.update(id_, title=f"changed at {clock.now()}")
            items.delete(dice.choice(ids))
            items.add(title=f"added at {clock.now()}")

    for _ in range(4):
        crm.before = work
        crm.run(overlap=timedelta(minutes=1))
        clock.advance(dice.choice([0, 70, HOUR]))
    crm.run(overlap=timedelta(minutes=1))

    assert [] == crm.differs(177, 1030, deletions=False)
    assert [] == crm.issues()


def test_new_items_from_the_past(clock, portal_with, reader):
    """An import may give a new item a time long ago: it is new by its id, once."""
    crm = reader(portal_with({177: 120}))
    crm.run()
    clock.advance(24 * HOUR)
    imported = [crm.portal.items(177).add(title="old", updatedTime="2019-05-01T10:00:00+03:00") for _ in range(70)]

    assert {177: 70} == crm.run()
    assert {} == crm.run()
    assert set(imported) <= set(crm.ids(177))
    assert [] == crm.differs(177)


def test_a_failure_between_new_items_from_the_past(clock, portal_with, reader):
    """The highest id of a reading that broke off is not remembered: what lies before it would never be asked for again."""
    crm = reader(portal_with({177: 60}))
    crm.run()
    clock.advance(24 * HOUR)
    for _ in range(900):
        crm.portal.items(177).add(title="old", updatedTime="2019-05-01T10:00:00+03:00")
    broken = Fault("crm.item.list", "error", where="command", times=None, status=400, error="INVALID_ARG_VALUE",
                   when=lambda params: str(params.get("filter", {}).get(">id")) in map(str, range(500, 700)))  # fmt: skip
    crm.portal.faults.add(broken)
    crm.run()
    crm.portal.faults.clear()
    clock.advance(HOUR)
    crm.run()

    assert 1 == len(crm.issues())
    assert 0 < broken.struck
    assert crm.portal.items(177).ids() == crm.ids(177)


def test_more_changes_than_a_slice_holds(clock, portal_with, reader):
    """Slices are for first readings: what changed comes in one run, whatever a slice's size."""
    crm = reader(portal_with({177: 400}))
    crm.run()
    clock.advance(HOUR)
    for id_ in range(1, 401):
        crm.portal.items(177).update(id_, title="changed")
    for _ in range(100):
        crm.portal.items(177).add(title="old", updatedTime="2019-05-01T10:00:00+03:00")
    crm.run(slices=RunSession(SliceLimits(rows=150)))

    assert [] == crm.differs(177)


def test_changes_beside_a_first_reading_in_slices(clock, portal_with, reader):
    """One type is new and long, another has changes: one run brings both."""
    crm = reader(portal_with({177: 400}))
    crm.run()
    clock.advance(HOUR)
    for id_ in range(1, 401):
        crm.portal.items(177).update(id_, title="changed")
    crm.portal.add_type("New", entity_type_id=1030, items=430)
    crm.run(slices=RunSession(SliceLimits(rows=150)))

    assert [] == crm.differs(177, 1030)


def test_items_without_a_time(clock, portal_with, reader):
    """New ones come with the next run; a change that leaves no time is found by the next full refresh."""
    crm = reader(portal_with({177: 60}))
    crm.run()
    clock.advance(HOUR)
    timeless = crm.portal.items(177).add(title="timeless", updatedTime=None)
    crm.run()
    clock.advance(HOUR)
    new = crm.items(177)[timeless]["title"]
    crm.portal.items(177).update(timeless, title="changed", updatedTime=None)
    crm.run(full_refresh=True)

    assert "timeless" == new
    assert [] == crm.differs(177)


def test_a_type_whose_items_have_no_time(clock, portal_with, reader):
    """A type without the field is read whole in each run."""
    crm = reader(portal_with({177: 60, 1030: 30}))
    crm.portal.remove_field(1030, "updatedTime")
    crm.run()
    clock.advance(HOUR)
    crm.portal.items(1030).update(7, title="changed")
    second = crm.run()

    assert {1030: 30} == second
    assert "changed" == crm.items(1030)[7]["title"]
    assert [] == crm.issues()


# --- each type for itself -------------------------------------------------------------------------------------------


def test_a_type_that_appears_later(clock, portal_with, reader):
    """It gets its full load then, while the others go on with what changed."""
    crm = reader(portal_with({177: 300}))
    crm.run()
    clock.advance(HOUR)
    crm.portal.add_type("Late", entity_type_id=1030, items=250)
    second = crm.run()
    clock.advance(HOUR)
    third = crm.run()

    assert {1030: 250} == second
    assert {} == third
    assert [] == crm.differs(1030)


def test_a_type_that_was_hidden(clock, portal_with, reader):
    """A right that is given later lets a type have its full load then."""
    portal = portal_with({177: 60, 1030: 70})
    portal.deny_type(1030)
    crm = reader(portal)
    crm.run()
    clock.advance(HOUR)
    portal.world.denied.clear()
    second = crm.run()

    assert {1030: 70} == second


def test_a_type_that_failed_goes_on_where_it_was(clock, portal_with, reader):
    """A type that cannot be read in one run loses no change: its cursor stays; the other's goes on."""
    crm = reader(portal_with({177: 60, 1030: 60}))
    crm.run()
    clock.advance(HOUR)
    crm.portal.items(177).update(5, title="changed")
    crm.portal.items(1030).update(6, title="changed")
    denied = Fault("crm.item.list", "error", where="command", times=None, status=400, error="ACCESS_DENIED",
                   when=lambda params: ">id" in params.get("filter", {}) and params["entityTypeId"] == "177")  # fmt: skip
    crm.portal.faults.add(denied)
    crm.run()
    crm.portal.faults.clear()
    clock.advance(24 * HOUR)
    crm.run(overlap=timedelta())

    assert 1 == len(crm.issues())
    assert [] == crm.differs(177, 1030)


def test_full_refresh_of_one_type(clock, portal_with, reader):
    """Only that type is read again, whole, into the table that it has; the other goes on with what changed."""
    crm = reader(portal_with({177: 130, 1030: 140}))
    crm.run()
    clock.advance(HOUR)
    second = crm.run([177], full_refresh=True)
    clock.advance(HOUR)
    third = crm.run()

    assert {177: 130} == second
    assert {} == third
    assert [] == crm.differs(177, 1030)


def test_a_value_that_was_changed_back(clock, portal_with, reader):
    """Changed, loaded, changed back: the table has the first value again."""
    crm = reader(portal_with({177: 60}))
    crm.run()
    before = crm.items(177)[9]["title"]
    for title in ("other", before):
        clock.advance(HOUR)
        crm.portal.items(177).update(9, title=title)
        crm.run()

    assert before == crm.items(177)[9]["title"]
    assert [] == crm.differs(177)


def test_the_filter_is_changed(clock, portal_with, reader):
    """Another filter is another table content: the type is read whole."""
    crm = reader(portal_with({177: 120, 1030: 50}))
    crm.run(filter={177: {"<id": 100}})
    clock.advance(HOUR)
    same = crm.run(filter={177: {"<id": 100}})
    narrow = crm.ids(177)
    clock.advance(HOUR)
    crm.run()

    assert list(range(1, 100)) == narrow
    assert {} == same
    assert [] == crm.differs(177, 1030)


def test_a_selection_without_the_time(clock, portal_with, reader):
    """Changes are found also where `updatedTime` itself is not loaded."""
    crm = reader(portal_with({177: 120}))
    crm.run(select={177: ["title"]})
    clock.advance(HOUR)
    crm.portal.items(177).update(9, title="changed")
    second = crm.run(select={177: ["title"]})

    assert {177: 1} == second
    assert "changed" == crm.items(177)[9]["title"]

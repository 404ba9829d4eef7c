"""Deletes: what is gone from the portal is marked and keeps what it held; what comes back is unmarked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fixtures.item_warehouse import read_ranges

from bitrix24_source.catalog.model import EntityType
from bitrix24_source.reader.events import PageBatch
from bitrix24_source.reader.id_ranges import IdRange
from bitrix24_source.reader.list_queries import ListQuery
from bitrix24_source.sandbox import Portal
from bitrix24_source.sync.checkpoint import Checkpoint
from bitrix24_source.sync.deleted_types import confirmed_deleted_types
from bitrix24_source.sync.options import ReconcileSchedule
from bitrix24_source.sync.session import RunSession
from bitrix24_source.sync.slice_limits import SliceLimits

HOUR, DAY = 3600, 24 * 3600


def rows_of_items(loaded):
    return {table: rows for table, rows in loaded.rows.items() if table.startswith("spa_items") and rows}


def swept(crm):
    """Whether the latest run has read all ids of type 177."""
    return any(
        type_ == 177 and filter_.keys() <= {">id"} and filter_.get(">id") == "0"
        for type_, filter_ in crm.adapter.lists()
    )


# --- marks ----------------------------------------------------------------------------------------------------------


def test_marks_stay(clock, portal_with, memory_job):
    """A later sweep does not move the time at which an item was found to be gone, nor write it again."""
    crm = memory_job(portal_with({177: 60}))
    crm.run()
    crm.portal.items(177).delete(9)
    clock.advance(DAY)
    crm.run()
    first = crm.marked()
    clock.advance(DAY)
    second = crm.run()

    assert [9] == list(first)
    assert first == crm.marked()
    assert {} == rows_of_items(second)


def test_people_delete_and_restore_during_a_sweep(clock, portal_with, memory_job):
    """What is seen half is right after the next sweep."""
    crm = memory_job(portal_with({177: 600}))
    crm.run()
    items = crm.portal.items(177)
    for id_ in range(1, 30):
        items.delete(id_)
    clock.advance(DAY)

    def work(number):
        clock.advance(1)
        items.restore(1 + number)
        items.delete(100 + number)
        items.update(200 + number, title="changed")
        items.delete(items.add(title="short-lived"))

    crm.before = work
    crm.run()
    clock.advance(DAY)
    crm.run()

    assert [] == crm.differs(177) + crm.issues()


def test_an_item_that_came_into_sight(clock, portal_with, memory_job):
    """An item that the job was not allowed to see has an old id and an old time: the sweep finds it."""
    crm = memory_job(portal_with({177: 60}))
    hidden = range(20, 27)
    for id_ in hidden:
        crm.portal.items(177).delete(id_)
    crm.run()
    clock.advance(DAY)
    for id_ in hidden:
        crm.portal.items(177).restore(id_)
    second = crm.run()

    assert {"spa_items_177": 7} == rows_of_items(second)
    assert [] == crm.differs(177)


def test_a_filter_that_is_narrowed(clock, portal_with, memory_job):
    """What a new filter lets through no more is marked with what is gone, however much it is; a wider one brings it back."""
    crm = memory_job(portal_with({177: 120}))
    crm.run(filter={177: {"<id": 100}})
    clock.advance(DAY)
    crm.portal.items(177).delete(7)
    crm.run(filter={177: {"<id": 50}})
    narrowed = crm.ids()
    crm.run(filter={177: {"<id": 60}})

    assert narrowed == [id_ for id_ in range(1, 50) if id_ != 7]
    assert crm.ids() == [id_ for id_ in range(1, 60) if id_ != 7]
    assert crm.issues() == []


# --- when -----------------------------------------------------------------------------------------------------------


def test_ids_are_compared_once_a_day(clock, portal_with, memory_job):
    """The first reading has seen all ids itself; a run comes every eight hours."""
    crm, sweeps = memory_job(portal_with({177: 20})), []
    for _ in range(5):
        crm.run()
        sweeps.append(swept(crm))
        clock.advance(8 * HOUR)

    assert [False, False, True, False] == sweeps[1:]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (ReconcileSchedule(), [False, False, True, False, False, True]),
        (ReconcileSchedule(hours=12), [False, True, False, True, False, True]),
        (ReconcileSchedule(hours=0), [False] * 6),
        (ReconcileSchedule(hours=0, runs=3), [False, False, True, False, False, True]),
        (ReconcileSchedule(hours=24, runs=2), [False, True, False, True, False, True]),
        (ReconcileSchedule(hours=0, now=True), [True] * 6),
    ],
    ids=["every day", "every 12 hours", "never", "every third run", "whichever comes first", "now"],
)
def test_the_schedule_of_sweeps(clock, schedule, expected):
    """By hours, by runs, never, or now."""
    checkpoint = Checkpoint(reconciled_at=clock.now().isoformat())
    sweeps = []
    for _ in range(6):
        clock.advance(8 * HOUR)
        sweeps.append(checkpoint.is_reconciliation_due(clock.now(), schedule))
        checkpoint = replace(checkpoint, runs_since=checkpoint.runs_since + 1)
        if sweeps[-1]:
            checkpoint = replace(checkpoint, runs_since=0, reconciled_at=clock.now().isoformat())

    assert expected == sweeps


def test_nothing_is_swept_in_vain(clock, portal_with, memory_job):
    """`sweep=True` compares now, also right after another sweep; in slices, once and not in each."""
    crm = memory_job(portal_with({177: 20}))
    crm.run()
    crm.portal.add_type("New", entity_type_id=1030, items=300)
    crm.portal.items(177).delete(9)
    crm.run(sweep=True, slices=RunSession(SliceLimits(rows=100)))
    sweeps = [filter_ for type_, filter_ in crm.adapter.lists() if type_ == 177 and filter_.get(">id") == "0"]

    assert [9] == list(crm.marked())
    assert 2 == len(sweeps), "changed rows, and all ids"
    assert [] == crm.differs(177, 1030)


# --- the guard ------------------------------------------------------------------------------------------------------


def test_too_many_deletions_are_taken_for_a_lost_permission(clock, portal_with, memory_job):
    """Beyond the share nothing is marked: the reason and the way to say that it is true are in load_issues. The other type is
    swept, and an override marks them."""
    crm = memory_job(portal_with({177: 100, 1030: 100}))
    crm.run()
    for type_, gone in ((177, 21), (1030, 20)):
        for id_ in range(1, gone + 1):
            crm.portal.items(type_).delete(id_)
    clock.advance(DAY)
    loaded = crm.run()
    (issue,) = crm.rows("load_issues")
    kept, marked = crm.marked(177), crm.marked(1030)
    clock.advance(HOUR)
    again = crm.run()
    crm.run(max_deleted_share=1.0)

    assert (1, 1) == (loaded.issues, again.issues)
    assert (
        "21 of 100 items are gone from the portal, which looks more like a lost permission than like deletions; none was marked"
        == issue["message"]
    )
    assert "SOURCES__BITRIX24__MAX_DELETED_SHARE=1" in issue["hint"]
    assert ({}, 20) == (kept, len(marked))
    assert [] == crm.differs(177, 1030)


@pytest.mark.parametrize(("gone", "marked"), [(10, 10), (11, 0)])
def test_ten_may_always_go(clock, portal_with, memory_job, gone, marked):
    """Of a small type all may be deleted; more than ten and more than the share is suspicious."""
    crm = memory_job(portal_with({177: 11}))
    crm.run()
    for id_ in range(1, gone + 1):
        crm.portal.items(177).delete(id_)
    clock.advance(DAY)
    crm.run()

    assert marked == len(crm.marked())


# --- types ----------------------------------------------------------------------------------------------------------


def without_marks(crm):
    """Rows of type 177 by id."""
    return {id_: {**row, "deleted_at": None} for id_, row in crm.items(177).items()}


def test_a_type_that_vanished(clock, portal_with, memory_job):
    """Its items are marked in the next run, all of them, with their columns as they were; the others are untouched."""
    crm = memory_job(portal_with({177: 130, 1030: 50, 1032: 0}))
    crm.run()
    before = without_marks(crm)
    for type_ in (177, 1032):
        crm.portal.delete_type(type_)
    clock.advance(HOUR)
    crm.run()
    marked = crm.marked(177)
    clock.advance(HOUR)
    third = crm.run()

    assert set(range(1, 131)) == set(marked)
    assert before == without_marks(crm)
    assert marked == crm.marked(177)
    assert {} == rows_of_items(third)
    assert [] == crm.differs(1030) + crm.issues()


def test_a_type_that_is_hidden_is_not_gone(clock, portal_with, memory_job):
    """A right that was taken away marks nothing, and is said."""
    crm = memory_job(portal_with({177: 130, 1030: 50}))
    crm.run()
    crm.portal.deny_type(177)
    clock.advance(DAY)
    loaded = crm.run()

    assert {} == crm.marked(177)
    assert 1 == loaded.issues


def test_only_the_portals_own_word_counts(portal_with, reader):
    """Of types that are not listed, gone is what the portal says it does not have; not what it hides or still has."""
    portal = portal_with({177: 3, 1030: 3})
    portal.deny_type(1030)
    absent = [EntityType(type_, {}) for type_ in (177, 1030, 1032)]

    assert [1032] == [spa.entity_type_id for spa in confirmed_deleted_types(reader(portal).connect(), absent)]


def test_a_portal_that_lists_no_types_any_more(clock, portal_with, memory_job):
    """Without administrative rights in CRM types cannot be listed: none is taken to be gone."""
    crm = memory_job(portal_with({177: 130}))
    crm.run()
    crm.portal.set_admin(crm=False)
    clock.advance(DAY)
    crm.run()

    assert {} == crm.marked(177)


def test_a_full_refresh_finds_what_is_gone(clock, portal_with, memory_job):
    """Of one type, whose table stays."""
    crm = memory_job(portal_with({177: 130, 1030: 50}))
    crm.run()
    crm.portal.items(177).delete(9)
    clock.advance(HOUR)
    crm.run(spa_types=[177], full_refresh=True)

    assert [9] == list(crm.marked(177))
    assert [] == crm.differs(177, 1030)


# --- cost -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("items", [40_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_all_ids_of_a_long_list(clock, reader, items):
    """All ids of very many items, with gaps, cost little more than the requests that they fill, 2,500 to each."""
    crm = reader(Portal("bench", items=items, id_step=3, clock=clock))
    crm.portal.limits.operating_seconds = None
    client, seen = crm.connect(), 0
    for what in read_ranges(client, [IdRange(ListQuery(177, {}, ("id",)))], 4):
        seen += len(what.rows) if isinstance(what, PageBatch) else 0

    assert items == seen
    assert crm.requests <= 1.1 * items / 2_500 + 12

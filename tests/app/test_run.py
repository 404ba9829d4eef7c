"""Scheduled jobs, end to end: what people change between runs, and what is lost between them."""

# ruff: noqa: S608 - columns of the tests' own

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace

import dlt
import pytest
from dlt.common.runtime.run_context import RunContext, switched_run_context
from dlt.common.storages.load_package import PackageStorage
from fixtures.item_warehouse import PLAIN

from bitrix24_source.errors import Bitrix24Error
from bitrix24_source.sandbox import Clock, Portal
from bitrix24_source.sync.session import RunSession
from bitrix24_source.sync.slice_limits import SliceLimits

HOUR = 3600
TWENTY = {177: 120, **{1030 + 2 * number: 10 for number in range(19)}}


def make_portal(clock):
    """Two smart processes with a hundred items and a few."""
    portal = Portal(scenario="empty", clock=clock)
    for entity_type_id, items in {177: 120, 1030: 30}.items():
        portal.add_type(f"Process {entity_type_id}", entity_type_id=entity_type_id, items=items, off=PLAIN)
    return portal


@pytest.fixture
def crm(copied_job, engine, clock):
    """The job that loads them, after its first run."""
    job = copied_job(make_portal, "spa_items", engine=engine)
    clock.advance(HOUR)
    return job


def rows_of_items(loaded):
    return {table: rows for table, rows in loaded.rows.items() if table.startswith("spa_items") and rows}


def test_a_run_without_changes(clock, portal_with, memory_job):
    """Twenty types, all resources: at most 25 requests, and no item row is written."""
    crm = memory_job(portal_with(TWENTY))
    first = crm.run_all()
    clock.advance(HOUR)
    second = crm.run_all()

    assert sum(TWENTY.values()) == sum(rows_of_items(first).values())
    assert {} == rows_of_items(second)
    assert crm.requests <= 25
    assert [] == crm.issues()


# --- what people do between runs ------------------------------------------------------------------------------------


FIELDS = ("spa_items", "spa_fields", "spa_field_options")


@pytest.fixture(scope="module")
def changed(job_once):
    """Two runs, between which each of three types was changed by an administrator: what the tables held, and what was loaded."""
    clock = Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))
    portal = Portal("empty", clock=clock)
    for entity_type_id in (177, 1030, 1032):
        portal.add_type(f"Process {entity_type_id}", entity_type_id=entity_type_id, items=20, off=PLAIN)
    removed = portal.add_field(1030, "SIZE", "integer", "Size", pool=[7])
    portal.add_field(1032, "GRADE", "enumeration", "Grade", options=["Low", "High"])
    crm = job_once(portal, *FIELDS)
    before = crm.items(177)
    (low,) = (row["option_id"] for row in crm.rows("spa_field_options") if row["value"] == "Low")
    clock.advance(HOUR)
    size = portal.add_field(177, "SIZE", "integer", "Size", pool=[None])
    tags = portal.add_field(177, "TAGS", "string", "Tags", multiple=True, pool=[[]])
    portal.items(177).update(9, **{size: 42, tags: ["a", "b"]})
    portal.remove_field(1030, removed)
    portal.items(1030).update(9, title="changed")
    portal.rename_option(int(low), "Lowest")
    with switched_run_context(RunContext(str(crm.folder))):
        second = crm.run(*FIELDS)
    return SimpleNamespace(crm=crm, before=before, after=crm.items(177), written=rows_of_items(second))


def test_a_custom_field_is_added(changed):
    """The next run has its column, its list's table, and the values that people entered; other rows keep what they hold."""
    crm, before, after = changed.crm, changed.before, changed.after
    (column,) = after[9].keys() - before[9].keys()
    listed = crm.query("select item_id, position, value from {}." + f"spa_items_177__{column.replace('size', 'tags')}")

    assert {9: 42} == {id_: row[column] for id_, row in after.items() if row[column] is not None}
    assert [(9, 0, "a"), (9, 1, "b")] == sorted(listed)
    assert before.keys() == after.keys()
    assert [before[id_] for id_ in before if id_ != 9] == [
        {name: value for name, value in after[id_].items() if name != column} for id_ in before if id_ != 9
    ]


def test_a_custom_field_is_removed(changed):
    """Its column stays with what it held, until the row itself comes again."""
    crm = changed.crm
    (column,) = (column for column in crm.items(1030)[1] if column.endswith("_size"))

    assert [(7, 19)] == crm.query(
        f"select {column}, count(*) from {{}}.spa_items_1030 where {column} is not null group by 1"
    )
    assert [] == crm.differs(1030)


def test_an_option_is_renamed(changed):
    """Items keep the option's id; the dictionary has its new name after the next run, without any row being read again."""
    assert ["High", "Lowest"] == sorted(row["value"] for row in changed.crm.rows("spa_field_options"))
    assert "spa_items_1032" not in changed.written
    assert [] == changed.crm.differs(1032)


def test_the_selection_is_changed(clock, portal_with, memory_job):
    """A field that is selected later has its values in all rows, also in those that nobody changed."""
    crm = memory_job(portal_with({177: 120}))
    crm.run(select={177: ["title"]})
    clock.advance(HOUR)
    without = set(crm.items(177)[1])
    second = crm.run(select={177: ["title", "createdTime", "updatedTime"]})

    assert {"title"} == without & {"title", "created_time", "updated_time"}
    assert {"spa_items_177": 120} == rows_of_items(second)
    assert all(row["created_time"] for row in crm.items(177).values())
    assert [] == crm.differs(177)


# --- what is lost between runs --------------------------------------------------------------------------------------


@pytest.mark.all_databases(slow=True)
def test_the_destination_is_dropped(crm):
    """An empty destination gets everything again, whatever the working directory remembers."""
    crm.execute("drop schema {} cascade")
    crm.run()

    assert [] == crm.differs(177, 1030)


def test_the_working_directory_is_lost(crm):
    """The destination remembers: the next run reads what changed, and no more."""
    crm.portal.items(177).update(9, title="changed")
    crm.lose_folder()
    second = crm.run()

    assert {"spa_items_177": 1} == rows_of_items(second)
    assert [] == crm.differs(177)


@pytest.mark.all_databases
def test_one_item_table_is_dropped(crm):
    """Somebody drops a table behind dlt's back: the next run makes it again and reads all of its items."""
    crm.portal.items(177).update(9, title="changed")
    crm.execute("drop table {}.spa_items_177 cascade")
    crm.run()

    assert [] == crm.differs(177, 1030) + crm.issues()


@pytest.mark.all_databases(slow=True)
def test_a_load_that_was_cut_off(crm, monkeypatch):
    """What the database has committed and the package does not know of is loaded again by the next run, each item once.

    So it is when that run is cut off, too, in whichever step.
    """
    crm.portal.items(177).update(9, title="changed")
    crm.portal.items(177).add(title="new")
    for step in ("complete_job", "complete_loading_package"):
        with monkeypatch.context() as broken:
            broken.setattr(PackageStorage, step, die)
            with pytest.raises(Bitrix24Error):
                crm.run()
    crm.run()

    assert [] == crm.differs(177) + crm.issues()


def test_the_job_is_pointed_at_another_database_and_back(crm, tmp_path, monkeypatch):
    """What waits in the working folder for the one, and what that one has, is not taken for the other's: each gets all it lacks."""
    items, first, second = crm.portal.items(177), crm.database, crm.database.copy(tmp_path / "second")
    items.update(8, title="only the first has it")
    crm.clock.advance(24 * HOUR)
    items.update(7, title="long after it, so that the first does not ask for that time again")
    crm.run()
    crm.clock.advance(HOUR)
    items.update(9, title="waits for the first")
    with monkeypatch.context() as broken:
        broken.setattr(dlt.Pipeline, "load", die)
        with pytest.raises(Bitrix24Error):
            crm.run()
    wrong = []
    for crm.database in (second, first):
        crm.clock.advance(HOUR)
        crm.run()
        wrong += crm.differs(177, 1030)
    second.drop()

    assert [] == wrong


def die(*_args, **_kwargs):
    message = "the machine stops here"
    raise OSError(message)


# --- views ----------------------------------------------------------------------------------------------------------

SPA = ("spa_items", "spa_types", "spa_fields")


@pytest.fixture
def viewed(copied_job, engine):
    """A job after its first run with views, one of which somebody has dropped."""
    crm = copied_job(make_small_portal, *SPA, engine=engine, views=True)
    crm.execute("drop view {}.spa_items_1030_labeled")
    return crm


def make_small_portal(clock):
    portal = Portal(scenario="empty", clock=clock)
    for entity_type_id in (177, 1030):
        portal.add_type(f"Process {entity_type_id}", entity_type_id=entity_type_id, items=20, off=PLAIN)
    return portal


def views_of(crm):
    return {name for name in crm.database.types() if name.endswith("_labeled")}


@pytest.mark.all_databases
def test_a_full_refresh_without_views_leaves_those_that_were_there(viewed):
    """Tables are made anew. Views have to go for that; with views=False those that there were come back, over the new rows, and
    no others.
    """
    viewed.portal.items(177).delete(5)
    second = viewed.run(*SPA, refresh=True, full_refresh=True, views=False, slices=RunSession(SliceLimits(rows=25)))

    assert {"spa_items_177": 19, "spa_items_1030": 20} == rows_of_items(second)
    assert viewed.portal.items(177).ids() == sorted(viewed.items(177))
    assert {"spa_items_177_labeled"} == views_of(viewed)
    assert [(19,)] == viewed.query("select count(*) from {}.spa_items_177_labeled")


@pytest.mark.parametrize("views", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_refresh_that_fails_leaves_the_views_that_were_there(viewed, monkeypatch, views):
    """In its second slice, too: those that there were, and no others."""
    runs, run_of_dlt = [], dlt.Pipeline.run

    def once(*args, **more):
        runs.append(args)
        if len(runs) > 1:
            raise OSError("the machine gave up")
        return run_of_dlt(*args, **more)

    monkeypatch.setattr(dlt.Pipeline, "run", once)
    with pytest.raises(Bitrix24Error, match="the machine gave up"):
        viewed.run(*SPA, refresh=True, views=views, slices=RunSession(SliceLimits(rows=10)))

    assert {"spa_items_177_labeled"} == views_of(viewed)

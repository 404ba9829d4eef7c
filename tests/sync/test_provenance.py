"""A table knows what it was read from: portal, dataset and the load that the state was stored with."""

from __future__ import annotations

import shutil
from datetime import datetime, timezone

import dlt
import pytest
from databases import DuckDB
from fixtures.item_warehouse import PLAIN

from bitrix24_source import bitrix24
from bitrix24_source.errors import Bitrix24Error
from bitrix24_source.sandbox import Clock, Portal

HOUR = 3600
BEYOND_OVERLAP = 72 * HOUR
"""after which a run no longer reads what changed before, in whatever zone"""


OTHER = "https://other.bitrix24.test"


def small_portal(clock):
    portal = Portal("empty", clock=clock)
    for number, items in ((177, 30), (1030, 5)):
        portal.add_type(f"Process {number}", entity_type_id=number, items=items, off=PLAIN)
    return portal


@pytest.fixture(scope="module")
def loaded(job_once):
    return job_once(small_portal(Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))))


@pytest.fixture
def crm(loaded, copy_of, clock):
    """The small portal after one run."""
    return copy_of(loaded, small_portal(clock))


def test_another_portal_is_refused_before_anything_is_written(portal_with, crm):
    """In the same pipeline: one sentence names both portals and says what to do, and the tables stay as they were."""
    loads = crm.query("select count(*) from {}._dlt_loads")
    first, crm.portal, crm.address = crm.portal, portal_with({177: 5}), OTHER

    with pytest.raises(Bitrix24Error, match=r"other\.bitrix24\.test.*demo\.bitrix24\.test.*RENAMED_FROM"):
        crm.run()

    assert crm.query("select count(*) from {}._dlt_loads") == loads
    crm.portal, crm.address = first, ""
    crm.run()
    assert crm.differs() == []


def test_another_portal_in_the_same_dataset_is_refused(portal_with, crm):
    """A pipeline of another name may not load another portal into the dataset either."""
    crm.portal, crm.address = portal_with({177: 5}), OTHER
    source = bitrix24(credentials=crm.portal.credentials(OTHER)["webhook"], client=crm.connect())
    pipeline = dlt.pipeline(
        "another",
        pipelines_dir=str(crm.folder / "another"),
        destination=crm.database.destination,
        dataset_name=crm.database.dataset,
    )

    with pytest.raises(Exception, match=r"other\.bitrix24\.test"):
        pipeline.run(source.with_resources("spa_items"))

    assert len(crm.items()) == 30


def test_a_portal_that_was_renamed(clock, crm):
    """Goes on incrementally after it was said once that it is the same."""
    clock.advance(HOUR)
    crm.address = OTHER
    crm.run(renamed_from="demo.bitrix24.test")
    clock.advance(HOUR)
    summary = crm.run()

    assert summary.rows.get("spa_items_177", 0) == 0
    assert len(crm.ids()) == 30


def test_a_restored_backup(clock, crm, tmp_path):
    """The destination's own state counts where it lacks the last load: what changed since the backup is read again."""
    if crm.database.engine != "duckdb":
        pytest.skip("a backup is a copied file")
    backup = tmp_path / "backup.duckdb"
    crm.database.query("checkpoint")
    shutil.copy(crm.database.file, backup)
    clock.advance(HOUR)
    crm.portal.items(177).update(7, title="changed after the backup")
    crm.portal.items(177).add(title="new after the backup")
    clock.advance(BEYOND_OVERLAP)
    crm.run(sweep_hours=0)
    clock.advance(HOUR)
    crm.database.drop()
    shutil.copy(backup, crm.database.file)
    crm.database = DuckDB(crm.database.file.parent, crm.database.dataset)
    crm.run(sweep_hours=0)

    assert crm.differs() == []
    assert len(crm.ids()) == 31


def test_two_datasets_by_turns(clock, crm):
    """One pipeline may load into two datasets: each goes on from its own state."""
    first = crm.database.dataset
    for number, dataset in enumerate((f"{first}_b", first, f"{first}_b")):
        crm.database.dataset = dataset
        crm.portal.items(177).update(3 + number, title=f"changed {number}")
        clock.advance(BEYOND_OVERLAP)
        crm.run(sweep_hours=0)
        assert crm.differs() == []


@pytest.mark.parametrize("statement", ["drop table {}.spa_items_177", "delete from {}.spa_items_177"])
def test_a_table_that_somebody_dropped_or_emptied(clock, crm, statement):
    """A dropped table is there again after the next run, and an emptied one is whole after the next sweep."""
    crm.execute(statement)
    clock.advance(HOUR)
    crm.run(sweep=True)

    assert crm.differs(177, 1030) == []
    assert crm.issues() == []


def test_a_history_with_missing_rows_heals(clock, job):
    """Where the destination has fewer moves than the portal counts, they are read again; else none is."""
    crm = job(Portal(scenario="demo", items=40, clock=clock))
    crm.run("stage_history")
    before = crm.query("select entity_type_id, id from {}.stage_history order by 1, 2")
    clock.advance(HOUR)
    crm.run("stage_history", views=False, sweep=True)
    quiet = sum("crm.stagehistory.list" in str(body) for body in crm.adapter.bodies)
    crm.execute("delete from {}.stage_history where entity_type_id = 2 and id % 3 = 0")
    clock.advance(HOUR)
    crm.run("stage_history", views=False, sweep=True)

    assert crm.query("select entity_type_id, id from {}.stage_history order by 1, 2") == before
    assert quiet <= 2
    assert crm.issues() == []

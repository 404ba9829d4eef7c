"""A table knows what it was read from: portal, dataset and the load that the state was stored with."""

from __future__ import annotations

import shutil

import dlt
import pytest
from databases import DuckDB

from bitrix24_source import bitrix24
from bitrix24_source.errors import Bitrix24Error

HOUR = 3600
BEYOND_OVERLAP = 72 * HOUR
"""after which a run no longer reads what changed before, in whatever zone"""


OTHER = "https://other.bitrix24.test"


@pytest.fixture
def crm(small_job):
    """The small portal after one run."""
    return small_job


def test_another_portal_is_refused_before_anything_is_written(clock, portal_with, crm):
    """One sentence names both portals and says what to do, and the tables stay as they were.

    In the same pipeline, and from one of another name into the same dataset. Who says once that it is the same portal under
    another name goes on incrementally.
    """
    loads = crm.query("select count(*) from {}._dlt_loads")
    first, crm.portal, crm.address = crm.portal, portal_with({177: 5}), OTHER
    with pytest.raises(Bitrix24Error, match=r"other\.bitrix24\.test.*demo\.bitrix24\.test.*RENAMED_FROM"):
        crm.run()
    source = bitrix24(credentials=crm.portal.credentials(OTHER)["webhook"], client=crm.connect())
    another = dlt.pipeline(
        "another",
        pipelines_dir=str(crm.folder / "another"),
        destination=crm.database.destination,
        dataset_name=crm.database.dataset,
    )
    with pytest.raises(Exception, match=r"other\.bitrix24\.test"):
        another.run(source.with_resources("spa_items"))

    assert loads == crm.query("select count(*) from {}._dlt_loads")
    clock.advance(HOUR)
    crm.portal = first
    crm.portal.items(177).update(7, title="changed")
    summary = crm.run(renamed_from="demo.bitrix24.test")
    assert summary.rows["spa_items_177"] == 1
    clock.advance(HOUR)
    assert crm.run().rows.get("spa_items_1030", 0) == 0
    assert crm.differs(177, 1030) == []


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
    assert len(crm.ids()) == 61


def test_two_datasets_by_turns(clock, crm):
    """One pipeline may load into two datasets: each goes on from its own state."""
    first = crm.database.dataset
    for number, dataset in enumerate((f"{first}_b", first)):
        crm.database.dataset = dataset
        crm.portal.items(177).update(3 + number, title=f"changed {number}")
        clock.advance(BEYOND_OVERLAP)
        crm.run(sweep_hours=0)
        assert crm.differs() == []


def test_tables_that_somebody_dropped_or_emptied(clock, crm):
    """A dropped table is there again after the next run, and an emptied one is whole after the next sweep."""
    crm.execute("drop table {}.spa_items_177")
    crm.execute("delete from {}.spa_items_1030")
    clock.advance(HOUR)
    crm.run(sweep=True)

    assert crm.differs(177, 1030) == []
    assert crm.issues() == []

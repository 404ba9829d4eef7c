"""Files: rows cannot be merged into them, so each run leaves a snapshot of the portal; read back by DuckDB."""

# ruff: noqa: S608 - tables of the tests' own

from __future__ import annotations

import logging

import dlt
import duckdb
import pytest

from bitrix24_source.sandbox import Portal
from bitrix24_source.sync.session import RunSession
from bitrix24_source.sync.slice_limits import SliceLimits

pytestmark = pytest.mark.filterwarnings(
    "ignore:Delete operation did not match any records"
)  # pyiceberg, of empty tables


def of_parquet(folder, _pipeline, table):
    return duckdb.sql(
        f"select * from read_parquet('{folder}/crm/{table}/*.parquet', union_by_name=true)"
    ).to_arrow_table()


def of_delta(folder, _pipeline, table):
    return pytest.importorskip("deltalake").DeltaTable(f"{folder}/crm/{table}").to_pyarrow_table()


def of_iceberg(_folder, pipeline, table):
    from dlt.common.libs.pyiceberg import get_iceberg_tables

    return get_iceberg_tables(pipeline, table)[table].scan().to_arrow()


FORMATS = {"parquet": (None, of_parquet), "delta": ("deltalake", of_delta), "iceberg": ("pyiceberg", of_iceberg)}
"""the package that it needs, and how a table is read past dlt's dataset"""


@pytest.fixture(params=FORMATS)
def files(request, load, pipeline, tmp_path, caplog):
    """Loads a portal into files of one format, run by run, and reads tables of them."""
    package, reader = FORMATS[request.param]
    if package:
        pytest.importorskip(package, reason=f"{package} is not installed")
    folder = tmp_path / "files"
    made = pipeline(dlt.destinations.filesystem(folder.as_uri()))
    how = {"loader_file_format": "parquet", **({"table_format": request.param} if package else {})}

    class Files:
        def run(self, portal, **arguments):
            with caplog.at_level(logging.WARNING, "dlt"):
                load(portal, made, how, resources=("spa_types", "spa_items"), **arguments)

        def query(self, sql, table):
            rows = reader(folder, made, table)  # noqa: F841 - DuckDB finds it by its name
            return duckdb.sql(sql).fetchall()

    return Files()


@pytest.fixture
def portal(clock):
    made = Portal(scenario="empty", clock=clock)
    made.add_type("Process", entity_type_id=177, items=60, off=("isClientEnabled", "isObserversEnabled"))
    made.add_field(177, "TAGS", "string", "Tags", multiple=True, pool=[["a", "b"], []])
    made.add_field(177, "SUM", "money", "Sum", pool=["5|RUB", "0.000000001|USD"])
    return made


TAGS = "spa_items_177__uf_crm_11_tags"
TYPES = {
    "id": "BIGINT", "title": "VARCHAR", "updated_time": "TIMESTAMP WITH TIME ZONE", "uf_crm_11_sum": "DECIMAL(38,9)",
    "uf_crm_11_sum_currency": "VARCHAR", "opened": "BOOLEAN", "begindate": "DATE", "opportunity": "DOUBLE",
}  # fmt: skip


def told(portal):
    """What the tables should hold: titles by id, and tags by item and position."""
    items = portal.items(177)
    titles = [(id_, items[id_]["title"], None) for id_ in items.ids()]
    (name,) = (name for name in items[items.ids()[0]] if name.lower().endswith("tags"))
    return titles, [(id_, place, tag) for id_ in items.ids() for place, tag in enumerate(items[id_][name] or [])]


def test_every_run_leaves_the_portal_as_it_is(files, portal, clock, caplog):
    """Changed, emptied, deleted and returned: after each run the files hold each item once, as it is, and nothing else.

    Columns are as typed as in a database.
    """
    items = portal.items(177)
    (tags,) = (name for name in items[1] if name.lower().endswith("tags"))

    def compare():
        titles, values = told(portal)
        assert titles == files.query("select id, title, deleted_at from rows order by id", "spa_items_177")
        assert values == files.query("select item_id, position, value from rows order by all", TAGS)

    files.run(portal)
    compare()
    clock.advance(3600)
    items.update(1, title="changed", **{tags: []})
    items.update(2, **{tags: ["z"]})
    items.delete(60)
    files.run(portal, sweep=True, slices=RunSession(SliceLimits(rows=10)))
    compare()
    clock.advance(3600)
    items.restore(60)
    files.run(portal, sweep=True)
    compare()
    types = dict(files.query("select column_name, column_type from (describe rows)", "spa_items_177"))
    assert TYPES == {name: types.get(name) for name in TYPES}
    assert [(177,)] == files.query("select entity_type_id from rows", "spa_types")
    assert not [record for record in caplog.records if "append" in record.getMessage()], "dlt fell back"

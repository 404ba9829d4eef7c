"""Warehouses for which an account is needed: what dlt would send them, by its own account of each, without a connection.

What normalizing makes is tested for all. Tables and merges as SQL are tested where a warehouse's driver is installed, which
`make test` does for Redshift alone: the driver is PostgreSQL's.
"""

from __future__ import annotations

from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

import dlt
import pyarrow.parquet as pq
import pytest
import sqlglot
from dlt.destinations.impl.dummy.configuration import DummyClientConfiguration
from dlt.destinations.impl.dummy.dummy import DummyClient

from bitrix24_source.sandbox import Clock

from .conftest import ITEMS, make_awkward_portal

WAREHOUSES: dict[str, tuple[str, dict[str, Any], str]] = {
    "bigquery": (
        "google.cloud.bigquery",
        {"credentials": {"project_id": "p", "private_key": "k", "client_email": "a@b.example"}},
        "bigquery",
    ),
    "snowflake": (
        "snowflake.connector", {"credentials": "snowflake://loader:x@account/crm?warehouse=w&role=r"}, "snowflake",
    ),
    "clickhouse": ("clickhouse_connect", {"credentials": "clickhouse://loader:x@127.0.0.1:1/crm"}, "clickhouse"),
    "databricks": (
        "databricks.sql",
        {"credentials": {"server_hostname": "h.example", "http_path": "/sql", "access_token": "x", "catalog": "c"}},
        "databricks",
    ),
    "redshift": ("psycopg2", {"credentials": "redshift://loader:x@127.0.0.1:1/crm"}, "redshift"),
}  # fmt: skip
"""the driver, made-up credentials, and sqlglot's dialect"""

NAMES = pytest.mark.parametrize("name", WAREHOUSES)


def unplugged(name):
    """A destination with all that dlt knows of a warehouse, and a client that reaches nothing."""
    factory = getattr(dlt.destinations, name)
    made = {"spec": DummyClientConfiguration, "client_class": property(lambda _self: DummyClient)}
    return type(
        f"Unplugged{name}", (factory,), {**made, "adjust_capabilities": classmethod(lambda _cls, caps, *_: caps)}
    )(completed_prob=1.0)


@pytest.fixture(scope="module")
def normalized(load, pipeline, tmp_path_factory):
    """One load up to where the warehouse would be asked: the pipeline, and its files by table; each is made once."""

    @cache
    def make(name):
        from dlt.pipeline.pipeline import Pipeline

        files = {}

        def stop_before_loading(self, *_args, **_kwargs):
            (load_id,) = self.list_normalized_load_packages()
            package = self.get_load_package_info(load_id)
            for job in package.jobs["new_jobs"]:
                files.setdefault(job.job_file_info.table_name, []).append(job.file_path)

        made = pipeline(unplugged(name))
        portal = make_awkward_portal(Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Pipeline, "load", stop_before_loading)
            load(portal, made, resources=ITEMS)
        return made, files

    return make


@NAMES
def test_a_load_is_normalized(normalized, name):
    """Every table has files of a format that the warehouse takes; items travel as Arrow made them, without JSON columns."""
    loaded, files = normalized(name)
    capabilities = loaded.destination.capabilities()
    tables = loaded.default_schema.tables
    formats = {path.removesuffix(".gz").rpartition(".")[2] for paths in files.values() for path in paths}

    assert formats <= set(capabilities.supported_loader_file_formats)
    assert {"spa_types", "spa_fields", "spa_items_1038", "rejected_values"} <= files.keys()
    assert all(len(table) <= capabilities.max_identifier_length for table in tables)
    assert all(
        len(c) <= capabilities.max_column_identifier_length for table in tables.values() for c in table["columns"]
    )
    for table, paths in files.items():
        if any(path.endswith("parquet") for path in paths):
            types = {column.get("data_type") for column in tables[table]["columns"].values()}
            assert name != "bigquery" or "json" not in types, table
    if "parquet" in formats:
        schema = pq.read_schema(next(path for path in files["spa_items_1038"] if path.endswith("parquet")))
        decimals = {(f.type.precision, f.type.scale) for f in schema if str(f.type).startswith("decimal")}
        assert {(38, 9)} == decimals
        assert {"UTC"} == {f.type.tz for f in schema if str(f.type).startswith("timestamp")}


@pytest.fixture
def client(normalized):
    """dlt's own client of a warehouse for what was normalized, never opened; and the names of its item tables."""

    def make(name):
        driver, arguments, dialect = WAREHOUSES[name]
        pytest.importorskip(driver, reason=f"the driver of {name} is not installed")
        loaded, files = normalized(name)
        destination = getattr(dlt.destinations, name)(**arguments)
        schema = loaded.default_schema.clone()
        made = destination.client(schema, destination.spec()._bind_dataset_name(dataset_name="crm"))
        return made, [name for name in files if not name.startswith("_dlt")], dialect

    return make


@NAMES
def test_tables_are_made_in_the_warehouses_own_words(client, name):
    """The statements that make the tables are SQL of that warehouse; nothing that it cannot hold is refused by dlt."""
    made, tables, dialect = client(name)
    made.verify_schema(tables)
    for table in tables:
        columns = list(made.schema.get_table_columns(table).values())
        for statement in made._get_table_update_sql(table, columns, generate_alter=False):
            assert sqlglot.parse(statement, dialect=dialect)


@NAMES
def test_merges_are_in_the_warehouses_own_words(client, name):
    """The statements of a merge are SQL of that warehouse, and delete an item's whole list before its new one comes."""
    made, tables, dialect = client(name)
    merged = [table for table in tables if made.prepare_load_table(table)["write_disposition"] == "merge"]
    assert len(merged) > 10
    for table in merged:
        (job,) = made._create_merge_followup_jobs([made.prepare_load_table(table)])
        statements = Path(job.new_file_path()).read_text(encoding="utf-8").splitlines()
        parsed = [part for statement in statements for part in sqlglot.parse(statement, dialect=dialect) if part]
        assert {"Delete", "Insert"} <= {type(part).__name__ for part in parsed}, (table, statements)

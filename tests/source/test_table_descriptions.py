"""What dlt's schema says of tables and columns, and how they refer to each other."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timezone

import dlt
import pytest
from databases import make
from dlt.common.runtime.run_context import RunContext, switched_run_context
from fixtures.item_warehouse import PLAIN, make_warehouse

from bitrix24_source.sandbox import Clock, Portal

pytestmark = pytest.mark.all_databases(slow=True)

CHOSEN = (
    "spa_types", "spa_fields", "spa_field_options", "spa_categories", "spa_stages", "users", "departments", "deals",
    "companies", "contacts", "activities", "activity_bindings", "product_rows", "stage_history", "spa_items", "load_issues",
)  # fmt: skip
FEW_COLUMNS = {3: ["name", "companyId"], 4: ["title"]}
"""of contacts and companies: deals have one of each kind"""
RENAMED = ("spa_fields", "spa_items", "deals")
"""what is loaded again after a field has got another name"""


@pytest.fixture(scope="module")
def loaded(engine, tmp_path_factory):
    """One load for all tests of a database: what they change of it, the others do not look at."""
    folder = tmp_path_factory.mktemp("described")
    portal = Portal("demo", items=20, clock=Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc)))
    with switched_run_context(RunContext(str(folder))):
        made = make_warehouse(folder, portal, make(engine, folder))
        made.run(*CHOSEN, spa_types=[177], select=FEW_COLUMNS)
    yield made
    made.database.drop()


@pytest.fixture
def crm(loaded):
    where = {"pipelines_dir": loaded.pipeline.pipelines_dir, "dataset_name": loaded.database.dataset}
    pipeline = dlt.pipeline(loaded.pipeline.pipeline_name, destination=loaded.database.destination, **where)
    return replace(loaded, pipeline=pipeline)


def own_tables(crm):
    """As dlt's schema in the destination has them, which is what others read."""
    crm.pipeline.sync_destination()
    tables = crm.pipeline.default_schema.tables
    return {name: table for name, table in tables.items() if not name.startswith("_dlt")}


def asked_in_a_run(crm):
    """How often each method was called, and what was asked of items; how many calls are in a request depends on the moment."""
    calls, lists = len(crm.portal.requests), len(crm.adapter.asked)
    crm.run(*RENAMED, spa_types=[177], select=FEW_COLUMNS, connections=1)  # several would take turns as they like
    methods = Counter(name for seen in crm.portal.requests[calls:] for name in seen.commands or (seen.method,))
    return methods, [(command.entity_type_id, command.params) for command in crm.adapter.asked[lists:]]


def comments(crm):
    """Of the table of smart processes' items, by column; "" for the table itself."""
    if crm.database.engine == "duckdb":
        return dict(
            crm.query(
                "select '', comment from duckdb_tables() where schema_name = '{}' and table_name = 'spa_items_177' union all "
                "select column_name, comment from duckdb_columns() where schema_name = '{}' and table_name = 'spa_items_177'"
            )
        )
    return dict(
        crm.query(
            "select '', obj_description('{}.spa_items_177'::regclass, 'pg_class') union all select attname, "
            "col_description(attrelid, attnum) from pg_attribute where attrelid = '{}.spa_items_177'::regclass and attnum > 0"
        )
    )


def test_every_table_says_what_it_is(crm):
    """Tables, those of lists too, and the columns of fields are described in dlt's schema."""
    tables = own_tables(crm)
    items = tables["spa_items_177"]

    assert [] == sorted(name for name, table in tables.items() if not table.get("description"))
    assert {"smart processes · Bitrix24"} == {tables["spa_types"]["description"]}
    assert items["description"].startswith(crm.portal.world.types[177]["title"])
    assert "TITLE, string" in items["columns"]["title"]["description"]
    assert tables["load_issues"]["columns"]["hint"]["description"].startswith("what may be done")
    assert [] == [
        f"{table}.{name}"
        for table, hints in tables.items()
        for name, column in hints["columns"].items()
        if not name.startswith("_") and name != "is_removed" and not column.get("description")
    ]


def test_tables_refer_to_those_that_are_loaded(crm):
    """References name tables and columns that the schema has, so that dlt joins by them and draws them.

    Parents of other types than the chosen one are columns, but no reference, as their tables are not loaded.
    """
    tables = own_tables(crm)
    found = {
        (name, *reference["columns"], reference["referenced_table"])
        for name, table in tables.items()
        for reference in table.get("references", ())
    }

    assert {
        ("deals", "company_id", "companies"),
        ("deals", "assigned_by_id", "users"),
        ("spa_items_177", "assigned_by_id", "users"),
        ("users__uf_department", "value", "departments"),
        ("spa_field_options", "entity_type_id", "upper_name", "spa_fields"),
        ("activity_bindings", "activity_id", "activities"),
    } <= found
    assert not any(place[0] == "load_issues" or place[-1] == "currencies" for place in found)
    for table in tables.values():
        for reference in table.get("references", ()):
            assert set(reference["columns"]) <= table["columns"].keys()
            assert set(reference["referenced_columns"]) <= tables[reference["referenced_table"]]["columns"].keys()
    joined = crm.pipeline.dataset().deals.join("companies")
    assert len(crm.rows("deals")) >= len(joined.fetchall()) > 0
    assert "spa_items_177" in crm.pipeline.default_schema.to_dot()


def test_a_renamed_field_changes_its_description_alone(crm):
    """No call more than in a quiet run, no column, no row written anew, and a comment of somebody else's stays.

    In quiet runs the words are the same: dlt has nothing to compare with the tables, and stores no version.
    """
    crm.query("comment on table {}.spa_items_177 is 'ours to keep'")
    crm.query("comment on column {}.spa_items_177.title is 'and this'")
    versions = crm.query("select count(*) from {}._dlt_version")
    quiet = asked_in_a_run(crm)
    commented, types, rows = comments(crm), crm.database.types(), crm.rows("spa_items_177")
    assert versions == crm.query("select count(*) from {}._dlt_version")
    assert ("ours to keep", "and this") == (commented[""], commented["title"])

    crm.portal.world.objects[177].schema.fields["title"].title = "Subject of it"
    assert quiet == asked_in_a_run(crm)

    described = own_tables(crm)["spa_items_177"]["columns"]["title"]["description"]
    assert described.startswith("Subject of it · Bitrix24 TITLE")
    assert commented == comments(crm)
    assert types == crm.database.types()
    assert rows == crm.rows("spa_items_177")
    run = crm.pipeline.last_trace
    assert [{}] == [package.schema_update for package in run.last_load_info.load_packages]
    assert "spa_fields" in run.last_normalize_info.row_counts
    assert "spa_items_177" not in run.last_normalize_info.row_counts


@pytest.mark.slow  # references of few tables; those of all are looked at above
def test_a_chosen_type_refers_to_loaded_tables_only(warehouse):
    """Parents of other types are columns, but no reference where their tables are not loaded."""
    crm = warehouse(Portal("demo", items=5, clock=Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))))
    crm.run("spa_items", "users", spa_types=[177])
    tables = own_tables(crm)
    referenced = {
        reference["referenced_table"] for table in tables.values() for reference in table.get("references", ())
    }

    assert "users" in referenced
    assert referenced <= tables.keys()


def test_a_table_of_many_batches_keeps_its_hints(warehouse, clock):
    """dlt is given them with the first rows only: keys, order and descriptions stay when later ones come without."""
    portal = Portal("empty", clock=clock)
    portal.add_type("Process", entity_type_id=177, items=6000, off=PLAIN)
    crm = warehouse(portal)
    crm.run("spa_items", select={177: ["title", "updatedTime"]})
    columns = own_tables(crm)["spa_items_177"]["columns"]

    assert len(crm.adapter.asked) > 100, "several batches of fifty pages"
    assert columns["id"]["primary_key"]
    assert columns["updated_time"]["dedup_sort"] == "desc"
    assert columns["title"]["description"]
    assert own_tables(crm)["spa_items_177"]["description"]

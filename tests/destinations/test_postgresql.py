"""PostgreSQL holds what DuckDB holds: the same tables, types and rows, whatever the values and however long the names."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import datetime, timezone

import pytest
from databases import ENGINES, POSTGRES, DuckDB, PostgreSQL

from bitrix24_source.sandbox import Clock, Portal

from .conftest import ITEMS, make_awkward_portal

NAMES = {"spa_fields": ("column_name", "child_table")}
"""where the two may differ: what is too long for PostgreSQL is shortened"""
PLACES = "select upper_name, column_name, child_table from {}.spa_fields where entity_type_id = 1038"


class Pair:
    """A portal that is loaded into both."""

    def __init__(self, portal, load, pipeline, folder):
        self.portal, self._load = portal, load
        folder.mkdir()
        self.databases = DuckDB(folder), PostgreSQL()
        self._pipelines = [pipeline(database.destination, database.dataset) for database in self.databases]

    def run(self, **arguments):
        for pipeline in self._pipelines:
            self._load(self.portal, pipeline, **arguments)

    def differences(self):
        return differences(*self.databases)


def differences(duck, postgres, chosen=None):
    """Tables, columns, types and rows that are not in both; of item tables with names that are short enough for both."""
    ours, theirs = duck.types(), postgres.types()
    short = [table for table in chosen or ours if table in theirs and not table.startswith("_dlt")]
    wrong = [
        f"{table}.{name}" for table in short for name, type_ in ours[table].items()
        if len(name) <= 63 and type_ != theirs[table].get(name)
    ]  # fmt: skip
    return wrong + [table for table in short if rows_of(duck, table, theirs) != rows_of(postgres, table, ours)]


def rows_of(database, table, columns):
    """How often each row is there; without names that differ, and what says when and by which load it came."""
    own = {"load_id", *NAMES.get(table, ()), *(("table_name", "column_name") if table == "rejected_values" else ())}
    names = sorted(name for name in database.columns(table) if name in columns[table] and name not in own)
    return Counter(tuple(map(comparable, row.values())) for row in database.rows(table, *names))


def comparable(value):
    """Objects of JSON have no order, and numbers with digits behind the point have one."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.dumps(json.loads(value), sort_keys=True)
        except ValueError:
            pass
    return value


@pytest.fixture(scope="module")
def pair(load, pipeline, tmp_path_factory, postgres_engine):
    """Makes pairs."""
    made = []

    def make(portal):
        made.append(Pair(portal, load, pipeline, tmp_path_factory.mktemp("pair") / "duckdb"))
        return made[-1]

    yield make
    for database in (database for both in made for database in both.databases):
        database.drop()


@pytest.fixture(scope="module")
def awkward(pair):
    """The portal with the awkward values and names, after one load into both."""
    both = pair(make_awkward_portal(Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))))
    both.run(resources=ITEMS)
    return both


def values_by_field(database):
    """What each field of the awkward type holds, wherever it is put."""
    held = {}
    for name, column, child in database.query(PLACES):
        if child:
            columns = database.columns(child)
            held[name] = columns, Counter(tuple(row.values()) for row in database.rows(child, *columns))
        elif column:
            held[name] = Counter(tuple(row.values()) for row in database.rows("spa_items_1038", "id", column))
    return held


def test_names_are_told_as_they_are(awkward):
    """spa_fields and rejected_values name tables and columns that exist, and no two fields the same one."""
    _, postgres = awkward.databases
    types = postgres.types()
    places = [
        (child or "spa_items_1038", column or "value") for _, column, child in postgres.query(PLACES) if column or child
    ]
    rejected = postgres.query("select distinct table_name, column_name from {}.rejected_values")

    assert [] == [place for place in [*places, *rejected] if place[1] not in types.get(place[0], {})]
    assert [] == [place for place, times in Counter(places).items() if times > 1]
    assert 63 == max(len(name) for table, columns in types.items() for name in (table, *columns))


def test_every_value_is_the_same_under_every_name(awkward):
    """Quotes, newlines, backslashes, the words NULL and \\N, NUL, extremes of numbers and dates; names of up to 100 letters.

    Through a first load, a merge that empties lists, and deletions that are marked.
    """
    portal, items = awkward.portal, awkward.portal.items(1038)
    ids = items.ids()

    def compare(marked):
        duck, postgres = map(values_by_field, awkward.databases)
        assert [] == [name for name in duck if duck[name] != postgres[name]]
        assert len(duck) > 60
        assert [] == awkward.differences()
        for database in awkward.databases:
            assert [(len(ids), marked)] == database.query("select count(*), count(deleted_at) from {}.spa_items_1038")

    compare(marked=0)
    for id_ in ids[:3]:
        items.delete(id_)
    lists = [name for name, field in portal.world.objects[1038].schema.fields.items() if field.multiple]
    items.update(ids[7], **{name: [] for name in lists})
    portal.clock.advance(3600)
    awkward.run(resources=["spa_items"], sweep=True)
    compare(marked=3)


def test_a_field_that_changed_its_type_under_a_long_name(clock, load, pipeline, postgres):
    """Its new values are in a column of their type, shortened like the old one, and no package is left that would block later runs."""
    portal = Portal(scenario="empty", clock=clock)
    portal.add_type("Process", entity_type_id=1038, items=5, off=("isClientEnabled", "isObserversEnabled"))
    tail = "ABCDEFGHIJ_" * 8
    loaded = pipeline(postgres.destination, postgres.dataset)
    name = portal.add_field(1038, tail, "string", "Text", pool=["a"])
    load(portal, loaded, resources=["spa_items"])
    portal.remove_field(1038, name)
    portal.add_field(1038, tail, "integer", "Number", pool=[7])
    clock.advance(3600)
    load(portal, loaded, resources=["spa_items"])

    assert not loaded.has_pending_data
    assert [] == postgres.query("select message from {}.load_issues")
    assert ["BIGINT", "VARCHAR"] == sorted(
        type_ for column, type_ in postgres.types()["spa_items_1038"].items() if column.startswith("uf_crm_")
    )


def test_the_believable_portal(whole_portal, postgres_engine):
    """All that a load brings by default, more than fifty tables, compared row by row."""
    both = [whole_portal(engine).database for engine in ENGINES]
    tables = whole_portal("duckdb").pipeline().default_schema.data_table_names()  # without views

    assert set(tables) - both[0].types().keys() == set(tables) - both[1].types().keys()
    assert len(tables) > 50
    assert [] == differences(*both, tables)


def test_views_say_the_same(whole_portal, postgres_engine):
    """Every labelled view of it, row by row."""
    duck, other = map(whole_portal, ENGINES)
    views = [table for table in duck.database.types() if table.endswith("_labeled")]
    assert len(views) > 10
    for view in views:
        ours, theirs = (house.ask(f'select * from "{view}" order by 1') for house in (duck, other))  # noqa: S608
        assert list(ours[0]) == list(theirs[0])
        assert [[_near(value) for value in row.values()] for row in ours] == [
            [_near(value) for value in row.values()] for row in theirs
        ]


def _near(value):
    """Doubles may differ in the last bit where a decimal became one."""
    return f"{value:.12g}" if isinstance(value, float) and math.isfinite(value) else value


def test_what_is_odd_of_the_odd_portal(clock, pair):
    """Items of smart processes with everything that is strange about values and names, row by row."""
    portal = Portal(scenario="hostile", items=470, clock=clock)
    both = pair(portal)
    both.run(resources=["spa_items"], spa_types=[177, 1034])

    assert both.databases[0].types().keys() == both.databases[1].types().keys()
    assert [] == both.differences()
    for type_ in (177, 1034):
        assert len(portal.items(type_).ids()) == len(both.databases[1].rows(f"spa_items_{type_}")) > 0


def test_the_command_loads_into_postgresql(postgres, monkeypatch):
    """`load --destination postgres` works with credentials from the environment."""
    from click.testing import CliRunner

    from bitrix24_source.app.cli import cli
    from bitrix24_source.sandbox import SandboxServer

    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", POSTGRES)
    portal = Portal(scenario="empty")
    portal.add_type("Process", entity_type_id=177, items=50, off=("isClientEnabled", "isObserversEnabled"))
    with SandboxServer(portal) as server:
        for key, value in server.credentials()["webhook"].items():
            monkeypatch.setenv(f"SOURCES__BITRIX24__CREDENTIALS__{key.upper()}", value)
        command = ["load", "--destination", "postgres", "--dataset", postgres.dataset, "--progress", "none"]
        command += ["--resource", "spa_items", "--no-views"]
        done = CliRunner().invoke(cli, command)

    assert 0 == done.exit_code, done.output
    assert 50 == len(postgres.rows("spa_items_177", "id"))

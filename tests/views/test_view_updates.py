"""Views stand beside loads, readers and other people's views, and none of them harms another."""

# ruff: noqa: S608 - our own names

from __future__ import annotations

import threading
from contextlib import contextmanager

import dlt
import psycopg2
import pytest
from databases import connect
from dlt.common.runtime.run_context import RunContext, switched_run_context

from bitrix24_source import create_views, drop_views
from bitrix24_source.sandbox import Clock, Portal
from bitrix24_source.views import database

from .conftest import NOON, SMART_PROCESSES, copy_of, make_requests_portal

TABLE = 177
VIEW = f"spa_items_{TABLE}_labeled"


def stand_on(warehouse, columns='"ID", "Stage"'):
    """Somebody's own view on top of ours."""
    warehouse.execute(f"CREATE VIEW own AS SELECT {columns} FROM {VIEW}")


def retitle(warehouse):
    """As after a load of a portal in which the items' title is called otherwise."""
    warehouse.execute("UPDATE spa_fields SET title = 'Subject', form_label = 'Subject' WHERE upper_name = 'TITLE'")


@pytest.fixture(scope="module")
def widened_once(loaded_once, tmp_path_factory):
    """What was loaded into PostgreSQL, after another load without views: a field and a smart process are new."""
    original, folder = loaded_once("postgres"), tmp_path_factory.mktemp("widened")
    portal = make_requests_portal(Clock(NOON))
    portal.clock.advance(3600)
    portal.items(TABLE).update(1, **{portal.add_field(TABLE, "NOTE", "string", "Note"): "new"})
    portal.add_type("Lots", entity_type_id=1030, items=1)
    with switched_run_context(RunContext(str(folder))):
        warehouse = copy_of(original, portal, folder)
        warehouse.run()
    yield warehouse
    warehouse.store.drop()


@pytest.fixture
def widened(widened_once, requests_portal, tmp_path):
    """A copy of that."""
    warehouse = copy_of(widened_once, requests_portal, tmp_path)
    yield warehouse
    warehouse.store.drop()


def rights_of(warehouse):
    """What was granted on the view, as PostgreSQL writes it."""
    return str(warehouse.execute(f"SELECT relacl FROM pg_class WHERE oid = to_regclass('{VIEW}')"))


def problems_of(problems):
    return [(problem.where, bool(problem.what), bool(problem.hint)) for problem in problems]


@pytest.mark.parametrize("kind", ["postgres", pytest.param("duckdb", marks=pytest.mark.slow)])
@pytest.mark.parametrize("strategy", ["truncate-and-insert", "insert-from-staging"])
def test_catalogues_are_replaced_under_the_views(copy_in, monkeypatch, kind, strategy):
    """Both of dlt's ways to replace rows leave the tables where views see them; those of DuckDB are seen by name alone."""
    warehouse = copy_in(kind)
    monkeypatch.setenv("DESTINATION__REPLACE_STRATEGY", strategy)
    stage = warehouse.view()[0]["Stage ID"]
    warehouse.portal.rename_stage(stage, "Fresh")
    warehouse.run("spa_stages")

    assert "Fresh" == warehouse.view()[0]["Stage"]


def test_tables_that_are_swapped_need_the_views_gone(in_postgres, monkeypatch):
    """`staging-optimized` drops PostgreSQL's tables: it works where the views go first and come back after."""
    monkeypatch.setenv("DESTINATION__REPLACE_STRATEGY", "staging-optimized")
    assert [] == drop_views(in_postgres.pipeline)
    in_postgres.load("spa_stages")

    assert 6 == len(in_postgres.view())


def test_a_new_title_alone_renames_its_column(loaded_warehouse):
    """A view is made anew where tables are the same and the catalogue is not."""
    retitle(loaded_warehouse)
    assert [] == create_views(loaded_warehouse.pipeline)

    assert "Requests #1" == loaded_warehouse.view()[0]["Subject"]


def test_a_full_refresh_drops_and_brings_back_the_views(loaded_warehouse):
    """Views are dropped before the tables, and made anew over what the refresh has loaded."""
    loaded_warehouse.items.update(1, title="changed")
    refresh(loaded_warehouse)

    assert ["changed", "Requests #2"] == [row["Name"] for row in loaded_warehouse.view()[:2]]


@pytest.mark.parametrize("kind", ["postgres", pytest.param("duckdb", marks=pytest.mark.slow)])
def test_a_full_refresh_beside_somebodys_own_view(copy_in, kind):
    """A view that others stand on lets go of its tables, and they see the rows again after the refresh."""
    warehouse = copy_in(kind)
    stand_on(warehouse)
    before = warehouse.execute("SELECT * FROM own ORDER BY 1")
    refresh(warehouse)

    assert before == warehouse.execute("SELECT * FROM own ORDER BY 1")
    assert 6 == len(before)


def refresh(warehouse):
    """As `bitrix24 load --full-refresh` does it."""
    assert [] == drop_views(warehouse.pipeline)
    warehouse.pipeline.run(warehouse.source("spa_fields", "spa_items"), refresh="drop_resources")
    assert [] == create_views(warehouse.pipeline)


def test_new_fields_reach_a_view_that_others_stand_on(widened):
    """A custom field is a new last column, which PostgreSQL adds in place; what was granted stays."""
    stand_on(widened)
    widened.execute(f"GRANT SELECT ON {VIEW} TO PUBLIC")
    assert [] == create_views(widened.pipeline)

    assert "new" == widened.view()[0]["Note"]
    assert 6 == len(widened.execute("SELECT * FROM own"))
    assert "=r/" in rights_of(widened)


def test_a_view_that_cannot_be_changed_stays(widened):
    """Where somebody's view forbids a renamed column, ours keeps its old one, and the next step is told; the rest goes on."""
    stand_on(widened, '"ID", "Name"')
    retitle(widened)
    problems = create_views(widened.pipeline)
    again = create_views(widened.pipeline)

    assert [(f"view {VIEW}", True, True)] == problems_of(problems) == problems_of(again)
    assert "other objects depend on it" in problems[0].what
    assert "Requests #1" == widened.view()[0]["Name"]
    assert 1 == len(widened.view("spa_items_1030_labeled"))

    widened.execute("DROP VIEW own")
    assert [] == create_views(widened.pipeline)
    assert "Requests #1" == widened.view()[0]["Subject"]


def test_an_emptied_view_says_so(in_postgres):
    """Emptied for a refresh and not to be filled again since columns changed: the problem names it, as long as it is true."""
    stand_on(in_postgres, '"ID", "Name"')
    drop_views(in_postgres.pipeline)
    retitle(in_postgres)
    (problem,) = create_views(in_postgres.pipeline)

    assert "no rows" in problem.hint
    assert [] == in_postgres.view()


@contextmanager
def reading(warehouse):
    """A dashboard that reads the view, and has not finished."""
    connection = psycopg2.connect(warehouse.store.address)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {warehouse.pipeline.dataset_name}.{VIEW}")
    yield connection
    connection.close()


def close_too_late(reader, warehouse):
    """Ends the reading when somebody has waited for the view for more than half a second."""
    asked, parts = connect(warehouse.store.address), f"pg_locks WHERE NOT granted AND relation = 'crm.{VIEW}'::regclass"
    with asked.cursor() as cursor:
        waiting = 0
        while not waiting:
            cursor.execute(f"SELECT count(*), pg_sleep(0.02) FROM {parts}")
            waiting = cursor.fetchone()[0]
        cursor.execute("SELECT pg_sleep(0.6)")
    asked.close()
    reader.close()


def test_a_view_that_is_the_same_is_left_alone(in_postgres, monkeypatch):
    """A reader who takes long holds up nothing, because nothing is done to a view that would say the same."""
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.05)
    with reading(in_postgres):
        assert [] == create_views(in_postgres.pipeline)


def test_a_view_does_not_wait_for_its_readers(widened, monkeypatch):
    """A view that must change waits for seconds and not for ever, and changes with the next load."""
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.05)
    with reading(widened):
        (problem,) = create_views(widened.pipeline)

    assert "lock timeout" in problem.what
    assert [] == create_views(widened.pipeline)
    assert "Note" in widened.view()[0]


def test_a_reader_does_not_cost_a_view_its_rights(widened, monkeypatch):
    """A view that is read too long is not dropped as soon as it is free: it stays, with its rights, for the next load."""
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.5)
    widened.execute(f"GRANT SELECT ON {VIEW} TO PUBLIC")
    with reading(widened) as reader:
        threading.Thread(target=close_too_late, args=(reader, widened)).start()
        problems = create_views(widened.pipeline)

    assert [(f"view {VIEW}", True, True)] == problems_of(problems)
    assert "=r/" in rights_of(widened)
    assert [] == create_views(widened.pipeline)
    assert "=r/" in rights_of(widened)
    assert "Note" in widened.view()[0]


def test_a_new_machine_drops_views_too(loaded_warehouse):
    """Without its working folder a pipeline learns from the destination which views there are."""
    loaded_warehouse.pipeline.drop()
    assert [] == drop_views(loaded_warehouse.pipeline)
    assert VIEW not in loaded_warehouse.store.types()
    assert [] == create_views(loaded_warehouse.pipeline)

    assert 6 == len(loaded_warehouse.view())


@pytest.mark.parametrize("kind", ["duckdb", pytest.param("postgres", marks=pytest.mark.slow)])
def test_other_sources_of_the_pipeline_are_none_of_ours(copy_in, kind):
    """A table of the same name from elsewhere, under another schema, gets no view."""
    loaded_warehouse = copy_in(kind)
    foreign = dlt.source(lambda: [dlt.resource([{"id": 1}], name="deals")], name="elsewhere")
    loaded_warehouse.pipeline.run(foreign())
    assert [] == create_views(loaded_warehouse.pipeline)

    with pytest.raises(Exception, match="deals_labeled"):
        loaded_warehouse.view("deals_labeled")


def test_hostile_portals_have_views_for_their_tables(warehouse_in, clock):
    """A portal in which everything is odd: each item table has a view in which all of its values can be read."""
    portal = Portal(scenario="hostile", items=440, clock=clock)
    for number in range(1078, 1156, 2):  # which are there to be many
        portal.delete_type(number)
    fields = portal.world.objects[1030].schema.fields
    lists = [name for name in fields if fields[name].multiple and fields[name].user_field]
    for name in lists[5:]:  # each of them is a table
        portal.remove_field(1030, name)
    for number in (1030, 1032):
        portal.switch_feature(number, "isClientEnabled", on=False)
    warehouse = warehouse_in("postgres", portal)
    warehouse.load(*SMART_PROCESSES, "currencies", spa_types=[177, 1030, 1032])  # which have all of the items
    tables = [
        name for name in warehouse.pipeline.default_schema.tables if name.startswith("spa_items_") and "__" not in name
    ]
    counts = {table: warehouse.execute(f"SELECT count(*) FROM {table}")[0][0] for table in tables}

    assert [6, 30, 120] == sorted(counts.values())
    assert counts == {table: len(warehouse.execute(f"SELECT * FROM {table}_labeled")) for table in tables}

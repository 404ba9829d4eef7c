"""Views stand beside loads, readers and other people's views, and none of them harms another."""

# ruff: noqa: S608 - our own names

from __future__ import annotations

import threading
from contextlib import contextmanager

import dlt
import psycopg2
import pytest

from bitrix24_source import create_views, drop_views
from bitrix24_source.sandbox import Portal
from bitrix24_source.views import database

TABLE = 177
VIEW = f"spa_items_{TABLE}_labeled"


def stand_on(warehouse, columns='"ID", "Stage"'):
    """Somebody's own view on top of ours."""
    warehouse.execute(f"CREATE VIEW own AS SELECT {columns} FROM {VIEW}")


def retitle(portal, name, title):
    field = portal.world.objects[TABLE].schema.fields[name]
    field.title = title
    field.extra = {
        **field.extra,
        **dict.fromkeys(field.extra.keys() & {"formLabel", "listLabel", "filterLabel"}, title),
    }


def rights_of(warehouse):
    """What was granted on the view, as PostgreSQL writes it."""
    return str(warehouse.execute(f"SELECT relacl FROM pg_class WHERE oid = to_regclass('{VIEW}')"))


def problems_of(problems):
    return [(problem.where, bool(problem.what), bool(problem.hint)) for problem in problems]


def test_loads_go_on_while_views_exist(loaded_warehouse):
    """Changes, new columns, new lists and marks of deletion reach the tables, and the view has them at once or after the load."""
    loaded_warehouse.portal.clock.advance(3600)
    name = loaded_warehouse.portal.add_field(TABLE, "NOTE", "string", "Note")
    tags = loaded_warehouse.portal.add_field(TABLE, "TAGS", "string", "Tags", multiple=True)
    loaded_warehouse.items.update(1, title="changed", **{name: "new", tags: ["a", "b"]})
    loaded_warehouse.items.delete(2)
    loaded_warehouse.load(sweep=True)
    rows = loaded_warehouse.view()

    assert ("changed", "new", "a, b") == (rows[0]["Name"], rows[0]["Note"], rows[0]["Tags"])
    assert [1, 3, 4, 5, 6] == [row["ID"] for row in rows]


@pytest.mark.parametrize("strategy", ["truncate-and-insert", "insert-from-staging"])
def test_catalogues_are_replaced_under_the_views(loaded_warehouse, monkeypatch, strategy):
    """Both of dlt's ways to replace rows leave the tables where views see them."""
    monkeypatch.setenv("DESTINATION__REPLACE_STRATEGY", strategy)
    loaded_warehouse.portal.rename_stage("DT177_60:NEW", "Fresh")
    loaded_warehouse.items.update(1, stageId="DT177_60:NEW")
    loaded_warehouse.load()

    assert "Fresh" == loaded_warehouse.view()[0]["Stage"]


def test_tables_that_are_swapped_need_the_views_gone(in_postgres, monkeypatch):
    """`staging-optimized` drops PostgreSQL's tables: it works where the views go first and come back after."""
    monkeypatch.setenv("DESTINATION__REPLACE_STRATEGY", "staging-optimized")
    assert [] == drop_views(in_postgres.pipeline)
    in_postgres.load()

    assert 6 == len(in_postgres.view())


def test_a_full_refresh_drops_and_brings_back_the_views(loaded_warehouse):
    """Views are dropped before the tables, and made anew over what the refresh has loaded."""
    retitle(loaded_warehouse.portal, "title", "Subject")
    assert [] == drop_views(loaded_warehouse.pipeline)
    loaded_warehouse.pipeline.run(loaded_warehouse.source(), refresh="drop_resources")
    assert [] == create_views(loaded_warehouse.pipeline)

    assert ["Requests #1", "Requests #2"] == [row["Subject"] for row in loaded_warehouse.view()[:2]]


def test_a_full_refresh_beside_somebodys_own_view(loaded_warehouse):
    """A view that others stand on lets go of its tables, and they see the rows again after the refresh."""
    stand_on(loaded_warehouse)
    before = loaded_warehouse.execute("SELECT * FROM own ORDER BY 1")
    assert [] == drop_views(loaded_warehouse.pipeline)
    loaded_warehouse.pipeline.run(loaded_warehouse.source(), refresh="drop_resources")
    assert [] == create_views(loaded_warehouse.pipeline)

    assert before == loaded_warehouse.execute("SELECT * FROM own ORDER BY 1")
    assert 6 == len(before)


def test_new_fields_reach_a_view_that_others_stand_on(in_postgres):
    """A custom field is a new last column, which PostgreSQL adds in place."""
    stand_on(in_postgres)
    name = in_postgres.portal.add_field(TABLE, "NOTE", "string", "Note")
    in_postgres.items.update(1, **{name: "new"})
    in_postgres.load()

    assert "new" == in_postgres.view()[0]["Note"]
    assert 6 == len(in_postgres.execute("SELECT * FROM own"))


def test_a_view_that_cannot_be_changed_stays(in_postgres):
    """Where somebody's view forbids a renamed column, ours keeps its old one, and the next step is told; the rest goes on."""
    stand_on(in_postgres, '"ID", "Name"')
    in_postgres.portal.add_type("Lots", entity_type_id=1030, items=1)
    retitle(in_postgres.portal, "title", "Subject")
    in_postgres.run()
    problems = create_views(in_postgres.pipeline)
    again = create_views(in_postgres.pipeline)

    assert [(f"view {VIEW}", True, True)] == problems_of(problems) == problems_of(again)
    assert "other objects depend on it" in problems[0].what
    assert "Requests #1" == in_postgres.view()[0]["Name"]
    assert 1 == len(in_postgres.view("spa_items_1030_labeled"))

    in_postgres.execute("DROP VIEW own")
    assert [] == create_views(in_postgres.pipeline)
    assert "Requests #1" == in_postgres.view()[0]["Subject"]


def test_an_emptied_view_says_so(in_postgres):
    """Emptied for a refresh and not to be filled again since columns changed: the problem names it, as long as it is true."""
    stand_on(in_postgres, '"ID", "Name"')
    drop_views(in_postgres.pipeline)
    retitle(in_postgres.portal, "title", "Subject")
    in_postgres.run()
    (problem,) = create_views(in_postgres.pipeline)

    assert "no rows" in problem.hint
    assert [] == in_postgres.view()


def test_rights_outlive_a_changed_view(in_postgres):
    """A column that is added keeps what was granted."""
    in_postgres.execute(f"GRANT SELECT ON {VIEW} TO PUBLIC")
    in_postgres.portal.add_field(TABLE, "NOTE", "string", "Note")
    in_postgres.load()

    assert "=r/" in rights_of(in_postgres)


@contextmanager
def reading(warehouse):
    """A dashboard that reads the view, and has not finished."""
    connection = psycopg2.connect(warehouse.store.address)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {warehouse.pipeline.dataset_name}.{VIEW}")
    yield connection
    connection.close()


def test_a_view_that_is_the_same_is_left_alone(in_postgres, monkeypatch):
    """A reader who takes long holds up nothing, because nothing is done to a view that would say the same."""
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.05)
    with reading(in_postgres):
        assert [] == create_views(in_postgres.pipeline)


def test_a_view_does_not_wait_for_its_readers(in_postgres, monkeypatch):
    """A view that must change waits for seconds and not for ever, and changes with the next load."""
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.05)
    in_postgres.portal.add_field(TABLE, "NOTE", "string", "Note")
    in_postgres.run()
    with reading(in_postgres):
        (problem,) = create_views(in_postgres.pipeline)

    assert "lock timeout" in problem.what
    assert [] == create_views(in_postgres.pipeline)
    assert "Note" in in_postgres.view()[0]


def test_a_reader_does_not_cost_a_view_its_rights(in_postgres, monkeypatch):
    """A view that is read too long is not dropped as soon as it is free: it stays, with its rights, for the next load."""
    monkeypatch.setattr(database, "LOCK_SECONDS", 1)
    in_postgres.execute(f"GRANT SELECT ON {VIEW} TO PUBLIC")
    in_postgres.portal.add_field(TABLE, "NOTE", "string", "Note")
    in_postgres.run()
    with reading(in_postgres) as reader:
        threading.Timer(1.5, reader.close).start()
        problems = create_views(in_postgres.pipeline)

    assert [(f"view {VIEW}", True, True)] == problems_of(problems)
    assert "=r/" in rights_of(in_postgres)
    assert [] == create_views(in_postgres.pipeline)
    assert "=r/" in rights_of(in_postgres)
    assert "Note" in in_postgres.view()[0]


def test_a_new_machine_drops_views_too(loaded_warehouse, tmp_path):
    """Without its working folder a pipeline learns from the destination which views there are."""
    loaded_warehouse.pipeline.drop()
    assert [] == drop_views(loaded_warehouse.pipeline)
    loaded_warehouse.pipeline.run(loaded_warehouse.source(), refresh="drop_resources")
    assert [] == create_views(loaded_warehouse.pipeline)

    assert 6 == len(loaded_warehouse.view())


def test_other_sources_of_the_pipeline_are_none_of_ours(loaded_warehouse):
    """A table of the same name from elsewhere, under another schema, gets no view."""
    foreign = dlt.source(lambda: [dlt.resource([{"id": 1}], name="deals")], name="elsewhere")
    loaded_warehouse.pipeline.run(foreign())
    assert [] == create_views(loaded_warehouse.pipeline)

    with pytest.raises(Exception, match="deals_labeled"):
        loaded_warehouse.view("deals_labeled")


def test_hostile_portals_have_views_for_their_tables(warehouse_in, clock):
    """A portal in which everything is odd: each item table has a view in which all of its values can be read."""
    warehouse = warehouse_in("postgres", Portal(scenario="hostile", items=100, clock=clock))
    warehouse.load_rows(
        currencies=[{"currency": code, "amount_cnt": 1, "amount": 90} for code in ("RUB", "EUR", "USD")]
    )
    types = [
        row["entityTypeId"]
        for row in warehouse.portal.types()
        if row["entityTypeId"] not in warehouse.portal.world.denied
    ]
    warehouse.load(spa_types=types[::8])  # all of them take a minute, and say no more
    tables = [
        name for name in warehouse.pipeline.default_schema.tables if name.startswith("spa_items_") and "__" not in name
    ]
    counts = {table: warehouse.execute(f"SELECT count(*) FROM {table}")[0][0] for table in tables}

    assert len(tables) == len(types[::8])
    assert counts == {table: len(warehouse.execute(f"SELECT * FROM {table}_labeled")) for table in tables}

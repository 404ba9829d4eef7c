"""The facts that the marts on stages stand on are kept equal to the loaded tables, whatever happened in between."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

from collections import Counter

import pytest

from bitrix24_source import create_views
from bitrix24_source.views.database import ViewDatabase
from bitrix24_source.views.facts import MOST_ITEMS
from bitrix24_source.views.marts import MartBuilder, Zone

pytestmark = pytest.mark.all_databases

CHANGES = {
    "nothing": "SELECT 1",
    "a move": "INSERT INTO {}.stage_history (id, entity_type_id, type_id, owner_id, created_time, category_id, stage_id, "
    "stage_semantic_id) SELECT 900001, 2, 2, MIN(owner_id), '2025-06-30 22:30:00+00', 0, 'WON', 'S' FROM {}.stage_history "
    "WHERE entity_type_id = 2",
    "a move that is taken out": "DELETE FROM {}.stage_history WHERE id = 900001",
    "a move at another time": "UPDATE {}.stage_history SET created_time = '2024-02-29 21:30:00+00' WHERE entity_type_id = 177 "
    "AND owner_id = (SELECT MIN(owner_id) FROM {}.stage_history WHERE entity_type_id = 177)",
    "an item that is gone": "UPDATE {}.deals SET deleted_at = '2025-06-30 22:30:00+00' WHERE id <= 20",
    "an item that is back": "UPDATE {}.deals SET deleted_at = NULL WHERE id <= 20",
    "another amount": "UPDATE {}.deals SET opportunity = 123456.789 WHERE id = 30",
    "another rate": "UPDATE {}.currencies SET amount = amount * 2 WHERE currency = 'USD'",
    "another zone": "UPDATE {}.portal SET utc_offset_minutes = 600, zone = '+10:00'",
}


@pytest.fixture(scope="module")
def loaded(own_portal):
    """A portal of its own: its tables are changed under the marts."""
    return own_portal


def in_full(pipeline, mart):
    """The mart's rows as the loaded tables alone give them."""
    with pipeline.destination_client("bitrix24") as client:
        database = ViewDatabase(client)
        zone = Zone.of(*database.read("portal", ("zone", "utc_offset_minutes"))[0].values())
        return Counter(database.rows(MartBuilder(database.stored, zone).query(mart)))


def kept(loaded, mart):
    """The mart's rows as a reader sees them."""
    return Counter(loaded.database.query(f"SELECT * FROM {{}}.{mart}"))


@pytest.mark.parametrize("change", CHANGES)
def test_facts_follow_the_tables(loaded, change):
    """After each kind of change the next views say what the loaded tables say, row by row."""
    pipeline = loaded.pipeline()
    loaded.database.query(CHANGES[change])

    assert [] == create_views(pipeline)
    for mart in ("mart_stage_moves", "mart_stage_daily"):
        assert rounded(in_full(pipeline, mart)) == rounded(kept(loaded, mart))


def rounded(rows):
    """Amounts to the cent, days to the second."""
    return Counter(
        tuple(round(value, 5) if isinstance(value, float) else value for value in row) for row in rows.elements()
    )


def test_a_table_of_another_shape_is_made_anew(loaded):
    """Facts that another release kept, in other columns, are in nobody's way."""
    cascade = " CASCADE" if loaded.database.engine == "postgres" else ""
    loaded.database.query(f"DROP TABLE {{}}._mart_stage_daily{cascade}")
    loaded.database.query("CREATE TABLE {}._mart_stage_daily AS SELECT 1 AS id")
    pipeline = loaded.pipeline()

    assert [] == create_views(pipeline)
    assert rounded(in_full(pipeline, "mart_stage_daily")) == rounded(kept(loaded, "mart_stage_daily"))


def test_many_changes_are_one(loaded, monkeypatch):
    """Where more items changed than are listed one by one, all are written anew."""
    assert MOST_ITEMS > 1000
    monkeypatch.setattr("bitrix24_source.views.facts.MOST_ITEMS", 2)
    loaded.database.query("UPDATE {}.deals SET opportunity = 5")
    pipeline = loaded.pipeline()

    assert [] == create_views(pipeline)
    assert rounded(in_full(pipeline, "mart_stage_daily")) == rounded(kept(loaded, "mart_stage_daily"))


def test_a_stage_is_one_in_whatever_letters(loaded):
    """A portal that writes a code now in small letters and now in capitals has as many stages, days and figures as before."""
    pipeline = loaded.pipeline()
    marts = ("mart_stage_moves", "mart_stage_daily", "mart_items")
    assert [] == create_views(pipeline)
    before = {mart: rounded(kept(loaded, mart)) for mart in marts}
    for table, key in (("stage_history", "owner_id"), ("deals", "id"), ("spa_items_177", "id")):
        loaded.database.query(f"UPDATE {{}}.{table} SET stage_id = LOWER(stage_id) WHERE {key} % 2 = 0")
    cascade = " CASCADE" if loaded.database.engine == "postgres" else ""
    loaded.database.query(f"DROP TABLE {{}}._mart_stage_moves{cascade}")

    assert [] == create_views(pipeline)
    assert before == {mart: rounded(kept(loaded, mart)) for mart in marts}


def test_no_history_is_no_rows(loaded):
    """Where the stage history has been emptied, its marts are empty as well."""
    pipeline = loaded.pipeline()
    loaded.database.query("DELETE FROM {}.stage_history")

    assert [] == create_views(pipeline)
    assert not kept(loaded, "mart_stage_moves")
    assert not kept(loaded, "mart_stage_daily")

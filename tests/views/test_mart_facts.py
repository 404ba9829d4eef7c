"""The facts that the marts on stages stand on are kept equal to the loaded tables, whatever happened in between."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager

import pytest

from bitrix24_source import create_views
from bitrix24_source.views.database import ViewDatabase
from bitrix24_source.views.facts import MOST_ITEMS, refresh_facts
from bitrix24_source.views.marts import FACTS, MartBuilder, Zone

pytestmark = pytest.mark.all_databases

FIRST, LAST = (f"(SELECT {edge}(id) FROM {{}}.stage_history WHERE entity_type_id = 2)" for edge in ("MIN", "MAX"))

CHANGES = {
    "a move": "INSERT INTO {}.stage_history (id, entity_type_id, type_id, owner_id, created_time, category_id, stage_id, "
    "stage_semantic_id) SELECT 900001, 2, 2, MIN(owner_id), '2025-06-30 22:30:00+00', 0, 'WON', 'S' FROM {}.stage_history "
    "WHERE entity_type_id = 2",
    "a move that is taken out": "DELETE FROM {}.stage_history WHERE id = 900001",
    "a move at another time": "UPDATE {}.stage_history SET created_time = '2024-02-29 21:30:00+00' WHERE entity_type_id = 177 "
    "AND owner_id = (SELECT MIN(owner_id) FROM {}.stage_history WHERE entity_type_id = 177)",
    "an item that is gone": "UPDATE {}.deals SET deleted_at = '2025-06-30 22:30:00+00' WHERE id <= 20",
    "an item that is back": "UPDATE {}.deals SET deleted_at = NULL WHERE id <= 20",
    "another amount": "UPDATE {}.deals SET opportunity = 123456.789 WHERE id = 30",
    "another currency": "UPDATE {}.deals SET currency_id = 'USD' WHERE id > 40",
    "another rate": "UPDATE {}.currencies SET amount = amount * 2 WHERE currency = 'USD'",
    "another zone": "UPDATE {}.portal SET utc_offset_minutes = 600, zone = '+10:00'",
    "a zone with nearly the same days": "UPDATE {}.portal SET utc_offset_minutes = 570, zone = '+09:30'",
    "another stage, as long": "UPDATE {}.stage_history SET stage_id = REVERSE(stage_id) WHERE id = " + FIRST,
    "another meaning": "UPDATE {}.stage_history SET stage_semantic_id = 'F' WHERE id = " + FIRST,
    "a move of another item": "UPDATE {}.stage_history SET owner_id = owner_id + 1 WHERE id = " + FIRST,
    "two moves that have each other's time": "UPDATE {}.stage_history AS h SET created_time = o.created_time FROM "
    f"{{}}.stage_history AS o WHERE h.id <> o.id AND h.id IN ({FIRST}, {LAST}) AND o.id IN ({FIRST}, {LAST})",
    "a move with an id that weighs nothing by itself": "UPDATE {}.stage_history SET id = 1000003 WHERE id = " + LAST,
    "that move at another time": "UPDATE {}.stage_history SET created_time = created_time + INTERVAL '3 hours' WHERE id = 1000003",
    "a type without moves": "DELETE FROM {}.stage_history WHERE entity_type_id = 31",
    "a directory that spells a stage otherwise": "UPDATE {}.stages SET status_id = LOWER(status_id) WHERE entity_type_id = 2",
    "stays of which some were deleted": "DELETE FROM {}._mart_stage_moves WHERE item_id % 7 = 0",
    "stays that are there twice": "INSERT INTO {}._mart_stage_moves SELECT * FROM {}._mart_stage_moves WHERE item_id = 30",
    "stays of items that never were": "UPDATE {}._mart_stage_moves SET item_id = item_id + 100000 WHERE entity_type_id = 177",
    "stays without an amount": "UPDATE {}._mart_stage_moves SET amount = NULL WHERE item_id = 30",
    "stays with another amount": "UPDATE {}._mart_stage_moves SET amount = amount + 1 WHERE item_id = 30",
    "no stays": "DELETE FROM {}._mart_stage_moves",
    "days of which some were deleted": "DELETE FROM {}._mart_stage_daily WHERE day = (SELECT MIN(day) FROM {}._mart_stage_daily)",
    "days on which more happened": "UPDATE {}._mart_stage_daily SET items = items + 1 WHERE entity_type_id = 177",
    "days with another amount": "UPDATE {}._mart_stage_daily SET amount = amount + 1 WHERE entity_type_id = 177",
    "other days": "UPDATE {}._mart_stage_daily SET day = '1999-12-31' WHERE day = (SELECT MAX(day) FROM {}._mart_stage_daily)",
    "no days": "DELETE FROM {}._mart_stage_daily",
    "stays and days as of long ago": "DELETE FROM {}._mart_stage_moves WHERE entered_date > '2025-01-31'; "
    "DELETE FROM {}._mart_stage_daily WHERE day > '2025-01-31'",
}
"""in the loaded tables, and by hand in those of the facts, one upon the other"""


@pytest.fixture(scope="module")
def loaded(own_portal):
    """A portal of its own: its tables are changed under the marts."""
    return own_portal


@contextmanager
def views_of(loaded):
    """The dataset as the views' own code sees it, and the portal's zone."""
    with loaded.pipeline().destination_client("bitrix24") as client:
        database = ViewDatabase(client)
        yield database, Zone.of(*database.read("portal", ("zone", "utc_offset_minutes"))[0].values())


def in_full(loaded, mart):
    """The mart's rows as the loaded tables alone give them."""
    with views_of(loaded) as (database, zone):
        return rounded(database.rows(MartBuilder(database.stored, zone).query(mart)))


def kept(loaded, mart):
    """The mart's rows as a reader sees them."""
    return rounded(loaded.database.query(f"SELECT * FROM {{}}.{mart}"))


def rounded(rows):
    """Amounts to the cent, days to the second."""
    return Counter(tuple(round(value, 5) if isinstance(value, float) else value for value in row) for row in rows)


def wrong_facts(database, zone, right=None):
    """The tables of facts whose rows are not those that the loaded tables give, which are found out where they are not passed."""
    right, kept = right or right_facts(database, zone), MartBuilder(database.stored, zone, has_facts=True)
    return [relation for relation in FACTS if right[relation] != Counter(database.rows(kept._relation(relation)))]


def right_facts(database, zone):
    """By relation, the rows that the loaded tables give."""
    builder = MartBuilder(database.stored, zone)
    return {relation: Counter(database.rows(builder.facts(relation))) for relation in FACTS}


@pytest.mark.parametrize("change", CHANGES)
def test_facts_follow_the_tables(loaded, change, monkeypatch):
    """Each kind of change or damage makes facts wrong, and the next views make them right, row by row."""
    monkeypatch.setattr("bitrix24_source.views.facts.WIDTH", 7)
    for statement in CHANGES[change].split("; "):
        loaded.database.query(statement)
    with views_of(loaded) as (database, zone):
        right = right_facts(database, zone)
        assert wrong_facts(database, zone, right)
        refresh_facts(database, zone)
        assert [] == wrong_facts(database, zone, right)


def test_marts_say_the_same_without_facts(loaded):
    """What a reader sees by way of the facts is what the loaded tables alone give, row by row."""
    assert [] == create_views(loaded.pipeline())
    for mart in ("mart_stage_moves", "mart_stage_daily"):
        assert in_full(loaded, mart) == kept(loaded, mart)


def test_only_what_differs_is_written(loaded, monkeypatch):
    """Stays of other items, and days of other types, are left where they are; nothing is written where nothing differs."""
    monkeypatch.setattr("bitrix24_source.views.facts.WIDTH", 7)
    pipeline = loaded.pipeline()
    assert [] == create_views(pipeline)
    place = "ctid" if loaded.database.engine == "postgres" else "rowid"
    stays = f"SELECT {place}, entity_type_id, item_id FROM {{}}._mart_stage_moves"
    days = f"SELECT {place}, entity_type_id FROM {{}}._mart_stage_daily"
    before = [set(loaded.database.query(sql)) for sql in (stays, days)]
    loaded.database.query("UPDATE {}.deals SET opportunity = 4711 WHERE id = 40")

    assert [] == create_views(pipeline)
    after = [set(loaded.database.query(sql)) for sql in (stays, days)]
    assert {(2, 40)} == {tuple(row[1:]) for row in before[0] - after[0]}
    assert {(2,)} == {tuple(row[1:]) for row in before[1] - after[1]}
    assert [] == create_views(pipeline)
    assert after == [set(loaded.database.query(sql)) for sql in (stays, days)]


def test_a_table_of_another_shape_is_made_anew(loaded):
    """Facts that another release kept, in other columns, are in nobody's way."""
    cascade = " CASCADE" if loaded.database.engine == "postgres" else ""
    loaded.database.query(f"DROP TABLE {{}}._mart_stage_daily{cascade}")
    loaded.database.query("CREATE TABLE {}._mart_stage_daily AS SELECT 1 AS id")
    pipeline = loaded.pipeline()

    assert [] == create_views(pipeline)
    assert in_full(loaded, "mart_stage_daily") == kept(loaded, "mart_stage_daily")


def test_many_changes_are_one(loaded, monkeypatch):
    """Where more items changed than are listed one by one, all are written anew."""
    assert MOST_ITEMS > 1000
    monkeypatch.setattr("bitrix24_source.views.facts.MOST_ITEMS", 2)
    loaded.database.query("UPDATE {}.deals SET opportunity = 5")
    pipeline = loaded.pipeline()

    assert [] == create_views(pipeline)
    assert in_full(loaded, "mart_stage_daily") == kept(loaded, "mart_stage_daily")


def test_a_stage_is_one_in_whatever_letters(loaded):
    """A portal that writes a code now in small letters and now in capitals has as many stages, days and figures as before."""
    pipeline = loaded.pipeline()
    marts = ("mart_stage_moves", "mart_stage_daily", "mart_items")
    assert [] == create_views(pipeline)
    before = {mart: kept(loaded, mart) for mart in marts}
    for table, key in (("stage_history", "owner_id"), ("deals", "id"), ("spa_items_177", "id")):
        loaded.database.query(f"UPDATE {{}}.{table} SET stage_id = LOWER(stage_id) WHERE {key} % 2 = 0")
    cascade = " CASCADE" if loaded.database.engine == "postgres" else ""
    loaded.database.query(f"DROP TABLE {{}}._mart_stage_moves{cascade}")

    assert [] == create_views(pipeline)
    assert before == {mart: kept(loaded, mart) for mart in marts}


def test_no_history_is_no_rows(loaded):
    """Where the stage history has been emptied, its marts are empty as well."""
    pipeline = loaded.pipeline()
    loaded.database.query("DELETE FROM {}.stage_history")

    assert [] == create_views(pipeline)
    assert not kept(loaded, "mart_stage_moves")
    assert not kept(loaded, "mart_stage_daily")

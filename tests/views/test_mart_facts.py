"""The facts that the marts on stages stand on are kept equal to the loaded tables, whatever happened in between."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

from typing import NamedTuple

import pytest
from dlt.common.runtime.run_context import RunContext, switched_run_context

from bitrix24_source import create_views
from bitrix24_source.views.database import ViewDatabase
from bitrix24_source.views.facts import MOST_ITEMS, refresh_facts
from bitrix24_source.views.marts import FACT_COLUMNS, FACTS, MartBuilder, Zone

pytestmark = pytest.mark.all_databases

WIDTH = 7
"""ids that are summed up at once; each change of deals below has seven to itself, from a multiple of seven on"""


class Change(NamedTuple):
    """Statements, and whose facts they make wrong: a type, and one of its items where it is not about the type as a whole."""

    type: int
    item: int | None
    statements: str


def move(edge, deal):
    """The first (MIN) or last (MAX) move of a deal."""
    return f"(SELECT {edge}(id) FROM {{}}.stage_history WHERE entity_type_id = 2 AND owner_id = {deal})"


BEFORE = (
    "UPDATE {}.deals SET deleted_at = '2025-06-30 22:30:00+00' WHERE id BETWEEN 28 AND 34",
    "UPDATE {}.deals SET currency_id = 'USD' WHERE id BETWEEN 49 AND 55",
    f"UPDATE {{}}.stage_history SET id = 1000003 WHERE id = {move('MAX', 91)}",
)
"""what is so before all changes: items that are gone, items in another currency, a move with an id that weighs nothing by itself"""

CHANGES = {
    "a move": Change(2, 7,
        "INSERT INTO {}.stage_history (id, entity_type_id, type_id, owner_id, created_time, category_id, stage_id, "
        "stage_semantic_id) VALUES (900001, 2, 2, 7, '2025-06-30 22:30:00+00', 0, 'WON', 'S')"),
    "a move that is taken out": Change(2, 14, f"DELETE FROM {{}}.stage_history WHERE id = {move('MAX', 14)}"),
    "a move at another time": Change(177, 7, "UPDATE {}.stage_history SET created_time = '2024-02-29 21:30:00+00' "
        "WHERE entity_type_id = 177 AND owner_id = 7"),
    "an item that is gone": Change(2, 21, "UPDATE {}.deals SET deleted_at = '2025-06-30 22:30:00+00' WHERE id = 21"),
    "an item that is back": Change(2, 28, "UPDATE {}.deals SET deleted_at = NULL WHERE id = 28"),
    "another amount": Change(2, 35, "UPDATE {}.deals SET opportunity = 123456.789 WHERE id = 35"),
    "another currency": Change(2, 42, "UPDATE {}.deals SET currency_id = 'USD' WHERE id = 42"),
    "another rate": Change(2, 49, "UPDATE {}.currencies SET amount = amount * 2 WHERE currency = 'USD'"),
    "another stage, as long": Change(2, 56,
        f"UPDATE {{}}.stage_history SET stage_id = REVERSE(stage_id) WHERE id = {move('MIN', 56)}"),
    "another meaning": Change(2, 63, f"UPDATE {{}}.stage_history SET stage_semantic_id = 'F' WHERE id = {move('MIN', 63)}"),
    "a move of another item": Change(2, 70,
        f"UPDATE {{}}.stage_history SET owner_id = owner_id + 1 WHERE id = {move('MIN', 70)}"),
    "two moves that have each other's time": Change(2, 77,
        "UPDATE {}.stage_history AS h SET created_time = o.created_time FROM {}.stage_history AS o WHERE h.id <> o.id "
        f"AND h.id IN ({move('MIN', 77)}, {move('MIN', 78)}) AND o.id IN ({move('MIN', 77)}, {move('MIN', 78)})"),
    "a move with an id that weighs nothing by itself": Change(2, 84,
        f"UPDATE {{}}.stage_history SET id = 2000006 WHERE id = {move('MAX', 84)}"),
    "such a move at another time": Change(2, 91,
        "UPDATE {}.stage_history SET created_time = created_time + INTERVAL '3 hours' WHERE id = 1000003"),
    "a type without moves": Change(31, None, "DELETE FROM {}.stage_history WHERE entity_type_id = 31"),
    "a directory without categories that spells a stage otherwise": Change(1, None,
        "UPDATE {}.stages SET status_id = LOWER(status_id) WHERE entity_type_id = 1"),
    "a category's directory that spells a stage otherwise": Change(1034, None,
        "UPDATE {}.spa_stages SET status_id = LOWER(status_id) WHERE entity_type_id = 1034"),
}  # fmt: skip
"""of the loaded tables, none of which hides another"""

DAMAGE = {
    "stays of which some were deleted": Change(2, 105, "DELETE FROM {}._mart_stage_moves WHERE entity_type_id = 2 AND item_id = 105"),
    "stays that are there twice": Change(2, 112,
        "INSERT INTO {}._mart_stage_moves SELECT * FROM {}._mart_stage_moves WHERE entity_type_id = 2 AND item_id = 112"),
    "stays of an item that never was": Change(2, 100_119,
        "UPDATE {}._mart_stage_moves SET item_id = item_id + 100000 WHERE entity_type_id = 2 AND item_id = 119"),
    "stays without an amount": Change(2, 126,
        "UPDATE {}._mart_stage_moves SET amount = NULL WHERE entity_type_id = 2 AND item_id = 126"),
    "stays with another amount": Change(2, 133,
        "UPDATE {}._mart_stage_moves SET amount = amount + 1 WHERE entity_type_id = 2 AND item_id = 133"),
    "no stays": Change(1036, None, "DELETE FROM {}._mart_stage_moves WHERE entity_type_id = 1036"),
    "days of which some were deleted": Change(1032, None,
        "DELETE FROM {}._mart_stage_daily WHERE entity_type_id = 1032 AND day = (SELECT MIN(day) FROM {}._mart_stage_daily "
        "WHERE entity_type_id = 1032)"),
    "days on which more happened": Change(1034, None,
        "UPDATE {}._mart_stage_daily SET items = items + 1 WHERE entity_type_id = 1034"),
    "days with another amount": Change(1, None, "UPDATE {}._mart_stage_daily SET amount = amount + 1 WHERE entity_type_id = 1"),
    "other days": Change(1030, None,
        "UPDATE {}._mart_stage_daily SET day = '1999-12-31' WHERE entity_type_id = 1030 AND day = (SELECT MAX(day) FROM "
        "{}._mart_stage_daily WHERE entity_type_id = 1030)"),
    "no days": Change(1038, None, "DELETE FROM {}._mart_stage_daily WHERE entity_type_id = 1038"),
    "stays and days as of long ago": Change(177, None,
        "DELETE FROM {}._mart_stage_moves WHERE entity_type_id = 177 AND entered_date > '2025-01-31'; "
        "DELETE FROM {}._mart_stage_daily WHERE entity_type_id = 177 AND day > '2025-01-31'"),
}  # fmt: skip
"""by hand in the tables of the facts, in the same way"""


class Facts:
    """The tables of a portal, the facts beside them, and how far those are right: counted in the database, by SQL that is built once."""

    def __init__(self, loaded, client):
        self.loaded, self.query = loaded, loaded.database.query
        self.database = ViewDatabase(client)
        self._sql = {}

    @property
    def zone(self):
        return Zone.of(*self.database.read("portal", ("zone", "utc_offset_minutes"))[0].values())

    def refresh(self):
        refresh_facts(self.database, self.zone)

    def wrong(self):
        """Types and items whose stays, and types and None whose days, are not as the loaded tables say."""
        stays = self._differences("stage_stays", "entity_type_id, item_id")
        return {*stays, *((type_, None) for (type_,) in self._differences("stage_changes", "entity_type_id"))}

    def _differences(self, relation, keys):
        zone = self.zone
        if (relation, zone) not in self._sql:
            right = MartBuilder(self.database.stored, zone).facts(relation).sql(self.database.dialect)
            self._sql[relation, zone] = differing(keys, right, FACTS[relation], list(FACT_COLUMNS[relation]))
        return self.query(self._sql[relation, zone])

    def differences_of(self, mart):
        """Rows of a mart that a reader sees otherwise than the loaded tables give them; amounts to the cent, days to the second."""
        if mart not in self._sql:
            right = MartBuilder(self.database.stored, self.zone).query(mart).sql(self.database.dialect)
            types = self.loaded.database.types()[mart]
            rounded = [
                f"ROUND(CAST({name} AS DECIMAL(38, 9)), 5)" if type_ == "DOUBLE" else name
                for name, type_ in types.items()
            ]
            self._sql[mart] = differing("entity_type_id", right, mart, rounded)
        return self.query(self._sql[mart])

    @property
    def place(self):
        """Where a row is, in words of the database: it is another one after the row was written anew."""
        return "ctid" if self.loaded.database.engine == "postgres" else "rowid"


def differing(keys, right, table, columns):
    """SQL for the keys of rows that are not equally often in a query and in a table."""
    listed = ", ".join(columns)
    rows = f"SELECT {listed}, 1 AS n FROM ({right}) AS r UNION ALL SELECT {listed}, -1 FROM {{}}.{table}"
    named = ", ".join(f"c{place}" for place in range(len(columns)))
    plain = dict(zip(columns, named.split(", "), strict=True))
    keys = ", ".join(plain[key] for key in keys.split(", "))
    return f"SELECT DISTINCT {keys} FROM ({rows}) AS t({named}, n) GROUP BY {named} HAVING SUM(n) <> 0"


@pytest.fixture(scope="module")
def facts(own_portal, tmp_path_factory):
    """Of a portal of its own, whose tables are changed under the marts."""
    with switched_run_context(RunContext(str(tmp_path_factory.mktemp("facts")))):
        pipeline = own_portal.pipeline()
    with pipeline.destination_client("bitrix24") as client:
        made = Facts(own_portal, client)
        for statement in BEFORE:
            made.query(statement)
        made.refresh()
        yield made


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Sums are over few items."""
    monkeypatch.setattr("bitrix24_source.views.facts.WIDTH", WIDTH)


@pytest.mark.parametrize("changes", [CHANGES, DAMAGE], ids=["changes", "damage"])
def test_facts_follow_the_tables(facts, changes):
    """Each kind of change or damage makes facts wrong, and the next refresh makes them right, row by row."""
    assert set() == facts.wrong()
    for change in changes.values():
        for statement in change.statements.split("; "):
            facts.query(statement)
    wrong = facts.wrong()
    types = {type_ for type_, _ in wrong}
    assert [] == [
        name for name, change in changes.items()
        if (change.type not in types if change.item is None else (change.type, change.item) not in wrong)
    ]  # fmt: skip

    facts.refresh()
    assert set() == facts.wrong()


def test_marts_say_the_same_without_facts(facts):
    """What a reader sees by way of the facts is what the loaded tables alone give, row by row."""
    for mart in ("mart_stage_moves", "mart_stage_daily"):
        ((rows,),) = facts.query(f"SELECT COUNT(*) FROM {{}}.{mart}")
        assert rows > 1000
        assert [] == facts.differences_of(mart)


def test_only_what_differs_is_written(facts):
    """Stays of other items, and days of other types, are left where they are; nothing is written where nothing differs."""
    stays = f"SELECT {facts.place}, entity_type_id, item_id FROM {{}}._mart_stage_moves"
    days = f"SELECT {facts.place}, entity_type_id FROM {{}}._mart_stage_daily"
    before = [set(facts.query(sql)) for sql in (stays, days)]
    facts.query("UPDATE {}.deals SET opportunity = 4711 WHERE id = 140")

    facts.refresh()
    after = [set(facts.query(sql)) for sql in (stays, days)]
    assert {(2, 140)} == {tuple(row[1:]) for row in before[0] - after[0]}
    assert {(2,)} == {tuple(row[1:]) for row in before[1] - after[1]}
    facts.refresh()
    assert after == [set(facts.query(sql)) for sql in (stays, days)]


def test_a_table_of_another_shape_is_made_anew(facts):
    """Facts that another release kept, in other columns, are in nobody's way."""
    cascade = " CASCADE" if facts.loaded.database.engine == "postgres" else ""
    facts.query(f"DROP TABLE {{}}._mart_stage_daily{cascade}")
    facts.query("CREATE TABLE {}._mart_stage_daily AS SELECT 1 AS id")

    assert [] == create_views(facts.loaded.pipeline())
    assert set() == facts.wrong()
    assert [] == facts.differences_of("mart_stage_daily")


def test_many_changes_are_one(facts, monkeypatch):
    """Where more items changed than are listed one by one, all are written anew."""
    assert MOST_ITEMS > 1000
    monkeypatch.setattr("bitrix24_source.views.facts.MOST_ITEMS", 2)
    leads = f"SELECT {facts.place} FROM {{}}._mart_stage_moves WHERE entity_type_id = 1"
    before = set(facts.query(leads))
    facts.query("UPDATE {}.deals SET opportunity = 5")
    assert facts.wrong()

    facts.refresh()
    assert set() == facts.wrong()
    assert set() == before & set(facts.query(leads))


def test_a_stage_is_one_in_whatever_letters(facts):
    """A portal that writes a code now in small letters and now in capitals has as many stages, days and figures as before."""
    marts = ("mart_stage_moves", "mart_stage_daily", "mart_items")
    for mart in marts:
        facts.query(f"CREATE TABLE {{}}.before_{mart} AS SELECT * FROM {{}}.{mart}")
    for table, key in (("stage_history", "owner_id"), ("deals", "id"), ("spa_items_177", "id")):
        facts.query(f"UPDATE {{}}.{table} SET stage_id = LOWER(stage_id) WHERE {key} % 2 = 0")
    facts.query("DELETE FROM {}._mart_stage_moves")

    facts.refresh()
    for mart in marts:
        names = list(facts.loaded.database.types()[mart])
        assert [] == facts.query(differing(names[0], f"SELECT * FROM {{}}.before_{mart}", mart, names))


def test_facts_follow_the_portals_zone(facts):
    """Another zone moves the days of stays, also one that has nearly the same days."""
    for minutes, zone in ((600, "+10:00"), (570, "+09:30")):
        facts.query("UPDATE {}.portal SET utc_offset_minutes = ?, zone = ?", minutes, zone)
        assert facts.wrong()
        facts.refresh()
        assert set() == facts.wrong()


def test_no_history_is_no_rows(facts):
    """Where the stage history has been emptied, its marts are empty as well."""
    facts.query("DELETE FROM {}.stage_history")

    facts.refresh()
    for mart in ("mart_stage_moves", "mart_stage_daily"):
        assert [(0,)] == facts.query(f"SELECT COUNT(*) FROM {{}}.{mart}")

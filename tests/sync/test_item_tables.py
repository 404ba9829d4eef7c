"""The tables of items: their columns are those that spa_fields names, whatever the portal's fields are and become."""

# ruff: noqa: S608 - tables and columns of the tests' own

from __future__ import annotations

import re
from datetime import datetime, timezone
from decimal import Decimal

import pytest
from databases import make_to_copy
from dlt.common.runtime.run_context import RunContext, switched_run_context
from fixtures.item_warehouse import PLAIN, ScriptedPortal, make_warehouse

from bitrix24_source.sandbox import Clock
from bitrix24_source.schema import SPA_FIELDS, UTM_FIELDS

pytestmark = pytest.mark.all_databases(slow=True)

PORTALS = ["hostile", pytest.param("demo", marks=pytest.mark.slow)]

DUCKDB_TYPES = {"TEXT": "VARCHAR"}
"""where DuckDB has another word for a type than SQL has"""


def described(crm):
    """(table, column, type as DuckDB says) of every field that is loaded, by spa_fields."""
    tables = dict(crm.query("select entity_type_id, items_table from {}.spa_types where items_table is not null"))
    for field in crm.rows("spa_fields"):
        if field["entity_type_id"] in tables and field["column_type"]:
            table = field["child_table"] or tables[field["entity_type_id"]]
            column = "value" if field["child_table"] else field["column_name"]
            yield table, column, DUCKDB_TYPES.get(field["column_type"], field["column_type"])


ITEMS = re.compile(r"spa_items_\d+")


@pytest.mark.parametrize("name", PORTALS)
def test_spa_fields_tells_the_truth(request, engine, name):
    """column_name, column_type and child_table of every field of every type that was loaded are those of the database."""
    crm = request.getfixturevalue(name)
    tables = crm.tables()
    fields = [field for field in described(crm) if field[0].partition("__")[0] in tables]

    assert [] == [field for field in fields if tables.get(field[0], {}).get(field[1]) != field[2]]
    assert len(fields) > {"demo": 150, "hostile": 400}[name]


@pytest.mark.parametrize("name", PORTALS)
def test_every_column_is_explained(request, engine, name):
    """And the other way round: no column of an item table is there that no field, and no rule, explains."""
    crm = request.getfixturevalue(name)
    named = {(table, column) for table, column, _ in described(crm)}
    derived = re.compile(r"_(currency|latitude|longitude|entity_type_id|entity_id)(_\d+)?$")
    ours = {"deleted_at", *(field.upper_name.lower() for field in (*SPA_FIELDS, *UTM_FIELDS))}
    columns = [
        (table, column) for table, columns in crm.tables().items() if ITEMS.fullmatch(table) for column in columns
    ]

    assert [] == [
        (table, column)
        for table, column in columns
        if column not in ours and not {(table, column), (table, derived.sub("", column))} & named
    ]


@pytest.mark.parametrize("name", PORTALS)
def test_keys_are_unique(request, engine, name):
    """`id` in item tables, `item_id` and `position` in child tables; neither is ever NULL."""
    crm = request.getfixturevalue(name)
    keys = {
        table: "id" if ITEMS.fullmatch(table) else "(item_id, position)"
        for table in crm.tables()
        if "spa_items_" in table
    }
    counts = " union all ".join(
        f"select '{table}', count(*) - count(distinct {key}), count(*) - count({key}) from {{}}.{table}"
        for table, key in keys.items()
    )

    assert [(table, 0, 0) for table in sorted(keys)] == sorted(crm.query(counts))


def test_three_hundred_custom_fields(hostile):
    """A type with 300 custom fields has them all, with the values of its items."""
    columns = hostile.types("spa_items_1030")
    name = next(
        field.name for field in hostile.portal.world.objects[1030].schema.fields.values() if field.type == "url"
    )
    column = hostile.query("select column_name from {}.spa_fields where entity_type_id = 1030 and name = ?", name)[0][0]
    items = hostile.portal.items(1030)

    assert 300 <= len(columns)
    assert {id_: items[id_][name] or None for id_ in items} == dict(
        hostile.query(f"select id, {column} from {{}}.spa_items_1030")
    )


# --- fields that come and go ----------------------------------------------------------------------------------------

ABC = ["a", "b", "c"]
LISTS = [
    (["c"], ["c"]),
    (["c", "b", "a", "d"], ["c", "b", "a", "d"]),
    ([], []),
    (None, []),
    (False, []),
    ("", []),
    ("single", ["single"]),
    ({"1": "x", "5": "y"}, ["x", "y"]),
]
"""the lists of items from 1 on in the second run, and what is to become of them"""
UNTOUCHED, CURTAILED, DELETED = 9, 10, 11
"""items with lists: one that nobody changes, one whose row leaves fields out, and one that is gone"""
LISTED, READ, EMPTY, CUT, GROWN = 177, 1030, 1032, 1034, 1036
"""types: with lists; with a field that is made meanwhile; without items; that loses fields; that gets one, and has odd rows"""


def noted_portal(clock):
    """Five types, some with notes and tags, which are two hours old."""
    portal = ScriptedPortal("empty", clock=clock)
    for number, items in ((LISTED, 12), (READ, 2), (EMPTY, 0), (CUT, 2), (GROWN, 2)):
        portal.add_type(f"Process {number}", entity_type_id=number, items=items, off=PLAIN)
    for number in (LISTED, EMPTY, CUT):
        portal.add_field(number, "TAGS", "string", "Tags", multiple=True, pool=[ABC])
    portal.add_field(CUT, "NOTE", "string", "Note", pool=["note"])
    clock.advance(7200)
    return portal


def live_on(portal):
    """All that can happen to fields and lists between two runs, and what rows say that no field list does."""
    for id_, (tags, _) in enumerate(LISTS, start=1):
        portal.items(LISTED).update(id_, ufCrm11Tags=tags)
    portal.items(LISTED).update(CURTAILED, opened="N")
    portal.items(LISTED).delete(DELETED)
    portal.remove_field(CUT, "UF_CRM_14_NOTE")
    portal.remove_field(CUT, "UF_CRM_14_TAGS")
    portal.items(CUT).update(2, title="changed")
    name = portal.add_field(GROWN, "SUM", "money", "Sum", pool=[None])
    portal.items(GROWN).update(2, **{name: "300.50|RUB"}, title="changed")
    utm = {"utmSource": "google", "utmMedium": None, "utmCampaign": "", "utmContent": "text", "utmTerm": "word"}
    odd = {"oddThing": {"nested": [1, 2]}, "oddWord": "word", "searchContent": "SCRAMBLEDPERSONALDATA"}

    def say(command, result):
        if command.startswith("crm.item.list") and f"entityTypeId={GROWN}&" in command:
            result["items"] = [item | utm | odd for item in result["items"]]
        if command.startswith("crm.item.list") and f"entityTypeId={LISTED}&" in command:
            left_out = {CURTAILED: {"title", "ufCrm11Tags"}}
            result["items"] = [
                {name: value for name, value in item.items() if name not in left_out.get(item["id"], ())}
                for item in result["items"]
            ]
        return result

    portal.say = say


@pytest.fixture(scope="module")
def noted(engine, tmp_path_factory):
    """The portal after one load."""
    folder = tmp_path_factory.mktemp("noted")
    portal = noted_portal(Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc)))
    with switched_run_context(RunContext(str(folder))):
        made = make_warehouse(folder, portal, make_to_copy(engine, folder))
        made.run()
    yield made
    made.database.drop()


@pytest.fixture(scope="module")
def crm(noted, tmp_path_factory):
    """The same after a second load, two hours later."""
    folder = tmp_path_factory.mktemp("changed")
    portal = noted_portal(Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc)))
    with switched_run_context(RunContext(str(folder))):
        made = noted.copy(folder / "copy", portal)
        _load_again(made)
    yield made
    made.database.drop()


def _load_again(made):
    """Everything has changed; and another field is made after the field lists of this load were read."""
    portal = made.portal
    portal.clock.advance(7200)
    live_on(portal)
    added = []

    def add_a_field(_number):
        if portal.requests[-1:] and "crm.item.fields" in portal.requests[-1].commands and not added:
            added.append(portal.add_field(READ, "COUNT", "integer", "Count"))
            portal.items(READ).update(1, **{added[0]: "42"})

    made.adapter.before = add_a_field
    made.run("spa_fields", "spa_items", sweep=True)
    assert added


def listed(crm, table=f"spa_items_{LISTED}__uf_crm_11_tags"):
    """Positions and values by item, in the order of positions."""
    lists = {}
    for item, *row in crm.query(f"select item_id, position, value from {{}}.{table} order by 1, 2"):
        lists.setdefault(item, []).append(tuple(row))
    return lists


def test_every_readable_type_has_its_table(noted):
    """One table for each smart process, named by its number, with the ids that the portal has."""
    numbers = [row["entityTypeId"] for row in noted.portal.types()]

    assert {f"spa_items_{number}" for number in numbers} == set(filter(ITEMS.fullmatch, noted.tables()))
    assert {number: noted.portal.items(number).ids() for number in numbers} == {
        number: noted.ids(number) for number in numbers
    }


def test_an_empty_type_has_its_child_tables(noted):
    """Nobody's query breaks on the day before the first item."""
    table = f"spa_items_{EMPTY}__uf_crm_13_tags"

    assert {"item_id": "BIGINT", "position": "BIGINT", "value": "VARCHAR"}.items() <= noted.types(table).items()
    assert [] == noted.rows(table)


def test_a_field_that_is_added_between_two_runs(crm):
    """The new column is typed, filled for what has a value, and NULL for the rest."""
    columns = "uf_crm_15_sum", "uf_crm_15_sum_currency"

    assert "DECIMAL(38,9)" == crm.types(f"spa_items_{GROWN}")["uf_crm_15_sum"]
    assert (Decimal("300.5"), "RUB") == crm.one(2, *columns, entity_type_id=GROWN)
    assert (None, None) == crm.one(1, *columns, entity_type_id=GROWN)


def test_a_field_that_is_removed_between_two_runs(crm):
    """The column stays, with what it held of items that have not changed since, for nobody knows who reads it."""
    assert "note" == crm.one(1, "uf_crm_14_note", entity_type_id=CUT)
    assert "changed" == crm.one(2, "title", entity_type_id=CUT)
    assert [] == crm.query("select 1 from {}.spa_fields where upper_name = 'UF_CRM_14_NOTE'")
    assert [] == crm.issues()


def test_a_multiple_field_that_is_removed(crm):
    """Its child table stays as it was, although an item was read again."""
    assert {1: list(enumerate(ABC)), 2: list(enumerate(ABC))} == listed(crm, f"spa_items_{CUT}__uf_crm_14_tags")


def test_a_field_that_is_added_while_items_are_read(crm):
    """A key that the field list did not have yet: the list is read once more, and the column is typed at once."""
    assert "BIGINT" == crm.types(f"spa_items_{READ}")["uf_crm_12_count"]
    assert 42 == crm.one(1, "uf_crm_12_count", entity_type_id=READ)


def test_keys_that_no_list_explains_are_kept(crm):
    """What comes in rows and is in no field list is kept as text; JSON where it is more than a text."""
    thing, word = crm.one(2, "odd_thing", "odd_word", entity_type_id=GROWN)

    assert {"odd_thing": "VARCHAR", "odd_word": "VARCHAR"}.items() <= crm.types(f"spa_items_{GROWN}").items()
    assert '{"nested": [1, 2]}' == thing
    assert word in ("word", '"word"')


def test_search_content_is_nowhere(crm):
    """The blob of scrambled personal data is neither a column nor anywhere in the tables, though it comes in every row."""
    assert "changed" == crm.one(2, "title", entity_type_id=GROWN)
    assert not any("search" in column for column in crm.types(f"spa_items_{GROWN}"))
    assert "SCRAMBLEDPERSONALDATA" not in repr([crm.query(f"select * from {{}}.{table}") for table in crm.tables()])


def test_utm_is_kept(crm):
    """The advertising tags, which rows carry and the field list leaves out."""
    utm = crm.one(2, "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term", entity_type_id=GROWN)

    assert ("google", None, None, "text", "word") == utm


def test_a_row_without_some_of_its_fields(crm):
    """A field that a row leaves out is NULL there, and a list of which it says nothing stays as it is."""
    assert (None, False) == crm.one(CURTAILED, "title", "opened")
    assert list(enumerate(ABC)) == listed(crm)[CURTAILED]


# --- lists ----------------------------------------------------------------------------------------------------------


def test_lists_that_changed(noted, crm):
    """An item's list is replaced as a whole: what it lost is gone, and an emptied one has no rows, however that is spelled."""
    before, after = listed(noted), listed(crm)

    for id_, (_, values) in enumerate(LISTS, start=1):
        assert list(enumerate(ABC)) == before[id_]
        assert list(enumerate(values)) == after.get(id_, [])


def test_other_items_keep_their_lists(crm):
    """Only the items that came are touched."""
    assert list(enumerate(ABC)) == listed(crm)[UNTOUCHED]


def test_a_marked_item_keeps_its_list(noted, crm):
    """What is marked as deleted is written anew, and its list stays; test_item_values.py has its values."""
    columns = "title", "created_time", "opened"

    assert crm.one(DELETED, "deleted_at")
    assert noted.one(DELETED, *columns) == crm.one(DELETED, *columns)
    assert list(enumerate(ABC)) == listed(crm)[DELETED]


def test_helpers_of_loading_are_no_rows(crm):
    """The rows that make dlt forget a list are never seen, not even as an empty position."""
    emptied = {id_ for id_, (_, values) in enumerate(LISTS, start=1) if not values}

    assert set(range(1, 13)) - emptied == listed(crm).keys()
    assert None not in [part for rows in listed(crm).values() for row in rows for part in row]

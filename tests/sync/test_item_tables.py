"""The tables of items: their columns are those that spa_fields names, whatever the portal's fields are and become."""

# ruff: noqa: S608 - tables and columns of the tests' own

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest
from databases import make_to_copy
from dlt.common.runtime.run_context import RunContext, switched_run_context
from fixtures.item_warehouse import PLAIN, ScriptedPortal, make_warehouse

from bitrix24_source.sandbox import Clock
from bitrix24_source.schema import SPA_FIELDS, UTM_FIELDS

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


@pytest.mark.all_databases
@pytest.mark.parametrize("name", ["demo", "hostile"])
def test_spa_fields_tells_the_truth(request, engine, name):
    """column_name, column_type and child_table of every field of every type that was loaded are those of the database."""
    crm = request.getfixturevalue(name)
    tables = crm.tables()
    fields = [field for field in described(crm) if field[0].partition("__")[0] in tables]

    assert [] == [field for field in fields if tables.get(field[0], {}).get(field[1]) != field[2]]
    assert len(fields) > {"demo": 150, "hostile": 500}[name]


@pytest.mark.all_databases
@pytest.mark.parametrize("name", ["demo", "hostile"])
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


@pytest.mark.all_databases
def test_every_readable_type_has_its_table(demo):
    """One table for each smart process, named by its number, with the ids that the portal has."""
    numbers = [row["entityTypeId"] for row in demo.portal.types()]

    assert {f"spa_items_{number}" for number in numbers} == set(filter(ITEMS.fullmatch, demo.tables()))
    assert {number: demo.portal.items(number).ids() for number in numbers} == {
        number: demo.ids(number) for number in numbers
    }


@pytest.mark.all_databases
@pytest.mark.parametrize("name", ["demo", "hostile"])
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


@pytest.mark.all_databases
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


@pytest.mark.all_databases
def test_an_empty_type_has_its_child_tables(portal_with, warehouse):
    """Nobody's query breaks on the day before the first item."""
    portal = portal_with({177: 0})
    portal.add_field(177, "TAGS", "string", "Tags", multiple=True)
    crm = warehouse(portal)
    crm.run()

    assert [] == crm.ids()
    assert {"item_id": "BIGINT", "position": "BIGINT", "value": "VARCHAR"}.items() <= crm.types(
        "spa_items_177__uf_crm_11_tags"
    ).items()
    assert [] == crm.rows("spa_items_177__uf_crm_11_tags")


# --- fields that come and go ----------------------------------------------------------------------------------------


def noted_portal(clock):
    """Twenty items with notes and tags, which are two hours old."""
    portal = ScriptedPortal("empty", clock=clock)
    for number, items in ((177, 20), (1030, 2)):
        portal.add_type(f"Process {number}", entity_type_id=number, items=items, off=PLAIN)
    portal.add_field(177, "NOTE", "string", "Note")
    portal.add_field(177, "TAGS", "string", "Tags", multiple=True, pool=[[]])
    portal.items(177).update(1, ufCrm11Note="first", ufCrm11Tags=["a", "b", "c"])
    clock.advance(7200)
    return portal


@pytest.fixture(scope="module")
def noted(engine, tmp_path_factory):
    """The portal after one load, to be copied."""
    folder = tmp_path_factory.mktemp("noted")
    portal = noted_portal(Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc)))
    with switched_run_context(RunContext(str(folder))):
        made = make_warehouse(folder, portal, make_to_copy(engine, folder))
        made.run()
    yield made
    made.database.drop()


@pytest.fixture
def crm(noted, warehouse_copy, clock):
    """Twenty items, loaded once two hours ago."""
    made = warehouse_copy(noted, noted_portal(clock))
    clock.advance(7200)
    return made


def listed(crm, item=1):
    """The rows of one item's list."""
    rows = crm.rows("spa_items_177__uf_crm_11_tags")
    return sorted((row["position"], row["value"]) for row in rows if row["item_id"] == item)


@pytest.mark.all_databases
def test_a_field_that_is_added_between_two_runs(crm):
    """The new column is typed, filled for what has a value, and NULL for the rest."""
    name = crm.portal.add_field(177, "SUM", "money", "Sum")
    crm.portal.items(177).update(2, **{name: "300.50|RUB"})
    crm.run()

    assert "DECIMAL(38,9)" == crm.types("spa_items_177")["uf_crm_11_sum"]
    assert (300.5, "RUB") == tuple(map(_plain, crm.one(2, "uf_crm_11_sum", "uf_crm_11_sum_currency")))
    assert crm.one(1, "uf_crm_11_sum") is None
    assert "first" == crm.one(1, "uf_crm_11_note")


def _plain(value):
    return value if isinstance(value, str) else float(value)


def test_a_field_that_is_removed_between_two_runs(crm):
    """The column stays, with what it held of items that have not changed since, for nobody knows who reads it."""
    crm.portal.remove_field(177, "UF_CRM_11_NOTE")
    crm.portal.items(177).update(2, title="changed")
    crm.run("spa_fields", "spa_items")

    assert "first" == crm.one(1, "uf_crm_11_note")
    assert "changed" == crm.one(2, "title")
    assert [] == crm.query("select 1 from {}.spa_fields where upper_name = 'UF_CRM_11_NOTE'")
    assert [] == crm.issues()


def test_a_multiple_field_that_is_removed(crm):
    """Its child table stays as it was."""
    crm.portal.remove_field(177, "UF_CRM_11_TAGS")
    crm.portal.items(177).update(1, title="changed")
    crm.run()

    assert [(0, "a"), (1, "b"), (2, "c")] == listed(crm)


def test_a_field_that_is_added_while_items_are_read(crm):
    """A key that the field list did not have yet: the list is read once more, and the column is typed at once."""
    made = []

    def add_a_field(_number):
        if crm.portal.requests[-1:] and "crm.item.fields" in crm.portal.requests[-1].commands and not made:
            made.append(crm.portal.add_field(177, "COUNT", "integer", "Count"))
            crm.portal.items(177).update(3, **{made[0]: "42"})

    crm.adapter.before = add_a_field
    crm.run()

    assert made
    assert "BIGINT" == crm.types("spa_items_177")["uf_crm_11_count"]
    assert 42 == crm.one(3, "uf_crm_11_count")


def say_more(portal, **keys):
    """Every item of the portal has these keys besides its own."""

    def say(command, result):
        if command.startswith("crm.item.list"):
            result["items"] = [{**item, **keys} for item in result["items"]]
        return result

    portal.say = say


def test_keys_that_no_list_explains_are_kept(crm):
    """What comes in rows and is in no field list is kept as text; JSON where it is more than a text."""
    say_more(crm.portal, oddThing={"nested": [1, 2]}, oddWord="word")
    crm.portal.items(177).update(4, title="changed")
    crm.run()

    assert {"odd_thing": "VARCHAR", "odd_word": "VARCHAR"}.items() <= crm.types("spa_items_177").items()
    assert '{"nested": [1, 2]}' == crm.one(4, "odd_thing")
    assert crm.one(4, "odd_word") in ("word", '"word"')


def test_search_content_is_nowhere(crm):
    """The blob of scrambled personal data is neither a column nor anywhere in the tables, though it comes in every row."""
    say_more(crm.portal, searchContent="SCRAMBLEDPERSONALDATA")
    crm.portal.items(177).update(5, title="changed")
    crm.run()

    assert "changed" == crm.one(5, "title")
    assert not any("search" in column for column in crm.types("spa_items_177"))
    assert "SCRAMBLEDPERSONALDATA" not in repr([crm.query(f"select * from {{}}.{table}") for table in crm.tables()])


def test_utm_is_kept(crm):
    """The advertising tags, which rows carry and the field list leaves out."""
    say_more(crm.portal, utmSource="google", utmMedium=None, utmCampaign="", utmContent="text", utmTerm="word")
    crm.portal.items(177).update(6, title="changed")
    crm.run()

    assert ("google", None, None, "text", "word") == crm.one(
        6, "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"
    )


def test_a_row_without_some_of_its_fields(crm):
    """A field that a row leaves out is NULL there, and a list of which it says nothing stays as it is."""

    def say(command, result):
        if command.startswith("crm.item.list"):
            keys = {"title", "ufCrm11Tags"}
            result["items"] = [{k: v for k, v in item.items() if k not in keys} for item in result["items"]]
        return result

    crm.portal.items(177).update(1, opened="N")
    crm.portal.say = say
    crm.run()

    assert crm.one(1, "title") is None
    assert [(0, "a"), (1, "b"), (2, "c")] == listed(crm)


# --- lists ----------------------------------------------------------------------------------------------------------


@pytest.mark.all_databases
def test_lists_that_changed(crm):
    """An item's list is replaced as a whole: what it lost is gone, and an emptied one has no rows, however that is spelled."""
    changes = [
        (["c"], [(0, "c")]),
        (["c", "b", "a", "d"], [(0, "c"), (1, "b"), (2, "a"), (3, "d")]),
        ([], []),
        (None, []),
        (False, []),
        ("", []),
        ("single", [(0, "single")]),
        ({"1": "x", "5": "y"}, [(0, "x"), (1, "y")]),
    ]
    for id_ in range(2, len(changes) + 1):
        crm.portal.items(177).update(id_, ufCrm11Tags=["a", "b", "c"])
    crm.run()
    for id_, (tags, _) in enumerate(changes, start=1):
        assert [(0, "a"), (1, "b"), (2, "c")] == listed(crm, id_)
        crm.portal.items(177).update(id_, ufCrm11Tags=tags)
    crm.run()

    assert [expected for _, expected in changes] == [listed(crm, id_) for id_ in range(1, len(changes) + 1)]


def test_other_items_keep_their_lists(crm):
    """Only the items that came are touched."""
    crm.portal.items(177).update(2, ufCrm11Tags=["z"])
    crm.run()
    crm.portal.items(177).update(2, ufCrm11Tags=[])
    crm.run()

    assert [(0, "a"), (1, "b"), (2, "c")] == listed(crm)
    assert [] == listed(crm, 2)


def test_helpers_of_loading_are_no_rows(crm):
    """The rows that make dlt forget a list are never seen, not even as an empty position."""
    crm.portal.items(177).update(1, ufCrm11Tags=[])
    crm.run()

    assert [] == crm.rows("spa_items_177__uf_crm_11_tags")

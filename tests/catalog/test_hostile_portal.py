"""A portal in which everything is odd loads completely, and equally into DuckDB and PostgreSQL."""

# ruff: noqa: RUF001 - letters that look like others are the point

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timezone

import pytest

from bitrix24_source.sandbox import Clock, Portal

pytestmark = pytest.mark.all_databases

UNREADABLE = 1036
TEXT = "a\x00b 🎉 \"quoted\" 'single' \\ back\\slash %s {x} \u200fעברית\n\ttab"
STORED = TEXT.replace("\x00", "")


def spoil(portal):
    """Puts a text of everything that databases dislike into every place where the catalogue has text."""
    world = portal.world
    world.types[1070] |= {"title": TEXT, "code": TEXT}
    world.categories[1070][0]["name"] = TEXT
    next(row for row in world.statuses if row["ENTITY_ID"].startswith("DYNAMIC_1070_")).update(NAME=TEXT, COLOR=TEXT)
    world.solutions.append({"id": 7, "title": TEXT, "typeIds": [13, 13]})
    world.templates.append({**world.templates[0], "ID": "77", "NAME": TEXT, "SYSTEM_CODE": TEXT})
    field = world.objects[1070].schema.fields["title"]
    field.title = TEXT
    field.extra = {**field.extra, "settings": {TEXT: [TEXT, None, {"deep": [1, 2.5, True]}]}}


@pytest.fixture(scope="module")
def odd(load_catalog_once):
    """The hostile portal in a database; one for all tests of this file, to look at only."""
    clock = Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))
    portal = Portal(scenario="hostile", items=700, clock=clock)
    spoil(portal)
    return load_catalog_once(portal)


def readable(crm):
    return [row for row in crm.portal.types() if row["entityTypeId"] != UNREADABLE]


def test_every_readable_type_is_there(odd):
    """More than 60 types, their titles letter by letter but for NUL, which no database keeps."""
    expected = {row["entityTypeId"]: row["title"].replace("\x00", "") or None for row in odd.portal.types()}
    found = {row["entity_type_id"]: row["title"] for row in odd.rows("spa_types")}

    assert len(expected) > 60
    assert expected == found


def test_every_field_is_there(odd, ask):
    """Every field of every readable type is a row: 300 custom ones of one type, and those whose names fold together."""
    expected = Counter()
    for row in readable(odd):
        fields = ask("crm.item.fields", of=odd.portal, entityTypeId=row["entityTypeId"])["result"]["fields"]
        expected[row["entityTypeId"]] = len({field["upperName"] for field in fields.values()})
    found = Counter(row["entity_type_id"] for row in odd.rows("spa_fields"))

    assert max(expected.values()) > 300
    assert expected == found


def test_columns_of_one_type_are_unique(odd):
    """No two fields of a type share a column or a child table."""
    places = Counter(
        (row["entity_type_id"], row["column_name"] or row["child_table"])
        for row in odd.rows("spa_fields")
        if row["column_name"] or row["child_table"]
    )

    assert {} == {place: times for place, times in places.items() if times > 1}


@pytest.mark.slow  # tests/sync/test_item_tables.py proves it of the odd types of this portal
@pytest.mark.parametrize("number", [177, 1030, 1034])
def test_fields_name_columns_that_exist(catalog_warehouse, clock, number):
    """`column_name` and `child_table` are names in the database: an item table that is loaded has them, and no others."""
    portal = Portal(scenario="hostile", items=700, clock=clock)
    portal.items(number).add(title="One more")
    crm = catalog_warehouse(portal=portal)
    crm.pipeline.run(crm.source(spa_types=[number]).with_resources("spa_fields", "spa_items"))

    fields = [row for row in crm.rows("spa_fields") if row["entity_type_id"] == number]
    columns = crm.column_types(f"spa_items_{number}")
    named = {row["column_name"]: row["column_type"] for row in fields if row["column_name"]}
    children = {row["child_table"] for row in fields if row["child_table"]}
    in_duckdb = {"TEXT": "VARCHAR", "JSON": "VARCHAR"}
    assert {name: in_duckdb.get(type_, type_) for name, type_ in named.items()}.items() <= columns.items()
    assert children <= crm.database.types().keys()


def test_every_option_is_there(odd, ask):
    """120 options of one field, also those with equal texts, in the portal's order."""
    expected = {}
    for row in readable(odd):
        fields = ask("crm.item.fields", of=odd.portal, entityTypeId=row["entityTypeId"])["result"]["fields"]
        for field in fields.values():
            for position, item in enumerate(field.get("items") or []):
                expected[row["entityTypeId"], field["upperName"], int(item["ID"])] = (item["VALUE"], position)
    found = {
        (row["entity_type_id"], row["upper_name"], row["option_id"]): (row["value"], row["position"])
        for row in odd.rows("spa_field_options")
    }

    assert len(expected) >= 120
    assert expected == found


def test_every_stage_is_there(odd):
    """More than 50 stages in one directory, names empty or equal."""
    directories = {
        f"DYNAMIC_{row['entityTypeId']}_STAGE_{category['id']}"
        for row in readable(odd)
        for category in odd.portal.world.categories[row["entityTypeId"]]
    }
    expected = Counter(row["ENTITY_ID"] for row in odd.portal.world.statuses if row["ENTITY_ID"] in directories)

    assert max(expected.values()) > 50
    assert expected == Counter(row["entity_id"] for row in odd.rows("spa_stages"))


def test_twins_are_two_rows(odd):
    """Two types with one title are two rows: names are no keys."""
    assert [1042, 1044] == sorted(row["entity_type_id"] for row in odd.rows("spa_types") if row["title"] == "Twins")


def test_hostile_texts_are_kept_everywhere(odd):
    """Emoji, quotes, right-to-left marks and line breaks stay as they are; only NUL goes, and settings stay JSON."""
    (type_,) = (row for row in odd.rows("spa_types") if row["entity_type_id"] == 1070)
    (settings,) = (
        row["settings"] for row in odd.rows("spa_fields") if (row["entity_type_id"], row["name"]) == (1070, "title")
    )

    assert (STORED, STORED) == (type_["title"], type_["code"])
    assert STORED in {row["name"] for row in odd.rows("spa_categories")}
    assert (STORED, STORED) in {(row["name"], row["color"]) for row in odd.rows("spa_stages")}
    assert STORED in {row["title"] for row in odd.rows("automated_solutions")}
    assert (STORED, STORED) in {(row["name"], row["system_code"]) for row in odd.rows("spa_automations")}
    assert {STORED: [STORED, None, {"deep": [1, 2.5, True]}]} == json.loads(settings)


def test_a_moment_without_a_zone_is_no_instant(odd):
    """A template whose MODIFIED is `24.08.2023 13:19:39` has no `modified`: nobody knows which instant that was."""
    assert [None] == [row["modified"] for row in odd.rows("spa_automations") if row["id"] == 1]


def test_a_template_of_a_deleted_type_is_kept(odd):
    """Its entityTypeId is what the portal says, though there is no such type any more."""
    assert [9999] == [row["entity_type_id"] for row in odd.rows("spa_automations") if row["id"] == 1]


def test_a_type_listed_twice_in_a_solution_is_one_row(odd):
    """`automated_solution_types` is a set of pairs, whatever the portal repeats."""
    assert [13] == [
        row["spa_type_id"] for row in odd.rows("automated_solution_types") if row["automated_solution_id"] == 7
    ]


def test_only_the_unreadable_type_is_an_issue(odd):
    """Odd is not wrong: all that is missed is what may not be read."""
    assert {UNREADABLE} == {row["entity_type_id"] for row in odd.issues()}

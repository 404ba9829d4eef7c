"""Columns outlive features, fields and types: every load ends well, no column changes its type, and no value is lost."""

# ruff: noqa: S608 - tables and columns of the tests' own

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

import pytest
from databases import make
from dlt.common.runtime.run_context import RunContext, switched_run_context
from fixtures.item_warehouse import PLAIN, ScriptedPortal, make_warehouse

from bitrix24_source import create_views
from bitrix24_source.sandbox import Clock, Portal

HOUR = 3600
TABLE = "spa_items_177"
FEATURES = (
    "isBeginCloseDatesEnabled",
    "isClientEnabled",
    "isSourceEnabled",
    "isMycompanyEnabled",
    "isLinkWithProductsEnabled",
)
SYSTEM_TYPES = {
    "begindate": "DATE", "closedate": "DATE", "company_id": "BIGINT", "contact_id": "BIGINT", "opportunity": "DOUBLE",
    "is_manual_opportunity": "BOOLEAN", "tax_value": "DOUBLE", "currency_id": "VARCHAR", "mycompany_id": "BIGINT",
    "source_id": "VARCHAR", "source_description": "VARCHAR", "webform_id": "BIGINT", "previous_stage_id": "VARCHAR",
    "moved_time": "TIMESTAMP WITH TIME ZONE", "moved_by": "BIGINT", "opportunity_account": "DOUBLE",
    "tax_value_account": "DOUBLE", "account_currency_id": "VARCHAR", "category_id": "BIGINT", "stage_id": "VARCHAR",
}  # fmt: skip


def column_of(crm, upper_name, type_=177):
    """Where spa_fields says that a field is: its column or its child table, and the type."""
    ((column, child, sql_type),) = crm.query(
        "select column_name, child_table, column_type from {}.spa_fields where upper_name = ? and entity_type_id = ?",
        upper_name,
        type_,
    )
    return column, child, sql_type


# --- three loads -----------------------------------------------------------------------------------------------------

FEATURED, UNLISTED, REMADE = 177, 1030, 1032
"""types: whose features are switched; whose field list stays away once; with a field that is made anew"""
LIST = f"spa_items_{REMADE}__uf_crm_13_y"
REMADE_AS = {
    "X": [
        ("integer", False, 4, "uf_crm_13_x"),
        ("string", False, "four", "uf_crm_13_x__v_text"),
        ("integer", False, 5, "uf_crm_13_x"),
    ],
    "Y": [
        ("integer", False, 6, "uf_crm_13_y"),
        ("integer", True, [1, 2], LIST),
        ("string", True, ["a", "b"], f"{LIST}__v_text"),
    ],
}
"""of each field its type, whether it takes several values, its value and its place in each load"""
LOADS = range(3)
SWITCHED = {FEATURED: [None, True, False], REMADE: [True, False, True]}
"""what becomes of the features of types before each load"""


@dataclass
class Seen:
    """What the tables held after one load."""

    featured: dict[int, tuple[Any, ...]]
    unlisted: dict[int, tuple[Any, ...]]
    words: list[str]
    types: dict[str, dict[str, str]]
    remade: dict[str, tuple[tuple[Any, ...], Any]]


def live_on(portal, step, names):
    """What happens before a load: to the features of two types, to the field list of another, to fields of one of them."""
    told = {"begindate": "2025-03-01T03:00:00+03:00", "companyId": 5, "opportunity": 7.5}
    for type_, switches in SWITCHED.items():
        for feature in FEATURES if switches[step] is not None else ():
            portal.switch_feature(type_, feature, on=switches[step])
        portal.items(type_).update(1, title=f"load {step}", **told)
    said = {
        0: {"A_B": 1, "SUM": "1|EUR", "WORDS": ["a"]},
        1: {"A_B": 2, "SUM": "2|USD", "WORDS": ["b", "c"]},
        2: {"A_B": 3},
    }
    portal.items(UNLISTED).update(1, **{names[tail]: value for tail, value in said[step].items()})
    if step == 1:
        portal.items(UNLISTED).update(2, **{names["A_B"]: "many"})
    for tail, remade in REMADE_AS.items():
        type_, multiple, value, _ = remade[step]
        if step:
            portal.remove_field(REMADE, f"UF_CRM_13_{tail}")
        name = portal.add_field(REMADE, tail, type_, tail, multiple=multiple, pool=[[]] if multiple else [None])
        portal.items(REMADE).update(1, **{name: value})

    def say(command, result):
        is_list = command.startswith("crm.item.fields") and f"entityTypeId={UNLISTED}" in command
        return {"fields": []} if is_list and step == 1 else result

    portal.say = say


def look(crm):
    """What there is to compare after a load."""
    featured = "begindate", "company_id", "opportunity", "title"
    columns = "uf_crm_12_a_b", "uf_crm_12_sum", "uf_crm_12_sum_currency"
    return Seen(
        featured={type_: crm.one(1, *featured, entity_type_id=type_) for type_ in SWITCHED},
        unlisted={id_: crm.one(id_, *columns, entity_type_id=UNLISTED) for id_ in (1, 2)},
        words=[row["value"] for row in crm.rows(f"spa_items_{UNLISTED}__uf_crm_12_words") if row["item_id"] == 1],
        types=crm.tables(),
        remade={tail: look_at_field(crm, tail) for tail in REMADE_AS},
    )


def look_at_field(crm, tail):
    """Where spa_fields says that a field is, and what is there."""
    column, child, _ = place = column_of(crm, f"UF_CRM_13_{tail}", REMADE)
    if child:
        return place, [row["value"] for row in crm.rows(child) if row["item_id"] == 1]
    return place, crm.one(1, column, entity_type_id=REMADE)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A warehouse after three loads of three types, and what was seen after each."""
    folder, clock = tmp_path_factory.mktemp("columns"), Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))
    portal = ScriptedPortal("empty", clock=clock)
    for number in (FEATURED, UNLISTED, REMADE):
        portal.add_type(f"Process {number}", entity_type_id=number, items=3, off=PLAIN)
    names = {
        "A_B": portal.add_field(UNLISTED, "A_B", "integer", "Number"),
        "SUM": portal.add_field(UNLISTED, "SUM", "money", "Sum"),
        "WORDS": portal.add_field(UNLISTED, "WORDS", "string", "Words", multiple=True, pool=[[]]),
    }
    seen = []
    with switched_run_context(RunContext(str(folder))):
        crm = make_warehouse(folder, portal, make("duckdb", folder))
        for step in LOADS:
            clock.advance(2 * HOUR)
            live_on(portal, step, names)
            crm.run("spa_items", "spa_fields")
            seen.append(look(crm))
    yield crm, seen
    crm.database.drop()


def test_features_are_switched_off_and_on(history):
    """The columns of a feature have their types before it was ever on, and keep them while it is off."""
    for step, seen in enumerate(history[1]):
        for type_, switches in SWITCHED.items():
            assert SYSTEM_TYPES.items() <= seen.types[f"spa_items_{type_}"].items()
            if switches[step] is not None:
                assert (date(2025, 3, 1), 5, 7.5, f"load {step}") == seen.featured[type_]


def test_a_run_without_a_field_list(history):
    """`fields: []` for one run: the type stays as it was, and is named; the next run goes on in the same columns and child tables."""
    crm, (before, without, after) = history
    table = f"spa_items_{UNLISTED}"

    assert ((1, 1, "EUR"), ["a"]) == (before.unlisted[1], before.words)
    assert (before.unlisted, before.words) == (without.unlisted, without.words)
    assert [(UNLISTED, "spa_fields")] == [(row["entity_type_id"], row["resource"]) for row in crm.issues()]
    assert ((3, 2, "USD"), ["b", "c"]) == (after.unlisted[1], after.words)
    assert before.types[table] == without.types[table] == after.types[table]
    assert [(table, 2, "uf_crm_12_a_b", '"many"')] == crm.query(
        "select table_name, item_id, column_name, raw_value from {}.rejected_values"
    )


def test_a_field_that_is_made_anew_with_other_types(history):
    """Each type has its column; with its old type back, the field is in its old column; lists have child tables likewise."""
    for tail, remade in REMADE_AS.items():
        for (type_, _, value, place), seen in zip(remade, history[1], strict=True):
            (column, child, sql_type), found = seen.remade[tail]
            assert (place, {"integer": "BIGINT", "string": "TEXT"}[type_]) == (child or column, sql_type)
            assert value == found


# --- keys that no list explains -------------------------------------------------------------------------------------


@pytest.mark.all_databases(slow=True)
def test_keys_of_rows(portal_with, warehouse, clock):
    """What came as text goes on in a column of its type, which spa_fields names; all items are read for it.

    A selection brings what it names alone: the id and the mark of the deleted besides, no advertising tags, no system columns, no
    keys of no field. A column that only rows know can be left out by its name, and is not told to be missing; a name that nothing
    knows is.
    """
    portal = portal_with({177: 12, 1030: 3, 1032: 3}, scripted=True)
    crm = warehouse(portal)

    def say(command, result):
        if command.startswith("crm.item.list"):
            result["items"] = [{**item, "ufCrm11Late": item.get("ufCrm11Late", "5")} for item in result["items"]]
        return result

    portal.say = say
    left_out = [f"spa_items_1032.{name}" for name in ("uf_crm_11_late", "utm_source", "is_recurring")]
    chosen = {"select": {1030: ["title", "opportunityAccount"]}, "leave_out": left_out}
    crm.run("spa_items", "spa_fields", **chosen)
    assert "5" == crm.one(1, "uf_crm_11_late")
    assert {"id", "title", "opportunity_account", "deleted_at"} == set(crm.types("spa_items_1030"))
    assert crm.one(1, "title", entity_type_id=1030)
    assert not {"uf_crm_11_late", "utm_source", "is_recurring"} & set(crm.types("spa_items_1032"))
    assert [] == crm.issues()

    clock.advance(4 * HOUR)
    name = portal.add_field(177, "LATE", "integer", "Late")
    portal.items(177).update(1, **{name: 7})
    crm.run("spa_items", "spa_fields", **{**chosen, "leave_out": [*left_out[:1], "spa_items_1032.uf_crm_11_lat"]})

    assert ("uf_crm_11_late__v_bigint", None, "BIGINT") == column_of(crm, "UF_CRM_11_LATE")
    assert (7, None) == crm.one(1, "uf_crm_11_late__v_bigint", "uf_crm_11_late")
    items = portal.items(177)
    assert {id_: items[id_][name] for id_ in items} == dict(
        crm.query(f"select id, uf_crm_11_late__v_bigint from {{}}.{TABLE}")
    )
    assert ["leave_out names columns that do not exist: uf_crm_11_lat"] == [row["message"] for row in crm.issues()]


def test_a_type_that_is_too_wide_is_named(portal_with, warehouse, monkeypatch, caplog):
    """A type beyond what the destination takes is named among the issues, and the other types are read."""
    portal = portal_with({177: 3, 1030: 3})
    for number in range(30):
        portal.add_field(177, f"N{number}", "integer", "N")
    crm = warehouse(portal)
    monkeypatch.setattr("bitrix24_source.source.capabilities._MAX_COLUMNS", {"duckdb": 60})
    crm.pipeline.extract(crm.source().with_resources("spa_items"))
    (told,) = caplog.messages

    assert told.startswith("spa_items, type 177: more columns than the destination allows")
    assert "spa_items_1030" in crm.pipeline.default_schema.tables
    assert TABLE not in crm.pipeline.default_schema.tables


# --- what is left out -----------------------------------------------------------------------------------------------


def test_a_telephone_number_that_is_left_out_later_is_in_no_view(warehouse, clock):
    """Where it was loaded before, the view leaves it out at once, and the table keeps it until a full refresh.

    tests/app/test_left_out_later.py has that; test_personal_data.py a number that was never loaded.
    """
    portal = Portal(scenario="demo", items=20, clock=clock)
    person = portal.items(3).ids()[0]
    number = portal.items(3)[person]["fm"][0]["value"]
    crm = warehouse(portal)
    others = ["contacts.observers", "contacts.company_ids"]
    for left_out in ([], ["contacts.fm"]):
        crm.run("contacts", "crm_fields", leave_out=[*others, *left_out])
        assert [] == create_views(crm.pipeline)
        shown = {row[0]: repr(row) for row in crm.query("select * from {}.contacts_labeled")}
        assert (number in shown[person]) is (not left_out)
        clock.advance(HOUR)

    assert number in repr(crm.query("select * from {}.contacts__fm"))
    assert [] == crm.issues()

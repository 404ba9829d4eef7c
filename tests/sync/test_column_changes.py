"""Columns outlive features, fields and types: every load ends well, no column changes its type, and no value is lost."""

# ruff: noqa: S608 - tables and columns of the tests' own

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from bitrix24_source import create_views
from bitrix24_source.sandbox import Portal

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


@pytest.fixture
def crm(portal_with, warehouse, clock):
    """Twelve items of a type whose features are off, and a way to let hours pass and load."""
    made = warehouse(portal_with({177: 12}, scripted=True))

    def load(*resources, **arguments):
        clock.advance(2 * HOUR)
        made.run(*(resources or ("spa_items", "spa_fields")), **arguments)
        clock.advance(2 * HOUR)

    made.load = load
    return made


def column_of(crm, upper_name):
    """Where spa_fields says that a field is: its column or its child table, and the type."""
    ((column, child, type_),) = crm.query(
        "select column_name, child_table, column_type from {}.spa_fields where upper_name = ?", upper_name
    )
    return column, child, type_


def test_features_are_switched_off_and_on(crm):
    """The columns of a feature have their types before it was ever on, and keep them while it is off."""
    crm.load()
    before = crm.types(TABLE)
    assert SYSTEM_TYPES.items() <= before.items()
    for on in (True, False, True):
        for feature in FEATURES:
            crm.portal.switch_feature(177, feature, on=on)
        crm.portal.items(177).update(
            1, title=f"on: {on}", begindate="2025-03-01T03:00:00+03:00", companyId=5, opportunity=7.5
        )
        crm.load()

        assert (date(2025, 3, 1), 5, 7.5, f"on: {on}") == crm.one(1, "begindate", "company_id", "opportunity", "title")
        assert SYSTEM_TYPES.items() <= crm.types(TABLE).items()
    assert [] == crm.issues()
    assert [] == crm.query("select 1 from {}.rejected_values")


def test_a_run_without_a_field_list(crm):
    """`fields: []` for one run: keys go on in the columns in which they were, lists in their child tables."""
    number = crm.portal.add_field(177, "A_B", "integer", "Number")
    money = crm.portal.add_field(177, "SUM", "money", "Sum")
    words = crm.portal.add_field(177, "WORDS", "string", "Words", multiple=True, pool=[[]])
    crm.portal.items(177).update(1, **{number: 1, money: "1|EUR", words: ["a"]})
    crm.load()
    before = crm.tables()

    def say(command, result):
        return {"fields": []} if command.startswith("crm.item.fields") else result

    crm.portal.say = say
    crm.portal.items(177).update(1, **{number: 2, money: "2|USD", words: ["b", "c"]})
    crm.portal.items(177).update(2, **{number: "many"})
    crm.load()

    assert (2, 2, "USD") == tuple(map(_plain, crm.one(1, "uf_crm_11_a_b", "uf_crm_11_sum", "uf_crm_11_sum_currency")))
    assert ["b", "c"] == [row["value"] for row in crm.rows(f"{TABLE}__uf_crm_11_words") if row["item_id"] == 1]
    assert [(2, "uf_crm_11_a_b", '"many"')] == crm.query(
        "select item_id, column_name, raw_value from {}.rejected_values"
    )
    assert before[TABLE] == crm.types(TABLE)
    assert [] == crm.issues()

    crm.portal.say = lambda _command, result: result
    crm.portal.items(177).update(1, **{number: 3})
    crm.load()
    assert 3 == crm.one(1, "uf_crm_11_a_b")


def _plain(value):
    return value if isinstance(value, str) else int(value)


@pytest.mark.all_databases
def test_a_key_that_is_listed_later(crm):
    """What came as text goes on in a column of its type, which spa_fields names; all items are read for it."""

    def say(command, result):
        if command.startswith("crm.item.list"):
            result["items"] = [{**item, "ufCrm11Late": item.get("ufCrm11Late", "5")} for item in result["items"]]
        return result

    crm.portal.say = say
    crm.load()
    assert "5" == crm.one(1, "uf_crm_11_late")

    crm.portal.say = lambda _command, result: result
    name = crm.portal.add_field(177, "LATE", "integer", "Late")
    crm.portal.items(177).update(1, **{name: 7})
    crm.load()

    assert ("uf_crm_11_late__v_bigint", None, "BIGINT") == column_of(crm, "UF_CRM_11_LATE")
    assert (7, None) == crm.one(1, "uf_crm_11_late__v_bigint", "uf_crm_11_late")
    items = crm.portal.items(177)
    assert {id_: items[id_][name] for id_ in items} == dict(
        crm.query(f"select id, uf_crm_11_late__v_bigint from {{}}.{TABLE}")
    )
    assert [] == crm.issues()


def test_a_field_that_is_made_anew_with_other_types(crm):
    """Each type has its column; with its old type back, the field is in its old column; lists have child tables likewise."""
    steps = [
        ("integer", False, 4, "uf_crm_11_x"),
        ("string", False, "four", "uf_crm_11_x__v_text"),
        ("integer", True, [1, 2], f"{TABLE}__uf_crm_11_x"),
        ("string", True, ["a", "b"], f"{TABLE}__uf_crm_11_x__v_text"),
        ("integer", False, 5, "uf_crm_11_x"),
    ]
    for type_, multiple, value, place in steps:
        name = crm.portal.add_field(177, "X", type_, "X", multiple=multiple, pool=[[]] if multiple else [None])
        crm.portal.items(177).update(1, **{name: value})
        crm.load()
        column, child, sql_type = column_of(crm, "UF_CRM_11_X")

        assert place == (child or column)
        assert {"integer": "BIGINT", "string": "TEXT"}[type_] == sql_type
        found = [row["value"] for row in crm.rows(child) if row["item_id"] == 1] if multiple else crm.one(1, column)
        assert value == found
        crm.portal.remove_field(177, "UF_CRM_11_X")
    assert [] == crm.issues()
    assert [] == crm.query("select 1 from {}.rejected_values")


def test_a_selection_brings_what_it_names_alone(crm):
    """The id, what was named, and the mark of the deleted: no advertising tags, no system columns, no keys of no field."""

    def say(command, result):
        if command.startswith("crm.item.list"):
            result["items"] = [{**item, "oddThing": "odd"} for item in result["items"]]
        return result

    crm.portal.say = say
    crm.load(select={177: ["title", "opportunityAccount"]})

    assert {"id", "title", "opportunity_account", "deleted_at"} == set(crm.types(TABLE))
    assert crm.one(1, "title")


def test_a_type_that_is_too_wide_is_named(portal_with, warehouse, monkeypatch):
    """A type beyond what the destination takes is one row of load_issues, and the other types are loaded."""
    portal = portal_with({177: 3, 1030: 3})
    for number in range(30):
        portal.add_field(177, f"N{number}", "integer", "N")
    crm = warehouse(portal)
    monkeypatch.setattr("bitrix24_source.source.capabilities._MAX_COLUMNS", {"duckdb": 60})
    crm.run()
    (issue,) = crm.issues()

    assert (177, "spa_items") == (issue["entity_type_id"], issue["resource"])
    assert "more columns than the destination allows" in issue["message"]
    assert [1, 2, 3] == crm.ids(1030)
    assert TABLE not in crm.tables()


# --- what is left out -----------------------------------------------------------------------------------------------


def test_a_column_that_only_rows_know_is_left_out(crm):
    """It can be left out by its column, and is not told to be missing; a name that nothing knows is."""

    def say(command, result):
        if command.startswith("crm.item.list"):
            result["items"] = [{**item, "oddThing": "+49 30 5551234"} for item in result["items"]]
        return result

    crm.portal.say = say
    crm.load(leave_out=[f"{TABLE}.odd_thing", f"{TABLE}.utm_source", f"{TABLE}.is_recurring"])
    assert [] == crm.issues()
    assert not {"odd_thing", "utm_source", "is_recurring"} & set(crm.types(TABLE))

    crm.load(leave_out=[f"{TABLE}.odd_thing", f"{TABLE}.od_thing"], full_refresh=True)
    (issue,) = crm.issues()
    assert issue["message"].endswith("do not exist: od_thing")


PLANTED = "+49 30 5550 1234"


@pytest.mark.parametrize("is_late", [False, True])
def test_a_telephone_number_that_is_left_out_is_nowhere(portal_with, warehouse, clock, is_late):
    """`contacts.fm` takes with it what repeats phones and e-mails: no table, view or file has the number.

    Where it was loaded before, the view leaves it out at once, and a full refresh takes it out of the tables.
    """
    portal = Portal(scenario="demo", items=20, clock=clock)
    contact = portal.items(3).ids()[0]
    number = {"id": 1, "valueType": "WORK", "value": PLANTED, "typeId": "PHONE"}
    portal.items(3).update(contact, fm=[number], phone=PLANTED, phoneWork=PLANTED, email=PLANTED, emailHome=PLANTED)
    crm = warehouse(portal)
    if is_late:
        crm.run("contacts", "crm_fields")
        assert PLANTED in repr(crm.query("select * from {}.contacts"))
        clock.advance(HOUR)
        crm.run("contacts", "crm_fields", leave_out=["contacts.fm"])
        assert [] == create_views(crm.pipeline)
        assert PLANTED not in repr(crm.query("select * from {}.contacts_labeled"))
        crm.pipeline.run(
            crm.source(leave_out=["contacts.fm"], full_refresh=True).with_resources("contacts"),
            refresh="drop_resources",
        )
    else:
        crm.run("contacts", "crm_fields", leave_out=["contacts.fm"])
    assert [] == create_views(crm.pipeline)
    everything = repr([crm.query(f"select * from {{}}.{table}") for table in crm.tables()])
    files = b"".join(
        path.read_bytes() for path in Path(crm.pipeline.working_dir).parent.parent.rglob("*") if path.is_file()
    )

    assert contact in [id_ for (id_,) in crm.query("select id from {}.contacts_labeled")]
    assert contact in [id_ for (id_,) in crm.query("select id from {}.contacts")]
    assert PLANTED not in everything
    assert is_late or PLANTED.encode() not in files
    assert not [name for name in crm.types("contacts") if name.startswith(("phone", "email", "imol"))]
    assert "contacts__fm" not in crm.tables()
    assert [] == crm.issues()

"""The labelled views say the portal's words, in DuckDB and PostgreSQL alike, whatever was loaded beside the items."""

# ruff: noqa: RUF001 - letters that look like others are the point

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial

import databases
import dlt
import pytest
from dlt.common.runtime.run_context import RunContext, switched_run_context

from bitrix24_source import create_views
from bitrix24_source.sandbox import Clock

from .conftest import NOON, TABLE, make_requests_portal, open_warehouse

CURRENCIES = [
    {"currency": "EUR", "amount_cnt": 1, "amount": Decimal(1), "is_base": True, "full_name": "Euro"},
    {"currency": "USD", "amount_cnt": 10, "amount": Decimal(8), "is_base": False, "full_name": "US dollar"},
    {"currency": "USD", "amount_cnt": 10, "amount": Decimal(8), "is_base": False, "full_name": "US dollar"},
    {"currency": "JPY", "amount_cnt": 0, "amount": Decimal(1), "is_base": False, "full_name": "Yen"},
]


def users(*people):
    return [{"id": id_, "name": name, "last_name": last_name} for id_, name, last_name in people]


def statuses(*entries):
    return [{"entity_id": directory, "status_id": code, "name": name} for directory, code, name in entries]


@pytest.fixture(scope="module", params=databases.ENGINES)
def labelled(request, tmp_path_factory):
    """A smart process with fields of every kind, and all that explains them; its rows by id. Each test has items of its own."""
    folder = tmp_path_factory.mktemp("labelled")
    portal = make_requests_portal(Clock(NOON), items=20)
    portal.add_type("Lots", entity_type_id=1030, items=3)
    add, update = partial(portal.add_field, TABLE), portal.items(TABLE).update

    update(1, stageId="DT177_60:SUCCESS", previousStageId="DT177_60:NEW")
    grade = add("GRADE", "enumeration", "Grade", options=["Low", "High"])
    update(2, **{grade: portal.world.objects[TABLE].schema.fields[grade].user_field.options[0].id})
    update(3, **{grade: 0})
    checked = add("CHECKED", "employee", "Checked by")
    update(4, assignedById=4, companyId=7, contactId=8, mycompanyId=9, sourceId="WEB", **{checked: 5})
    trade = add("TRADE", "crm_status", "Trade", settings={"ENTITY_TYPE": "INDUSTRY"})
    for id_, value in enumerate(["IT", "31", "gone"], start=5):
        update(id_, **{trade: value})
    fields = portal.world.objects[TABLE].schema.fields
    fields["parentId1030"] = replace(
        fields["companyId"],
        name="parentId1030", type="crm_entity", upper="PARENT_ID_1030", title="Lot", feature="",
        extra={"settings": {"parentEntityTypeId": 1030}},
    )  # fmt: skip
    update(8, parentId1030=2)
    money = add("BUDGET", "money", "Budget")
    for id_, (amount, currency, budget) in enumerate(AMOUNTS, start=9):
        update(id_, opportunity=amount, currencyId=currency, **{money: budget})
    for type_, (values, more, _) in LISTS.items():
        name = add(f"MANY_{type_.upper()}", type_, f"Many {type_}", multiple=True, **more)
        ids = {option.value: option.id for option in portal.world.objects[TABLE].schema.fields[name].user_field.options}
        update(15, **{name: [ids.get(value, value) for value in values]})
        update(16, **{name: []})

    with switched_run_context(RunContext(str(folder))):
        crm = open_warehouse(request.param, portal, folder)
        crm.load_rows(
            users=users((4, "Anna", "Petrova"), (5, None, "Schmidt"), (6, " ", "")),
            companies=[{"id": 7, "title": "Ltd"}, {"id": 9, "title": "Ours"}],
            contacts=[{"id": 8, "name": "Ivan", "last_name": None}],
            statuses=[
                *statuses(("SOURCE", "WEB", "Website"), ("OTHER", "WEB", "wrong directory")),
                {"id": 30, "entity_id": "INDUSTRY", "status_id": "IT", "name": "Computers"},
                {"id": 31, "entity_id": "INDUSTRY", "status_id": "BANK", "name": "Banks"},
            ],
            currencies=CURRENCIES,
        )
        crm.load()
        crm.rows = {row["ID"]: row for row in crm.view()}
    yield crm
    crm.store.drop()


def test_stage_and_category_have_names_beside_their_ids(labelled):
    """The field's title names the words, with " ID" after it the ids; a stage says whether it is the end."""
    row = labelled.rows[1]
    stages = {status["STATUS_ID"]: status["NAME"] for status in labelled.portal.world.statuses}

    assert stages["DT177_60:SUCCESS"] == row["Stage"]
    assert ("DT177_60:SUCCESS", "success") == (row["Stage ID"], row["Stage semantics"])
    assert (stages["DT177_60:NEW"], "DT177_60:NEW") == (row["Previous stage"], row["Previous stage ID"])
    assert (60, labelled.portal.world.categories[TABLE][0]["name"]) == (row["Pipeline ID"], row["Pipeline"])


def test_options_have_their_words(labelled):
    """An enumeration shows its option; the id stays, and an unset one is NULL in both."""
    low, unset = labelled.rows[2], labelled.rows[3]

    assert ("Low", True) == (low["Grade"], low["Grade ID"] > 0)
    assert (None, None) == (unset["Grade"], unset["Grade ID"])


def test_people_companies_and_contacts_have_names(labelled):
    """Each link that a table explains has a name beside it: users of every kind, companies, contacts, own company, source."""
    row = labelled.rows[4]

    assert ("Anna Petrova", 4) == (row["Assigned to"], row["Assigned to ID"])
    assert ("Schmidt", 5) == (row["Checked by"], row["Checked by ID"])
    assert ("Ltd", "Ivan", "Ours") == (row["Company"], row["Contact"], row["Your company details"])
    assert ("Website", "WEB") == (row["Source"], row["Source ID"])
    assert {"Created by", "Updated by", "Moved by", "Last activity in timeline by"} <= row.keys()


def test_directories_of_custom_fields(labelled):
    """A custom field that points into a directory shows the entry, whether it holds the entry's code or its number."""
    assert [("Computers", "IT"), ("Banks", "31"), (None, "gone")] == [
        (labelled.rows[id_]["Trade"], labelled.rows[id_]["Trade ID"]) for id_ in (5, 6, 7)
    ]


def test_linked_items_have_titles(labelled):
    """A link to another smart process, or to a deal, shows that item's title."""
    assert labelled.portal.items(1030)[2]["title"] == labelled.rows[8]["Lot"]


AMOUNTS = [(10.5, "USD", "20|USD"), (10.5, "EUR", "0.5|EUR"), (10.5, "XXX", "1|"), (1e300, "USD", ""), (1e-300, "USD", ""),
           (5.0, "JPY", "7|JPY")]  # fmt: skip


def test_amounts_in_the_account_currency(labelled):
    """Amount times rate; NULL where the rate is not known, and no amount is too odd for a view."""
    rows = [labelled.rows[id_] for id_, _ in enumerate(AMOUNTS, start=9)]

    assert [10.5 * 0.8, 10.5, None, None, 0.0, None] == [row["Amount in account currency"] for row in rows]
    assert [20 * 0.8, 0.5, None, None, None, None] == [row["Budget in account currency"] for row in rows]
    assert [Decimal(20), "USD"] == [rows[0]["Budget"], rows[0]["Budget currency"]]
    assert [("US dollar", "USD"), ("Euro", "EUR"), (None, "XXX")] == [
        (row["Currency"], row["Currency ID"]) for row in rows[:3]
    ]


LISTS = {
    "enumeration": (["High", "Low"], {"options": ["Low", "High"]}, "High, Low"),
    "employee": ([5, 4, 99], {}, "Schmidt, Anna Petrova, 99"),
    "double": ([1, 0.5, 1e20], {}, "1, 0.5, 1e+20"),
    "money": (["1234.50|EUR", "20|"], {}, "1234.5 EUR, 20"),
    "datetime": (
        ["2025-01-01T10:00:00+03:00", "2024-01-01T00:00:00+00:00"], {}, "2025-01-01 07:00:00, 2024-01-01 00:00:00",
    ),
    "date": (["2025-01-01T03:00:00+03:00"], {}, "2025-01-01"),
    "string": (["b, c", "a"], {}, "b, c, a"),
    "boolean": (["Y", "N"], {}, "true, false"),
}  # fmt: skip
"""values of a field of each type, what its field has besides, and the text that they become"""


def test_lists_are_one_readable_text(labelled):
    """Values of a multiple field in their order, labels where there are any, else the value itself."""
    assert {type_: text for type_, (_, _, text) in LISTS.items()} == {
        type_: labelled.rows[15][f"Many {type_}"] for type_ in LISTS
    }
    assert {None} == {labelled.rows[16][f"Many {type_}"] for type_ in LISTS}


def test_a_view_takes_what_was_loaded(warehouse):
    """Tables that were not loaded leave out their labels and nothing else; ids, amounts and rows are all there."""
    warehouse.load("spa_fields", "spa_items")
    row = warehouse.view()[0]

    assert len(warehouse.view()) == len(warehouse.items)
    assert {"Stage ID", "Assigned to ID", "Pipeline ID", "Currency ID", "Amount", "Observers"} <= row.keys()
    assert set() == {"Stage", "Assigned to", "Pipeline", "Currency", "Amount in account currency"} & row.keys()


def test_a_view_without_the_catalogue(warehouse):
    """Without the field list the columns are called as in the table."""
    warehouse.load("spa_items")
    row = warehouse.view()[0]

    assert {"id", "title", "stage_id", "assigned_by_id", "observers"} <= row.keys()
    assert set() == {"deleted_at", "_dlt_load_id"} & row.keys()


def test_labels_never_hide_or_repeat_an_item(warehouse):
    """Dictionaries with duplicates, gaps, hidden users and NULL keys: each item is there once."""
    for id_ in warehouse.items.ids():
        warehouse.items.update(id_, assignedById=4 + id_ % 3, companyId=7, currencyId="USD", sourceId="WEB")
    warehouse.load_rows(
        users=[*users((4, "Anna", "Petrova"), (4, "Anna", "Petrova"), (4, "Zoe", "Zimmer")), {"id": None, "name": "x"}],
        companies=[{"id": 7, "title": "Ltd"}] * 3,
        statuses=statuses(("SOURCE", "WEB", "Website"), ("SOURCE", "WEB", "Web")),
        currencies=CURRENCIES,
    )
    warehouse.load()
    warehouse.pipeline.run(
        warehouse.source("spa_stages", "spa_categories", "spa_field_options"), write_disposition="append"
    )
    rows = warehouse.view()

    assert list(warehouse.items.ids()) == [row["ID"] for row in rows]
    assert {"Anna Petrova", None} == {row["Assigned to"] for row in rows}
    assert all(row["Stage"] for row in rows)


def test_deleted_items_are_left_out(loaded_warehouse):
    """An item that is marked as deleted is not in the view, and is again when it is back."""
    loaded_warehouse.items.delete(2)
    loaded_warehouse.run("spa_items", sweep=True)
    gone = [row["ID"] for row in loaded_warehouse.view()]
    loaded_warehouse.items.restore(2)
    loaded_warehouse.run("spa_items", sweep=True)

    assert 2 not in gone
    assert [1, 2, 3] == [row["ID"] for row in loaded_warehouse.view()][:3]


def test_a_renamed_word_shows_without_items_or_views(loaded_warehouse):
    """Labels are joined when the view is read: a run of the dictionaries alone brings new words."""
    warehouse = loaded_warehouse
    warehouse.portal.clock.advance(3600)
    name = warehouse.portal.add_field(TABLE, "GRADE", "enumeration", "Grade", options=["Low", "High"])
    low = warehouse.portal.world.objects[TABLE].schema.fields[name].user_field.options[0].id
    warehouse.items.update(1, **{name: low})
    warehouse.load_rows(users=users((4, "Anna", "Petrova")))
    warehouse.items.update(1, assignedById=4, stageId="DT177_60:NEW")
    warehouse.load()
    warehouse.portal.rename_option(int(low), "Lowest")
    warehouse.portal.rename_stage("DT177_60:NEW", "Fresh")
    warehouse.load_rows(users=users((4, "Anna", "Sidorova")))
    warehouse.run("spa_field_options", "spa_stages")
    row = warehouse.view()[0]

    assert ("Lowest", "Fresh", "Anna Sidorova") == (row["Grade"], row["Stage"], row["Assigned to"])


def test_a_renamed_field_renames_its_column(warehouse):
    """Titles are the columns' names, brought up to date by each load; a removed field keeps its column under its code."""
    kept = warehouse.portal.add_field(TABLE, "KEPT", "string", "Old")
    gone = warehouse.portal.add_field(TABLE, "GONE", "string", "Gone")
    warehouse.load()
    before = warehouse.view()[0].keys()
    field = warehouse.portal.world.objects[TABLE].schema.fields[kept]
    field.extra = {key: "New" if value == "Old" else value for key, value in field.extra.items()}
    field.title = "New"
    warehouse.portal.remove_field(TABLE, gone)
    warehouse.load()
    after = warehouse.view()[0].keys()

    assert {"Old", "Gone"} <= before
    assert "New" in after
    assert any(name.endswith("_gone") for name in after)
    assert set() == {"Old", "Gone"} & after


def test_crm_objects_have_views_too(warehouse):
    """Contacts with phones and e-mails, deals with their own stages and categories: the catalogue's twin tables are used."""
    warehouse.load("spa_fields")
    warehouse.load_rows(contacts=[{"id": 1, "name": "Ivan", "last_name": "Ivanov", "deleted_at": None}, {"id": 2, "name": "Eva"}],
        contacts__fm=[
            {"item_id": 1, "position": 1, "type_id": "PHONE", "value_type": "WORK", "value": "+7 2"},
            {"item_id": 1, "position": 0, "type_id": "PHONE", "value_type": "HOME", "value": "+7 1"},
            {"item_id": 1, "position": 2, "type_id": "EMAIL", "value_type": "WORK", "value": "a@b.example"},
        ],
        deals=[{"id": 5, "stage_id": "C1:NEW", "category_id": 1, "contact_id": 1}, {"id": 6, "stage_id": "NEW", "category_id": 0}],
        crm_fields=[
            crm_field(3, "ID", "integer", "ID"), crm_field(3, "NAME", "string", "First name"),
            crm_field(3, "LAST_NAME", "string", "Last name"), crm_field(3, "FM", "crm_multifield", "FM", is_multiple=True),
            crm_field(2, "ID", "integer", "ID"), crm_field(2, "STAGE_ID", "crm_status", "Stage", status_type="DEAL_STAGE"),
            crm_field(2, "CATEGORY_ID", "crm_category", "Pipeline"), crm_field(2, "CONTACT_ID", "crm_contact", "Contact"),
        ],
        categories=[{"entity_type_id": 2, "id": 0, "name": "General"}, {"entity_type_id": 2, "id": 1, "name": "Second"}],
        stages=[
            stage("DEAL_STAGE", "NEW", 0, "New"), stage("DEAL_STAGE_1", "C1:NEW", 1, "New in second"),
            stage("DEAL_STAGE_1", "NEW", 1, "another's"),
        ],
    )  # fmt: skip
    assert [] == create_views(warehouse.pipeline)

    assert [
        {"ID": 1, "First name": "Ivan", "Last name": "Ivanov", "Phone": "+7 1, +7 2", "E-mail": "a@b.example"},
        {"ID": 2, "First name": "Eva", "Last name": None, "Phone": None, "E-mail": None},
    ] == warehouse.view("contacts_labeled")
    assert [(5, "New in second", "Second", "Ivan Ivanov"), (6, "New", "General", None)] == [
        (row["ID"], row["Stage"], row["Pipeline"], row["Contact"]) for row in warehouse.view("deals_labeled")
    ]


def crm_field(entity_type_id, upper_name, type_, title, **more):
    name = upper_name.lower()
    blank = {"form_label": None, "status_type": None, "settings": None, "is_multiple": False, "is_dynamic": False}
    row = {"entity_type_id": entity_type_id, "upper_name": upper_name, "name": name, "type": type_, "title": title}
    return {**row, **blank, "position": 0, **more}


def stage(directory, code, category, name):
    return {"entity_type_id": 2, "entity_id": directory, "status_id": code, "category_id": category, "name": name,
            "semantics": "process"}  # fmt: skip


TITLES = ["Same", "Same", "same", "ＳＡＭＥ", "", " \n\t ", "x" * 300, "x" * 299 + "y", 'quo"ted', "it's", "back`tick\\", "100 % %s {x}",
          "🎉" * 40, "Длинное название поля, которого нет короче, " * 3, "two\nlines", "\x00", "Stage ID", "Stage", "ID",
          "Same uf_crm_10_t0", "\u200bSame", "cafe\u0301", "caf\u00e9"]  # fmt: skip


def test_hostile_titles_are_valid_names(warehouse):
    """Whatever a title holds, all columns are there, under names of their own that the next load gives again."""
    for number, title in enumerate(TITLES):
        warehouse.portal.add_field(TABLE, f"T{number}", "enumeration" if number % 3 else "string", title, options=["a"])
    warehouse.load()
    names = list(warehouse.view()[0])
    warehouse.load()

    assert names == list(warehouse.view()[0])
    assert len(names) == len({name.casefold() for name in names})
    assert sum(name.casefold().startswith("same uf_crm") for name in names) >= 5
    assert {'quo"ted', "it's", "two lines ID", "Stage", "ID"} <= set(names)
    assert len(names) > 2 * len(TITLES)


def test_destinations_without_views_are_left_alone(requests_portal, warehouse_in, tmp_path):
    """Files have no views; that is no problem."""
    warehouse = warehouse_in("duckdb", requests_portal, dlt.destinations.filesystem(str(tmp_path / "files")))
    warehouse.run("spa_fields")

    assert [] == create_views(warehouse.pipeline)


def test_nothing_loaded_is_no_problem(warehouse):
    """A pipeline that has not run has no views."""
    assert [] == create_views(warehouse.pipeline)

"""The labelled views say the portal's words, in DuckDB and PostgreSQL alike, whatever was loaded beside the items."""

# ruff: noqa: RUF001, S608 - letters that look like others are the point, names are our own

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import databases
import dlt
import duckdb
import pytest
from dlt.common.runtime.run_context import RunContext, switched_run_context

from bitrix24_source import create_views
from bitrix24_source.sandbox import Clock
from bitrix24_source.views.column_names import NameRules
from bitrix24_source.views.query import LabeledView, StoredTables

from .conftest import NOON, SHAPES, TABLE, make_requests_portal, open_warehouse

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


def crm_field(entity_type_id, upper_name, type_, title, **more):
    name = upper_name.lower()
    blank = {"form_label": None, "status_type": None, "settings": None, "is_multiple": False, "is_dynamic": False}
    row = {"entity_type_id": entity_type_id, "upper_name": upper_name, "name": name, "type": type_, "title": title}
    return {**row, **blank, "position": 0, **more}


def stage(directory, code, category, name):
    return {"entity_type_id": 2, "entity_id": directory, "status_id": code, "category_id": category, "name": name,
            "semantics": "process"}  # fmt: skip


OBJECTS = {
    "contacts__fm": [
        {"item_id": 1, "position": 1, "type_id": "PHONE", "value_type": "WORK", "value": "+7 2"},
        {"item_id": 1, "position": 0, "type_id": "PHONE", "value_type": "HOME", "value": "+7 1"},
        {"item_id": 1, "position": 2, "type_id": "EMAIL", "value_type": "WORK", "value": "a@b.example"},
    ],
    "deals": [{"id": 5, "stage_id": "C1:NEW", "category_id": 1, "contact_id": 1}, {"id": 6, "stage_id": "NEW", "category_id": 0}],
    "crm_fields": [
        crm_field(3, "ID", "integer", "ID"), crm_field(3, "NAME", "string", "First name"),
        crm_field(3, "LAST_NAME", "string", "Last name"), crm_field(3, "FM", "crm_multifield", "FM", is_multiple=True),
        crm_field(2, "ID", "integer", "ID"), crm_field(2, "STAGE_ID", "crm_status", "Stage", status_type="DEAL_STAGE"),
        crm_field(2, "CATEGORY_ID", "crm_category", "Pipeline"), crm_field(2, "CONTACT_ID", "crm_contact", "Contact"),
    ],
    "categories": [{"entity_type_id": 2, "id": 0, "name": "General"}, {"entity_type_id": 2, "id": 1, "name": "Second"}],
    "stages": [
        stage("DEAL_STAGE", "NEW", 0, "New"), stage("DEAL_STAGE_1", "C1:NEW", 1, "New in second"),
        stage("DEAL_STAGE_1", "NEW", 1, "another's"),
    ],
}  # fmt: skip
"""deals, their catalogue, and telephones of contacts"""
TITLES = ["Same", "Same", "same", "ＳＡＭＥ", "", " \n\t ", "x" * 300, "x" * 299 + "y", 'quo"ted', "it's", "back`tick\\", "100 % %s {x}",
          "🎉" * 40, "Длинное название поля, которого нет короче, " * 3, "two\nlines", "\x00", "Stage ID", "Stage", "ID",
          "Same uf_crm_10_t0", "\u200bSame", "cafe\u0301", "caf\u00e9"]  # fmt: skip
"""of the second smart process's fields"""
NOT_ASKED_FOR = [f"spa_items_{number}.{column}" for number in (TABLE, 1030) for column in ("contact_ids", "observers")]
"""lists that are tables as well, and of which no test here speaks"""


@pytest.fixture(scope="module", params=databases.ENGINES)
def labelled(request, tmp_path_factory):
    """A smart process with fields of every kind, and all that explains them; its rows by id. Each test has items of its own.

    Beside it another one with titles and lists of every kind, and deals and contacts.
    """
    folder = tmp_path_factory.mktemp("labelled")
    portal = make_requests_portal(Clock(NOON), items=24, off=())
    portal.add_type("Lots", entity_type_id=1030, items=3)
    add, update = partial(portal.add_field, TABLE), portal.items(TABLE).update

    update(1, stageId="DT177_60:SUCCESS", previousStageId="DT177_60:NEW")
    grade = add("GRADE", "enumeration", "Grade", options=["Low", "High"])
    update(2, **{grade: ids_of(portal, grade)["Low"]})
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
        name = portal.add_field(1030, f"MANY_{type_.upper()}", type_, f"Many {type_}", multiple=True, **more)
        ids = ids_of(portal, name, 1030)
        portal.items(1030).update(1, **{name: [ids.get(value, value) for value in values]})
        portal.items(1030).update(2, **{name: []})
    names = {"grade": grade, "kept": add("KEPT", "string", "Old"), "gone": add("GONE", "string", "Gone")}
    update(19, **{grade: ids_of(portal, grade)["Low"]}, assignedById=4, stageId="DT177_60:PREPARATION")
    for id_, person in ((20, 4), (21, 99), (22, 6)):
        update(id_, assignedById=person, companyId=7, currencyId="USD", sourceId="WEB")
    for number, title in enumerate(TITLES):
        portal.add_field(1030, f"T{number}", "enumeration" if number % 3 else "string", title, options=["a"])

    with switched_run_context(RunContext(str(folder))):
        crm = open_warehouse(request.param, portal, folder)
        crm.folder = str(folder)
        crm.load_rows(
            users=users((4, "Anna", "Petrova"), (5, None, "Schmidt"), (6, " ", "")),
            companies=[{"id": 7, "title": "Ltd"}, {"id": 9, "title": "Ours"}],
            contacts=[
                {"id": 1, "name": "Ivan", "last_name": "Ivanov", "deleted_at": None}, {"id": 2, "name": "Eva"},
                {"id": 8, "name": "Ivan", "last_name": None},
            ],
            statuses=[
                *statuses(("SOURCE", "WEB", "Website"), ("OTHER", "WEB", "wrong directory")),
                {"id": 30, "entity_id": "INDUSTRY", "status_id": "IT", "name": "Computers"},
                {"id": 31, "entity_id": "INDUSTRY", "status_id": "BANK", "name": "Banks"},
            ],
            currencies=CURRENCIES,
            **OBJECTS,
        )  # fmt: skip
        crm.load(leave_out=NOT_ASKED_FOR)
        crm.rows, crm.names = {row["ID"]: row for row in crm.view()}, names
        crm.lots = crm.view("spa_items_1030_labeled")
    yield crm
    crm.store.drop()


def ids_of(portal, field, type_=TABLE):
    """Options of a field by their words; a field that is no enumeration has none."""
    return {option.value: option.id for option in portal.world.objects[type_].schema.fields[field].user_field.options}


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
        type_: labelled.lots[0][f"Many {type_}"] for type_ in LISTS
    }
    assert {None} == {labelled.lots[1][f"Many {type_}"] for type_ in LISTS}


class Later(NamedTuple):
    """Rows of the view by id, one after the other: after a load, after words alone came, after these were there twice.

    And the second smart process's columns after the load.
    """

    titles: list[str]
    loaded: dict[int, dict[str, Any]]
    words: dict[int, dict[str, Any]]
    twice: list[dict[str, Any]]


@pytest.fixture(scope="module")
def later(labelled):
    """The same portal and tables a day later, on which much changed."""
    crm, fields = labelled, labelled.portal.world.objects[TABLE].schema.fields
    crm.portal.clock.advance(86400)
    note = crm.portal.add_field(TABLE, "NOTE", "string", "Note")
    tags = crm.portal.add_field(TABLE, "TAGS", "string", "Tags", multiple=True)
    crm.items.update(18, title="changed", **{note: "new", tags: ["a", "b"]})
    crm.items.delete(17)
    kept = fields[crm.names["kept"]]
    kept.title, kept.extra = "New", {key: "New" if value == "Old" else value for key, value in kept.extra.items()}
    crm.portal.remove_field(TABLE, crm.names["gone"])
    with switched_run_context(RunContext(crm.folder)):
        crm.load(sweep=True, leave_out=NOT_ASKED_FOR)
        loaded = {row["ID"]: row for row in crm.view()}
        titles = list(crm.view("spa_items_1030_labeled")[0])

        crm.items.restore(17)
        crm.portal.rename_option(int(ids_of(crm.portal, crm.names["grade"])["Low"]), "Lowest")
        crm.portal.rename_stage("DT177_60:PREPARATION", "Fresh")
        crm.execute("UPDATE users SET last_name = 'Sidorova' WHERE id = 4")
        crm.run("spa_field_options", "spa_stages")
        crm.execute(f"UPDATE spa_items_{TABLE} SET deleted_at = NULL WHERE id = 17")  # as a load of the items does
        words = {row["ID"]: row for row in crm.view()}

        for table in ("users", "companies", "statuses", "spa_stages", "spa_categories", "spa_field_options"):
            names = ", ".join(crm.store.columns(table))
            crm.execute(
                f"INSERT INTO {table} ({names}, _dlt_load_id, _dlt_id) SELECT {names}, '1', _dlt_id || '2' FROM {table}"
            )
        crm.execute(
            "INSERT INTO users (id, name, last_name, _dlt_load_id, _dlt_id) "
            "VALUES (4, 'Zoe', 'Zimmer', '1', 'a'), (NULL, 'x', 'y', '1', 'b')"
        )
        crm.execute(
            "INSERT INTO statuses (entity_id, status_id, name, _dlt_load_id, _dlt_id) VALUES ('SOURCE', 'WEB', 'Web', '1', 'a')"
        )
        return Later(titles, loaded, words, crm.view())


def test_changes_of_the_portal_reach_the_views(later):
    """Changed values, new columns and new lists are there after the load that brings them."""
    row = later.loaded[18]

    assert ("changed", "new", "a, b") == (row["Name"], row["Note"], row["Tags"])


def test_deleted_items_are_left_out(labelled, later):
    """An item that is marked as deleted is not in the view, and is again when it is back."""
    assert labelled.rows.keys() - later.loaded.keys() == {17}
    assert labelled.rows.keys() == later.words.keys()


def test_a_renamed_word_shows_without_items_or_views(later):
    """Labels are joined when the view is read: a run of the dictionaries alone brings new words."""
    before, after = (
        [rows[19][name] for name in ("Grade", "Stage", "Assigned to")] for rows in (later.loaded, later.words)
    )

    assert ["Low", "Anna Petrova"] == [before[0], before[2]]
    assert ["Lowest", "Fresh", "Anna Sidorova"] == after


def test_a_renamed_field_renames_its_column(labelled, later):
    """Titles are the columns' names, brought up to date by each load; a removed field keeps its column under its code."""
    before, after = labelled.rows[1].keys(), later.loaded[1].keys()

    assert {"Old", "Gone"} <= before
    assert "New" in after
    assert any(name.endswith("_gone") for name in after)
    assert set() == {"Old", "Gone"} & after


def test_labels_never_hide_or_repeat_an_item(labelled, later):
    """Dictionaries with duplicates, gaps, hidden users and NULL keys: each item is there once."""
    people = {row["ID"]: row["Assigned to"] for row in later.twice}

    assert list(labelled.items.ids()) == list(people)
    assert len(people) == len(later.twice)
    assert ["Anna Sidorova", None, None] == [people[id_] for id_ in (20, 21, 22)]
    assert all(row["Stage"] for row in later.twice)


def leave(warehouse, *tables):
    """The destination after a load of fewer resources: some tables, no views."""
    warehouse.execute(f"DROP VIEW spa_items_{TABLE}_labeled")
    for table in warehouse.store.types():
        if not table.startswith(("_dlt", "mart_")) and table.partition("__")[0] not in (
            *tables,
            f"spa_items_{TABLE}_labeled",
        ):
            cascade = " CASCADE" if warehouse.store.engine == "postgres" else ""
            warehouse.execute(f"DROP TABLE {table}{cascade}")
    assert [] == create_views(warehouse.pipeline)


def test_a_view_takes_what_was_loaded(loaded_warehouse):
    """Tables that were not loaded leave out their labels and nothing else; ids, amounts and rows are all there."""
    leave(loaded_warehouse, "spa_fields", f"spa_items_{TABLE}")
    row = loaded_warehouse.view()[0]

    assert len(loaded_warehouse.view()) == len(loaded_warehouse.items)
    assert {"Stage ID", "Assigned to ID", "Pipeline ID", "Currency ID", "Amount", "Observers"} <= row.keys()
    assert set() == {"Stage", "Assigned to", "Pipeline", "Currency", "Amount in account currency"} & row.keys()


def test_a_view_without_the_catalogue(loaded_warehouse):
    """Without the field list the columns are called as in the table."""
    leave(loaded_warehouse, f"spa_items_{TABLE}")
    row = loaded_warehouse.view()[0]

    assert {"id", "title", "stage_id", "assigned_by_id", "observers"} <= row.keys()
    assert set() == {"deleted_at", "_dlt_load_id"} & row.keys()


def test_phones_and_emails_are_columns_without_the_catalogue():
    """They are known by their table: one column for each kind, with the values in order."""
    tables = {"contacts": {"id": "bigint"}, "contacts__fm": SHAPES["contacts__fm"]}
    stored = StoredTables(tables, lambda name: [name], str, NameRules(255, "duckdb"))
    query = LabeledView(stored, "contacts", 3, [], is_spa=False).select().sql("duckdb")
    with duckdb.connect() as database:
        database.execute("create table contacts as select 1 as id")
        database.execute(
            "create table contacts__fm (item_id bigint, position bigint, type_id text, value_type text, value text)"
        )
        database.executemany(
            "insert into contacts__fm values (?, ?, ?, ?, ?)", [list(row.values()) for row in OBJECTS["contacts__fm"]]
        )
        found = database.execute(query)
        names = [column[0] for column in found.description]

        assert [{"id": 1, "Phone": "+7 1, +7 2", "E-mail": "a@b.example"}] == [
            dict(zip(names, row, strict=True)) for row in found.fetchall()
        ]


def test_crm_objects_have_views_too(labelled):
    """Contacts with phones and e-mails, deals with their own stages and categories: the catalogue's twin tables are used."""
    assert [
        {"ID": 1, "First name": "Ivan", "Last name": "Ivanov", "Phone": "+7 1, +7 2", "E-mail": "a@b.example"},
        {"ID": 2, "First name": "Eva", "Last name": None, "Phone": None, "E-mail": None},
        {"ID": 8, "First name": "Ivan", "Last name": None, "Phone": None, "E-mail": None},
    ] == labelled.view("contacts_labeled")
    assert [(5, "New in second", "Second", "Ivan Ivanov"), (6, "New", "General", None)] == [
        (row["ID"], row["Stage"], row["Pipeline"], row["Contact"]) for row in labelled.view("deals_labeled")
    ]


def test_hostile_titles_are_valid_names(labelled, later):
    """Whatever a title holds, all columns are there, under names of their own that the next load gives again."""
    names = list(labelled.lots[0])

    assert names == later.titles
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

"""Leads, deals, contacts, companies, quotes and invoices come through the machinery of the items, with what describes them."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest

from bitrix24_source import bitrix24
from bitrix24_source.errors import ConfigError
from bitrix24_source.sandbox import Clock, Portal
from bitrix24_source.sync import Exclusions

OBJECTS = {"leads": 1, "deals": 2, "contacts": 3, "companies": 4, "quotes": 7, "invoices": 31}
DAY = 24 * 3600


DESCRIBED = (
    "crm_fields",
    "crm_field_options",
    "categories",
    "stages",
    "users",
    "departments",
    "currencies",
    "statuses",
)


LINKS = {("contacts", "company_ids"): "companyIds", ("deals", "contact_ids"): "contactIds"}


@pytest.fixture(scope="module")
def whole(job_once):
    """All objects and what describes them, loaded once for the tests that only look; some lists are enough."""
    clock = Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))
    others = [
        f"{name}.{list_}" for name in OBJECTS for list_ in ("observers", "contact_ids") if (name, list_) not in LINKS
    ]
    return job_once(Portal("demo", items=12, clock=clock), *OBJECTS, *DESCRIBED, leave_out=others)


def told(crm, table, name):
    """One field of all items, as the portal answers it."""
    items = crm.portal.items(OBJECTS[table])
    return {id_: items[id_].get(name) for id_ in items.ids()}


@pytest.mark.all_databases(slow=True)
def test_every_object_has_its_items(whole):
    """Each object's table holds the portal's ids, titles and times, and the columns have the types of their fields."""
    for table, number in OBJECTS.items():
        rows = {row["id"]: row for row in whole.rows(table)}
        assert whole.portal.items(number).ids() == sorted(rows), table
        times = {id_: datetime.fromisoformat(time) for id_, time in told(whole, table, "updatedTime").items()}
        assert times == {id_: row["updated_time"] for id_, row in rows.items()}, table
        assert {None} == {row["deleted_at"] for row in rows.values()}
    assert told(whole, "contacts", "lastName") == {row["id"]: row["last_name"] for row in whole.rows("contacts")}
    amounts = told(whole, "deals", "opportunity")
    assert amounts == {row["id"]: row["opportunity"] for row in whole.rows("deals")}


@pytest.mark.all_databases(slow=True)
def test_phones_and_links_are_child_tables(whole):
    """`contacts__fm` has a row for each phone and e-mail, `contacts__company_ids` and `deals__contact_ids` one for each link."""
    said = [
        (id_, position, field["value"], field["typeId"], field["valueType"], field["id"])
        for id_, listed in told(whole, "contacts", "fm").items()
        for position, field in enumerate(listed)
    ]
    columns = ("item_id", "position", "value", "type_id", "value_type", "fm_id")
    assert sorted(said) == sorted(tuple(row[name] for name in columns) for row in whole.rows("contacts__fm"))
    for (table, column), name in LINKS.items():
        links = [(id_, other) for id_, others in told(whole, table, name).items() for other in others]
        assert links, table
        assert sorted(links) == sorted((row["item_id"], row["value"]) for row in whole.rows(f"{table}__{column}"))


def test_what_describes_them_stands_beside_the_smart_processes(whole):
    """Fields, options, categories and stages of the six objects have tables of their own; those of smart processes do not mix in."""
    fields = whole.rows("crm_fields")
    assert set(OBJECTS.values()) == {row["entity_type_id"] for row in fields}
    region = next(row for row in fields if row["upper_name"] == "UF_CRM_REGION")
    assert ("enumeration", "uf_crm_region", "BIGINT") == (region["type"], region["column_name"], region["column_type"])
    options = [row for row in whole.rows("crm_field_options") if row["upper_name"] == "UF_CRM_REGION"]
    assert ["North", "South", "Export"] == [row["value"] for row in sorted(options, key=lambda row: row["position"])]
    assert all(row["sort"] and row["xml_id"] for row in options)
    assert {(2, 0), (2, 1), (3, 0), (3, 13), (4, 0), (4, 14), (31, 5)} == {
        (row["entity_type_id"], row["id"]) for row in whole.rows("categories")
    }
    stages = {(row["entity_id"], row["status_id"]): row for row in whole.rows("stages")}
    assert (1, None) == tuple(stages["STATUS", "NEW"][name] for name in ("entity_type_id", "category_id"))
    assert (2, 0, "success") == tuple(
        stages["DEAL_STAGE", "WON"][name] for name in ("entity_type_id", "category_id", "semantics")
    )
    assert (2, 1) == tuple(stages["DEAL_STAGE_1", "C1:NEW"][name] for name in ("entity_type_id", "category_id"))
    assert {1, 2, 7, 31} == {row["entity_type_id"] for row in stages.values()}


def test_fields_say_where_their_values_are(whole):
    """`column_name`, `column_type` and `child_table` of crm_fields are those of the tables that were loaded."""
    there = whole.query("select table_name, column_name from information_schema.columns where table_schema = '{}'")

    for row in whole.rows("crm_fields"):
        table = next(table for table, number in OBJECTS.items() if number == row["entity_type_id"])
        place = (row["child_table"], "value") if row["child_table"] else (table, row["column_name"])
        assert place in there or place[1] is None, row


@pytest.mark.all_databases(slow=True)
def test_people_and_dictionaries(whole):
    """Users with their departments, currencies with their rates, and all directories, stages among them."""
    users = {row["id"]: row for row in whole.rows("users")}
    assert {int(row["ID"]) for row in whole.portal.world.users} == set(users)
    assert ("Olga", "Weber", True, "user3@example.com") == tuple(
        users[3][name] for name in ("name", "last_name", "active", "email")
    )
    assert {6, 13, 18} == {id_ for id_, row in users.items() if not row["active"]}, "people who left are there"
    departments = {(row["item_id"], row["value"]) for row in whole.rows("users__uf_department")}
    assert {
        (int(row["ID"]), number) for row in whole.portal.world.users for number in row["UF_DEPARTMENT"] or ()
    } == departments
    assert {None, 1, 7} == {row["parent"] for row in whole.rows("departments")}
    rates = {
        row["currency"]: (float(row["amount"]) / row["amount_cnt"], row["is_base"]) for row in whole.rows("currencies")
    }
    assert (1.0, True) == rates["RUB"]
    assert pytest.approx(0.1941) == rates["KZT"][0]
    statuses = {(row["entity_id"], row["status_id"]): row["name"] for row in whole.rows("statuses")}
    assert statuses == {(row["ENTITY_ID"], row["STATUS_ID"]): row["NAME"] for row in whole.portal.world.statuses}


def test_personal_data_is_off_unless_asked_for(crm):
    """Telephone numbers and birthdays of users, and the texts of activities, are columns only with personal_data."""

    def rows(resource, **chosen):
        credentials = crm.portal.credentials(crm.portal.base_url)["webhook"]
        source = bitrix24(credentials=credentials, client=crm.connect(), **chosen)
        return list(source.resources[resource])

    plain, asked_for = (rows("users", **chosen) for chosen in ({}, {"personal_data": True}))
    assert {"work_phone", "personal_mobile", "personal_birthday"} <= {*asked_for[0]} - {*plain[0]}
    assert {"+74950000001"} <= {row.get("work_phone") for row in asked_for}
    columns = []
    for chosen in ({}, {"personal_data": True}):
        crm.run("activities", **chosen)
        columns.append(set(crm.rows("activities")[0]))
    assert {"description", "location"} <= columns[1] - columns[0]


def test_what_is_left_out_is_not_there(loaded):
    """leave_out takes resources and columns: no table, no column, and crm_fields says so."""
    source = bitrix24(credentials=loaded.portal.credentials(loaded.portal.base_url)["webhook"])
    others = sorted(source.resources.keys() - {"contacts", "users", "crm_fields", "portal", "load_issues"})
    left_out = ["contacts.birthdate", "contacts.fm", "users.email", *others]
    loaded.run_all(leave_out=left_out)
    there = loaded.query("select table_name, column_name from information_schema.columns where table_schema = '{}'")
    tables, contacts = {table for table, _ in there}, {column for table, column in there if table == "contacts"}

    assert {"contacts", "users"} <= tables
    assert {"activities", "deals", "spa_items", "statuses"} <= {*others}
    assert set() == {"contacts__fm", *others} & tables
    assert "last_name" in contacts
    assert "birthdate" not in contacts
    assert ("users", "email") not in there
    places = {
        row["upper_name"]: (row["column_name"], row["child_table"])
        for row in loaded.rows("crm_fields")
        if row["entity_type_id"] == 3
    }
    assert (None, None) == places["BIRTHDATE"]
    assert [] == loaded.issues()


def test_a_typing_error_in_leave_out_is_told(crm):
    """A resource that does not exist stops the run; a column that does not exist is listed, for it may be one to keep out."""
    with pytest.raises(ConfigError, match="leave_out names unknown resources: activitys"):
        crm.run("deals", leave_out=["activitys"])
    crm.run("contacts", leave_out=["contacts.birth_date"])

    (message,) = crm.issues()
    assert "leave_out names columns that do not exist: birth_date" in message


def test_a_portal_without_leads(crm, caplog):
    """Where the portal works without leads they are left out, with a word and without an issue."""
    crm.portal.world.crm_mode = 2
    loaded = crm.run("leads", "deals", "crm_fields", "stages", "stage_history")

    assert "leads" not in loaded.rows
    assert 0 == loaded.issues
    assert any("works without them" in message for message in caplog.messages)
    assert 1 not in {
        row["entity_type_id"] for table in ("crm_fields", "stages", "stage_history") for row in crm.rows(table)
    }


def test_missing_scopes_cost_nothing_else(crm):
    """Without the scopes of people and departments, these two are listed, and everything else is loaded."""
    crm.portal.set_scopes({"crm", "userfieldconfig", "bizproc"})
    loaded = crm.run("deals", "users", "departments", "stages")

    issues = {row["resource"]: row["hint"] for row in crm.rows("load_issues")}
    assert {"users", "departments"} == set(issues)
    assert re.search("scope user_basic", issues["users"])
    assert 2 == loaded.issues
    assert (0, len(crm.portal.items(2))) == (len(crm.rows("users")), len(crm.rows("deals")))


def test_an_object_that_may_not_be_read_is_listed(crm):
    """A denied object is a row in load_issues; the others are loaded."""
    crm.portal.deny_type(31)
    crm.run("crm_fields", *OBJECTS)

    assert {("crm_fields", 31)} == {(row["resource"], row["entity_type_id"]) for row in crm.rows("load_issues")}
    assert len(crm.portal.items(2)) == len(crm.rows("deals"))


def test_later_runs_read_what_changed(crm, clock):
    """Deals, too: a changed one, a new one and one with an old time arrive by the next run, and nothing else is written."""
    crm.run("deals")
    deals = crm.portal.items(2)
    clock.advance(DAY)
    deals.update(5, title="Another")
    added = deals.add(title="New", updatedTime="2020-01-01T00:00:00+03:00")
    loaded = crm.run("deals", sweep_hours=0)
    rows = {row["id"]: row for row in crm.rows("deals")}

    assert 2 == loaded.rows["deals"]
    assert ("Another", "New") == (rows[5]["title"], rows[added]["title"])


def test_deleted_deals_are_marked(crm, clock):
    """A sweep marks them and keeps what they held; their children stay."""
    crm.run("deals")
    links = crm.rows("deals__contact_ids")
    crm.portal.items(2).delete(7)
    clock.advance(DAY)
    crm.run("deals", sweep=True)
    rows = {row["id"]: row for row in crm.rows("deals")}

    assert [7] == [id_ for id_, row in rows.items() if row["deleted_at"]]
    assert rows[7]["title"] == "Deal #7" or rows[7]["title"]
    assert links == crm.rows("deals__contact_ids")


def test_select_and_filter_name_objects_by_table_or_number(crm):
    """`select` and `filter` take a table's name or its entityTypeId, for objects as for smart processes."""
    crm.run(
        "deals",
        "companies",
        "contacts",
        select={"deals": ["title", "STAGE_ID"], 4: ["title"], 3: ["fm"]},
        filter={"deals": {"@id": [1, 2, 3]}},
    )

    own = {"id", "title", "stage_id", "deleted_at"}
    assert own == {name for name in crm.rows("deals")[0] if not name.startswith("utm_")}
    assert [1, 2, 3] == sorted(row["id"] for row in crm.rows("deals"))
    assert "industry" not in crm.rows("companies")[0]
    assert 2 * len(crm.portal.items(3)) == len(crm.rows("contacts__fm")), (
        "which no selection may name: it comes with everything only"
    )
    assert "last_name" not in crm.rows("contacts")[0]


def test_a_type_restricts_smart_processes_and_nothing_else(crm):
    """`spa_types` leaves deals as they are; a full refresh reads everything that is selected again, deals too."""
    crm.run("spa_items", "deals", spa_types=[177])
    tables = set(crm.destination.tables)
    assert {"spa_items_177", "deals"} <= tables
    assert "spa_items_1030" not in tables

    loaded = crm.run("deals", "spa_items", spa_types=[177], full_refresh=True, sweep_hours=0)
    assert 3 == loaded.rows["spa_items_177"]
    assert len(crm.rows("deals")) == loaded.rows["deals"] > 10


def test_columns_of_rows_that_belong_to_items_can_be_left_out(portal, reader):
    """Those of stage history, product rows and activities go; what tells their rows apart stays, and a misspelt name is told once."""
    tables = ("stage_history", "product_rows", "activities")
    crm = reader(portal, resources=("deals", "invoices", *tables))
    names = ("stage_history.stage_id", "product_rows.price", "activities.subject", "product_rows.owner_id")
    typos = [f"{table}.nowhere" for table in tables]
    crm.run(exclusions=Exclusions([*names, *typos]))
    columns = {table: crm.destination.columns[table] for table in tables}

    assert all(crm.destination.tables[table] for table in tables)
    assert [name for name in names if name.partition(".")[2] in columns[name.partition(".")[0]]] == [
        "product_rows.owner_id"
    ]
    assert sorted(crm.issues()) == ["leave_out names columns that do not exist: nowhere"] * 3

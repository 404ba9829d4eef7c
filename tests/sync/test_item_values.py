"""Values from the wire to the database: the right typed one, or NULL and a row that says why. None is dropped in silence."""

# ruff: noqa: S608 - tables and columns of the tests' own

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from bitrix24_source.catalog.crm_objects import parse_stage_directory
from bitrix24_source.sandbox import Portal

pytestmark = pytest.mark.all_databases

ITEMS = "spa_items_177"
LINKS = {
    "user",
    "employee",
    "enumeration",
    "crm_company",
    "crm_contact",
    "crm_lead",
    "crm_deal",
    "crm_quote",
    "crm_entity",
}


def is_link(field):
    """Where 0 says that nothing is linked."""
    return field["type"] in LINKS or field["type"].startswith("iblock_") or field["upper_name"] == "WEBFORM_ID"


def says_nothing(value, field):
    """The accepted spellings of empty, by the documents."""
    if isinstance(value, dict):
        return not value or (all(key.isdigit() for key in value) and says_nothing(list(value.values()), field))
    if isinstance(value, list):
        return all(says_nothing(single, field) for single in value)
    if value is None or value == "" or (value is False and (field["child_table"] or field["type"] != "boolean")):
        return True
    if field["type"] == "money":
        return value == "|"
    if field["type"] == "address":
        return value == "|;|"
    if field["type"] in ("crm", "file") or is_link(field):
        return str(value).strip() == "0"
    return False


def loaded_fields(crm):
    """The fields of type 177 that have a place, as spa_fields tells them."""
    return [row for row in crm.rows("spa_fields") if row["entity_type_id"] == 177 and row["column_type"]]


@pytest.mark.parametrize("name", ["demo", "hostile"])
def test_no_value_is_dropped_in_silence(request, engine, name):
    """Every value of every item that says something is in its column, in its child table, or among the rejected."""
    crm = request.getfixturevalue(name)
    items, fields = crm.portal.items(177), loaded_fields(crm)
    rejected = {(row["table_name"], row["item_id"], row["column_name"]) for row in crm.rejected()}
    rows = {row["id"]: row for row in crm.rows(ITEMS)}
    lists = {
        table: {row["item_id"] for row in crm.rows(table)} for table in crm.tables() if table.startswith(f"{ITEMS}__")
    }
    lost, said = [], 0
    for id_ in items:
        item = items[id_]
        for field in fields:
            value, table, column = item.get(field["name"]), field["child_table"], field["column_name"]
            if says_nothing(value, field):
                continue
            said += 1
            is_kept = id_ in lists[table] if table else rows[id_][column] is not None
            if not is_kept and (table or ITEMS, id_, column or "value") not in rejected:
                lost.append((id_, field["name"], field["type"], value))

    assert [] == lost
    assert said > 5 * len(items)


def test_every_value_of_a_list_is_kept(hostile):
    """A list of the odd portal has a row for each of its values that says something, in its order, typed or rejected."""
    items = hostile.portal.items(177)
    for field in [field for field in loaded_fields(hostile) if field["child_table"]]:
        expected = [
            (id_, position)
            for id_ in items
            for position, value in enumerate(
                items[id_][field["name"]] if isinstance(items[id_][field["name"]], list) else []
            )
            if not says_nothing(value, field)
        ]
        found = hostile.query(f"select item_id, position from {{}}.{field['child_table']} order by 1, 2")

        assert set(expected) <= set(found), field["name"]


def test_rejected_values_say_all(hostile):
    """Table, item, column, type, the raw value as JSON, the reason, and when."""
    rejected = hostile.rejected()

    assert len(rejected) > 100
    assert [] == [row for row in rejected if None in row.values()]
    assert {ITEMS} == {row["table_name"].partition("__")[0] for row in rejected}
    assert all(json.loads(row["raw_value"]) is not None for row in rejected if len(row["raw_value"]) < 10_000)


@pytest.mark.parametrize("name", ["demo", "hostile"])
def test_no_address_of_a_file_and_no_credential(request, engine, name):
    """No table holds the webhook's code, a file's address, or what of one could be one; nor do dlt's own files."""
    crm = request.getfixturevalue(name)
    everything = "\n".join(repr(row) for table in crm.tables() for row in crm.query(f"select * from {{}}.{table}"))
    folder = Path(crm.pipeline.working_dir).parent.parent
    files = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    secrets = [crm.portal.webhook_code, "urlMachine", "getFile", "ajax.php"]
    sent = crm.portal.items(177)
    wire = json.dumps([sent[id_] for id_ in sent])

    assert all(secret in wire for secret in secrets), "nothing to find"
    assert [] == [secret for secret in secrets if secret in everything]
    assert [] == [secret for secret in secrets if secret.encode() in files]


def test_rejected_files_show_no_address(hostile):
    """What is kept of a file that was rejected has nothing of an address left."""
    kept = [row["raw_value"] for row in hostile.rejected() if row["field_type"] == "file"]

    assert kept
    assert [] == [raw for raw in kept if "/" in raw]


# --- what each value becomes ----------------------------------------------------------------------------------------

REJECTED = object()
UTC = timezone.utc
HUGE = 12345678901234567890
CASES = [
    ("integer", 7, 7),
    ("integer", "7", 7),
    ("integer", 0, 0),
    ("integer", 2**63 - 1, 2**63 - 1),
    ("integer", HUGE, REJECTED),
    ("integer", "12345678901234567890123", REJECTED),
    ("integer", 7.5, REJECTED),
    ("integer", [7], 7),
    ("integer", [7, 8], REJECTED),
    ("integer", "", None),
    ("employee", 0, None),
    ("employee", "4", 4),
    ("enumeration", False, None),
    ("enumeration", "3601", 3601),
    ("double", "1.5", 1.5),
    ("double", 0, 0.0),
    ("double", "1e400", REJECTED),
    ("double", "NaN", REJECTED),
    ("boolean", "Y", True),
    ("boolean", "N", False),
    ("boolean", False, False),
    ("boolean", "", None),
    ("boolean", "maybe", REJECTED),
    ("date", "2025-04-29T03:00:00+03:00", date(2025, 4, 29)),
    ("date", "2024-06-18T02:00:00+02:00", date(2024, 6, 18)),
    ("date", "2024-06-18T00:00:00-11:00", date(2024, 6, 18)),
    ("date", "9999-12-31T00:00:00+03:00", date(9999, 12, 31)),
    ("date", "24.08.2023", date(2023, 8, 24)),
    ("date", "0000-00-00", REJECTED),
    ("date", "2025-02-30T03:00:00+03:00", REJECTED),
    ("datetime", "2025-04-29T12:34:56+03:00", datetime(2025, 4, 29, 9, 34, 56, tzinfo=UTC)),
    ("datetime", "2025-04-29T12:34:56-11:30", datetime(2025, 4, 30, 0, 4, 56, tzinfo=UTC)),
    ("datetime", "2025-10-26T02:30:00+02:00", datetime(2025, 10, 26, 0, 30, tzinfo=UTC)),
    ("datetime", "2024-08-29 10:30:11", REJECTED),
    ("datetime", "yesterday", REJECTED),
    ("money", "300|RUB", (Decimal(300), "RUB")),
    ("money", "0.10|EUR", (Decimal("0.10"), "EUR")),
    ("money", "99999999999999999999.99|RUB", (Decimal("99999999999999999999.99"), "RUB")),
    ("money", "-5|USD", (Decimal(-5), "USD")),
    ("money", "|", (None, None)),
    ("money", "abc|RUB", REJECTED),
    ("string", "🎉", "🎉"),
    ("string", "'; DROP TABLE items; --", "'; DROP TABLE items; --"),
    ("string", "line\r\nline\u2028", "line\r\nline\u2028"),
    ("string", "x" * 100_000, "x" * 100_000),
    ("string", 0, "0"),
    ("string", HUGE, str(HUGE)),
    ("string", {"key": "value"}, REJECTED),
    ("address", "Москва, 5|55.75;37.61|17", ("Москва, 5", 55.75, 37.61)),
    ("address", "no bars at all", ("no bars at all", None, None)),
    ("address", "|;|", (None, None, None)),
    ("crm", "Tb1_6", ("Tb1_6", 177, 6)),
    ("crm", "D_1", ("D_1", 2, 1)),
    ("file", {"id": 30577}, 30577),
    ("file", "4242", 4242),
    ("file", False, None),
    ("hlblock", {"nested": {"deep": [1, 2]}}, '{"nested": {"deep": [1, 2]}}'),
]  # fmt: skip
EXTRA = {"money": ("_currency",), "address": ("_latitude", "_longitude"), "crm": ("_entity_type_id", "_entity_id")}


@pytest.fixture
def of_cases(portal_with):
    """A portal with one item for each case, each in the field of its type."""
    portal = portal_with({177: len(CASES)})
    names = {}
    for type_, _, _ in CASES:
        if type_ not in names:
            names[type_] = portal.add_field(177, type_.upper(), type_, type_, pool=[None])
    for id_, (type_, value, _) in enumerate(CASES, start=1):
        portal.items(177).update(id_, **{names[type_]: value})
    return portal


def test_each_value_becomes_what_it_is(of_cases, warehouse):
    """DuckDB and PostgreSQL hold the same typed values: days do not shift, instants stay, money keeps its digits."""
    crm = warehouse(of_cases)
    crm.run()
    rejected = {row[0] for row in crm.query("select item_id from {}.rejected_values")}
    wrong = []
    for id_, (type_, value, expected) in enumerate(CASES, start=1):
        columns = [f"uf_crm_11_{type_}{suffix}" for suffix in ("", *EXTRA.get(type_, ()))]
        ((*cells,),) = crm.query(f"select {', '.join(columns)} from {{}}.{ITEMS} where id = {id_}")
        found = tuple(cells) if len(cells) > 1 else cells[0]
        nothing = (None,) * len(cells) if len(cells) > 1 else None
        if found != (nothing if expected is REJECTED else expected) or (id_ in rejected) != (expected is REJECTED):
            wrong.append((type_, value, found))

    assert [] == wrong


def test_characters_that_databases_refuse(portal_with, warehouse):
    """NUL and half surrogate pairs stop no load: the text is there without them, and the raw one among the rejected."""
    portal = portal_with({177: 3})
    portal.items(177).update(1, title="a\x00b")
    portal.items(177).update(2, title="half \ud83d pair")
    crm = warehouse(portal)
    crm.run()

    assert {1: "ab", 2: "half \ufffd pair", 3: "Process 177 #3"} == dict(
        crm.query(f"select id, title from {{}}.{ITEMS}")
    )
    assert [(1, '"a\\u0000b"'), (2, '"half \\ud83d pair"')] == sorted(
        crm.query("select item_id, raw_value from {}.rejected_values")
    )


def test_a_value_rejected_again_is_one_row(of_cases, warehouse):
    """Every run says what it rejects, and does not pile it up."""
    crm = warehouse(of_cases)
    crm.run()
    before = crm.rejected()
    crm.run(full_refresh=True)
    after = crm.rejected()

    assert len(before) == sum(expected is REJECTED for _, _, expected in CASES)
    assert [(row["item_id"], row["raw_value"]) for row in before] == [
        (row["item_id"], row["raw_value"]) for row in after
    ]


def test_an_unusable_id_is_not_loaded_as_another(portal_with, warehouse):
    """Ids beyond 64 bits cannot be told apart in the table: the type is named, and the load does not stop."""
    portal = portal_with({177: 10, 1030: 10}, scripted=True)

    def say(command, result):
        if "entityTypeId=177&" in command:
            result["items"] = [{**item, "id": 2**70 + item["id"]} for item in result["items"]]
        return result

    portal.say = say
    crm = warehouse(portal)
    crm.run()

    (issue,) = crm.issues()

    assert 177 == issue["entity_type_id"]
    assert "for want of a usable id" in issue["message"]
    assert portal.items(1030).ids() == crm.ids(1030)


# --- catalogue tables -----------------------------------------------------------------------------------------------

TOO_EARLY, TOO_LATE = "0001-01-01T00:00:00+03:00", "9999-12-31T23:59:59-05:00"
CATALOGUE = ("spa_types", "spa_automations", "users", "currencies", "activities", "spa_items")


def test_no_time_of_the_catalogue_stops_a_load(clock, warehouse):
    """Times beyond the calendar are NULL and kept, in every table; corrected in the portal, they lose their row."""
    portal = Portal(scenario="demo", items=20, clock=clock)
    user, template, currency = portal.world.users[0], portal.world.templates[0], portal.world.currencies[0]
    before = user["LAST_LOGIN"]
    user |= {"LAST_LOGIN": TOO_EARLY, "DATE_REGISTER": TOO_LATE}
    portal.world.types[177]["updatedTime"] = TOO_LATE
    template["MODIFIED"] = TOO_EARLY
    currency["DATE_UPDATE"] = TOO_LATE
    item = portal.items(177).ids()[0]
    portal.items(177).update(item, createdTime=TOO_EARLY)
    activity = portal.world.activities[0]
    activity["CREATED"] = TOO_LATE
    crm = warehouse(portal)
    expected = {
        ("users", int(user["ID"]), "last_login"),
        ("users", int(user["ID"]), "date_register"),
        ("spa_types", 177, "updated_time"),
        ("spa_automations", int(template["ID"]), "modified"),
        ("currencies", 0, "date_update"),
        (ITEMS, item, "created_time"),
        ("activities", int(activity["ID"]), "created"),
    }
    for _ in range(2):
        crm.run(*CATALOGUE, spa_types=[177])
        found = crm.query("select table_name, item_id, column_name from {}.rejected_values")

        assert expected == set(found)
        assert len(expected) == len(found)
        clock.advance(7200)
    assert [(None, None)] == crm.query("select last_login, date_register from {}.users where id = ?", int(user["ID"]))
    assert REJECTED_COLUMNS == set(crm.types("rejected_values")) - {"is_removed"}
    assert {"item_id", "position", "value"} == set(crm.types("users__uf_department"))

    user |= {"LAST_LOGIN": before, "DATE_REGISTER": "2020-05-01T19:00:00-05:00"}
    crm.run(*CATALOGUE, spa_types=[177])

    assert {row for row in expected if row[0] != "users"} == set(
        crm.query("select table_name, item_id, column_name from {}.rejected_values")
    )
    assert [(date(2020, 5, 2),)] == crm.query("select date_register from {}.users where id = ?", int(user["ID"]))


REJECTED_COLUMNS = {"table_name", "item_id", "column_name", "field_type", "raw_value", "reason", "loaded_at"}


def test_odd_rows_of_the_catalogue(clock, warehouse):
    """Maps where lists are due are lists, a code that is null is no text, codes in small letters are stages."""
    portal = Portal(scenario="demo", items=5, clock=clock)
    portal.world.users[0]["UF_DEPARTMENT"] = {"0": 1, "3": "2"}
    row = next(row for row in portal.world.statuses if row["ENTITY_ID"].startswith("DYNAMIC_177_STAGE_"))
    portal.world.statuses.append({**row, "ID": "99991", "STATUS_ID": None})
    crm = warehouse(portal)
    crm.run("users", "spa_stages", "statuses")

    assert [(1,), (2,)] == crm.query(
        "select value from {}.users__uf_department where item_id = ? order by position",
        int(portal.world.users[0]["ID"]),
    )
    assert [] == crm.query("select 1 from {}.spa_stages where status_id = 'None'")
    assert [] == crm.query("select 1 from {}.statuses where status_id = 'None'")
    assert (177, 5) == parse_stage_directory("dynamic_177_stage_5")

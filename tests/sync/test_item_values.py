"""Values from the wire to the database: the right typed one, or NULL and a row that says why. None is dropped in silence."""

# ruff: noqa: S608 - tables and columns of the tests' own

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from databases import make
from dlt.common.runtime.run_context import RunContext, switched_run_context
from fixtures.item_warehouse import PLAIN, ScriptedPortal, Warehouse, make_warehouse

from bitrix24_source.catalog.crm_objects import parse_stage_directory
from bitrix24_source.sandbox import Clock

ODD_PORTAL = pytest.mark.all_databases(slow=True)
PORTALS = ["hostile", pytest.param("demo", marks=pytest.mark.slow)]
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


@ODD_PORTAL
@pytest.mark.parametrize("name", PORTALS)
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


@ODD_PORTAL
def test_every_value_of_a_list_is_kept(hostile):
    """A list of the odd portal has a row for each of its values that says something, in its order, typed or rejected."""
    sent = hostile.portal.items(177)
    items = {id_: sent[id_] for id_ in sent}
    for field in [field for field in loaded_fields(hostile) if field["child_table"]]:
        expected = [
            (id_, position)
            for id_, item in items.items()
            for position, value in enumerate(item[field["name"]] if isinstance(item[field["name"]], list) else [])
            if not says_nothing(value, field)
        ]
        found = hostile.query(f"select item_id, position from {{}}.{field['child_table']} order by 1, 2")

        assert set(expected) <= set(found), field["name"]


@ODD_PORTAL
def test_rejected_values_say_all(hostile):
    """Table, item, column, type, the raw value as JSON, the reason, and when."""
    rejected = hostile.rejected()

    assert len(rejected) > 100
    assert [] == [row for row in rejected if None in row.values()]
    assert {ITEMS} == {row["table_name"].partition("__")[0] for row in rejected}
    assert all(json.loads(row["raw_value"]) is not None for row in rejected if len(row["raw_value"]) < 10_000)


@ODD_PORTAL
@pytest.mark.parametrize("name", PORTALS)
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


@ODD_PORTAL
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


CASES_OF, CHARACTERS, BEYOND = 1100, 1102, 1104
"""types: an item for each case; texts that databases refuse; ids beyond 64 bits"""
TOO_EARLY, TOO_LATE = "0001-01-01T00:00:00+03:00", "9999-12-31T23:59:59-05:00"
RESOURCES = ("spa_types", "spa_stages", "spa_automations", "users", "currencies", "statuses", "activities", "spa_items")


@dataclass
class Odd:
    """A portal of odd values after two runs, and what was told of them after the first.

    Attributes:
        names: of the fields of `CASES_OF`, by type.
        untimely: (table, id, column) of times of the catalogue and of items that are beyond the calendar.
        mended: those of them that were corrected before the second run.
        rejected: rows of `rejected_values` after the first run.
    """

    crm: Warehouse
    names: dict[str, str]
    untimely: set[tuple[str, int, str]]
    mended: set[tuple[str, int, str]]
    rejected: list[dict[str, Any]]


def untimely(portal):
    """Writes times beyond the calendar; where they are, and those of them that `mend` corrects."""
    world, items = portal.world, portal.items(177)
    first, second = (int(user["ID"]) for user in world.users[:2])
    world.users[0] |= {"LAST_LOGIN": TOO_EARLY, "DATE_REGISTER": TOO_LATE}
    world.users[1] |= {"LAST_LOGIN": TOO_EARLY}
    world.types[177]["updatedTime"] = TOO_LATE
    world.templates[0]["MODIFIED"] = TOO_EARLY
    world.currencies[0]["DATE_UPDATE"] = TOO_LATE
    world.activities[0]["CREATED"] = TOO_LATE
    item = items.ids()[0]
    items.update(item, createdTime=TOO_EARLY)
    mended = {("users", first, "last_login"), ("users", first, "date_register")}
    return mended, mended | {
        ("users", second, "last_login"),
        ("spa_types", 177, "updated_time"),
        ("spa_automations", int(world.templates[0]["ID"]), "modified"),
        ("currencies", 0, "date_update"),
        (ITEMS, item, "created_time"),
        ("activities", int(world.activities[0]["ID"]), "created"),
    }


def odd_portal(clock):
    """The demo portal with three more types, and the names of the fields of one."""
    portal = ScriptedPortal("demo", items=20, clock=clock)
    for number, items in ((CASES_OF, len(CASES)), (CHARACTERS, 3), (BEYOND, 3)):
        portal.add_type(f"Process {number}", entity_type_id=number, items=items, off=PLAIN)
    names = {type_: "" for type_, _, _ in CASES}
    for type_ in names:
        names[type_] = portal.add_field(CASES_OF, type_.upper(), type_, type_, pool=[None])
    for id_, (type_, value, _) in enumerate(CASES, start=1):
        portal.items(CASES_OF).update(id_, **{names[type_]: value})
    portal.items(CHARACTERS).update(1, title="a\x00b")
    portal.items(CHARACTERS).update(2, title="half \ud83d pair")
    portal.world.users[2]["UF_DEPARTMENT"] = {"0": 1, "3": "2"}
    row = next(row for row in portal.world.statuses if row["ENTITY_ID"].startswith("DYNAMIC_177_STAGE_"))
    portal.world.statuses.append({**row, "ID": "99991", "STATUS_ID": None})

    def say(command, result):
        if f"entityTypeId={BEYOND}&" in command and command.startswith("crm.item.list"):
            result["items"] = [{**item, "id": 2**70 + item["id"]} for item in result["items"]]
        return result

    portal.say = say
    return portal, names


@pytest.fixture(scope="module")
def odd(engine, tmp_path_factory):
    """Odd values in every type and table; before the second run one user is mended, and every case comes again or is gone."""
    folder, clock = tmp_path_factory.mktemp("odd"), Clock(datetime(2025, 7, 1, 12, tzinfo=UTC))
    portal, names = odd_portal(clock)
    before = portal.world.users[0]["LAST_LOGIN"]
    mended, times = untimely(portal)
    types = [177, CASES_OF, CHARACTERS, BEYOND]
    with switched_run_context(RunContext(str(folder))):
        crm = make_warehouse(folder, portal, make(engine, folder))
        crm.run(*RESOURCES, spa_types=types)
        rejected = crm.rejected()
        clock.advance(7200)
        portal.world.users[0] |= {"LAST_LOGIN": before, "DATE_REGISTER": "2020-05-01T19:00:00-05:00"}
        items = portal.items(CASES_OF)
        for id_ in items.ids():
            items.delete(id_) if is_gone(id_) else items.update(id_, title="again")
        crm.run("users", "currencies", "spa_items", spa_types=[CASES_OF], sweep=True, max_deleted_share=1.0)
    yield Odd(crm, names, times, mended, rejected)
    crm.database.drop()


def is_gone(id_):
    """Whether the item of a case is deleted before the second run."""
    return id_ % 3 == 0


@pytest.mark.all_databases
def test_each_value_becomes_what_it_is(odd):
    """DuckDB and PostgreSQL hold the same typed values: days do not shift, instants stay, money keeps its digits.

    So do rows that the second run has marked as deleted: it reads them from the database and writes them anew.
    """
    table = f"spa_items_{CASES_OF}"
    rejected = {row["item_id"] for row in odd.rejected if row["table_name"] == table}
    codes = {
        type_: odd.crm.portal.world.objects[CASES_OF].schema.fields[name].user_field.code.lower()
        for type_, name in odd.names.items()
    }
    rows = {row["id"]: row for row in odd.crm.rows(table)}
    wrong = []
    for id_, (type_, value, expected) in enumerate(CASES, start=1):
        cells = tuple(rows[id_][f"{codes[type_]}{suffix}"] for suffix in ("", *EXTRA.get(type_, ())))
        found = cells if len(cells) > 1 else cells[0]
        nothing = (None,) * len(cells) if len(cells) > 1 else None
        if found != (nothing if expected is REJECTED else expected) or (id_ in rejected) != (expected is REJECTED):
            wrong.append((type_, value, found))

    assert [] == wrong
    assert {id_: is_gone(id_) for id_ in rows} == {id_: bool(row["deleted_at"]) for id_, row in rows.items()}


@pytest.mark.all_databases
def test_characters_that_databases_refuse(odd):
    """NUL and half surrogate pairs stop no load: the text is there without them, and the raw one among the rejected."""
    table = f"spa_items_{CHARACTERS}"

    assert {1: "ab", 2: "half \ufffd pair", 3: f"Process {CHARACTERS} #3"} == dict(
        odd.crm.query(f"select id, title from {{}}.{table}")
    )
    assert [(1, '"a\\u0000b"'), (2, '"half \\ud83d pair"')] == [
        (row["item_id"], row["raw_value"]) for row in odd.rejected if row["table_name"] == table
    ]


@pytest.mark.all_databases
def test_a_value_rejected_again_is_one_row(odd):
    """Every run says what it rejects, and does not pile it up; of items that are gone it stays as it was."""
    before, after = (
        {(row["item_id"], row["raw_value"]): row["loaded_at"] for row in rows if row["table_name"].endswith("_1100")}
        for rows in (odd.rejected, odd.crm.rejected())
    )

    assert len(before) == sum(expected is REJECTED for _, _, expected in CASES)
    assert before.keys() == after.keys()
    assert {key: not is_gone(key[0]) for key in before} == {key: before[key] < after[key] for key in before}
    assert len(odd.crm.rejected()) == len(odd.rejected) - len(odd.mended)


@pytest.mark.all_databases
def test_an_unusable_id_is_not_loaded_as_another(odd):
    """Ids beyond 64 bits cannot be told apart in the table: the type is named, and the load does not stop."""
    issues = {
        issue["message"]: issue["entity_type_id"] for issue in odd.crm.issues() if issue["resource"] == "spa_items"
    }
    ((message, type_),) = issues.items()

    assert BEYOND == type_
    assert "for want of a usable id" in message
    assert [] == odd.crm.query(f"select id from {{}}.spa_items_{BEYOND}")
    assert odd.crm.portal.items(CHARACTERS).ids() == odd.crm.ids(CHARACTERS)


# --- catalogue tables -----------------------------------------------------------------------------------------------


@pytest.mark.all_databases
def test_no_time_of_the_catalogue_stops_a_load(odd):
    """Times beyond the calendar are NULL and kept, in every table; corrected in the portal, they lose their row."""
    tables = {table for table, _, _ in odd.untimely}
    first, second = (
        [tuple(map(row.get, ("table_name", "item_id", "column_name"))) for row in rows if row["table_name"] in tables]
        for rows in (odd.rejected, odd.crm.rejected())
    )
    people = {row["id"]: (row["last_login"], row["date_register"]) for row in odd.crm.rows("users")}
    mended, other = sorted(id_ for table, id_, column in odd.untimely if (table, column) == ("users", "last_login"))

    assert sorted(odd.untimely) == sorted(first)
    assert sorted(odd.untimely - odd.mended) == sorted(second)
    assert date(2020, 5, 2) == people[mended][1]
    assert None not in people[mended]
    assert people[other][0] is None
    assert REJECTED_COLUMNS == set(odd.crm.types("rejected_values")) - {"is_removed"}
    assert {"item_id", "position", "value"} == set(odd.crm.types("users__uf_department"))


REJECTED_COLUMNS = {"table_name", "item_id", "column_name", "field_type", "raw_value", "reason", "loaded_at"}


@pytest.mark.all_databases
def test_odd_rows_of_the_catalogue(odd):
    """Maps where lists are due are lists, a code that is null is no text, codes in small letters are stages."""
    person = int(odd.crm.portal.world.users[2]["ID"])

    assert [(1,), (2,)] == odd.crm.query(
        "select value from {}.users__uf_department where item_id = ? order by position", person
    )
    for table in ("spa_stages", "statuses"):
        assert odd.crm.query(f"select 1 from {{}}.{table}")
        assert [] == odd.crm.query(f"select 1 from {{}}.{table} where status_id = 'None'")
    assert (177, 5) == parse_stage_directory("dynamic_177_stage_5")

"""Personal data that is left out: a planted telephone number and address are in no table, view, file or log line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bitrix24_source.sandbox import Portal
from bitrix24_source.sandbox.portal.registry import METHODS, MethodCall, MethodResult

PHONE, EMAIL = "+79991234567", "planted@secret.example"
PLANTED = (PHONE, PHONE.removeprefix("+"), EMAIL)
LEFT_OUT = [
    *(f"{table}.fm" for table in ("leads", "contacts", "companies")),
    *(f"{table}.{list_}" for table in ("leads", "contacts", "companies", "deals") for list_ in ("observers", "contact_ids")),
    "contacts.uf_crm_secret", "contacts.uf_crm_secrets", "contacts.uf_crm_ghost", "contacts.comments", "contacts.address",
    "deals.uf_crm_number", "deals.uf_crm_day", "spa_items_177.uf_crm_13_secret", "users.email", "activities.subject",
]  # fmt: skip
RESOURCES = (
    "leads", "contacts", "companies", "deals", "spa_items", "activities", "crm_fields", "users", "departments", "statuses",
)  # fmt: skip
SELECTED = 1030
"""a type of which few fields are selected"""
FM = [
    {"id": 1, "typeId": "PHONE", "valueType": "WORK", "value": PHONE},
    {"id": 2, "typeId": "EMAIL", "valueType": "WORK", "value": EMAIL},
    {"id": 3, "typeId": ["PHONE"], "valueType": {"a": PHONE}, "value": [[EMAIL, PHONE]]},
]
ALIASES = {
    name: value
    for value, names in {
        PHONE: ("phone", "phoneWork", "phoneMobile"),
        EMAIL: ("email", "emailWork", "emailHome"),
    }.items()
    for name in names
}


def with_planted(method: str, row: dict[str, Any], params: Any) -> dict[str, Any]:
    """A row of this method's answer that holds the two in every place which is left out."""
    type_id = str(params.get("entityTypeId"))
    if method == "crm.item.list" and type_id in ("1", "3", "4"):
        hidden = (
            {"ufCrm_SECRET": EMAIL, "ufCrm_SECRETS": [PHONE, [EMAIL]], "ufCrm_GHOST": PHONE} if type_id == "3" else {}
        )
        texts = {"comments": f"call {PHONE}", "address": {"text": EMAIL}} if type_id == "3" else {}
        return {**row, "fm": FM, **ALIASES, **hidden, **texts}
    if method == "crm.item.list" and type_id == "2":
        return {**row, "ufCrm_NUMBER": PHONE, "ufCrm_DAY": {"day": EMAIL}}
    if method == "crm.item.list" and type_id in ("177", str(SELECTED)):
        return {**row, "ufCrm13Secret" if type_id == "177" else "ufCrm14Secret": PHONE}
    if method == "user.get":
        phones = dict.fromkeys(("PERSONAL_PHONE", "PERSONAL_MOBILE", "WORK_PHONE", "UF_PHONE_INNER"), PHONE)
        return {**row, **phones, "EMAIL": EMAIL, "PERSONAL_WWW": EMAIL, "PERSONAL_BIRTHDAY": [PHONE]}
    if method == "crm.activity.list":
        said = [{"TYPE": "PHONE", "VALUE": PHONE}, {"TYPE": "EMAIL", "VALUE": EMAIL}]
        texts = dict.fromkeys(("SUBJECT", "DESCRIPTION", "LOCATION"), f"{PHONE} {EMAIL}")
        return {**row, **texts, "COMMUNICATIONS": said, "SETTINGS": {"from": EMAIL}, "PROVIDER_PARAMS": {"to": PHONE}}
    return row


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on the portal's answers hold the two, also in place of ids."""

    def plant_everywhere() -> None:
        for name in ("crm.item.list", "user.get", "crm.activity.list", "department.get", "crm.status.list"):
            monkeypatch.setitem(METHODS, name, replace(METHODS[name], run=planting(name, METHODS[name].run)))

    return plant_everywhere


def planting(name: str, run: Callable[[MethodCall], MethodResult]) -> Callable[[MethodCall], MethodResult]:
    def answer(call: MethodCall) -> MethodResult:
        result = run(call)
        rows = result.result["items"] if name == "crm.item.list" else result.result
        rows = [with_planted(name, row, call.params) for row in rows]
        if name in ("user.get", "department.get", "crm.status.list") and rows:
            id_name = "ENTITY_ID" if name == "crm.status.list" else "ID"
            rows += [{**rows[0], id_name: id_} for id_ in ([PHONE], {"a": EMAIL})]
            rows += (
                [] if name == "crm.status.list" else [{**rows[0], "ID": PHONE}, {**rows[0], "ID": EMAIL}, PHONE, EMAIL]
            )
        return replace(result, result={"items": rows} if name == "crm.item.list" else rows)

    return answer


def texts_of_database(crm: Any) -> Iterator[tuple[str, str]]:
    """Each table and view of every schema, row by row."""
    found = crm.query("select table_schema, table_name from information_schema.tables")
    for schema, table in found:
        for row in crm.query(f'select * from "{schema}"."{table}"'):  # noqa: S608 - tables of the test's own
            yield table, repr(row)


def texts_of_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Each file below a folder, unpacked."""
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            yield str(path), repr(pq.read_table(path).to_pylist())
        elif path.is_file():
            content = path.read_bytes()
            unpacked = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
            yield str(path), unpacked.decode("utf-8", "replace")


def is_planted(text: str) -> bool:
    return any(planted in text or json.dumps(planted)[1:-1] in text for planted in PLANTED)


def portal_with_places(clock):
    """The demo portal with a custom field for each place."""
    portal = Portal(scenario="demo", items=12, clock=clock)
    portal.add_field(3, "SECRET", "string", "Secret")
    portal.add_field(3, "SECRETS", "string", "Secrets", multiple=True)
    portal.add_field(2, "NUMBER", "integer", "Number")
    portal.add_field(2, "DAY", "date", "Day")
    assert portal.add_field(177, "SECRET", "string", "Secret") == "ufCrm13Secret"
    assert portal.add_field(SELECTED, "SECRET", "integer", "Secret") == "ufCrm14Secret"
    return portal


CHOICE: dict[str, Any] = {
    "leave_out": LEFT_OUT,
    "spa_types": [177, SELECTED],
    "select": {SELECTED: ["title", "stageId"]},
}


def test_what_is_left_out_is_nowhere(clock, job, plant, tmp_path, caplog):
    """Whether the data is there at first or comes later, as value, odd value, unlisted key or id: nobody finds it.

    Nor what a selection does not name. Some tables are made by the first load, before the two are planted, others by the second.
    """
    portal = portal_with_places(clock)
    crm = job(portal)
    crm.run("contacts", "users", **CHOICE)
    clock.advance(24 * 3600)
    plant()
    crm.run(*RESOURCES, **CHOICE, full_refresh=True)

    assert len(crm.rows("contacts")) == len(portal.items(3))
    assert len(crm.rows("users")) == len(portal.world.users)
    assert len(crm.rows(f"spa_items_{SELECTED}")) == len(portal.items(SELECTED))
    issues = {row["resource"] for row in crm.rows("load_issues")}
    assert {"users", "departments", "statuses"} <= issues
    assert [table for table, text in texts_of_database(crm) if is_planted(text)] == []
    assert [path for path, text in texts_of_files(tmp_path) if is_planted(text)] == []
    assert [message for message in caplog.messages if is_planted(message)] == []
    crm.execute(f"create table {{}}.found as select '{EMAIL}' as text")
    assert {table for table, text in texts_of_database(crm) if is_planted(text)} == {"found"}


@pytest.mark.parametrize("choice", [CHOICE, {"personal_data": True}], ids=["left out", "loaded"])
def test_what_is_planted_is_found_where_nothing_is_left_out(clock, memory_job, plant, choice):
    """As values, rejected values, texts of activities and ids; and nowhere, from the first load on, where it is left out."""
    crm = memory_job(portal_with_places(clock))
    plant()
    crm.run(*RESOURCES, **choice)
    tables = {*crm.destination.tables, "users"}
    texts = {table: "\n".join(map(repr, crm.rows(table))) for table in tables}
    found = {table for table, text in texts.items() if is_planted(text)}

    if choice is CHOICE:
        assert found - {"users"} == set()
        assert not is_planted(repr((crm.states, crm.issues())))
    else:
        assert {"contacts__fm", "users", "activities", "rejected_values", f"spa_items_{SELECTED}"} <= found

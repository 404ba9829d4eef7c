"""Answers that hold anything in any place: the catalogue is read, its rows are storable, and nothing is lost without a word."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
import requests
from fixtures.hostile_answers import HostileAdapter, Spoiled, spoiled_answer
from hypothesis import given, settings
from hypothesis import strategies as st

from bitrix24_source.catalog import (
    DICTIONARIES,
    OBJECT_TABLES,
    SPA_TABLE_NAMES,
    SPA_TABLES,
    crm_catalog_tables,
    read_catalog,
)
from bitrix24_source.errors import Bitrix24Error
from bitrix24_source.rest.client import Client
from bitrix24_source.sandbox import Clock, Portal
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

EVERYTHING = SPA_TABLE_NAMES | OBJECT_TABLES | DICTIONARIES
TABLES = (*SPA_TABLES, *crm_catalog_tables(personal=True))
CHILDREN = tuple(table.child for table in TABLES if table.child is not None)
METHODS_READ = [
    "crm.type.list", "crm.type.getByEntityTypeId", "crm.item.fields", "crm.category.list", "crm.status.list",
    "crm.status.entity.types", "crm.automatedsolution.list", "bizproc.workflow.template.list", "userfieldconfig.list",
    "userfieldconfig.get", "crm.enum.ownertype", "user.get", "department.get", "crm.currency.list", "scope",
    "crm.settings.mode.get", "server.time", "profile",
]  # fmt: skip
PYTHON_TYPES: dict[str, Any] = {
    "bigint": int, "double": Decimal, "text": str, "bool": bool, "date": date, "timestamp": datetime, "decimal": Decimal,
}  # fmt: skip

Tables = dict[str, list[dict[str, Any]]]


@dataclass
class HostilePortal:
    """A portal with something in every list, whose answers can be spoiled."""

    client: Callable[[], Client]
    whole: Tables
    """what its tables hold as long as it answers well"""


@pytest.fixture(scope="module")
def hostile_portal() -> HostilePortal:
    clock = Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))
    portal = Portal(scenario="demo", items=5, clock=clock)
    for number in (1030, 1032, 1038):  # of each kind of list there is one without them
        portal.delete_type(number)
    session = requests.Session()
    session.mount("https://", HostileAdapter(portal))
    credentials = Bitrix24Credentials(**portal.credentials(portal.base_url)["webhook"])

    def connect() -> Client:
        clock.advance(600)
        return Client(auth_from_credentials(credentials), clock=clock, session=session)

    return HostilePortal(connect, converted(read_catalog(connect(), EVERYTHING))[0])


def converted(catalog: Any) -> tuple[Tables, int]:
    tables = {table.name: table.convert(catalog) for table in (*TABLES, *CHILDREN)}
    return {name: rows for name, (rows, _) in tables.items()}, sum(len(rejected) for _, rejected in tables.values())


def unstorable(value: Any, type_: str) -> bool:
    """Whether a database could refuse the value in a column of this type."""
    if value is None or type_ == "json":
        return False
    if isinstance(value, str) and ("\0" in value or value.encode("utf-8", "replace").decode() != value):
        return True
    if type_ == "bigint":
        return type(value) is not int or not -(2**63) <= value < 2**63
    return not isinstance(value, PYTHON_TYPES[type_])


def cells(tables: Tables) -> Counter[str]:
    """How many values each table has; times of this run apart."""
    return Counter(
        f"{table}.{column}" for table, rows in tables.items() for row in rows for column, value in row.items()
        if value is not None
    )  # fmt: skip


def check(whole: Tables, found: Tables, rejected: int, catalog: Any, spoiled: Spoiled) -> None:
    """Rows have whole keys and fit their columns, and what is lost is reported."""
    for table in (*TABLES, *CHILDREN):
        types = {column.name: column.type for column in table.columns}
        keys = [tuple(row[name] for name in table.key) for row in found[table.name]]
        assert not any(None in key for key in keys), table.name
        assert len(set(keys)) == len(keys), table.name
        odd = [
            (name, value)
            for row in found[table.name]
            for name, value in row.items()
            if unstorable(value, types.get(name, "bool"))
        ]
        assert odd == [], table.name
    is_reported = bool(rejected or catalog.issues or catalog.incomplete or catalog.incomplete_types)
    lost = cells(whole) - cells(found)
    assert not lost or is_reported or spoiled.is_plain, (lost, spoiled)


@pytest.mark.parametrize("method", METHODS_READ)
@settings(max_examples=int(os.environ.get("BITRIX24_EXAMPLES", "4")), deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 10**9))
def test_anything_in_any_place(hostile_portal, method, seed):
    """Whatever stands anywhere in an answer: rows have whole keys, fit their columns, and what is lost is reported."""
    client = hostile_portal.client()
    with spoiled_answer(method, seed) as spoiled:
        try:
            catalog = read_catalog(client, EVERYTHING)
        except Bitrix24Error:
            assert method == "crm.type.list"  # without types there is no catalogue, and nothing is loaded
            return
    check(hostile_portal.whole, *converted(catalog), catalog, spoiled)

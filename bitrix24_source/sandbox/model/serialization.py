"""Serialises items as crm.item.* does: file links with the caller's credential, `fm`, original field names."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..portal.access import Caller
from .item_store import ItemStore
from .schema import Field, Schema
from .zones import PrintedTimes

Row = dict[str, Any]


def dress(
    store: ItemStore,
    rows: list[Row],
    caller: Caller,
    base_url: str,
    times: PrintedTimes,
    *,
    original_names: bool = False,
) -> list[Row]:
    """Adds the parts of rows that depend on the caller and on the current time."""
    _print_times(store.schema, rows, times)
    for name in store.schema.files:
        links = FileLinks(store.schema, name, caller, base_url)
        for row in rows:
            if row.get(name):
                row[name] = links.of(row[name], int(row.get("id", 0)))
    return [rename(store.schema, row) for row in rows] if original_names else rows


def _print_times(schema: Schema, rows: list[Row], times: PrintedTimes) -> None:
    printers = {"datetime": times.datetime} if times.moves_datetimes else {}
    printers |= {"date": times.date} if times.moves_dates else {}
    for field in schema.fields.values() if printers else ():
        printed = printers.get(field.type)
        if printed is None or _keeps_digits(field):
            continue
        for row in rows:
            value = row.get(field.name)
            if value:
                row[field.name] = [printed(part) for part in value] if isinstance(value, list) else printed(value)


def _keeps_digits(field: Field) -> bool:
    """A custom datetime whose setting "use time zone" is off is printed with the server's digits to everybody."""
    settings = field.user_field.settings if field.user_field is not None else None
    return field.type == "datetime" and isinstance(settings, dict) and settings.get("USE_TIMEZONE") == "N"


@dataclass(frozen=True)
class FileLinks:
    """Fills `urlMachine` with the caller's live credential, as the vendor does."""

    schema: Schema
    name: str
    caller: Caller
    base_url: str

    def of(self, value: Any, number: int) -> Any:
        if isinstance(value, list):
            return [self.of(entry, number) for entry in value]
        if not isinstance(value, dict) or "id" not in value:
            return value
        return {
            "id": value["id"],
            "url": self._page(number, value["id"]),
            "urlMachine": self._machine(number, value["id"]),
        }

    def _page(self, number: int, file_id: int) -> str:
        what = f"entityTypeId={self.schema.entity_type_id}&id={number}&fieldName={self.schema.fields[self.name].upper}"
        action = "action=crm.controller.item.getFile&SITE_ID=s1"
        return f"{self.base_url}/bitrix/services/main/ajax.php?{action}&{what}&fileId={file_id}"

    def _machine(self, number: int, file_id: int) -> str:
        auth = f"auth={self.caller.auth}&" if self.caller.auth else ""
        token = quote(f"crm|{number}.{file_id}", safe="")
        return f"{self.base_url}{self.caller.rest_path}crm.controller.item.getFile.json?{auth}token={token}"


def rename(schema: Schema, row: Row) -> Row:
    """`useOriginalUfNames=Y`: custom fields under their codes."""
    codes = {name: field.upper for name, field in schema.fields.items() if field.user_field is not None}
    return {codes.get(name, name): value for name, value in row.items()}


def whole_rows(store: ItemStore, numbers: list[int], *, with_fm: bool = True) -> list[Row]:
    rows = store.rows(numbers)
    if with_fm and store.schema.multifields is not None:
        for number, row in zip(numbers, rows, strict=True):
            row["fm"] = store.schema.multifields(number)
    return rows


def copy_of(row: Row) -> Row:
    """Copies a row with its lists, which rows share with the pools they were drawn from."""
    return deepcopy(row)

"""Answers how an item looks on the wire: file links with the caller's credential, `fm`, original field names.

It refuses to know which items were asked for.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any
from urllib.parse import quote

from .access import Caller
from .items import ItemStore
from .schema import Schema

Row = dict[str, Any]


def dress(store: ItemStore, rows: list[Row], caller: Caller, base_url: str, *, original_names: bool = False) -> list[Row]:
    """The last touch, which depends on who asks."""
    for name in store.schema.files:
        for row in rows:
            if row.get(name):
                row[name] = _links(row[name], store.schema, name, int(row.get("id", 0)), caller, base_url)
    return [rename(store.schema, row) for row in rows] if original_names else rows


def _links(value: Any, schema: Schema, name: str, number: int, caller: Caller, base_url: str) -> Any:
    """The vendor's `urlMachine` carries the live credential, so ours does."""
    if isinstance(value, list):
        return [_links(one, schema, name, number, caller, base_url) for one in value]
    if not isinstance(value, dict) or "id" not in value:
        return value
    field = schema.fields[name].upper
    where = f"entityTypeId={schema.entity_type_id}&id={number}&fieldName={field}&fileId={value['id']}"
    page = "/bitrix/services/main/ajax.php?action=crm.controller.item.getFile&SITE_ID=s1&"
    token = quote(f"crm|{number}.{value['id']}", safe="")
    auth = f"auth={caller.auth}&" if caller.auth else ""
    machine = f"{base_url}{caller.rest_path}crm.controller.item.getFile.json?{auth}token={token}"
    return {"id": value["id"], "url": f"{base_url}{page}{where}", "urlMachine": machine}


def rename(schema: Schema, row: Row) -> Row:
    """`useOriginalUfNames=Y`: custom fields under their codes."""
    codes = {name: one.upper for name, one in schema.fields.items() if one.user_field is not None}
    return {codes.get(name, name): value for name, value in row.items()}


def whole_rows(store: ItemStore, numbers: list[int], *, with_fm: bool = True) -> list[Row]:
    rows = store.rows(numbers)
    if with_fm and store.schema.multifields is not None:
        for number, row in zip(numbers, rows, strict=True):
            row["fm"] = store.schema.multifields(number)
    return rows


def copy_of(row: Row) -> Row:
    """Rows share the lists of the pools they were drawn from; whoever hands one out to be changed copies it."""
    return deepcopy(row)

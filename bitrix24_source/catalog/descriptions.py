"""Descriptions of tables, views and columns, a sentence each: title, Bitrix24's type and code, unit, zone, currency."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources

from ..schema import NOTHING_STORED, Field, StoredColumns, map_columns, with_system_fields
from .crm_objects import CRM_OBJECTS

SIGN = " · Bitrix24"
"""part of each description of ours, which distinguishes it from comments written by others"""

Descriptions = dict[tuple[str, str], str]
"""texts by relation and column; "" for the relation itself"""


def fixed_descriptions(zone: str, currency: str) -> Descriptions:
    """Returns the descriptions of the marts and of the tables that hold no items.

    Args:
        zone: the portal's zone, as in the table `portal`.
        currency: the portal's base currency.
    """
    found: Descriptions = {}
    for relation, texts in _texts().items():
        for name, text in texts.items():
            said, _, code = text.partition(" · ")
            said = said.replace("{zone}", zone or "unknown").replace("{currency}", currency or "the base currency")
            found[relation, name] = f"{said}{SIGN} {code}" if code else said + SIGN
    return found


def item_descriptions(
    table: str, title: str, fields: Sequence[Field], stored: StoredColumns = NOTHING_STORED
) -> Iterator[tuple[tuple[str, str], str]]:
    """Yields the descriptions of an item table, its columns, and its child tables.

    Args:
        table: the item table.
        title: title of the entity type.
        fields: fields of the type.
        stored: tables of the destination.
    """
    code = CRM_OBJECTS[table].table if table in CRM_OBJECTS else "smart process"
    yield (table, ""), f"{title or table}: one row per item; deleted_at is set once the item is deleted{SIGN} {code}"
    yield (table, "deleted_at"), f"when the item was found deleted; NULL otherwise{SIGN}"
    known = with_system_fields(fields, is_spa=table not in CRM_OBJECTS or table == "invoices")
    places = map_columns(known, table, stored)
    for field in known:
        place = places.get(field.name)
        if place is None:
            continue
        label = field.form_label or field.title or field.upper_name
        origin = f"{SIGN} {field.upper_name}, {field.type}"
        if place.child_table:
            yield (place.child_table, ""), f"{label} of {title or table}: one row per value{origin}"
            yield (place.child_table, "item_id"), f"id of the item{SIGN}"
            yield (place.child_table, "position"), f"place of the value in the list, from 0{SIGN}"
        if place.count:
            yield (table, place.count.name), f"how many rows of the item {place.child_table} has{SIGN}"
        yield (place.child_table or table, place.column.name), label + origin
        for column in place.extra:
            part = column.name.removeprefix(f"{place.column.name}_").replace("_", " ")
            yield (place.child_table or table, column.name), f"{label}: {part}{origin}"


def view_descriptions(view: str, table: str, title: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Yields the description of a labelled view, whose columns are named by titles."""
    yield (view, ""), f"{title or table}: items that are not deleted, with the portal's own words{SIGN} view on {table}"


def is_our_comment(text: str) -> bool:
    """Returns whether a comment is ours: of this release, or of the first one, which stored its state in comments."""
    return SIGN in text or text.startswith("bitrix24 ")


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    """Returns the texts of the file: `text`, or `text · CODE` with Bitrix24's name of the column."""
    texts: Mapping[str, Mapping[str, str]] = json.loads(
        (resources.files(__package__) / "descriptions.json").read_text(encoding="utf-8")
    )
    return texts

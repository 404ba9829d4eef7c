"""What tables, views and their columns are, in a sentence each: title, Bitrix24's type and code, unit, zone, currency."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources

from ..catalog import CRM_OBJECTS
from ..schema import Field, map_columns

SIGN = " · Bitrix24"
"""stands in each description of ours, and tells it from what somebody else has written"""

Descriptions = dict[tuple[str, str], str]
"""texts by relation and column; "" for the relation itself"""


def mart_descriptions(zone: str, currency: str) -> Descriptions:
    """Of the marts and the tables that hold no items.

    Args:
        zone: the portal's, as the table `portal` has it.
        currency: the portal's base currency.
    """
    found: Descriptions = {}
    for relation, texts in _texts().items():
        for name, text in texts.items():
            said = text.replace("{zone}", zone or "unknown").replace("{currency}", currency or "the base currency")
            found[relation, name] = said + SIGN
    return found


def item_descriptions(table: str, title: str, fields: Sequence[Field]) -> Iterator[tuple[tuple[str, str], str]]:
    """Of an item table and its columns."""
    code = CRM_OBJECTS[table].table if table in CRM_OBJECTS else "smart process"
    yield (table, ""), f"{title or table}: one row an item; deleted_at is set when it is gone{SIGN} {code}"
    for field, column in _columns(table, fields):
        yield (
            (table, column),
            f"{field.form_label or field.title or field.upper_name}{SIGN} {field.upper_name}, {field.type}",
        )


def view_descriptions(view: str, table: str, title: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Of a labelled view; its columns are titles already."""
    yield (view, ""), f"{title or table}: living items with the portal's own words{SIGN} view on {table}"


def is_ours(text: str) -> bool:
    """Whether a comment is one of ours, of this release or of the first, which kept its books there."""
    return SIGN in text or text.startswith("bitrix24 ")


def _columns(table: str, fields: Sequence[Field]) -> Iterator[tuple[Field, str]]:
    places = map_columns(fields, table)
    for field in fields:
        place = places.get(field.name)
        if place is not None and not place.child_table:
            yield field, place.column.name


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    texts: Mapping[str, Mapping[str, str]] = json.loads(
        (resources.files(__package__) / "descriptions.json").read_text(encoding="utf-8")
    )
    return texts

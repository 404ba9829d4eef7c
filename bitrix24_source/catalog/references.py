"""The columns that hold keys of other tables. A table refers to each other table at most once, as dlt stores no more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import NamedTuple

from .crm_objects import CRM_OBJECTS, items_table


class Reference(NamedTuple):
    """Columns of a table that hold the key of another one's rows."""

    columns: tuple[str, ...]
    table: str
    referenced_columns: tuple[str, ...]


def _by_id(column: str, table: str) -> Reference:
    return Reference((column,), table, ("id",))


_TYPE = Reference(("entity_type_id",), "spa_types", ("entity_type_id",))
_FIELD_KEY = ("entity_type_id", "upper_name")
_CATEGORY = ("entity_type_id", "category_id")
_FIXED: Mapping[str, tuple[Reference, ...]] = MappingProxyType({
    "spa_types": (_by_id("created_by", "users"),),
    "spa_type_relations": (_TYPE,),
    "spa_type_linked_fields": (_TYPE,),
    "spa_fields": (_TYPE,),
    "spa_field_options": (_TYPE, Reference(_FIELD_KEY, "spa_fields", _FIELD_KEY)),
    "spa_categories": (_TYPE,),
    "spa_stages": (_TYPE, Reference(_CATEGORY, "spa_categories", ("entity_type_id", "id"))),
    "spa_automations": (_TYPE,),
    "automated_solution_types": (
        _by_id("automated_solution_id", "automated_solutions"),
        _by_id("spa_type_id", "spa_types"),
    ),
    "crm_field_options": (Reference(_FIELD_KEY, "crm_fields", _FIELD_KEY),),
    "stages": (Reference(_CATEGORY, "categories", ("entity_type_id", "id")),),
    "users__uf_department": (_by_id("item_id", "users"), _by_id("value", "departments")),
    "departments": (_by_id("uf_head", "users"),),
    "portal": (Reference(("base_currency",), "currencies", ("currency",)),),
    "activities": (_by_id("responsible_id", "users"),),
    "activity_bindings": (_by_id("activity_id", "activities"),),
})  # fmt: skip
_OF_ITEMS = (
    _by_id("assigned_by_id", "users"),
    _by_id("company_id", "companies"),
    _by_id("contact_id", "contacts"),
    Reference(("currency_id",), "currencies", ("currency",)),
)
_PARENT = re.compile(r"parent_id_(\d{1,18})")


def references_of(table: str, columns: AbstractSet[str]) -> Iterator[Reference]:
    """Yields the references of a table for which it has all columns, whether or not the other tables are loaded."""
    owner, is_list, _ = table.partition("__")
    is_items = owner in CRM_OBJECTS or owner.startswith("spa_items_")
    found = _FIXED.get(table, ())
    if is_items:
        found = (_by_id("item_id", owner),) if is_list else _OF_ITEMS + tuple(_parents(columns))
    seen = {table}  # dlt cannot join a table with itself
    for reference in found:
        if reference.table not in seen and columns >= set(reference.columns):
            seen.add(reference.table)
            yield reference


def _parents(columns: AbstractSet[str]) -> Iterator[Reference]:
    for column in sorted(columns):
        if match := _PARENT.fullmatch(column):
            yield _by_id(column, items_table(int(match[1])))

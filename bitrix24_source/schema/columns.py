"""Maps fields to typed columns and child tables, with names that cannot collide."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from .fields import Column, ColumnType, Field, FieldKind

_MAIN_TYPES: Mapping[FieldKind, ColumnType] = MappingProxyType({
    "integer": "bigint", "link": "bigint", "double": "double", "text": "text", "boolean": "bool", "date": "date",
    "datetime": "timestamp", "money": "decimal", "address": "text", "file": "bigint", "crm": "text",
    "multifield": "text", "unknown": "text",
})  # fmt: skip
_EXTRA_COLUMNS: Mapping[FieldKind, tuple[tuple[str, ColumnType], ...]] = MappingProxyType({
    "money": (("currency", "text"),),
    "address": (("latitude", "double"), ("longitude", "double")),
    "crm": (("entity_type_id", "bigint"), ("entity_id", "bigint")),
})  # fmt: skip
_MULTIFIELD_COLUMNS: tuple[tuple[str, ColumnType], ...] = (
    ("type_id", "text"), ("value_type", "text"), ("fm_id", "bigint"),
)  # fmt: skip
# Columns that an item table has of its own accord: no field may sit on them, but for the id itself.
RESERVED_COLUMNS = frozenset({"id", "deleted_at", "_dlt_load_id", "_dlt_id"})


@dataclass(frozen=True)
class ColumnMapping:
    """Where a field's values go: columns of the item table, or of a child table with one row per value."""

    column: Column
    extra: tuple[Column, ...] = ()
    child_table: str | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """All the columns, the main one first."""
        return (self.column, *self.extra)


def placement(field: Field, items_table: str) -> ColumnMapping | None:
    """Where this field goes when no neighbour is in its way; None when it is never loaded."""
    return map_columns([field], items_table)[field.name]


def map_columns(fields: Sequence[Field], items_table: str) -> dict[str, ColumnMapping | None]:
    """Where each field goes, by wire name: the main columns first, then what is derived from them gives way.

    `UF_X_CURRENCY` beside the money field `UF_X` keeps `uf_x_currency`; the money's currency is `uf_x_currency_2`.
    Names are given in the order of `upper_name`, so that the order of the portal's answer changes nothing.
    """
    loaded = sorted((field for field in fields if field.is_loaded), key=lambda field: (field.upper_name, field.name))
    taken = set(RESERVED_COLUMNS)
    names = {
        field.name: "id" if field.name == "id" else _unique_name(_column_name(field.upper_name), taken)
        for field in loaded
    }
    placed: dict[str, ColumnMapping | None] = dict.fromkeys((field.name for field in fields), None)
    for field in loaded:
        placed[field.name] = _map_column(field, names[field.name], items_table, taken)
    return placed


def _map_column(field: Field, name: str, items_table: str, taken: set[str]) -> ColumnMapping:
    kind = field.kind
    main = _MAIN_TYPES[kind]
    if kind == "multifield":
        extra = tuple(Column(*column) for column in _MULTIFIELD_COLUMNS)
        return ColumnMapping(Column("value", main), extra, f"{items_table}__{name}")
    suffixes = _EXTRA_COLUMNS.get(kind, ())
    if field.is_multiple and name != "id":
        extra = tuple(Column(f"value_{suffix}", type_) for suffix, type_ in suffixes)
        return ColumnMapping(Column("value", main), extra, f"{items_table}__{name}")
    extra = tuple(Column(_unique_name(f"{name}_{suffix}", taken), type_) for suffix, type_ in suffixes)
    return ColumnMapping(Column(name, main), extra)


def _unique_name(name: str, taken: set[str]) -> str:
    candidates = (name if number == 1 else f"{name}_{number}" for number in range(1, len(taken) + 2))
    free = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(free)
    return free


def _column_name(upper_name: str) -> str:
    """The lower-case name, corrected where dlt would correct it, so that the catalogue and the table agree."""
    name = re.sub(r"[^a-z0-9_]", "_", upper_name.lower())
    name = re.sub(r"^_+|(?<=__)_+", lambda run: "_" if run.start() == 0 else "", name)
    name = re.sub(r"_+$", lambda tail: "x" * len(tail.group()), name)
    return re.sub(r"(^|__)(?=[0-9])", r"\1_", name) or "_"

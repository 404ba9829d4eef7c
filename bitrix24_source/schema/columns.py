"""Maps fields to typed columns and child tables, with unique names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from .fields import Column, ColumnType, Field, FieldKind
from .stored_columns import StoredColumns
from .system_fields import SPA_FIELDS

_MAIN_TYPES: Mapping[FieldKind, ColumnType] = MappingProxyType({
    "integer": "bigint", "link": "bigint", "double": "double", "text": "text", "boolean": "bool", "date": "date",
    "datetime": "timestamp", "money": "decimal", "address": "text", "file": "bigint", "crm": "text",
    "multifield": "text", "unknown": "text", "unlisted": "text",
})  # fmt: skip
_EXTRA_COLUMNS: Mapping[FieldKind, tuple[tuple[str, ColumnType], ...]] = MappingProxyType({
    "money": (("currency", "text"),),
    "address": (("latitude", "double"), ("longitude", "double")),
    "crm": (("entity_type_id", "bigint"), ("entity_id", "bigint")),
})  # fmt: skip
_MULTIFIELD_COLUMNS: tuple[tuple[str, ColumnType], ...] = (
    ("type_id", "text"), ("value_type", "text"), ("fm_id", "bigint"),
)  # fmt: skip
# Columns that every item table has; no field except the id may use their names.
DELETED_AT = "deleted_at"
"""column of item tables: when an item was found deleted in the portal; NULL otherwise"""
RESERVED_COLUMNS = frozenset({"id", DELETED_AT, "_dlt_load_id", "_dlt_id"})


@dataclass(frozen=True)
class ColumnMapping:
    """The columns of a field: in the item table, or in a child table with one row per value.

    Attributes:
        column: the main column.
        extra: columns derived from it.
        child_table: the table of these columns, for a field with several values.
        count: column of the item table with the number of rows in the child table, for a field that cannot be selected by name:
            missing rows are found by it without the portal.
    """

    column: Column
    extra: tuple[Column, ...] = ()
    child_table: str | None = None
    count: Column | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, the main one first."""
        return (self.column, *self.extra)


NOTHING_STORED = StoredColumns()


def map_columns(
    fields: Sequence[Field], items_table: str, stored: StoredColumns = NOTHING_STORED
) -> dict[str, ColumnMapping | None]:
    """Maps fields to columns, by wire name; None for a field that is not loaded.

    Main columns are named first, derived columns avoid their names: `UF_X_CURRENCY` beside the money field `UF_X` keeps
    `uf_x_currency`; the currency of the money field is `uf_x_currency_2`. Keys without a field avoid the names of fields. Names
    are assigned in the order of `upper_name`, so they do not depend on the order of the portal's answer.

    A column never changes its type. A field whose stored column has another type (it was deleted in the portal and recreated
    under the same code) is stored in a variant, named like dlt's own: `uf_x__v_text`, and a list in the child table
    `<items_table>__uf_x__v_text`. The name depends only on the field and on the type of the first column, so a field that gets
    its old type back is stored in its old column again.

    Args:
        fields: fields of one type.
        items_table: the table of its items.
        stored: tables of the destination.
    """
    order = sorted(
        (field for field in fields if field.is_loaded),
        key=lambda field: (field.is_unlisted, field.upper_name, field.name),
    )
    taken = set(RESERVED_COLUMNS)
    mappings: dict[str, ColumnMapping | None] = dict.fromkeys((field.name for field in fields), None)
    for is_unlisted in (False, True):
        loaded = [field for field in order if field.is_unlisted == is_unlisted]
        names = {
            field.name: "id" if field.name == "id" else _unique_name(_column_name(field.upper_name), taken)
            for field in loaded
        }
        for field in loaded:
            unsuffixed = _map_column(field, names[field.name], items_table, taken)
            mappings[field.name] = _fit_stored(unsuffixed, items_table, stored, taken)
    return mappings


def _fit_stored(natural: ColumnMapping, items_table: str, stored: StoredColumns, taken: set[str]) -> ColumnMapping:
    """Returns the mapping with variants for columns that the destination has with another type."""
    if natural.child_table is None:
        columns = [_fit_column(column, items_table, stored, taken) for column in natural.columns]
        return replace(natural, column=columns[0], extra=tuple(columns[1:]))
    if all(stored.has(natural.child_table, column.name, column.type) for column in natural.columns):
        return natural
    return replace(natural, child_table=_variant(natural.child_table, natural.column.type))


def _fit_column(column: Column, table: str, stored: StoredColumns, taken: set[str]) -> Column:
    if column.name == "id" or stored.has(table, column.name, column.type):
        return column
    return replace(column, name=_unique_name(_variant(column.name, column.type), taken))


def _variant(name: str, type_: ColumnType) -> str:
    """https://dlthub.com/docs/general-usage/schema#variant-columns."""
    return f"{name}__v_{type_}"


_STORED_KINDS: Mapping[ColumnType, str] = MappingProxyType({
    "bigint": "integer", "double": "double", "bool": "boolean", "date": "date", "timestamp": "datetime", "decimal": "money",
})  # fmt: skip


def unlisted_field(
    key: str, position: int, items_table: str, stored: StoredColumns = NOTHING_STORED, *, has_lists: bool = False
) -> Field:
    """Returns a field for a key of rows that is not in the portal's field list.

    Its type is that of the stored column of its name, so that a field that is no longer listed keeps its column; text if there is
    none. A wire name lacks some underscores of the field's code, so the stored column may have more of them.

    Args:
        key: the wire name.
        position: position among the fields of its type.
        items_table: the table of the items.
        stored: tables of the destination.
        has_lists: rows have several values under the key.
    """
    guess = Field.from_wire(key, {"type": "unlisted"}, position)
    system = next((field for field in SPA_FIELDS if field.upper_name == guess.upper_name), None)
    if system is not None:
        return replace(system, position=position, is_unlisted=True)
    if re.fullmatch(r"parentId[0-9]+", key):
        return replace(guess, type="crm_entity", is_unlisted=True)
    prefix = f"{items_table}__"
    lists = [name.removeprefix(prefix) for name in stored.tables if name.startswith(prefix)]
    single = _stored_name(guess.upper_name, stored.columns_of(items_table), stored.normalize_column)
    child = _stored_name(guess.upper_name, lists, stored.normalize_column) if has_lists or not single else None
    if child:
        columns = stored.columns_of(prefix + child)
        type_ = (
            "crm_multifield" if "value_type" in columns else _STORED_KINDS.get(columns.get("value", "text"), "unlisted")
        )
        return replace(guess, upper_name=child.upper(), type=type_, is_multiple=True, is_unlisted=True)
    if single:
        stored_type = stored.type_of(items_table, single) or "text"
        return replace(
            guess, upper_name=single.upper(), type=_STORED_KINDS.get(stored_type, "unlisted"), is_unlisted=True
        )
    return replace(guess, is_unlisted=True)


def _stored_name(upper_name: str, names: Iterable[str], normalize: Callable[[str], str]) -> str | None:
    """Returns the stored column of a key, or the first one that differs only by underscores; variants do not count."""
    exact = _column_name(upper_name)
    if exact in RESERVED_COLUMNS:
        return None
    squashed = exact.replace("_", "")
    found = [
        name for name in names if "__v_" not in name and (name == normalize(exact) or name.replace("_", "") == squashed)
    ]
    return exact if normalize(exact) in found else min(found, default=None)


def _map_column(field: Field, name: str, items_table: str, taken: set[str]) -> ColumnMapping:
    kind = field.kind
    main = _MAIN_TYPES[kind]
    if kind == "multifield":
        extra = tuple(Column(*column) for column in _MULTIFIELD_COLUMNS)
        count = Column(_unique_name(f"{name}_count", taken), "bigint")
        return ColumnMapping(Column("value", main), extra, f"{items_table}__{name}", count)
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
    """Returns the lower-case name with dlt's corrections, so that the catalogue and the table agree."""
    name = re.sub(r"[^a-z0-9_]", "_", upper_name.lower())
    name = re.sub(r"^_+|(?<=__)_+", lambda run: "_" if run.start() == 0 else "", name)
    name = re.sub(r"_+$", lambda tail: "x" * len(tail.group()), name)
    return re.sub(r"(^|__)(?=[0-9])", r"\1_", name) or "_"

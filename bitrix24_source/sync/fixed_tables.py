"""Builds the tables with fixed columns: stage history, activities, product rows, activity bindings.

Rows of an owner are merged by owner, so that what the owner no longer has is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from ..reader import Row
from ..rest import as_int
from ..schema import (
    HISTORY_FIELDS,
    PRODUCT_ROW_FIELDS,
    Converter,
    Field,
    RejectedValue,
    activity_fields,
    history_row_mapper,
    map_activity_row,
    product_row_mapper,
)
from .item_tables import ItemTableBuilder, TableRows
from .ports import Capabilities
from .table_batches import TableSpec, with_delete_markers


def _as_it_comes(row: Row) -> Row:
    return row


@dataclass
class FixedTableBuilder(ItemTableBuilder):
    """Builds a table with fixed columns.

    Attributes:
        shape: maps a row of the portal to column names.
        key: the primary key.
    """

    shape: Callable[[Row], Row] = _as_it_comes
    key: tuple[str, ...] = ("id",)

    def __post_init__(self) -> None:
        self.excluded -= {*self.key, "owner_id"}  # rows are useless without them
        super().__post_init__()

    def convert(self, rows: Sequence[Row], now: datetime) -> Iterator[TableRows]:
        yield from super().convert([self.shape(row) for row in rows], now)

    def _new_converter(self, fields: Sequence[Field]) -> Converter:
        return Converter(
            fields, self.name, required=self.key, is_swept=self.marks_deleted, stored=self.stored, ignores=self._ignores
        )

    def _known_fields(self) -> Sequence[Field]:
        return self.fields

    def _table_specs(self) -> dict[str, TableSpec]:
        return {self.name: TableSpec(self.name, self.key, not_null=self.key)}


class AppendOnlyTableBuilder(FixedTableBuilder):
    """Builds a table of rows that never change and are never deleted."""

    marks_deleted = False


@dataclass
class DependentTableBuilder(FixedTableBuilder):
    """Builds a table in which all rows of an owner are replaced together.

    Attributes:
        owner: columns that identify the owner; the last one is its id, the others have constant values.
        constants: the values of the other columns.
    """

    owner: tuple[str, ...] = ()
    constants: dict[str, int] = field(default_factory=dict)

    marks_deleted = False
    counted_by = ("entity_type_id", "owner_id", "id")
    """columns by which rows are grouped, assigned to owners, and ordered"""

    def owner_of(self, row: Row) -> int | None:
        return as_int(row.get("ownerId"))

    def without_rows(self, owners: Sequence[int]) -> Iterator[TableRows]:
        """Yields delete markers for owners without rows: each makes the merge delete the owner's old ones."""
        if owners:
            nothing = self._converter.items_schema.empty_table()
            yield self.spec, with_delete_markers(nothing, owners, self.owner[-1], self.constants)

    def _tables(self, rows: Sequence[Row], rejected: list[RejectedValue] | None = None) -> Iterator[TableRows]:
        for spec, table in super()._tables(rows, rejected):
            yield spec, with_delete_markers(table, [], self.owner[-1])

    def _table_specs(self) -> dict[str, TableSpec]:
        spec = TableSpec(self.name, self.key, merge_key=self.owner, not_null=self.key, has_delete_markers=True)
        return {self.name: spec}


_BINDING_KEY = ("activity_id", "entity_type_id", "entity_id")
BINDING_SCHEMA = pa.schema([pa.field(name, pa.int64(), nullable=False) for name in _BINDING_KEY])


class BindingTableBuilder:
    """Builds `activity_bindings`: a row for each item to which an activity is bound."""

    name = "activity_bindings"
    counted_by = (None, "activity_id", "entity_id")
    spec = TableSpec(name, _BINDING_KEY, merge_key=("activity_id",), has_delete_markers=True)

    def owner_of(self, row: Row) -> int | None:
        return as_int(row.get("activityId"))

    def convert(self, rows: Sequence[Row], _now: datetime) -> Iterator[TableRows]:
        """Yields the bindings of activities, each once."""
        keys = [tuple(as_int(row.get(name)) for name in ("activityId", "entityTypeId", "entityId")) for row in rows]
        unique = [key for key in dict.fromkeys(keys) if None not in key]
        columns = list(zip(*unique, strict=True)) or [()] * len(BINDING_SCHEMA)
        table = pa.Table.from_arrays([pa.array(column, pa.int64()) for column in columns], schema=BINDING_SCHEMA)
        yield self.spec, with_delete_markers(table, [], "activity_id")

    def without_rows(self, owners: Sequence[int]) -> Iterator[TableRows]:
        """Like `DependentTableBuilder.without_rows`."""
        if owners:
            yield self.spec, with_delete_markers(BINDING_SCHEMA.empty_table(), owners, "activity_id")

    def empty_tables(self) -> Iterator[TableRows]:
        """Yields the table without rows."""
        return self.convert([], datetime.min)  # noqa: DTZ901 - no row has a time


def history_table(
    entity_type_id: int, capabilities: Capabilities, excluded: frozenset[str] = frozenset()
) -> AppendOnlyTableBuilder:
    """Returns the builder of `stage_history` for one type, without the columns left out."""
    return AppendOnlyTableBuilder(
        "stage_history",
        HISTORY_FIELDS,
        _none,
        excluded=excluded,
        shape=history_row_mapper(entity_type_id),
        key=("entity_type_id", "id"),
        capabilities=capabilities,
    )


def activity_table(capabilities: Capabilities, *, personal: bool, excluded: frozenset[str]) -> FixedTableBuilder:
    """Returns the builder of `activities`, without the columns left out."""
    fields = activity_fields(personal=personal)
    names = {field.name for field in fields}
    unknown = {field.name for field in activity_fields(personal=True)} - names

    def shape(row: Row) -> Row:
        return {name: value for name, value in map_activity_row(row).items() if name in names}

    return FixedTableBuilder(
        "activities", fields, _none, excluded=excluded - unknown, shape=shape, capabilities=capabilities
    )


def product_row_table(
    entity_type_id: int, capabilities: Capabilities, excluded: frozenset[str] = frozenset()
) -> DependentTableBuilder:
    """Returns the builder of `product_rows` for one type, without the columns left out.

    Rows get new ids in the portal whenever they are edited.
    """
    return DependentTableBuilder(
        "product_rows",
        PRODUCT_ROW_FIELDS,
        _none,
        excluded=excluded,
        shape=product_row_mapper(entity_type_id),
        key=("entity_type_id", "owner_id", "id"),
        owner=("entity_type_id", "owner_id"),
        constants={"entity_type_id": entity_type_id},
        capabilities=capabilities,
    )


def _none() -> Sequence[Field]:
    return ()

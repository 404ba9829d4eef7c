"""Builds the tables with fixed columns: stage history, activities, product rows, activity bindings.

Rows of an owner are merged by owner, so that what the owner no longer has is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dlt
import pyarrow as pa

from ..reader import Row
from ..rest import as_int
from ..schema import (
    HISTORY_FIELDS,
    PRODUCT_ROW_FIELDS,
    Converter,
    Field,
    activity_fields,
    activity_row,
    history_mapper,
    product_row,
)
from .capabilities import supports_merge
from .item_tables import HARD_DELETE, ItemTableBuilder, with_hints


def _as_it_comes(row: Row) -> Row:
    return row


@dataclass
class FixedTableBuilder(ItemTableBuilder):
    """Rows of known shape.

    Attributes:
        shape: makes a row of the portal's one of lower-case names.
        key: the primary key.
    """

    shape: Callable[[Row], Row] = _as_it_comes
    key: tuple[str, ...] = ("id",)

    def convert(self, rows: Sequence[Row], now: datetime) -> Iterator[Any]:
        yield from super().convert([self.shape(row) for row in rows], now)

    def _made_converter(self, fields: Sequence[Field]) -> Converter:
        return Converter(
            fields, self.name, required=self.key, is_swept=self.is_swept, stored=self.stored, ignores=self._ignores
        )

    def _known_fields(self) -> Sequence[Field]:
        return self.fields

    def _hints(self) -> dict[str, Any]:
        return {"primary_key": list(self.key), "columns": {name: {"nullable": False} for name in self.key}}


class AppendOnlyTable(FixedTableBuilder):
    """Rows that never change and never go."""

    is_swept = False


@dataclass
class ChildTableBuilder(FixedTableBuilder):
    """Rows that are replaced with all others of their owner.

    Attributes:
        owner: columns that name the owner; the last one has its id, the others are the same for all rows of this table.
        constants: the values of those others.
    """

    owner: tuple[str, ...] = ()
    constants: dict[str, int] = field(default_factory=dict)

    is_swept = False
    counted_by = ("entity_type_id", "owner_id", "id")
    """columns that group rows, name their owner, and number them"""

    def owner_of(self, row: Row) -> int | None:
        return as_int(row.get("ownerId"))

    def without_rows(self, owners: Sequence[int]) -> Iterator[Any]:
        """Owners that have no rows any more: each gets one that makes the merge delete its old ones."""
        if owners:
            columns = self._converter.items_schema
            made = {name: [value] * len(owners) for name, value in self.constants.items()}
            made |= {self.owner[-1]: list(owners), "id": [-1] * len(owners)}
            arrays = [
                pa.array(made[one.name], one.type) if one.name in made else pa.nulls(len(owners), one.type)
                for one in columns
            ]
            removed = pa.array([True] * len(owners), HARD_DELETE.type)
            yield self._named(self.name, pa.Table.from_arrays([*arrays, removed], schema=columns.append(HARD_DELETE)))

    def _named(self, name: str, table: pa.Table) -> Any:
        if name == self.name and HARD_DELETE.name not in table.schema.names:
            table = table.append_column(HARD_DELETE, pa.nulls(len(table), HARD_DELETE.type))
        return super()._named(name, table)

    def _hints(self) -> dict[str, Any]:
        hints = super()._hints()
        hints["columns"][HARD_DELETE.name] = {"data_type": "bool", "hard_delete": True}
        return {**hints, "merge_key": list(self.owner)}


BINDING_SCHEMA = pa.schema(
    [pa.field(name, pa.int64(), nullable=False) for name in ("activity_id", "entity_type_id", "entity_id")]
    + [HARD_DELETE]
)


class BindingTableBuilder:
    """`activity_bindings`: a row for each item that an activity is bound to."""

    name = "activity_bindings"
    counted_by = (None, "activity_id", "entity_id")

    def __init__(self) -> None:
        self._is_told = False

    def owner_of(self, row: Row) -> int | None:
        return as_int(row.get("activityId"))

    def convert(self, rows: Sequence[Row], _now: datetime) -> Iterator[Any]:
        """Bindings of one activity or several."""
        named = [tuple(as_int(row.get(name)) for name in ("activityId", "entityTypeId", "entityId")) for row in rows]
        yield from self._told([(*one, None) for one in dict.fromkeys(named) if None not in one])

    def without_rows(self, owners: Sequence[int]) -> Iterator[Any]:
        """As that of `OwnedTable`."""
        if owners:
            yield from self._told([(owner, -1, -1, True) for owner in owners])

    def empty_tables(self, stored: Mapping[str, Any]) -> Iterator[Any]:
        """The table, if nothing came of it and the destination does not have it."""
        if not self._is_told and not (self.name in stored and supports_merge()):
            yield from self._told([])

    def _told(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        cells = list(zip(*rows, strict=True)) or [()] * len(BINDING_SCHEMA)
        arrays = [pa.array(column, one.type) for column, one in zip(cells, BINDING_SCHEMA, strict=True)]
        table = pa.Table.from_arrays(arrays, schema=BINDING_SCHEMA)
        if self._is_told:
            yield dlt.mark.with_table_name(table, self.name)
            return
        self._is_told = True
        key = ["activity_id", "entity_type_id", "entity_id"]
        columns = {HARD_DELETE.name: {"data_type": "bool", "hard_delete": True}}
        yield with_hints(table, self.name, primary_key=key, merge_key="activity_id", columns=columns)


def history_table(entity_type_id: int) -> AppendOnlyTable:
    """`stage_history`, for the moves of one type's items."""
    shape = history_mapper(entity_type_id)
    return AppendOnlyTable("stage_history", HISTORY_FIELDS, _none, shape=shape, key=("entity_type_id", "id"))


def activity_table(*, personal: bool, left_out: frozenset[str]) -> FixedTableBuilder:
    """`activities`, without some columns."""
    fields = [field for field in activity_fields(personal=personal) if field.name not in left_out]
    names = {field.name for field in fields}

    def shape(row: Row) -> Row:
        return {name: value for name, value in activity_row(row).items() if name in names}

    return FixedTableBuilder("activities", fields, _none, shape=shape)


def product_row_table(entity_type_id: int) -> ChildTableBuilder:
    """`product_rows`, for the items of one type. The portal numbers rows anew whenever they are edited."""
    return ChildTableBuilder(
        "product_rows",
        PRODUCT_ROW_FIELDS,
        _none,
        shape=product_row(entity_type_id),
        key=("entity_type_id", "owner_id", "id"),
        owner=("entity_type_id", "owner_id"),
        constants={"entity_type_id": entity_type_id},
    )


def _none() -> Sequence[Field]:
    return ()

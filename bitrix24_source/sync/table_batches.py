"""The output of the engine: Arrow tables with their destination table and how rows are merged into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

HARD_DELETE = pa.field("is_removed", pa.bool_())
"""true for a delete marker: the merge deletes the old rows and does not keep the marker"""


@dataclass(frozen=True)
class TableSpec:
    """A table of the destination.

    Attributes:
        name: name of the table.
        primary_key: columns that identify a row.
        merge_key: columns by which new rows replace rows of the destination.
        replaces_by: the same for a single column, which destinations search by range: rows outside of it are not read.
        not_null: columns that always have a value.
        newest_by: of several rows with the same key, the one with the highest value of this column is kept.
        has_delete_markers: rows have the column `HARD_DELETE`.
    """

    name: str
    primary_key: tuple[str, ...]
    merge_key: tuple[str, ...] = ()
    replaces_by: str = ""
    not_null: tuple[str, ...] = ()
    newest_by: str = ""
    has_delete_markers: bool = False


@dataclass(frozen=True)
class TableBatch:
    """Rows for one table, on behalf of a resource."""

    resource: str
    table: TableSpec
    data: pa.Table


def with_delete_markers(
    table: pa.Table, emptied: Sequence[int], owner: str, constants: Mapping[str, int] | None = None
) -> pa.Table:
    """Appends a delete marker for each owner that no longer has rows, so that the merge deletes its old ones.

    Args:
        table: the rows.
        emptied: ids of owners without rows.
        owner: column of the owner's id.
        constants: values of the other columns that identify the owner.
    """
    whole = table.append_column(HARD_DELETE, pa.nulls(len(table), HARD_DELETE.type))
    if not emptied:
        return whole
    count = len(emptied)
    filled = {name: pa.array([value] * count, pa.int64()) for name, value in (constants or {}).items()}
    filled |= {owner: pa.array(emptied, pa.int64()), HARD_DELETE.name: pa.array([True] * count)}
    columns = [filled.get(column.name, _placeholders(column, count)) for column in whole.schema]
    return pa.concat_tables([whole, pa.Table.from_arrays(columns, schema=whole.schema)])


def _placeholders(column: pa.Field, count: int) -> pa.Array:
    """Returns NULLs; for a column that must not be NULL, -1, which no row has."""
    return pa.nulls(count, column.type) if column.nullable else pa.array([-1] * count, column.type)

"""What leaves the engine: Arrow tables, each with the table that it is for and how its rows are merged there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

HARD_DELETE = pa.field("is_removed", pa.bool_())
"""true on a row that stands for an emptied list: the merge deletes the old rows and does not keep this one"""


@dataclass(frozen=True)
class TableSpec:
    """A table of the destination.

    Attributes:
        name: of the table.
        primary_key: columns that tell its rows apart.
        merge_key: columns whose values in the rows that arrive say which rows of the destination are replaced.
        replaces_by: the same for a single column, which destinations find by range: what lies outside is not looked at.
        not_null: columns that always have a value.
        newest_by: of several rows with one key, that with the highest value of this column stays.
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
    """Rows that belong to owners, and for each owner that has none any more a row that makes the merge delete its old ones.

    Args:
        table: the rows.
        emptied: ids of those owners.
        owner: column of the owner's id.
        constants: values of other columns that name the owner.
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
    """NULL, or in a column that must have a value -1, which no row has."""
    return pa.nulls(count, column.type) if column.nullable else pa.array([-1] * count, column.type)

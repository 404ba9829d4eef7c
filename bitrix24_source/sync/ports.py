"""What the engine needs of the running load and of its destination; `source` implements both with dlt.

Tests implement them with dictionaries, so that a run costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ..schema import NOTHING_STORED, StoredColumns

State = MutableMapping[str, Any]
"""Survives the run, and is committed with the rows of the load."""
TIMESTAMP = pa.timestamp("us", tz="UTC")
ChildCounts = Mapping[int, tuple[int, int]]
"""Number of rows and highest row id, by owner."""


def _unchanged(name: str) -> str:
    return name


LIST_SIZES = pa.schema([pa.field("item_id", pa.int64()), pa.field("rows", pa.int64())])


@dataclass(frozen=True)
class Capabilities:
    """What the destination can do and has, as of the beginning of a load.

    Attributes:
        supports_merge: single rows can be replaced. Where not, as in files, a table is written anew by each run.
        max_columns: how many a table may have; None for no limit that anybody meets.
        stored: columns of its tables.
        normalize_table: a table's name as the destination spells it: what is too long is shortened, with a hash.
        normalize_column: the same of a column.
    """

    supports_merge: bool = True
    max_columns: int | None = None
    stored: StoredColumns = NOTHING_STORED
    normalize_table: Callable[[str], str] = _unchanged
    normalize_column: Callable[[str], str] = _unchanged


@dataclass(frozen=True)
class StoredKeys:
    """The rows of one item table, by column and in the same order.

    Attributes:
        ids: all of them, each once.
        updated: `updated_time`; None where the table has no such column.
        is_deleted: whether a row is marked in `deleted_at`.
    """

    ids: pa.Array
    updated: pa.Array | None
    is_deleted: pa.Array

    @classmethod
    def empty(cls) -> StoredKeys:
        return cls(pa.array([], pa.int64()), pa.array([], TIMESTAMP), pa.array([], pa.bool_()))

    @property
    def active_ids(self) -> pa.Array:
        """Ids that are not marked as deleted."""
        return self.ids.filter(pc.invert(self.is_deleted))

    @property
    def deleted_ids(self) -> pa.Array:
        """Ids that are marked as deleted."""
        return self.ids.filter(self.is_deleted)


class DestinationReader(Protocol):
    """What a destination holds of the loads before the running one. None stands for a destination that cannot be read."""

    def opened(self) -> AbstractContextManager[Any]:
        """Keeps one connection for everything that is read meanwhile."""

    def keys(self, table: str) -> StoredKeys | None:
        """Keys of an item table."""

    def rows(self, table: str, ids: Sequence[int]) -> Iterator[pa.Table]:
        """Whole rows of an item table, with all columns that it has."""

    def list_sizes(self, table: str) -> pa.Table | None:
        """`item_id` and `rows`, the number of its rows, of each item in a child table."""

    def recorded_sizes(self, table: str, column: str) -> pa.Table | None:
        """The same as the items themselves have it in a column of their table; not of those that say nothing or are marked."""

    def counts(self, table: str, *, items_tables: Mapping[int, str]) -> Mapping[int, int] | None:
        """Rows by `entity_type_id` of a table that has this column, those of deleted items left out."""

    def child_counts(
        self, table: str, *, group: str | None, owner: str, row_id: str
    ) -> Mapping[int, ChildCounts] | None:
        """By the value of the column `group` (0 without one), number and highest id of each owner's rows."""

    def rejected_keys(self) -> pa.Table:
        """`table_name`, `item_id` and `column_name` of the rows of `rejected_values`; none where it cannot be read."""


class StateContext(Protocol):
    """What a load is planned by.

    Attributes:
        capabilities: of the destination.
        source_state: of the source as a whole.
    """

    capabilities: Capabilities
    source_state: State

    def resource_state(self, resource: str) -> State:
        """What is stored for a resource."""

    def has_columns(self, table: str, columns: Sequence[str] = ()) -> bool:
        """Whether earlier loads have written a table with all these columns."""

    def recreate_dropped_tables(self, tables: Sequence[str]) -> list[str]:
        """Has the load make those tables again that the destination has lost; returns their names."""


class LoadContext(StateContext, Protocol):
    """The load package that is being extracted.

    Attributes:
        load_id: of the package; "" outside a pipeline.
        destination: reads it back.
        dropped_tables: names of the tables that a refresh drops before this load.
    """

    load_id: str
    destination: DestinationReader
    dropped_tables: Sequence[str]

    def has_consumer(self, resource: str) -> bool:
        """Whether the load still takes rows of a resource; what was not taken is not remembered."""

    def show_progress(self, table: str, message: str) -> None:
        """Shows a message beside the table's rows, in whatever progress the user chose."""

"""The interfaces of the running load and of its destination that the engine uses; `source` implements them with dlt.

Tests implement them with dictionaries, so that a run takes milliseconds.
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
"""State that is kept between runs and committed with the rows of the load."""
TIMESTAMP = pa.timestamp("us", tz="UTC")
DependentCounts = Mapping[int, tuple[int, int]]
"""Number of rows and highest row id, by owner."""


def _unchanged(name: str) -> str:
    return name


VALUE_COUNTS = pa.schema([pa.field("item_id", pa.int64()), pa.field("rows", pa.int64())])


@dataclass(frozen=True)
class Capabilities:
    """Capabilities of the destination, and its tables at the beginning of a load.

    Attributes:
        supports_merge: single rows can be replaced; otherwise, as in files, each run rewrites a table.
        max_columns: maximum number of columns of a table; None without a relevant limit.
        stored: columns of its tables.
        normalize_table: returns a table's name in the destination; long names are shortened, with a hash.
        normalize_column: the same for a column.
    """

    supports_merge: bool = True
    max_columns: int | None = None
    stored: StoredColumns = NOTHING_STORED
    normalize_table: Callable[[str], str] = _unchanged
    normalize_column: Callable[[str], str] = _unchanged


@dataclass(frozen=True)
class StoredKeys:
    """Columns of one item table, with the same order of rows.

    Attributes:
        ids: all ids, each once.
        updated: `updated_time`; None if the table has no such column.
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
    """Reads what earlier loads have written to the destination; methods return None if it cannot be read."""

    def opened(self) -> AbstractContextManager[Any]:
        """Returns a context in which one connection is used for all reads."""

    def keys(self, table: str) -> StoredKeys | None:
        """Returns the keys of an item table."""

    def rows(self, table: str, ids: Sequence[int]) -> Iterator[pa.Table]:
        """Yields rows of an item table, with all its columns."""

    def list_sizes(self, table: str) -> pa.Table | None:
        """Returns `item_id` and `rows` (the number of rows) for each item in a child table."""

    def recorded_sizes(self, table: str, column: str) -> pa.Table | None:
        """Returns the same from a count column of the item table, without NULLs and rows marked as deleted."""

    def counts(self, table: str, *, items_tables: Mapping[int, str]) -> Mapping[int, int] | None:
        """Returns the number of rows by `entity_type_id`, without those of deleted items."""

    def dependent_counts(
        self, table: str, *, group: str | None, owner: str, row_id: str
    ) -> Mapping[int, DependentCounts] | None:
        """Returns number and highest id of each owner's rows, by the value of the column `group` (0 without one)."""

    def rejected_keys(self) -> pa.Table:
        """Returns `table_name`, `item_id` and `column_name` of the rows of `rejected_values`; none if it cannot be read."""


class StateContext(Protocol):
    """What the planning of a load needs.

    Attributes:
        capabilities: capabilities of the destination.
        source_state: state of the whole source.
    """

    capabilities: Capabilities
    source_state: State

    def resource_state(self, resource: str) -> State:
        """Returns the state of a resource."""

    def has_columns(self, table: str, columns: Sequence[str] = ()) -> bool:
        """Returns whether earlier loads have written a table with all these columns."""

    def recreate_missing_tables(self, tables: Sequence[str]) -> list[str]:
        """Has the load recreate tables that the destination has lost; returns their names."""


class LoadContext(StateContext, Protocol):
    """The load package that is being extracted.

    Attributes:
        load_id: id of the package; "" outside a pipeline.
        destination: reads the destination.
        tables_dropped_by_refresh: names of the tables that a refresh drops before this load.
    """

    load_id: str
    destination: DestinationReader
    tables_dropped_by_refresh: Sequence[str]

    def has_consumer(self, resource: str) -> bool:
        """Returns whether the rows of a resource are still consumed; otherwise no checkpoint is saved."""

    def show_progress(self, table: str, message: str) -> None:
        """Shows a message beside the table's rows, in the progress display that the user chose."""

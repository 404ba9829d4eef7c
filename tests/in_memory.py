"""A destination and a load package of dictionaries: what the engine does to tables, without dlt and in milliseconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from bitrix24_source.sync import (
    HARD_DELETE,
    REJECTED_KEYS_SCHEMA,
    REJECTED_TABLE,
    TIMESTAMP,
    Capabilities,
    StoredKeys,
    TableBatch,
    TableSpec,
)

Row = dict[str, Any]


@dataclass
class MemoryDestination:
    """Tables by name; rows by id, or by the values of a longer primary key."""

    tables: dict[str, dict[Any, Row]] = field(default_factory=dict)
    columns: dict[str, set[str]] = field(default_factory=dict)

    def commit(self, batches: Sequence[TableBatch]) -> Counter[str]:
        """Merges one package as dlt does: what the arriving rows replace goes first. Returns rows by table."""
        specs = {batch.table.name: batch.table for batch in batches}
        written: Counter[str] = Counter()
        for name, spec in specs.items():
            arriving = [row for batch in batches if batch.table.name == name for row in batch.data.to_pylist()]
            self.columns.setdefault(name, set()).update(
                column for batch in batches if batch.table.name == name for column in batch.data.schema.names
            )
            written[name] += self._merge(spec, arriving)
        return +written

    def _merge(self, spec: TableSpec, arriving: Sequence[Row]) -> int:
        table = self.tables.setdefault(spec.name, {})
        replaced_by = (spec.replaces_by,) if spec.replaces_by else spec.merge_key or spec.primary_key
        keys = {tuple(row[column] for column in replaced_by) for row in arriving}
        for key in [key for key, row in table.items() if tuple(row[column] for column in replaced_by) in keys]:
            del table[key]
        kept = [row for row in arriving if not row.pop(HARD_DELETE.name, None)]
        for row in kept:
            key = tuple(row[column] for column in spec.primary_key)
            table[key[0] if len(key) == 1 else key] = row
        return len(kept)

    # --- DestinationReader ---------------------------------------------------------------------------------------------

    def opened(self) -> AbstractContextManager[None]:
        return nullcontext()

    def keys(self, table: str) -> StoredKeys:
        rows = self.tables.get(table, {}).values()
        has_times = all("updated_time" in row for row in rows)
        times = pa.array([row["updated_time"] for row in rows], TIMESTAMP) if has_times else None
        marks = pa.array([row["deleted_at"] is not None for row in rows], pa.bool_())
        return StoredKeys(pa.array([row["id"] for row in rows], pa.int64()), times, marks)

    def rows(self, table: str, ids: Sequence[int]) -> Iterator[pa.Table]:
        yield pa.Table.from_pylist([self.tables[table][id_] for id_ in ids])

    def counts(self, table: str, *, items_tables: Mapping[int, str]) -> Mapping[int, int]:
        deleted = {
            (type_, id_)
            for type_, name in items_tables.items()
            for id_, row in self.tables.get(name, {}).items()
            if row["deleted_at"]
        }
        rows = self.tables.get(table, {}).values()
        return Counter(row["entity_type_id"] for row in rows if (row["entity_type_id"], row["owner_id"]) not in deleted)

    def child_counts(
        self, table: str, *, group: str | None, owner: str, row_id: str
    ) -> Mapping[int, Mapping[int, tuple[int, int]]]:
        counts: dict[int, dict[int, tuple[int, int]]] = {}
        for row in self.tables.get(table, {}).values():
            owners = counts.setdefault(row[group] if group else 0, {})
            number, highest = owners.get(row[owner], (0, 0))
            owners[row[owner]] = number + 1, max(highest, row[row_id])
        return counts

    def rejected_keys(self) -> pa.Table:
        rows = self.tables.get(REJECTED_TABLE, {}).values()
        keys = [{name: row[name] for name in REJECTED_KEYS_SCHEMA.names} for row in rows]
        return pa.Table.from_pylist(keys, schema=REJECTED_KEYS_SCHEMA)


@dataclass
class MemoryLoadContext:
    """One load package. Its state is that of the package; `commit` makes it the job's."""

    destination: MemoryDestination
    states: dict[str, Row]
    load_id: str = "1"
    capabilities: Capabilities = field(default_factory=Capabilities)
    existing_tables: frozenset[str] | None = None
    dropped_tables: Sequence[str] = ()
    wanted: Callable[[str], bool] = lambda _resource: True
    messages: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.states = deepcopy(self.states)
        self.source_state = self.resource_state("")

    def resource_state(self, resource: str) -> Row:
        return self.states.setdefault(resource, {})

    def has_consumer(self, resource: str) -> bool:
        return self.wanted(resource)

    def has_columns(self, table: str, columns: Sequence[str] = ()) -> bool:
        return table in self.destination.columns and self.destination.columns[table].issuperset(columns)

    def recreate_table(self, table: str) -> None:
        self.destination.tables[table] = {}

    def show_progress(self, table: str, message: str) -> None:
        self.messages.append((table, message))

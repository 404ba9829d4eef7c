"""Reads keys, rows and stored state from the destination, as of the previous load."""

# ruff: noqa: S608 - names of our own, and numbers

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import dlt
import pyarrow as pa
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.common.versioned_state import decompress_state
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from ..schema import ARROW_TYPES, DELETED_AT, ColumnType
from ..sync import (
    PROVENANCE,
    REJECTED_KEYS_SCHEMA,
    REJECTED_TABLE,
    TIMESTAMP,
    VALUE_COUNTS,
    DependentCounts,
    StoredKeys,
)
from .capabilities import normalized_column, normalized_table, supports_merge
from .current_load import current_load_id
from .dlt_internals import active_pipeline

log = logging.getLogger("bitrix24_source")

_T = TypeVar("_T")
IDS_AT_ONCE = 1000
"""ids in one IN list"""
ROWS_AT_ONCE = 10_000
"""rows that are fetched at once"""


@dataclass(frozen=True)
class DestinationState:
    """State and tables of the destination.

    Attributes:
        has_load: it has the load with which the pipeline's state was stored; None if unknown.
        state: the state of this source for this pipeline; empty if there is none.
        portals: the portals of all pipelines that load into this dataset, by pipeline name.
        tables: names of existing tables; None if unknown.
    """

    has_load: bool | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    portals: Mapping[str, str] = field(default_factory=dict)
    tables: frozenset[str] | None = None


class _Table:
    """A table that is queried with SQL."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self.name = self.named(table)

    def named(self, table: str) -> str:
        """Returns a table's name in SQL."""
        return str(self._client.make_qualified_table_name(table))

    def quote(self, column: str) -> str:
        """Returns a column's name in SQL."""
        return str(self._client.escape_column_name(column))

    def columns(self, query: str, types: Sequence[pa.DataType]) -> list[pa.Array]:
        """Returns the columns of a query's result; DuckDB and others do so without a Python object for each value."""
        with self._client.execute_query(query) as cursor:
            tables = list(cursor.iter_arrow(ROWS_AT_ONCE))
        chunks = [
            [table.column(place).cast(type_).combine_chunks() for table in tables] for place, type_ in enumerate(types)
        ]
        return [pa.concat_arrays([pa.array([], type_), *found]) for found, type_ in zip(chunks, types, strict=True)]


class DltDestinationReader:
    """Reads with dlt's SQL client; methods return None if the destination cannot be read or merged into.

    Used for one extraction: with many tables, making a client takes dlt longer than a query.
    """

    def __init__(self) -> None:
        self._open: Any = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        with ExitStack() as stack:
            if self._is_readable and self._open is None:
                with suppress(SqlClientNotAvailable, NotImplementedError):
                    self._open = stack.enter_context(self._client)
            try:
                yield
            finally:
                self._open = None

    def keys(self, table: str) -> StoredKeys | None:
        columns = self._tables.get(table, {}).get("columns", {}) if self._is_readable else {}
        has_time = columns.get("updated_time", {}).get("data_type") == "timestamp"

        def read(ask: _Table) -> StoredKeys:
            names = ", ".join((ask.quote("id"), *([ask.quote("updated_time")] if has_time else ())))
            mark = f"CASE WHEN {ask.quote(DELETED_AT)} IS NULL THEN 0 ELSE 1 END AS is_deleted"
            types = (pa.int64(), *([TIMESTAMP] if has_time else ()), pa.int64())
            ids, *updated, marks = ask.columns(f"SELECT {names}, {mark} FROM {ask.name}", types)
            return StoredKeys(ids, updated[0] if has_time else None, marks.cast(pa.bool_()))

        return self._read(table, read, StoredKeys.empty(), needs=("id", DELETED_AT))

    def rows(self, table: str, ids: Sequence[int]) -> Iterator[pa.Table]:
        """Yields rows of the destination with all columns, including those that no field fills any more."""
        columns = {
            name: ARROW_TYPES[cast(ColumnType, column["data_type"])]
            for name, column in self._tables[table]["columns"].items()
            if not name.startswith("_dlt") and column.get("data_type")
        }
        with self._connection() as client:
            quote = client.escape_column_name
            names = ", ".join(quote(name) for name in columns)
            for start in range(0, len(ids), IDS_AT_ONCE):
                listed = ", ".join(str(int(id_)) for id_ in ids[start : start + IDS_AT_ONCE])
                found = client.execute_sql(
                    f"SELECT {names} FROM {client.make_qualified_table_name(table)} WHERE {quote('id')} IN ({listed})"
                )
                values = list(zip(*(found or ()), strict=True)) or [()] * len(columns)
                arrays = [pa.array(column, type_) for column, type_ in zip(values, columns.values(), strict=True)]
                yield pa.Table.from_arrays(arrays, schema=pa.schema(_arrow_field(n, t) for n, t in columns.items()))

    def list_sizes(self, table: str) -> pa.Table | None:
        def read(ask: _Table) -> pa.Table:
            item_id = ask.quote("item_id")
            query = f"SELECT {item_id}, COUNT(*) AS size FROM {ask.name} GROUP BY {item_id}"
            return pa.table(ask.columns(query, VALUE_COUNTS.types), VALUE_COUNTS)

        return self._read(normalized_table(table), read, VALUE_COUNTS.empty_table())

    def recorded_sizes(self, table: str, column: str) -> pa.Table | None:
        column = normalized_column(column)

        def read(ask: _Table) -> pa.Table:
            size = ask.quote(column)
            is_said = f"{ask.quote(DELETED_AT)} IS NULL AND {size} IS NOT NULL"
            query = f"SELECT {ask.quote('id')}, {size} FROM {ask.name} WHERE {is_said}"
            return pa.table(ask.columns(query, VALUE_COUNTS.types), VALUE_COUNTS)

        return self._read(table, read, VALUE_COUNTS.empty_table(), needs=(column,))

    def counts(self, table: str, *, items_tables: Mapping[int, str]) -> Mapping[int, int] | None:
        def read(ask: _Table) -> dict[int, int]:
            type_, owner = ask.quote("entity_type_id"), ask.quote("owner_id")
            numbers = ask.columns(
                f"SELECT {type_}, COUNT(*) AS size FROM {ask.name} GROUP BY {type_}", VALUE_COUNTS.types
            )
            counts = dict(zip(*(column.to_pylist() for column in numbers), strict=True))
            for entity_type_id, items in items_tables.items():
                if entity_type_id in counts and items in self._tables:
                    deleted = (
                        f"SELECT {ask.quote('id')} FROM {ask.named(items)} WHERE {ask.quote(DELETED_AT)} IS NOT NULL"
                    )
                    is_of_deleted = f"{type_} = {int(entity_type_id)} AND {owner} IN ({deleted})"
                    (gone,) = ask.columns(
                        f"SELECT COUNT(*) AS size FROM {ask.name} WHERE {is_of_deleted}", [pa.int64()]
                    )
                    counts[entity_type_id] -= gone[0].as_py()
            return counts

        return self._read(table, read, dict[int, int]())

    def dependent_counts(
        self, table: str, *, group: str | None, owner: str, row_id: str
    ) -> Mapping[int, DependentCounts] | None:
        def read(ask: _Table) -> dict[int, dict[int, tuple[int, int]]]:
            keys = [ask.quote(column) for column in (group, owner) if column]
            numbers = f"COUNT(*) AS size, MAX({ask.quote(row_id)}) AS highest"
            query = f"SELECT {', '.join(keys)}, {numbers} FROM {ask.name} GROUP BY {', '.join(keys)}"
            *grouped, owners, sizes, highest = (
                column.to_pylist() for column in ask.columns(query, [pa.int64()] * (len(keys) + 2))
            )
            groups = grouped[0] if grouped else [0] * len(owners)
            counts: dict[int, dict[int, tuple[int, int]]] = {}
            for number, owner_id, size, max_id in zip(groups, owners, sizes, highest, strict=True):
                counts.setdefault(number, {})[owner_id] = size, max_id or 0
            return counts

        return self._read(table, read, dict[int, dict[int, tuple[int, int]]]())

    def rejected_keys(self) -> pa.Table:
        def read(ask: _Table) -> pa.Table:
            names = ", ".join(map(ask.quote, REJECTED_KEYS_SCHEMA.names))
            query = f"SELECT DISTINCT {names} FROM {ask.name}"
            return pa.table(ask.columns(query, REJECTED_KEYS_SCHEMA.types), REJECTED_KEYS_SCHEMA)

        nothing = REJECTED_KEYS_SCHEMA.empty_table()
        return self._read(REJECTED_TABLE, read, nothing) or nothing

    def destination_state(self, load_id: str) -> DestinationState:
        """Reads state and tables of the destination; empty if it cannot be read.

        Args:
            load_id: id of the load with which the pipeline's state was stored; "" if unknown.
        """
        if not current_load_id() or not supports_merge():
            return DestinationState()
        with self._connection() as client:
            if client is None or not client.has_dataset():
                return DestinationState(has_load=False if client is not None and load_id else None)
            schema = dlt.current.source_schema()
            has_load = None
            states: dict[str, Mapping[str, Any]] = {}
            if load_id:
                name, key = (
                    client.make_qualified_table_name(schema.loads_table_name),
                    client.escape_column_name("load_id"),
                )
                try:
                    has_load = bool(client.execute_sql(f"SELECT 1 FROM {name} WHERE {key} = %s", load_id))
                except DatabaseUndefinedRelation:
                    has_load = False
            if not has_load:
                states = _latest_states(client, schema)
            own = states.get(active_pipeline().pipeline_name, {})
            return DestinationState(
                has_load, own, {name: _portal_in(state) for name, state in states.items()}, _tables(client)
            )

    def _read(self, table: str, read: Callable[[_Table], _T], nothing: _T, needs: Sequence[str] = ()) -> _T | None:
        """Returns the result of `read` for a table; None if the destination cannot be read.

        Args:
            table: name of the table in the destination.
            read: queries the table.
            nothing: the result for a table that does not exist.
            needs: columns without which the table counts as missing.
        """
        if not self._is_readable:
            return None
        if table not in self._tables or not self._tables[table]["columns"].keys() >= {*needs}:
            return nothing
        with self._connection() as client:
            if client is None:
                return None
            try:
                return read(_Table(client, table))
            except DatabaseUndefinedRelation:
                return nothing

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """Yields the open connection, or a new one; None if there is none."""
        if self._open is not None:
            yield self._open
            return
        pipeline, is_first_load = active_pipeline(), not self._tables
        with ExitStack() as stack:
            client: Any = None
            with suppress(SqlClientNotAvailable, NotImplementedError):
                if is_first_load:
                    opened: Any = pipeline.destination_client()
                    client = getattr(stack.enter_context(opened), "sql_client", None)
                else:
                    client = stack.enter_context(self._client)
            yield client

    @functools.cached_property
    def _client(self) -> Any:
        return active_pipeline().sql_client(dlt.current.source_schema().name)

    @property
    def _is_readable(self) -> bool:
        return bool(current_load_id()) and supports_merge() and bool(self._tables)

    @functools.cached_property
    def _tables(self) -> Mapping[str, Any]:
        """Returns the tables in dlt's schema, which the destination stores, too, for a new working directory."""
        pipeline, name = active_pipeline(), dlt.current.source_schema().name
        return dict(pipeline.schemas[name].tables) if name in pipeline.schema_names and supports_merge() else {}


def _portal_in(state: Mapping[str, Any]) -> str:
    return str(state.get(PROVENANCE, {}).get("portal", ""))


def _latest_states(client: Any, schema: Any) -> dict[str, Mapping[str, Any]]:
    """Returns the latest state of this source by pipeline."""
    quote = client.escape_column_name
    name = client.make_qualified_table_name(schema.state_table_name)
    pipeline, version = quote("pipeline_name"), quote("version")
    query = (
        f"SELECT s.{pipeline}, s.{quote('state')} FROM {name} s JOIN (SELECT t.{pipeline} AS owner, MAX(t.{version}) AS latest "
        f"FROM {name} t GROUP BY t.{pipeline}) m ON m.owner = s.{pipeline} AND m.latest = s.{version}"
    )
    try:
        found = client.execute_sql(query) or ()
    except DatabaseUndefinedRelation:
        return {}
    states: dict[str, Mapping[str, Any]] = {}
    for pipeline_name, packed in found:
        with suppress(Exception):  # a state of another version of dlt cannot be used
            states[str(pipeline_name)] = decompress_state(packed).get("sources", {}).get(schema.name, {})
    return states


def _tables(client: Any) -> frozenset[str] | None:
    """Returns the names of existing tables; None if the database has no such catalogue."""
    query = "SELECT table_name FROM INFORMATION_SCHEMA.TABLES WHERE table_schema = %s"
    try:
        found = client.execute_sql(query, client.dataset_name)
    except Exception as error:  # noqa: BLE001 - each driver has errors of its own
        log.debug("the destination does not list its tables: %s", type(error).__name__)
        return None
    return frozenset(str(name) for (name,) in found or ()) or None


def _arrow_field(name: str, type_: pa.DataType) -> pa.Field:
    return pa.field(name, type_, nullable=name != "id")


def recreate_missing_tables(names: Iterable[str], existing: frozenset[str] | None) -> list[str]:
    """Has dlt recreate tables that its schema has and the destination lacks; returns their names.

    dlt itself creates tables only if the schema has changed.

    Args:
        names: names of tables, before normalisation.
        existing: tables of the destination; None if unknown, and then none counts as dropped.
    """
    known = dlt.current.source_schema().tables if current_load_id() and existing is not None else {}
    dropped = [name for name in map(normalized_table, names) if name in known and name not in (existing or ())]
    for name in dropped:
        made_again: Any = {"name": name, "columns": {}, "x-made-again-for": current_load_id()}
        dlt.current.source_schema().update_table(made_again)
    return dropped

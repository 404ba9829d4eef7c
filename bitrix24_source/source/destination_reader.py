"""Reads keys, rows and book-keeping back from the destination, as of the load before the running one."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import dlt
import pyarrow as pa
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.common.versioned_state import decompress_state
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from ..schema import ARROW_TYPES, ColumnType
from ..sync import LIST_SIZES, PROVENANCE, REJECTED_KEYS_SCHEMA, REJECTED_TABLE, TIMESTAMP, ChildCounts, StoredKeys
from .capabilities import normalized_column, normalized_table, supports_merge
from .current_load import current_load_id
from .dlt_internals import active_pipeline

log = logging.getLogger("bitrix24_source")

IDS_AT_ONCE = 1000
"""ids in one IN list"""
ROWS_AT_ONCE = 10_000
"""of ids that are read, as Python objects"""


@dataclass(frozen=True)
class Bookkeeping:
    """What the destination says of itself.

    Attributes:
        has_load: it has the load that the pipeline's state was stored with; None where that is not known.
        state: of this source, as the destination has it for this pipeline; empty where it has none.
        portals: by the names of all pipelines that load into this dataset, the portals that they read.
        tables: that exist; None where that is not known.
    """

    has_load: bool | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    portals: Mapping[str, str] = field(default_factory=dict)
    tables: frozenset[str] | None = None


class DltDestinationReader:
    """Reads by dlt's SQL client; nothing where the destination cannot be read back or merged into.

    Lives as long as one extraction: to ask dlt for a client takes longer than to ask the client, in a schema of many tables.
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
        if not self._is_readable:
            return None
        columns = self._tables.get(table, {}).get("columns", {})
        if "id" not in columns or "deleted_at" not in columns:
            return StoredKeys.empty()
        has_time = columns.get("updated_time", {}).get("data_type") == "timestamp"
        with self._connection() as client:
            if client is None:
                return None
            quote = client.escape_column_name
            names = ", ".join((quote("id"), quote("updated_time") if has_time else "NULL"))
            query = (
                f"SELECT {names}, CASE WHEN {quote('deleted_at')} IS NULL THEN 0 ELSE 1 END "  # noqa: S608 - our own names
                f"FROM {client.make_qualified_table_name(table)}"
            )
            try:
                with client.execute_query(query) as cursor:
                    chunks = [_as_keys(rows, has_time=has_time) for rows in cursor.iter_fetch(ROWS_AT_ONCE) if rows]
            except DatabaseUndefinedRelation:
                return StoredKeys.empty()
        if not chunks:
            return StoredKeys.empty()
        times = [chunk.updated for chunk in chunks if chunk.updated is not None]
        return StoredKeys(
            pa.concat_arrays([chunk.ids for chunk in chunks]),
            pa.concat_arrays(times) if has_time else None,
            pa.concat_arrays([chunk.is_deleted for chunk in chunks]),
        )

    def rows(self, table: str, ids: Sequence[int]) -> Iterator[pa.Table]:
        """Whole rows as they are in the destination, with all its columns, also those that no field fills any more."""
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
                    f"SELECT {names} FROM {client.make_qualified_table_name(table)} WHERE {quote('id')} IN ({listed})"  # noqa: S608 - numbers
                )
                values = list(zip(*(found or ()), strict=True)) or [()] * len(columns)
                arrays = [pa.array(column, type_) for column, type_ in zip(values, columns.values(), strict=True)]
                yield pa.Table.from_arrays(arrays, schema=pa.schema(_arrow_field(n, t) for n, t in columns.items()))

    def list_sizes(self, table: str) -> pa.Table | None:
        if not self._is_readable:
            return None
        return self._sizes(
            normalized_table(table),
            lambda q, name: f"SELECT {q('item_id')}, COUNT(*) FROM {name} GROUP BY {q('item_id')}",  # noqa: S608
        )

    def recorded_sizes(self, table: str, column: str) -> pa.Table | None:
        if not self._is_readable:
            return None
        if normalized_column(column) not in self._tables.get(table, {}).get("columns", {}):
            return LIST_SIZES.empty_table()
        return self._sizes(
            table,
            lambda q, name: (
                f"SELECT {q('id')}, {q(normalized_column(column))} FROM {name} "  # noqa: S608
                f"WHERE {q('deleted_at')} IS NULL AND {q(normalized_column(column))} IS NOT NULL"
            ),
        )

    def _sizes(self, table: str, query: Callable[[Callable[[str], str], str], str]) -> pa.Table | None:
        """The two columns of `LIST_SIZES`; `query` is given how to quote a column, and the table's name."""
        if table not in self._tables:
            return LIST_SIZES.empty_table()
        with self._connection() as client:
            if client is None:
                return None
            try:
                with client.execute_query(
                    query(client.escape_column_name, client.make_qualified_table_name(table))
                ) as cursor:
                    chunks = [
                        pa.table([pa.array(column, pa.int64()) for column in zip(*rows, strict=True)], LIST_SIZES)
                        for rows in cursor.iter_fetch(ROWS_AT_ONCE)
                        if rows
                    ]
            except DatabaseUndefinedRelation:
                return LIST_SIZES.empty_table()
        return pa.concat_tables([LIST_SIZES.empty_table(), *chunks])

    def counts(self, table: str, *, items_tables: Mapping[int, str]) -> Mapping[int, int] | None:
        if not self._is_readable:
            return None
        if table not in self._tables:
            return {}
        with self._connection() as client:
            if client is None:
                return None
            quote, name = client.escape_column_name, client.make_qualified_table_name(table)
            type_, owner = quote("entity_type_id"), quote("owner_id")
            try:
                found = client.execute_sql(f"SELECT {type_}, COUNT(*) FROM {name} GROUP BY {type_}")  # noqa: S608
                counts = {int(entity_type_id): int(count) for entity_type_id, count in found or ()}
                for entity_type_id, items in items_tables.items():
                    if entity_type_id in counts and items in self._tables:
                        deleted = client.execute_sql(
                            f"SELECT COUNT(*) FROM {name} WHERE {type_} = {int(entity_type_id)} AND {owner} IN (SELECT "  # noqa: S608
                            f"{quote('id')} FROM {client.make_qualified_table_name(items)} WHERE {quote('deleted_at')} IS NOT NULL)"
                        )
                        counts[entity_type_id] -= int(deleted[0][0]) if deleted else 0
            except DatabaseUndefinedRelation:
                return {}
        return counts

    def child_counts(
        self, table: str, *, group: str | None, owner: str, row_id: str
    ) -> Mapping[int, ChildCounts] | None:
        if not self._is_readable:
            return None
        if table not in self._tables:
            return {}
        with self._connection() as client:
            if client is None:
                return None
            quote, name = client.escape_column_name, client.make_qualified_table_name(table)
            keys = [quote(column) for column in (group, owner) if column]
            query = (
                f"SELECT {quote(group) if group else 0}, {quote(owner)}, COUNT(*), MAX({quote(row_id)}) "  # noqa: S608 - our own names
                f"FROM {name} GROUP BY {', '.join(keys)}"
            )
            counts: dict[int, dict[int, tuple[int, int]]] = {}
            try:
                with client.execute_query(query) as cursor:
                    for rows in cursor.iter_fetch(ROWS_AT_ONCE):
                        for number, owner_id, count, max_id in rows:
                            counts.setdefault(int(number), {})[int(owner_id)] = int(count), int(max_id or 0)
            except DatabaseUndefinedRelation:
                return {}
        return counts

    def rejected_keys(self) -> pa.Table:
        chunks = [REJECTED_KEYS_SCHEMA.empty_table()]
        if self._is_readable and REJECTED_TABLE in self._tables:
            with (
                suppress(DatabaseUndefinedRelation, SqlClientNotAvailable, NotImplementedError),
                self._connection() as client,
            ):
                if client is not None:
                    chunks += _rejected_keys(client)
        return pa.concat_tables(chunks)

    def bookkeeping(self, load_id: str) -> Bookkeeping:
        """What the destination says of itself; nothing where it cannot be asked.

        Args:
            load_id: of the load that the pipeline's state was stored with; "" where it says none.
        """
        if not current_load_id() or not supports_merge():
            return Bookkeeping()
        with self._connection() as client:
            if client is None or not client.has_dataset():
                return Bookkeeping(has_load=False if client is not None and load_id else None)
            schema = dlt.current.source_schema()
            has_load = None
            states: dict[str, Mapping[str, Any]] = {}
            if load_id:
                name, key = (
                    client.make_qualified_table_name(schema.loads_table_name),
                    client.escape_column_name("load_id"),
                )
                try:
                    has_load = bool(client.execute_sql(f"SELECT 1 FROM {name} WHERE {key} = %s", load_id))  # noqa: S608
                except DatabaseUndefinedRelation:
                    has_load = False
            if not has_load:
                states = _latest_states(client, schema)
            own = states.get(active_pipeline().pipeline_name, {})
            return Bookkeeping(
                has_load, own, {name: _portal_in(state) for name, state in states.items()}, _tables(client)
            )

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """The one that is open, or one of its own; None where there is none."""
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
        """As dlt knows them from the state, which the destination keeps, also when its working directory is new."""
        pipeline, name = active_pipeline(), dlt.current.source_schema().name
        return dict(pipeline.schemas[name].tables) if name in pipeline.schema_names and supports_merge() else {}


def _rejected_keys(client: Any) -> list[pa.Table]:
    names = ", ".join(map(client.escape_column_name, REJECTED_KEYS_SCHEMA.names))
    query = f"SELECT DISTINCT {names} FROM {client.make_qualified_table_name(REJECTED_TABLE)}"  # noqa: S608 - our own names
    with client.execute_query(query) as cursor:
        return [
            pa.Table.from_arrays(
                [
                    pa.array(cells, column.type)
                    for cells, column in zip(zip(*rows, strict=True), REJECTED_KEYS_SCHEMA, strict=True)
                ],
                schema=REJECTED_KEYS_SCHEMA,
            )
            for rows in cursor.iter_fetch(ROWS_AT_ONCE)
            if rows
        ]


def _portal_in(state: Mapping[str, Any]) -> str:
    return str(state.get(PROVENANCE, {}).get("portal", ""))


def _latest_states(client: Any, schema: Any) -> dict[str, Mapping[str, Any]]:
    """The latest state of this source by pipeline."""
    quote = client.escape_column_name
    name = client.make_qualified_table_name(schema.state_table_name)
    pipeline, version = quote("pipeline_name"), quote("version")
    query = (
        f"SELECT s.{pipeline}, s.{quote('state')} FROM {name} s JOIN (SELECT t.{pipeline} AS owner, MAX(t.{version}) AS latest "  # noqa: S608 - our own names
        f"FROM {name} t GROUP BY t.{pipeline}) m ON m.owner = s.{pipeline} AND m.latest = s.{version}"
    )
    try:
        found = client.execute_sql(query) or ()
    except DatabaseUndefinedRelation:
        return {}
    states: dict[str, Mapping[str, Any]] = {}
    for pipeline_name, packed in found:
        with suppress(Exception):  # a state of another version of dlt is none that we can go on from
            states[str(pipeline_name)] = decompress_state(packed).get("sources", {}).get(schema.name, {})
    return states


def _tables(client: Any) -> frozenset[str] | None:
    """Names of the tables that exist; None where the database has no such catalogue."""
    query = "SELECT table_name FROM INFORMATION_SCHEMA.TABLES WHERE table_schema = %s"
    try:
        found = client.execute_sql(query, client.dataset_name)
    except Exception as error:  # noqa: BLE001 - each driver has errors of its own
        log.debug("the destination does not list its tables: %s", type(error).__name__)
        return None
    return frozenset(str(name) for (name,) in found or ()) or None


def _as_keys(rows: Sequence[Sequence[Any]], *, has_time: bool) -> StoredKeys:
    ids, times, marks = zip(*rows, strict=True)
    updated = pa.array(times, TIMESTAMP) if has_time else None
    return StoredKeys(pa.array(ids, pa.int64()), updated, pa.array([bool(mark) for mark in marks], pa.bool_()))


def _arrow_field(name: str, type_: pa.DataType) -> pa.Field:
    return pa.field(name, type_, nullable=name != "id")


def recreate_dropped_tables(names: Iterable[str], existing: frozenset[str] | None) -> list[str]:
    """Has dlt make those tables again that its schema knows and the destination lacks; returns their names.

    dlt makes tables only where the schema has changed.

    Args:
        names: of tables, as this package writes them.
        existing: tables of the destination; None where they are not known, and then none is taken for dropped.
    """
    known = dlt.current.source_schema().tables if current_load_id() and existing is not None else {}
    dropped = [name for name in map(normalized_table, names) if name in known and name not in (existing or ())]
    for name in dropped:
        made_again: Any = {"name": name, "columns": {}, "x-made-again-for": current_load_id()}
        dlt.current.source_schema().update_table(made_again)
    return dropped

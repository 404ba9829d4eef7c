"""Reads ids and rows back from the destination, as of the load before the running one."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import dlt
import pyarrow as pa
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from ..schema import ARROW_TYPES, ColumnType
from .capabilities import supports_merge

IDS_AT_ONCE = 1000
"""ids in one IN list"""
ROWS_AT_ONCE = 10_000
"""of ids that are read, as Python objects"""


class DestinationReader:
    """What the destination holds, as of the load before the running one; nothing where it cannot be read back or merged into.

    Lives as long as one extraction: to ask dlt for a client takes longer than to ask the client, in a schema of many tables.
    """

    def __init__(self) -> None:
        self._latest: tuple[str, pa.Array, pa.Array] | None = None

    def active_ids(self, table: str) -> pa.Array:
        """Ids that are not marked as deleted."""
        return self._ids(table)[1]

    def deleted_ids(self, table: str) -> pa.Array:
        """Ids that are marked as deleted."""
        return self._ids(table)[2]

    def rows(self, table: str, ids: Sequence[int]) -> Iterator[pa.Table]:
        """Whole rows as they are in the destination, with all its columns, also those that no field fills any more."""
        columns = {
            name: ARROW_TYPES[cast(ColumnType, column["data_type"])]
            for name, column in self._tables[table]["columns"].items()
            if not name.startswith("_dlt") and column.get("data_type")
        }
        with self._client as client:
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

    def _ids(self, table: str) -> tuple[str, pa.Array, pa.Array]:
        """Of one table at a time: whoever asks for the living ones often asks for the marked ones next."""
        if self._latest is None or self._latest[0] != table:
            nothing = pa.array([], pa.int64())
            self._latest = table, nothing, nothing
            if table in self._tables:
                with (
                    suppress(DatabaseUndefinedRelation, SqlClientNotAvailable, NotImplementedError),
                    self._client as sql,
                ):
                    self._latest = table, _ids_where(sql, table, "IS NULL"), _ids_where(sql, table, "IS NOT NULL")
        return self._latest

    @functools.cached_property
    def _client(self) -> Any:
        return dlt.current.pipeline().sql_client(dlt.current.source_schema().name)

    @functools.cached_property
    def _tables(self) -> Mapping[str, Any]:
        """As dlt knows them from the state, which the destination keeps, also when its working directory is new."""
        pipeline, name = dlt.current.pipeline(), dlt.current.source_schema().name
        return dict(pipeline.schemas[name].tables) if name in pipeline.schema_names and supports_merge() else {}


def _ids_where(client: Any, table: str, condition: str) -> pa.Array:
    id_, mark = map(client.escape_column_name, ("id", "deleted_at"))
    name = client.make_qualified_table_name(table)
    with client.execute_query(f"SELECT {id_} FROM {name} WHERE {mark} {condition}") as cursor:  # noqa: S608 - our own names
        chunks = [pa.array([row[0] for row in rows], pa.int64()) for rows in cursor.iter_fetch(ROWS_AT_ONCE)]
    return pa.concat_arrays(chunks) if chunks else pa.array([], pa.int64())


def _arrow_field(name: str, type_: pa.DataType) -> pa.Field:
    return pa.field(name, type_, nullable=name != "id")

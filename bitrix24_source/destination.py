"""Is the destination free, and what does it hold already? Asked before the portal is asked for anything.

It knows dlt's clients and SQL that every destination understands, and nothing of Bitrix24.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import dlt
import pyarrow as pa
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.common.exceptions import DltException
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from .arrow_types import ARROW
from .capabilities import can_merge
from .errors import ConfigError
from .fields import ColumnType
from .transport import redacted

IDS_AT_ONCE = 1000
"""ids in one IN list"""
ROWS_AT_ONCE = 10_000
"""of ids that are read, as Python objects"""


def require_free(pipeline: dlt.Pipeline) -> None:
    """Opens the destination and closes it again; a locked database should not cost a whole extraction.

    Raises:
        ConfigError: a DuckDB file has the dataset's name, with which DuckDB can address no table.
            Or a driver says that it cannot be reached.
        DltException: it cannot be opened for another reason.
    """
    failure: ConfigError | None = None
    try:
        _open(pipeline)
    except (DltException, ConfigError):
        raise
    except Exception as error:  # noqa: BLE001 - dlt lets the errors of drivers through, each of a class of its own
        name = pipeline.destination.destination_name if pipeline.destination else ""
        failure = ConfigError(
            f"the destination cannot be reached ({redacted(' '.join(str(error).split()))[:400]})",
            f"destination {name}",
            f"check its address and credentials: DESTINATION__{name.upper()}__CREDENTIALS or .dlt/secrets.toml",
        )
    if failure:
        raise failure  # outside the handler: a driver's error can name what it was given


def _open(pipeline: dlt.Pipeline) -> None:
    with pipeline.destination_client() as client:
        client.is_storage_initialized()
        sql = getattr(client, "sql_client", None)
        if pipeline.destination.destination_name == "duckdb" or type(sql).__name__ == "DuckDbSqlClient":
            _require_other_name(sql)


def _require_other_name(sql: Any) -> None:
    catalog = sql.execute_sql("SELECT current_database()")[0][0]
    if catalog == sql.dataset_name:
        raise ConfigError(
            f"the DuckDB file and the dataset are both named {catalog!r}, which DuckDB cannot tell apart",
            "destination.duckdb.credentials",
            f'give the file another name, e.g. DESTINATION__DUCKDB__CREDENTIALS="{catalog}_data.duckdb"',
        )


class Held:
    """What the destination holds, as of the load before the running one; nothing where it cannot be read back or merged into.

    Lives as long as one extraction: to ask dlt for a client takes longer than to ask the client, in a schema of many tables.
    """

    def __init__(self) -> None:
        self._latest: tuple[str, pa.Array, pa.Array] | None = None

    def living_ids(self, table: str) -> pa.Array:
        """Ids that are not marked as deleted."""
        return self._ids(table)[1]

    def marked_ids(self, table: str) -> pa.Array:
        """Ids that are marked as deleted."""
        return self._ids(table)[2]

    def rows(self, table: str, ids: Sequence[int]) -> Iterator[pa.Table]:
        """Whole rows as they are in the destination, with all its columns, also those that no field fills any more."""
        columns = {
            name: ARROW[cast(ColumnType, column["data_type"])]
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
        return dict(pipeline.schemas[name].tables) if name in pipeline.schema_names and can_merge() else {}


def _ids_where(client: Any, table: str, condition: str) -> pa.Array:
    id_, mark = map(client.escape_column_name, ("id", "deleted_at"))
    name = client.make_qualified_table_name(table)
    with client.execute_query(f"SELECT {id_} FROM {name} WHERE {mark} {condition}") as cursor:  # noqa: S608 - our own names
        chunks = [pa.array([row[0] for row in rows], pa.int64()) for rows in cursor.iter_fetch(ROWS_AT_ONCE)]
    return pa.concat_arrays(chunks) if chunks else pa.array([], pa.int64())


def _arrow_field(name: str, type_: pa.DataType) -> pa.Field:
    return pa.field(name, type_, nullable=name != "id")

"""Is the destination free, and what does it hold already? Asked before the portal is asked for anything.

It knows dlt's clients and SQL that every destination understands, and nothing of Bitrix24.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, cast

import dlt
import pyarrow as pa
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.common.exceptions import DltException
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from .arrow_types import ARROW
from .errors import ConfigError
from .fields import ColumnType
from .transport import redacted

IDS_AT_ONCE = 1000
"""ids in one IN list"""

ROWS_AT_ONCE = 10_000
"""rows of one column that are fetched"""


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


def living_ids(pipeline: dlt.Pipeline, schema: str, table: str) -> pa.Array:
    """Ids of a table that are not marked as deleted; empty where the table or a way to read it does not exist."""
    return _ids_where(pipeline, schema, table, "deleted_at IS NULL")


def marked_ids(pipeline: dlt.Pipeline, schema: str, table: str) -> pa.Array:
    """Ids of a table that are marked as deleted; empty as with `living_ids`."""
    return _ids_where(pipeline, schema, table, "deleted_at IS NOT NULL")


def _ids_where(pipeline: dlt.Pipeline, schema: str, table: str, condition: str) -> pa.Array:
    if schema not in pipeline.schema_names or table not in pipeline.schemas[schema].tables:
        return pa.array([], pa.int64())  # dlt knows what the destination has, also when its working directory is new
    unreadable = (DatabaseUndefinedRelation, SqlClientNotAvailable, NotImplementedError)
    with suppress(*unreadable), pipeline.sql_client(schema) as client:
        name = client.make_qualified_table_name(table)
        with client.execute_query(f"SELECT id FROM {name} WHERE {condition}") as found:  # noqa: S608 - our own names
            # A tuple for each id of a large table, all at once, would be the peak of a whole run.
            ids = [pa.array([row[0] for row in rows], pa.int64()) for rows in found.iter_fetch(ROWS_AT_ONCE)]
        return pa.concat_arrays([pa.array([], pa.int64()), *ids])
    return pa.array([], pa.int64())


def rows_of(pipeline: dlt.Pipeline, schema: str, table: str, ids: Sequence[int]) -> Iterator[pa.Table]:
    """Whole rows as they are in the destination, with all its columns, also those that no field fills any more."""
    columns = {
        name: ARROW[cast(ColumnType, column["data_type"])]
        for name, column in pipeline.schemas[schema].tables[table]["columns"].items()
        if not name.startswith("_dlt") and column.get("data_type")
    }
    with pipeline.sql_client(schema) as client:
        quote = client.capabilities.escape_identifier
        names = ", ".join(quote(name) for name in columns)
        for start in range(0, len(ids), IDS_AT_ONCE):
            listed = ", ".join(str(int(id_)) for id_ in ids[start : start + IDS_AT_ONCE])
            found = client.execute_sql(
                f"SELECT {names} FROM {client.make_qualified_table_name(table)} WHERE id IN ({listed})"  # noqa: S608 - numbers
            )
            values = list(zip(*(found or ()), strict=True)) or [()] * len(columns)
            arrays = [pa.array(column, type_) for column, type_ in zip(values, columns.values(), strict=True)]
            yield pa.Table.from_arrays(arrays, schema=pa.schema(_arrow_field(n, t) for n, t in columns.items()))


def _arrow_field(name: str, type_: pa.DataType) -> pa.Field:
    return pa.field(name, type_, nullable=name != "id")

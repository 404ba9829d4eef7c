"""Which values that were rejected before are so no longer? Their rows have to leave `rejected_values`.

It knows what the destination holds of rejected values, and refuses to know why they were rejected.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.common.schema.utils import has_table_seen_data
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from .capabilities import can_merge
from .destination import ROWS_AT_ONCE
from .extraction import current_load_id
from .item_tables import REJECTED_KEY, REJECTED_SCHEMA, REJECTED_TABLE, no_longer_rejected

_KEYS = pa.schema([REJECTED_SCHEMA.field(name) for name in REJECTED_KEY])


class Mended:
    """Lives as long as one extraction. The destination is asked once, and only where something was ever rejected."""

    def of_dropped(self) -> Iterator[Any]:
        """Of the tables that a refresh drops before this load: what is still rejected comes with their items."""
        dropped = _dropped_tables()
        if dropped and len(self._held):
            found = pc.is_in(self._held.column("table_name"), value_set=pa.array(dropped, pa.string()))
            yield from _told(self._held.filter(found))

    @functools.cached_property
    def _held(self) -> pa.Table:
        """Keys of the rows that the destination has; none where it cannot be read back or merged into."""
        chunks = [_KEYS.empty_table()]
        if current_load_id() and can_merge():
            pipeline, name = dlt.current.pipeline(), dlt.current.source_schema().name
            stored = pipeline.schemas[name].tables if name in pipeline.schema_names else {}
            if REJECTED_TABLE in stored and has_table_seen_data(stored[REJECTED_TABLE]):
                with suppress(DatabaseUndefinedRelation, SqlClientNotAvailable, NotImplementedError):
                    chunks += _keys(pipeline.sql_client(name))
        return pa.concat_tables(chunks)


def _keys(sql_client: Any) -> list[pa.Table]:
    with sql_client as client:
        names = ", ".join(map(client.escape_column_name, REJECTED_KEY))
        query = f"SELECT DISTINCT {names} FROM {client.make_qualified_table_name(REJECTED_TABLE)}"  # noqa: S608 - our own names
        with client.execute_query(query) as cursor:
            return [
                pa.Table.from_arrays(
                    [pa.array(cells, one.type) for cells, one in zip(zip(*rows, strict=True), _KEYS, strict=True)],
                    schema=_KEYS,
                )
                for rows in cursor.iter_fetch(ROWS_AT_ONCE)
                if rows
            ]


def _dropped_tables() -> list[str]:
    if not current_load_id():
        return []
    state = dlt.current.load_package_state()["state"]
    return [str(table["name"]) for table in state.get("dropped_tables", ())]


def _told(keys: pa.Table) -> Iterator[Any]:
    if len(keys):
        yield no_longer_rejected(keys)

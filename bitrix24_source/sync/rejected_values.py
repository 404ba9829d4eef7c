"""Removes rows of `rejected_values` whose values have been corrected in the portal since."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from ..schema import RejectedValue
from .capabilities import normalized_table, supports_merge
from .current_load import current_load_id
from .destination_reader import ROWS_AT_ONCE
from .item_tables import REJECTED_KEY, REJECTED_SCHEMA, REJECTED_TABLE, no_rejections, rejections, resolved_rejections

_REJECTED_IN_LOAD = "rejected_in_load"
"""in the source's state: the latest load that rejected a value"""
_KEYS = pa.schema([REJECTED_SCHEMA.field(name) for name in REJECTED_KEY])


class ResolvedRejections:
    """Lives as long as one extraction. The destination is asked once, and not at all where the state knows of no such row.

    Args:
        tables: item tables, in which an item has one id for ever; rows of other tables cannot be told apart by an id.
    """

    def __init__(self, tables: Iterable[str]) -> None:
        self._tables = frozenset(tables)

    def for_dropped_tables(self) -> Iterator[Any]:
        """Of the tables that a refresh drops before this load: what is still rejected comes with their items."""
        dropped = _dropped_tables()
        if dropped and len(self._held):
            found = pc.is_in(self._held.column("table_name"), value_set=pa.array(dropped, pa.string()))
            yield from _told(self._held.filter(found))

    def for_batch(self, made: Any) -> Iterator[Any]:
        """Of items that come again, of their lists, too: what is still rejected comes with them."""
        name = getattr(made.meta, "table_name", None) or made.meta.hints["table_name"]
        if name == REJECTED_TABLE and len(made.data) and current_load_id():
            self._note_rejected()
        if name not in self._tables or not len(made.data) or not len(self._held):
            return
        is_there = pc.is_null(made.data.column("deleted_at"))  # a row that is marked is an old one
        ids = made.data.filter(is_there).column("id")
        table, own = self._held.column("table_name"), normalized_table(name)
        belongs = pc.or_(pc.equal(table, own), pc.starts_with(table, f"{own}__"))
        yield from _told(self._held.filter(pc.and_(belongs, pc.is_in(self._held.column("item_id"), value_set=ids))))

    def for_catalogue_table(self, table: str, rejected: Sequence[RejectedValue], now: datetime) -> Iterator[Any]:
        """Of a table that is read as a whole: what is rejected in this run, and the end of all that was rejected before."""
        held = self._held.filter(pc.equal(self._held.column("table_name"), normalized_table(table)))
        if not rejected and not len(held):
            return
        yield no_rejections()
        yield from _told(held)
        if rejected:
            self._note_rejected()
            yield rejections(rejected, now)

    def _note_rejected(self) -> None:
        """For later runs, which look up rejected values only where there may be some."""
        if current_load_id():
            dlt.current.source_state().update({REJECTED_TABLE: True, _REJECTED_IN_LOAD: current_load_id()})

    @functools.cached_property
    def _held(self) -> pa.Table:
        """Keys of the rows that the destination has; none where it cannot be read back or merged into."""
        chunks = [_KEYS.empty_table()]
        if not current_load_id() or not supports_merge() or not dlt.current.source_state().get(REJECTED_TABLE, True):
            return chunks[0]
        pipeline, name = dlt.current.pipeline(), dlt.current.source_schema().name
        if name in pipeline.schema_names and REJECTED_TABLE in pipeline.schemas[name].tables:
            with suppress(DatabaseUndefinedRelation, SqlClientNotAvailable, NotImplementedError):
                chunks += _keys(pipeline.sql_client(name))
        is_new = dlt.current.source_state().get(_REJECTED_IN_LOAD) == current_load_id()
        dlt.current.source_state()[REJECTED_TABLE] = is_new or len(chunks) > 1
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
        yield resolved_rejections(keys)

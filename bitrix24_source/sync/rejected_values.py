"""The table `rejected_values`: values that did not fit their columns, until they are corrected in the portal."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from ..schema import DELETED_AT, RejectedValue
from .ports import Capabilities, LoadContext
from .table_batches import HARD_DELETE, TableBatch, TableSpec

REJECTED_TABLE = "rejected_values"
REJECTED_SCHEMA = pa.schema(
    [
        pa.field("table_name", pa.string(), nullable=False),
        pa.field("item_id", pa.int64(), nullable=False),
        pa.field("column_name", pa.string(), nullable=False),
        pa.field("field_type", pa.string()),
        pa.field("raw_value", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("loaded_at", pa.timestamp("us", tz="UTC")),
    ]
)
REJECTED_KEY = ("table_name", "item_id", "column_name")
REJECTED_KEYS_SCHEMA = pa.schema([REJECTED_SCHEMA.field(name) for name in REJECTED_KEY])
REJECTED = TableSpec(REJECTED_TABLE, primary_key=(*REJECTED_KEY, "raw_value"), merge_key=REJECTED_KEY)
RESOLVED = TableSpec(REJECTED_TABLE, primary_key=REJECTED.primary_key, merge_key=REJECTED_KEY, has_delete_markers=True)
"""The same table with delete markers, whose column is added only once a value has been resolved."""
_REJECTED_IN_LOAD = "rejected_in_load"
"""key in the source's state: the latest load that rejected a value"""


def rejections(rejected: Sequence[RejectedValue], now: datetime, capabilities: Capabilities) -> pa.Table:
    """Returns a row for each rejected value, which replaces an earlier one; names are the destination's."""
    rows = [
        {
            **vars(value),
            "table_name": capabilities.normalize_table(value.table_name),
            "column_name": capabilities.normalize_column(value.column_name),
            "loaded_at": now,
        }
        for value in rejected
    ]
    return pa.Table.from_pylist(rows, schema=REJECTED_SCHEMA)


def resolved_rejections(keys: pa.Table) -> pa.Table:
    """Returns delete markers for rows with the same `REJECTED_KEY`."""
    filled = {
        "raw_value": pa.array(["resolved"] * len(keys)),  # no JSON, as all others are
        HARD_DELETE.name: pa.array([True] * len(keys)),
    }
    schema = REJECTED_SCHEMA.append(HARD_DELETE)
    arrays = [
        keys.column(column.name)
        if column.name in REJECTED_KEY
        else filled.get(column.name, pa.nulls(len(keys), column.type))
        for column in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


class ResolvedRejections:
    """Removes rows of `rejected_values` whose values have been corrected in the portal.

    Used for one extraction. The destination is queried once, and not at all if the state knows of no rejected value.
    """

    def __init__(self, context: LoadContext, tables: Iterable[str] = ()) -> None:
        """Begins a load.

        Args:
            context: the load.
            tables: item tables, whose ids are permanent; rows of other tables cannot be identified by an id.
        """
        self._context = context
        self._tables = frozenset(tables)

    def for_dropped_tables(self, resource: str) -> Iterator[TableBatch]:
        """Yields markers for the tables that a refresh drops: values that are still rejected come with their items."""
        dropped = list(self._context.tables_dropped_by_refresh)
        if dropped and len(self._stored):
            found = pc.is_in(self._stored.column("table_name"), value_set=pa.array(dropped, pa.string()))
            yield from _resolved(resource, self._stored.filter(found))

    def for_batch(self, batch: TableBatch) -> Iterator[TableBatch]:
        """Yields markers for items that are read again, and their lists: values still rejected come with them."""
        if batch.table.name == REJECTED_TABLE and len(batch.data):
            self._note_rejected()
        if batch.table.name not in self._tables or not len(batch.data) or not len(self._stored):
            return
        is_active = pc.is_null(batch.data.column(DELETED_AT))  # a row that is marked is an old one
        ids = batch.data.filter(is_active).column("id")
        table, name = self._stored.column("table_name"), self._context.capabilities.normalize_table(batch.table.name)
        is_of_table = pc.or_(pc.equal(table, name), pc.starts_with(table, f"{name}__"))
        is_of_items = pc.is_in(self._stored.column("item_id"), value_set=ids)
        yield from _resolved(batch.resource, self._stored.filter(pc.and_(is_of_table, is_of_items)))

    def for_catalog_table(
        self, resource: str, table: str, rejected: Sequence[RejectedValue], now: datetime
    ) -> Iterator[TableBatch]:
        """Yields the rejected values of a table that is read as a whole, and markers for all earlier ones."""
        name = self._context.capabilities.normalize_table(table)
        yield from _resolved(resource, self._stored.filter(pc.equal(self._stored.column("table_name"), name)))
        if rejected:
            self._note_rejected()
            yield TableBatch(resource, REJECTED, rejections(rejected, now, self._context.capabilities))

    def _note_rejected(self) -> None:
        """Stores that values were rejected, so that later runs look them up."""
        if self._context.load_id:
            self._context.source_state.update({REJECTED_TABLE: True, _REJECTED_IN_LOAD: self._context.load_id})

    @functools.cached_property
    def _stored(self) -> pa.Table:
        """Keys of the rows in the destination."""
        state, load_id = self._context.source_state, self._context.load_id
        if not load_id or not self._context.capabilities.supports_merge or not state.get(REJECTED_TABLE, True):
            return REJECTED_KEYS_SCHEMA.empty_table()
        keys = self._context.destination.rejected_keys()
        state[REJECTED_TABLE] = bool(len(keys)) or state.get(_REJECTED_IN_LOAD) == load_id
        return keys


def _resolved(resource: str, keys: pa.Table) -> Iterator[TableBatch]:
    if len(keys):
        yield TableBatch(resource, RESOLVED, resolved_rejections(keys))

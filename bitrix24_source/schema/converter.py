"""Converts a page of rows to typed Arrow columns, and reports the values that do not fit.

Each column is converted by `vectorized`, or by `row_wise` if that gives up.
"""

from __future__ import annotations

import functools
import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ..rest import as_id, as_list
from .arrow_types import ARROW_TYPES, DATE, INTEGER, TIMESTAMP
from .columns import DELETED_AT, NOTHING_STORED, ColumnMapping, map_columns
from .fields import Column, ColumnType, Field
from .redacted_json import rejected_json
from .row_wise import convert_each
from .scalars import is_empty
from .stored_columns import StoredColumns
from .vectorized import VECTORIZED

_IGNORED = frozenset(
    {"entityTypeId", "searchContent"}
)  # the first names the table; the second is scrambled personal data
_ABSENT = object()  # a list that is missing in a row is unknown, so its stored rows are kept
_FEW = 64
_Page = Mapping[str, Sequence[Any]]


class UnusableIdError(ValueError):
    """A row has no usable id: the page as a whole is not trusted."""


@dataclass(frozen=True)
class RejectedValue:
    """A value that its column cannot hold, or only in part; kept completely here, without credentials."""

    table_name: str
    item_id: int
    column_name: str
    field_type: str
    raw_value: str
    reason: str


@dataclass(frozen=True)
class ConvertedPage:
    """One page as tables; `cleared_lists` has the items whose rows a child table must delete."""

    items: pa.Table
    children: dict[str, pa.Table]
    rejected: list[RejectedValue]
    cleared_lists: dict[str, list[int]]


class Converter:
    """Converts the pages of one entity type to tables with the same schema for every page."""

    def __init__(
        self, fields: Sequence[Field], items_table: str, *, required: Sequence[str] = (), is_swept: bool = True,
        stored: StoredColumns = NOTHING_STORED, ignores: Callable[[str], bool] = lambda _key: False,
        excluded: Collection[str] = (),
    ) -> None:  # fmt: skip
        """Decides the columns.

        Args:
            fields: fields of the rows, listed or not; of two with the same wire name the last one counts.
            items_table: the item table.
            required: columns besides the id that always have a value.
            is_swept: the table has a column `deleted_at`.
            stored: tables of the destination; a column never changes its type.
            ignores: returns whether a key without a field is ignored.
            excluded: names of counts (`ColumnMapping.count`) that are left out.
        """
        self._is_swept = is_swept
        self._ignores = ignores
        known = list({field.name: field for field in fields}.values())
        mappings = map_columns(known, items_table, stored)
        converters = [
            _FieldConverter(field, mapping, items_table, stored.limits)
            for field in known
            if (mapping := mappings[field.name])
        ]
        self._known = {"id", *_IGNORED, *mappings}
        self._singles = [
            converter for converter in converters if not converter.mapping.child_table and converter.field.name != "id"
        ]
        self._lists = [converter for converter in converters if converter.mapping.child_table]
        single_columns = chain.from_iterable(converter.mapping.columns for converter in self._singles)
        self._counts = {
            count.name: converter.table
            for converter in self._lists
            if (count := converter.mapping.count) is not None and count.name not in excluded
        }
        own_columns = [Column(name, "bigint") for name in self._counts]
        own_columns += [Column(DELETED_AT, "timestamp")] if is_swept else []
        self.items_schema = _schema(["id"], [*single_columns, *own_columns], required)
        self.child_schemas = {
            converter.table: _schema(["item_id", "position"], converter.mapping.columns) for converter in self._lists
        }

    @property
    def counts(self) -> Mapping[str, str]:
        """Count columns and their child tables."""
        return self._counts

    @property
    def list_fields(self) -> tuple[str, ...]:
        """Wire names of the fields that fill child tables."""
        return tuple(converter.field.name for converter in self._lists)

    def list_sizes(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
        """Returns, by child table, the number of rows that each item should have; null if its row lacks the field."""
        sizes: dict[str, pa.Array] = {}
        for converter in self._lists:
            listed = [row.get(converter.field.name, _ABSENT) for row in rows]
            child, _ = self._child(converter, list(range(len(rows))), {converter.field.name: listed}, [])
            counts = Counter(child.column("item_id").to_pylist())
            known = (None if value is _ABSENT else counts[place] for place, value in enumerate(listed))
            sizes[converter.table] = pa.array(known, INTEGER)
        return sizes

    def unknown_keys(self, rows: Sequence[Mapping[str, Any]]) -> frozenset[str]:
        """Returns the keys without a field that have a value: rows also have keys of disabled features, always empty."""
        unknown = [key for key in set().union(*rows) - self._known if not self._ignores(key)]
        return frozenset(key for key in unknown if not all(is_empty(row.get(key)) for row in rows))

    def convert(self, rows: Sequence[Mapping[str, Any]]) -> ConvertedPage:
        """Converts a page to tables. Fails only if a row has no id, never because of a value."""
        page = _to_columns(rows, frozenset(converter.field.name for converter in self._lists))
        ids = _ids(page.get("id", [None] * len(rows)))
        rejected: list[RejectedValue] = []
        values = self._items(ids, page, rejected)
        children = {converter.table: self._child(converter, ids, page, rejected) for converter in self._lists}
        counts = [_counted(ids, *children[table]) for table in self._counts.values()]
        marks = [pa.nulls(len(ids), TIMESTAMP)] if self._is_swept else []
        items = pa.Table.from_arrays([*values, *counts, *marks], schema=self.items_schema)
        return ConvertedPage(
            items=items,
            children={table: child for table, (child, _) in children.items()},
            rejected=rejected,
            cleared_lists={table: cleared_lists for table, (_, cleared_lists) in children.items()},
        )

    def _items(self, ids: list[int], page: _Page, rejected: list[RejectedValue]) -> list[pa.Array]:
        """Returns the columns that fields fill, ids first."""
        arrays = [pa.array(ids, INTEGER)]
        nothing = [None] * len(ids)
        for converter in self._singles:
            cells, reasons = converter.read(values := page.get(converter.field.name, nothing))
            arrays += cells
            rejected += converter.rejected(ids, values, reasons)
        return arrays

    def _child(
        self, converter: _FieldConverter, ids: list[int], page: _Page, rejected: list[RejectedValue]
    ) -> tuple[pa.Table, list[int]]:
        """Returns a row per value that is not empty, and the items whose list is empty."""
        listed = page.get(converter.field.name, [_ABSENT] * len(ids))
        lists = [value if type(value) is list else _said_values(value) for value in listed]
        lengths = list(map(len, lists))
        values = list(chain.from_iterable(lists))
        owners = list(chain.from_iterable(map(repeat, ids, lengths)))
        positions = list(chain.from_iterable(map(range, lengths)))
        cells, reasons = converter.read(values)
        rejected += converter.rejected(owners, values, reasons)
        arrays = [pa.array(owners, INTEGER), pa.array(positions, INTEGER), *cells]
        table = _without_empty(pa.Table.from_arrays(arrays, schema=self.child_schemas[converter.table]), reasons)
        having = set(owners if len(table) == len(owners) else table.column("item_id").to_pylist())
        return table, [
            id_ for id_, value in zip(ids, listed, strict=True) if id_ not in having and value is not _ABSENT
        ]


class _FieldConverter(NamedTuple):
    """Converts the values of one field to its columns."""

    field: Field
    mapping: ColumnMapping
    items_table: str
    limits: Mapping[ColumnType, range]

    @property
    def table(self) -> str:
        return self.mapping.child_table or self.items_table

    def read(self, values: Sequence[Any]) -> tuple[list[pa.Array], dict[int, str]]:
        """Returns an array for each column, and the reason for each value that did not fit, by its index."""
        arrays, reasons = self._read(values)
        for place, column in enumerate(self.mapping.columns):
            if bounds := self.limits.get(column.type):
                arrays[place] = _within(bounds, arrays[place], reasons)
        return arrays, reasons

    def _read(self, values: Sequence[Any]) -> tuple[list[pa.Array], dict[int, str]]:
        """Like `read`, without the limits of the destination."""
        types = set(map(type, values))
        if types <= {type(None)}:
            return [pa.nulls(len(values), ARROW_TYPES[column.type]) for column in self.mapping.columns], {}
        if fast := VECTORIZED.get(self.field.kind):
            with suppress(ValueError, TypeError, LookupError, OverflowError, pa.ArrowException):
                return fast(values, types), {}
            if len(values) > _FEW:
                return self._read_in_halves(values)
        return convert_each(self.field, self.mapping.columns, values)

    def _read_in_halves(self, values: Sequence[Any]) -> tuple[list[pa.Array], dict[int, str]]:
        """Splits the column in halves: usually few values are odd, so most of it is still converted in one pass."""
        middle = len(values) // 2
        (before, reasons), (after, more) = self._read(values[:middle]), self._read(values[middle:])
        arrays = [pa.concat_arrays(halves) for halves in zip(before, after, strict=True)]
        return arrays, reasons | {middle + index: reason for index, reason in more.items()}

    def rejected(self, owners: Sequence[int], values: Sequence[Any], reasons: Mapping[int, str]) -> list[RejectedValue]:
        column, field = self.mapping.column.name, self.field
        return [
            RejectedValue(
                self.table, owners[index], column, field.type, rejected_json(values[index], field.kind), reason
            )
            for index, reason in reasons.items()
        ]


def _within(bounds: range, array: pa.Array, reasons: dict[int, str]) -> pa.Array:
    """Returns the days or instants that the destination can hold; adds a reason for the others."""
    numbers = array.view(pa.int32() if array.type == DATE else pa.int64())
    fits = pc.and_(pc.greater_equal(numbers, bounds.start), pc.less(numbers, bounds.stop))
    if pc.all(fits).as_py() is not False:
        return array
    reasons |= {
        index: "beyond the days that the destination holds"
        for index, fit in enumerate(fits.to_pylist())
        if fit is False
    }
    return pc.if_else(fits, array, pa.scalar(None, array.type))


def _schema(keys: Iterable[str], columns: Iterable[Column], required: Sequence[str] = ()) -> pa.Schema:
    own = [pa.field(name, INTEGER, nullable=False) for name in keys]
    return pa.schema(
        [*own, *(pa.field(column.name, ARROW_TYPES[column.type], column.name not in required) for column in columns)]
    )


def _to_columns(rows: Sequence[Mapping[str, Any]], lists: frozenset[str]) -> _Page:
    """Returns the values of each key. Rows of a page usually have the same keys, and are transposed in one step."""
    if set(map(type, rows)) != {dict} and not all(isinstance(row, Mapping) for row in rows):
        raise UnusableIdError("A row of the page is not an object.")
    names = tuple(rows[0]) if rows else ()
    if set(map(len, rows)) == {len(names)}:
        with suppress(KeyError):
            return _columns_of(rows, names)
    blank = {name: _ABSENT if name in lists else None for name in set().union(*rows)}
    return _columns_of([row if len(row) == len(blank) else {**blank, **row} for row in rows], tuple(blank))


def _columns_of(rows: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> _Page:
    values = map(operator.itemgetter(*names, *names[:1]), rows) if names else ()  # twice the first: always a tuple
    return dict(zip(names, zip(*values, strict=True), strict=False))


def _ids(values: Sequence[Any]) -> list[int]:
    ids = [id_ for value in values if (id_ := as_id(value)) is not None]
    if len(ids) < len(values):
        raise UnusableIdError("A row of the page has no usable id.")
    return ids


def _said_values(value: Any) -> Sequence[Any]:
    return () if value is _ABSENT else as_list(value)


def _counted(ids: Sequence[int], child: pa.Table, cleared: Sequence[int]) -> pa.Array:
    """Returns how many rows the child table has for each item; null if the item's row lacks the list."""
    rows = set(zip(child.column("item_id").to_pylist(), child.column("position").to_pylist(), strict=True))
    counts = Counter(item for item, _ in rows)
    counts.update(dict.fromkeys(cleared, 0))
    return pa.array(map(counts.get, ids), INTEGER)


def _without_empty(child: pa.Table, reasons: Mapping[int, str]) -> pa.Table:
    """Removes rows of empty values, but not of rejected ones."""
    if not child.column("value").null_count:
        return child
    filled = functools.reduce(pc.or_, (column.is_valid() for column in child.columns[2:])).to_pylist()
    return child.filter(pa.array([is_filled or index in reasons for index, is_filled in enumerate(filled)]))

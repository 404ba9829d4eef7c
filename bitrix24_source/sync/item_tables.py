"""Builds the tables of items: rows merged by id, child tables merged as a whole, rejected values beside them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

import pyarrow as pa

from ..errors import DeniedError, PortalError, UnavailableError
from ..reader import Row
from ..schema import (
    COLUMN_TYPES,
    MULTIFIELD,
    Converter,
    Field,
    RejectedValue,
    StoredColumns,
    is_excluded,
    is_excluded_key,
    map_columns,
    squash,
    unlisted_field,
    with_system_fields,
    with_system_types,
)
from .ports import Capabilities
from .rejected_values import REJECTED, rejections
from .table_batches import TableSpec, with_delete_markers

log = logging.getLogger("bitrix24_source")

TableRows = tuple[TableSpec, pa.Table]


@dataclass
class ItemTableBuilder:
    """Builds one item table and its child tables, for one run.

    Attributes:
        name: name of the item table.
        fields: the portal's field list.
        reread: reads the field list again.
        selected: wire names of the fields to load besides the id; empty for all.
        excluded: names of columns that are left out.
        is_spa: the table has the system columns of smart processes, whether or not the portal lists them.
        capabilities: capabilities of the destination; a stored column never changes its type.
        rows: number of items converted.
    """

    name: str
    fields: Sequence[Field]
    reread: Callable[[], Sequence[Field]]
    selected: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    is_spa: bool = False
    capabilities: Capabilities = field(default_factory=Capabilities)
    rows: int = 0

    marks_deleted: ClassVar[bool] = True
    """rows deleted in the portal stay, marked in `deleted_at`"""

    def __post_init__(self) -> None:
        self._reread = False
        self.not_looked_up: set[str] = set()
        """keys of rows that were ignored, because the field list could not be read again"""
        self._listed: Sequence[Field] | None = None
        self._passed_over: set[str] = set()
        known = self._known_fields()
        self._names = {f.upper_name.lower() for f in known}
        self._use(known)
        self._filled = frozenset(self._columns())

    def empty_tables(self) -> Iterator[TableRows]:
        """Yields all its tables without rows, so that a type without items has a table, too."""
        return self._tables([])

    def convert(self, rows: Sequence[Row], now: datetime) -> Iterator[TableRows]:
        """Converts rows to tables; the values that did not fit their columns come last."""
        if unknown := self._converter.unknown_keys(rows):
            self._add_unknown_keys(unknown, rows)
        self.rows += len(rows)
        rejected: list[RejectedValue] = []
        yield from self._tables(rows, rejected)
        if rejected:
            yield REJECTED, rejections(rejected, now, self.capabilities)

    def _tables(self, rows: Sequence[Row], rejected: list[RejectedValue] | None = None) -> Iterator[TableRows]:
        converted = self._converter.convert(rows)
        if rejected is not None:
            rejected += converted.rejected
        yield self._specs[self.name], converted.items
        for name, table in converted.children.items():
            cleared = converted.cleared_lists.get(name, []) if self.capabilities.supports_merge else []
            yield self._specs[name], with_delete_markers(table, cleared, "item_id")

    @property
    def spec(self) -> TableSpec:
        """Specification of the item table."""
        return self._specs[self.name]

    @property
    def stored(self) -> StoredColumns:
        return self.capabilities.stored

    def filled_columns(self) -> frozenset[str]:
        """Columns that the fields fill, as `table.column type`, as of before the first row.

        A column that was not among them when all items were last read is new or has another type: unchanged items lack it.
        """
        return self._filled

    def tables_beyond_limit(self) -> dict[str, int]:
        """Returns tables with more columns than the destination allows, and their number."""
        limit = self.capabilities.max_columns
        return {} if limit is None else {name: size for name, size in self._sizes().items() if size > limit}

    def unknown_exclusions(self) -> list[str]:
        """Returns excluded columns that neither a field nor a row nor the destination has."""
        passed_over = {squash(key) for key in self._passed_over}
        known = self._names | set(self.stored.columns_of(self.name)) | set(self.counts)
        return sorted(name for name in self.excluded - known if squash(name) not in passed_over)

    def _known_fields(self) -> Sequence[Field]:
        return with_system_fields(self.fields, is_spa=self.is_spa)

    @property
    def table_names(self) -> tuple[str, ...]:
        """Names of the item table and its child tables."""
        return self.name, *self._converter.child_schemas

    @property
    def counts(self) -> Mapping[str, str]:
        """Count columns and their child tables, for fields that cannot be selected by name."""
        return self._converter.counts

    @property
    def list_fields(self) -> tuple[str, ...]:
        """Wire names of the fields that fill child tables and can be selected by name."""
        return tuple(name for name in self._converter.list_fields if name != MULTIFIELD.name)

    def list_sizes(self, rows: Sequence[Row]) -> Mapping[str, pa.Array]:
        """Returns, by child table, the number of rows that each item should have; null if its row lacks the field."""
        return self._converter.list_sizes(rows)

    def current_columns(self) -> frozenset[str]:
        """Returns the columns filled so far, including keys that only rows have, in the form of `filled_columns`."""
        return frozenset(self._columns())

    def _use(self, fields: Sequence[Field]) -> None:
        marked = [replace(f, is_excluded=f.is_excluded or is_excluded(f.upper_name, self.excluded)) for f in fields]
        self.fields = [f for f in marked if not self.selected or f.name in self.selected or f.name == "id"]
        self._converter = self._new_converter(self.fields)
        self._specs = self._table_specs()

    def _new_converter(self, fields: Sequence[Field]) -> Converter:
        return Converter(fields, self.name, stored=self.stored, ignores=self._ignores, excluded=self.excluded)

    def _ignores(self, key: str) -> bool:
        if not self.selected and not is_excluded_key(key, self.excluded):
            return key in self._passed_over
        self._passed_over.add(key)
        return True

    def _columns(self) -> Iterator[str]:
        for table, schema in {self.name: self._converter.items_schema, **self._converter.child_schemas}.items():
            filled = (column for column in schema if column.name not in self.counts)
            yield from (f"{table}.{column.name} {COLUMN_TYPES[column.type]}" for column in filled)

    def _sizes(self) -> dict[str, int]:
        """Returns the number of columns by table: filled ones, stored ones, and dlt's own two."""
        tables = {self.name: self._converter.items_schema, **self._converter.child_schemas}
        return {
            name: len({*map(self.stored.normalize_column, schema.names), *self.stored.columns_of(name), *_DLT_COLUMNS})
            for name, schema in tables.items()
        }

    def _add_unknown_keys(self, unknown: frozenset[str], rows: Sequence[Row]) -> None:
        """Adds fields for keys that the field list lacks: a field may be new since the list was read, or never be listed.

        The latter keeps the column stored under its name, and becomes text if there is none.
        """
        known = list(self.fields)
        listed = self._listed_anew()
        if listed is None:
            self.not_looked_up |= unknown
            self._passed_over |= unknown
            self._use(known)
            return
        names = {f.name for f in known}
        known += [f for f in listed if f.name in unknown and f.name not in names]
        hidden = sorted(unknown - {f.name for f in known})
        lists = {key for key in hidden if any(isinstance(row.get(key), (list, dict)) for row in rows)}
        added = [
            unlisted_field(key, len(known) + position, self.name, self.stored, has_lists=key in lists)
            for position, key in enumerate(hidden)
        ]
        self._use([*known, *added])
        if self.tables_beyond_limit():
            log.warning("%s: too many columns for %s, which are not loaded", self.name, ", ".join(sorted(unknown)))
            self._passed_over |= unknown
            self._use([f for f in self.fields if f.name not in unknown])
        elif hidden:
            log.info("%s: rows hold %s, which the field list does not explain", self.name, ", ".join(hidden))

    def _listed_anew(self) -> Sequence[Field] | None:
        """Returns the field list, read again once; None if it cannot be read.

        In that case keys are ignored: if a new field was guessed to be text, it would stay so. The next run finds the field in
        the list and reads all items for it; a key that is never listed it finds in the rows that it reads again.
        """
        if not self._reread:
            self._reread = True
            try:
                self._listed = with_system_types(self.reread()) if self.is_spa else self.reread()
            except (UnavailableError, PortalError, DeniedError) as error:
                log.warning("%s: the field list cannot be read again: %s", self.name, error)
        return self._listed

    def _table_specs(self) -> dict[str, TableSpec]:
        has_time = "updated_time" in self._converter.items_schema.names
        return {self.name: item_spec(self.name, has_time=has_time)} | {
            name: child_spec(name) for name in self._converter.child_schemas
        }


def item_spec(name: str, *, has_time: bool) -> TableSpec:
    """Returns the specification of an item table: an item replaces its row."""
    return TableSpec(name, ("id",), replaces_by="id", newest_by="updated_time" if has_time else "")


def child_spec(name: str) -> TableSpec:
    """Returns the specification of a child table: an item's list is replaced as a whole."""
    key = ("item_id", "position")
    return TableSpec(name, key, replaces_by="item_id", not_null=key, has_delete_markers=True)


_DLT_COLUMNS = ("_dlt_load_id", "_dlt_id")


def resolve_field_names(fields: Sequence[Field], chosen: Sequence[str], table: str) -> tuple[frozenset[str], list[str]]:
    """Returns the fields chosen by wire name, Bitrix24's upper-case name or column; and the names that match none."""
    by_name: dict[str, str] = {}
    places: Mapping[str, Any] = map_columns(fields, table)
    for f in fields:
        place = places[f.name]
        names = (f.name, f.upper_name, place.column.name if place and not place.child_table else f.upper_name.lower())
        by_name |= dict.fromkeys(names, f.name)
    return frozenset(by_name[name] for name in chosen if name in by_name), [n for n in chosen if n not in by_name]

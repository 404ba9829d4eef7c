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
    with_hidden,
    with_system_types,
)
from .ports import Capabilities
from .rejected_values import REJECTED, rejections
from .table_batches import TableSpec, with_delete_markers

log = logging.getLogger("bitrix24_source")

TableRows = tuple[TableSpec, pa.Table]


@dataclass
class ItemTableBuilder:
    """One item table and its child tables, for one run.

    Attributes:
        name: of the item table.
        fields: what the portal lists.
        reread: asks the portal for its field list again.
        selected: wire names; empty for all. Nothing else is loaded then, but for the id.
        excluded: names of columns that somebody left out.
        is_spa: the table has the system columns of smart processes, whether or not the portal lists them.
        capabilities: of the destination; a stored column never changes its type.
        rows: how many items were converted.
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
    """rows that are gone from the portal stay, marked in `deleted_at`"""

    def __post_init__(self) -> None:
        self._reread = False
        self.not_looked_up: set[str] = set()
        """keys of rows that were passed over, because the portal did not say this time what they are"""
        self._listed: Sequence[Field] | None = None
        self._passed_over: set[str] = set()
        known = self._known_fields()
        self._names = {f.upper_name.lower() for f in known}
        self._use(known)
        self._filled = frozenset(self._columns())

    def empty_tables(self) -> Iterator[TableRows]:
        """All its tables without rows: a type without items is a table without rows."""
        return self._tables([])

    def convert(self, rows: Sequence[Row], now: datetime) -> Iterator[TableRows]:
        """Rows of a page or several, as tables; those that did not fit their columns come last."""
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
        """Of the table of the items themselves."""
        return self._specs[self.name]

    @property
    def stored(self) -> StoredColumns:
        return self.capabilities.stored

    def filled_columns(self) -> frozenset[str]:
        """What the fields fill, as `table.column type`, and as it was before the first row came.

        One that was not among them when all items were last read has come into sight since, or has another type: items that have not
        changed lack it.
        """
        return self._filled

    def tables_beyond_limit(self) -> dict[str, int]:
        """Tables that the destination could not make, with the number of their columns."""
        limit = self.capabilities.max_columns
        return {} if limit is None else {name: size for name, size in self._sizes().items() if size > limit}

    def unknown_exclusions(self) -> list[str]:
        """Columns that somebody left out although neither a field nor a row nor the destination has them."""
        passed_over = {squash(key) for key in self._passed_over}
        known = self._names | set(self.stored.columns_of(self.name)) | set(self.counts)
        return sorted(name for name in self.excluded - known if squash(name) not in passed_over)

    def _known_fields(self) -> Sequence[Field]:
        return with_hidden(self.fields, is_spa=self.is_spa)

    @property
    def table_names(self) -> tuple[str, ...]:
        """Its own and those of its lists."""
        return self.name, *self._converter.child_schemas

    @property
    def counts(self) -> Mapping[str, str]:
        """Columns with the number of an item's rows in a child table whose field cannot be asked for by name, and this table."""
        return self._converter.counts

    @property
    def list_fields(self) -> tuple[str, ...]:
        """Wire names of the fields that fill its child tables, of those that can be asked for by name."""
        return tuple(name for name in self._converter.list_fields if name != MULTIFIELD.name)

    def list_sizes(self, rows: Sequence[Row]) -> Mapping[str, pa.Array]:
        """By child table, how many rows it should hold of each item; null where an item's row does not mention the field."""
        return self._converter.list_sizes(rows)

    def current_columns(self) -> frozenset[str]:
        """What is filled by now, keys that only rows have included, in the words of `filled_columns`."""
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
        """Columns by table: those that are filled, those that are stored, and dlt's own two."""
        tables = {self.name: self._converter.items_schema, **self._converter.child_schemas}
        return {
            name: len({*map(self.stored.normalize_column, schema.names), *self.stored.columns_of(name), *_DLT_COLUMNS})
            for name, schema in tables.items()
        }

    def _add_unknown_keys(self, unknown: frozenset[str], rows: Sequence[Row]) -> None:
        """A key that no field explains: the field may be new since the list was read, or one that the list never shows.

        The latter goes on in the column that is stored under its name, and is kept as text where there is none.
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
            log.warning("%s: too many columns for %s, which are passed over", self.name, ", ".join(sorted(unknown)))
            self._passed_over |= unknown
            self._use([f for f in self.fields if f.name not in unknown])
        elif hidden:
            log.info("%s: rows hold %s, which the field list does not explain", self.name, ", ".join(hidden))

    def _listed_anew(self) -> Sequence[Field] | None:
        """The field list as it is now, asked for once; None where the portal does not say.

        Then keys are passed over: guessed as text, a new field would stay so. The next run finds it in the list and reads all
        items for it; a key that no list explains it finds in the rows that it reads again.
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
    """A table of items: an item that arrives replaces its row."""
    return TableSpec(name, ("id",), replaces_by="id", newest_by="updated_time" if has_time else "")


def child_spec(name: str) -> TableSpec:
    """A table of the values of a field that takes several: an item's list is replaced as a whole."""
    key = ("item_id", "position")
    return TableSpec(name, key, replaces_by="item_id", not_null=key, has_delete_markers=True)


_DLT_COLUMNS = ("_dlt_load_id", "_dlt_id")


def resolve_field_names(fields: Sequence[Field], chosen: Sequence[str], table: str) -> tuple[frozenset[str], list[str]]:
    """The fields that somebody named by wire name, Bitrix24's upper-case name or column; and the names that fit none."""
    by_name: dict[str, str] = {}
    places: Mapping[str, Any] = map_columns(fields, table)
    for f in fields:
        place = places[f.name]
        names = (f.name, f.upper_name, place.column.name if place and not place.child_table else f.upper_name.lower())
        by_name |= dict.fromkeys(names, f.name)
    return frozenset(by_name[name] for name in chosen if name in by_name), [n for n in chosen if n not in by_name]

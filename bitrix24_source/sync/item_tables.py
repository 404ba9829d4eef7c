"""Builds the tables of items: rows merged by id, child tables merged as a whole, rejected values beside them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

import dlt
import pyarrow as pa

from ..reader import Row
from ..schema import (
    COLUMN_TYPES,
    NOTHING_STORED,
    ConvertedPage,
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
from .capabilities import MERGE_STRATEGY, normalized_column, normalized_table, supports_merge, write_disposition

log = logging.getLogger("bitrix24_source")


MERGE: Any = {"disposition": "merge", "strategy": MERGE_STRATEGY}
HARD_DELETE = pa.field("is_removed", pa.bool_())
"""true on a row that stands for an emptied list: dlt deletes the old rows and does not keep this one"""
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
_REJECTED_HINTS: dict[str, Any] = {"primary_key": [*REJECTED_KEY, "raw_value"], "merge_key": list(REJECTED_KEY)}


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
        stored: what the destination has; a column never changes its type.
        max_columns: how many the destination allows in a table, None for no limit.
        rows: how many items came.
    """

    name: str
    fields: Sequence[Field]
    reread: Callable[[], Sequence[Field]]
    selected: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    is_spa: bool = False
    stored: StoredColumns = NOTHING_STORED
    max_columns: int | None = None
    rows: int = 0

    is_swept: ClassVar[bool] = True
    """rows that are gone from the portal stay, marked in `deleted_at`"""

    def __post_init__(self) -> None:
        self._reread = False
        self._passed_over: set[str] = set()
        known = self._known_fields()
        self._names = {f.upper_name.lower() for f in known}
        self._use(known)
        self._filled = frozenset(self._columns())

    def empty_tables(self, stored: Mapping[str, Any]) -> Iterator[Any]:
        """The tables of which nothing came, empty: a type without items is a table without rows.

        Not those that the destination has already, with all columns: to dlt an empty table is as much work as any.
        """
        nothing = self._converter.convert([])
        for name, table in {self.name: nothing.items, **nothing.children}.items():
            if name not in self._told and not _is_stored(stored, name, table.schema.names):
                yield self._named(name, table if name == self.name else with_delete_markers(table, []))

    def convert(self, rows: Sequence[Row], now: datetime) -> Iterator[Any]:
        """Rows of one page or several, as tables for dlt."""
        converted = self._converter.convert(rows)
        if converted.unknown_keys:
            self._add_unknown_keys(converted.unknown_keys, rows)
            converted = self._converter.convert(rows)
        self.rows += len(rows)
        yield from self._tables(converted)
        if converted.rejected:
            yield rejections(converted.rejected, now, is_first=REJECTED_TABLE not in self._told)
            self._told.add(REJECTED_TABLE)

    def mark_deleted(self, rows: pa.Table) -> Any:
        """Rows read back from the destination, `deleted_at` set, in this run's columns."""
        return self._named(self.name, rows)

    def filled_columns(self) -> frozenset[str]:
        """What the fields fill, as `table.column type`, and as it was before the first row came.

        One that was not among them when all items were last read has come into sight since, or has another type: items that have not
        changed lack it.
        """
        return self._filled

    def appeared_columns(self) -> frozenset[str]:
        """What rows of this run fill besides, for the first time in a table that was there before: older rows lack it."""
        if not self.stored.columns_of(self.name):
            return frozenset()
        new = (name for name in self._columns() if name not in self._filled)
        return frozenset(name for name in new if self.stored.type_of(*name.split(" ")[0].split(".")) is None)

    def tables_beyond_limit(self) -> dict[str, int]:
        """Tables that the destination could not make, with the number of their columns."""
        limit = self.max_columns
        return {} if limit is None else {name: size for name, size in self._sizes().items() if size > limit}

    def unknown_exclusions(self) -> list[str]:
        """Columns that somebody left out although neither a field nor a row nor the destination has them."""
        passed_over = {squash(key) for key in self._passed_over}
        known = self._names | set(self.stored.columns_of(self.name))
        return sorted(name for name in self.excluded - known if squash(name) not in passed_over)

    def _known_fields(self) -> Sequence[Field]:
        return with_hidden(self.fields, is_spa=self.is_spa)

    @property
    def table_names(self) -> tuple[str, ...]:
        """Its own and those of its lists."""
        return self.name, *self._converter.child_schemas

    def current_columns(self) -> frozenset[str]:
        """What is filled by now, keys that only rows have included, in the words of `filled_columns`."""
        return frozenset(self._columns())

    def _use(self, fields: Sequence[Field]) -> None:
        marked = [replace(f, is_excluded=f.is_excluded or is_excluded(f.upper_name, self.excluded)) for f in fields]
        self.fields = [f for f in marked if not self.selected or f.name in self.selected or f.name == "id"]
        self._converter = self._made_converter(self.fields)
        self._told: set[str] = set()

    def _made_converter(self, fields: Sequence[Field]) -> Converter:
        return Converter(fields, self.name, stored=self.stored, ignores=self._ignores)

    def _ignores(self, key: str) -> bool:
        if not self.selected and not is_excluded_key(key, self.excluded):
            return key in self._passed_over
        self._passed_over.add(key)
        return True

    def _columns(self) -> Iterator[str]:
        for table, schema in {self.name: self._converter.items_schema, **self._converter.child_schemas}.items():
            yield from (f"{table}.{column.name} {COLUMN_TYPES[column.type]}" for column in schema)

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
        if not self._reread:
            self._reread = True
            names = {f.name for f in known}
            listed = with_system_types(self.reread()) if self.is_spa else self.reread()
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

    def _tables(self, converted: ConvertedPage) -> Iterator[Any]:
        yield self._named(self.name, converted.items)
        for child, table in converted.children.items():
            yield self._named(child, with_delete_markers(table, converted.cleared_lists.get(child, [])))

    def _named(self, name: str, table: pa.Table) -> Any:
        """A table for dlt, with its hints the first time: yielded by themselves they would count for `add_limit`."""
        if name in self._told:
            return dlt.mark.with_table_name(table, name)
        self._told.add(name)
        return with_hints(table, name, **(self._hints() if name == self.name else _LIST_HINTS))

    def _hints(self) -> dict[str, Any]:
        has_time = "updated_time" in self._converter.items_schema.names
        columns = {"updated_time": {"dedup_sort": "desc"}} if has_time else {}
        return {"primary_key": "id", "replaces": "id", "columns": columns}


_LIST_HINTS: dict[str, Any] = {
    "primary_key": ["item_id", "position"],
    "replaces": "item_id",
    "columns": {
        "item_id": {"nullable": False},
        "position": {"nullable": False},
        HARD_DELETE.name: {"data_type": "bool", "hard_delete": True},
    },
}


def with_delete_markers(table: pa.Table, emptied: Sequence[int]) -> pa.Table:
    """The child rows, and for each emptied list one row that makes the merge delete its old ones, if there is a merge."""
    whole = table.append_column(HARD_DELETE, pa.nulls(len(table), HARD_DELETE.type))
    if not emptied or not supports_merge():
        return whole
    nothing = {
        "item_id": pa.array(emptied, pa.int64()),
        "position": pa.array([-1] * len(emptied), pa.int64()),
        HARD_DELETE.name: pa.array([True] * len(emptied)),
    }
    columns = [nothing.get(column.name, pa.nulls(len(emptied), column.type)) for column in whole.schema]
    return pa.concat_tables([whole, pa.Table.from_arrays(columns, schema=whole.schema)])


def rejections(rejected: Sequence[RejectedValue], now: datetime, *, is_first: bool = True) -> Any:
    """One row for each value that did not fit, as a table for dlt; rejected again, it replaces its row.

    Args:
        rejected: the values.
        now: when they were.
        is_first: they come with their hints, which the resource does not know yet.
    """
    tables = {name: normalized_table(name) for name in {value.table_name for value in rejected}}
    columns = {name: normalized_column(name) for name in {value.column_name for value in rejected}}
    rows = [
        {
            **vars(value),
            "table_name": tables[value.table_name],
            "column_name": columns[value.column_name],
            "loaded_at": now,
        }
        for value in rejected
    ]
    table = pa.Table.from_pylist(rows, schema=REJECTED_SCHEMA)
    if not is_first:
        return dlt.mark.with_table_name(table, REJECTED_TABLE)
    return with_hints(table, REJECTED_TABLE, **_REJECTED_HINTS)


def no_rejections() -> Any:
    """The hints of the table without a row, for a resource that has columns and a key: a variant of it would start with these.

    Only an empty dict takes columns out again.
    """
    made = dlt.mark.make_hints(
        table_name=REJECTED_TABLE, write_disposition=write_disposition(), **_REJECTED_HINTS, columns={}
    )
    return dlt.mark.with_hints([], made, create_table_variant=True)


def resolved_rejections(keys: pa.Table) -> Any:
    """Rows that make the merge delete those of the same `REJECTED_KEY`, as a table for dlt.

    They alone have the column that says so: a destination in which nothing was ever resolved does without it.
    """
    nothing = {
        "raw_value": pa.array(["resolved"] * len(keys)),  # no JSON, as all others are
        HARD_DELETE.name: pa.array([True] * len(keys)),
    }
    schema = REJECTED_SCHEMA.append(HARD_DELETE)
    arrays = [
        keys.column(one.name) if one.name in REJECTED_KEY else nothing.get(one.name, pa.nulls(len(keys), one.type))
        for one in schema
    ]
    columns = {HARD_DELETE.name: {"data_type": "bool", "hard_delete": True}}
    return with_hints(pa.Table.from_arrays(arrays, schema=schema), REJECTED_TABLE, columns=columns, **_REJECTED_HINTS)


def with_hints(table: pa.Table, name: str, *, replaces: str = "", **hints: Any) -> Any:
    """A table and its hints, once: on every page they would cost more than the rows.

    dlt may rank rows to keep one of each key, although reading by id brings each once: a package that is loaded again after a
    kill finds its first rows still in the staging table.
    """
    if not supports_merge():
        hints["columns"] = {name: _plain(column) for name, column in hints.get("columns", {}).items()}
    made = dlt.mark.make_hints(table_name=name, write_disposition=write_disposition(replaces), **hints)
    return dlt.mark.with_hints(table, made, create_table_variant=True)


def _plain(column: Mapping[str, Any]) -> dict[str, Any]:
    """A column without what only a merge understands."""
    return {key: value for key, value in column.items() if key not in ("dedup_sort", "hard_delete")}


def _is_stored(stored: Mapping[str, Any], table: str, columns: Sequence[str]) -> bool:
    known = stored.get(normalized_table(table), {}).get("columns", {}) if supports_merge() else {}
    return all(normalized_column(name) in known for name in columns)


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

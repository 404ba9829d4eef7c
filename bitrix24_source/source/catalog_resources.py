"""The tables of the catalogue as dlt resources, all made from one reading of the portal.

Their rows are merged, never truncated: a reader sees a table as before or after the load, even if the load dies, and never
waits. Rows that could not be read in a run stay unchanged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dlt
from dlt.extract import DltResource

from ..catalog import (
    DICTIONARIES,
    FIELD_COLUMNS,
    ISSUES,
    OBJECT_TABLES,
    SPA_TABLE_NAMES,
    SPA_TABLES,
    Catalog,
    CatalogTable,
    IssueLog,
    crm_catalog_tables,
    issue_rows,
    read_catalog,
)
from ..errors import UnavailableError
from ..rest import Client
from ..schema import Column, Field, RejectedValue, StoredColumns, map_columns
from ..sync import (
    ITEM_RESOURCES,
    REJECTED,
    REJECTED_TABLE,
    Capabilities,
    Exclusions,
    ResolvedRejections,
    SyncOptions,
    fixed_table_fields,
)
from .capabilities import current_capabilities, is_stored, normalized_column, normalized_table, supports_merge
from .current_load import current_collector, current_load_id, extracted_resources
from .destination import check_destination_of_load
from .destination_reader import DestinationState, DltDestinationReader, recreate_missing_tables
from .dlt_internals import active_pipeline
from .hints import MERGE, column_hints
from .load_context import DltLoadContext
from .load_start import begin_load
from .lock_waits import tables_in_use
from .table_descriptions import TableDescriptions
from .table_hints import TableHints
from .table_owners import require_own_tables

_CATALOGUE = (*SPA_TABLES, *crm_catalog_tables())
_OWN_TABLES = (
    *(table.name for table in _CATALOGUE),
    *(table.child.name for table in _CATALOGUE if table.child),
    ISSUES.name,
    REJECTED_TABLE,
)
"""tables that are recreated if they were dropped in the destination"""


class CatalogReader:
    """Reads the catalogue once for each load package, and only the parts that the selected resources need."""

    def __init__(self, client: Client, options: SyncOptions, tables: Sequence[CatalogTable]) -> None:
        self._client = client
        self._options = options
        self._tables = tables
        self._slices = options.session
        self._lock = threading.Lock()
        self._read: tuple[str, Catalog] | None = None
        self._described: tuple[Catalog, TableDescriptions] | None = None
        self._resolved: tuple[str, ResolvedRejections] | None = None
        self.destination = DltDestinationReader()
        """reads back what the destination held before this load"""
        self.destination_state = DestinationState()
        """state and tables of the destination as this load found them"""
        self.in_use: frozenset[str] = frozenset()
        """tables of the catalogue that a reader's transaction has locked, and that this run does not change"""
        self.waiting: Mapping[str, frozenset[str]] = {}
        """by table, new columns that this run leaves out, because a reader's transaction has locked the table"""

    def catalog(self, name: str) -> Catalog:
        """Returns the catalogue of this load for the resource `name`; checks the destination before calling the portal."""
        load_id = current_load_id()
        with self._lock:
            if self._read is None or not load_id or self._read[0] != load_id:
                if load_id:
                    check_destination_of_load(active_pipeline())
                    require_own_tables(extracted_resources(name))
                self._client.on_request = _request_counter() if load_id else None
                self._read = (load_id, self._catalog(name))
                self.destination = DltDestinationReader()
                self.destination_state = begin_load(self._client, self.destination, self._options.renamed_from)
                recreate_missing_tables(_OWN_TABLES, self.destination_state.tables)
            return self._read[1]

    def descriptions(self, catalog: Catalog, name: str) -> TableDescriptions:
        """Returns the descriptions of all tables; `name` as in `catalog`."""
        with self._lock:
            if self._described is None or self._described[0] is not catalog:
                self._described = catalog, TableDescriptions(catalog, name, self._options.types or ())
            return self._described[1]

    def rejections(
        self, table: CatalogTable, values: Iterable[RejectedValue], catalog: Catalog, excluded: Exclusions
    ) -> Iterator[Any]:
        """Yields rows of `rejected_values` for one table; `values` of this run replace those rejected before."""
        load_id = current_load_id()
        if self._resolved is None or self._resolved[0] != load_id:
            self._resolved = load_id, ResolvedRejections(DltLoadContext())
        hidden = excluded.columns_of(table.name)
        rejected = [value for value in values if value.column_name not in hidden]
        now = self._client.clock.now()
        table_hints = TableHints(self.descriptions(catalog, table.name), supports_merge=supports_merge())
        batches = list(self._resolved[1].for_catalog_table(table.name, table.name, rejected, now))
        if batches:
            yield table_hints.without_columns(REJECTED)
        yield from map(table_hints.to_dlt, batches)

    def _catalog(self, name: str) -> Catalog:
        """Reads the catalogue; later slices of a long load reuse that of the first."""
        slices = self._slices
        if slices.unfinished and slices.catalog is not None:
            return replace(slices.catalog, issues=())
        catalog = read_catalog(self._client, needed_tables(extracted_resources(name)))
        catalog.find_all(self._options.types or ())
        left_out = self._options.exclusions.columns_of
        catalog = replace(catalog.with_excluded_fields(left_out), stored=current_capabilities().stored)
        log = IssueLog(self._client.clock.now)
        self.waiting = waiting = self._tables_that_wait(catalog, log)
        if waiting:
            catalog = catalog.with_excluded_fields(lambda table: left_out(table) | waiting.get(table, frozenset()))
            catalog = replace(catalog, issues=(*catalog.issues, *log.issues))
        slices.catalog = catalog
        return catalog

    def _tables_that_wait(self, catalog: Catalog, log: IssueLog) -> Mapping[str, frozenset[str]]:
        """Returns new columns, by table, of tables that a reader's transaction has locked in PostgreSQL.

        Items and their dependents are loaded without those fields, and the next run treats these as new. Tables of the
        catalogue are not changed until the next run.
        """
        if not current_load_id():
            return {}
        selected = extracted_resources("")
        entities = {entity.items_table: entity for entity in (*catalog.types, *catalog.objects)}
        new = {
            table: _fields_without_columns(table, entity.fields or (), catalog.stored)
            for table, entity in entities.items()
            if (table if entity.is_built_in else "spa_items") in selected
        }
        for table, fields in fixed_table_fields(self._options).items():
            if table in selected:
                new[table] = _fields_without_columns(table, fields, catalog.stored)
        parts = {
            part.name: table
            for table in self._tables
            if table.name in selected
            for part in (table, table.child)
            if part
        }
        for name, owner in parts.items():
            new[name] = _columns_to_add(owner if owner.name == name else owner.child, self._options.exclusions)
        wanted = [table for table, columns in new.items() if columns]
        schema = dlt.current.source_schema().name
        in_use = tables_in_use(active_pipeline(), schema, wanted) if wanted else {}
        for table, sessions in in_use.items():
            entity_type_id = entities[table].entity_type_id if table in entities else None
            _record_in_use(log, table, new[table], sessions, entity_type_id)
        self.in_use = frozenset(parts[name].name for name in in_use if name in parts)
        return {table: new[table] for table in in_use}


def _record_in_use(
    log: IssueLog, table: str, columns: Iterable[str], sessions: str, entity_type_id: int | None = None
) -> None:
    error = UnavailableError(
        f"new columns could not be added, the table is in use: {', '.join(sorted(columns))}",
        table,
        f"end the transaction of {sessions}; the next run adds them",
    )
    log.record(table, error, error.what, entity_type_id=entity_type_id)


def _fields_without_columns(table: str, fields: Sequence[Field], stored: StoredColumns) -> frozenset[str]:
    """Returns fields, and counts of child rows, whose columns are missing in a table that the destination has."""
    if not stored.columns_of(table):
        return frozenset()
    places = map_columns(fields, table, stored)
    missing: set[str] = set()
    for field in fields:
        place = places[field.name]
        if place is None:
            continue
        if place.child_table:
            missing |= {place.count.name} if place.count and stored.type_of(table, place.count.name) is None else set()
        elif any(stored.type_of(table, column.name) is None for column in place.columns):
            missing.add(field.upper_name.lower())
    return frozenset(missing)


def needed_tables(selected: frozenset[str]) -> frozenset[str]:
    """Returns the catalogue tables, dictionaries included, that must be read for some resources."""
    lists = (needs for resource, needs in ITEM_RESOURCES.items() if resource in selected)
    return (selected & (SPA_TABLE_NAMES | OBJECT_TABLES | DICTIONARIES)).union(*lists)


def _request_counter() -> Callable[[], None]:
    """Returns a function that counts requests in dlt's progress display."""
    collector = current_collector()

    def count() -> None:
        collector.update("Bitrix24 requests")

    return count


_WITH_DETAILS = frozenset({"spa_field_options", "crm_field_options"})
"""tables whose rows come from one list and some of whose columns from another, which may fail separately"""


def catalog_resource(table: CatalogTable, reader: CatalogReader, excluded: Exclusions) -> DltResource:
    """Returns the resource of one catalogue table and its child table."""

    def rows() -> Iterator[Any]:
        catalog = reader.catalog(table.name)
        if table.name in reader.in_use:
            return  # it is not changed, and everything else is loaded
        described = reader.descriptions(catalog, table.name)
        converted, rejected = table.convert(catalog)
        yield from _merged(table, converted, table.name, catalog, excluded, described)
        if table.child is not None:
            yield from _merged(table.child, table.child.rows(catalog), table.name, catalog, excluded, described)
        yield from reader.rejections(table, rejected, catalog, excluded)

    return dlt.resource(
        rows,
        name=table.name,
        write_disposition=MERGE,
        primary_key=list(table.key),
        columns=column_hints(_included(table, excluded)),
    )


def issues_resource(reader: CatalogReader) -> DltResource:
    """Returns the resource of `load_issues`, with the issues of reading the catalogue."""

    def rows() -> Iterator[Any]:
        catalog = reader.catalog(ISSUES.name)
        hints = issue_hints(reader.descriptions(catalog, ISSUES.name))
        yield dlt.mark.with_hints(dlt.mark.materialize_table_schema(), hints)
        yield issue_rows(catalog.issues, current_load_id())

    return dlt.resource(rows, name=ISSUES.name, write_disposition="append", columns=column_hints(ISSUES.columns))


def _merged(
    table: CatalogTable,
    converted: Iterable[dict[str, Any]],
    resource: str,
    catalog: Catalog,
    excluded: Exclusions,
    described: TableDescriptions,
) -> Iterator[Any]:
    """Yields all rows of a table at once, so that `add_limit` cannot split them; creates the table without rows, too.

    Args:
        table: the resource's own table, or its child table.
        converted: the rows.
        resource: name of the resource, under which the catalogue records unread parts.
        catalog: the catalogue as read in this run.
        excluded: columns that are left out.
        described: descriptions of tables and columns.
    """
    if (
        catalog.is_incomplete(resource)
        and (table.name in _WITH_DETAILS or not supports_merge())
        and is_stored(table.name)
    ):
        return  # the new rows are incomplete and must not replace the stored ones
    names = {column.name for column in _included(table, excluded)}
    hidden = {column.name for column in table.columns} - names
    incomplete_types = catalog.incomplete_types.get(resource, frozenset())
    found: Iterable[dict[str, Any]] = (row for row in converted if row.get("entity_type_id") not in incomplete_types)
    if table.columns is FIELD_COLUMNS:
        capabilities = current_capabilities()
        found = (with_normalized_names(row, capabilities) for row in found)
    rows: Any = [{name: value for name, value in row.items() if name not in hidden} for row in found]
    hints: dict[str, Any] = {
        "write_disposition": _write_disposition(table, resource, catalog),
        "additional_table_hints": described.of_table(table.name, names),
    }
    columns = column_hints(_included(table, excluded), described.of_columns(table.name, names))
    is_child = table.name != resource
    if is_child:
        hints |= {"table_name": table.name, "primary_key": list(table.key)}
        # The hints of a child table start as a copy of its parent's: only an empty dict takes the columns out again.
        yield dlt.mark.with_hints([], dlt.mark.make_hints(**hints, columns={}), create_table_variant=True)
    hints["columns"] = columns
    yield dlt.mark.with_hints(
        rows or dlt.mark.materialize_table_schema(), dlt.mark.make_hints(**hints), create_table_variant=is_child
    )


def _write_disposition(table: CatalogTable, resource: str, catalog: Catalog) -> Any:
    """Returns the write disposition with which the rows read replace those in the destination.

    dlt deletes the rows in the scope and inserts the new ones, in one transaction. Without merges a table is rewritten.
    """
    if not supports_merge():
        return "replace"
    incomplete_types = catalog.incomplete_types.get(resource, frozenset())
    if catalog.is_incomplete(resource):
        scope = _rows_that_came(table)
    elif incomplete_types and any(column.name == "entity_type_id" for column in table.columns):
        scope = f"entity_type_id NOT IN ({', '.join(map(str, sorted(incomplete_types)))}) OR entity_type_id IS NULL"
    else:
        scope = "1 = 1"
    return {**MERGE, "destination_scope": scope}


def _rows_that_came(table: CatalogTable) -> str:
    """Returns a condition for the destination's rows to replace; in a child table, those of the same parent."""
    key = table.key[:1] if "position" in table.key else table.key
    if len(key) == 1:
        return f"{key[0]} IN (SELECT {key[0]} FROM {{staging_table}})"  # noqa: S608 - our own names
    same = " AND ".join(f"staged.{name} = {{table}}.{name}" for name in key)
    return f"EXISTS (SELECT 1 FROM {{staging_table}} AS staged WHERE {same})"  # noqa: S608 - our own names


def _included(table: CatalogTable, excluded: Exclusions) -> list[Column]:
    """Returns the table's columns without excluded ones."""
    return [column for column in table.columns if column.name not in excluded.columns_of(table.name)]


def _columns_to_add(table: CatalogTable | None, excluded: Exclusions) -> frozenset[str]:
    """Returns the columns that are missing in a table of an earlier load."""
    if table is None or not is_stored(table.name):
        return frozenset()
    stored = dlt.current.source_schema().tables[normalized_table(table.name)]["columns"]
    names = (column.name for column in _included(table, excluded))
    return frozenset(name for name in names if normalized_column(name) not in stored)


def with_normalized_names(row: dict[str, Any], capabilities: Capabilities) -> dict[str, Any]:
    """Returns a row of `spa_fields` with the names in the destination: dlt shortens long ones."""
    column, child = row["column_name"], row["child_table"]
    return {
        **row,
        "column_name": column and capabilities.normalize_column(column),
        "child_table": child and capabilities.normalize_table(child),
    }


def issue_hints(described: TableDescriptions) -> Any:
    """Returns the hints of `load_issues`."""
    names = [column.name for column in ISSUES.columns]
    return dlt.mark.make_hints(
        table_name=ISSUES.name,
        columns=column_hints(ISSUES.columns, described.of_columns(ISSUES.name, names)),
        write_disposition="append",
        additional_table_hints=described.of_table(ISSUES.name, set(names)),
    )

"""Reads the catalogue once for all catalogue resources of a load package, and only what they need."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import dlt

from ..catalog import DICTIONARIES, OBJECT_TABLES, SPA_TABLE_NAMES, Catalog, Issue, IssueLog, read_catalog
from ..errors import ConfigError
from ..rest import Client
from ..sync import (
    ITEM_RESOURCES,
    Bookkeeping,
    SyncOptions,
    begin_load,
    current_collector,
    current_load_id,
    normalized_column,
    normalized_table,
    selected_resources,
)
from .destination import check_destination


class CatalogReader:
    """Reads the catalogue once for every load package, and only what the selected resources need."""

    def __init__(self, client: Client, options: SyncOptions) -> None:
        self._client = client
        self._options = options
        self._slices = options.session
        self._lock = threading.Lock()
        self._read: tuple[str, Catalog] | None = None
        self.bookkeeping = Bookkeeping()
        """what the destination says of itself in this load"""

    def catalog(self, name: str) -> Catalog:
        """The catalogue for the resource `name`, as of this load; the destination is tried before the portal is asked."""
        load_id = current_load_id()
        with self._lock:
            if self._read is None or not load_id or self._read[0] != load_id:
                if load_id:
                    check_destination(dlt.current.pipeline())
                self._client.on_request = _request_counter() if load_id else None
                self._read = (load_id, self._catalog(name))
                self.bookkeeping = begin_load(self._client, self._options.renamed_from)
            return self._read[1]

    def _catalog(self, name: str) -> Catalog:
        """What the portal has; the next slice of one reading goes by what the first one found."""
        slices = self._slices
        if slices.unfinished and isinstance(slices.catalog, Catalog):
            return replace(slices.catalog, issues=())
        catalog = read_catalog(self._client, _needed_tables(name))
        catalog.find_all(self._options.types or ())
        catalog = self._without_what_is_left_out(catalog)
        slices.catalog = catalog
        return catalog

    def _without_what_is_left_out(self, catalog: Catalog) -> Catalog:
        """A name that fits no field would let through what somebody wants to keep out, and so is told."""
        issues = IssueLog(self._client.clock.now)
        for one in (*catalog.types, *catalog.objects):
            columns = {field.upper_name.lower() for field in one.fields or ()}
            unknown = sorted(self._options.left_out.columns_of(one.items_table) - columns)
            if unknown and one.fields is not None:
                error = ConfigError(f"leave_out names columns that do not exist: {', '.join(unknown)}", one.items_table)
                issues.record(
                    one.items_table,
                    error,
                    error.what,
                    hint="name them as spa_fields or crm_fields do",
                    entity_type_id=one.entity_type_id,
                )
        without = catalog.with_excluded_fields(self._options.left_out.columns_of)
        return replace(without, issues=(*without.issues, *issues.issues))


def _needed_tables(name: str) -> frozenset[str]:
    selected = selected_resources(name)
    lists = (needs for resource, needs in ITEM_RESOURCES.items() if resource in selected)
    return (selected & (SPA_TABLE_NAMES | OBJECT_TABLES | DICTIONARIES)).union(*lists)


def _request_counter() -> Callable[[], None]:
    """Shows requests beside dlt's own counters, in whatever progress the user chose."""
    collector = current_collector()

    def count() -> None:
        collector.update("Bitrix24 requests")

    return count


def with_normalized_names(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `spa_fields` with the names that the destination has: dlt shortens what is too long for it."""
    column, child = row["column_name"], row["child_table"]
    return {
        **row,
        "column_name": column and normalized_column(column),
        "child_table": child and normalized_table(child),
    }


def issue_rows(issues: Iterable[Issue]) -> list[dict[str, Any]]:
    """Rows of `load_issues` for the current load."""
    load_id = current_load_id()
    return [{**vars(issue), "load_id": load_id} for issue in issues]

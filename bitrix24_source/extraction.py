"""What the resources of one load share: the catalogue, read once, and the words in which dlt is told of columns.

It knows dlt's current load; not which resources there are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import dlt
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.extract.exceptions import CurrentSourceNotAvailable

from .capabilities import stored_column, stored_table
from .catalog import Catalog, Issue, Issues
from .choice import ItemChoice
from .client import Client
from .destination import require_free
from .discovery import DICTIONARIES, OBJECT_TABLES, SPA_TABLES, read_catalog
from .errors import ConfigError
from .fields import Column
from .selection import LISTS


class CatalogReader:
    """Reads the catalogue once for every load package, and only what the selected resources need."""

    def __init__(self, client: Client, choice: ItemChoice) -> None:
        self._client = client
        self._choice = choice
        self._slices = choice.slices
        self._lock = threading.Lock()
        self._read: tuple[str, Catalog] | None = None

    def catalog(self, name: str) -> Catalog:
        """The catalogue for the resource `name`, as of this load; the destination is tried before the portal is asked."""
        load_id = current_load_id()
        with self._lock:
            if self._read is None or not load_id or self._read[0] != load_id:
                if load_id:
                    require_free(dlt.current.pipeline())
                self._client.on_request = _request_counter() if load_id else None
                self._read = (load_id, self._catalog(name))
            return self._read[1]

    def _catalog(self, name: str) -> Catalog:
        """What the portal has; the next slice of one reading goes by what the first one found."""
        slices = self._slices
        if slices.unfinished and isinstance(slices.catalog, Catalog):
            return replace(slices.catalog, issues=())
        catalog = read_catalog(self._client, _needed_tables(name))
        catalog.select(self._choice.types or ())
        catalog = self._without_what_is_left_out(catalog)
        slices.catalog = catalog
        return catalog

    def _without_what_is_left_out(self, catalog: Catalog) -> Catalog:
        """A name that fits no field would let through what somebody wants to keep out, and so is told."""
        issues = Issues(self._client.clock.now)
        for one in (*catalog.types, *catalog.objects):
            columns = {field.upper_name.lower() for field in one.fields or ()}
            unknown = sorted(self._choice.left_out.columns_of(one.items_table) - columns)
            if unknown and one.fields is not None:
                error = ConfigError(f"leave_out names columns that do not exist: {', '.join(unknown)}", one.items_table)
                issues.note(
                    one.items_table, error, error.what, hint="name them as spa_fields or crm_fields do", entity=one
                )
        without = catalog.without(self._choice.left_out.columns_of)
        return replace(without, issues=(*without.issues, *issues.noted))


def current_load_id() -> str:
    """The load package that is being extracted; empty outside a pipeline."""
    try:
        return str(dlt.current.load_package_state()["load_id"])
    except CurrentLoadPackageStateNotAvailable:
        return ""


def current_collector() -> Any:
    """Where the progress of the current load is shown; None outside a pipeline.

    To be asked once and kept: dlt reads its whole configuration again whenever it is asked for its pipeline, and in another
    thread it would make a new one.
    """
    return dlt.current.pipeline().collector if current_load_id() else None


def _needed_tables(name: str) -> frozenset[str]:
    selected = selected_resources(name)
    lists = (needs for resource, needs in LISTS.items() if resource in selected)
    return (selected & (SPA_TABLES | OBJECT_TABLES | DICTIONARIES)).union(*lists)


def selected_resources(name: str) -> frozenset[str]:
    """The resources of this load; outside a pipeline the one of this name."""
    try:
        return frozenset(dlt.current.source().selected_resources)
    except CurrentSourceNotAvailable:
        return frozenset({name})


def _request_counter() -> Callable[[], None]:
    """Shows requests beside dlt's own counters, in whatever progress the user chose."""
    collector = current_collector()

    def count() -> None:
        collector.update("Bitrix24 requests")

    return count


def hints(columns: Iterable[Column]) -> Any:
    """Columns as dlt wants them described."""
    return {
        column.name: {"data_type": column.type, **({"timezone": True} if column.type == "timestamp" else {})}
        for column in columns
    }


def as_stored(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `spa_fields` with the names that the destination has: dlt shortens what is too long for it."""
    column, child = row["column_name"], row["child_table"]
    return {
        **row,
        "column_name": column and stored_column(column),
        "child_table": child and stored_table(child),
    }


def issue_rows(issues: Iterable[Issue]) -> list[dict[str, Any]]:
    """Rows of `load_issues` for the current load."""
    load_id = current_load_id()
    return [{**vars(issue), "load_id": load_id} for issue in issues]

"""The items of all smart processes: one resource, a table for each type. Ties reading, conversion and deletions together.

Which types there are is found out in the run, so that a type which is new in the portal needs no change in anybody's code.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dlt
from dlt.extract import DltResource

from .catalog import Catalog, Issues, SpaType
from .client import Client
from .collecting import seldom_collecting
from .deletions import deleted_rows
from .errors import Bitrix24Error, ConfigError, DeniedError
from .extraction import CatalogReader, current_load_id, hints, issue_rows
from .fields import fields_from_wire
from .item_tables import MERGE, ItemTable, rejected_hints, rejected_table, wire_names
from .items import Ended, Rows, read_items
from .segments import ItemList
from .tables import ISSUES

log = logging.getLogger("bitrix24_source")

RESOURCE = "spa_items"

OWN_FILTERS = frozenset({">id", "<=id", ">ID", "<=ID"})
"""conditions with which we page; a user's would be overwritten"""


@dataclass(frozen=True)
class ItemChoice:
    """Which items, which of their fields, and how."""

    types: Sequence[int | str] | None = None
    select: Mapping[Any, Sequence[str]] = field(default_factory=dict)
    filter: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    connections: int = 4
    max_deleted_share: float = 0.2

    def __post_init__(self) -> None:
        for name, conditions in self.filter.items():
            own = sorted(OWN_FILTERS & set(conditions))
            if own:
                raise ConfigError(
                    f"the filter of {name!r} uses {', '.join(own)}, by which the items are paged",
                    "sources.bitrix24.filter",
                    "bound another field, or leave it out",
                )


def spa_items(reader: CatalogReader, client: Client, choice: ItemChoice) -> DltResource:
    """The resource `spa_items`."""

    def rows() -> Iterator[Any]:
        catalog = reader.catalog(RESOURCE)
        issues = Issues(client.clock.now)
        tables = _tables(catalog, client, choice)
        yield rejected_hints()
        yield rejected_table([], client.clock.now())
        for table in tables.values():
            yield from table.begin()
        with seldom_collecting():
            yield from _items(client, tables, choice, issues)
        if issues.noted:
            made = dlt.mark.make_hints(
                table_name=ISSUES.name, columns=hints(ISSUES.columns), write_disposition="append"
            )
            yield dlt.mark.with_hints(issue_rows(issues.noted), made, create_table_variant=True)

    return dlt.resource(rows, name=RESOURCE, write_disposition=MERGE)


def _items(client: Client, tables: Mapping[ItemList, ItemTable], choice: ItemChoice, issues: Issues) -> Iterator[Any]:
    for what in read_items(client, list(tables), choice.connections):
        table = tables[what.items]
        if isinstance(what, Rows):
            _say_what_is_left(table, what)
            yield from table.take(what.rows, client.clock.now())
        elif what.error is not None:
            _note_failure(issues, what, table)
        elif not what.items.filter:
            yield from _deleted(table, client, choice, issues, what.items)


def _deleted(table: ItemTable, client: Client, choice: ItemChoice, issues: Issues, items: ItemList) -> Iterator[Any]:
    """Marks what the destination has and the portal no longer shows, once all items of the type were read."""
    if not current_load_id():
        return
    pipeline, schema = dlt.current.pipeline(), dlt.current.source_schema().name
    marked = 0
    try:
        for rows in deleted_rows(pipeline, schema, table.name, table.ids, client.clock.now(), choice.max_deleted_share):
            marked += len(rows)
            yield table.mark_deleted(rows)
    except Bitrix24Error as error:
        issues.note(RESOURCE, error, error.what, spa=SpaType(items.entity_type_id, {}))
    if marked:
        log.info("%s: %d items are gone from the portal and marked", table.name, marked)


def _tables(catalog: Catalog, client: Client, choice: ItemChoice) -> dict[ItemList, ItemTable]:
    readable = [spa for spa in catalog.types if spa.fields is not None and spa.entity_type_id not in catalog.unreadable]
    chosen = catalog.select(choice.types) if choice.types else readable
    selects = _by_type(catalog, choice.select)
    filters = _by_type(catalog, choice.filter)
    made = (
        _table(spa, client, selects.get(spa.entity_type_id, ()), filters.get(spa.entity_type_id, {})) for spa in chosen
    )
    return dict(made)


def _by_type(catalog: Catalog, chosen: Mapping[Any, Any]) -> dict[int, Any]:
    return {catalog.select([name])[0].entity_type_id: what for name, what in chosen.items()}


def _table(
    spa: SpaType, client: Client, select: Sequence[str], filter_: Mapping[str, Any]
) -> tuple[ItemList, ItemTable]:
    fields = spa.fields or ()
    names, unknown = wire_names(fields, select, spa.items_table)
    if unknown:
        raise ConfigError(
            f"{spa.title!r} has no field {', '.join(unknown)}",
            f"select of entityTypeId {spa.entity_type_id}",
            "name fields as spa_fields does: name, upper_name or column_name",
        )

    def reread() -> Any:
        return fields_from_wire(client.call("crm.item.fields", {"entityTypeId": spa.entity_type_id}).result)

    items = ItemList(spa.entity_type_id, filter_, tuple(sorted(names)))
    return items, ItemTable(spa.items_table, fields, reread, names)


def _note_failure(issues: Issues, ended: Ended, table: ItemTable) -> None:
    error = ended.error
    assert error is not None  # noqa: S101 - the caller's case
    spa = SpaType(ended.items.entity_type_id, {})
    if error.code == "NOT_FOUND":
        log.info("%s: the smart process was deleted while items were read", table.name)
        return
    kind = "may not be read" if isinstance(error, DeniedError) else "could not be read to the end"
    issues.note(RESOURCE, error, f"{table.name} {kind}: {error.what}; {table.rows:,} items were loaded", spa=spa)


def _say_what_is_left(table: ItemTable, what: Rows) -> None:
    """Rows and rate are dlt's to show; the rest of a long table is ours to know."""
    if what.left and current_load_id():
        dlt.current.pipeline().collector.update(table.name, 0, message=f"about {what.left:,} left")

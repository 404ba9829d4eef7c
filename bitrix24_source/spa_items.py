"""The items of all smart processes: one resource, a table for each type. Which types there are is found out in the run.

It says what is read of each type - all, what is left of a slice, what changed, ids alone - and what follows from it; reading,
conversion and marking are done elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dlt
from dlt.extract import DltResource

from .catalog import Catalog, Issues, SpaType
from .choice import ItemChoice
from .client import Client
from .errors import ConfigError
from .extraction import CatalogReader, current_load_id, hints, issue_rows
from .fields import fields_from_wire
from .freeing import free_now
from .item_tables import MERGE, ItemTable, rejected_table, wire_names
from .rounds import RESOURCE, ItemRound, TypeItems
from .segments import ItemList
from .tables import ISSUES


def spa_items(reader: CatalogReader, client: Client, choice: ItemChoice) -> DltResource:
    """The resource `spa_items`."""

    def rows() -> Iterator[Any]:
        catalog = reader.catalog(RESOURCE)
        issues = Issues(client.clock.now)
        types = _types(catalog, client, choice)
        state: dict[str, Any] = dlt.current.resource_state() if current_load_id() else {}
        yield from ItemRound(client, types, state, choice, issues).rows(catalog)
        free_now()
        yield rejected_table([], client.clock.now())
        if issues.noted:
            made = dlt.mark.make_hints(
                table_name=ISSUES.name, columns=hints(ISSUES.columns), write_disposition="append"
            )
            yield dlt.mark.with_hints(issue_rows(issues.noted), made, create_table_variant=True)

    return dlt.resource(rows, name=RESOURCE, write_disposition=MERGE)


def _types(catalog: Catalog, client: Client, choice: ItemChoice) -> list[TypeItems]:
    readable = [spa for spa in catalog.types if spa.fields is not None and spa.entity_type_id not in catalog.unreadable]
    chosen = catalog.select(choice.types) if choice.types else readable
    selects = _by_type(catalog, choice.select)
    filters = _by_type(catalog, choice.filter)
    return [
        _type(spa, client, selects.get(spa.entity_type_id, ()), filters.get(spa.entity_type_id, {})) for spa in chosen
    ]


def _by_type(catalog: Catalog, chosen: Mapping[Any, Any]) -> dict[int, Any]:
    return {catalog.select([name])[0].entity_type_id: what for name, what in chosen.items()}


def _type(spa: SpaType, client: Client, select: Sequence[str], filter_: Mapping[str, Any]) -> TypeItems:
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

    has_time = any(one.name == "updatedTime" for one in fields)
    items = ItemList(spa.entity_type_id, filter_, tuple(sorted(names)))
    return TypeItems(spa, items, ItemTable(spa.items_table, fields, reread, names), has_updated_time=has_time)

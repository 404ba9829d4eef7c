"""Selects the streams for the chosen resources and types, and the parts of the catalogue that they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..catalog import CRM_OBJECTS, CRM_OBJECTS_BY_ID, LEADS, LEADS_MODE, SHORT_CODES, Catalog, EntityType
from ..errors import ConfigError
from ..reader import ActivityQuery, HistoryQuery, ListQuery, bindings_in
from ..rest import Client
from ..schema import (
    HISTORY_FIELDS,
    MULTIFIELD,
    PRODUCT_ROW_FIELDS,
    Field,
    activity_fields,
    fields_from_response,
    with_system_fields,
)
from .dependents import bindings_of, product_rows_of
from .fixed_tables import BindingTableBuilder, activity_table, history_table, product_row_table
from .item_tables import ItemTableBuilder, resolve_field_names
from .options import SyncOptions
from .ports import Capabilities
from .streams import DependentStream, Stream

SPA_ITEMS, HISTORY, PRODUCT_ROWS = "spa_items", "stage_history", "product_rows"
ACTIVITIES, BINDINGS = "activities", "activity_bindings"
ITEM_RESOURCES: Mapping[str, frozenset[str]] = {
    SPA_ITEMS: frozenset({"spa_types"}),
    **{name: frozenset({name}) for name in CRM_OBJECTS},
    HISTORY: frozenset({LEADS_MODE}),
    PRODUCT_ROWS: frozenset({LEADS_MODE, SHORT_CODES}),
    ACTIVITIES: frozenset(),
    BINDINGS: frozenset(),
}
"""The resources that are read by id, in reading order, with the parts of the catalogue that each needs."""


def select_streams(
    catalog: Catalog,
    client: Client,
    options: SyncOptions,
    selected: frozenset[str],
    capabilities: Capabilities | None = None,
) -> Iterator[Stream]:
    """Yields a stream for each list, parents before their dependents.

    Raises:
        ConfigError: a chosen type or field does not exist.
    """
    factory = _StreamFactory(catalog, client, options, capabilities or Capabilities())
    parents: dict[int, Stream] = {}
    processes = factory.smart_processes(with_fields=SPA_ITEMS in selected)
    for entity in (*(processes if SPA_ITEMS in selected else ()), *factory.crm_objects(selected)):
        parents[entity.entity_type_id] = factory.items(entity)
    yield from parents.values()
    built_in = [
        EntityType(number, {}, short_code=crm_object.short_code)
        for number, crm_object in CRM_OBJECTS_BY_ID.items()
        if number != LEADS or catalog.has_leads
    ]
    if HISTORY in selected:
        yield from (factory.history(entity) for entity in (*processes, *built_in) if _has_history(entity))
    if PRODUCT_ROWS in selected:
        for entity in (*processes, *built_in):
            if _has_products(entity):
                yield factory.product_rows(entity, parents.get(entity.entity_type_id))
    inline = (ActivityQuery.bindings_field,) if BINDINGS in selected else ()
    activities = factory.activities(inline) if ACTIVITIES in selected else None
    if activities is not None:
        yield activities
    if BINDINGS in selected:
        yield factory.bindings(activities)


def fixed_table_fields(options: SyncOptions) -> Mapping[str, Sequence[Field]]:
    """Returns the fields of tables whose columns are the same in every portal, without excluded ones."""
    fields = {
        ACTIVITIES: activity_fields(personal=options.personal_data),
        HISTORY: HISTORY_FIELDS,
        PRODUCT_ROWS: PRODUCT_ROW_FIELDS,
    }
    return {
        table: [field for field in listed if field.name not in options.exclusions.columns_of(table)]
        for table, listed in fields.items()
    }


def _has_history(entity: EntityType) -> bool:
    if entity.is_built_in:
        return CRM_OBJECTS_BY_ID[entity.entity_type_id].has_history
    return bool(entity.row.get("isStagesEnabled") != "N")


def _has_products(entity: EntityType) -> bool:
    is_linked = entity.is_built_in or entity.row.get("isLinkWithProductsEnabled") == "Y"
    return bool(entity.short_code) and is_linked


class _StreamFactory:
    """Makes the streams for the user's choice."""

    def __init__(self, catalog: Catalog, client: Client, options: SyncOptions, capabilities: Capabilities) -> None:
        self._catalog = catalog
        self._client = client
        self._options = options
        self._selects = self._by_type(options.select)
        self._filters = self._by_type(options.filter)
        self._capabilities = capabilities

    def smart_processes(self, *, with_fields: bool) -> list[EntityType]:
        """Returns the chosen smart processes; without a choice all that can be read."""
        if self._options.types:
            return list(self._catalog.find_all(self._options.types))
        hidden = self._catalog.unreadable
        known = [entity for entity in self._catalog.types if entity.entity_type_id not in hidden]
        return [entity for entity in known if entity.fields is not None or not with_fields]

    def crm_objects(self, selected: frozenset[str]) -> list[EntityType]:
        """Returns the selected CRM objects that can be read."""
        return [
            entity for entity in self._catalog.objects if entity.items_table in selected and entity.fields is not None
        ]

    def items(self, entity: EntityType) -> Stream:
        """Returns the stream of the items of one type."""
        number = entity.entity_type_id
        listed = entity.fields or ()
        has_system_columns = entity.has_system_columns
        known = with_system_fields(listed, is_spa=has_system_columns)
        names, unknown = resolve_field_names(known, self._selects.get(number, ()), entity.items_table)
        if unknown:
            raise ConfigError(
                f"{entity.title!r} has no field {', '.join(unknown)}",
                f"select of entityTypeId {number}",
                "name fields as spa_fields and crm_fields do: name, upper_name or column_name",
            )
        # Phones and e-mails cannot be selected by name: they are returned only without a selection.
        selected = () if MULTIFIELD.name in names else tuple(sorted(names))

        def reread() -> Any:
            return fields_from_response(self._client.call("crm.item.fields", {"entityTypeId": number}).result)

        table = ItemTableBuilder(
            entity.items_table,
            listed,
            reread,
            names,
            self._options.exclusions.columns_of(entity.items_table),
            is_spa=has_system_columns,
            capabilities=self._capabilities,
        )
        return Stream(
            entity.items_table if entity.is_built_in else SPA_ITEMS,
            ListQuery(number, self._filters.get(number, {}), selected),
            table,
            entity,
            has_time=not listed or any(field.name == ListQuery.updated_field for field in listed),
            full_refresh=self._is_full_refresh(),
        )

    def history(self, entity: EntityType) -> Stream:
        """Returns the stream of the stage history of one type."""
        number = entity.entity_type_id
        return Stream(
            HISTORY,
            HistoryQuery(number),
            history_table(number, self._capabilities, self._options.exclusions.columns_of(HISTORY)),
            entity,
            full_refresh=self._is_full_refresh(),
        )

    def product_rows(self, entity: EntityType, parent: Stream | None) -> Stream:
        """Returns the stream of the product rows of one type."""
        number = entity.entity_type_id
        return DependentStream(
            PRODUCT_ROWS,
            ListQuery(number, self._filters.get(number, {}), (ListQuery.id_field,)),
            None,
            entity,
            full_refresh=self._is_full_refresh(),
            dependent_table=product_row_table(
                number, self._capabilities, self._options.exclusions.columns_of(PRODUCT_ROWS)
            ),
            dependent_query=product_rows_of(number, entity.short_code),
            parent=parent,
        )

    def activities(self, inline: tuple[str, ...]) -> Stream:
        """Returns the stream of activities; the fields `inline` are read for streams that depend on it."""
        table = activity_table(
            self._capabilities,
            personal=self._options.personal_data,
            excluded=self._options.exclusions.columns_of(ACTIVITIES),
        )
        names = tuple(field.upper_name for field in table.fields if not field.is_excluded)
        return Stream(
            ACTIVITIES, ActivityQuery(0, select=names, extra_select=inline), table, full_refresh=self._is_full_refresh()
        )

    def bindings(self, parent: Stream | None) -> Stream:
        """Returns the stream of activity bindings."""
        return DependentStream(
            BINDINGS,
            ActivityQuery(0, select=(ActivityQuery.id_field,), extra_select=(ActivityQuery.bindings_field,)),
            None,
            full_refresh=self._is_full_refresh(),
            dependent_table=BindingTableBuilder(),
            dependent_query=bindings_of,
            parent=parent,
            inline_dependents=bindings_in,
        )

    def _is_full_refresh(self) -> bool:
        """Returns whether everything is read from the start."""
        return self._options.single_package or self._options.full_refresh

    def _by_type(self, chosen: Mapping[Any, Any]) -> dict[int, Any]:
        """Returns a choice by entityTypeId; CRM objects that this load does not read may be named."""
        return {
            CRM_OBJECTS[name].entity_type_id if name in CRM_OBJECTS else self._catalog.find(name).entity_type_id: choice
            for name, choice in chosen.items()
            if not (str(name).isdecimal() and int(name) in CRM_OBJECTS_BY_ID and self._is_absent(int(name)))
        }

    def _is_absent(self, number: int) -> bool:
        return all(entity.entity_type_id != number for entity in self._catalog.objects)

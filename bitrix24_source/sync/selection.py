"""The streams that the selected resources and types ask for, and what of the catalogue they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..catalog import CRM_OBJECTS, CRM_OBJECTS_BY_ID, LEADS, LEADS_MODE, SHORT_CODES, Catalog, EntityType
from ..errors import ConfigError
from ..reader import ActivityQuery, HistoryQuery, ListQuery, bindings_in
from ..rest import Client
from ..schema import MULTIFIELD, fields_from_response, with_hidden
from .dependents import DependentStream, bindings_of, product_rows_of
from .item_tables import ItemTableBuilder, resolve_field_names
from .options import SyncOptions
from .ports import Capabilities
from .record_tables import BindingTableBuilder, activity_table, history_table, product_row_table
from .streams import Stream

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
"""The resources that are read by id, in the order in which they are asked for, with what each needs of the catalogue."""


def select_streams(
    catalog: Catalog,
    client: Client,
    options: SyncOptions,
    selected: frozenset[str],
    capabilities: Capabilities | None = None,
) -> Iterator[Stream]:
    """One for each list, parent_streams before those who follow them.

    Raises:
        ConfigError: somebody chose a type or a field that does not exist.
    """
    made = _StreamFactory(catalog, client, options, capabilities or Capabilities())
    parent_streams: dict[int, Stream] = {}
    spas = made.spas(with_fields=SPA_ITEMS in selected)
    for one in (*(spas if SPA_ITEMS in selected else ()), *made.objects(selected)):
        parent_streams[one.entity_type_id] = made.items(one)
    yield from parent_streams.values()
    others = [EntityType(number, {}, short_code=one.short_code) for number, one in CRM_OBJECTS_BY_ID.items()]
    everything = [*spas, *(one for one in others if one.entity_type_id != LEADS or catalog.has_leads)]
    if HISTORY in selected:
        yield from (made.history(one) for one in everything if _has_history(one))
    if PRODUCT_ROWS in selected:
        yield from (
            made.product_rows(one, parent_streams.get(one.entity_type_id)) for one in everything if _has_products(one)
        )
    also = (ActivityQuery.bindings_field,) if BINDINGS in selected else ()
    activities = made.activities(also) if ACTIVITIES in selected else None
    if activities is not None:
        yield activities
    if BINDINGS in selected:
        yield made.bindings(activities)


def _has_history(one: EntityType) -> bool:
    return (
        CRM_OBJECTS_BY_ID[one.entity_type_id].has_history if one.is_built_in else one.row.get("isStagesEnabled") != "N"
    )


def _has_products(one: EntityType) -> bool:
    return bool(one.short_code) and (one.is_built_in or one.row.get("isLinkWithProductsEnabled") == "Y")


class _StreamFactory:
    """Makes streams of what somebody chose."""

    def __init__(self, catalog: Catalog, client: Client, options: SyncOptions, capabilities: Capabilities) -> None:
        self._catalog = catalog
        self._client = client
        self._options = options
        self._selects = self._by_type(options.select)
        self._filters = self._by_type(options.filter)
        self._capabilities = capabilities

    def spas(self, *, with_fields: bool) -> list[EntityType]:
        """Smart processes that were chosen; else all that can be read."""
        if self._options.types:
            return list(self._catalog.find_all(self._options.types))
        hidden = self._catalog.unreadable
        known = [one for one in self._catalog.types if one.entity_type_id not in hidden]
        return [one for one in known if one.fields is not None or not with_fields]

    def objects(self, selected: frozenset[str]) -> list[EntityType]:
        """CRM objects that were selected and can be read."""
        return [one for one in self._catalog.objects if one.items_table in selected and one.fields is not None]

    def items(self, one: EntityType) -> Stream:
        """The items of one type."""
        number = one.entity_type_id
        listed = one.fields or ()
        has_system_columns = one.has_system_columns
        known = with_hidden(listed, is_spa=has_system_columns)
        names, unknown = resolve_field_names(known, self._selects.get(number, ()), one.items_table)
        if unknown:
            raise ConfigError(
                f"{one.title!r} has no field {', '.join(unknown)}",
                f"select of entityTypeId {number}",
                "name fields as spa_fields and crm_fields do: name, upper_name or column_name",
            )
        # No selection may name phones and e-mails: they come with everything only.
        asked = () if MULTIFIELD.name in names else tuple(sorted(names))

        def reread() -> Any:
            return fields_from_response(self._client.call("crm.item.fields", {"entityTypeId": number}).result)

        table = ItemTableBuilder(
            one.items_table,
            listed,
            reread,
            names,
            self._options.left_out.columns_of(one.items_table),
            is_spa=has_system_columns,
            capabilities=self._capabilities,
        )
        return Stream(
            one.items_table if one.is_built_in else SPA_ITEMS,
            ListQuery(number, self._filters.get(number, {}), asked),
            table,
            one,
            has_time=not listed or any(field.name == ListQuery.updated_field for field in listed),
            restarts=self._restarts(),
        )

    def history(self, one: EntityType) -> Stream:
        """The moves of one type's items."""
        number = one.entity_type_id
        return Stream(
            HISTORY, HistoryQuery(number), history_table(number, self._capabilities), one, restarts=self._restarts()
        )

    def product_rows(self, one: EntityType, parent_stream: Stream | None) -> Stream:
        """What one type's items hold of products."""
        number = one.entity_type_id
        return DependentStream(
            PRODUCT_ROWS,
            ListQuery(number, self._filters.get(number, {}), (ListQuery.id_field,)),
            None,
            one,
            restarts=self._restarts(),
            owned=product_row_table(number, self._capabilities),
            asked=product_rows_of(number, one.short_code),
            parent_stream=parent_stream,
        )

    def activities(self, also: tuple[str, ...]) -> Stream:
        """What people did and have to do; `also` is read beside it, for others."""
        table = activity_table(
            self._capabilities, personal=self._options.personal, left_out=self._options.left_out.columns_of(ACTIVITIES)
        )
        names = tuple(field.upper_name for field in table.fields)
        return Stream(ACTIVITIES, ActivityQuery(0, select=names, extra_select=also), table, restarts=self._restarts())

    def bindings(self, parent_stream: Stream | None) -> Stream:
        """What activities are bound to."""
        return DependentStream(
            BINDINGS,
            ActivityQuery(0, select=(ActivityQuery.id_field,), extra_select=(ActivityQuery.bindings_field,)),
            None,
            restarts=self._restarts(),
            owned=BindingTableBuilder(),
            asked=bindings_of,
            parent_stream=parent_stream,
            inline_children=bindings_in,
        )

    def _restarts(self) -> bool:
        """A refresh is one of everything that is read."""
        return self._options.single_package or self._options.restart

    def _by_type(self, chosen: Mapping[Any, Any]) -> dict[int, Any]:
        """By number; a CRM object may be named though this load does not read it."""
        return {
            CRM_OBJECTS[name].entity_type_id if name in CRM_OBJECTS else self._catalog.find(name).entity_type_id: what
            for name, what in chosen.items()
            if not (str(name).isdecimal() and int(name) in CRM_OBJECTS_BY_ID and self._is_absent(int(name)))
        }

    def _is_absent(self, number: int) -> bool:
        return all(one.entity_type_id != number for one in self._catalog.objects)

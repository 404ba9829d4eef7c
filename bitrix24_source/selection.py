"""Which lists do the selected resources and types ask for, and what of the catalogue must be known for that?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .catalog import Catalog, EntityType
from .choice import ItemChoice
from .client import Client
from .discovery import MODE, SHORT_CODES
from .errors import ConfigError
from .fields import MULTIFIELD, Field, fields_from_wire
from .item_tables import ItemTable, wire_names
from .lists import ActivityList, HistoryList, ItemList, bindings_in
from .objects import BY_NUMBER, LEADS, OBJECTS
from .owned import OwnedReading, bindings_of, product_rows_of
from .readings import Reading
from .record_tables import BindingTable, activity_table, history_table, product_row_table

SPA_ITEMS, HISTORY, PRODUCT_ROWS = "spa_items", "stage_history", "product_rows"
ACTIVITIES, BINDINGS = "activities", "activity_bindings"

LISTS: Mapping[str, frozenset[str]] = {
    SPA_ITEMS: frozenset({"spa_types"}),
    **{name: frozenset({name}) for name in OBJECTS},
    HISTORY: frozenset({MODE}),
    PRODUCT_ROWS: frozenset({MODE, SHORT_CODES}),
    ACTIVITIES: frozenset(),
    BINDINGS: frozenset(),
}
"""The resources that are read by id, in the order in which they are asked for, with what each needs of the catalogue."""


def readings(catalog: Catalog, client: Client, choice: ItemChoice, selected: frozenset[str]) -> Iterator[Reading]:
    """One for each list, leaders before those who follow them.

    Raises:
        ConfigError: somebody chose a type or a field that does not exist.
    """
    made = _Maker(catalog, client, choice)
    leaders: dict[int, Reading] = {}
    spas = made.spas(with_fields=SPA_ITEMS in selected)
    for one in (*(spas if SPA_ITEMS in selected else ()), *made.objects(selected)):
        leaders[one.entity_type_id] = made.items(one)
    yield from leaders.values()
    others = [EntityType(number, {}, short_code=one.short_code) for number, one in BY_NUMBER.items()]
    everything = [*spas, *(one for one in others if one.entity_type_id != LEADS or catalog.has_leads)]
    if HISTORY in selected:
        yield from (made.history(one) for one in everything if _has_history(one))
    if PRODUCT_ROWS in selected:
        yield from (made.product_rows(one, leaders.get(one.entity_type_id)) for one in everything if _has_products(one))
    also = (ActivityList.bindings_name,) if BINDINGS in selected else ()
    activities = made.activities(also) if ACTIVITIES in selected else None
    if activities is not None:
        yield activities
    if BINDINGS in selected:
        yield made.bindings(activities)


def _has_history(one: EntityType) -> bool:
    return BY_NUMBER[one.entity_type_id].has_history if one.is_built_in else one.row.get("isStagesEnabled") != "N"


def _has_products(one: EntityType) -> bool:
    return bool(one.short_code) and (one.is_built_in or one.row.get("isLinkWithProductsEnabled") == "Y")


class _Maker:
    """Makes readings of what somebody chose."""

    def __init__(self, catalog: Catalog, client: Client, choice: ItemChoice) -> None:
        self._catalog = catalog
        self._client = client
        self._choice = choice
        self._selects = self._by_type(choice.select)
        self._filters = self._by_type(choice.filter)

    def spas(self, *, with_fields: bool) -> list[EntityType]:
        """Smart processes that were chosen; else all that can be read."""
        if self._choice.types:
            return list(self._catalog.select(self._choice.types))
        hidden = self._catalog.unreadable
        known = [one for one in self._catalog.types if one.entity_type_id not in hidden]
        return [one for one in known if one.fields is not None or not with_fields]

    def objects(self, selected: frozenset[str]) -> list[EntityType]:
        """CRM objects that were selected and can be read."""
        return [one for one in self._catalog.objects if one.items_table in selected and one.fields is not None]

    def items(self, one: EntityType) -> Reading:
        """The items of one type."""
        number = one.entity_type_id
        fields: Sequence[Field] = one.fields or ()
        names, unknown = wire_names(fields, self._selects.get(number, ()), one.items_table)
        if unknown:
            raise ConfigError(
                f"{one.title!r} has no field {', '.join(unknown)}",
                f"select of entityTypeId {number}",
                "name fields as spa_fields and crm_fields do: name, upper_name or column_name",
            )

        if MULTIFIELD.name in names:  # no selection may name it, it only comes with everything
            wanted = {*names, "id"}
            fields = [replace(field, is_left_out=field.is_left_out or field.name not in wanted) for field in fields]
            names = frozenset()

        def reread() -> Any:
            return fields_from_wire(self._client.call("crm.item.fields", {"entityTypeId": number}).result)

        return Reading(
            one.items_table if one.is_built_in else SPA_ITEMS,
            ItemList(number, self._filters.get(number, {}), tuple(sorted(names))),
            ItemTable(one.items_table, fields, reread, names),
            one,
            has_time=any(field.name == ItemList.time_name for field in fields),
            restarts=self._restarts(one),
        )

    def history(self, one: EntityType) -> Reading:
        """The moves of one type's items."""
        number = one.entity_type_id
        return Reading(HISTORY, HistoryList(number), history_table(number), one, restarts=self._restarts(one))

    def product_rows(self, one: EntityType, leader: Reading | None) -> Reading:
        """What one type's items hold of products."""
        number = one.entity_type_id
        return OwnedReading(
            PRODUCT_ROWS,
            ItemList(number, self._filters.get(number, {}), (ItemList.id_name,)),
            None,
            one,
            restarts=self._restarts(one),
            owned=product_row_table(number),
            asked=product_rows_of(number, one.short_code),
            leader=leader,
        )

    def activities(self, also: tuple[str, ...]) -> Reading:
        """What people did and have to do; `also` is read beside it, for others."""
        table = activity_table(personal=self._choice.personal, left_out=self._choice.left_out.columns_of(ACTIVITIES))
        names = tuple(field.upper_name for field in table.fields)
        return Reading(ACTIVITIES, ActivityList(0, select=names, also=also), table, restarts=self._restarts())

    def bindings(self, leader: Reading | None) -> Reading:
        """What activities are bound to."""
        return OwnedReading(
            BINDINGS,
            ActivityList(0, select=(ActivityList.id_name,), also=(ActivityList.bindings_name,)),
            None,
            restarts=self._restarts(),
            owned=BindingTable(),
            asked=bindings_of,
            leader=leader,
            brought=bindings_in,
        )

    def _restarts(self, one: EntityType | None = None) -> bool:
        """A refresh of some types is one of these alone."""
        if self._choice.is_whole:
            return True
        return self._choice.restart and (not self._choice.types or (one is not None and not one.is_built_in))

    def _by_type(self, chosen: Mapping[Any, Any]) -> dict[int, Any]:
        """By number; a CRM object may be named though this load does not read it."""
        return {
            OBJECTS[name].entity_type_id if name in OBJECTS else self._catalog.named(name).entity_type_id: what
            for name, what in chosen.items()
            if not (str(name).isdecimal() and int(name) in BY_NUMBER and self._is_absent(int(name)))
        }

    def _is_absent(self, number: int) -> bool:
        return all(one.entity_type_id != number for one in self._catalog.objects)

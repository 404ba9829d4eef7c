"""Builds the stage history of one type: the journeys that also make the items, and the entries written since."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from ..methods.filters import Grammar, Where, parse
from ..methods.listing import PAGE, Row, sort_rows
from ..scenarios.deterministic import iso
from .item_store import ItemStore
from .lifecycle import MOST_EVENTS
from .world import World
from .write_effects import CREATED, FINAL, INTERMEDIATE

HISTORY_KINDS = {
    "ID": "number", "TYPE_ID": "number", "OWNER_ID": "number", "CREATED_TIME": "datetime", "CATEGORY_ID": "number",
    "STAGE_SEMANTIC_ID": "text", "STAGE_ID": "text", "STATUS_SEMANTIC_ID": "text", "STATUS_ID": "text",
}  # fmt: skip


def history_page(
    world: World,
    store: ItemStore,
    conditions: Mapping[str, Any],
    order: Mapping[str, Any],
    grammar: Grammar,
    *,
    start: int,
) -> tuple[list[Row], int]:
    """Returns one page and the total number of rows; the fast mode stops as soon as the page is full."""
    where = parse(conditions, grammar)
    rows = _rows(world, store, where)
    by_id = [(name, str(way).upper()) for name, way in order.items()] in ([], [("ID", "ASC")])
    if start < 0 and by_id:
        return list(islice(rows, PAGE)), 0
    found = list(rows) if by_id else sort_rows(list(rows), order, grammar)
    first = max(0, start)
    return found[first : first + PAGE], len(found)


def _rows(world: World, store: ItemStore, where: Where) -> Iterator[Row]:
    for row in heapq.merge(_computed(world, store, where.low), _written(world, store), key=lambda row: row["ID"]):
        if where.admits_id(row["ID"]) and where.admits(row.get):
            yield _spelled(store.schema.entity_type_id, row)
        elif row["ID"] > where.high:
            return


def _computed(world: World, store: ItemStore, low: int) -> Iterator[Row]:
    """An item's line j has the id 4 * place + j + 1, so ids grow with the items. Deleted items take theirs along."""
    if not any(lane.stages for lane in world.lanes(store.schema.entity_type_id)):
        return  # a type without stages has no history, and a million items need not be asked for it
    first = max(0, (low - 1) // MOST_EVENTS)
    for place in range(first, store.computed):
        number = store.id_at(place)
        if store.exists(number):
            trip = store.trip(number)
            for step, event in enumerate(trip.events):
                if event.stage is not None:
                    yield {
                        "ID": place * MOST_EVENTS + step + 1,
                        "TYPE_ID": CREATED if step == 0 else INTERMEDIATE if event.stage.semantics == "P" else FINAL,
                        "OWNER_ID": number,
                        "CREATED_TIME": iso(event.at, world.zone),
                        "CATEGORY_ID": trip.category_id,
                        "STAGE_SEMANTIC_ID": event.stage.semantics,
                        "STAGE_ID": event.stage.code,
                    }


def _written(world: World, store: ItemStore) -> Iterator[Row]:
    base = store.computed * MOST_EVENTS
    for place, move in enumerate(world.moves.get(store.schema.entity_type_id, [])):
        if store.exists(move["OWNER_ID"]):
            yield {"ID": base + place + 1, **move}


def _spelled(entity_type_id: int, row: Row) -> Row:
    """Leads call their stages statuses, and have no categories."""
    if entity_type_id not in (1, 5):
        return row
    named = {"STAGE_SEMANTIC_ID": "STATUS_SEMANTIC_ID", "STAGE_ID": "STATUS_ID"}
    return {named.get(key, key): value for key, value in row.items() if key != "CATEGORY_ID"}

"""Applies the side effects of writing an item: times, authors, stages, stage history.

Rights are not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..portal.access import OWNER_ID
from ..scenarios.deterministic import DAY, iso_date
from .item_store import ItemStore
from .world import World

Row = dict[str, Any]
CREATED, INTERMEDIATE, FINAL, OTHER_CATEGORY = 1, 2, 3, 5


def add_item(world: World, store: ItemStore, fields: Mapping[str, Any]) -> int:
    now, today = world.now(), int(world.clock.now().timestamp())
    row: Row = {
        "createdTime": now, "updatedTime": now, "movedTime": now, "lastActivityTime": now,
        "createdBy": OWNER_ID, "updatedBy": OWNER_ID, "movedBy": OWNER_ID, "lastActivityBy": OWNER_ID,
        "assignedById": OWNER_ID, "opened": "Y", "webformId": 0, "companyId": 0, "contactId": 0,
        "opportunity": 0, "taxValue": 0, "isManualOpportunity": "N", "previousStageId": "",
        "entityTypeId": store.schema.entity_type_id, "isRecurring": "N", "currencyId": world.base_currency,
    }  # fmt: skip
    if store.schema.entity_type_id in world.types:
        row |= {"begindate": iso_date(today, world.zone), "closedate": iso_date(today + 7 * DAY, world.zone)}
    known = store.schema.fields.keys() | store.schema.hidden.keys()
    row = _switches(store) | {name: value for name, value in row.items() if name in known}
    row |= _first_stage(world, store, fields)
    row |= dict(fields)
    number = store.add(row | _account_amounts(world, store, row))
    if not fields.get("title") and "title" in store.schema.fields:
        store.change(
            number, {"title": f"{world.types.get(store.schema.entity_type_id, {}).get('title', 'Item')} #{number}"}
        )
    _remember(world, store, number, CREATED)
    return number


def _account_amounts(world: World, store: ItemStore, row: Mapping[str, Any]) -> Row:
    """Returns the amounts in the account's currency: columns of rows that crm.item.fields does not list."""
    if "accountCurrencyId" not in store.schema.hidden:
        return {}
    amounts = {"opportunityAccount": row.get("opportunity"), "taxValueAccount": row.get("taxValue")}
    written = {name: world.in_base_currency(amount, row.get("currencyId")) for name, amount in amounts.items()}
    return written | {"accountCurrencyId": world.base_currency}


def _switches(store: ItemStore) -> Row:
    """Returns "N" for each system yes/no field that has no value."""
    fields = store.schema.fields.values()
    return {field.name: "N" for field in fields if field.type == "boolean" and field.user_field is None}


def _first_stage(world: World, store: ItemStore, fields: Mapping[str, Any]) -> Row:
    lanes = world.lanes(store.schema.entity_type_id)
    wanted = fields.get("categoryId")
    lane = next((lane for lane in lanes if lane.category_id == wanted), lanes[0])
    first: Row = {"categoryId": lane.category_id} if "categoryId" in store.schema.fields else {}
    if "stageId" in store.schema.fields and lane.stages:
        first["stageId"] = lane.stages[0].code
    return first | _meaning(world, store, fields.get("stageId", first.get("stageId")))


def _meaning(world: World, store: ItemStore, stage_id: Any) -> Row:
    """Returns the stage semantics that rows of leads and deals contain."""
    if "stageSemanticId" not in store.schema.fields or not stage_id:
        return {}
    return {"stageSemanticId": stage_semantics(world, store.schema.entity_type_id, str(stage_id))}


def change_item(world: World, store: ItemStore, number: int, fields: Mapping[str, Any]) -> None:
    before = store.row(number)
    now = world.now()
    changes: Row = {"updatedTime": now, "updatedBy": OWNER_ID}
    moved = fields.get("stageId", before.get("stageId")) != before.get("stageId")
    if moved:
        changes |= {"previousStageId": before.get("stageId"), "movedTime": now, "movedBy": OWNER_ID}
        changes |= _meaning(world, store, fields["stageId"])
    changes = {name: value for name, value in changes.items() if name in store.schema.fields}
    row = store.row(number, store.schema.every_column()) | dict(fields)
    store.change(number, changes | dict(fields) | _account_amounts(world, store, row))
    if moved:
        other = fields.get("categoryId", before.get("categoryId")) != before.get("categoryId")
        _remember(world, store, number, OTHER_CATEGORY if other else 0)


def _remember(world: World, store: ItemStore, number: int, kind: int) -> None:
    """Appends an entry to the stage history."""
    row = store.row(number)
    if not row.get("stageId"):
        return
    entity_type_id = store.schema.entity_type_id
    semantics = stage_semantics(world, entity_type_id, str(row["stageId"]))
    world.moves.setdefault(entity_type_id, []).append({
        "TYPE_ID": kind or (INTERMEDIATE if semantics == "P" else FINAL),
        "OWNER_ID": number,
        "CREATED_TIME": world.now(),
        "CATEGORY_ID": row.get("categoryId", 0),
        "STAGE_SEMANTIC_ID": semantics,
        "STAGE_ID": row["stageId"],
    })  # fmt: skip


def stage_semantics(world: World, entity_type_id: int, stage_id: str) -> str:
    stages = (stage for lane in world.lanes(entity_type_id) for stage in lane.stages)
    return next((stage.semantics for stage in stages if stage.code == stage_id), "P")


def note_activity(world: World, entity_type_id: int, number: int) -> None:
    """Sets an item's activity times to now, without changing its `updatedTime`."""
    store = world.objects.get(entity_type_id)
    if store is None or not store.exists(number) or "lastActivityTime" not in store.schema.fields:
        return
    store.change(number, {"lastActivityTime": world.now(), "lastActivityBy": OWNER_ID})


def delete_item(store: ItemStore, number: int) -> None:
    store.delete(number)

"""Makes a smart process: its type row, its categories and stages, its item table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..model.item_store import ItemStore
from ..model.world import World
from .spa_fields import SystemFields
from .stages import SPA_STAGES, StageSpec, add_category, add_stages, directory_row, title_of

SWITCHES = (
    "isCategoriesEnabled", "isStagesEnabled", "isBeginCloseDatesEnabled", "isClientEnabled", "isUseInUserfieldEnabled",
    "isLinkWithProductsEnabled", "isMycompanyEnabled", "isDocumentsEnabled", "isSourceEnabled", "isObserversEnabled",
    "isRecyclebinEnabled", "isAutomationEnabled", "isBizProcEnabled", "isSetOpenPermissions", "isPaymentsEnabled",
    "isCountersEnabled",
)  # fmt: skip
# System flags, which cannot be switched on.
NEVER_ON = {"isPaymentsEnabled", "isCountersEnabled"}
LINKED_USER_FIELDS = ("CALENDAR_EVENT|UF_CRM_CAL_EVENT", "TASKS_TASK|UF_CRM_TASK", "TASKS_TASK_TEMPLATE|UF_CRM_TASK")


def relation(entity_type_id: int, *, listed: bool = True, predefined: bool = False) -> dict[str, Any]:
    return {
        "entityTypeId": entity_type_id,
        "isChildrenListEnabled": "Y" if listed else "N",
        "isPredefined": "Y" if predefined else "N",
    }


def type_row(
    type_id: int, entity_type_id: int, title: str, created: str, *, code: str = "", off: Iterable[str] = (),
    parents: Iterable[int] = (), children: Iterable[int] = (), created_by: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Returns a row as crm.type.get answers it; crm.type.list omits the last three keys."""
    without = {*off, *NEVER_ON}
    client = "isClientEnabled" not in without
    predefined = [relation(3, predefined=True), relation(4, predefined=True)] if client else []
    return {
        "id": type_id,
        "title": title,
        "code": code,
        "createdBy": created_by,
        "entityTypeId": entity_type_id,
        "customSectionId": None,
        **{switch: "N" if switch in without else "Y" for switch in SWITCHES},
        "createdTime": created,
        "updatedTime": created,
        "updatedBy": created_by,
        "relations": {
            "parent": predefined + [relation(parent) for parent in parents],
            "child": [relation(child, listed=child != 4) for child in children],
        },
        "isRecurringEnabled": "N",
        "isInitialized": "Y",
        "daysBeforeClose": None,
        "linkedUserFields": {name: "Y" if place < 2 else "N" for place, name in enumerate(LINKED_USER_FIELDS)},
        "customSections": [],
    }


def add_type(
    world: World, row: dict[str, Any], count: int = 0, *, first: int = 1, step: int = 1,
    categories: Iterable[tuple[int, str, tuple[StageSpec, ...]]] = (), subjects: Sequence[str] = (),
) -> ItemStore:  # fmt: skip
    """Adds a type with its categories, stages and system fields. Without `categories` it has one called General.

    The titles of its items begin with one of `subjects`.
    """
    entity_type_id = int(row["entityTypeId"])
    world.types[entity_type_id] = row
    given = list(categories) or [(world.next_id("category", 60), "General", SPA_STAGES)]
    for place, (category_id, name, _) in enumerate(given):
        add_category(world, entity_type_id, category_id, name, sort=(place + 1) * 100, default=place == 0)
    if row["isStagesEnabled"] == "Y":
        add_stage_directories(world, entity_type_id, {category_id: stages for category_id, _, stages in given})
    store = world.make_store(entity_type_id, count, first=first, step=step)
    SystemFields(world, store, row, subjects).write()
    return store


def add_stage_directories(
    world: World, entity_type_id: int, stages: Mapping[int, tuple[StageSpec, ...]] | None = None
) -> None:
    """Adds the stages of each category, by category id; the usual ones where none are given."""
    for category in world.categories[entity_type_id]:
        add_stages(world, entity_type_id, category["id"], (stages or {}).get(category["id"], SPA_STAGES))
        world.directories.append(directory_row(entity_type_id, category, title_of(world, entity_type_id)))

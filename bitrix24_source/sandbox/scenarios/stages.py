"""Adds categories and status directories to a world, as rows in the vendor's format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..model.world import World, directory_of, symbol_code

# code, name, semantics: P in progress, S success, F failure, A failure that the vendor calls "apology"
StageSpec = tuple[str, str, str]
COLORS = ("#39A8EF", "#2FC6F6", "#55D0E0", "#47E4C2", "#FFA900")
EXTRA = {"P": "process", "S": "success", "F": "failure", "A": "apology"}
# Longer codes are silently cut by the vendor's database.
LONGEST_STATUS_ID = 21

SPA_STAGES: tuple[StageSpec, ...] = (
    ("NEW", "Start", "P"),
    ("PREPARATION", "Preparation", "P"),
    ("CLIENT", "In progress", "P"),
    ("SUCCESS", "Success", "S"),
    ("FAIL", "Failure", "F"),
)


def add_category(
    world: World, entity_type_id: int, category_id: int, name: str, *, sort: int = 500, default: bool = False
) -> None:
    row: dict[str, Any] = {
        "id": category_id,
        "name": name,
        "sort": sort,
        "entityTypeId": entity_type_id,
        "isDefault": "Y" if default else "N",
    }
    if entity_type_id == 2 and category_id:
        row |= {"originId": "", "originatorId": ""}
    world.categories.setdefault(entity_type_id, []).append(row)


def add_stages(world: World, entity_type_id: int, category_id: int, stages: Sequence[StageSpec]) -> None:
    prefix = stage_prefix(entity_type_id, category_id)
    for place, (code, name, semantics) in enumerate(stages):
        status = f"{prefix}{code}"[:LONGEST_STATUS_ID]
        row = status_row(world, directory_of(entity_type_id, category_id), status, name, (place + 1) * 10)
        row |= {
            "CATEGORY_ID": str(category_id) if category_id else None,
            "COLOR": _color(place, semantics),
            "SEMANTICS": {"S": "S", "F": "F", "A": "F"}.get(semantics),
        }
        if entity_type_id in (1, 2, 7):  # EXTRA exists for leads, deals and quotes only
            row["EXTRA"] = {"SEMANTICS": EXTRA[semantics], "COLOR": row["COLOR"]}
        world.statuses.append(row)


def stage_prefix(entity_type_id: int, category_id: int) -> str:
    if entity_type_id == 2:
        return f"C{category_id}:" if category_id else ""
    return f"DT{entity_type_id}_{category_id}:" if entity_type_id >= 31 else ""


def _color(place: int, semantics: str) -> str:
    return {"S": "#7BD500", "F": "#FF5752", "A": "#FF5752"}.get(semantics, COLORS[place % len(COLORS)])


def status_row(world: World, directory: str, code: str, name: str, sort: int) -> dict[str, Any]:
    return {
        "ID": str(world.next_id("status", 101)),
        "ENTITY_ID": directory,
        "STATUS_ID": code,
        "NAME": name,
        "NAME_INIT": name if sort == 10 else "",
        "SORT": str(sort),
        "SYSTEM": "Y" if sort == 10 else "N",
        "CATEGORY_ID": "0" if sort % 20 else None,
        "COLOR": ("#", None)[sort % 20 // 10],
        "SEMANTICS": ("", None)[sort % 20 // 10],
    }


def add_directory(world: World, code: str, name: str, values: Sequence[tuple[str, str]]) -> None:
    """Adds a plain directory, such as sources or industries."""
    world.directories.append({"ID": code, "NAME": name})
    add_statuses(world, code, values)


def add_statuses(world: World, code: str, values: Sequence[tuple[str, str]]) -> None:
    world.statuses += [status_row(world, code, key, text, (place + 1) * 10) for place, (key, text) in enumerate(values)]


def directory_row(entity_type_id: int, category: dict[str, Any], title: str) -> dict[str, Any]:
    """The row of crm.status.entity.types for the stages of one category of a smart process."""
    category_id = category["id"]
    return {
        "ID": directory_of(entity_type_id, category_id),
        "NAME": f"{title} ({category['name']})",
        "SEMANTIC_INFO": [],
        "PREFIX": f"DT{entity_type_id}_{category_id}",
        "FIELD_ATTRIBUTE_SCOPE": f"category_{category_id}",
        "ENTITY_TYPE_ID": entity_type_id,
        "IS_ENABLED": True,
        "CATEGORY_ID": category_id,
        "CATEGORY_NAME": category["name"],
        "CATEGORY_SORT": category["sort"],
        "IS_DEFAULT_CATEGORY": category["isDefault"] == "Y",
    }


def built_in_directory_row(
    world: World, entity_type_id: int, category: dict[str, Any] | None, name: str
) -> dict[str, Any]:
    """The same for leads, deals, quotes and invoices, each with the keys the vendor's page shows."""
    category_id = category["id"] if category else 0
    code = directory_of(entity_type_id, category_id)
    row: dict[str, Any] = {"ID": code, "NAME": name}
    if entity_type_id == 31:
        prefix = {"PREFIX": f"DT31_{category_id}", "FIELD_ATTRIBUTE_SCOPE": f"category_{category_id}"}
        return (
            row
            | {"SEMANTIC_INFO": []}
            | prefix
            | {"ENTITY_TYPE_ID": 31, "IS_ENABLED": True, "CATEGORY_ID": category_id}
        )
    if category_id:
        row["PARENT_ID"] = "DEAL_STAGE"
    row["SEMANTIC_INFO"] = _semantic_info(world, entity_type_id, category_id)
    if category_id:
        row |= {"PREFIX": f"C{category_id}", "FIELD_ATTRIBUTE_SCOPE": f"category_{category_id}"}
    elif entity_type_id == 2:
        row["FIELD_ATTRIBUTE_SCOPE"] = ""
    row["ENTITY_TYPE_ID"] = entity_type_id
    if entity_type_id == 2:
        row["CATEGORY_ID"] = str(category_id) if category_id else 0
    return row


def _semantic_info(world: World, entity_type_id: int, category_id: int) -> dict[str, Any]:
    stages = world.stages(entity_type_id, category_id)
    by_meaning = {row["SEMANTICS"] or "P": row["STATUS_ID"] for row in reversed(stages)}
    return {
        "START_FIELD": by_meaning.get("P", ""),
        "FINAL_SUCCESS_FIELD": by_meaning.get("S", ""),
        "FINAL_UNSUCCESS_FIELD": by_meaning.get("F", ""),
        "FINAL_SORT": 0,
    }


def title_of(world: World, entity_type_id: int) -> str:
    known = world.types.get(entity_type_id)
    return str(known["title"]) if known else symbol_code(entity_type_id)

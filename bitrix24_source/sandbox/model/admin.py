"""Changes that an administrator makes between two loads: types and custom fields are added, removed and renamed.

Rights are not checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..scenarios.spa_types import SWITCHES, add_stage_directories, add_type, type_row
from ..scenarios.user_fields import add_user_field
from .world import World
from .write_effects import note_activity

Row = dict[str, Any]
FIRST_FREE_ENTITY_TYPE = 1030


def new_type(
    world: World, title: str, *, entity_type_id: int = 0, items: int = 0, off: Iterable[str] = (), code: str = ""
) -> Row:
    """Creates a smart process with one category, the usual stages and `items` items from the portal's past."""
    number = entity_type_id or free_entity_type(world)
    type_id = max([10, world.newest_type, *(row["id"] for row in world.types.values())]) + 1
    row = type_row(type_id, number, title, world.now(), off=off, code=code)
    add_type(world, row, items)
    return row


def free_entity_type(world: World) -> int:
    """Returns the next free even number: the vendor counts so from 1030 on."""
    return max([FIRST_FREE_ENTITY_TYPE - 2, *(number for number in world.types if number % 2 == 0)]) + 2


def switch_feature(world: World, entity_type_id: int, switch: str, *, on: bool) -> None:
    """Switches a feature of a smart process on or off; its items keep their values."""
    row, store = world.types[entity_type_id], world.objects[entity_type_id]
    if switch not in SWITCHES:
        raise ValueError(f"No such switch: {switch!r}. There are {', '.join(SWITCHES)}")
    row |= {switch: "Y" if on else "N", "updatedTime": world.now()}
    if switch == "isStagesEnabled":
        _switch_stages(world, entity_type_id, on=on)
    store.schema.switch(switch, on=on)


def _switch_stages(world: World, entity_type_id: int, *, on: bool) -> None:
    """Switches stages on or off; items that never had a stage get the first one of their category."""
    for directory in world.directories:
        if directory.get("ENTITY_TYPE_ID") == entity_type_id:
            directory["IS_ENABLED"] = on
    if not on or any(lane.stages for lane in world.lanes(entity_type_id)):
        return
    add_stage_directories(world, entity_type_id)
    store = world.objects[entity_type_id]
    first = {lane.category_id: lane.stages[0].code for lane in world.lanes(entity_type_id)}
    store.schema.fields["stageId"].column = lambda number: first[store.trip(number).category_id]


def new_field(world: World, entity_type_id: int, tail: str, user_type: str, label: str, **more: Any) -> str:
    """Adds a custom field, empty in existing items. Returns its name in crm.item.*."""
    made = add_user_field(world, entity_type_id, tail, user_type, label, **more)
    return made.name


def drop_field(world: World, entity_type_id: int, name: str) -> None:
    world.objects[entity_type_id].schema.remove(name)


def rename_option(world: World, option_id: int, value: str) -> None:
    """Changes the label of a list option; items keep the option's id."""
    for store in world.objects.values():
        for field in store.schema.fields.values():
            config = field.user_field
            if config is None or all(option.id != option_id for option in config.options):
                continue
            options = tuple(
                replace(option, value=value) if option.id == option_id else option for option in config.options
            )
            field.user_field = replace(config, options=options)
            field.extra = {
                **field.extra,
                "items": [{"ID": str(option.id), "VALUE": option.value} for option in options],
            }


def put_activity(world: World, number: int, bindings: Iterable[tuple[int, int]] = (), **columns: Any) -> None:
    """Adds an activity, or changes an existing one; the portal's current time becomes its time of change."""
    key = str(number)
    row = next((row for row in world.activities if row["ID"] == key), None)
    if row is None:
        row = {"ID": key, "CREATED": world.now(), "OWNER_TYPE_ID": "2", "OWNER_ID": "1", "COMPLETED": "N"}
        world.activities.append(row)
        world.activities.sort(key=lambda row: int(row["ID"]))
    row |= {"LAST_UPDATED": world.now(), **columns}
    if bindings or key not in world.bindings:
        world.bindings[key] = list(bindings) or [(int(row["OWNER_TYPE_ID"]), int(row["OWNER_ID"]))]
    for entity_type_id, item in world.bindings[key]:
        note_activity(world, entity_type_id, item)


def drop_activity(world: World, number: int) -> None:
    world.activities = [row for row in world.activities if row["ID"] != str(number)]
    world.bindings.pop(str(number), None)


def rename_stage(world: World, status_id: str, name: str) -> None:
    for row in world.statuses:
        if row["STATUS_ID"] == status_id:
            row["NAME"] = name

"""Completes both ends of a link between types: the child has a field, the parent lists the child."""

from __future__ import annotations

from ..model.world import World
from .spa_fields import parent_field
from .spa_types import relation


def link_types(world: World) -> None:
    """Completes the links of all types: parents list their children, children get a field for each parent."""
    for number, row in world.types.items():
        for parent in [link["entityTypeId"] for link in row["relations"]["parent"] if link["isPredefined"] == "N"]:
            if parent in world.types:
                _list_child(world, parent, number)
        for child in [link["entityTypeId"] for link in row["relations"]["child"]]:
            if child in world.objects and f"parentId{number}" not in world.objects[child].schema.fields:
                world.objects[child].schema.add(parent_field(world, child, number))


def _list_child(world: World, parent: int, child: int) -> None:
    children = world.types[parent]["relations"]["child"]
    if all(link["entityTypeId"] != child for link in children):
        children.append(relation(child))

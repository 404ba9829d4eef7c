"""One smart process of 45 columns, two of them multiple, with dense or sparse ids, to measure speed with."""

from __future__ import annotations

from typing import Any

from ..model.world import World
from .deterministic import iso
from .spa_types import add_type, type_row
from .user_fields import add_user_field

COLUMNS = 45
# Features that add system fields are off, so that the number of columns is exact.
OFF = (
    "isClientEnabled",
    "isObserversEnabled",
    "isSourceEnabled",
    "isMycompanyEnabled",
    "isBeginCloseDatesEnabled",
    "isStagesEnabled",
)
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("string", {"multiple": True, "pool": [[], ["a"], ["a", "b"], ["склад", "b", "c"]]}),
    ("integer", {"multiple": True, "pool": [[], [1], [2, 3], [4, 5, 6]]}),
    ("enumeration", {"options": [f"Option {place}" for place in range(12)]}),
    ("boolean", {}), ("money", {}), ("double", {}), ("string", {}), ("integer", {}), ("date", {}), ("datetime", {}),
)  # fmt: skip


def build_bench(world: World, items: int, id_step: int) -> None:
    row = type_row(13, 177, "Benchmark", iso(world.story.start, world.zone), off=OFF)
    store = add_type(world, row, items, step=id_step)
    place = 0
    for name in store.schema.fields.keys() - store.schema.listed().keys():
        store.schema.remove(name)
    while len(store.schema.fields) < COLUMNS:
        # After the first round only the cheap single kinds repeat.
        kind, more = KINDS[place] if place < len(KINDS) else KINDS[3 + place % 5]
        add_user_field(world, 177, str(1_739_432_000 + place), kind, f"Custom field {place}", **more)
        place += 1
    store.schema.hidden.clear()

"""Builds the world of a scenario by its name."""

from __future__ import annotations

from datetime import tzinfo

from ..model.clock import Clock
from ..model.world import World
from .bench import build_bench
from .built_in_objects import COUNTS, NONE, add_built_in
from .demo import DEMO_COUNTS, HABITS, build_demo
from .deterministic import SERVER_ZONE
from .hostile import build_hostile
from .people import add_people

DEMO_ITEMS = 10_000
HOSTILE_ITEMS = 600
BENCH_ITEMS = 100_000


def build_world(
    scenario: str, seed: int, items: int | None, clock: Clock, id_step: int = 1, zone: tzinfo = SERVER_ZONE
) -> World:
    world = World(seed, clock, zone, habits=HABITS if scenario == "demo" else None)
    add_people(world)
    if scenario == "bench":
        add_built_in(world, NONE)
        build_bench(world, BENCH_ITEMS if items is None else items, id_step)
    elif scenario in ("demo", "hostile", "empty"):
        add_built_in(world, DEMO_COUNTS if scenario == "demo" and items is None else COUNTS)
        if scenario == "demo":
            build_demo(world, DEMO_ITEMS if items is None else items, id_step)
        if scenario == "hostile":
            build_hostile(world, HOSTILE_ITEMS if items is None else items)
    else:
        raise ValueError(f"No such scenario: {scenario!r}. There are demo, hostile, empty and bench.")
    return world

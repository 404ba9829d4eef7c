"""placeholder"""

from .world import World


def build_hostile(world: World, items: int) -> None:
    pass

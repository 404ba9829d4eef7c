"""When is a load killed? By what its working folder and the portal show of it: dlt moves files from step to step."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from scene import Scene

Seen = Callable[[Path, Scene, int], bool]
"""whether the moment has come, by working folder, portal and the number of requests before this load"""


def _some(pattern: str) -> Seen:
    return lambda folder, _scene, _before: next(folder.glob(pattern), None) is not None


MOMENTS: dict[str, Seen] = {
    "in a request": lambda _folder, scene, before: len(scene.portal.requests) > before,
    "in extract": _some("normalize/*/*/new_jobs/*"),
    "in normalize": _some("normalize/extracted/*"),
    "before load": _some("load/normalized/*/new_jobs/*"),
    "in load": _some("load/normalized/*/started_jobs/*"),
    "after a commit": _some("load/normalized/*/completed_jobs/*"),
}
AT_ANY_TIME = "at any time"


def wait_for(moment: str, folder: Path, scene: Scene, is_over: Callable[[], bool], rng: random.Random) -> bool:
    """Returns at the moment, or a little later; False when the load ended before it came."""
    if moment == AT_ANY_TIME:
        time.sleep(rng.uniform(0, 3))
        return not is_over()
    seen, before = MOMENTS[moment], len(scene.portal.requests)
    inside, entries = seen(folder, scene, before), rng.choice([1, 1, 2])  # a load of slices comes by more than once
    while not is_over():
        now = seen(folder, scene, before)
        entries -= now and not inside
        inside = now
        if not entries:
            time.sleep(rng.choice([0.0, rng.uniform(0, 0.3)]))
            return not is_over()
        time.sleep(0.002)
    return False

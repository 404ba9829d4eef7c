"""How often does Python look for garbage while rows stream through? Seldom: rows make millions of objects and no cycles.

Python counts new objects and looks through all young ones every few hundred, and now and then through every object of the
process. Between pages of JSON that takes longer than decoding and converting them. It refuses to know what streams through.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = (200_000, 20, 100)
"""more than the rows that are under way at once"""

_lock = threading.Lock()
_streams = 0
_Threshold = tuple[int, int, int]
_before: _Threshold | None = None
_ours: _Threshold | None = None


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """While any such block runs. Who collects as seldom already, or never, or changes it meanwhile, has it their way."""
    _begin()
    try:
        yield
    finally:
        _end()


def _begin() -> None:
    global _streams, _before, _ours  # noqa: PLW0603 - the collector is one for the whole process
    with _lock:
        _streams += 1
        found = gc.get_threshold()
        if _streams == 1 and 0 < found[0] < SELDOM[0]:
            gc.set_threshold(*SELDOM)
            _before, _ours = found, gc.get_threshold()


def _end() -> None:
    global _streams, _before  # noqa: PLW0603 - as above
    with _lock:
        _streams -= 1
        if _streams == 0 and _before is not None:
            if gc.get_threshold() == _ours:
                gc.set_threshold(*_before)
            _before = None

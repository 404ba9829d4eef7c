"""Process-wide settings that make reading cheaper: garbage collection and the return of freed memory.

Only for a process that does nothing else: the command turns them on, the library does not.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pyarrow as pa

RELAXED_THRESHOLD = (200_000, 20, 100)
"""more than the rows that are under way at once"""
_lock = threading.Lock()
_streams = 0
_Threshold = tuple[int, int, int]
_before: _Threshold | None = None
_ours: _Threshold | None = None


@contextmanager
def relaxed_gc() -> Iterator[None]:
    """Collects garbage less often while any such block runs.

    Leaves the thresholds alone if they are already higher, if collection is off, or if they were changed in between.
    """
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
        if _streams == 1 and 0 < found[0] < RELAXED_THRESHOLD[0]:
            gc.set_threshold(*RELAXED_THRESHOLD)
            _before, _ours = found, gc.get_threshold()


def _end() -> None:
    global _streams, _before  # noqa: PLW0603 - as above
    with _lock:
        _streams -= 1
        if _streams == 0 and _before is not None:
            if gc.get_threshold() == _ours:
                gc.set_threshold(*_before)
            _before = None


KEPT_BYTES = 4 << 20
"""that a thread may keep for what it needs next"""
OWN_MAPPING_BYTES = 16 << 20
"""from which on a piece is mapped by itself, and goes back as soon as it is free"""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


@cache
def limit_malloc_retention() -> None:
    """Returns freed memory to the operating system early, so that the load step can use it.

    glibc keeps memory for the thread that used it, and adapts how much to the largest piece it ever saw: 50 MB of decoded
    rows for each thread that decodes. Does nothing on other systems, or if a `MALLOC_*` variable is set.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, OWN_MAPPING_BYTES)


def release_arrow_memory() -> None:
    """Returns what Arrow keeps of tables that are no longer in use."""
    pa.default_memory_pool().release_unused()

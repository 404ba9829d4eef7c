"""Memory of a process that does nothing else: what was freed goes back to the system, and garbage is looked for seldom.

The command calls `limit_malloc_retention` and `collect_garbage_seldom`, the library does not: they are settings of a process.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from functools import cache

import pyarrow as pa

KEPT_BYTES = 4 << 20
"""that a thread may keep for what it needs next"""
OWN_MAPPING_BYTES = 16 << 20
"""from which on a piece is mapped by itself, and goes back as soon as it is free"""
SELDOM = (200_000, 20, 100)
"""thresholds of `gc`: more new objects than the rows that are under way at once"""
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


def collect_garbage_seldom() -> None:
    """Rows make millions of objects and no cycles: looking through them every few hundred takes longer than decoding them.

    Does nothing where somebody has chosen to collect as seldom, or never.
    """
    if 0 < gc.get_threshold()[0] < SELDOM[0]:
        gc.set_threshold(*SELDOM)


def release_arrow_memory() -> None:
    """Returns what Arrow keeps of tables that are no longer in use."""
    pa.default_memory_pool().release_unused()

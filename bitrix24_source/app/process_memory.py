"""Memory settings of the whole process, for the command line alone: returns freed memory early, and collects garbage rarely."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from functools import cache

KEPT_BYTES = 4 << 20
"""free memory that a thread may keep for later use"""
OWN_MAPPING_BYTES = 16 << 20
"""size from which an allocation is mapped separately, and returned as soon as it is freed"""
SELDOM = (200_000, 20, 100)
"""thresholds of `gc`: more new objects than the rows in memory have"""
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
    """Has Python collect garbage rarely: rows are millions of objects without cycles, and frequent collections are slow.

    Does nothing if collections are already as rare, or disabled.
    """
    if 0 < gc.get_threshold()[0] < SELDOM[0]:
        gc.set_threshold(*SELDOM)

"""How soon does memory that rows took go back to the system? At once: what comes next, the destination, needs it more.

It refuses to know whose memory it is.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

import pyarrow as pa

KEPT_BYTES = 4 << 20
"""that a thread may keep for what it needs next"""

OWN_MAPPING_BYTES = 16 << 20
"""from which on a piece is mapped by itself, and goes back as soon as it is free"""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


@cache
def free_soon() -> None:
    """Frees what threads leave behind, in this process from now on.

    glibc keeps memory for the thread that used it, and adapts how much to the largest piece it ever saw: 50 MB of decoded
    rows for each thread that decodes, though every slice of a load has new threads. Other systems and who chose otherwise
    have it their way.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, OWN_MAPPING_BYTES)


def free_now() -> None:
    """Frees what Arrow keeps of tables that are no more."""
    pa.default_memory_pool().release_unused()

"""Memory that threads have freed goes back to the system, and is not kept for threads to come."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys

import pytest

from bitrix24_source.app.process_memory import SELDOM, collect_garbage_seldom

only_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others do not keep it")

FOUR_THREADS = """
import threading
from bitrix24_source.app.process_memory import limit_malloc_retention

def resident_megabytes():
    with open("/proc/self/statm") as figures:
        return int(figures.read().split()[1]) * 4096 / 2**20

def decode():
    rows = [bytearray(2000) for _ in range(20_000)]
    all_have_theirs.wait()
    rows.clear()
    bytearray(100_000)

bytearray(30 << 20)  # the largest piece that was ever freed: glibc keeps twice as much for each thread
limit_malloc_retention()
before = resident_megabytes()
all_have_theirs = threading.Barrier(4)
threads = [threading.Thread(target=decode) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(resident_megabytes() - before)
"""


def megabytes_left(**settings):
    """What a process still has of the 160 MB of four threads that have ended."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", FOUR_THREADS], env=inherited | settings, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@only_glibc
def test_what_threads_freed_goes_back():
    """Nearly all of it."""
    assert megabytes_left() < 40


@only_glibc
def test_who_chose_otherwise_has_it_their_way():
    """An environment that says how memory is to be kept is left alone."""
    assert megabytes_left(MALLOC_TRIM_THRESHOLD_=str(1 << 30), MALLOC_MMAP_THRESHOLD_=str(32 << 20)) > 80


@pytest.mark.parametrize(("chosen", "then"), [(700, SELDOM[0]), (0, 0), (500_000, 500_000)])
def test_garbage_is_looked_for_seldom(chosen, then):
    """Seldom, unless somebody has switched it off or looks more seldom still."""
    gc.set_threshold(chosen, 10, 10)
    collect_garbage_seldom()

    assert then == gc.get_threshold()[0]

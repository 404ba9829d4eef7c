"""What do a first load, a merge and a sweep take in DuckDB and in PostgreSQL? Each database in a process of its own.

The portal lives in the same process and its answers cost the same in both, so that only differences mean something; `into the
database` is dlt's own measure of its last step. PostgreSQL is the server on this machine, in datasets that are dropped again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from process import HERE
from report import Target, say

STEPS = ("first load", "second run, a tenth changed", "sweep, nothing gone", "sweep, 1,000 gone")


def section(options: argparse.Namespace, folder: Path) -> Iterator[Target]:
    """The section of `make bench`; without PostgreSQL it says so."""
    say(f"## {options.rows:,} rows in DuckDB and in PostgreSQL, seconds\n")
    measured = {name: _in_a_process(name, options.rows, folder) for name in ("duckdb", "postgres")}
    say("| | DuckDB | into the database | PostgreSQL | into the database |\n|---|---:|---:|---:|---:|")
    for number, step in enumerate(STEPS):
        cells = [f"{seconds:.1f}" for steps in measured.values() for seconds in (steps[number] if steps else ())]
        say(f"| {step} | {' | '.join(cells)} |")
    say("" if measured["postgres"] else "\nNo PostgreSQL answers on 127.0.0.1:5432.\n")
    yield from ()


def _in_a_process(name: str, rows: int, folder: Path) -> list[list[float]]:
    home = folder / name
    home.mkdir()
    command = [sys.executable, HERE / "into_database.py", name, str(rows), str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        say(f"{name}: {(done.stderr.splitlines() or ['without a word'])[-1][:300]}\n")
        return []
    found: list[list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found

"""One contender in a fresh process: loads all items of one portal into a new DuckDB file, and says what it took.

The clock runs from the first call to the last row in the database; starting Python and importing the contender's libraries,
which every one of them does alike, are not counted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """What every contender is told."""

    webhook_url: str
    database: Path
    limited: bool
    """whether the portal limits requests; where it does not, clients that pace themselves are told so"""


MODULES = {
    "ours": "with_ours",
    "fast_bitrix24 + dlt": "with_fast_bitrix24",
    "b24pysdk + dlt": "with_b24pysdk",
    "dlt rest_api": "with_rest_api",
    "floor": "with_nothing",
}
"""each has `load(job)`, and `TABLE`: where in the database the items are afterwards"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=MODULES)
    parser.add_argument("--webhook-url", required=True)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--limited", action="store_true")
    options = parser.parse_args()
    contender = importlib.import_module(MODULES[options.name])
    started, started_cpu = time.perf_counter(), time.process_time()
    contender.load(Job(options.webhook_url, options.database, options.limited))
    measured = {
        "wall": time.perf_counter() - started,
        "cpu": time.process_time() - started_cpu,
        "peak_mb": _peak_mb(),
    }
    print(json.dumps(measured | _loaded(options.database, contender.TABLE)))


def _peak_mb() -> float:
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def _loaded(database: Path, table: str) -> dict[str, int]:
    import duckdb  # noqa: PLC0415 - after the measurement, so that nobody gains by it

    with duckdb.connect(str(database)) as connection:
        found = connection.execute(f"SELECT count(*), count(DISTINCT id) FROM {table}").fetchone()  # noqa: S608 - ours
    assert found is not None  # noqa: S101 - a count has a row
    return {"rows": found[0], "ids": found[1]}


if __name__ == "__main__":
    main()

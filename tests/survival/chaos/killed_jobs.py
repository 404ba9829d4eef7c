"""A first load of a large list by a job that is killed again and again: how many rows the portal serves until all are loaded.

The portal is in this process; each load is a process of its own, `bitrix24 load` into a DuckDB file, that gets SIGKILL after
some seconds. After the last kill a load is left alone. Rows that were served and not committed are served again: the figure is
rows served in all, by rows of the list.

    python tests/survival/chaos/killed_jobs.py                          120,000 items, twelve kills after nine seconds each
    python tests/survival/chaos/killed_jobs.py --seconds 5 --kills 20   another job
    python tests/survival/chaos/killed_jobs.py --random                 each kill at a moment of its own within the nine seconds
"""

# ruff: noqa: S608 - a table of the test's own

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import orjson

from bitrix24_source.sandbox import Portal, SandboxServer, query_to_params

ENTITY_TYPE = 177
MOST_SERVED = 2.0
"""times the rows of the list; more is a failure"""
LONGEST_LOAD = 900.0


class CountingPortal(Portal):
    """A portal that counts the rows of items that it has served, ids alone left out."""

    def __init__(self, items: int, page_ms: float) -> None:
        super().__init__("bench", items=items, latency=page_ms / 1000)
        self.rows_served = 0
        self._counting = threading.Lock()

    def handle(
        self, http_method: str, path: str, query: str = "", headers: Any = None, body: bytes = b"", **more: Any
    ) -> Any:
        reply = super().handle(http_method, path, query, headers, body, **more)
        served = _rows(body, reply.body)
        with self._counting:
            self.rows_served += served
        return reply


def _rows(asked: bytes, answered: bytes) -> int:
    try:
        commands = orjson.loads(asked)["cmd"]
        answers = orjson.loads(answered)["result"]["result"]
    except (ValueError, TypeError, KeyError):
        return 0
    whole = [key for key, command in commands.items() if command.startswith("crm.item.list") and _is_whole(command)]
    pages = (answers.get(key) for key in whole) if isinstance(answers, dict) else ()
    return sum(len(page.get("items", ())) for page in pages if isinstance(page, dict))


def _is_whole(command: str) -> bool:
    return "select" not in query_to_params(command.partition("?")[2])


@dataclass
class Job:
    """A job that is started again and again in one folder.

    Attributes:
        portal: that it loads.
        folder: where it is started, with its database and dlt's folder.
        committed: rows in the table after each load.
    """

    portal: CountingPortal
    folder: Path
    committed: list[int] = field(default_factory=list)

    def run(self, url: str, seconds: float | None) -> int:
        """One load, killed after so many seconds if it is still there; its exit code.

        Raises:
            subprocess.TimeoutExpired: a load that was to be left alone did not end.
        """
        settings = {
            "SOURCES__BITRIX24__CREDENTIALS__AUTH": "webhook",
            "SOURCES__BITRIX24__CREDENTIALS__WEBHOOK_URL": url,
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "DLT_DATA_DIR": str(self.folder / "dlt"),
            "PYTHONWARNINGS": "ignore",
        }
        with (self.folder / "stderr.txt").open("ab") as log:
            load = subprocess.Popen(
                [sys.executable, "-m", "bitrix24_source.app.cli", "load", "--progress", "none"],
                cwd=self.folder, env={**os.environ, **settings}, stdout=log, stderr=log,
            )  # fmt: skip
            try:
                code = load.wait(LONGEST_LOAD if seconds is None else seconds)
            except subprocess.TimeoutExpired:
                if seconds is None:
                    raise
                code = 0
            finally:
                load.kill()
                load.wait()
        self.committed.append(self.rows())
        return code

    def rows(self) -> int:
        """Of the item table; each id must be there once."""
        file = self.folder / "bitrix24_data.duckdb"
        if not file.exists():
            return 0
        with duckdb.connect(str(file)) as database:
            try:
                found = database.sql(
                    f"select count(*), count(distinct id) from bitrix24.spa_items_{ENTITY_TYPE}"
                ).fetchone()
            except duckdb.CatalogException:
                return 0
        rows, ids = found or (0, 0)
        if rows != ids:
            sys.exit(f"WRONG: {rows - ids} rows are there twice")
        return int(rows)


def main() -> None:
    chosen = _options()
    rng = random.Random(chosen.seed)
    portal = CountingPortal(chosen.items, chosen.page_ms)
    with tempfile.TemporaryDirectory(prefix="bitrix24-killed-") as folder, SandboxServer(portal) as server:
        job = Job(portal, Path(folder))
        began = time.monotonic()
        kills = 0
        while kills < chosen.kills and job.rows() < chosen.items:
            seconds = rng.uniform(1, chosen.seconds) if chosen.random else chosen.seconds
            before = portal.rows_served
            job.run(server.webhook_url, seconds)
            kills += 1
            print(
                f"kill {kills:>2} after {seconds:>4.1f} s: {portal.rows_served - before:>7,} rows served, {job.committed[-1]:>7,} in the table"
            )
        code = job.run(server.webhook_url, None)
        said = (job.folder / "stderr.txt").read_text(encoding="utf-8", errors="replace")[-2000:]
    share = portal.rows_served / chosen.items
    print(
        f"{kills} kills, {time.monotonic() - began:.0f} s: {portal.rows_served:,} rows served for {chosen.items:,} items, "
        f"{share:.2f} times"
    )
    if code or job.committed[-1] != chosen.items:
        sys.exit(f"WRONG: the last load ended with {code} and {job.committed[-1]:,} rows\n{said}")
    if share > MOST_SERVED:
        sys.exit(f"WRONG: more than {MOST_SERVED} times")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=120_000)
    parser.add_argument("--kills", type=int, default=12, help="at most; none is due once all rows are there")
    parser.add_argument("--seconds", type=float, default=9.0, help="from the start of a load to its end")
    parser.add_argument("--random", action="store_true", help="each kill after a time of its own up to --seconds")
    parser.add_argument("--page-ms", type=float, default=15.0, help="time that the portal takes for a page")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()

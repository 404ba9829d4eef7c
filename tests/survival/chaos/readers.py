"""Dashboards that read as fast as they can, beside loads and loads that are killed: what they see is whole at every moment.

Reader processes go round the dictionaries, the labelled views and the marts. Meanwhile `bitrix24 load` runs again and again,
some of it killed (SIGKILL) at a random moment between its first word and its end, while stages are renamed and items change in
the portal. A reader sees a fault where a dictionary or mart is empty, a label is missing that was there, a query fails, or
waits longer than a minute. DuckDB lets no second process read a file that a load has open: there readers are threads beside
loads in this process, and each killed load is looked at as soon as it is dead.

    python tests/survival/chaos/readers.py postgres                     four readers, eight loads, thirty kills
    python tests/survival/chaos/readers.py duckdb --kills 50 --seed 7
"""

# ruff: noqa: S608 - tables of the test's own

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import psycopg2

from bitrix24_source import bitrix24
from bitrix24_source.app import run_load
from bitrix24_source.sandbox import Portal, SandboxServer
from bitrix24_source.source import configured_slices

POSTGRES = os.environ.get("BITRIX24_POSTGRES", "postgresql://postgres:trusted@127.0.0.1:5432/postgres")
DICTIONARIES = (
    "spa_types", "spa_fields", "spa_field_options", "spa_categories", "spa_stages", "spa_automations", "crm_fields",
    "crm_field_options", "categories", "stages", "users", "users__uf_department", "departments", "currencies", "statuses",
)  # fmt: skip
MARTS = ("mart_items", "mart_stage_moves", "mart_stage_daily", "mart_owner_month", "mart_activities")
LONGEST_QUERY = 60.0
LONGEST_LOAD = 300.0

Execute = Callable[[str], Sequence[Sequence[Any]]]


@dataclass(frozen=True)
class Check:
    """A question whose answer must never be smaller than it was after the first load."""

    name: str
    sql: str
    least: int


@dataclass
class Seen:
    """What readers saw."""

    queries: int = 0
    longest: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, more: Seen) -> None:
        self.queries += more.queries
        self.longest = max(self.longest, more.longest)
        self.faults += more.faults


class Database:
    """The dataset that is loaded into; a DuckDB file or two schemas in PostgreSQL."""

    def __init__(self, engine: str, folder: Path) -> None:
        self.engine = engine
        self.file = folder / "bitrix24_data.duckdb"
        self.dataset = f"readers_{uuid.uuid4().hex[:8]}"

    @property
    def options(self) -> list[str]:
        return ["--destination", self.engine, "--dataset", self.dataset]

    @property
    def settings(self) -> Mapping[str, str]:
        return {"DESTINATION__POSTGRES__CREDENTIALS": POSTGRES} if self.engine == "postgres" else {}

    @contextmanager
    def opened(self) -> Iterator[Execute]:
        """Runs queries; each sees what is committed."""
        connection: Any
        if self.engine == "postgres":
            connection = psycopg2.connect(POSTGRES, application_name="reader")
            connection.autocommit = True
        else:
            connection = duckdb.connect(str(self.file))

        def execute(sql: str) -> Sequence[Sequence[Any]]:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())

        try:
            yield execute
        finally:
            connection.close()

    def checks(self) -> list[Check]:
        """Questions about what the first load has brought."""
        with self.opened() as execute:
            columns = execute(
                f"select table_name, column_name from information_schema.columns where table_schema = '{self.dataset}'"
            )
            named: dict[str, set[str]] = {}
            for table, column in columns:
                named.setdefault(table, set()).add(column)
            sql = {
                f"rows of {name}": self._select("count(*)", name) for name in (*DICTIONARIES, *MARTS) if name in named
            }
            for view in sorted(name for name in named if name.endswith("_labeled")):
                labels = [column for column in named[view] if f"{column} ID" in named[view]]
                sql |= {f"{label} in {view}": self._select(f'count("{label}")', view) for label in labels}
            found = [Check(name, query, int(execute(query)[0][0])) for name, query in sql.items()]
        return [check for check in found if check.least]

    def _select(self, expression: str, table: str) -> str:
        return f'select {expression} from {self.dataset}."{table}"'

    def drop(self) -> None:
        if self.engine == "postgres":
            with psycopg2.connect(POSTGRES) as connection, connection.cursor() as cursor:
                for schema in (self.dataset, f"{self.dataset}_staging"):
                    cursor.execute(f"drop schema if exists {schema} cascade")


def look(execute: Execute, checks: Sequence[Check], seen: Seen, is_over: Callable[[], bool] = lambda: False) -> None:
    """Goes once round all questions."""
    for check in checks:
        if is_over():
            return
        began = time.monotonic()
        try:
            answer = int(execute(check.sql)[0][0])
            if answer < check.least:
                seen.faults[f"{check.name}: {answer} instead of {check.least}"] += 1
        except (psycopg2.Error, duckdb.Error) as error:
            seen.faults[f"{check.name}: {type(error).__name__} {str(error).splitlines()[0]}"] += 1
        took = time.monotonic() - began
        seen.queries += 1
        seen.longest = max(seen.longest, took)
        if took > LONGEST_QUERY:
            seen.faults[f"{check.name}: waited {took:.0f} s"] += 1


def read_on(database: Database, checks: Sequence[Check], is_over: Any, results: Any) -> None:
    """A reader, until it is over."""
    seen = Seen()
    with database.opened() as execute:
        while not is_over.is_set():
            look(execute, random.sample(checks, len(checks)), seen, is_over.is_set)
    results.put(seen)


@contextmanager
def readers(database: Database, checks: Sequence[Check], number: int, total: Seen) -> Iterator[None]:
    """So many readers beside what is done meanwhile: processes, or threads where a file is one process's."""
    context: Any = multiprocessing.get_context("spawn")
    is_over = context.Event()
    results = context.Queue()
    start: Any = context.Process if database.engine == "postgres" else threading.Thread
    started = [start(target=read_on, args=(database, checks, is_over, results)) for _ in range(number)]
    for reader in started:
        reader.start()
    try:
        yield
    finally:
        is_over.set()
        for _ in started:
            total.add(results.get(timeout=2 * LONGEST_QUERY))
        for reader in started:
            reader.join()


class Office:
    """The portal, where stages are renamed and items change."""

    def __init__(self, seed: int) -> None:
        self.portal = Portal("demo", seed=seed, items=600)
        self.portal.limits.capacity = self.portal.limits.operating_seconds = None
        self.rng = random.Random(seed)
        self._renamed = 0

    def work(self) -> None:
        """What somebody does between two loads."""
        types = [int(row["entityTypeId"]) for row in self.portal.types()]
        for entity_type_id in (2, *self.rng.sample(types, min(3, len(types)))):
            items = self.portal.items(entity_type_id)
            for id_ in self.rng.sample(items.ids(), min(20, len(items.ids()))):
                items.update(id_, title=f"changed {self.rng.randint(0, 999)}")
        self._renamed += 1
        for stage in ("NEW", "PREPARATION"):
            with suppress(KeyError, StopIteration, IndexError):
                self.portal.rename_stage(stage, f"{stage} {self._renamed}")


@dataclass
class Job:
    """`bitrix24 load` in processes of their own, in one folder."""

    database: Database
    folder: Path
    url: str
    codes: Counter[int] = field(default_factory=Counter)

    def finish(self) -> float:
        """A load that is left alone; seconds from its first word to its end."""
        load = self._start()
        began = time.monotonic()
        code = load.wait(LONGEST_LOAD)
        self.codes[code] += 1
        if code:
            sys.exit(f"WRONG: a load ended with {code}\n{(self.folder / 'stderr.txt').read_text()[-3000:]}")
        return time.monotonic() - began

    def kill(self, seconds: float) -> bool:
        """A load that is killed so long after its first word; whether it was still there."""
        load = self._start()
        try:
            load.wait(seconds)
        except subprocess.TimeoutExpired:
            load.kill()
            load.wait()
            return True
        self.codes[load.returncode] += 1
        return False

    def _start(self) -> subprocess.Popen[bytes]:
        """Returns when the load has said where it loads to."""
        settings = {
            "SOURCES__BITRIX24__CREDENTIALS__AUTH": "webhook",
            "SOURCES__BITRIX24__CREDENTIALS__WEBHOOK_URL": self.url,
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "DLT_DATA_DIR": str(self.folder / "dlt"),
            "PYTHONWARNINGS": "ignore",
            "PYTHONUNBUFFERED": "1",
            **self.database.settings,
        }
        with (self.folder / "stderr.txt").open("ab") as log:
            load = subprocess.Popen(
                [sys.executable, "-m", "bitrix24_source", "load", "--progress", "none", *self.database.options],
                cwd=self.folder, env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert load.stdout is not None
        load.stdout.readline()
        threading.Thread(target=load.stdout.read, daemon=True).start()
        return load

    def load_here(self) -> None:
        """A load in this process, as a thread beside readers of the same file."""
        import dlt

        slices = configured_slices()
        summary = run_load(
            bitrix24(credentials={"auth": "webhook", "webhook_url": self.url}, slices=slices),
            destination=dlt.destinations.duckdb(str(self.database.file)), dataset=self.database.dataset,
            pipelines_dir=str(self.folder / "dlt" / "pipelines"), slices=slices,
        )  # fmt: skip
        self.codes[3 if summary.issues else 0] += 1


def main() -> None:
    chosen = _options()
    office = Office(chosen.seed)
    with tempfile.TemporaryDirectory(prefix="bitrix24-readers-") as name, SandboxServer(office.portal) as server:
        folder = Path(name)
        database = Database(chosen.engine, folder)
        job = Job(database, folder, server.webhook_url)
        try:
            seen, kills, longest = _run(chosen, office, job)
        finally:
            database.drop()
    print(
        f"{chosen.engine}: {chosen.loads} loads and {kills} kills (each within {longest:.1f} s of a load) beside {chosen.readers} readers: "
        f"{seen.queries:,} queries, the longest {seen.longest:.1f} s, {seen.faults.total()} faults; exit codes {dict(job.codes)}"
    )
    if seen.faults:
        sys.exit("WRONG:\n" + "\n".join(f"{times} x {fault}" for fault, times in seen.faults.most_common(40)))


def _run(chosen: argparse.Namespace, office: Office, job: Job) -> tuple[Seen, int, float]:
    seen, kills = Seen(), 0
    job.finish()
    longest = job.finish()
    checks = job.database.checks()
    print(f"{len(checks)} questions; a load takes {longest:.1f} s", flush=True)
    if job.database.engine == "duckdb":
        with readers(job.database, checks, chosen.readers, seen):
            for _ in range(chosen.loads):
                office.work()
                job.load_here()
        while kills < chosen.kills:
            office.work()
            kills += job.kill(office.rng.uniform(0, longest))
            with job.database.opened() as execute:
                look(execute, checks, seen)
    else:
        with readers(job.database, checks, chosen.readers, seen):
            loads = 0
            while kills < chosen.kills or loads < chosen.loads:
                office.work()
                if kills < chosen.kills and office.rng.random() < chosen.kills / (chosen.kills + chosen.loads):
                    kills += job.kill(office.rng.uniform(0, longest))
                else:
                    job.finish()
                    loads += 1
            chosen.loads = loads
    job.finish()
    with job.database.opened() as execute:
        look(execute, checks, seen)
    return seen, kills, longest


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["postgres", "duckdb"])
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--loads", type=int, default=8)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()

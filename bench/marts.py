"""How long do marts, the report, the queries to copy and the charts of the Superset dashboard take on many items?

A demo portal is loaded as always; its items, moves, product rows and activities are then repeated under new ids until there are
as many as asked for, so that stages, people and days are distributed as in the demo:

    python bench/marts.py [--items 200000] [--keep FOLDER] [duckdb] [postgres]
"""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dlt
import requests

from bitrix24_source import bitrix24, create_views
from bitrix24_source.app.run import run_load
from bitrix24_source.report import questions, sql_of
from bitrix24_source.report.page import render_page
from bitrix24_source.report.queries import MartReader, collect
from bitrix24_source.rest.client import Client
from bitrix24_source.sandbox import Portal, SandboxAdapter
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials
from bitrix24_source.views.marts import MARTS

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import superset_bundle

POSTGRES = os.environ.get("BITRIX24_POSTGRES", "postgresql://postgres:trusted@127.0.0.1:5432/postgres")
DATASET = "bitrix24_bench_marts"
NAME = "bench_marts"
STEP = 1_000_000
"""what is added to an id to make the next one"""
OBJECTS = ("leads", "deals", "quotes", "invoices")
REPEATED = {
    "stage_history": ("id", "owner_id"),
    "product_rows": ("id", "owner_id"),
    "activities": ("id", "owner_id"),
    "contacts": ("id",),
    "companies": ("id",),
}
"""tables that grow with the items, and their columns with ids"""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-marts-") as temporary:
        folder = Path(options.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for engine in options.engines:
            _measure(engine, folder / engine, options.items, is_kept=bool(options.keep))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", default=["duckdb", "postgres"], metavar="duckdb|postgres")
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--keep", metavar="FOLDER", help="leave the databases there, and use them the next time")
    return parser.parse_args()


def _measure(engine: str, folder: Path, items: int, *, is_kept: bool) -> None:
    is_new = not folder.exists()
    folder.mkdir(exist_ok=True)
    destination = (
        dlt.destinations.postgres(POSTGRES)
        if engine == "postgres"
        else dlt.destinations.duckdb(str(folder / "bench.duckdb"))
    )
    try:
        if is_new:
            _load(folder, destination)
        pipeline = dlt.attach(NAME, str(folder / "pipelines"), destination=destination)
        if is_new:
            _multiply(pipeline, items)
        print(f"\n## {engine}\n")
        for row in _timings(pipeline):
            print(row, flush=True)
    finally:
        if engine == "postgres" and not is_kept:
            pipeline = dlt.attach(NAME, str(folder / "pipelines"), destination=destination)
            with pipeline.sql_client() as client:
                for schema in (DATASET, f"{DATASET}_staging"):
                    client.execute_sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def _load(folder: Path, destination: Any) -> None:
    """One run of everything from a demo portal."""
    portal = Portal("demo", items=1000)
    session = requests.Session()
    session.mount("https://", SandboxAdapter(portal))
    credentials = portal.credentials(portal.base_url)["webhook"]
    client = Client(auth_from_credentials(Bitrix24Credentials(**credentials)), session=session)
    run_load(
        bitrix24(credentials=credentials, client=client), pipeline_name=NAME, destination=destination, dataset=DATASET,
        pipelines_dir=str(folder / "pipelines"),
    )  # fmt: skip


def _multiply(pipeline: dlt.Pipeline, items: int) -> None:
    """Repeats what the portal's items brought, under new ids."""
    with pipeline.sql_client() as client:
        columns = {name: list(table["columns"]) for name, table in pipeline.default_schema.tables.items()}
        existing = _existing(client)
        tables = {name for name in existing if name in OBJECTS or re.fullmatch(r"spa_items_\d+", name)}
        counts = [_one(client, f'SELECT COUNT(*) FROM "{name}"') for name in sorted(tables)]
        times = max(1, round(items / sum(counts)))
        keys: dict[str, Sequence[str]] = dict(REPEATED)
        keys.update(dict.fromkeys(tables, ("id",)))
        keys.update(
            {
                name: ("item_id",)
                for name in existing
                if name.partition("__")[0] in {*tables, "contacts"} and "__" in name
            }
        )
        print(f"{sum(counts):,} items {times} times")
        for name, ids in keys.items():
            if name not in existing:
                continue
            present = [column for column in columns[name] if column in existing[name]]
            listed = ", ".join(f'"{column}"' for column in present)
            shifted = ", ".join(
                f'"{column}" + k.n * {STEP}' if column in ids else f't."{column}"' for column in present
            )
            client.execute_sql(
                f'INSERT INTO "{name}" ({listed}) SELECT {shifted} FROM "{name}" AS t '
                f"CROSS JOIN (SELECT * FROM generate_series(1, {times - 1})) AS k(n)"
            )


def _existing(client: Any) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    rows = client.execute_sql(
        f"SELECT c.table_name, c.column_name FROM information_schema.columns AS c JOIN information_schema.tables AS t "
        "ON t.table_schema = c.table_schema AND t.table_name = c.table_name "
        f"WHERE c.table_schema = '{DATASET}' AND t.table_type = 'BASE TABLE'"
    )
    for table, column in rows:
        found.setdefault(table, set()).add(column)
    return found


def _one(client: Any, sql: str) -> Any:
    return client.execute_sql(sql)[0][0]


class TimedReader(MartReader):
    """Says how long each question of the report took."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.seconds: list[tuple[str, float]] = []

    def rows(self, sql: str) -> Any:
        with self._timed(sql):
            return super().rows(sql)

    def keep(self, name: str, sql: str) -> None:
        with self._timed(f"keep {name}"):
            super().keep(name, sql)

    @contextmanager
    def _timed(self, sql: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds.append((" ".join(sql.split())[:100], time.perf_counter() - start))


def _timings(pipeline: dlt.Pipeline) -> Iterator[str]:
    for words in ("create_views", "create_views again", "create_views, a hundred amounts changed"):
        if "changed" in words:
            with pipeline.sql_client() as client:
                client.execute_sql(
                    "UPDATE deals SET opportunity = opportunity + 1 WHERE id IN (SELECT MAX(id) FROM deals GROUP BY id % 100)"
                )
        start, cpu = time.perf_counter(), time.process_time()
        problems = create_views(pipeline)
        yield _line(words, time.perf_counter() - start, time.process_time() - cpu)
        yield from map(str, problems)
    with pipeline.sql_client() as client:
        yield f"{_one(client, 'SELECT COUNT(*) FROM mart_items'):,} items, {_one(client, 'SELECT COUNT(*) FROM stage_history'):,} moves"
        for mart in MARTS:
            start = time.perf_counter()
            client.execute_sql(f"CREATE TEMPORARY TABLE bench_mart AS SELECT * FROM {mart}")
            seconds = time.perf_counter() - start
            rows = _one(client, "SELECT COUNT(*) FROM bench_mart")
            client.execute_sql("DROP TABLE bench_mart")
            yield _line(f"{mart}, all {rows:,} rows", seconds)
    with pipeline.sql_client() as client:
        for name in questions():
            yield _answered(client, f"bitrix24 report --sql {name}", sql_of(name))
        for chart, sql in superset_bundle.chart_queries(pipeline.destination.destination_name):
            yield _answered(client, f"chart {chart}", sql.replace("{}", DATASET))
    with pipeline.sql_client() as client, pipeline.sql_client() as second:
        reader = TimedReader(client)
        beside = TimedReader(second) if pipeline.destination.destination_name == "postgres" else None
        start, cpu = time.perf_counter(), time.process_time()
        data = collect(reader, beside=beside)
        page = render_page(data)
        yield _line(f"the report, {len(page) / 1e6:.1f} MB", time.perf_counter() - start, time.process_time() - cpu)
        for sql, seconds in (*reader.seconds, *(beside.seconds if beside else ())):
            yield _line(f"  {sql}", seconds)


def _answered(client: Any, label: str, sql: str) -> str:
    start = time.perf_counter()
    with client.execute_query(sql) as cursor:
        rows = len(cursor.fetchall())
    return _line(f"{label}, {rows:,} rows", time.perf_counter() - start)


def _line(label: str, seconds: float, cpu: float | None = None) -> str:
    own = "" if cpu is None else f" ({cpu:.2f} s of this process)"
    return f"{seconds:8.2f} s  {label}{own}"


if __name__ == "__main__":
    sys.exit(main())

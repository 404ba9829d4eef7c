"""A first load, a merge and two sweeps into one database, in a fresh process: what each took, as JSON, and all rows once."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import dlt
import requests

from bitrix24_source import bitrix24
from bitrix24_source.rest.client import Client, ClientSettings
from bitrix24_source.sandbox import Limits, Portal, SandboxAdapter
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

POSTGRES = "postgresql://postgres:trusted@127.0.0.1:5432/postgres"
TABLE = "spa_items_177"


def main() -> None:
    name, rows, home = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    os.environ["NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION"] = "true"  # as .dlt/config.toml has it
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    portal = Portal("bench", items=rows)
    portal.limits = Limits(portal.clock)
    portal.limits.capacity = portal.limits.operating_seconds = None
    dataset = f"bitrix24_bench_{uuid.uuid4().hex[:8]}"
    duckdb, postgres = dlt.destinations.duckdb, dlt.destinations.postgres
    destination = postgres(POSTGRES) if name == "postgres" else duckdb(str(home / "bench.duckdb"))
    pipeline = dlt.pipeline("bench", pipelines_dir=str(home), destination=destination, dataset_name=dataset)
    try:
        print(json.dumps(_steps(portal, pipeline)))
    finally:
        if name == "postgres":
            with pipeline.sql_client() as client:
                for schema in (dataset, f"{dataset}_staging"):
                    client.execute_sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def _steps(portal: Portal, pipeline: dlt.Pipeline) -> list[tuple[float, float]]:
    """Seconds of each step, in all and into the database."""
    items = portal.items(177)
    ids = items.ids()
    gone = ids[: min(1000, len(ids) // 10)]
    seconds = [_run(portal, pipeline)]
    for id_ in ids[::10]:
        items.update(id_, title="changed")
    seconds += [_run(portal, pipeline), _run(portal, pipeline, sweep=True)]
    for id_ in gone:
        items.delete(id_)
    seconds.append(_run(portal, pipeline, sweep=True))
    with pipeline.sql_client() as client:
        table = client.make_qualified_table_name(TABLE)
        (held,) = client.execute_sql(f"SELECT count(*), count(DISTINCT id), count(deleted_at) FROM {table}") or [()]  # noqa: S608 - our own names
    if tuple(held) != (len(ids), len(ids), len(gone)):
        sys.exit(f"rows, ids, marked ones: {held}, and not {len(ids)}, {len(ids)}, {len(gone)}")
    return seconds


def _run(portal: Portal, pipeline: dlt.Pipeline, **arguments: Any) -> tuple[float, float]:
    credentials: Any = portal.credentials(portal.base_url)["webhook"]
    with requests.Session() as session:
        session.mount("https://", SandboxAdapter(portal))
        client = Client(
            auth_from_credentials(Bitrix24Credentials(**credentials)), ClientSettings(1000, 1000.0), session=session
        )
        source = bitrix24(credentials=credentials, client=client, overlap_minutes=0.0, **arguments)
        started = time.perf_counter()
        pipeline.run(source.with_resources("spa_items"))
        took = time.perf_counter() - started
    load = next(step for step in reversed(pipeline.last_trace.steps) if step.step == "load")
    return took, (load.finished_at - load.started_at).total_seconds()


if __name__ == "__main__":
    main()

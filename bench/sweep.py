"""Time and requests of a quiet run and of a sweep over many types: `python bench/sweep.py [types]`.

A portal in this process, so that what is measured is the program and the destination; DuckDB in a folder that is thrown away.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import dlt
import requests

from bitrix24_source import bitrix24
from bitrix24_source.rest import Client
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter
from bitrix24_source.source import Bitrix24Credentials
from bitrix24_source.source.credentials import auth_from_credentials

DAY = 24 * 3600
ITEMS = 20
RUNS = ("first load", "quiet run", "sweep", "quiet run", "sweep")


class CountingAdapter(SandboxAdapter):
    """Counts HTTP requests."""

    requests = 0

    def send(self, request: requests.PreparedRequest, *args: object, **kwargs: object) -> requests.Response:  # type: ignore[override]
        self.requests += 1
        return super().send(request, *args, **kwargs)  # type: ignore[arg-type]


def main(types: int) -> None:
    clock = Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))
    portal = Portal(scenario="empty", clock=clock)
    for position in range(types):
        portal.add_type(f"Process {position}", entity_type_id=1030 + 2 * position, items=ITEMS)
    with tempfile.TemporaryDirectory() as folder:
        destination = dlt.destinations.duckdb(str(Path(folder) / "sweep.duckdb"))
        pipeline = dlt.pipeline("sweep", destination=destination, dataset_name="bitrix24", pipelines_dir=folder)
        for name in RUNS:
            clock.advance(2 * DAY if name == "sweep" else 3600)
            adapter = CountingAdapter(portal)
            session = requests.Session()
            session.mount("https://", adapter)
            credentials = portal.credentials(portal.base_url)["webhook"]
            client = Client(auth_from_credentials(Bitrix24Credentials(**credentials)), clock=clock, session=session)
            started = time.perf_counter()
            pipeline.run(bitrix24(credentials=credentials, client=client).with_resources("spa_items", "stage_history"))
            print(f"{name:10}  {time.perf_counter() - started:6.1f} s  {adapter.requests:4} requests")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 150)

"""The connector as `bitrix24 load` runs it: all defaults, merged by id, child tables included, long readings in slices."""

from __future__ import annotations

from typing import Any

import dlt
import duckdb  # noqa: F401 - imported before the clock starts
from contender import Job

from bitrix24_source.app.process_memory import collect_garbage_seldom, limit_malloc_retention
from bitrix24_source.app.run import run_load
from bitrix24_source.source.source import bitrix24, configured_slices

TABLE = "crm.spa_items_177"


def load(job: Job) -> None:
    credentials: Any = {"auth": "webhook", "webhook_url": job.webhook_url}
    unlimited: Any = {} if job.limited else {"requests_per_second": 1000.0, "burst": 1000}
    limit_malloc_retention()  # as the command does
    collect_garbage_seldom()
    slices = configured_slices()
    run_load(
        bitrix24(credentials=credentials, slices=slices, **unlimited),
        pipeline_name="ours",
        destination=dlt.destinations.duckdb(str(job.database)),
        dataset="crm",
        resources=["spa_items"],
        slices=slices,
    )

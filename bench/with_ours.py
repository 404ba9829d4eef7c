"""The connector as its README shows it: all defaults, merged by id, child tables included."""

from __future__ import annotations

import dlt
import duckdb  # noqa: F401 - imported before the clock starts
from contender import Job

from bitrix24_source.source import bitrix24

TABLE = "crm.spa_items_177"


def load(job: Job) -> None:
    pipeline = dlt.pipeline("ours", destination=dlt.destinations.duckdb(str(job.database)), dataset_name="crm")
    source = bitrix24(credentials={"auth": "webhook", "webhook_url": job.webhook_url})
    pipeline.run(source.with_resources("spa_items"))

"""fast_bitrix24's `get_all`, which its README recommends for whole lists, in a dlt resource with parquet load files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dlt
import duckdb  # noqa: F401 - imported before the clock starts
import pyarrow.parquet  # noqa: F401 - likewise
from contender import Job
from fast_bitrix24 import Bitrix

TABLE = "crm.items"
CHUNK = 2500


def load(job: Job) -> None:
    unlimited: Any = {} if job.limited else {"requests_per_second": 1000.0}
    client = Bitrix(job.webhook_url, verbose=False, **unlimited)

    @dlt.resource(name="items", primary_key="id", write_disposition="replace")
    def items() -> Iterator[Any]:
        rows = client.get_all("crm.item.list", params={"entityTypeId": 177, "select": ["*"]})
        for start in range(0, len(rows), CHUNK):
            yield rows[start : start + CHUNK]

    pipeline = dlt.pipeline("fast_bitrix24", destination=dlt.destinations.duckdb(str(job.database)), dataset_name="crm")
    pipeline.run(items(), loader_file_format="parquet")

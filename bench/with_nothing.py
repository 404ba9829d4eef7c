"""The floor: what reading, decoding, typing and storing cost by themselves, without dlt and without anything else.

The same chained batches of fifty pages, one after the other over one connection; orjson; our conversion to Arrow; DuckDB fed
from memory. It retries nothing, respects no limit, merges nothing and could not be run twice.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import duckdb
import orjson
from contender import Job

from bitrix24_source.schema.converter import Converter
from bitrix24_source.schema.fields import fields_from_response

TABLE = "items"
PAGE = BATCH = 50
LIST = "crm.item.list?entityTypeId=177&start=-1&order[id]=ASC&filter[%3Eid]="


def load(job: Job) -> None:
    portal = _Portal(job.webhook_url)
    converter = Converter(
        fields_from_response(portal.call("crm.item.fields", {"entityTypeId": 177})["result"]), "items"
    )
    with duckdb.connect(str(job.database)) as database:
        database.execute("BEGIN")
        for name, schema in {"items": converter.items_schema, **converter.child_schemas}.items():
            empty = schema.empty_table()
            database.register("empty", empty)
            database.execute(f'CREATE TABLE "{name}" AS SELECT * FROM empty')  # noqa: S608 - our own names
        for rows in _batches(portal):
            converted = converter.convert(rows)
            for name, table in {"items": converted.items, **converted.children}.items():
                database.register("arrived", table)
                database.execute(f'INSERT INTO "{name}" SELECT * FROM arrived')  # noqa: S608 - our own names
        database.execute("COMMIT")


def _batches(portal: _Portal) -> Iterator[list[Any]]:
    left = -(-int(portal.call("crm.item.list", {"entityTypeId": 177, "select": ["id"]})["total"]) // PAGE)
    after = 0
    while left > 0:
        links = min(BATCH, left)
        bounds = [str(after), *(f"$result[c{n}][items][{PAGE - 1}][id]" for n in range(links - 1))]
        answer = portal.call("batch", {"halt": 0, "cmd": {f"c{n}": LIST + bound for n, bound in enumerate(bounds)}})
        rows = [row for page in answer["result"]["result"].values() for row in page["items"]]
        after, left = rows[-1]["id"], left - links
        yield rows


class _Portal:
    def __init__(self, webhook_url: str) -> None:
        address = urlsplit(webhook_url)
        trusted = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        self._connection = HTTPSConnection(address.netloc, context=trusted)
        self._path = address.path

    def call(self, method: str, params: dict[str, Any]) -> Any:
        self._connection.request(
            "POST", self._path + method, orjson.dumps(params), {"Content-Type": "application/json"}
        )
        return orjson.loads(self._connection.getresponse().read())

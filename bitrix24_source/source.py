"""The dlt source: one resource for each table. It knows nothing of HTTP.

Importing this file and calling `bitrix24()` make no call: schedulers do both whenever they parse their jobs. The portal is
asked when the first row is wanted, and the whole catalogue is read once a run, whichever resources need it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import dlt
from dlt.common.configuration import with_config
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.extract import DltResource
from dlt.extract.exceptions import CurrentSourceNotAvailable
from dlt.extract.source import DltSource

from .auth import Bitrix24Credentials, auth_from
from .catalog import Catalog
from .client import Client, Settings
from .discovery import TABLES, read_catalog
from .fields import Column
from .tables import CATALOG_TABLES, ISSUES, Table


class Bitrix24Source(DltSource):
    """A source in which `load_issues` is always selected: what could not be loaded is part of every answer."""

    def with_resources(self, *resource_names: str) -> DltSource:
        return super().with_resources(*dict.fromkeys((*resource_names, ISSUES.name)))


@dlt.source(name="bitrix24", section="bitrix24", max_table_nesting=0, _impl_cls=Bitrix24Source)
def bitrix24(
    credentials: Bitrix24Credentials = dlt.secrets.value,
    spa_types: list[int | str] | None = None,
    requests_per_second: float = 2.0,
    burst: int = 50,
    token_store: Any = None,
    client: Any = None,
) -> Iterator[DltResource]:
    """Bitrix24's smart processes as typed tables.

    Args:
        credentials: `Bitrix24Credentials`, a dict with its keys, or nothing to read `[sources.bitrix24.credentials]`.
        spa_types: some smart processes only, by entityTypeId, title or code. The catalogue stays whole.
        requests_per_second: what leaks out of the portal's request bucket; 5 on the Enterprise plan.
        burst: requests that the bucket takes at once; 250 on the Enterprise plan.
        token_store: a `TokenStore` of your own for oauth2, where files do not survive.
        client: a ready `Client` to use instead of one made from the credentials.

    Returns:
        A source with a resource for each table of the catalogue, and `load_issues`.

    Raises:
        ConfigError: credentials that cannot work, named in one sentence.
    """
    reader = CatalogReader(client or connect(credentials, requests_per_second, burst, token_store), spa_types)
    for table in CATALOG_TABLES:
        yield _resource(table, reader)
    yield _issues(reader)


@with_config(sections=("sources", "bitrix24"))
def connect(
    credentials: Bitrix24Credentials = dlt.secrets.value,
    requests_per_second: float = 2.0,
    burst: int = 50,
    token_store: Any = None,
) -> Client:
    """A client for the configured portal, without a pipeline. Arguments as in `bitrix24`; makes no call."""
    settings = Settings(burst, requests_per_second, tuple(credentials.allowed_hosts or ()))
    return Client(auth_from(credentials, token_store), settings)


class CatalogReader:
    """Reads the catalogue once for every load package, and only what the selected resources need."""

    def __init__(self, client: Client, spa_types: Sequence[int | str] | None = None) -> None:
        self._client = client
        self._spa_types = spa_types
        self._lock = threading.Lock()
        self._read: tuple[str, Catalog] | None = None

    def catalog(self, name: str) -> Catalog:
        """The catalogue for the resource `name`, as of this load."""
        load_id = current_load_id()
        with self._lock:
            if self._read is None or not load_id or self._read[0] != load_id:
                self._client.on_request = _count_request if load_id else None
                catalog = read_catalog(self._client, _selected_tables() or {name})
                catalog.select(self._spa_types or ())
                self._read = (load_id, catalog)
            return self._read[1]


def current_load_id() -> str:
    """The load package that is being extracted; empty outside a pipeline."""
    try:
        return str(dlt.current.load_package_state()["load_id"])
    except CurrentLoadPackageStateNotAvailable:
        return ""


def _count_request() -> None:
    """Shows requests beside dlt's own counters, in whatever progress the user chose."""
    dlt.current.pipeline().collector.update("Bitrix24 requests")


def _selected_tables() -> frozenset[str]:
    try:
        return TABLES.intersection(dlt.current.source().selected_resources)
    except CurrentSourceNotAvailable:
        return frozenset()


def _resource(table: Table, reader: CatalogReader) -> DltResource:
    def rows() -> Iterator[Any]:
        catalog = reader.catalog(table.name)
        yield dlt.mark.materialize_table_schema()  # a table without rows is a table
        yield list(table.rows(catalog))

    return dlt.resource(
        rows,
        name=table.name,
        write_disposition="replace",
        primary_key=list(table.key),
        columns=_hints(table.columns),
    )


def _issues(reader: CatalogReader) -> DltResource:
    def rows() -> Iterator[Any]:
        catalog = reader.catalog(ISSUES.name)
        load_id = current_load_id()
        yield dlt.mark.materialize_table_schema()
        yield [{**row, "load_id": load_id} for row in ISSUES.rows(catalog)]

    return dlt.resource(rows, name=ISSUES.name, write_disposition="append", columns=_hints(ISSUES.columns))


def _hints(columns: Sequence[Column]) -> Any:
    return {
        column.name: {"data_type": column.type, **({"timezone": True} if column.type == "timestamp" else {})}
        for column in columns
    }

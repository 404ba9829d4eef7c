"""The lists that are read by id as dlt resources, all fed by one sync run.

dlt asks its resources in turn, while the portal is asked best for everything at once: fifty calls travel in one request.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dlt
from dlt.extract import DltResource

from ..catalog import ISSUES, IssueLog
from ..reader import release_arrow_memory
from ..rest import Client
from ..sync import (
    ITEM_RESOURCES,
    MERGE,
    ResolvedRejections,
    SyncOptions,
    SyncRun,
    TableStream,
    current_load_id,
    rejections,
    select_streams,
    selected_resources,
    supports_merge,
)
from .catalog_resources import CatalogReader, issue_rows
from .demultiplexer import Demultiplexer
from .hints import column_hints


def list_resources(reader: CatalogReader, client: Client, options: SyncOptions) -> Iterator[DltResource]:
    """A resource for the items of all smart processes, one for each CRM object, and one for each list beside them."""
    shared = _SharedSync(reader, client, options)
    return (_resource(name, shared) for name in ITEM_RESOURCES)


def _resource(name: str, shared: _SharedSync) -> DltResource:
    def rows() -> Iterator[Any]:
        yield from shared.demultiplexer(name).stream_for(name)

    return dlt.resource(rows, name=name, write_disposition=MERGE)


class _SharedSync:
    """One round for all resources of a load package."""

    def __init__(self, reader: CatalogReader, client: Client, options: SyncOptions) -> None:
        self._reader = reader
        self._client = client
        self._options = options
        self._latest: tuple[str, Demultiplexer] | None = None

    def demultiplexer(self, name: str) -> Demultiplexer:
        """Those of this load, or of one resource that somebody looks at without a pipeline."""
        load_id = current_load_id()
        if self._latest is None or not load_id or self._latest[0] != load_id:
            names = [one for one in ITEM_RESOURCES if one in selected_resources(name)]
            self._latest = load_id, Demultiplexer(names, lambda demultiplexer: self._batches(names, demultiplexer))
        return self._latest[1]

    def _batches(self, names: list[str], demultiplexer: Demultiplexer) -> TableStream:
        if not supports_merge():
            self._options.require_single_package()
        catalog = self._reader.catalog(names[0])
        issues = IssueLog(self._client.clock.now)
        states = {name: dlt.current.resource_state(name) if current_load_id() else {} for name in names}
        self._options.session.resources = frozenset(names)
        lists = list(select_streams(catalog, self._client, self._options, frozenset(names)))
        resolved = ResolvedRejections(one.table.name for one in lists if one.table is not None and one.is_swept)
        yield from ((names[0], rows) for rows in resolved.for_dropped_tables())
        sync_run = SyncRun(
            self._client,
            lists,
            states.__getitem__,
            self._options,
            issues,
            existing_tables=self._reader.bookkeeping.tables,
            source_state=dlt.current.source_state() if current_load_id() else {},
        )
        for name, made in sync_run.batches(catalog, demultiplexer.has_consumer):
            yield name, made
            yield from ((name, rows) for rows in resolved.for_batch(made))
        release_arrow_memory()
        some = next((name for name in names if demultiplexer.has_consumer(name)), names[0])
        yield some, rejections([], self._client.clock.now())
        if issues.issues:
            made = dlt.mark.make_hints(
                table_name=ISSUES.name, columns=column_hints(ISSUES.columns), write_disposition="append"
            )
            yield some, dlt.mark.with_hints(issue_rows(issues.issues), made, create_table_variant=True)

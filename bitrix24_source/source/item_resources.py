"""The lists that are read by id as dlt resources, all fed by one sync run.

dlt iterates over its resources in turn, but the portal is best asked for everything at once: up to fifty calls per request.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract import DltResource

from ..catalog import Catalog, IssueLog, issue_rows
from ..errors import ConfigError
from ..rest import Client
from ..schema import DELETED_AT
from ..sync import (
    ITEM_RESOURCES,
    REJECTED,
    ResolvedRejections,
    RunSession,
    SyncOptions,
    TableBatch,
    rejections,
    select_streams,
    sync,
)
from .catalog_resources import CatalogReader, issue_hints
from .current_load import current_load_id, resources_of_transformers, selected_resources
from .demultiplexer import Consumer, Demultiplexer, Rows
from .hints import MERGE
from .load_context import DltLoadContext
from .table_hints import TableHints


def item_resources(reader: CatalogReader, client: Client, options: SyncOptions) -> Iterator[DltResource]:
    """Yields a resource for the items of all smart processes, one per CRM object, and one per related list."""
    shared = _SharedSync(reader, client, options)
    return (_resource(name, shared) for name in ITEM_RESOURCES)


def _resource(name: str, shared: _SharedSync) -> DltResource:
    def taken(_consumer: Consumer) -> Iterator[Any]:
        if name in selected_resources(name):
            yield from shared.demultiplexer(name).stream_for(name)
        else:
            yield from shared.rows_for_transformers(name)

    def rows() -> Iterator[Any]:
        return taken(shared.consumer(name))

    return dlt.resource(rows, name=name, write_disposition=MERGE)


class _SharedSync:
    """One sync for all resources of a load package."""

    def __init__(self, reader: CatalogReader, client: Client, options: SyncOptions) -> None:
        self._reader = reader
        self._client = client
        self._options = options
        self._latest: tuple[str, Demultiplexer] | None = None
        self._consumers: weakref.WeakValueDictionary[str, Consumer] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    def consumer(self, name: str) -> Consumer:
        """Returns a new consumer: dlt creates all resources of a load before it asks the first one for rows."""
        self._consumers[name] = consumer = Consumer()
        return consumer

    def demultiplexer(self, name: str) -> Demultiplexer:
        """Returns the demultiplexer of this load, or of one resource that is iterated without a pipeline."""
        load_id = current_load_id()
        with self._lock:
            if self._latest is None or not load_id or self._latest[0] != load_id:
                selected = selected_resources(name)
                names = [resource for resource in ITEM_RESOURCES if resource in selected]
                consumers = {resource: self._consumers.get(resource) for resource in names}
                self._latest = load_id, Demultiplexer(consumers, lambda demultiplexer: self._rows(names, demultiplexer))
            return self._latest[1]

    def rows_for_transformers(self, name: str) -> Iterator[Any]:
        """Yields all items of a resource that is not loaded itself, as Arrow tables without a table name.

        The output of a transformer goes to its own table. Child tables are not yielded, and no checkpoint is saved: the next
        load must not skip rows that were not loaded.
        """
        catalog = self._reader.catalog(name)
        issues = IssueLog(self._client.clock.now)
        options = replace(self._options, full_refresh=True, session=RunSession())
        context = DltLoadContext(is_detached=True)
        streams = list(select_streams(catalog, self._client, options, frozenset({name}), context.capabilities))
        tables = {stream.table.name for stream in streams if stream.table is not None}
        for batch in sync(context, self._client, catalog, streams, options, issues):
            if batch.table.name in tables and len(batch.data):
                marks = batch.data.column(DELETED_AT) if DELETED_AT in batch.data.column_names else None
                yield batch.data if marks is None else batch.data.filter(pc.is_null(marks))

    def _rows(self, names: list[str], demultiplexer: Demultiplexer) -> Rows:
        """Yields everything for dlt, with the name of its resource."""
        _require_own_hints(names)
        catalog = self._reader.catalog(names[0])
        reader = self._reader
        context = DltLoadContext(reader.destination_state.tables, demultiplexer.has_consumer, reader.destination)
        described = self._reader.descriptions(catalog, names[0])
        described.update_stored()
        table_hints = TableHints(described, supports_merge=context.capabilities.supports_merge)
        issues = IssueLog(self._client.clock.now)
        for batch in self._batches(names, catalog, context, issues):
            yield batch.resource, table_hints.to_dlt(batch)
        pa.default_memory_pool().release_unused()  # Arrow keeps what the tables took, and the load step needs it
        consumer = next((name for name in names if context.has_consumer(name)), names[0])
        nothing = rejections([], self._client.clock.now(), context.capabilities)
        yield consumer, table_hints.to_dlt(TableBatch(consumer, REJECTED, nothing))
        if issues.issues:
            hints = issue_hints(described)
            yield (
                consumer,
                dlt.mark.with_hints(issue_rows(issues.issues, current_load_id()), hints, create_table_variant=True),
            )

    def _batches(
        self, names: list[str], catalog: Catalog, context: DltLoadContext, issues: IssueLog
    ) -> Iterator[TableBatch]:
        if not context.capabilities.supports_merge:
            self._options.require_single_package()
        self._options.session.resources = frozenset(names)
        options = replace(self._options, exclusions=self._options.exclusions.with_columns(self._reader.waiting))
        streams = list(select_streams(catalog, self._client, options, frozenset(names), context.capabilities))
        items_tables = [stream.table.name for stream in streams if stream.table is not None and stream.marks_deleted]
        resolved = ResolvedRejections(context, items_tables)
        yield from resolved.for_dropped_tables(names[0])
        for batch in sync(context, self._client, catalog, streams, options, issues):
            yield batch
            yield from resolved.for_batch(batch)


def _require_own_hints(names: Sequence[str]) -> None:
    """Rejects hints that dlt would silently ignore, and loads that would mix up tables.

    Raises:
        ConfigError: hints were changed on a resource whose tables are described while it is read; or a resource is both
            loaded and passed to a transformer.
    """
    if not current_load_id():
        return
    both = sorted(resources_of_transformers() & set(names))
    if both:
        raise ConfigError(
            f"{', '.join(both)} would be loaded and passed to a transformer in one run",
            "the rows of the transformer would go to the same table",
            "run the transformer by itself: pipeline.run(source.deals | transformer)",
        )
    resources = dlt.current.source().resources
    changed = sorted(name for name in names if name in resources and _has_other_hints(resources[name]))
    if changed:
        raise ConfigError(
            f"apply_hints has no effect on {', '.join(changed)}",
            "the portal's fields describe these tables while they are read",
            "use select and leave_out for columns, and a pipeline's dataset_name for another place",
        )


def _has_other_hints(resource: DltResource) -> bool:
    return bool(
        resource.table_name != resource.name
        or resource.write_disposition != MERGE
        or resource.columns
        or resource.incremental
    )

"""The lists that are read by id as dlt resources, all fed by one sync run.

dlt asks its resources in turn, while the portal is asked best for everything at once: fifty calls travel in one request.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import dlt
import pyarrow.compute as pc
from dlt.extract import DltResource

from ..catalog import ISSUES, IssueLog
from ..errors import ConfigError
from ..reader import release_arrow_memory
from ..rest import Client
from ..sync import (
    ITEM_RESOURCES,
    MERGE,
    ResolvedRejections,
    RunSession,
    SyncOptions,
    SyncRun,
    TableStream,
    current_load_id,
    rejections,
    resources_of_transformers,
    select_streams,
    selected_resources,
    supports_merge,
)
from .catalog_resources import CatalogReader, issue_rows
from .demultiplexer import Demultiplexer
from .dlt_internals import table_of
from .hints import column_hints

DELETED_AT = "deleted_at"


def list_resources(reader: CatalogReader, client: Client, options: SyncOptions) -> Iterator[DltResource]:
    """A resource for the items of all smart processes, one for each CRM object, and one for each list beside them."""
    shared = _SharedSync(reader, client, options)
    return (_resource(name, shared) for name in ITEM_RESOURCES)


def _resource(name: str, shared: _SharedSync) -> DltResource:
    def rows() -> Iterator[Any]:
        if name in selected_resources(name):
            yield from shared.demultiplexer(name).stream_for(name)
        else:
            yield from shared.rows_for_transformers(name)

    return dlt.resource(rows, name=name, write_disposition=MERGE)


class _SharedSync:
    """One round for all resources of a load package."""

    def __init__(self, reader: CatalogReader, client: Client, options: SyncOptions) -> None:
        self._reader = reader
        self._client = client
        self._options = options
        self._latest: tuple[str, Demultiplexer] | None = None
        self._lock = threading.Lock()

    def demultiplexer(self, name: str) -> Demultiplexer:
        """Those of this load, or of one resource that somebody looks at without a pipeline."""
        load_id = current_load_id()
        with self._lock:
            if self._latest is None or not load_id or self._latest[0] != load_id:
                selected = selected_resources(name)
                names = [resource for resource in ITEM_RESOURCES if resource in selected]
                self._latest = load_id, Demultiplexer(names, lambda demultiplexer: self._batches(names, demultiplexer))
            return self._latest[1]

    def rows_for_transformers(self, name: str) -> Iterator[Any]:
        """All items of a resource that is not loaded itself, as Arrow tables without the name of one.

        What a transformer makes of them goes to its own table. Child tables do not come, and nothing is remembered: rows that
        were not loaded are not rows that the next load may leave out.
        """
        catalog = self._reader.catalog(name)
        issues = IssueLog(self._client.clock.now)
        options = replace(self._options, restart=True, session=RunSession())
        streams = list(select_streams(catalog, self._client, options, frozenset({name})))
        tables = {stream.table.name for stream in streams if stream.table is not None}
        for _, batch in SyncRun(self._client, streams, lambda _name: {}, options, issues).batches(catalog):
            if table_of(batch.meta, name) in tables and len(batch.data):
                marks = batch.data.column(DELETED_AT) if DELETED_AT in batch.data.column_names else None
                yield batch.data if marks is None else batch.data.filter(pc.is_null(marks))

    def _batches(self, names: list[str], demultiplexer: Demultiplexer) -> TableStream:
        if not supports_merge():
            self._options.require_single_package()
        _require_own_hints(names)
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


def _require_own_hints(names: Sequence[str]) -> None:
    """Refuses what dlt would pass over without a word, or what would mix up tables.

    Raises:
        ConfigError: somebody changed hints of a resource whose tables are described while it is read, or loads a resource
            and passes it to a transformer at once.
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

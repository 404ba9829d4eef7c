"""What the steps of one load share, and how rows of a stream become batches for the destination."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import pyarrow as pa

from ..catalog import EntityType, IssueLog
from ..errors import STOPS_READING, Bitrix24Error, DeniedError, PortalError
from ..reader import Row
from ..rest import Client
from .deleted_types import confirmed_deleted_types
from .dependents import ChildBatch, DependentProgress
from .item_tables import TableRows
from .options import SyncOptions
from .plan import SyncStart
from .ports import LoadContext
from .progress import StreamProgress
from .streams import Stream
from .table_batches import TableBatch
from .task_reader import TaskReader

log = logging.getLogger("bitrix24_source")


@dataclass(frozen=True)
class SyncRun:
    """One load. Its steps change nothing but the progress of streams, by its methods.

    Attributes:
        context: the load package.
        client: speaks to the portal.
        options: what somebody wants.
        issues: takes what could not be read.
        start: None when the portal could not be asked the time, and nothing is stored.
        progress: of every stream, in the order in which they were selected.
        reader: reads from the portal.
        written: names of the tables that rows were handed on for.
    """

    context: LoadContext
    client: Client
    options: SyncOptions
    issues: IssueLog
    start: SyncStart | None
    progress: Mapping[Stream, StreamProgress]
    reader: TaskReader
    written: set[str] = field(default_factory=set)

    @cached_property
    def dependents(self) -> list[DependentProgress]:
        """Of the streams that depend on others."""
        return [progress for progress in self.progress.values() if isinstance(progress, DependentProgress)]

    def now(self) -> datetime:
        return self.client.clock.now()

    def has_other_user(self, progress: StreamProgress) -> bool:
        """Whether a stream was last read by another user than the one who reads now."""
        return self.start is not None and progress.plan.checkpoint.was_read_by_another(self.start.user)

    def write(self, progress: StreamProgress, rows: Sequence[Row], ids: pa.Array) -> Iterator[TableBatch]:
        """Rows on their way, and what they bring with them; their ids are kept for whom the rest of it is to be read."""
        if not rows:
            return
        stream = progress.stream
        for dependent in self.dependents:
            if dependent is progress or dependent.shares_read_of(stream):
                yield from self.write_children(dependent, dependent.observe_parents(ids, rows))
        if stream.table is not None:
            yield from self.batches(stream, stream.table.convert(rows, self.now()))

    def write_children(self, progress: DependentProgress, batch: ChildBatch) -> Iterator[TableBatch]:
        """What belongs to some parents. Of a table that this run has made there is nothing to delete."""
        is_new = progress.stream.name in self.options.session.new_tables
        progress.observe_children(batch)
        try:
            tables = batch.tables(
                progress.stream.children,
                self.now(),
                with_deletes=self.context.capabilities.supports_merge and not is_new,
            )
            yield from self.batches(progress.stream, tables)
        except PortalError as error:
            self.record_failure(progress, error)

    def batches(self, stream: Stream, tables: Iterable[TableRows]) -> Iterator[TableBatch]:
        """Tables of a stream, on behalf of its resource."""
        for spec, rows in tables:
            self.written.add(spec.name)
            yield TableBatch(stream.resource, spec, rows)

    def record_failure(self, progress: StreamProgress, error: Bitrix24Error) -> None:
        """A stream was not read to its end: one issue, and none for a type that the portal has no more."""
        stream = progress.stream
        if error.code == "NOT_FOUND" and self.is_deleted(stream.entity):
            log.info("%s: the smart process was deleted while its items were read", stream.name)
        elif not progress.failed:
            reason = "may not be read" if isinstance(error, DeniedError) else "could not be read to the end"
            message = f"{stream.name} {reason}: {error.what}; {progress.rows:,} items were loaded"
            self.record(stream, error, message)
        progress.fail()

    def record(self, stream: Stream, error: Bitrix24Error, message: str, *, hint: str = "") -> None:
        """An issue of a stream."""
        self.issues.record(stream.resource, error, message, hint=hint, entity_type_id=stream.entity_type_id)

    def is_deleted(self, entity: EntityType | None) -> bool:
        """Whether the portal says itself that it has no such type any more: "not found" alone may mean anything."""
        if entity is None or entity.is_built_in:
            return False
        try:
            return bool(confirmed_deleted_types(self.client, [entity]))
        except STOPS_READING:
            return False

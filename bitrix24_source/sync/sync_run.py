"""The context that the steps of one load share; makes batches for the destination of the rows of a stream."""

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
from .dependents import DependentBatch, DependentProgress
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
    """One load. Its steps change only the progress of streams, through the methods of `StreamProgress`.

    Attributes:
        context: the load package.
        client: speaks to the portal.
        options: which items and fields to read, and how.
        issues: collects what could not be read.
        start: when the load began; None if the portal could not be asked for the time, and then nothing is stored.
        progress: progress of every stream, in the order of selection.
        reader: reads from the portal.
        written: names of the tables for which rows were yielded.
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
        """Progress of the streams that depend on others."""
        return [progress for progress in self.progress.values() if isinstance(progress, DependentProgress)]

    def now(self) -> datetime:
        return self.client.clock.now()

    def has_other_user(self, progress: StreamProgress) -> bool:
        """Returns whether a stream was last read by another user than the present one."""
        return self.start is not None and progress.plan.checkpoint.was_read_by_another(self.start.user)

    def write(self, progress: StreamProgress, rows: Sequence[Row], ids: pa.Array) -> Iterator[TableBatch]:
        """Yields the batches for rows of a stream, including dependents contained in them.

        Queues the ids whose dependents must be read separately.
        """
        if not rows:
            return
        stream = progress.stream
        for dependent in self.dependents:
            if dependent is progress or dependent.shares_read_of(stream):
                yield from self.write_dependents(dependent, dependent.observe_parents(ids, rows))
        if stream.table is not None:
            yield from self.batches(stream, stream.table.convert(rows, self.now()))

    def write_dependents(self, progress: DependentProgress, batch: DependentBatch) -> Iterator[TableBatch]:
        """Yields the batches for dependents of some parents; a table created in this run needs no delete markers."""
        is_new = progress.stream.name in self.options.session.new_tables
        progress.observe_children(batch)
        try:
            tables = batch.tables(
                progress.stream.dependent_table,
                self.now(),
                with_deletes=self.context.capabilities.supports_merge and not is_new,
            )
            yield from self.batches(progress.stream, tables)
        except PortalError as error:
            self.record_failure(progress, error)

    def batches(self, stream: Stream, tables: Iterable[TableRows]) -> Iterator[TableBatch]:
        """Yields the tables of a stream as batches of its resource."""
        for spec, rows in tables:
            self.written.add(spec.name)
            yield TableBatch(stream.resource, spec, rows)

    def record_failure(self, progress: StreamProgress, error: Bitrix24Error) -> None:
        """Records that a stream was not read to its end: one issue per stream, none if its type was deleted."""
        stream = progress.stream
        if error.code == "NOT_FOUND" and self.is_deleted(stream.entity):
            log.info("%s: the smart process was deleted while its items were read", stream.name)
        elif not progress.failed:
            reason = "may not be read" if isinstance(error, DeniedError) else "could not be read to the end"
            message = f"{stream.name} {reason}: {error.what}; {progress.rows:,} items were loaded"
            self.record(stream, error, message)
        progress.fail()

    def record(self, stream: Stream, error: Bitrix24Error, message: str, *, hint: str = "") -> None:
        """Records an issue of a stream."""
        self.issues.record(stream.resource, error, message, hint=hint, entity_type_id=stream.entity_type_id)

    def is_deleted(self, entity: EntityType | None) -> bool:
        """Returns whether the portal confirms that the type was deleted; "not found" alone is ambiguous."""
        if entity is None or entity.is_built_in:
            return False
        try:
            return bool(confirmed_deleted_types(self.client, [entity]))
        except STOPS_READING:
            return False

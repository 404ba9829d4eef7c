"""How far the streams of a load have got: the one mutable object of a stream, which only its own methods change."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from ..reader import PageBatch, UnusableRows
from .checkpoint import Checkpoint, column_keys
from .comparison import SeenKeys
from .plan import ReadTask, StreamPlan, SyncStart
from .streams import ReadMode, Stream

log = logging.getLogger("bitrix24_source")


class StreamProgress:
    """The progress of one stream, and the checkpoint to store.

    Attributes:
        plan: what the stream reads.
        seen: ids that the portal has shown, if they are compared with the destination's.
        rows: number of items read.
        failed: something could not be read or stored.
        filter_was_ignored: the portal has answered rows that the filter excludes.
        ids_to_reread: ids of items that are missing in the destination or differ there.
    """

    def __init__(self, plan: StreamPlan, seen: SeenKeys | None = None) -> None:
        self.plan = plan
        self.seen = seen if seen is not None else SeenKeys()
        self.rows = 0
        self.failed = False
        self.filter_was_ignored = False
        self.ids_to_reread: Sequence[int] = ()
        self._checkpoint = plan.checkpoint
        self._open = set(plan.tasks)
        self._max_id = 0
        self._unusable: dict[bool, UnusableRows] = {}
        self._starts_over = False

    @property
    def stream(self) -> Stream:
        return self.plan.stream

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint from which the next load starts."""
        return self._checkpoint

    @property
    def is_complete(self) -> bool:
        """All tasks were read to their end."""
        return bool(self.plan.tasks) and not self._open and not self.failed

    @property
    def is_saved(self) -> bool:
        """The checkpoint may be stored."""
        return True

    @property
    def needs_another_slice(self) -> bool:
        """Something is left; or two runs have read it, between which items may have been deleted."""
        again = self.plan.is_full and not self._open and self.plan.is_resumed and self.stream.marks_deleted
        return not self.failed and (self._checkpoint.has_unfinished_full_read or again or self._starts_over)

    @property
    def unusable(self) -> UnusableRows:
        """Rows without a usable id, which are not loaded; those seen again while comparing ids are counted once."""
        return max(self._unusable.values(), key=lambda rows: rows.count, default=UnusableRows())

    def observe(self, task: ReadTask, batch: PageBatch) -> pa.Array:
        """Registers rows and returns their ids."""
        query = self.stream.query
        self.pass_over(batch.unusable, of_ids=task.mode in (ReadMode.IDS, ReadMode.BY_ID))
        numbers = [query.id_of(row) for row in batch.rows]
        ids = pa.array(numbers, pa.int64())
        if task.mode is ReadMode.BY_ID:
            return ids
        if self.plan.reconciles and task.mode in (ReadMode.FULL, ReadMode.IDS):
            is_timed = task.mode is ReadMode.IDS and query.updated_field in task.query.select
            self.seen.add(ids, [row.get(query.updated_field) for row in batch.rows] if is_timed else None)
            if task.mode is ReadMode.IDS and self.stream.table is not None:
                self.seen.add_lists(ids, self.stream.table.list_sizes(batch.rows))
        elif self.plan.reconciles:
            self.seen.fetched.append(ids)
        if task.mode is ReadMode.IDS:
            return ids
        self.rows += len(numbers)
        self._max_id = max([self._max_id, *numbers])
        if task.mode is ReadMode.FULL:
            highest = max(self._checkpoint.high_water_id, self._max_id)
            self._checkpoint = replace(self._checkpoint, remaining_ranges=tuple(batch.remaining), high_water_id=highest)
        return ids

    def pass_over(self, rows: UnusableRows, *, of_ids: bool) -> None:
        """Counts rows that are not loaded, because they have no usable id."""
        if rows:
            self._unusable[of_ids] = self._unusable.get(of_ids, UnusableRows()) + rows
            self.seen.is_complete = False

    def close(self, task: ReadTask, start: SyncStart) -> None:
        """Registers the end of a task. After the last one, the time when the read began becomes the cursor."""
        self._open.discard(task)
        if not self.is_complete:
            return
        checkpoint = self._checkpoint
        if self.plan.is_full:
            cursor, clock_skew = checkpoint.full_read_started, checkpoint.clock_skew
        else:
            cursor, clock_skew = start.portal_now.isoformat(), start.clock_skew
        self._checkpoint = replace(
            checkpoint,
            cursor=cursor,
            clock_skew=clock_skew,
            full_read_started="",
            remaining_ranges=(),
            high_water_id=max(checkpoint.high_water_id, self._max_id),
            runs_since=checkpoint.runs_since + 1,
        )

    def note_user(self, user: str) -> None:
        """Stores the user who read the stream, once it was read completely; until then the previous user stays."""
        is_read = self.is_complete and not self.needs_another_slice
        if user and (is_read or not self._checkpoint.user):
            self._checkpoint = replace(self._checkpoint, user=user)

    def fail(self) -> None:
        """Keeps the old checkpoint, so that the next load reads what is missing."""
        self.failed = True

    def repeat_in_next_load(self) -> None:
        """Has the next load read the same again, because what was loaded lacks something."""
        self._checkpoint = self.plan.checkpoint
        self.fail()

    def note_ignored_filter(self) -> None:
        self.filter_was_ignored = True

    def schedule_reread(self, ids: Sequence[int]) -> None:
        """Queues items to be read by their ids."""
        self.ids_to_reread = ids

    def close_reconciliation(self, at: str) -> None:
        """Stores when ids were compared; "" has the next load compare them again."""
        may_shrink = self._checkpoint.may_shrink and not at
        self._checkpoint = replace(self._checkpoint, runs_since=0, reconciled_at=at, may_shrink=may_shrink)

    def reopen_reconciliation(self) -> None:
        """Has the next load compare ids again."""
        self._checkpoint = replace(self._checkpoint, reconciled_at="")

    def start_over(self, reason: str) -> None:
        """Has everything read again, by the next slice or the next run."""
        log.info("%s: everything is read once more: %s", self.stream.name, reason)
        self._starts_over = True
        self._checkpoint = replace(self._checkpoint, cursor="")

    def learn_columns(self) -> None:
        """Stores columns that only rows contain; a new one has all rows read again, once."""
        table, checkpoint = self.stream.table, self._checkpoint
        learned = column_keys(table.current_columns() - table.filled_columns() if table is not None else ())
        new = {key: name for key, name in learned.items() if key not in checkpoint.unlisted_columns}
        if not new or not checkpoint.cursor or self.failed:
            return
        self._checkpoint = replace(checkpoint, unlisted_columns=tuple(sorted({*checkpoint.unlisted_columns, *new})))
        if self.plan.knows_columns and not self.plan.is_full:
            self.start_over(f"rows now have {', '.join(sorted(new.values()))}")

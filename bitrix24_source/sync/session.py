"""The state that several load packages of one scheduled run share."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..catalog import Catalog
from ..reader import BatchSizer
from .comparison import SeenKeys
from .slice_limits import SliceLimits
from .streams import StreamKey

if TYPE_CHECKING:
    from .options import SyncOptions  # which have a session


@dataclass(slots=True)
class RunSession:
    """What a run knows from one slice to the next.

    Attributes:
        limits: when a slice ends.
        seconds_left: of a run that must end; a slice ends with it. None is no limit.
        rows_left: by table, about how many rows of an unfinished read are left.
        unfinished: whether the last slice ended with something left.
        slice_count: how many there were.
        batch_sizer, catalog: what a slice has learned and the next need not find out again.
        seen: ids by stream, of those whose full read began in an earlier slice of this run.
        finished: streams that an earlier slice of this run has read to the end, or that failed and are left to the next run.
        resources: those that are selected in the source, once a slice began.
        new_tables: tables that the destination did not have when this run began.
        options: those of the source that was made with it, for planning a load.
    """

    limits: SliceLimits = field(default_factory=SliceLimits)
    unfinished: bool = False
    slice_count: int = 0
    batch_sizer: BatchSizer | None = field(default=None, repr=False)
    catalog: Catalog | None = field(default=None, repr=False)
    seen: dict[StreamKey, SeenKeys] = field(default_factory=dict, repr=False)
    finished: set[StreamKey] = field(default_factory=set)
    resources: frozenset[str] = frozenset()
    new_tables: set[str] = field(default_factory=set)
    seconds_left: float | None = None
    rows_left: dict[str, int] = field(default_factory=dict)
    options: SyncOptions | None = field(default=None, repr=False)

    def is_full(self, rows: int, seconds: float, rows_left: int) -> bool:
        """Returns whether the current slice is full.

        Args:
            rows: rows of the slice so far.
            seconds: seconds since it began.
            rows_left: estimate of the rows that are left of all full reads.
        """
        is_over = self.seconds_left is not None and seconds >= self.seconds_left
        return is_over or self.limits.is_reached(self.slice_count, rows, seconds, rows_left)

    def note_left(self, table: str, rows: int) -> None:
        """Stores how many rows a full read has left."""
        if rows:
            self.rows_left[table] = rows
        else:
            self.rows_left.pop(table, None)

    def seen_keys(self, stream: StreamKey) -> SeenKeys:
        """Returns the ids that the slices of this run have seen of a full read."""
        return self.seen.setdefault(stream, SeenKeys())

    def close_slice(
        self, *, read: Iterable[StreamKey], finished: Iterable[StreamKey], unfinished_tables: Collection[str]
    ) -> None:
        """Registers that a load package is complete.

        Args:
            read: streams that were read to their end, whose ids are no longer needed.
            finished: streams of which the next slice reads nothing.
            unfinished_tables: names of the tables that the next slice continues.
        """
        for key in read:
            self.seen.pop(key, None)
        self.finished.update(finished)
        self.slice_count += 1
        self.unfinished = bool(unfinished_tables)
        self.rows_left = {name: self.rows_left.get(name, 0) for name in unfinished_tables}

    def begin_slice(self) -> None:
        """Prepares for a slice; the first one of a run discards what is left of the previous run."""
        if not self.unfinished:
            self.slice_count = 0
            self.seen.clear()
            self.new_tables.clear()
            self.finished.clear()
            self.rows_left.clear()

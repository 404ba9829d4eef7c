"""The state that several load packages of one scheduled run share."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from .comparison import SeenKeys
from .setting_ranges import validate_range
from .streams import StreamKey

FIRST_ROWS = 2_500
"""of one request"""
SHARE_TO_FINISH = 0.5
"""of the rows that a short slice has taken: if no more are left, it takes them too"""


@dataclass
class RunSession:
    """How much of the items one load package takes, so that a kill costs one slice and not everything.

    Attributes:
        rows: after so many no more are asked for; 0 is no limit.
        seconds: nor after so long; 0 is no limit.
        first_seconds: that the first slice takes; each one after it takes twice as long, up to `seconds`. A job that is killed
            every now and then so commits something each time, and a long one loses little to small slices. 0: all are alike.
        first_rows: the same in rows, up to `rows`, for a run that follows one that was killed.
        seconds_left: of a run that must end; a slice ends with it. None is no limit.
        left: by table, about how many rows of an unfinished read are left.
        unfinished: whether the last slice ended with something left.
        slices: how many there were.
        batch_sizer, catalog: what a slice has learned and the next need not find out again.
        seen: ids by stream, of those whose full read began in an earlier slice of this run.
        finished: streams that an earlier slice of this run has read to the end, or that failed and are left to the next run.
        resources: those that are selected in the source, once a slice began.
        new_tables: tables that the destination did not have when this run began.
        options: `SyncOptions` of the source that was made with it, for whoever asks what that source would read.
    """

    rows: int = 0
    seconds: float = 0.0
    unfinished: bool = False
    slices: int = 0
    batch_sizer: Any = field(default=None, repr=False)
    catalog: Any = field(default=None, repr=False)
    seen: dict[StreamKey, SeenKeys] = field(default_factory=dict, repr=False)
    finished: set[StreamKey] = field(default_factory=set)
    resources: frozenset[str] = frozenset()
    new_tables: set[str] = field(default_factory=set)
    first_seconds: float = 0.0
    first_rows: int = 0
    seconds_left: float | None = None
    left: dict[str, int] = field(default_factory=dict)
    options: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        validate_range(slice_rows=self.rows, slice_seconds=self.seconds)

    @property
    def slice_rows(self) -> int:
        """Rows of a full read that the slice under way takes; 0 is no limit."""
        if not self.first_rows or not self.rows:
            return self.rows
        return int(min(self.rows, self.first_rows * 2 ** min(self.slices, 40)))

    @property
    def slice_seconds(self) -> float:
        """That the slice under way takes; 0 is no limit."""
        if not self.is_growing:
            return self.seconds
        return self.first_seconds * 2.0**self.slices

    @property
    def is_growing(self) -> bool:
        """Whether the slice under way is shorter than later ones."""
        return 0.0 < self.first_seconds * 2.0 ** min(self.slices, 40) < self.seconds

    def is_full(self, rows: int, seconds: float, rows_left: int) -> bool:
        """Whether a slice takes no more.

        A short one takes what is left, if that is little: to commit it by itself would take longer than to read it.

        Args:
            rows: that it has taken.
            seconds: since it began.
            rows_left: about so many are left of all that it reads whole.
        """
        if self.seconds_left is not None and seconds >= self.seconds_left:
            return True
        if self.slice_rows and rows >= self.slice_rows:
            return True
        return bool(
            self.slice_seconds
            and seconds >= self.slice_seconds
            and not (self.is_growing and rows_left <= rows * SHARE_TO_FINISH)
        )

    def begin_small(self) -> None:
        """The run before was killed: even a job that lives for seconds gets on by the rows of one request."""
        self.first_rows = FIRST_ROWS

    def expected_slices(self, rows: int, seconds: float) -> int:
        """How many slices a run takes to read so many rows whole in so many seconds."""
        slices, left = 0, float(rows)
        rows_per_second = rows / seconds if seconds else math.inf
        while left > 0:
            session = replace(self, slices=slices)
            in_time = session.slice_seconds * rows_per_second if session.slice_seconds else math.inf
            taken = min(max(1.0, in_time), self.rows or math.inf)
            if not session.is_growing:
                return slices + max(1, math.ceil(left / taken))
            if taken == in_time and left - taken <= taken * SHARE_TO_FINISH:
                return slices + 1
            slices, left = slices + 1, left - taken
        return max(1, slices)

    def note_left(self, table: str, rows: int) -> None:
        """Keeps what a full read says of the rows that it has still to read."""
        if rows:
            self.left[table] = rows
        else:
            self.left.pop(table, None)

    def seen_keys(self, stream: StreamKey) -> SeenKeys:
        """What the slices of this run have seen of a full read."""
        return self.seen.setdefault(stream, SeenKeys())

    def close_slice(
        self, *, read: Iterable[StreamKey], finished: Iterable[StreamKey], unfinished_tables: Collection[str]
    ) -> None:
        """A load package is complete.

        Args:
            read: streams that were read to their end, whose ids nobody needs any more.
            finished: streams of which the next slice reads nothing.
            unfinished_tables: names of those that the next slice goes on with.
        """
        for key in read:
            self.seen.pop(key, None)
        self.finished.update(finished)
        self.slices += 1
        self.unfinished = bool(unfinished_tables)
        self.left = {name: self.left.get(name, 0) for name in unfinished_tables}

    def begin_slice(self) -> None:
        """The first slice of a run knows nothing of the run before."""
        if not self.unfinished:
            self.slices = 0
            self.seen.clear()
            self.new_tables.clear()
            self.finished.clear()
            self.left.clear()

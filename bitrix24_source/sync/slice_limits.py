"""Limits of load packages: a long load is committed in slices, so that a kill costs one slice and not everything."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .setting_ranges import validate_range

ROWS_OF_ONE_REQUEST = 2_500
SHARE_TO_FINISH = 0.5
"""share of the rows of a short slice: if no more than that are left, the slice takes them, too"""


@dataclass(frozen=True)
class SliceLimits:
    """When a slice ends; slices of a run are numbered from 0.

    Attributes:
        rows: after so many no more are asked for; 0 is no limit.
        seconds: nor after so long; 0 is no limit.
        first_seconds: that the first slice takes; each one after it takes twice as long, up to `seconds`. A job that is killed
            every now and then so commits something each time, and a long one loses little to small slices. 0: all are alike.
        first_rows: the same in rows, up to `rows`, for a run that follows one that was killed. 0: all are alike.

    Raises:
        ConfigurationError: rows or seconds are out of range.
    """

    rows: int = 0
    seconds: float = 0.0
    first_seconds: float = 0.0
    first_rows: int = 0

    def __post_init__(self) -> None:
        validate_range(slice_rows=self.rows, slice_seconds=self.seconds)

    def rows_of(self, number: int) -> int:
        """Returns the rows of full reads that a slice may take; 0 is no limit."""
        if not self.first_rows or not self.rows:
            return self.rows
        return int(min(self.rows, self.first_rows * 2 ** min(number, 40)))

    def seconds_of(self, number: int) -> float:
        """Returns the seconds that a slice may take; 0 is no limit."""
        return self.first_seconds * 2.0**number if self.is_short(number) else self.seconds

    def is_short(self, number: int) -> bool:
        """Returns whether a slice is shorter than later ones."""
        return 0.0 < self.first_seconds * 2.0 ** min(number, 40) < self.seconds

    def is_reached(self, number: int, rows: int, seconds: float, rows_left: int) -> bool:
        """Returns whether a slice is full.

        A short slice takes the rest, too, if it is small: committing it separately would take longer than reading it.

        Args:
            number: number of the slice.
            rows: rows of the slice so far.
            seconds: seconds since it began.
            rows_left: estimate of the rows that are left of all full reads.
        """
        most_rows, most_seconds = self.rows_of(number), self.seconds_of(number)
        if most_rows and rows >= most_rows:
            return True
        is_nearly_done = self.is_short(number) and rows_left <= rows * SHARE_TO_FINISH
        return bool(most_seconds) and seconds >= most_seconds and not is_nearly_done

    def after_a_kill(self) -> SliceLimits:
        """Returns limits for a run after a killed one: its first slice has the rows of one request."""
        return replace(self, first_rows=ROWS_OF_ONE_REQUEST)

    def expected_slices(self, rows: int, seconds: float) -> int:
        """Returns how many slices a full read of so many rows in so many seconds takes."""
        number, left = 0, float(rows)
        rows_per_second = rows / seconds if seconds else math.inf
        while left > 0:
            in_time = self.seconds_of(number) * rows_per_second if self.seconds_of(number) else math.inf
            taken = min(max(1.0, in_time), self.rows or math.inf)
            if not self.is_short(number):
                return number + max(1, math.ceil(left / taken))
            if taken == in_time and left - taken <= taken * SHARE_TO_FINISH:
                return number + 1
            number, left = number + 1, left - taken
        return max(1, number)

"""The portal's clock, which a test can move."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from threading import Lock


class Clock:
    """A clock that stands still until `sleep` or `advance` moves it.

    >>> clock = Clock(datetime(2025, 7, 1, tzinfo=timezone.utc))
    >>> clock.advance(90)
    >>> clock.now().isoformat()
    '2025-07-01T00:01:30+00:00'
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("A portal clock needs a time zone: Clock(datetime(..., tzinfo=timezone.utc))")
        self._start = start
        self._passed = 0.0
        self._lock = Lock()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._passed += seconds

    def set(self, moment: datetime) -> None:
        """The wall clock jumps, as after a correction; `monotonic` does not notice."""
        with self._lock:
            self._start = moment - timedelta(seconds=self._passed)


class WallClock(Clock):
    """The real time; `advance` shifts it without waiting."""

    def __init__(self) -> None:
        super().__init__(datetime.now(timezone.utc))

    def now(self) -> datetime:
        return datetime.now(timezone.utc) + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return time.monotonic() + self._passed

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))

    def set(self, moment: datetime) -> None:
        with self._lock:
            self._passed = (moment - datetime.now(timezone.utc)).total_seconds()

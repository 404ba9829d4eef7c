"""The clock used everywhere; tests pass in one of their own."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """The interface of clocks; tests pass one that they can advance."""

    def monotonic(self) -> float:
        """Returns monotonic seconds."""

    def now(self) -> datetime:
        """Returns the wall-clock time, with a zone."""

    def sleep(self, seconds: float) -> None:
        """Sleeps for a number of seconds."""


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

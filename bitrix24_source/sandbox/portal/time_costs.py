"""Computes how long a call takes by the portal's clock, and makes the `time` object of the answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from ..model.clock import Clock
from .interpretations import Interpretations
from .rate_limits import Limits

# The cost of a call without a latency: counted in `operating`, but not waited for.
FREE_PER_PAGE = 0.001
FREE_PER_ROW = 0.00001
LONGEST_REQUEST_SECONDS = 60.0
LONGEST_DEBT_SECONDS = 0.05


@dataclass
class Costs:
    """Portal seconds per page and per row. With a latency the portal really waits."""

    clock: Clock
    latency: tuple[float, float] | None = None
    spent: float = 0.0
    _overslept: threading.local = field(default_factory=threading.local, repr=False)

    def spend(self, rows: int, since: float) -> float:
        """Returns the cost of the call. The time spent since `since` counts towards the latency."""
        per_page, per_row = self.latency or (FREE_PER_PAGE, FREE_PER_ROW)
        seconds = per_page + per_row * rows
        self.spent += seconds
        if self.latency is not None:
            self._sleep_until(since + seconds)
        return seconds

    def _sleep_until(self, moment: float) -> None:
        """Sleeps; the next call of the same thread makes up for sleeping a little too long."""
        moment -= getattr(self._overslept, "seconds", 0.0)
        self.clock.sleep(moment - self.clock.monotonic())
        self._overslept.seconds = min(max(0.0, self.clock.monotonic() - moment), LONGEST_DEBT_SECONDS)


@dataclass
class Stopwatch:
    """Measures one call; `processing` is the part spent in the method."""

    clock: Clock
    zone: tzinfo
    interpretations: Interpretations

    def __post_init__(self) -> None:
        self.started = self.clock.now()

    def time(
        self, processing: float, limits: Limits, credential: str, method: str, *, nested: bool = False
    ) -> dict[str, Any]:
        finished = self.clock.now()
        start, finish = self.started.timestamp(), finished.timestamp()
        if self.interpretations.time_start == "whole_second":
            start, processing = int(start), 0
        told = self.interpretations.operating
        shown = told == "told" or (told == "outer_only" and not nested)
        operating = limits.operating(credential, method)
        bill = {"operating_reset_at": limits.reset_at(credential, method), "operating": operating or 0}
        return {
            "start": start,
            "finish": finish,
            "duration": max(0.0, finish - start),
            "processing": processing,
            "date_start": self._seconds(self.started),
            "date_finish": self._seconds(finished),
            **(bill if shown else {}),
        }

    def _seconds(self, moment: datetime) -> str:
        return moment.astimezone(self.zone).replace(microsecond=0).isoformat()

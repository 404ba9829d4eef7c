"""The time budget of each method, as responses report it, and when it is reset.

Facts: https://apidocs.bitrix24.com/limits.html - each method and credential has a budget of seconds in ten one-minute windows.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from .clock import Clock, SystemClock
from .protocol import TimeUsage


class TimeBudget:
    """What the portal last said of each method's time budget."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._latest: dict[str, TimeUsage] = {}
        self._ahead = 0.0
        self._lock = threading.Lock()

    def update_clock(self, portal_now: float | None) -> None:
        """What the portal's clock says now, Unix seconds: moments that it names are to be read by this clock, not by ours."""
        if portal_now is not None:
            self._ahead = portal_now - self._clock.now().timestamp()

    def update(self, method: str, operating: TimeUsage | None) -> None:
        if operating is not None:
            with self._lock:
                self._latest[method] = operating

    def level(self, method: str) -> float:
        """Seconds used up of the method's budget, by its last answer."""
        with self._lock:
            return self._latest.get(method, TimeUsage()).seconds

    def seconds_until_reset(
        self, methods: Sequence[str], reset_at: int | None = None, otherwise: float = 60.0
    ) -> float:
        """Seconds until the oldest minute leaves the fullest budget among `methods`.

        Args:
            methods: those that may be blocked: a batch's own name and its commands'.
            reset_at: the moment that the refusal itself named, Unix seconds.
            otherwise: where nobody named a moment, or one that is past.
        """
        with self._lock:
            known = [self._latest[method] for method in methods if method in self._latest]
        fullest = max(known, key=lambda operating: operating.seconds, default=TimeUsage())
        reset_at = reset_at if reset_at is not None else fullest.reset_at
        left = reset_at - self._clock.now().timestamp() - self._ahead if reset_at is not None else 0.0
        return left if 0 < left <= 3600 else otherwise

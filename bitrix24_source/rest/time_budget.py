"""The time budget of each method, as responses report it, and when it is reset.

Facts: https://apidocs.bitrix24.com/limits.html - each method and credential has a budget of seconds in ten one-minute windows.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from .clock import Clock, SystemClock
from .protocol import TimeUsage


class TimeBudget:
    """The time budget of each method, as last reported by the portal."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._latest: dict[str, TimeUsage] = {}
        self._ahead = 0.0
        self._lock = threading.Lock()

    def update_clock(self, portal_now: float | None) -> None:
        """Sets the portal's present time in Unix seconds, with which times given by the portal are compared."""
        if portal_now is not None:
            self._ahead = portal_now - self._clock.now().timestamp()

    def update(self, method: str, operating: TimeUsage | None) -> None:
        if operating is not None:
            with self._lock:
                self._latest[method] = operating

    def level(self, method: str) -> float:
        """Returns the seconds used of the method's budget, as of its last answer."""
        with self._lock:
            return self._latest.get(method, TimeUsage()).seconds

    def seconds_until_reset(
        self, methods: Sequence[str], reset_at: int | None = None, otherwise: float = 60.0
    ) -> float:
        """Returns the seconds until the oldest minute leaves the fullest budget among `methods`.

        Args:
            methods: methods that may be blocked: `batch` and its commands.
            reset_at: the Unix time given by the rejection itself.
            otherwise: the result if no time is known, or it is past.
        """
        with self._lock:
            known = [self._latest[method] for method in methods if method in self._latest]
        fullest = max(known, key=lambda operating: operating.seconds, default=TimeUsage())
        reset_at = reset_at if reset_at is not None else fullest.reset_at
        left = reset_at - self._clock.now().timestamp() - self._ahead if reset_at is not None else 0.0
        return left if 0 < left <= 3600 else otherwise

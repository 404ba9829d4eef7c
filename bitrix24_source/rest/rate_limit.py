"""The request rate limit: a leaky bucket, shared by all clients of one portal in this process.

Facts: https://apidocs.bitrix24.com/limits.html - a bucket of 50 requests that leaks 2 a second (Enterprise plan: 250 and 5).
"""

from __future__ import annotations

import threading

from .clock import Clock, SystemClock


class LeakyBucket:
    """A copy of the portal's request counter, slightly stricter than the original.

    `capacity` requests fit at once, `leak_per_second` leak out. Requests arrive later and closer together than they were
    sent, so a tenth of the capacity stays unused.
    """

    headroom = 0.1

    def __init__(self, capacity: float = 50, leak_per_second: float = 2, clock: Clock | None = None) -> None:
        if capacity < 1 or leak_per_second <= 0:
            raise ValueError("a bucket needs room for one request and must leak")
        self._usable = max(1.0, capacity * (1 - self.headroom))
        self._leak_per_second = leak_per_second
        self._clock = clock or SystemClock()
        self._level = 0.0
        self._leaked_at = self._clock.monotonic()
        self._lock = threading.Lock()

    def acquire(self) -> float:
        """Waits until another request fits, and counts it. Returns the seconds waited."""
        with self._lock:
            self._leak()
            self._level += 1  # reserves a place in the queue: later callers wait longer
            wait = max(0.0, (self._level - self._usable) / self._leak_per_second)
        if wait:
            self._clock.sleep(wait)
        return wait

    def tighten(self, capacity: float, leak_per_second: float) -> None:
        """Applies the stricter of two settings, for clients that share a bucket."""
        with self._lock:
            self._usable = min(self._usable, max(1.0, capacity * (1 - self.headroom)))
            self._leak_per_second = min(self._leak_per_second, leak_per_second)

    def fill(self) -> None:
        """Fills the bucket because the portal reports that its own is full: others use it, too."""
        with self._lock:
            self._leak()
            self._level = max(self._level, self._usable)

    def _leak(self) -> None:
        now = self._clock.monotonic()
        self._level = max(0.0, self._level - (now - self._leaked_at) * self._leak_per_second)
        self._leaked_at = now


class _Buckets:
    """One bucket for each portal in this process: the portal counts requests by portal and IP address."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[str, LeakyBucket] = {}

    def of(self, portal: str, capacity: float, leak_per_second: float, clock: Clock | None) -> LeakyBucket:
        if clock is not None:
            return LeakyBucket(capacity, leak_per_second, clock)
        name = portal.lower().removesuffix(":443")
        with self._lock:
            bucket = self._buckets.setdefault(name, LeakyBucket(capacity, leak_per_second))
        bucket.tighten(capacity, leak_per_second)
        return bucket


_SHARED = _Buckets()


def shared_bucket(portal: str, capacity: float, leak_per_second: float, clock: Clock | None = None) -> LeakyBucket:
    """Returns the bucket that all clients of a portal share in this process; a new one if a clock is passed in."""
    return _SHARED.of(portal, capacity, leak_per_second, clock)

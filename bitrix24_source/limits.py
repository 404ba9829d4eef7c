"""May I call now, and if not, when? It counts requests and reads time budgets; it knows neither HTTP nor Bitrix24's errors.

Facts: https://apidocs.bitrix24.com/limits.html - a bucket of 50 requests that loses 2 a second (Enterprise: 250 and 5), and
a time budget for each method and credential in ten one-minute baskets.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Protocol

from .wire import Operating


class Clock(Protocol):
    """Time as the limits see it; tests pass one that they can move."""

    def monotonic(self) -> float:
        """Seconds that only grow."""

    def now(self) -> datetime:
        """The wall clock, aware."""

    def sleep(self, seconds: float) -> None:
        """Returns when the seconds are over."""


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class LeakyBucket:
    """The portal's request counter, kept on our side a little stricter than the portal does.

    `capacity` requests fit at once, `leak_per_second` drip out. The portal sees requests later and more bunched than they
    were sent, so a tenth of the capacity stays unused.
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
        """Waits until one more request fits, and counts it. Returns the seconds waited."""
        with self._lock:
            self._leak()
            self._level += 1  # a place in the queue: whoever comes later waits longer
            wait = max(0.0, (self._level - self._usable) / self._leak_per_second)
        if wait:
            self._clock.sleep(wait)
        return wait

    def tighten(self, capacity: float, leak_per_second: float) -> None:
        """Two clients of one portal share a bucket: the stricter setting counts."""
        with self._lock:
            self._usable = min(self._usable, max(1.0, capacity * (1 - self.headroom)))
            self._leak_per_second = min(self._leak_per_second, leak_per_second)

    def overflowed(self) -> None:
        """The portal says that it is full: others share its bucket, so ours is full as well."""
        with self._lock:
            self._leak()
            self._level = max(self._level, self._usable)

    def _leak(self) -> None:
        now = self._clock.monotonic()
        self._level = max(0.0, self._level - (now - self._leaked_at) * self._leak_per_second)
        self._leaked_at = now


class _Buckets:
    """One bucket for each portal in this process, whoever asks: the portal counts by portal and IP address."""

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


def bucket_of(portal: str, capacity: float, leak_per_second: float, clock: Clock | None = None) -> LeakyBucket:
    """The bucket that all clients of one portal share in this process; one of its own for a clock that is passed in."""
    return _SHARED.of(portal, capacity, leak_per_second, clock)


class OperatingBudget:
    """What the portal last said of each method's time budget."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._latest: dict[str, Operating] = {}
        self._ahead = 0.0
        self._lock = threading.Lock()

    def note_clock(self, portal_now: float | None) -> None:
        """What the portal's clock says now, Unix seconds: moments that it names are to be read by this clock, not by ours."""
        if portal_now is not None:
            self._ahead = portal_now - self._clock.now().timestamp()

    def note(self, method: str, operating: Operating | None) -> None:
        if operating is not None:
            with self._lock:
                self._latest[method] = operating

    def level(self, method: str) -> float:
        """Seconds used up of the method's budget, by its last answer."""
        with self._lock:
            return self._latest.get(method, Operating()).seconds

    def seconds_until_reset(self, methods: Sequence[str], told: int | None = None, otherwise: float = 60.0) -> float:
        """Seconds until the oldest minute leaves the fullest budget among `methods`.

        Args:
            methods: those that may be blocked: a batch's own name and its commands'.
            told: the moment that the refusal itself named, Unix seconds.
            otherwise: where nobody named a moment, or one that is past.
        """
        with self._lock:
            known = [self._latest[method] for method in methods if method in self._latest]
        fullest = max(known, key=lambda operating: operating.seconds, default=Operating())
        reset_at = told if told is not None else fullest.reset_at
        left = reset_at - self._clock.now().timestamp() - self._ahead if reset_at is not None else 0.0
        return left if 0 < left <= 3600 else otherwise


@dataclass
class Patience:
    """How long we go on trying before a person hears of it.

    Attributes:
        seconds: in all, for what may pass soon (network, 5xx, request limit).
        attempts: at most, whatever time they took.
        first_contact: attempts while the portal has never answered: a wrong address should not cost minutes.
        operating_seconds: in all, for a method's used-up time budget.
        shortest: the first pause, seconds; each is twice the one before it.
        longest: no pause is longer, seconds.
    """

    seconds: float = 120.0
    attempts: int = 10
    first_contact: int = 3
    operating_seconds: float = 1800.0
    shortest: float = 0.5
    longest: float = 30.0
    rng: random.Random = field(default_factory=random.Random)

    def pauses(self) -> Iterator[float]:
        """Growing pauses without end, each anywhere in the upper half of its step, so that clients do not return at once."""
        step = self.shortest
        while True:
            yield step * (0.5 + self.rng.random() / 2)
            step = min(self.longest, step * 2)

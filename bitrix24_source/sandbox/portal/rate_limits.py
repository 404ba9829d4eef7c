"""The portal's two limits: requests per second, and a method's seconds in ten minutes, which `operating` reports."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock

from ..model.clock import Clock
from .api_errors import operation_time_limit, query_limit

WINDOW_SECONDS = 600.0
BASKET_SECONDS = 60.0


@dataclass
class Limits:
    """The two limits of a portal. `None` switches one off; any of them may be changed while the portal runs."""

    clock: Clock
    capacity: float | None = 50
    leak_per_second: float = 2.0
    operating_seconds: float | None = 480.0
    # Calls shorter than this cost nothing.
    free_seconds: float = 0.1
    refused: int = 0
    _level: float = 0.0
    _leaked_at: float = 0.0
    _baskets: dict[tuple[str, str], deque[_Basket]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        self._leaked_at = self.clock.monotonic()

    def pour(self) -> None:
        """Counts one HTTP request in the leaky bucket, or rejects it before anything runs."""
        if self.capacity is None:
            return
        with self._lock:
            now = self.clock.monotonic()
            self._level = max(0.0, self._level - (now - self._leaked_at) * self.leak_per_second)
            self._leaked_at = now
            if self._level + 1 > self.capacity:
                self.refused += 1
                raise query_limit()
            self._level += 1

    def check(self, credential: str, method: str) -> None:
        """Checks before a call: the call that exceeds the limit still finishes, the next one is rejected."""
        if self.operating_seconds is None:
            return
        if self.operating(credential, method) >= self.operating_seconds:
            with self._lock:
                self.refused += 1
            raise operation_time_limit()

    def charge(self, credential: str, method: str, seconds: float) -> None:
        if seconds < self.free_seconds:
            return
        with self._lock:
            now = self.clock.monotonic()
            baskets = self._live(credential, method, now)
            if not baskets or baskets[-1].minute != int(now // BASKET_SECONDS):
                baskets.append(_Basket(int(now // BASKET_SECONDS), now + WINDOW_SECONDS))
            baskets[-1].seconds += seconds

    def operating(self, credential: str, method: str) -> float:
        with self._lock:
            return sum(basket.seconds for basket in self._live(credential, method, self.clock.monotonic()))

    def reset_at(self, credential: str, method: str) -> int:
        """Returns when the oldest minute leaves the sum (which need not become 0 then)."""
        with self._lock:
            now = self.clock.monotonic()
            baskets = self._live(credential, method, now)
            left = baskets[0].leaves_at - now if baskets else WINDOW_SECONDS
        return round(self.clock.now().timestamp() + left)

    def _live(self, credential: str, method: str, now: float) -> deque[_Basket]:
        baskets = self._baskets.setdefault((credential, method), deque())
        while baskets and baskets[0].leaves_at <= now:
            baskets.popleft()
        return baskets


@dataclass
class _Basket:
    minute: int
    leaves_at: float
    seconds: float = 0.0

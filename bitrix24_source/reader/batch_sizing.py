"""Decides how many pages the next request may ask for, by the duration of pages and the time budget used.

Three limits apply: 60 seconds for a request, each method's budget of ten minutes, and the request rate (`rest.rate_limit`).
Facts: https://apidocs.bitrix24.com/limits.html. Whether a batch is billed to itself or to its commands is contradictory there,
so the larger of the two counts.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from ..rest import BATCH_SIZE, Clock, TimeBudget
from .list_queries import CostKey

K = TypeVar("K", bound=Hashable)
REQUEST_SECONDS = 12.0
"""target duration of a request, far below the 60 s at which the cloud cuts it off"""
BUDGET_SECONDS = 400.0
"""seconds of a method's time budget that we use (cloud: 480, self-hosted default: 420)"""
SHORT_SECONDS = 0.5
"""portal time below which a request is not worth its cost: the number of requests per second is limited"""
FIRST_BATCH = 10
"""commands in a request while the portal's speed is unknown"""
GROWTH = 4
"""factor by which the number of pages may grow with each answer"""
CAUTIOUS_REQUESTS = 10
"""requests that must be answered in time before the size may exceed half of that which timed out"""


class BatchSizer:
    """Computes how many pages the next request may ask for, how long they take, and how long to wait if none may."""

    def __init__(self, budget: TimeBudget, clock: Clock, methods: Sequence[str]) -> None:
        self._budget = budget
        self._clock = clock
        self._methods = methods
        self._page_seconds = 0.0
        self._seconds: dict[CostKey, float] = {}
        self._like: dict[tuple[str, bool], float] = {}
        self._size = FIRST_BATCH
        self._most = BATCH_SIZE
        self._answered_in_time = 0
        self._probe_at: float | None = None

    def capacity(self, under_way: int) -> int:
        """Returns how many pages may be asked for now; 0 if requests in flight or the budget must be waited for."""
        level = max(self._budget.level(method) for method in self._methods)
        if level > BUDGET_SECONDS / 2 and under_way:
            return 0  # from here on, one request at a time
        left = BUDGET_SECONDS - level - under_way * self._page_seconds
        affordable = int(left / self._page_seconds) if self._page_seconds else BATCH_SIZE
        if affordable < 1 and not under_way and self._probe_at is not None:
            return 1 if self._clock.monotonic() >= self._probe_at else 0
        return max(0, min(self._size, affordable, BATCH_SIZE))

    def seconds_of(self, cost_key: CostKey) -> float:
        """Returns the seconds that a page takes, or a similar one if it is unknown; 0 while nothing is known."""
        return self._seconds.get(cost_key, self._like.get(_cost_class(cost_key), self._page_seconds))

    def min_batch(self) -> int:
        """Returns the number of pages below which a request is not split, even if connections are idle."""
        return max(1, min(BATCH_SIZE, int(SHORT_SECONDS / self._page_seconds))) if self._page_seconds else BATCH_SIZE

    def on_send(self) -> None:
        """Registers a request that is sent."""
        self._probe_at = None

    def on_response(self, cost_keys: Sequence[CostKey], durations: Sequence[float], seconds: float) -> None:
        """Registers the answer to a request.

        Args:
            cost_keys: cost keys of its pages, in order.
            durations: the duration of each page as the portal reports it, 0 if it does not.
            seconds: the total, which is divided in proportion to `durations`, or to the expected ones without them.
        """
        weights = durations if any(durations) else [self.seconds_of(cost_key) for cost_key in cost_keys]
        whole = sum(weights)
        shares = [seconds * (weight / whole if whole else 1 / len(cost_keys)) for weight in weights]
        if any(durations) or len(set(cost_keys)) == 1:  # else nobody knows whose time it was
            _learn(self._seconds, cost_keys, shares)
        _learn(self._like, list(map(_cost_class, cost_keys)), shares)
        self._page_seconds = _slower_at_once(self._page_seconds, seconds / len(cost_keys))
        self._answered_in_time += 1
        if self._answered_in_time % CAUTIOUS_REQUESTS == 0:
            self._most = min(self._most * 2, BATCH_SIZE)
        self._size = min(self._size * GROWTH, self._most)

    def on_timeout(self, cost_keys: Sequence[CostKey]) -> None:
        """Registers a request that was not answered in time."""
        pages = len(cost_keys)
        self._size = self._most = max(1, pages // 2)
        self._answered_in_time = 0
        self._page_seconds = max(self._page_seconds, REQUEST_SECONDS / self._size)
        self._seconds |= {
            cost_key: max(self._seconds.get(cost_key, 0.0), REQUEST_SECONDS / self._size) for cost_key in cost_keys
        }

    def seconds_to_wait(self) -> float:
        """Returns the seconds until the oldest minute leaves the budget window. After that, one page is sent as a probe."""
        now = self._clock.monotonic()
        if self._probe_at is None:
            self._probe_at = now + self._budget.seconds_until_reset(self._methods)
        return max(0.0, self._probe_at - now)


def _cost_class(cost_key: CostKey) -> tuple[str, bool]:
    """Returns the class of pages, of all types, that cost about the same."""
    method, _, is_ids_only = cost_key
    return method, is_ids_only


def _learn(known: dict[K, float], cost_keys: Sequence[K], shares: Sequence[float]) -> None:
    for cost_key in set(cost_keys):
        own = [share for share, its_key in zip(shares, cost_keys, strict=True) if its_key == cost_key]
        known[cost_key] = _slower_at_once(known.get(cost_key, 0.0), sum(own) / len(own))


def _slower_at_once(before: float, latest: float) -> float:
    """Returns the new estimate: it rises at once and falls gradually."""
    return max(latest, (before + latest) / 2)

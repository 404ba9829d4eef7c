"""Decides how many pages the next request may ask for, by how long pages take and how full the time budget is.

Three limits bind: 60 seconds for a request, each method's budget of ten minutes, and the request rate (`rest.rate_limit`).
Facts: https://apidocs.bitrix24.com/limits.html. The documents contradict each other on whether a batch is billed to itself or to its commands, so
the larger of both counts.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from ..rest import BATCH_SIZE, Clock, TimeBudget
from .list_queries import CostKey

K = TypeVar("K", bound=Hashable)
REQUEST_SECONDS = 12.0
"""what a request should take: far from the 60 s at which the cloud cuts it off"""
BUDGET_SECONDS = 400.0
"""of a method's budget, which is 480 on the cloud and 420 by default on self-hosted portals"""
SHORT_SECONDS = 0.5
"""of the portal's time: requests are dearer than that, and their number a second is limited"""
FIRST_BATCH = 10
"""commands, before anything is known of the portal's speed"""
GROWTH = 4
"""times more pages may be asked for with each answer"""
CAUTIOUS_REQUESTS = 10
"""that must be answered in time before more pages are asked for than half of what was too many"""


class BatchSizer:
    """Pages that may be asked for in the next request, how long they take, and seconds to wait when none may."""

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
        """Pages that may be asked for now, besides those under way; 0 when these or the budget must be waited for."""
        level = max(self._budget.level(method) for method in self._methods)
        if level > BUDGET_SECONDS / 2 and under_way:
            return 0  # one request at a time from here on
        left = BUDGET_SECONDS - level - under_way * self._page_seconds
        affordable = int(left / self._page_seconds) if self._page_seconds else BATCH_SIZE
        if affordable < 1 and not under_way and self._probe_at is not None:
            return 1 if self._clock.monotonic() >= self._probe_at else 0
        return max(0, min(self._size, affordable, BATCH_SIZE))

    def seconds_of(self, cost_key: CostKey) -> float:
        """Seconds of a page; if none like it came yet, those of the most similar ones; 0 while nothing is known."""
        return self._seconds.get(cost_key, self._like.get(_cost_class(cost_key), self._page_seconds))

    def min_batch(self) -> int:
        """Pages of which a part is not worth a request of its own, though connections are idle."""
        return max(1, min(BATCH_SIZE, int(SHORT_SECONDS / self._page_seconds))) if self._page_seconds else BATCH_SIZE

    def on_send(self) -> None:
        """A request was sent."""
        self._probe_at = None

    def on_response(self, cost_keys: Sequence[CostKey], durations: Sequence[float], seconds: float) -> None:
        """A request was answered.

        Args:
            cost_keys: of its pages, in order.
            durations: what each took as the portal says, 0 where it does not say.
            seconds: that all of them took, which they share accordingly, or else as it was to be expected.
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
        """A request was not answered in time."""
        pages = len(cost_keys)
        self._size = self._most = max(1, pages // 2)
        self._answered_in_time = 0
        self._page_seconds = max(self._page_seconds, REQUEST_SECONDS / self._size)
        self._seconds |= {
            cost_key: max(self._seconds.get(cost_key, 0.0), REQUEST_SECONDS / self._size) for cost_key in cost_keys
        }

    def seconds_to_wait(self) -> float:
        """Seconds until the oldest minute leaves the budget window. After that, one page is sent as a probe."""
        now = self._clock.monotonic()
        if self._probe_at is None:
            self._probe_at = now + self._budget.seconds_until_reset(self._methods)
        return max(0.0, self._probe_at - now)


def _cost_class(cost_key: CostKey) -> tuple[str, bool]:
    """Pages of other types that cost much the same."""
    method, _, is_ids_only = cost_key
    return method, is_ids_only


def _learn(known: dict[K, float], cost_keys: Sequence[K], shares: Sequence[float]) -> None:
    for cost_key in set(cost_keys):
        own = [share for share, its_key in zip(shares, cost_keys, strict=True) if its_key == cost_key]
        known[cost_key] = _slower_at_once(known.get(cost_key, 0.0), sum(own) / len(own))


def _slower_at_once(before: float, latest: float) -> float:
    """The expected seconds: slower at once, faster by and by."""
    return max(latest, (before + latest) / 2)

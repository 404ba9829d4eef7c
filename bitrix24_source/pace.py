"""How much may be asked of the portal in the next request? Watches how long pages take and how full the time budget is.

Three limits bind: 60 seconds for a request, ten minutes' budget of each method, and requests a second (which are the bucket's).
Facts: https://apidocs.bitrix24.com/limits.html. Whether a batch is billed to itself or to its commands is contradictory in
the documents, so the larger of both counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from .limits import Clock, OperatingBudget
from .wire import BATCH_SIZE

REQUEST_SECONDS = 12.0
"""what a request should take: far from the 60 s at which the cloud cuts it off"""

BUDGET_SECONDS = 400.0
"""of a method's budget, which is 480 on the cloud and 420 by default on self-hosted portals"""

SHORT_SECONDS = 0.5
"""of the portal's time: requests are dearer than that, and their number a second is limited"""

FIRST_BATCH = 10
"""commands, before anything is known of the portal's speed"""

GROWTH = 4
"""times the size of the request before: what few pages took is no promise for many, and a request may take five times its due"""

CAUTIOUS_REQUESTS = 10
"""that must be answered in time before more pages are asked for than half of what was too many"""


class Pace:
    """Pages that fit into the next request, and seconds to wait when none does."""

    def __init__(self, budget: OperatingBudget, clock: Clock, methods: Sequence[str]) -> None:
        self._budget = budget
        self._clock = clock
        self._methods = methods
        self._page_seconds = 0.0
        self._size = FIRST_BATCH
        self._most = BATCH_SIZE
        self._answered_in_time = 0
        self._in_flight = 0
        self._probe_at: float | None = None

    def room(self) -> int:
        """Pages that may be asked for now; 0 when running requests or the budget must be waited for."""
        level = max(self._budget.level(method) for method in self._methods)
        if level > BUDGET_SECONDS / 2 and self._in_flight:
            return 0  # one request at a time from here on
        left = BUDGET_SECONDS - level - self._in_flight * self._page_seconds
        affordable = int(left / self._page_seconds) if self._page_seconds else BATCH_SIZE
        if affordable < 1 and not self._in_flight and self._probe_at is not None:
            return 1 if self._clock.monotonic() >= self._probe_at else 0
        return max(0, min(self._size, affordable, BATCH_SIZE))

    def worth_a_request(self) -> int:
        """Pages of which a part is not worth a request of its own, though connections are idle."""
        return max(1, min(BATCH_SIZE, int(SHORT_SECONDS / self._page_seconds))) if self._page_seconds else BATCH_SIZE

    def sent(self, pages: int) -> None:
        """A request of `pages` is on its way."""
        self._in_flight += pages
        self._probe_at = None

    def came(self, pages: int, seconds: float) -> None:
        """A request of `pages` was answered."""
        self._in_flight -= pages
        latest = seconds / pages
        self._page_seconds = max(latest, (self._page_seconds + latest) / 2)  # slower at once, faster by and by
        fitting = int(REQUEST_SECONDS / max(self._page_seconds, 1e-6))
        self._answered_in_time += 1
        if self._answered_in_time % CAUTIOUS_REQUESTS == 0:
            self._most = min(self._most * 2, BATCH_SIZE)
        self._size = max(1, min(fitting, self._size * GROWTH, self._most))

    def too_slow(self, pages: int) -> None:
        """A request of `pages` was not answered in time."""
        self._in_flight -= pages
        self._size = self._most = max(1, pages // 2)
        self._answered_in_time = 0
        self._page_seconds = max(self._page_seconds, REQUEST_SECONDS / self._size)

    def seconds_to_wait(self) -> float:
        """Until the oldest minute leaves the budget; then a single page may find out how full it is."""
        now = self._clock.monotonic()
        if self._probe_at is None:
            self._probe_at = now + self._budget.seconds_until_reset(self._methods)
        return max(0.0, self._probe_at - now)

"""Fills one batch request: max-id probes first, then page chains, as long as they fit."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..rest import Call
from .batch_sizing import REQUEST_SECONDS, BatchSizer
from .id_ranges import IdRange
from .list_queries import CostKey


@dataclass(eq=False)
class BatchRequest:
    """One request.

    Attributes:
        sizer: knows how long pages take.
        capacity: number of commands that still fit.
        seconds: duration that still fits.
        calls: the commands, those of `probes` before those of `chains`.
        cost_keys: cost keys of the commands.
        probes: ranges whose highest id is looked for.
        chains: ranges that are read, each with its number of pages.
    """

    sizer: BatchSizer
    capacity: int
    seconds: float = REQUEST_SECONDS
    calls: list[Call] = field(default_factory=list)
    cost_keys: list[CostKey] = field(default_factory=list)
    probes: list[IdRange] = field(default_factory=list)
    chains: list[tuple[IdRange, int]] = field(default_factory=list)

    @property
    def pages(self) -> int:
        """Number of pages of rows in the request."""
        return sum(pages for _, pages in self.chains)

    @property
    def ranges(self) -> list[IdRange]:
        """All ranges in the request."""
        return [*self.probes, *(id_range for id_range, _ in self.chains)]

    def add_probe(self, id_range: IdRange) -> bool:
        """Adds a max-id probe for the range. Returns whether there was capacity for it."""
        if not self._fitting(id_range.query.probe_cost_key):
            return False
        self.probes.append(id_range)
        self._add([id_range.query.max_id_call()], id_range.query.probe_cost_key)
        return True

    def add_pages(self, id_range: IdRange, longest: int) -> bool:
        """Adds as many of the range's next pages as fit, at most `longest`. Returns whether there was capacity for any."""
        most = min(longest, self._fitting(id_range.query.cost_key))
        if not most:
            return False
        pages = id_range.pages_wanted(most)
        self.chains.append((id_range, pages))
        self._add(id_range.chain(pages, len(self.calls)), id_range.query.cost_key)
        return True

    def _fitting(self, cost_key: CostKey) -> int:
        """Returns the number of pages that fit; the first one always does."""
        seconds = self.sizer.seconds_of(cost_key)
        fitting = int(self.seconds / seconds) if seconds else self.capacity
        return min(self.capacity, max(fitting, 0 if self.calls else 1))

    def _add(self, calls: list[Call], cost_key: CostKey) -> None:
        self.calls += calls
        self.cost_keys += [cost_key] * len(calls)
        self.capacity -= len(calls)
        self.seconds -= len(calls) * self.sizer.seconds_of(cost_key)

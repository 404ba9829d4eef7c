"""Fills one batch request: max-id probes first, then page chains, as long as they fit."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..rest import Call
from .batch_sizing import REQUEST_SECONDS, BatchSizer
from .id_ranges import IdRange
from .list_queries import CostKey


@dataclass
class BatchRequest:
    """One request.

    Attributes:
        pace: knows how long pages take.
        capacity: commands that still fit.
        seconds: that what fits may still take.
        token: what it is signed with.
        calls: its commands, those of `probes` before those of `chains`.
        kinds: of the commands.
        probes: ranges whose probes id is looked for.
        chains: ranges that are read, each with so many pages.
    """

    pace: BatchSizer
    capacity: int
    token: str | None = None
    seconds: float = REQUEST_SECONDS
    calls: list[Call] = field(default_factory=list)
    kinds: list[CostKey] = field(default_factory=list)
    probes: list[IdRange] = field(default_factory=list)
    chains: list[tuple[IdRange, int]] = field(default_factory=list)

    def add_probe(self, id_range: IdRange) -> bool:
        """Takes it along, if it fits."""
        if not self._fitting(id_range.items.probe_cost_key):
            return False
        self.probes.append(id_range)
        self._add([id_range.items.max_id_call()], id_range.items.probe_cost_key)
        return True

    def add_pages(self, id_range: IdRange, longest: int) -> bool:
        """Takes as many of its next pages along as fit, if one does."""
        most = min(longest, self._fitting(id_range.items.kind))
        if not most:
            return False
        links = id_range.pages_wanted(most)
        self.chains.append((id_range, links))
        self._add(id_range.chain(links, len(self.calls)), id_range.items.kind)
        return True

    def _fitting(self, kind: CostKey) -> int:
        """Pages; the first one fits, whatever it takes."""
        seconds = self.pace.seconds_of(kind)
        fitting = int(self.seconds / seconds) if seconds else self.capacity
        return min(self.capacity, max(fitting, 0 if self.calls else 1))

    def _add(self, calls: list[Call], kind: CostKey) -> None:
        self.calls += calls
        self.kinds += [kind] * len(calls)
        self.capacity -= len(calls)
        self.seconds -= len(calls) * self.pace.seconds_of(kind)

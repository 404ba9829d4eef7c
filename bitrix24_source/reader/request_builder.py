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
        room: commands that still fit.
        seconds: that what fits may still take.
        token: what it is signed with.
        calls: its commands, those of `newest` before those of `chains`.
        kinds: of the commands.
        newest: segments whose newest id is looked for.
        chains: segments that are read, each with so many pages.
    """

    pace: BatchSizer
    room: int
    token: str | None = None
    seconds: float = REQUEST_SECONDS
    calls: list[Call] = field(default_factory=list)
    kinds: list[CostKey] = field(default_factory=list)
    newest: list[IdRange] = field(default_factory=list)
    chains: list[tuple[IdRange, int]] = field(default_factory=list)

    def look_for_newest(self, segment: IdRange) -> bool:
        """Takes it along, if it fits."""
        if not self._fitting(segment.items.kind_of_newest):
            return False
        self.newest.append(segment)
        self._add([segment.items.newest()], segment.items.kind_of_newest)
        return True

    def read(self, segment: IdRange, longest: int) -> bool:
        """Takes as many of its next pages along as fit, if one does."""
        most = min(longest, self._fitting(segment.items.kind))
        if not most:
            return False
        links = segment.pages_wanted(most)
        self.chains.append((segment, links))
        self._add(segment.chain(links, len(self.calls)), segment.items.kind)
        return True

    def _fitting(self, kind: CostKey) -> int:
        """Pages; the first one fits, whatever it takes."""
        seconds = self.pace.seconds_of(kind)
        fitting = int(self.seconds / seconds) if seconds else self.room
        return min(self.room, max(fitting, 0 if self.calls else 1))

    def _add(self, calls: list[Call], kind: CostKey) -> None:
        self.calls += calls
        self.kinds += [kind] * len(calls)
        self.room -= len(calls)
        self.seconds -= len(calls) * self.pace.seconds_of(kind)

"""What a stream stores between runs: cursor, high-water id, unfinished id ranges, last reconciliation.

The time at which a completed read *began*, by the portal's clock, becomes the cursor: whatever changes later is read by the next
run, however long the read took. A full read that was cut into session keeps the id ranges that are left. Pure; dlt stores it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..reader import IdRange, ListQuery, StoredRange
from .options import ReconcileSchedule


@dataclass
class Checkpoint:
    """One type, as of the last committed load.

    Attributes:
        cursor: when its last finished reading began, by the portal's clock, ISO 8601; empty before the first one.
        ahead: by how many seconds the portal's clock was then ahead of ours.
        max_id: the highest id ever read.
        began: when an unfinished full reading began; empty when there is none.
        parts: stretches of ids that it has left.
        swept_at: when its ids were last compared with the destination's.
        runs: since then.
        selection: fingerprint of filter and selected fields; another one means another table content.
    """

    cursor: str = ""
    ahead: float | None = None
    max_id: int = 0
    began: str = ""
    parts: list[StoredRange] = field(default_factory=list)
    swept_at: str = ""
    runs: int = 0
    selection: str = ""

    @classmethod
    def of(cls, state: Mapping[str, Any], type_id: int, items: ListQuery) -> Checkpoint:
        """What the state holds; nothing where it is about another selection."""
        kept = state.get("types", {}).get(str(type_id), {})
        known = {name: kept[name] for name in cls.__dataclass_fields__ if name in kept}
        memory = cls(**known)
        selection = fingerprint(items)
        return memory if memory.selection == selection else cls(selection=selection)

    def keep(self, state: MutableMapping[str, Any], type_id: int) -> None:
        state.setdefault("types", {})[str(type_id)] = asdict(self)

    @property
    def has_unfinished_full_read(self) -> bool:
        return bool(self.began and self.parts)

    def ranges(self, items: ListQuery) -> list[IdRange]:
        """What a full reading has left, or all of it."""
        if not self.has_unfinished_full_read:
            return [IdRange(items, known=self.max_id)]
        return [IdRange.from_stored(items, part) for part in self.parts]

    def is_sweep_due(self, now: datetime, schedule: ReconcileSchedule) -> bool:
        """Whether ids should be compared in this run."""
        if schedule.now or not self.swept_at:
            return True
        if schedule.runs and self.runs + 1 >= schedule.runs:
            return True
        return bool(schedule.hours) and now - datetime.fromisoformat(self.swept_at) >= timedelta(hours=schedule.hours)

    def since(self, overlap: timedelta) -> datetime:
        """What changed from here on is read again."""
        return datetime.fromisoformat(self.cursor) - overlap

    def clock_regression(self, now: datetime, ahead: float) -> timedelta:
        """By how much the portal's clock was set back since the cursor: what changed since then may look older than it.

        Either the clock stands before the cursor, or it has lost ground against ours.
        """
        lost = timedelta(seconds=self.ahead - ahead) if self.ahead is not None else timedelta()
        return max(timedelta(), lost, datetime.fromisoformat(self.cursor) - now)


def fingerprint(items: ListQuery) -> str:
    """Tells two selections of one type apart."""
    text = json.dumps([items.filter, sorted(items.select)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

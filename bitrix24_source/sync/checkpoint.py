"""What a stream stores between runs: cursor, high-water id, unfinished id ranges, last reconciliation.

The time at which a completed read *began*, by the portal's clock, becomes the cursor: whatever changes later is read by the next
run, however long the read took. A full read that was cut into slices keeps the id ranges that are left. Pure; dlt stores it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..reader import IdRange, ListQuery, StoredRange
from .options import ReconcileSchedule

STORED_KEYS = {
    "cursor": "cursor",
    "clock_skew": "ahead",
    "high_water_id": "max_id",
    "full_read_started": "began",
    "remaining_ranges": "parts",
    "reconciled_at": "swept_at",
    "runs_since": "runs",
    "selection": "selection",
    "type_id": "type_id",
    "columns": "columns",
    "unlisted_columns": "unlisted",
    "childless": "childless",
    "may_shrink": "may_shrink",
    "user": "user",
}
"""Attributes of a `Checkpoint` and the keys that they are stored under: renaming a key makes every pipeline start over."""


@dataclass(frozen=True)
class Checkpoint:
    """One stream, as of the last committed load.

    Attributes:
        cursor: when its last finished read began, by the portal's clock, ISO 8601; empty before the first one.
        clock_skew: by how many seconds the portal's clock was then ahead of ours.
        high_water_id: the highest id ever read.
        full_read_started: when an unfinished full read began; empty when there is none.
        remaining_ranges: id ranges that it still has to cover.
        reconciled_at: when its ids were last compared with the destination's.
        runs_since: runs since then.
        selection: fingerprint of filter and selected fields; another one means another table content.
        type_id: the type's own `id`, which a type made anew under the same entityTypeId does not share; None where unknown.
        columns: fingerprints of the columns that all rows were read for; None or empty where that was not stored.
        unlisted_columns: the same, of those that no field explains: only rows know them.
        childless: owners to which nothing belonged when the destination was last found to have nothing of them.
        may_shrink: the table was filled by another selection or another type, so that any number of its rows may be gone, until
            ids were compared.
        user: id of the credential's user who last read it to its end; empty where that is not known.
    """

    cursor: str = ""
    clock_skew: float | None = None
    high_water_id: int = 0
    full_read_started: str = ""
    remaining_ranges: tuple[StoredRange, ...] = ()
    reconciled_at: str = ""
    runs_since: int = 0
    selection: str = ""
    type_id: int | None = None
    columns: tuple[str, ...] | None = None
    unlisted_columns: tuple[str, ...] = ()
    childless: int = 0
    may_shrink: bool = False
    user: str = ""

    @classmethod
    def from_state(
        cls, state: Mapping[str, Any], entity_type_id: int, query: ListQuery, last_user: str = ""
    ) -> Checkpoint:
        """What the state of a resource holds; a new one where that is about another selection.

        Args:
            state: of the resource.
            entity_type_id: whose list it is.
            query: the list as it is read now.
            last_user: who has read the list where its own state does not say.
        """
        types, type_key = state.get("types", {}), str(entity_type_id)
        stored, selection = types.get(type_key, {}), fingerprint(query)
        user = str(stored.get("user", last_user)) if type_key in types else ""
        if stored.get("selection", "") != selection:
            return cls(selection=selection, may_shrink=type_key in types, user=user)
        values: dict[str, Any] = {name: stored[key] for name, key in STORED_KEYS.items() if key in stored}
        values["user"] = user
        values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**values)

    def to_state(self, state: MutableMapping[str, Any], entity_type_id: int) -> None:
        """Writes it into the state of a resource."""
        values = {key: getattr(self, name) for name, key in STORED_KEYS.items()}
        stored = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        state.setdefault("types", {})[str(entity_type_id)] = stored

    @property
    def position(self) -> Mapping[str, Any]:
        """How far the list was read, and by whom."""
        return {
            "user": self.user,
            "cursor": self.cursor,
            "clock_skew": self.clock_skew,
            "high_water_id": self.high_water_id,
            "full_read_started": self.full_read_started,
            "remaining_ranges": self.remaining_ranges,
        }

    def renewed(self, type_id: int | None = None) -> Checkpoint:
        """For a stream that is read from the start; columns that only rows tell of are not read for again.

        Args:
            type_id: the type's own `id` today.
        """
        is_anew = type_id is not None and self.type_id not in (None, type_id)
        return Checkpoint(
            selection=self.selection,
            unlisted_columns=self.unlisted_columns,
            may_shrink=self.may_shrink or is_anew,
            user=self.user,
        )

    def was_read_by_another(self, user: str) -> bool:
        """Whether another user than this one has read it, who may have seen other items; not where one of them is not known."""
        return bool(user and self.user and user != self.user)

    def reason_to_start_over(self, type_id: int | None, columns: Mapping[str, str]) -> str:
        """Why rows that were read before do not do any more; "" where they do.

        Args:
            type_id: the type's own `id` today.
            columns: names, by fingerprint, of the columns that are filled today.
        """
        if not (self.cursor or self.has_unfinished_full_read):
            return ""
        if type_id is not None and self.type_id is not None and type_id != self.type_id:
            return f"the type was made anew, {self.type_id} is {type_id} now"
        new = sorted(name for key, name in columns.items() if self.columns and key not in self.columns)
        return f"these columns are new, came back or changed: {', '.join(new)}" if new else ""

    @property
    def has_unfinished_full_read(self) -> bool:
        return bool(self.full_read_started and self.remaining_ranges)

    def ranges(self, query: ListQuery) -> list[IdRange]:
        """What a full read has left, or all of it."""
        if not self.has_unfinished_full_read:
            return [IdRange(query, checkpoint_max_id=self.high_water_id)]
        return [IdRange.from_stored(query, stored) for stored in self.remaining_ranges]

    def is_reconciliation_due(self, now: datetime, schedule: ReconcileSchedule) -> bool:
        """Whether ids should be compared in this run."""
        if schedule.now or not self.reconciled_at:
            return True
        if schedule.runs and self.runs_since + 1 >= schedule.runs:
            return True
        return bool(schedule.hours) and now - datetime.fromisoformat(self.reconciled_at) >= timedelta(
            hours=schedule.hours
        )

    def since(self, overlap: timedelta) -> datetime:
        """What changed from here on is read again."""
        return datetime.fromisoformat(self.cursor) - overlap

    def clock_regression(self, now: datetime, ahead: float) -> timedelta:
        """By how much the portal's clock was set back since the cursor: what changed since then may look older than it.

        Either the clock stands before the cursor, or it has lost ground against ours.
        """
        lost = timedelta(seconds=self.clock_skew - ahead) if self.clock_skew is not None else timedelta()
        return max(timedelta(), lost, datetime.fromisoformat(self.cursor) - now)


def fingerprint(query: ListQuery) -> str:
    """Tells two selections of one type apart."""
    text = json.dumps([query.filter, sorted(query.select)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def column_keys(columns: Iterable[str]) -> dict[str, str]:
    """Columns, as "table.column type", by a short fingerprint: the state of many types should stay small."""
    return {f"{zlib.crc32(column.encode()):08x}": column for column in columns}

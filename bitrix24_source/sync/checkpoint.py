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
"""Keys under which the attributes of a `Checkpoint` are stored; renaming one makes every pipeline start over."""


@dataclass(frozen=True)
class Checkpoint:
    """The stored position of one stream, as of the last committed load.

    Attributes:
        cursor: when its last finished read began, by the portal's clock, ISO 8601; empty before the first one.
        clock_skew: by how many seconds the portal's clock was ahead of ours then.
        high_water_id: the highest id ever read.
        full_read_started: when an unfinished full read began; empty without one.
        remaining_ranges: id ranges that it has still to read.
        reconciled_at: when its ids were last compared with the destination's.
        runs_since: number of runs since then.
        selection: fingerprint of filter and selected fields; if it changes, the table is read anew.
        type_id: the type's own `id`, which changes if the type is recreated under the same entityTypeId; None if unknown.
        columns: fingerprints of the columns for which all rows were read; None or empty if not stored.
        unlisted_columns: the same for columns of keys that no field list contains, but rows do.
        childless: how many parents had no dependents in the portal when last rechecked.
        may_shrink: the table was filled by another selection or another type, so that any number of its rows may be gone, until
            ids have been compared.
        user: id of the credential's user who last read it to its end; empty if unknown.
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
        """Returns the stored checkpoint, or a new one if the selection has changed.

        Args:
            state: state of the resource.
            entity_type_id: entity type of the list.
            query: the list as it is read now.
            last_user: the user who read the list, if its own state does not say.
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
        """Writes the checkpoint into the state of a resource."""
        values = {key: getattr(self, name) for name, key in STORED_KEYS.items()}
        stored = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        state.setdefault("types", {})[str(entity_type_id)] = stored

    @property
    def position(self) -> Mapping[str, Any]:
        """How far the list was read, and by which user."""
        return {
            "user": self.user,
            "cursor": self.cursor,
            "clock_skew": self.clock_skew,
            "high_water_id": self.high_water_id,
            "full_read_started": self.full_read_started,
            "remaining_ranges": self.remaining_ranges,
        }

    def renewed(self, type_id: int | None = None) -> Checkpoint:
        """Returns a checkpoint for a full re-read.

        Unlisted columns are kept, so that they do not trigger another one.

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
        """Returns whether a known user other than `user` read it last, who may have seen other items."""
        return bool(user and self.user and user != self.user)

    def reason_to_start_over(self, type_id: int | None, columns: Mapping[str, str]) -> str:
        """Returns why the list must be read anew; "" if it need not.

        Args:
            type_id: the type's own `id` today.
            columns: names of the columns that are filled today, by fingerprint.
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
        """Returns the ranges that a full read has left, or the whole list."""
        if not self.has_unfinished_full_read:
            return [IdRange(query, checkpoint_max_id=self.high_water_id)]
        return [IdRange.from_stored(query, stored) for stored in self.remaining_ranges]

    def is_reconciliation_due(self, now: datetime, schedule: ReconcileSchedule) -> bool:
        """Returns whether ids are to be compared in this run."""
        if schedule.now or not self.reconciled_at:
            return True
        if schedule.runs and self.runs_since + 1 >= schedule.runs:
            return True
        return bool(schedule.hours) and now - datetime.fromisoformat(self.reconciled_at) >= timedelta(
            hours=schedule.hours
        )

    def since(self, overlap: timedelta) -> datetime:
        """Returns the time from which changes are read again."""
        return datetime.fromisoformat(self.cursor) - overlap

    def clock_regression(self, now: datetime, ahead: float) -> timedelta:
        """Returns by how much the portal's clock was set back since the cursor, so that changes may look older than it.

        Either the clock is before the cursor, or it has fallen behind ours.
        """
        lost = timedelta(seconds=self.clock_skew - ahead) if self.clock_skew is not None else timedelta()
        return max(timedelta(), lost, datetime.fromisoformat(self.cursor) - now)


def fingerprint(query: ListQuery) -> str:
    """Returns a fingerprint of filter and selected fields."""
    text = json.dumps([query.filter, sorted(query.select)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def column_keys(columns: Iterable[str]) -> dict[str, str]:
    """Returns columns ("table.column type") by short fingerprints, which keep the state of many types small."""
    return {f"{zlib.crc32(column.encode()):08x}": column for column in columns}

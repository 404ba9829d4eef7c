"""Compares the ids and times of change that the portal shows with the destination's, and says what differs.

Rows that are gone from the portal are marked in `deleted_at`, keeping their last values; a merge replaces whole rows, so a row
that is to be marked is read back from the destination first. An item that comes back arrives like any other, and its new row has
no `deleted_at`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import PortalError
from ..rest import as_local_time
from ..schema import DELETED_AT
from .ports import LIST_SIZES, TIMESTAMP, DestinationReader, StoredKeys

ALWAYS_ALLOWED_DELETES = 10
"""rows that may always go"""
FEW_DELETES = 3
"""rows of which nothing is said, however small their table is"""
Ids = Sequence[pa.Array]


@dataclass
class SeenKeys:
    """What the portal showed of one list in this run.

    Attributes:
        ids: of all its rows.
        times: when these were changed, as the portal writes it; None where only ids were read.
        fetched: ids of rows that were read whole beside them, and are on their way into the destination.
        lists: by child table, pages of how many rows it should hold of each item; null where that is not known.
        is_complete: every row had a usable id. Else a row that is not among them need not be gone.
    """

    ids: list[pa.Array] = field(default_factory=list)
    times: list[pa.Array] | None = None
    fetched: list[pa.Array] = field(default_factory=list)
    lists: dict[str, list[pa.Table]] = field(default_factory=dict)
    is_complete: bool = True

    def add(self, ids: pa.Array, times: Sequence[Any] | None = None) -> None:
        """A page."""
        self.ids.append(ids)
        if times is not None:
            self.times = self.times if self.times is not None else []
            self.times.append(pa.array(map(_stored_time, times), TIMESTAMP))

    def add_lists(self, ids: pa.Array, sizes: Mapping[str, pa.Array]) -> None:
        """Of a page, by child table, how many rows it should hold of each item."""
        for table, numbers in sizes.items():
            if numbers.null_count < len(numbers):
                self.lists.setdefault(table, []).append(pa.table([ids, numbers], LIST_SIZES))


@dataclass(frozen=True)
class Comparison:
    """How a table differs from its list.

    Attributes:
        active: rows of the table that are not marked as deleted.
        gone: ids of those that the portal does not show.
        missing: ids that the portal shows and the table does not have.
        restored: ids that the portal shows and the table has marked.
        changed: ids of rows with another time of change.
        incomplete: ids of items of which a child table has another number of rows.
    """

    active: int
    gone: Sequence[int]
    missing: Sequence[int]
    restored: Sequence[int]
    changed: Sequence[int]
    incomplete: Sequence[int] = ()

    @property
    def to_read(self) -> list[int]:
        """Ids to read again, in ascending order."""
        return sorted({*self.missing, *self.restored, *self.changed, *self.incomplete})

    def is_unusual(self, max_share: float) -> bool:
        """Whether more rows are gone than usually go, though few enough to be marked: all of them, or more than `max_share`."""
        gone = len(self.gone)
        return bool(gone) and (gone == self.active or (gone > FEW_DELETES and gone > max_share * self.active))

    def require_plausible(self, table: str, max_share: float) -> None:
        """Refuses more deletions than there should be.

        Raises:
            PortalError: more than `max_share` of the table's rows would go: more likely a lost right than so many deletions.
        """
        gone = len(self.gone)
        if gone > ALWAYS_ALLOWED_DELETES and gone > max_share * self.active:
            raise PortalError(
                f"{gone:,} of {self.active:,} items are gone from the portal, which looks more like a lost right than like "
                "deletions; none was marked",
                table,
                "check the rights of the credential; if they were deleted, run once with "
                "SOURCES__BITRIX24__MAX_DELETED_SHARE=1",
            )


def compare(stored: StoredKeys, seen: SeenKeys) -> Comparison:
    """Compares a table with its list. Where times were read, a row with another time differs."""
    ids, fetched = _joined(seen.ids), _joined(seen.fetched)
    active = stored.active_ids
    gone = active.filter(pc.invert(pc.is_in(active, value_set=ids)))
    unread = ids.filter(pc.invert(pc.is_in(ids, value_set=fetched)))
    missing = unread.filter(pc.invert(pc.is_in(unread, value_set=stored.ids)))
    restored = unread.filter(pc.is_in(unread, value_set=stored.deleted_ids))
    return Comparison(
        len(active), gone.to_pylist(), missing.to_pylist(), restored.to_pylist(), _changed(stored, seen, unread)
    )


def _changed(stored: StoredKeys, seen: SeenKeys, unread: pa.ChunkedArray) -> list[int]:
    if seen.times is None or stored.updated is None or not len(stored.ids):
        return []
    ids, times = _joined(seen.ids).combine_chunks(), pa.chunked_array(seen.times, TIMESTAMP).combine_chunks()
    places = pc.index_in(ids, value_set=stored.ids)
    is_known = pc.is_valid(places)
    known, shown = ids.filter(is_known), times.filter(is_known)
    kept = stored.updated.take(places.filter(is_known))
    is_same = pc.or_kleene(pc.equal(shown, kept), pc.and_(pc.is_null(shown), pc.is_null(kept)))
    differing = known.filter(pc.invert(pc.fill_null(is_same, fill_value=False)))
    return list(differing.filter(pc.is_in(differing, value_set=unread)).to_pylist())


def items_with_other_lists(stored: pa.Table, expected: pa.Table, seen: SeenKeys) -> list[int]:
    """Ids of items of which a child table has another number of rows than expected.

    Not of those that the portal does not show, nor of those that are on their way.

    Args:
        stored: `item_id` and `rows` of the child table.
        expected: the same as it should be; null where that is not known.
        seen: what the portal showed.
    """
    ids = expected.column("item_id")
    places = pc.index_in(ids, value_set=stored.column("item_id"))
    kept = pc.fill_null(stored.column("rows").take(places.combine_chunks()), 0)
    differing = ids.filter(pc.fill_null(pc.not_equal(expected.column("rows"), kept), fill_value=False))
    shown = differing.filter(pc.is_in(differing, value_set=_joined(seen.ids)))
    return list(shown.filter(pc.invert(pc.is_in(shown, value_set=_joined(seen.fetched)))).to_pylist())


def tombstones(destination: DestinationReader, table: str, ids: Sequence[int], now: datetime) -> Iterator[pa.Table]:
    """The rows of items that are gone from the portal, as the destination has them, marked with the time `now`."""
    for rows in destination.rows(table, ids) if ids else ():
        marks = pa.array([now] * len(rows), TIMESTAMP)
        yield rows.set_column(rows.schema.get_field_index(DELETED_AT), DELETED_AT, marks)


def _stored_time(value: Any) -> datetime | None:
    """A time as the table has it; None for one that no table can hold."""
    time = as_local_time(value)
    try:
        return time.astimezone(timezone.utc) if time is not None else None
    except OverflowError:
        return None


def _joined(ids: Ids) -> pa.ChunkedArray:
    return pa.chunked_array(list(ids), pa.int64())

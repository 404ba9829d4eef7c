"""Compares the ids and times of change that the portal shows with the destination's.

Items deleted in the portal are marked in `deleted_at` and keep their last values. A merge replaces whole rows, so a row is
read back from the destination before it is marked. A restored item arrives like any other, in a row without `deleted_at`.
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
from .ports import TIMESTAMP, VALUE_COUNTS, DestinationReader, StoredKeys

ALWAYS_ALLOWED_DELETES = 10
"""up to this many rows are marked as deleted whatever their share of the table"""
FEW_DELETES = 3
"""up to this many deletions are not reported, however small the table, unless they are all of its rows"""
Ids = Sequence[pa.Array]


@dataclass
class SeenKeys:
    """The ids of one list that the portal showed in this run.

    Attributes:
        ids: ids of all its rows, in pages.
        times: their times of change as the portal writes them; None if only ids were read.
        fetched: ids of rows that this load reads completely and writes to the destination anyway.
        lists: by child table, the number of rows that it should have for each item, in pages; null if unknown.
        is_complete: every row had a usable id; otherwise a row that is not among `ids` may still exist.
    """

    ids: list[pa.Array] = field(default_factory=list)
    times: list[pa.Array] | None = None
    fetched: list[pa.Array] = field(default_factory=list)
    lists: dict[str, list[pa.Table]] = field(default_factory=dict)
    is_complete: bool = True

    def add(self, ids: pa.Array, times: Sequence[Any] | None = None) -> None:
        """Adds a page."""
        self.ids.append(ids)
        if times is not None:
            self.times = self.times if self.times is not None else []
            self.times.append(pa.array(map(_stored_time, times), TIMESTAMP))

    def add_lists(self, ids: pa.Array, sizes: Mapping[str, pa.Array]) -> None:
        """Adds a page of ids with the number of rows that each child table should have for them."""
        for table, numbers in sizes.items():
            if numbers.null_count < len(numbers):
                self.lists.setdefault(table, []).append(pa.table([ids, numbers], VALUE_COUNTS))


@dataclass(frozen=True)
class Comparison:
    """The differences between a table and its list in the portal.

    Attributes:
        active: number of rows of the table that are not marked as deleted.
        gone: ids of those rows that the portal does not show.
        missing: ids that the portal shows and the table lacks.
        restored: ids that the portal shows and the table has marked as deleted.
        changed: ids of rows with another time of change.
        incomplete: ids of items for which a child table has another number of rows.
    """

    active: int
    gone: Sequence[int]
    missing: Sequence[int]
    restored: Sequence[int]
    changed: Sequence[int]
    incomplete: Sequence[int] = ()

    @property
    def to_read(self) -> list[int]:
        """Returns the ids to read again, in ascending order."""
        return sorted({*self.missing, *self.restored, *self.changed, *self.incomplete})

    def is_unusual(self, max_share: float) -> bool:
        """Returns whether all rows are gone, or more than `max_share`; few enough of them are marked all the same."""
        gone = len(self.gone)
        return bool(gone) and (gone == self.active or (gone > FEW_DELETES and gone > max_share * self.active))

    def require_plausible(self, table: str, max_share: float) -> None:
        """Rejects an implausible number of deletions.

        Raises:
            PortalError: more than `max_share` of the table's rows are gone, which looks like a lost permission.
        """
        gone = len(self.gone)
        if gone > ALWAYS_ALLOWED_DELETES and gone > max_share * self.active:
            raise PortalError(
                f"{gone:,} of {self.active:,} items are gone from the portal, which looks more like a lost permission than like "
                "deletions; none was marked",
                table,
                "check the rights of the credential; if they were deleted, run once with "
                "SOURCES__BITRIX24__MAX_DELETED_SHARE=1",
            )


def compare(stored: StoredKeys, seen: SeenKeys) -> Comparison:
    """Compares a table with its list; rows with another time of change differ, if times were read."""
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
    """Returns the ids of items for which a child table has another number of rows than expected.

    Items that the portal does not show, or that are being written anyway, are left out.

    Args:
        stored: `item_id` and `rows` of the child table.
        expected: the expected numbers in the same form; null if unknown.
        seen: the ids that the portal showed.
    """
    ids = expected.column("item_id")
    places = pc.index_in(ids, value_set=stored.column("item_id"))
    kept = pc.fill_null(stored.column("rows").take(places.combine_chunks()), 0)
    differing = ids.filter(pc.fill_null(pc.not_equal(expected.column("rows"), kept), fill_value=False))
    shown = differing.filter(pc.is_in(differing, value_set=_joined(seen.ids)))
    return list(shown.filter(pc.invert(pc.is_in(shown, value_set=_joined(seen.fetched)))).to_pylist())


def tombstones(destination: DestinationReader, table: str, ids: Sequence[int], now: datetime) -> Iterator[pa.Table]:
    """Yields the destination's rows of deleted items, with `deleted_at` set to `now`."""
    for rows in destination.rows(table, ids) if ids else ():
        marks = pa.array([now] * len(rows), TIMESTAMP)
        yield rows.set_column(rows.schema.get_field_index(DELETED_AT), DELETED_AT, marks)


def _stored_time(value: Any) -> datetime | None:
    """Converts a time as for the table; None for one that no table can hold."""
    time = as_local_time(value)
    try:
        return time.astimezone(timezone.utc) if time is not None else None
    except OverflowError:
        return None


def _joined(ids: Ids) -> pa.ChunkedArray:
    return pa.chunked_array(list(ids), pa.int64())

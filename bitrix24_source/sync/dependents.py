"""Dependent streams: product rows and activity bindings, read again whenever their parent item changes.

The portal lists them by owner only and reports no changes. Where parent and dependents are up to date with each other, the
parents come from the parent stream's own rows; else their ids are read first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Any, ClassVar

import pyarrow as pa

from ..errors import Bitrix24Error, PortalError
from ..reader import BindingQuery, ChildQuery, ProductRowQuery, Row
from ..rest import CallGenerator
from .checkpoint import Checkpoint
from .child_counts import owners_that_differ
from .item_tables import TableRows
from .ports import ChildCounts
from .record_tables import BindingTableBuilder, ChildTableBuilder
from .streams import Stream


@dataclass(eq=False)
class DependentStream(Stream):
    """One type's product rows, or the bindings of all activities.

    Attributes:
        owned: the table of what belongs to the owners; `table` is None, for of the owners only ids are read.
        asked: the list of what belongs to some owners.
        parent_stream: reads the owners in this round, if somebody does.
        shares_parent_read: what the parent_stream reads in this round is what it needs itself.
        inline_children: what an owner's row itself holds of what belongs to it; None where rows hold nothing of it.
        owners: whose turn it is.
    """

    owned: ChildTableBuilder | BindingTableBuilder = field(default_factory=BindingTableBuilder)
    asked: Callable[[Sequence[int]], ChildQuery] = field(default=lambda _owners: ChildQuery(0))
    parent_stream: Stream | None = None
    shares_parent_read: bool = False
    inline_children: Callable[[Row], Sequence[Row]] | None = None
    owners: list[pa.Array] = field(default_factory=list)
    rechecked: frozenset[int] = frozenset()
    """owners that are asked for again because the destination has nothing of them"""
    childless: set[int] = field(default_factory=set)
    """owners that were asked for, and to which nothing belongs"""
    is_comparison_missing: bool = False
    """rows were to be compared, and the portal could not be asked"""
    asks_single_owners: bool = False
    """the portal refuses lists of owners: it judges all of them by the right to one item"""

    is_compared: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return self.owned.name

    def empty_tables(self) -> Iterator[TableRows]:
        yield from self.owned.empty_tables()

    def remember(self) -> None:
        """Not where something is missing: then the owners are asked for again."""
        if not self.failed:
            super().remember()

    def look_for_parent_stream(self) -> None:
        """Follows, where both have read the same so far."""
        self.shares_parent_read = self.parent_stream is not None and _progress(
            self.parent_stream.checkpoint
        ) == _progress(self.checkpoint)

    def observe_parents(self, owners: pa.Array, rows: Sequence[Row]) -> ChildBatch:
        """Rows of owners: it is the turn of those that do not bring with them what is theirs."""
        found = ChildBatch()
        if self.inline_children is None:
            self.owners.append(owners)
            return found
        lacking = []
        for owner, row in zip(owners.to_pylist(), rows, strict=True):
            if theirs := self.inline_children(row):
                found.add([owner], theirs)
            else:
                lacking.append(owner)
        self.owners.append(pa.array(lacking, pa.int64()))
        return found

    def lists(self) -> Iterator[ChildQuery]:
        """One for each handful of owners."""
        ids = sorted(set().union(*(array.to_pylist() for array in self.owners)))
        start, max_owners = 0, self.asked(()).max_owners
        while start < len(ids):
            end = start + (1 if self.asks_single_owners else max_owners)
            yield self.asked(ids[start:end])
            start = end

    def adopt_parent_progress(self) -> None:
        """Both have read the same now."""
        if self.rechecked:
            self.checkpoint.childless = len(self.rechecked & self.childless)
        if self.parent_stream is not None and self.shares_parent_read:
            self.checkpoint = replace(self.checkpoint, **_progress(self.parent_stream.checkpoint))
            if not self.is_comparison_missing:
                checkpoint = self.parent_stream.checkpoint
                self.checkpoint.reconciled_at, self.checkpoint.runs_since = (
                    checkpoint.reconciled_at,
                    checkpoint.runs_since,
                )

    def differing_owners(self, owners: Sequence[int], stored: ChildCounts) -> CallGenerator[list[int] | Bitrix24Error]:
        """Owners whose rows differ from those in the destination."""
        if isinstance(self.owned, BindingTableBuilder):
            lacking = [owner for owner in owners if owner not in stored]
            return lacking if len(lacking) > self.checkpoint.childless else []
        result = yield from owners_that_differ(self.asked, owners, stored)
        return result

    def owners_to_compare(self) -> list[int]:
        """Owners that the portal lists in this run, of which nothing is read; empty where their ids were not read."""
        source = self.parent_stream if self.parent_stream is not None and self.shares_parent_read else self
        if source.role == "all" or source.failed or source.open or not source.sweeps:
            return []
        return sorted(set(_ids(source.seen.ids)) - set(_ids(self.owners)))


def _ids(arrays: Sequence[pa.Array]) -> Iterator[int]:
    return chain.from_iterable(array.to_pylist() for array in arrays)


def _progress(checkpoint: Checkpoint) -> dict[str, Any]:
    """How far a list was read."""
    return {
        name: getattr(checkpoint, name)
        for name in ("cursor", "clock_skew", "full_read_started", "remaining_ranges", "high_water_id")
    }


MAX_BUFFERED_CHILDREN = 2_000
"""rows or owners that are worth a table"""


@dataclass
class ChildBatch:
    """What came of some owners."""

    owners: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def is_many(self) -> bool:
        return len(self.owners) + len(self.rows) >= MAX_BUFFERED_CHILDREN

    def add(self, owners: Sequence[int], rows: Sequence[Row]) -> None:
        """All that belongs to some owners."""
        self.owners += owners
        self.rows += rows

    def tables(
        self, into: ChildTableBuilder | BindingTableBuilder, now: datetime, *, with_deletes: bool
    ) -> Iterator[TableRows]:
        """The rows, and where there may be old ones delete markers of the owners that have none any more.

        Raises:
            PortalError: it belongs to others, so that the portal has passed over the owners that it was asked for.
        """
        had = {into.owner_of(row) or 0 for row in self.rows}
        if not had <= set(self.owners):
            raise PortalError(
                "the portal ignores whose rows were asked for",
                into.name,
                "report it to the portal's administrator: a customised REST method may be in the way",
            )
        if self.rows:
            yield from into.convert(self.rows, now)
        if with_deletes:
            yield from into.without_rows([owner for owner in self.owners if owner not in had])


def product_rows_of(entity_type_id: int, short_code: str) -> Callable[[Sequence[int]], ProductRowQuery]:
    """The product rows of some items of a type."""
    return lambda owners: ProductRowQuery(entity_type_id, owners=tuple(owners), owner_type=short_code)


def bindings_of(owners: Sequence[int]) -> BindingQuery:
    """The bindings of one activity."""
    return BindingQuery(0, owners=tuple(owners))

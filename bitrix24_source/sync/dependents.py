"""Rows that belong to items: product rows and activity bindings, read again whenever their parent item changes.

The portal lists them by parent only and reports no changes. Where parent and dependents are up to date with each other, the
parents come from the parent stream's own rows; else their ids are read first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain

import pyarrow as pa

from ..errors import Bitrix24Error, PortalError
from ..reader import BindingQuery, ChildQuery, ProductRowQuery, Row
from ..rest import CallGenerator
from .checkpoint import Checkpoint
from .child_counts import owners_that_differ
from .item_tables import TableRows
from .plan import StreamPlan
from .ports import ChildCounts
from .progress import StreamProgress
from .record_tables import BindingTableBuilder, ChildTableBuilder
from .streams import DependentStream, Stream

MAX_BUFFERED_CHILDREN = 2_000
"""rows or parents that are worth a table"""


@dataclass
class ChildBatch:
    """All rows that belong to some parents."""

    owners: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.owners) + len(self.rows) >= MAX_BUFFERED_CHILDREN

    def add(self, owners: Iterable[int], rows: Sequence[Row]) -> None:
        """All that belongs to some more parents."""
        self.owners += owners
        self.rows += rows

    def tables(
        self, children: ChildTableBuilder | BindingTableBuilder, now: datetime, *, with_deletes: bool
    ) -> Iterator[TableRows]:
        """The rows, and where there may be old ones delete markers of the parents that have none any more.

        Raises:
            PortalError: a row belongs to another parent, so that the portal has passed over those that it was asked for.
        """
        having = {children.owner_of(row) or 0 for row in self.rows}
        if not having <= set(self.owners):
            raise PortalError(
                "the portal ignores whose rows were asked for",
                children.name,
                "report it to the portal's administrator: a customised REST method may be in the way",
            )
        if self.rows:
            yield from children.convert(self.rows, now)
        if with_deletes:
            yield from children.without_rows([owner for owner in self.owners if owner not in having])


class DependentProgress(StreamProgress):
    """What came of a dependent stream.

    Attributes:
        parent: progress of the parent stream, where its read is shared.
        asks_single_owners: the portal refuses lists of parents: it judges all of them by the right to one item.
    """

    def __init__(self, plan: StreamPlan, parent: StreamProgress | None) -> None:
        super().__init__(plan)
        self.parent = parent if plan.shares_parent_read else None
        self.asks_single_owners = False
        self._observed: list[pa.Array] = []
        """parents that came in this load"""
        self._parents: list[pa.Array] = []
        """those for whom the portal is to be asked"""
        self._rechecked: frozenset[int] = frozenset()
        self._childless: set[int] = set()
        self._is_comparison_missing = False

    @property
    def stream(self) -> DependentStream:
        stream = self.plan.stream
        assert isinstance(stream, DependentStream)  # noqa: S101 - made for such streams only
        return stream

    @property
    def is_saved(self) -> bool:
        """Not where something is missing: then the next load asks for the parents again."""
        return not self.failed

    @property
    def checkpoint(self) -> Checkpoint:
        checkpoint = self._checkpoint
        if self._rechecked:
            checkpoint = replace(checkpoint, childless=len(self._rechecked & self._childless))
        if self.parent is not None:
            shared = self.parent.checkpoint
            checkpoint = replace(checkpoint, **shared.position)
            if not self._is_comparison_missing:
                checkpoint = replace(checkpoint, reconciled_at=shared.reconciled_at, runs_since=shared.runs_since)
        return checkpoint

    @property
    def needs_another_slice(self) -> bool:
        return not self.failed and (self.checkpoint.has_unfinished_full_read or self._starts_over)

    def shares_read_of(self, stream: Stream) -> bool:
        """Whether the rows of a stream are its parents."""
        return self.parent is not None and self.parent.stream is stream

    def observe_parents(self, ids: pa.Array, rows: Sequence[Row]) -> ChildBatch:
        """Rows of parents. Returns what they bring with them; those that bring nothing are asked for later."""
        found = ChildBatch()
        self._observed.append(ids)
        inline_children = self.stream.inline_children
        if inline_children is None:
            self._parents.append(ids)
            return found
        lacking = []
        for owner, row in zip(ids.to_pylist(), rows, strict=True):
            if children := inline_children(row):
                found.add([owner], children)
            else:
                lacking.append(owner)
        self._parents.append(pa.array(lacking, pa.int64()))
        return found

    def observe_children(self, batch: ChildBatch) -> None:
        """Takes note of parents to whom nothing belongs."""
        self._childless.update(set(batch.owners) - {self.stream.children.owner_of(row) for row in batch.rows})

    def ask_single_owners(self) -> None:
        self.asks_single_owners = True

    def child_queries(self) -> Iterator[ChildQuery]:
        """A query for each handful of parents."""
        ids = sorted(_ids(self._parents))
        start, max_owners = 0, self.stream.child_query(()).max_owners
        while start < len(ids):
            end = start + (1 if self.asks_single_owners else max_owners)
            yield self.stream.child_query(ids[start:end])
            start = end

    def owners_to_compare(self) -> list[int]:
        """Parents that the portal lists in this load and that did not come themselves; empty where their ids were not read."""
        source = self.parent if self.parent is not None else self
        if source.plan.is_full or not source.is_complete or not source.plan.reconciles:
            return []
        return sorted(_ids(source.seen.ids) - _ids(self._observed))

    def differing_owners(self, owners: Sequence[int], stored: ChildCounts) -> CallGenerator[list[int] | Bitrix24Error]:
        """Parents whose rows differ from those in the destination."""
        if isinstance(self.stream.children, BindingTableBuilder):
            lacking = [owner for owner in owners if owner not in stored]
            return lacking if len(lacking) > self._checkpoint.childless else []
        result = yield from owners_that_differ(self.stream.child_query, owners, stored)
        return result

    def recheck(self, owners: Sequence[int]) -> None:
        """Has the rows of some parents read again."""
        self._rechecked = frozenset(owners)
        self._parents.append(pa.array(owners, pa.int64()))

    def miss_comparison(self) -> None:
        """Rows were to be compared, and the portal could not be asked: the next load compares them."""
        self._is_comparison_missing = True
        self.reopen_reconciliation()


def _ids(arrays: Sequence[pa.Array]) -> set[int]:
    return set(chain.from_iterable(array.to_pylist() for array in arrays))


def product_rows_of(entity_type_id: int, short_code: str) -> Callable[[Sequence[int]], ProductRowQuery]:
    """The product rows of some items of a type."""
    return lambda owners: ProductRowQuery(entity_type_id, owners=tuple(owners), owner_type=short_code)


def bindings_of(owners: Sequence[int]) -> BindingQuery:
    """The bindings of one activity."""
    return BindingQuery(0, owners=tuple(owners))

"""Rows that belong to items: product rows and activity bindings, read again whenever their parent item changes.

The portal lists them by parent only and reports no changes. If parents and dependents have been read up to the same point, the
parents are taken from the rows of the parent stream; otherwise their ids are read first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain

import pyarrow as pa

from ..errors import Bitrix24Error, PortalError
from ..reader import BindingQuery, DependentQuery, ProductRowQuery, Row
from ..rest import CallGenerator
from .checkpoint import Checkpoint
from .dependent_counts import differing_parents
from .fixed_tables import BindingTableBuilder, DependentTableBuilder
from .item_tables import TableRows
from .plan import StreamPlan
from .ports import DependentCounts
from .progress import StreamProgress
from .streams import DependentStream, Stream

MAX_BUFFERED_CHILDREN = 2_000
"""number of rows or parents from which a batch is written"""


@dataclass
class DependentBatch:
    """Some parents and all their dependents."""

    owners: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.owners) + len(self.rows) >= MAX_BUFFERED_CHILDREN

    def add(self, owners: Iterable[int], rows: Sequence[Row]) -> None:
        """Adds parents with all their dependents."""
        self.owners += owners
        self.rows += rows

    def tables(
        self, table: DependentTableBuilder | BindingTableBuilder, now: datetime, *, with_deletes: bool
    ) -> Iterator[TableRows]:
        """Yields the rows and, with `with_deletes`, delete markers for parents that have no dependents any more.

        Raises:
            PortalError: a row belongs to another parent, so the portal has ignored the filter on parents.
        """
        having = {table.owner_of(row) or 0 for row in self.rows}
        if not having <= set(self.owners):
            raise PortalError(
                "the portal ignores whose rows were asked for",
                table.name,
                "report it to the portal's administrator: a customised REST method may be in the way",
            )
        if self.rows:
            yield from table.convert(self.rows, now)
        if with_deletes:
            yield from table.without_rows([owner for owner in self.owners if owner not in having])


class DependentProgress(StreamProgress):
    """Progress of a dependent stream.

    Attributes:
        parent: progress of the parent stream, if its read is shared.
        asks_single_owners: parents are queried one by one: the portal rejects lists of them, by its rights on one item.
    """

    def __init__(self, plan: StreamPlan, parent: StreamProgress | None) -> None:
        super().__init__(plan)
        self.parent = parent if plan.shares_parent_read else None
        self.asks_single_owners = False
        self._observed: list[pa.Array] = []
        """ids of parents that were read in this load"""
        self._parents: list[pa.Array] = []
        """ids of parents whose dependents are to be queried"""
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
        """False if something is missing, so that the next load queries the parents again."""
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
        """Returns whether the rows of another stream are the parents of this one."""
        return self.parent is not None and self.parent.stream is stream

    def observe_parents(self, ids: pa.Array, rows: Sequence[Row]) -> DependentBatch:
        """Registers parent rows.

        Returns:
            The dependents contained in the rows. The other parents are queued to be queried.
        """
        found = DependentBatch()
        self._observed.append(ids)
        inline_dependents = self.stream.inline_dependents
        if inline_dependents is None:
            self._parents.append(ids)
            return found
        lacking = []
        for owner, row in zip(ids.to_pylist(), rows, strict=True):
            if dependents := inline_dependents(row):
                found.add([owner], dependents)
            else:
                lacking.append(owner)
        self._parents.append(pa.array(lacking, pa.int64()))
        return found

    def observe_children(self, batch: DependentBatch) -> None:
        """Remembers parents without dependents."""
        self._childless.update(set(batch.owners) - {self.stream.dependent_table.owner_of(row) for row in batch.rows})

    def ask_single_owners(self) -> None:
        self.asks_single_owners = True

    def child_queries(self) -> Iterator[DependentQuery]:
        """Yields queries for the queued parents, each for a few of them."""
        ids = sorted(_ids(self._parents))
        start, max_owners = 0, self.stream.dependent_query(()).max_owners
        while start < len(ids):
            end = start + (1 if self.asks_single_owners else max_owners)
            yield self.stream.dependent_query(ids[start:end])
            start = end

    def owners_to_compare(self) -> list[int]:
        """Returns the parents that exist in the portal and were not read themselves; empty if their ids were not read."""
        source = self.parent if self.parent is not None else self
        if source.plan.is_full or not source.is_complete or not source.plan.reconciles:
            return []
        return sorted(_ids(source.seen.ids) - _ids(self._observed))

    def differing_owners(
        self, owners: Sequence[int], stored: DependentCounts
    ) -> CallGenerator[list[int] | Bitrix24Error]:
        """Returns the parents whose dependents differ from those in the destination."""
        if isinstance(self.stream.dependent_table, BindingTableBuilder):
            lacking = [owner for owner in owners if owner not in stored]
            return lacking if len(lacking) > self._checkpoint.childless else []
        result = yield from differing_parents(self.stream.dependent_query, owners, stored)
        return result

    def recheck(self, owners: Sequence[int]) -> None:
        """Queues parents whose dependents are to be read again."""
        self._rechecked = frozenset(owners)
        self._parents.append(pa.array(owners, pa.int64()))

    def miss_comparison(self) -> None:
        """Leaves a comparison, for which the portal could not be asked, to the next load."""
        self._is_comparison_missing = True
        self.reopen_reconciliation()


def _ids(arrays: Sequence[pa.Array]) -> set[int]:
    return set(chain.from_iterable(array.to_pylist() for array in arrays))


def product_rows_of(entity_type_id: int, short_code: str) -> Callable[[Sequence[int]], ProductRowQuery]:
    """Returns a function that makes the query for the product rows of some items of a type."""
    return lambda owners: ProductRowQuery(entity_type_id, owners=tuple(owners), owner_type=short_code)


def bindings_of(owners: Sequence[int]) -> BindingQuery:
    """Returns the query for the bindings of one activity."""
    return BindingQuery(0, owners=tuple(owners))

"""What belongs to items and is read again whenever they change: product rows, bindings of activities.

The portal lists it by owner only, and says nothing of its changes. Whose turn it is, is known from the rows that a round has
read anyway - as long as both have read the same so far; else the ids of the owners are read first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from .capabilities import can_merge
from .errors import PortalError
from .lists import BindingList, OwnedList, ProductRowList, Row
from .memory import TypeMemory
from .readings import Reading
from .record_tables import BindingTable, OwnedTable


@dataclass(eq=False)
class OwnedReading(Reading):
    """One type's product rows, or the bindings of all activities.

    Attributes:
        owned: the table of what belongs to the owners; `table` is None, for of the owners only ids are read.
        asked: the list of what belongs to some owners.
        leader: reads the owners in this round, if somebody does.
        follows: what the leader reads in this round is what it needs itself.
        brought: what an owner's row itself holds of what belongs to it; None where rows hold nothing of it.
        owners: whose turn it is.
    """

    owned: OwnedTable | BindingTable = field(default_factory=BindingTable)
    asked: Callable[[Sequence[int]], OwnedList] = field(default=lambda _owners: OwnedList(0))
    leader: Reading | None = None
    follows: bool = False
    brought: Callable[[Row], Sequence[Row]] | None = None
    owners: list[pa.Array] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.owned.name

    def rest(self, stored: Mapping[str, Any]) -> Iterator[Any]:
        yield from self.owned.rest(stored)

    def remember(self) -> None:
        """Not where something is missing: then the owners are asked for again."""
        if not self.failed:
            super().remember()

    def look_for_leader(self) -> None:
        """Follows, where both have read the same so far."""
        self.follows = self.leader is not None and _progress(self.leader.memory) == _progress(self.memory)

    def meet(self, owners: pa.Array, rows: Sequence[Row]) -> Belongings:
        """Rows of owners: it is the turn of those that do not bring with them what is theirs."""
        found = Belongings()
        if self.brought is None:
            self.owners.append(owners)
            return found
        lacking = []
        for owner, row in zip(owners.to_pylist(), rows, strict=True):
            if theirs := self.brought(row):
                found.add([owner], theirs)
            else:
                lacking.append(owner)
        self.owners.append(pa.array(lacking, pa.int64()))
        return found

    def lists(self) -> Iterator[OwnedList]:
        """One for each handful of owners."""
        ids = sorted(set().union(*(array.to_pylist() for array in self.owners)))
        most = self.asked(()).most_owners
        for start in range(0, len(ids), most):
            yield self.asked(ids[start : start + most])

    def learn_from_leader(self) -> None:
        """Both have read the same now."""
        if self.leader is not None and self.follows:
            self.memory = replace(self.memory, **_progress(self.leader.memory))


def _progress(memory: TypeMemory) -> dict[str, Any]:
    """How far a list was read."""
    return {name: getattr(memory, name) for name in ("cursor", "ahead", "began", "parts", "max_id")}


MANY = 2_000
"""rows or owners that are worth a table"""


@dataclass
class Belongings:
    """What came of some owners."""

    owners: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def is_many(self) -> bool:
        return len(self.owners) + len(self.rows) >= MANY

    def add(self, owners: Sequence[int], rows: Sequence[Row]) -> None:
        """All that belongs to some owners."""
        self.owners += owners
        self.rows += rows

    def tables(self, into: OwnedTable | BindingTable, now: datetime, *, is_new: bool) -> Iterator[Any]:
        """For dlt; of a new table there is nothing to delete.

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
            yield from into.take(self.rows, now)
        if not is_new and can_merge():
            yield from into.without_rows([owner for owner in self.owners if owner not in had])


def product_rows_of(entity_type_id: int, short_code: str) -> Callable[[Sequence[int]], ProductRowList]:
    """The product rows of some items of a type."""
    return lambda owners: ProductRowList(entity_type_id, owners=tuple(owners), owner_type=short_code)


def bindings_of(owners: Sequence[int]) -> BindingList:
    """The bindings of one activity."""
    return BindingList(0, owners=tuple(owners))

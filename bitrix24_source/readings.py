"""Which lists does one round read, into which tables, and what of each: everything, what changed, or ids alone?

It refuses to know how pages are asked for, and what comes of them.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from .catalog import EntityType
from .choice import ItemChoice, Slices
from .item_tables import ItemTable
from .lists import ItemList
from .memory import TypeMemory
from .segments import Segment
from .timefilter import Spelling

Role = Literal["all", "changed", "new", "ids"]

State = MutableMapping[str, Any]


@dataclass(eq=False)
class Reading:
    """One list on its way into one table, in one round.

    Attributes:
        resource: whose table it is.
        items: the list.
        table: None where only ids are wanted, for what belongs to them.
        entity: the entity type whose items they are, where it is one type's.
        has_time: rows say when they were changed, so that changes can be asked for.
        restarts: it is read from the start, whatever was read before.
    """

    resource: str
    items: ItemList
    table: ItemTable | None
    entity: EntityType | None = None
    has_time: bool = True
    restarts: bool = False

    state: State = field(default_factory=dict)
    """of its resource, as dlt keeps it"""
    memory: TypeMemory = field(default_factory=TypeMemory)
    role: Role = "all"
    open: set[ItemList] = field(default_factory=set)
    """its lists that are not read to the end"""
    rows: int = 0
    max_id: int = 0
    """the highest id of this round; remembered once everything before it came"""
    sweeps: bool = False
    failed: bool = False
    warned: bool = False
    resumes: bool = False
    """it reads what a run that was cut off has left"""
    is_new: bool = False
    """the destination has no table of it that is to stay"""
    seen: list[pa.Array] = field(default_factory=list)
    """all ids that the portal has, where this run reads them all"""
    came: list[pa.Array] = field(default_factory=list)
    """ids of rows that were read beside them"""

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.table.name if self.table else f"{self.resource} of {self.items.where}"

    @property
    def key(self) -> tuple[str, int]:
        """Tells it from all others of a run."""
        return self.resource, self.items.entity_type_id

    @property
    def is_swept(self) -> bool:
        """Rows that are gone from the portal can be found out and marked."""
        return self.table is not None and self.table.is_swept

    @property
    def remembers(self) -> bool:
        """It was read before, so that what is new can be asked for, and what changed where rows tell."""
        return bool(self.memory.cursor) and not self.memory.is_begun and (self.has_time or not self.items.time_name)

    @property
    def asks_for_changes(self) -> bool:
        """What changed since the last time is asked for by a filter on a time."""
        return self.remembers and self.has_time and bool(self.items.time_name)

    @property
    def wants_another_round(self) -> bool:
        """There is something left; or it was read by two runs, between which items may have gone."""
        is_done = self.role == "all" and not self.open
        again = is_done and self.resumes and self.is_swept and not self.items.filter
        return not self.failed and (self.memory.is_begun or again)

    def rest(self) -> Iterator[Any]:
        """Its tables of which nothing came."""
        if self.table is not None:
            yield from self.table.rest()

    def recall(self, state: State, *, is_first_round: bool) -> None:
        """What earlier runs left to know of it."""
        self.state = state
        self.memory = TypeMemory.of(state, self.items.entity_type_id, self.items)
        if self.restarts and is_first_round:
            self.memory = TypeMemory(selection=self.memory.selection)

    def without_also(self, items: ItemList) -> ItemList:
        """Takes the place of one of its lists, and asks for nothing besides."""
        plain = replace(items, also=())
        self.open = self.open - {items} | {plain}
        return plain

    def remember(self) -> None:
        """For later runs."""
        self.memory.keep(self.state, self.items.entity_type_id)


@dataclass(frozen=True)
class Moment:
    """When a round is: the portal's time, and by how many seconds its clock is ahead of ours."""

    now: datetime
    ahead: float


def plan(one: Reading, spelling: Spelling | None, moment: Moment, choice: ItemChoice) -> list[tuple[Role, Segment]]:
    """What to read of one list; None for a spelling says that changes cannot be asked for in this round."""
    if not one.remembers or (one.asks_for_changes and spelling is None):
        return [("all", segment) for segment in _whole(one, moment, choice.slices)]
    memory = one.memory
    one.role = "changed"
    planned: list[tuple[Role, Segment]] = [("new", Segment(_own(one, one.items), after=memory.max_id))]
    if memory.max_id and one.asks_for_changes and spelling is not None:
        overlap = choice.overlap + memory.set_back(moment.now, moment.ahead)
        since = memory.since(overlap).astimezone(moment.now.tzinfo)
        changed = replace(one.items, filter={**one.items.filter, **spelling.since(one.items, since)})
        planned.append(("changed", Segment(_own(one, changed), upper=memory.max_id)))
    one.sweeps = one.is_swept and memory.is_sweep_due(moment.now, choice.sweep)
    if one.sweeps:  # of all ids, whatever is filtered: an item that the filter leaves out is not gone
        ids = replace(one.items, filter={}, select=(one.items.id_name,), also=())
        planned.append(("ids", Segment(_own(one, ids))))
    return planned


def _whole(one: Reading, moment: Moment, slices: Slices) -> Sequence[Segment]:
    """All rows, or what a slice left of them. Who has seen all ids by then knows as well which are gone."""
    one.role = "all"
    memory = one.memory
    one.resumes = memory.is_begun and one.key not in slices.seen
    one.sweeps = one.is_swept and not one.resumes and not one.items.filter
    if one.sweeps:
        one.seen = slices.seen.setdefault(one.key, [])
    if not memory.is_begun:
        memory.began, memory.ahead = moment.now.isoformat(), moment.ahead
    segments = memory.segments(_own(one, one.items))
    memory.parts = [segment.to_part() for segment in segments]
    return segments


def _own(one: Reading, items: ItemList) -> ItemList:
    """One of its own, to be known again when its rows come."""
    own = replace(items)
    one.open.add(own)
    return own

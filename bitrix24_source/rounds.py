"""One round over the items of all types: what each is read for, what came of it, and what is remembered for the next round.

A type is read whole the first time, and by what changed since after that; its ids are compared with the destination's now and
then, because the portal does not say what was deleted. Rows and memory are committed by dlt in one package.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import dlt
import pyarrow as pa

from .catalog import Catalog, Issues, SpaType
from .choice import ItemChoice
from .client import Client
from .deletions import deleted_rows, gone_types, missing_ids, revived_ids
from .errors import Bitrix24Error, ConfigError, DeniedError, PortalError, UnavailableError
from .extraction import current_collector, current_load_id
from .item_tables import ItemTable
from .items import Ended, Rows, pace_for, read_items
from .memory import TypeMemory
from .segments import ItemList, Row, Segment
from .timefilter import Spelling, how_to_ask, is_ignored, portal_time

log = logging.getLogger("bitrix24_source")

RESOURCE = "spa_items"

Role = Literal["all", "changed", "new", "ids"]

_LOST = (UnavailableError, PortalError)
"""the portal cannot be asked any further; what came is worth keeping, which a refused credential is no reason for"""


@dataclass
class TypeItems:
    """One type in one round."""

    spa: SpaType
    items: ItemList
    table: ItemTable
    has_updated_time: bool = True
    memory: TypeMemory = field(default_factory=TypeMemory)
    open: set[ItemList] = field(default_factory=set)
    """its lists that are not read to the end"""
    role: Role = "all"
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
    def remembers(self) -> bool:
        """It was read before, so that its changes can be asked for."""
        return bool(self.memory.cursor) and not self.memory.is_begun and self.has_updated_time

    @property
    def wants_another_round(self) -> bool:
        """There is something left; or it was read by two runs, between which items may have gone."""
        is_done = self.role == "all" and not self.open
        return not self.failed and (self.memory.is_begun or (is_done and self.resumes and not self.items.filter))


class ItemRound:
    """One round. Lives as long as one extraction."""

    def __init__(
        self,
        client: Client,
        types: Sequence[TypeItems],
        state: MutableMapping[str, Any],
        choice: ItemChoice,
        issues: Issues,
    ) -> None:
        self._client = client
        self._types = types
        self._state = state
        self._choice = choice
        self._issues = issues
        self._roles: dict[ItemList, tuple[TypeItems, Role]] = {}
        self._enough = threading.Event()
        self._rows = 0
        self._lost: Bitrix24Error | None = None
        """why the portal cannot be asked any further in this round"""

    def rows(self, catalog: Catalog) -> Iterator[Any]:
        """Everything for dlt: hints, tables, marks; keeps the memory of what it finished."""
        self._choice.slices.begin_round()
        self._collector = current_collector()
        self._started = self._client.clock.monotonic()
        settled = self._choice.slices.settled
        self._types = [one for one in self._types if one.spa.entity_type_id not in settled and self._fits(one)]
        for one in self._types:
            one.memory = TypeMemory.of(self._state, one.spa.entity_type_id, one.items)
            if self._choice.restart and not self._choice.slices.rounds:
                one.memory = TypeMemory(selection=one.memory.selection)
        plans = self._plans()
        news = [segment for one in self._types if one.role != "all" for segment in plans.get(id(one), ())]
        whole = [segment for one in self._types if one.role == "all" for segment in plans.get(id(one), ())]
        yield from self._read(news, threading.Event())
        yield from self._read(whole, self._enough)
        yield from self._vanished(catalog)
        for one in self._types:
            yield from one.table.rest()
            if id(one) in plans:
                one.memory.keep(self._state, one.spa.entity_type_id)
        settled.update(one.spa.entity_type_id for one in self._types if not one.wants_another_round)
        self._choice.slices.rounds += 1
        self._choice.slices.unfinished = any(one.wants_another_round for one in self._types)

    def _plans(self) -> dict[int, list[Segment]]:
        """What to read of each type; empty, with all of them named, when the portal cannot even be asked the time."""
        try:
            self._now = portal_time(self._client)
            self._ahead = (self._now - self._client.clock.now()).total_seconds()
            spelling = self._spelling()
        except _LOST as error:
            self._lost = error
            for one in self._types:
                self._note_failure(one, Ended(one.items, error))
            return {}
        return {id(one): self._plan(one, spelling) for one in self._types}

    # --- what to read -------------------------------------------------------------------------------------------------

    def _fits(self, one: TypeItems) -> bool:
        """Whether the destination's table can take the type as it is now."""
        stored = dlt.current.source_schema().tables if current_load_id() else {}
        one.is_new = one.table.name not in stored
        conflicts = one.table.conflicts(stored)
        if conflicts:
            error = ConfigError("a field has another type than its column", ", ".join(conflicts))
            hint = f"drop the table {one.table.name}, or load everything anew with bitrix24 load --full-refresh"
            self._issues.note(
                RESOURCE, error, f"{error.what}: {error.where}; its items are not loaded", hint=hint, spa=one.spa
            )
        return not conflicts

    def _spelling(self) -> Spelling | None:
        """How a time is written in a filter; None where changes cannot be asked for in this round."""
        remembering = [one for one in self._types if one.remembers]
        if not remembering:
            return None
        set_back = max(one.memory.set_back(self._now, self._ahead) for one in remembering)
        known = self._state.get("spelling", "")
        trust = how_to_ask(self._client, [one.items for one in remembering], set_back, known)
        if trust.trouble:
            self._issues.note(RESOURCE, PortalError(trust.trouble, ItemList.method), trust.trouble, hint=trust.hint)
        if trust.spelling is not None:
            self._state["spelling"] = trust.spelling.name
        return trust.spelling

    def _plan(self, one: TypeItems, spelling: Spelling | None) -> list[Segment]:
        memory = one.memory
        if not one.remembers or spelling is None:
            return self._whole(one)
        overlap = self._choice.overlap + memory.set_back(self._now, self._ahead)
        since = memory.since(overlap).astimezone(self._now.tzinfo)
        segments = [Segment(self._list(one, "new", one.items), after=memory.max_id)]
        if memory.max_id:
            changed = replace(one.items, filter={**one.items.filter, **spelling.since(since)})
            segments.append(Segment(self._list(one, "changed", changed), upper=memory.max_id))
        one.sweeps = memory.is_sweep_due(self._now, self._choice.sweep)
        if one.sweeps:  # of all ids, whatever is filtered: an item that the filter leaves out is not gone
            segments.append(Segment(self._list(one, "ids", ItemList(one.spa.entity_type_id, {}, ("id",)))))
        one.role = "changed"
        return segments

    def _whole(self, one: TypeItems) -> list[Segment]:
        """All items, or what a slice left of them. Who has seen all ids by then knows as well which are gone."""
        one.role = "all"
        known = self._choice.slices.seen
        one.resumes = one.memory.is_begun and one.spa.entity_type_id not in known
        one.sweeps = not one.resumes and not one.items.filter
        if one.sweeps:
            one.seen = known.setdefault(one.spa.entity_type_id, [])
        if not one.memory.is_begun:
            one.memory.began, one.memory.ahead = self._now.isoformat(), self._ahead
        items = self._list(one, "all", one.items)
        segments = one.memory.segments(items)
        one.memory.parts = [segment.to_part() for segment in segments]
        return segments

    def _list(self, one: TypeItems, role: Role, items: ItemList) -> ItemList:
        """One of the type's own, to be known again when its rows come."""
        own = replace(items)
        self._roles[own] = (one, role)
        one.open.add(own)
        return own

    # --- what came ----------------------------------------------------------------------------------------------------

    def _read(self, segments: Sequence[Segment], enough: threading.Event) -> Iterator[Any]:
        if not segments:
            return
        for what in self._arriving(segments, self._choice.connections, enough):
            one, role = self._roles[what.items]
            if isinstance(what, Rows):
                yield from self._taken(one, role, what)
            elif what.error is not None:
                self._note_failure(one, what)
            else:
                one.open.discard(what.items)
                if not one.open and not one.failed:
                    yield from self._finished(one)

    def _arriving(
        self, segments: Sequence[Segment], connections: int, enough: threading.Event | None = None
    ) -> Iterator[Rows | Ended]:
        """What comes of some lists. A portal that does not come back ends them all: what came is kept, the rest is named."""
        slices = self._choice.slices
        slices.pace = slices.pace or pace_for(self._client)
        open_ = {segment.items for segment in segments}
        try:
            if self._lost is None:
                most = slices.rows if enough is self._enough else 0
                for what in read_items(self._client, segments, connections, enough, slices.pace, most):
                    if isinstance(what, Ended):
                        open_.discard(what.items)
                    yield what
        except _LOST as error:
            self._lost = error
        if self._lost is not None:
            yield from (Ended(items, self._lost) for items in open_)

    def _taken(self, one: TypeItems, role: Role, what: Rows) -> Iterator[Any]:
        ids = [int(row["id"]) for row in what.rows]
        if one.sweeps:
            (one.seen if role in ("all", "ids") else one.came).append(pa.array(ids, pa.int64()))
        if role == "ids":
            return
        if role == "changed":
            self._check_bound(one, what.rows)
        one.max_id = max(one.max_id, *ids)
        if role == "all":
            one.memory.parts, one.memory.max_id = list(what.parts), max(one.memory.max_id, one.max_id)
            self._count(len(what.rows))
        self._say_what_is_left(one, what)
        yield from one.table.take(what.rows, self._client.clock.now())

    def _check_bound(self, one: TypeItems, rows: Sequence[Row]) -> None:
        """Rows older than the bound mean that the portal ignored the filter: nothing is lost, but much is read in vain."""
        if one.warned or not is_ignored(rows, one.memory.since(self._choice.overlap)):
            return
        one.warned = True
        error = PortalError("the portal ignores the filter on updatedTime", ItemList.method)
        self._issues.note(RESOURCE, error, f"{one.table.name}: {error.what}; all items were read", spa=one.spa)

    def _count(self, rows: int) -> None:
        """A slice ends when it is full or its time is over; what is under way still comes."""
        self._rows += rows
        if self._choice.slices.is_full(self._rows, self._client.clock.monotonic() - self._started):
            self._enough.set()

    def _finished(self, one: TypeItems) -> Iterator[Any]:
        """Everything asked of the type came: the moment when its reading began is the next cursor."""
        memory = one.memory
        if one.role == "all":
            memory.cursor = memory.began
        else:
            memory.cursor, memory.ahead = self._now.isoformat(), self._ahead
        memory.began, memory.parts, memory.max_id = "", [], max(memory.max_id, one.max_id)
        memory.runs += 1
        self._choice.slices.seen.pop(one.spa.entity_type_id, None)
        if one.sweeps and current_load_id():
            yield from self._compared(one)

    def _compared(self, one: TypeItems) -> Iterator[Any]:
        """Marks what is gone from the portal; reads what came back, or came into sight, without having changed."""
        pipeline, schema = dlt.current.pipeline(), dlt.current.source_schema().name
        now, share = self._client.clock.now(), self._choice.max_deleted_share
        try:
            for rows in () if one.is_new else deleted_rows(pipeline, schema, one.table.name, one.seen, now, share):
                yield one.table.mark_deleted(rows)
        except Bitrix24Error as error:
            self._issues.note(RESOURCE, error, error.what, spa=one.spa)
            return
        if one.role != "all":
            lacking = revived_ids if one.items.filter else missing_ids
            yield from self._again(one, lacking(pipeline, schema, one.table.name, one.seen, one.came))
        one.memory.runs, one.memory.swept_at = 0, self._now.isoformat()

    def _again(self, one: TypeItems, ids: Sequence[int]) -> Iterator[Any]:
        """Some items by their ids."""
        for what in self._arriving([Segment(items) for items in one.items.only(ids)], self._choice.connections):
            if isinstance(what, Rows):
                yield from one.table.take(what.rows, self._client.clock.now())
            elif what.error is not None:
                self._note_failure(one, what)

    def _note_failure(self, one: TypeItems, ended: Ended) -> None:
        error = ended.error
        assert error is not None  # noqa: S101 - the caller's case
        if error.code == "NOT_FOUND":
            log.info("%s: the smart process was deleted while its items were read", one.table.name)
        elif not one.failed:
            kind = "may not be read" if isinstance(error, DeniedError) else "could not be read to the end"
            rows = f"{one.table.rows:,} items were loaded"
            self._issues.note(RESOURCE, error, f"{one.table.name} {kind}: {error.what}; {rows}", spa=one.spa)
        one.failed = True

    # --- types that are no more ---------------------------------------------------------------------------------------

    def _vanished(self, catalog: Catalog) -> Iterator[Any]:
        """A type that was read before and that the portal no longer has: its items are gone with it."""
        present = {spa.entity_type_id for spa in catalog.types} | set(catalog.unreadable)
        absent = [SpaType(type_id, {}) for type_id in map(int, self._state.get("types", {})) if type_id not in present]
        if not absent or not current_load_id() or self._choice.slices.rounds or self._lost is not None:
            return
        try:
            gone = gone_types(self._client, absent)
        except _LOST as error:
            self._lost = error
            names = ", ".join(spa.items_table for spa in absent)
            self._issues.note(RESOURCE, error, f"whether the types of {names} are gone is not known: {error.what}")
            return
        pipeline, schema = dlt.current.pipeline(), dlt.current.source_schema().name
        for spa in gone:
            for rows in deleted_rows(pipeline, schema, spa.items_table, [], self._client.clock.now(), 1.0):
                yield dlt.mark.with_table_name(rows, spa.items_table)
            del self._state["types"][str(spa.entity_type_id)]

    def _say_what_is_left(self, one: TypeItems, what: Rows) -> None:
        """Rows and rate are dlt's to show; the rest of a long table is ours to know."""
        if what.left and self._collector is not None:
            self._collector.update(one.table.name, 0, message=f"about {what.left:,} left")

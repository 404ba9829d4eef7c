"""A stream: one list of the portal on its way into one table."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from ..catalog import EntityType
from ..reader import ListQuery, UnusableRows
from .change_filter import TimeFilter
from .checkpoint import Checkpoint, column_keys
from .item_tables import ItemTableBuilder, TableRows
from .ports import State
from .reconcile import SeenKeys
from .record_tables import AppendOnlyTable

log = logging.getLogger("bitrix24_source")

ReadMode = Literal["all", "changed", "new", "ids"]


@dataclass(eq=False)
class Stream:
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
    items: ListQuery
    table: ItemTableBuilder | None
    entity: EntityType | None = None
    has_time: bool = True
    restarts: bool = False

    state: State = field(default_factory=dict)
    """of its resource, as dlt keeps it"""
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    role: ReadMode = "all"
    time_filter: TimeFilter = field(default_factory=TimeFilter)
    """with which this run asks for what changed"""
    open: set[ListQuery] = field(default_factory=set)
    """its lists that are not read to the end"""
    rows: int = 0
    max_id: int = 0
    """the highest id of this round; remembered once everything before it came"""
    sweeps: bool = False
    failed: bool = False
    warned: bool = False
    unusable: dict[ReadMode, UnusableRows] = field(default_factory=dict)
    """rows without a usable id that were passed over, by how they were asked for"""
    resumes: bool = False
    """it reads what a run that was cut off has left"""
    is_dropped: bool = False
    """somebody has dropped one of its tables"""
    starts_over: bool = False
    """the next slice, or the next run, reads all of it"""
    is_new: bool = False
    """the destination has no table of it that is to stay"""
    seen: SeenKeys = field(default_factory=SeenKeys)
    """what the portal has, where this run reads all ids"""
    may_shrink: bool = False
    """the table was filled by another selection or another type, so that any number of its rows may be gone"""
    knows_columns: bool = True
    """the state says which columns its rows were read for, as that of 0.1.0 does not"""
    portal_count: int | None = None
    """rows that the portal had when this run began, where they are to be counted"""
    planned_columns: frozenset[str] = frozenset()
    """that it fills as far as the field list tells"""

    @property
    def entity_type_id(self) -> int | None:
        """Of the items' entity type; None for lists of all types."""
        return self.entity.entity_type_id if self.entity else None

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

    is_compared: ClassVar[bool] = False
    """rows belong to others, whose ids are read to find out whether any are missing"""

    @property
    def is_counted(self) -> bool:
        """Rows stay for ever, so that their number tells whether some are missing in the destination."""
        return isinstance(self.table, AppendOnlyTable)

    @property
    def remembers(self) -> bool:
        """It was read before, so that what is new can be asked for, and what changed where rows tell."""
        return (
            bool(self.checkpoint.cursor)
            and not self.checkpoint.has_unfinished_full_read
            and (self.has_time or not self.items.updated_field)
        )

    @property
    def asks_for_changes(self) -> bool:
        """What changed since the last time is asked for by a filter on a time."""
        return self.remembers and self.has_time and bool(self.items.updated_field)

    @property
    def needs_another_slice(self) -> bool:
        """There is something left; or it was read by two runs, between which items may have gone."""
        is_done = self.role == "all" and not self.open
        again = is_done and self.resumes and self.is_swept
        return not self.failed and (self.checkpoint.has_unfinished_full_read or again or self.starts_over)

    def empty_tables(self) -> Iterator[TableRows]:
        """Its tables without rows."""
        if self.table is not None:
            yield from self.table.empty_tables()

    def recall(self, state: State, *, is_first_slice: bool) -> None:
        """Takes up its checkpoint, or starts over where rows that were read before do not do any more."""
        self.state = state
        type_id = self.entity.id if self.entity is not None else None
        self.planned_columns = self.table.filled_columns() if self.table is not None else frozenset()
        columns = column_keys(self.planned_columns)
        self.checkpoint = Checkpoint.from_state(state, self.items.entity_type_id, self.items)
        stored = state.get("types", {}).get(str(self.items.entity_type_id))
        self.may_shrink = stored is not None and stored.get("selection", "") != self.checkpoint.selection
        if is_first_slice:
            reason = self.checkpoint.reason_to_start_over(type_id, columns)
            if reason:
                log.info("%s: all items are read once more: %s", self.name, reason)
            if reason or self.restarts or self.is_dropped:
                self.may_shrink = self.may_shrink or (
                    type_id is not None and self.checkpoint.type_id not in (None, type_id)
                )
                self.checkpoint = Checkpoint(
                    selection=self.checkpoint.selection, unlisted_columns=self.checkpoint.unlisted_columns
                )
        self.knows_columns = self.checkpoint.columns is not None or not self.checkpoint.cursor
        self.checkpoint.type_id = type_id
        self.checkpoint.columns = sorted(columns)

    def without_extra_select(self, items: ListQuery) -> ListQuery:
        """Takes the place of one of its lists, and asks for nothing besides."""
        plain = replace(items, extra_select=())
        self.open = self.open - {items} | {plain}
        return plain

    def pass_over(self, mode: ReadMode, rows: UnusableRows) -> None:
        """Counts rows that are not loaded, because nothing tells them from others."""
        if rows:
            self.unusable[mode] = self.unusable.get(mode, UnusableRows()) + rows
            self.seen.is_complete = False

    @property
    def passed_over(self) -> UnusableRows:
        """What is not loaded. Reading by id for the sweep shows the same rows once more."""
        swept = self.unusable.get("ids", UnusableRows())
        read = sum((rows for mode, rows in self.unusable.items() if mode != "ids"), UnusableRows())
        return max(read, swept, key=lambda rows: rows.count)

    def start_over(self, reason: str) -> None:
        """Has everything read once more, by the next slice or the next run."""
        log.info("%s: everything is read once more: %s", self.name, reason)
        self.starts_over, self.checkpoint.cursor = True, ""

    def remember(self) -> None:
        """For later runs. Columns that only rows told of are read for all of them, once."""
        learned = column_keys(self.table.current_columns() - self.planned_columns if self.table is not None else ())
        new = {key: name for key, name in learned.items() if key not in self.checkpoint.unlisted_columns}
        if new and self.checkpoint.cursor and not self.failed:
            self.checkpoint.unlisted_columns = sorted({*self.checkpoint.unlisted_columns, *new})
            if self.knows_columns and self.role != "all":
                self.start_over(f"rows now have {', '.join(sorted(new.values()))}")
        self.checkpoint.to_state(self.state, self.items.entity_type_id)

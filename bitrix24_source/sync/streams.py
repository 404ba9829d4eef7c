"""What is read: one list of the portal on its way into one table. Decided once for a load package, and never changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar

from ..catalog import EntityType
from ..reader import ChildQuery, ListQuery, Row
from .item_tables import ItemTableBuilder, TableRows
from .record_tables import AppendOnlyTable, BindingTableBuilder, ChildTableBuilder

StreamKey = tuple[str, int]


class ReadMode(Enum):
    """What a read asks for: all rows, those above the highest known id, those that changed, all ids, or rows by their ids."""

    FULL = auto()
    CREATED = auto()
    UPDATED = auto()
    IDS = auto()
    BY_ID = auto()


@dataclass(frozen=True, eq=False)
class Stream:
    """One list on its way into one table.

    Attributes:
        resource: whose table it is.
        query: the list.
        table: builds the rows; None where only ids are wanted, for rows that belong to them.
        entity: the entity type whose items they are; None for lists of all types.
        has_time: rows say when they were changed, so that changes can be asked for.
        full_refresh: it is read from the start, whatever was read before.
    """

    resource: str
    query: ListQuery
    table: ItemTableBuilder | None
    entity: EntityType | None = None
    has_time: bool = True
    full_refresh: bool = False

    compares_children: ClassVar[bool] = False
    """its ids are read now and then to compare the rows that belong to them"""

    @property
    def entity_type_id(self) -> int | None:
        """Of the items' entity type; None for lists of all types."""
        return self.entity.entity_type_id if self.entity else None

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.table.name if self.table else f"{self.resource} of {self.query.where}"

    @property
    def key(self) -> StreamKey:
        """Tells it from all others of a run."""
        return self.resource, self.query.entity_type_id

    @property
    def marks_deleted(self) -> bool:
        """Rows that are gone from the portal can be found out and marked."""
        return self.table is not None and self.table.marks_deleted

    @property
    def filled_columns(self) -> frozenset[str]:
        """Columns of its tables that are filled, in the words of `ItemTableBuilder.filled_columns`."""
        return self.table.filled_columns() if self.table is not None else frozenset()

    @property
    def list_fields(self) -> tuple[str, ...]:
        """Wire names of the fields whose values fill child tables, and that are compared with these."""
        return self.table.list_fields if self.table is not None else ()

    @property
    def is_counted(self) -> bool:
        """Rows stay for ever, so that their number tells whether some are missing in the destination."""
        return isinstance(self.table, AppendOnlyTable)

    def empty_tables(self) -> Iterator[TableRows]:
        """Its tables without rows."""
        return self.table.empty_tables() if self.table is not None else iter(())


@dataclass(frozen=True, eq=False, kw_only=True)
class DependentStream(Stream):
    """One type's product rows, or the bindings of all activities: rows that the portal lists by their parent item only.

    Attributes:
        children: builds the rows; `table` is None, for of the parents only ids are read.
        child_query: the list of what belongs to some parents.
        parent: the stream that reads the parents themselves in this load, if there is one.
        inline_children: what a parent's row itself holds of what belongs to it; None where rows hold nothing of it.
    """

    children: ChildTableBuilder | BindingTableBuilder
    child_query: Callable[[Sequence[int]], ChildQuery]
    parent: Stream | None = None
    inline_children: Callable[[Row], Sequence[Row]] | None = None

    compares_children: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return self.children.name

    @property
    def filled_columns(self) -> frozenset[str]:
        return self.children.filled_columns() if isinstance(self.children, ChildTableBuilder) else frozenset()

    def empty_tables(self) -> Iterator[TableRows]:
        return self.children.empty_tables()

"""Streams: each reads one list of the portal into one table. Immutable, made once for each load package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar

from ..catalog import EntityType
from ..reader import DependentQuery, ListQuery, Row
from .fixed_tables import AppendOnlyTableBuilder, BindingTableBuilder, DependentTableBuilder
from .item_tables import ItemTableBuilder, TableRows

StreamKey = tuple[str, int]


class ReadMode(Enum):
    """What a read asks for: all rows, rows above the highest known id, changed rows, all ids, or rows by their ids."""

    FULL = auto()
    CREATED = auto()
    UPDATED = auto()
    IDS = auto()
    BY_ID = auto()


@dataclass(frozen=True, eq=False)
class Stream:
    """One list that is read into one table.

    Attributes:
        resource: the dlt resource of the table.
        query: the list.
        table: builds the rows; None if only ids are read, for their dependents.
        entity: the entity type of the items; None for lists of all types.
        has_time: rows have a time of change, so changes can be asked for.
        full_refresh: it is read from the start, whatever was read before.
    """

    resource: str
    query: ListQuery
    table: ItemTableBuilder | None
    entity: EntityType | None = None
    has_time: bool = True
    full_refresh: bool = False

    compares_children: ClassVar[bool] = False
    """whether its ids are read at times to compare their dependents"""

    @property
    def entity_type_id(self) -> int | None:
        """The entityTypeId of the items; None for lists of all types."""
        return self.entity.entity_type_id if self.entity else None

    @property
    def name(self) -> str:
        """The name used in messages."""
        return self.table.name if self.table else f"{self.resource} of {self.query.where}"

    @property
    def key(self) -> StreamKey:
        """The key that identifies the stream in a run."""
        return self.resource, self.query.entity_type_id

    @property
    def marks_deleted(self) -> bool:
        """Whether rows deleted in the portal can be found and marked."""
        return self.table is not None and self.table.marks_deleted

    @property
    def filled_columns(self) -> frozenset[str]:
        """Columns of its tables that are filled, in the form of `ItemTableBuilder.filled_columns`."""
        return self.table.filled_columns() if self.table is not None else frozenset()

    @property
    def list_fields(self) -> tuple[str, ...]:
        """Wire names of the fields that fill child tables and are compared with them."""
        return self.table.list_fields if self.table is not None else ()

    @property
    def is_counted(self) -> bool:
        """Whether rows are never deleted, so that their number shows if some are missing in the destination."""
        return isinstance(self.table, AppendOnlyTableBuilder)

    def empty_tables(self) -> Iterator[TableRows]:
        """Yields its tables without rows."""
        return self.table.empty_tables() if self.table is not None else iter(())


@dataclass(frozen=True, eq=False, kw_only=True)
class DependentStream(Stream):
    """One type's product rows, or the bindings of all activities: rows that the portal lists by their parent item only.

    Attributes:
        dependent_table: builds the rows; `table` is None, because only the ids of parents are read.
        dependent_query: makes the query for the dependents of some parents.
        parent: the stream that reads the parents themselves in this load, if there is one.
        inline_dependents: returns the dependents contained in a parent's row; None if rows contain none.
    """

    dependent_table: DependentTableBuilder | BindingTableBuilder
    dependent_query: Callable[[Sequence[int]], DependentQuery]
    parent: Stream | None = None
    inline_dependents: Callable[[Row], Sequence[Row]] | None = None

    compares_children: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return self.dependent_table.name

    @property
    def filled_columns(self) -> frozenset[str]:
        return (
            self.dependent_table.filled_columns()
            if isinstance(self.dependent_table, DependentTableBuilder)
            else frozenset()
        )

    def empty_tables(self) -> Iterator[TableRows]:
        return self.dependent_table.empty_tables()

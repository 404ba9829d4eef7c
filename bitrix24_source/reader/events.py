"""What the reader reports: a batch of rows of one task, and the end of a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import Bitrix24Error
from .id_ranges import IdRange, StoredRange
from .list_queries import ListQuery, Row
from .unusable_rows import NO_ROWS, UnusableRows


class ReadTask(Protocol):
    """Anything that names a range of ids to read; it comes back with each of its events."""

    @property
    def range(self) -> IdRange:
        """The list and the ids. The reader moves it on as rows come."""


@dataclass(frozen=True)
class PageBatch:
    """Rows of one task.

    Attributes:
        task: the object that was passed in.
        rows: as the portal wrote them; none where all that came is `unusable`.
        rows_left: an estimate of what is still to come of the task.
        remaining: what is left of its range after these rows; empty when they are the last.
        unusable: rows that were passed over, none of which is among `rows`.
    """

    task: Any
    rows: Sequence[Row]
    rows_left: int = 0
    remaining: Sequence[StoredRange] = ()
    unusable: UnusableRows = NO_ROWS

    @property
    def items(self) -> ListQuery:
        """The task's list."""
        return _query_of(self.task)


@dataclass(frozen=True)
class ListEnd:
    """A task was read to its end, or as far as `error` let us. Nothing comes after it."""

    task: Any
    error: Bitrix24Error | None = None

    @property
    def items(self) -> ListQuery:
        """The task's list."""
        return _query_of(self.task)


def _query_of(task: Any) -> ListQuery:
    query: ListQuery = task if isinstance(task, ListQuery) else task.range.query
    return query

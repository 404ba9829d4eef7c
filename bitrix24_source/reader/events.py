"""Events of the reader: a batch of rows of one task, and the end of a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import Bitrix24Error
from .id_ranges import IdRange, StoredRange
from .list_queries import ListQuery, Row
from .unusable_rows import NO_ROWS, UnusableRows


class RangeTask(Protocol):
    """Any object with a range of ids to read; its events refer to it."""

    @property
    def range(self) -> IdRange:
        """The list and the ids; the reader advances it as rows arrive."""


@dataclass(frozen=True)
class PageBatch:
    """Rows of one task.

    Attributes:
        task: the object that was passed in.
        rows: rows as the portal wrote them; empty if all are `unusable`.
        rows_left: estimated number of rows left of the task.
        remaining: what is left of its range after these rows; empty if they are the last.
        unusable: rows without a usable id, which are not in `rows`.
    """

    task: Any
    rows: Sequence[Row]
    rows_left: int = 0
    remaining: Sequence[StoredRange] = ()
    unusable: UnusableRows = NO_ROWS

    @property
    def query(self) -> ListQuery:
        """The task's list."""
        return _query_of(self.task)


@dataclass(frozen=True)
class ListEnd:
    """The last event of a task: it was read to its end, or failed with `error`."""

    task: Any
    error: Bitrix24Error | None = None

    @property
    def query(self) -> ListQuery:
        """The task's list."""
        return _query_of(self.task)


def _query_of(task: Any) -> ListQuery:
    query: ListQuery = task if isinstance(task, ListQuery) else task.range.query
    return query

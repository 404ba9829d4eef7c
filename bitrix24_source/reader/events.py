"""What the reader reports: a batch of rows of one list, and the end of a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Bitrix24Error
from .id_ranges import StoredRange
from .list_queries import ListQuery, Row
from .unusable_rows import NO_ROWS, UnusableRows


@dataclass(frozen=True)
class PageBatch:
    """Some rows of one list; `left` estimates how many are still to come."""

    items: ListQuery
    rows: Sequence[Row]
    left: int = 0
    parts: Sequence[StoredRange] = ()
    """what is left of the list after these rows"""
    unusable: UnusableRows = NO_ROWS
    """rows that were passed over, none of which is among `rows`"""


@dataclass(frozen=True)
class ListEnd:
    """A list was read to its end, or as far as `error` let us."""

    items: ListQuery
    error: Bitrix24Error | None = None

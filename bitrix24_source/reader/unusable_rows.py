"""Counts the rows of a list without a usable id or owner, and keeps an example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..redaction import redact, safe_line
from ..rest import shown_value
from .list_queries import ListQuery, Row


@dataclass(frozen=True)
class UnusableRows:
    """Rows that were skipped.

    Attributes:
        count: their number.
        example: what is wrong with the first of them, without secrets; "" if there is none.
    """

    count: int = 0
    example: str = ""

    @classmethod
    def of(cls, query: ListQuery, rows: Sequence[Row], redact: Callable[[str], str] = redact) -> UnusableRows:
        """Counts rows, none of which is usable."""
        return cls(len(rows), _example(query, rows[0], redact)) if rows else cls()

    def __add__(self, more: UnusableRows) -> UnusableRows:
        return UnusableRows(self.count + more.count, self.example or more.example)

    def __bool__(self) -> bool:
        return self.count > 0


NO_ROWS = UnusableRows()


def _example(query: ListQuery, row: Row, redact: Callable[[str], str]) -> str:
    name = query.unusable_field(row)
    if name not in row:
        return f"no {name}"
    return f"{name} is {safe_line(redact(shown_value(row[name])))}"

"""Counts the rows of a list that can be told from no other, or belong to nothing, and keeps an example."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..redaction import redact, safe_line
from .list_queries import ListQuery, Row

EXAMPLE_LENGTH = 60
"""characters of a value: enough to see what it is"""


@dataclass(frozen=True)
class UnusableRows:
    """Rows that were passed over.

    Attributes:
        count: how many.
        example: what is wrong with the first of them, without secrets; "" where there is none.
    """

    count: int = 0
    example: str = ""

    @classmethod
    def of(cls, query: ListQuery, rows: Sequence[Row], redact: Callable[[str], str] = redact) -> UnusableRows:
        """All of some rows, none of which is usable."""
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
    value = row[name]
    if isinstance(value, (list, Mapping)):
        return f"{name} is {'a list' if isinstance(value, list) else 'an object'}"
    text = safe_line(redact(json.dumps(value, ensure_ascii=False)))
    return f"{name} is {text if len(text) <= EXAMPLE_LENGTH else text[:EXAMPLE_LENGTH] + '…'}"

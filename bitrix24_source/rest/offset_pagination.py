"""Reads short lists by offset, each row once.

Dictionaries (types, stages, user fields) are short; all pages after the first are read side by side.
Facts: https://apidocs.bitrix24.com/settings/how-to-call-rest-api/list-methods-pecularities.html
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import Bitrix24Error, PortalError
from .batching import CallGenerator, CallResult
from .protocol import PAGE_SIZE, Call, Response

Row = Mapping[str, Any]
_MOST_PAGES = 2000  # of a dictionary; more is a portal that never ends its list


@dataclass(frozen=True)
class OffsetList:
    """A list method: where its rows lie in `result`, and what tells one row from another."""

    method: str
    rows_key: str
    """key below `result`; "" where `result` is the list itself"""
    key: Callable[[Row], Hashable]
    params: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    """known to come all at once: a full page alone is no sign that there is another, only `next` or `total` is"""

    def page(self, start: int) -> Call:
        """The call for the page at an offset; the first page is asked for without one, which every list method takes."""
        return Call(self.method, {**self.params, "start": start} if start else self.params)

    def rows_in(self, answer: Response) -> list[Row]:
        found = answer.result
        if self.rows_key:
            found = found.get(self.rows_key) if isinstance(found, Mapping) else []
        if isinstance(found, Mapping):  # PHP writes a list with gaps as a map
            found = list(found.values())
        return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


@dataclass(frozen=True)
class ListResult:
    """What a list held; `error` says why rows may be missing, and None that none is."""

    rows: Sequence[Row] = ()
    error: Bitrix24Error | None = None


def read_all(listed: OffsetList, first: CallResult | None = None) -> CallGenerator[ListResult]:
    """Every row of a list, without those that two pages share; `first` is its first page where that was asked before."""
    seen: dict[Hashable, Row] = {}
    starts: Sequence[int] = [0]
    for _ in range(_MOST_PAGES):
        outcomes = [first] if first is not None else (yield [listed.page(start) for start in starts])
        first = None
        error = _collect(listed, starts, outcomes, seen)
        if error:
            return ListResult(list(seen.values()), error)
        starts = _starts_after(listed, starts[-1], outcomes[-1], len(seen))
        if not starts:
            return ListResult(list(seen.values()))
    return ListResult(list(seen.values()), _repeating_page(listed))


def _collect(
    listed: OffsetList, starts: Sequence[int], outcomes: Sequence[CallResult], seen: dict[Hashable, Row]
) -> Bitrix24Error | None:
    for start, outcome in zip(starts, outcomes, strict=True):
        if not isinstance(outcome, Response):
            return outcome
        rows = {listed.key(row): row for row in listed.rows_in(outcome)}
        if start and rows and rows.keys() <= seen.keys():
            return _repeating_page(listed)
        seen.update(rows)
    return None


def _starts_after(listed: OffsetList, start: int, last: CallResult, held: int) -> Sequence[int]:
    """The offsets still to ask: all that `total` promises at once, else one page at a time while pages are full.

    `next` is a signal by its presence, and a list that came whole has none. `total` is 0 or missing for some lists.
    """
    if not isinstance(last, Response) or (last.next is None and last.total and held >= last.total):
        return []
    if listed.whole and last.next is None and not last.total:
        return []
    reached = start + PAGE_SIZE
    full = len(listed.rows_in(last)) == PAGE_SIZE  # more than a page holds is a list that came whole
    if last.total and last.total > reached and (full or last.next is not None):
        return range(reached, last.total, PAGE_SIZE)
    if last.next is not None and last.next > start:
        return [last.next]
    return [reached] if full else []


def _repeating_page(listed: OffsetList) -> Bitrix24Error:
    return PortalError(
        "the portal repeats a page of a list, so that its end cannot be reached",
        listed.method,
        "report it to the portal's administrator; rows beyond the first pages may be missing",
    )

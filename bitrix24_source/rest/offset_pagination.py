"""Reads short lists by offset, each row once.

Dictionaries (types, stages, user fields) are short; all pages after the first are read in one batch.
Facts: https://apidocs.bitrix24.com/settings/how-to-call-rest-api/list-methods-pecularities.html
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import Bitrix24Error, PortalError
from .batching import CallGenerator, CallResult
from .php_values import as_id, as_mapping, as_rows, as_text
from .protocol import PAGE_SIZE, Call, Response

Row = Mapping[str, Any]
_MOST_PAGES = 2000  # more pages mean that the portal's list never ends


@dataclass(frozen=True)
class OffsetList:
    """A list method.

    Attributes:
        method: name of the method.
        rows_key: key of the rows below `result`; "" if `result` is the list itself.
        key: fields that identify a row.
        params: parameters of every call.
        whole: usually answered at once: only `next` or `total` announce another page, not a full page.
        has_text_keys: the key consists of texts, not of numbers.
        tie_breaker: a field that distinguishes rows with the same `key`.
    """

    method: str
    rows_key: str
    key: tuple[str, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    has_text_keys: bool = False
    tie_breaker: str = ""

    def page(self, start: int) -> Call:
        """Returns the call for the page at an offset; for the first page without one, which every list method accepts."""
        return Call(self.method, {**self.params, "start": start} if start else self.params)

    def entries_in(self, answer: Response) -> Sequence[Any] | None:
        """Returns the entries of a page; None if the answer is not a page: as an empty one it would end the list."""
        if self.rows_key and answer.result != []:
            return as_rows(as_mapping(answer.result).get(self.rows_key))
        return as_rows(answer.result)

    def key_of(self, row: Row) -> tuple[Hashable, ...] | None:
        """Returns the values of the row's key; None if it has no usable key."""
        written = (row.get(name) for name in self.key)
        values = tuple(as_text(value) if self.has_text_keys else as_id(value, least=0) for value in written)
        return None if None in values else (*values, str(row.get(self.tie_breaker)))


@dataclass(frozen=True)
class ListResult:
    """The result of reading a list.

    Attributes:
        rows: the rows, each once; of two with the same key the last one.
        error: why rows may be missing; None if the list is complete.
        unusable: for each entry without a usable key, the value in its place, as returned by `shown_value`.
    """

    rows: Sequence[Row] = ()
    error: Bitrix24Error | None = None
    unusable: Sequence[str] = ()


def read_all(listed: OffsetList, first: CallResult | None = None) -> CallGenerator[ListResult]:
    """Reads every row of a list, without duplicates on two pages; `first` is its first page if it was read before."""
    seen: dict[Hashable, Any] = {}
    starts: Sequence[int] = [0]
    for _ in range(_MOST_PAGES):
        outcomes = [first] if first is not None else (yield [listed.page(start) for start in starts])
        first = None
        error = _collect(listed, starts, outcomes, seen)
        if error:
            return _result(listed, seen, error)
        starts = _starts_after(listed, starts[-1], outcomes[-1], len(seen))
        if not starts:
            return _result(listed, seen)
    return _result(listed, seen, _repeating_page(listed))


def _result(listed: OffsetList, seen: Mapping[Hashable, Any], error: Bitrix24Error | None = None) -> ListResult:
    rows = [entry for key, entry in seen.items() if isinstance(key, tuple)]
    unusable = tuple(_shown_key(listed, entry) for key, entry in seen.items() if not isinstance(key, tuple))
    return ListResult(rows, error, unusable)


def _shown_key(listed: OffsetList, entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return shown_value(entry)
    return ", ".join(f"{name} {shown_value(entry.get(name))}" for name in listed.key)


def shown_value(value: Any) -> str:
    """Returns a value as an example for messages; personal or long values are replaced by their kind."""
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z]{0,20}|[0-9.,+-]{1,8}", value):
        return f"a text of {len(value)} characters"
    if isinstance(value, str):
        return f'"{value}"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return str(value) if abs(value) < 10**8 else "a number"
    return "a map" if isinstance(value, Mapping) else "a list"


def _collect(
    listed: OffsetList, starts: Sequence[int], outcomes: Sequence[CallResult], seen: dict[Hashable, Any]
) -> Bitrix24Error | None:
    for start, outcome in zip(starts, outcomes, strict=True):
        if not isinstance(outcome, Response):
            return outcome
        entries = listed.entries_in(outcome)
        if entries is None:
            return _no_page(listed)
        rows = _by_identity(listed, entries)
        if start and rows and rows.keys() <= seen.keys():
            return _repeating_page(listed)
        seen.update(rows)
    return None


def _by_identity(listed: OffsetList, entries: Sequence[Any]) -> dict[Hashable, Any]:
    """Returns the entries of one page by their key; of two with the same key, the last one."""
    rows: dict[Hashable, Any] = {}
    for entry in entries:
        key = _identity(listed, entry)
        if rows.get(key, entry) != entry:
            rows[repr(rows[key])] = rows[key]
        rows[key] = entry
    return rows


def _identity(listed: OffsetList, entry: Any) -> Hashable:
    """Returns the key of a row; for any other entry its whole text, so that repeated pages do not count it twice."""
    key = listed.key_of(entry) if isinstance(entry, Mapping) else None
    return repr(entry) if key is None else key


def _no_page(listed: OffsetList) -> Bitrix24Error:
    return PortalError(
        "the portal's answer is not a list",
        listed.method,
        "report it to the portal's administrator; what was loaded before stays",
    )


def _starts_after(listed: OffsetList, start: int, last: CallResult, held: int) -> Sequence[int]:
    """Returns the offsets still to read: all up to `total`, else one page at a time while pages are full.

    The presence of `next` announces another page; a complete list has none. `total` is 0 or missing for some lists.
    """
    if not isinstance(last, Response) or (last.next is None and last.total and held >= last.total):
        return []
    if listed.whole and last.next is None and not last.total:
        return []
    reached = start + PAGE_SIZE
    full = len(listed.entries_in(last) or ()) == PAGE_SIZE  # more entries than a page has are a complete list
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

"""Ranges of ids, the chains of pages that read them, and the evaluation of pages.

Pages of a range form a chain: each asks for the ids after the last id of the previous page, a reference that the portal
resolves while it executes a batch. Ranges are independent of each other and can be read concurrently. Sends nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ..errors import Bitrix24Error, PortalError, UnavailableError
from ..redaction import redact
from ..rest import PAGE_SIZE, Call, CallResult, Response
from .list_queries import ListQuery, Row
from .unusable_rows import NO_ROWS, UnusableRows

StoredRange = list[Any]
"""A stored range: after, upper, known_max_id, id_stride, has_uniform_stride."""
_GUESSED = 3
"""number of first pages of a very large range: ids may be clustered far apart, so all pages but the first may be empty"""
_VAST = 1_000_000
"""estimated rows from which the estimate is not trusted at first"""
_SAFETY = 0.95
"""share of the estimated pages that is asked for at once; for evenly spaced ids the number is exact"""


CUSTOMISED = "report it to the portal's administrator: a customised REST method may be in the way"


@dataclass(eq=False)
class IdRange:
    """A range of ids that is still to be read.

    Attributes:
        query: the list.
        after: the last id that was read, or the bound before the first.
        upper: the last id of the range; None for an open end.
        known_max_id: the highest known id, on which estimates are based.
        id_stride: average distance of ids on the latest pages; 0 while unknown.
        has_uniform_stride: ids are evenly spaced, so estimates are exact.
        suspect_end: the end of a short page although later ids are known.
        is_unverified: no page of it was read yet; estimates are those of its neighbour.
        checkpoint_max_id: an id that an earlier run has seen, so that an end before it is suspect; 0 for none.
    """

    query: ListQuery
    after: int = 0
    upper: int | None = None
    known_max_id: int | None = None
    id_stride: float = 0.0
    has_uniform_stride: bool = False
    suspect_end: int | None = None
    is_unverified: bool = False
    checkpoint_max_id: int = 0

    @property
    def range(self) -> IdRange:
        """The range itself, so that a range can serve as a task."""
        return self

    def to_stored(self) -> StoredRange:
        """Returns the range as a list that can be stored."""
        return [self.after, self.upper, self.known_max_id, self.id_stride, self.has_uniform_stride]

    @classmethod
    def from_stored(cls, query: ListQuery, part: StoredRange) -> IdRange:
        return cls(query, *part)

    def rows_left(self) -> float:
        """Estimated number of rows left; 0 if unknown or nothing is left."""
        if self.known_max_id is None or not self.id_stride or self.suspect_end == self.after:
            return 0.0
        return max(0.0, (self.known_max_id - self.after) / self.id_stride)

    def pages_wanted(self, most: int) -> int:
        """Returns the number of pages of the next chain; pages after the end would waste the portal's time."""
        pages = self.rows_left() / PAGE_SIZE
        exact = math.ceil(pages) if self.has_uniform_stride else math.floor(pages * _SAFETY)
        return max(1, min(most, exact, _GUESSED if self.is_unverified and self.rows_left() > _VAST else exact))

    def chain(self, links: int, first_command: int) -> list[Call]:
        """Returns the next pages as commands of a batch, starting at command number `first_command`."""
        bounds: list[int | str] = [self.after]
        bounds += [self.query.last_id_reference(first_command + link) for link in range(links - 1)]
        return [self.query.page_call(bound, self.upper) for bound in bounds]

    def split(self, parts: int) -> list[IdRange]:
        """Splits the range into equal parts; the last one keeps the open end."""
        if self.known_max_id is None or parts < 2 or self.known_max_id - self.after < parts * PAGE_SIZE:
            return [self]
        step = (self.known_max_id - self.after) / parts
        borders = [self.after, *(self.after + round(step * part) for part in range(1, parts))]
        uppers: list[int | None] = [*borders[1:], self.upper]
        return [
            IdRange(
                self.query, after, upper, upper if upper is not None else self.known_max_id, self.id_stride, self.has_uniform_stride,
                is_unverified=self.is_unverified or after != self.after,
            )
            for after, upper in zip(borders, uppers, strict=True)
        ]  # fmt: skip


@dataclass
class ChainResult:
    """The result of a chain.

    Attributes:
        rows: new rows, in ascending order of ids.
        unusable: rows without a usable id, which are skipped.
        pages: number of answers used.
        finished: the range has been read to its end.
        reference_not_resolved: a full page was not followed by the next one: the portal does not resolve references.
        error: why the range could not be read further.
    """

    rows: list[Row] = field(default_factory=list)
    unusable: UnusableRows = NO_ROWS
    pages: int = 0
    finished: bool = False
    reference_not_resolved: bool = False
    error: Bitrix24Error | None = None


def consume_pages(
    id_range: IdRange, outcomes: Sequence[CallResult], redact: Callable[[str], str] = redact
) -> ChainResult:
    """Advances a range over the pages of a chain. A page is accepted only if its ids follow those before it.

    Unusable rows are skipped and counted. Those at the end of a full page are returned again with the next page, which starts
    after the last id; they are counted there.

    Args:
        id_range: the range to advance.
        outcomes: results of the chain, in order.
        redact: removes credentials from text that the portal sent.
    """
    progress = ChainResult()
    spans: list[float] = []
    for link, outcome in enumerate(outcomes):
        page = _page_in(id_range.query, outcome)
        if isinstance(page, Bitrix24Error):
            progress.error = page if link == 0 else None  # otherwise the next chain starts with this page
            break
        if id_range.query.is_unpaged:
            return ChainResult(page.usable, UnusableRows.of(id_range.query, page.unusable, redact), 1, finished=True)
        if not _follows(id_range, page.ids):
            progress.reference_not_resolved = link > 0
            progress.error = _disorder(id_range.query) if link == 0 else None
            break
        start, id_range.after = id_range.after, page.ids[-1] if page.ids else id_range.after
        progress.rows += page.usable
        progress.pages += 1
        id_range.is_unverified = False
        if not page.is_full:
            progress.finished = _is_end(id_range, is_empty=not page.rows)
        elif id_range.after == id_range.known_max_id and id_range.upper is None and not page.trailing:
            progress.finished = True  # with the newest there was; newer ones would show
        come_again = 0 if progress.finished else page.trailing
        if counted := page.unusable[: len(page.unusable) - come_again]:
            progress.unusable += UnusableRows.of(id_range.query, counted, redact)
        if progress.finished or not page.is_full or page.trailing:  # what follows refers to an id that is none
            break
        spans.append(page.ids[-1] - start if link else (page.ids[-1] - page.ids[0]) * PAGE_SIZE / (PAGE_SIZE - 1))
    _learn(id_range, spans)
    return progress


@dataclass(frozen=True)
class _Page:
    """The rows of a page.

    Attributes:
        rows: all of them.
        ids: the usable ids, in order.
        usable: rows with a usable id.
        unusable: the other rows.
        trailing: number of rows without an id after the last one with an id.
    """

    rows: list[Row]
    ids: list[int]
    usable: list[Row]
    unusable: list[Row]
    trailing: int

    @property
    def is_full(self) -> bool:
        return len(self.rows) >= PAGE_SIZE


def _page_in(query: ListQuery, outcome: CallResult) -> _Page | Bitrix24Error:
    if not isinstance(outcome, Response):
        return outcome
    rows = query.rows_in(outcome.result)
    if rows is None:
        return UnavailableError(
            "the portal answers with something that is not a page of items", query.where, "try again later"
        )
    ids = list(map(query.id_of, rows))
    if 0 not in ids and not query.reference_fields:
        return _Page(rows, ids, rows, [], 0)
    unusable = [row for row in rows if query.unusable_field(row)]
    usable = [row for row in rows if not query.unusable_field(row)]
    trailing = next((place for place, id_ in enumerate(reversed(ids)) if id_), len(ids))
    page = _Page(rows, list(filter(None, ids)), usable, unusable, trailing)
    return _no_id(query) if page.is_full and not page.ids and not query.is_unpaged else page


def max_id_in(query: ListQuery, outcome: CallResult) -> int | Bitrix24Error:
    """Returns the highest id in the answer to `query.max_id_call()`, 0 without items; or an error.

    Rows without a usable id before the highest one have higher ids, so the result is increased by their number.
    """
    page = _page_in(query, outcome)
    if isinstance(page, Bitrix24Error):
        return page
    is_falling = all(earlier > later for earlier, later in pairwise((*page.ids, 0)))
    unusable_before = next((place for place, row in enumerate(page.rows) if query.id_of(row)), len(page.rows))
    return max(page.ids, default=0) + unusable_before if is_falling else _disorder(query)


def _follows(id_range: IdRange, ids: Sequence[int]) -> bool:
    before = id_range.after
    for id_ in ids:
        if id_ <= before:
            return False
        before = id_
    return id_range.upper is None or before <= id_range.upper or not ids


def _is_end(id_range: IdRange, *, is_empty: bool) -> bool:
    """Returns whether a short page is the end; if it ends before a known id, it is confirmed by another page.

    With a user's filter pages may be short, so only an empty page is the end.
    """
    reaches = id_range.after >= max(id_range.known_max_id or 0, id_range.checkpoint_max_id)
    if id_range.suspect_end == id_range.after or (reaches and (is_empty or not id_range.query.has_own_filter)):
        return True
    id_range.suspect_end = id_range.after
    return False


def _learn(id_range: IdRange, spans: Sequence[float]) -> None:
    if spans:
        id_range.id_stride = sum(spans) / len(spans) / PAGE_SIZE
        id_range.has_uniform_stride = max(spans) - min(spans) <= 0.01 * max(spans) and (
            len(spans) > 1 or id_range.id_stride == 1
        )


def _disorder(query: ListQuery) -> Bitrix24Error:
    return PortalError(
        "the portal ignores the filter or the order on id, so that reading on would lose or repeat rows",
        query.where,
        CUSTOMISED,
    )


def _no_id(items: ListQuery) -> Bitrix24Error:
    """Returns the error for a page without ids, after which the next page cannot be asked for."""
    return PortalError(
        "the portal shows a whole page of items without a usable id, after which nothing can be asked for",
        items.where,
        CUSTOMISED,
    )

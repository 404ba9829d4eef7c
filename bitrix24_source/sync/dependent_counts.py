"""Compares the rows of owners with the portal's, which does not report their changes and lists them by owner only.

Product rows of many owners are counted by one call, whose first page also shows the highest ids. Every activity has a binding,
so one without bindings in the destination lacks them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from ..errors import Bitrix24Error, DeniedError
from ..reader import DependentQuery, ProductRowQuery
from ..rest import PAGE_SIZE, CallGenerator, CallResult, Response
from .ports import DependentCounts

MAX_SINGLE_OWNERS = 1_000
"""maximum number of owners that are counted one by one if the portal rejects lists of them; more are not compared"""


def differing_parents(
    query: Callable[[Sequence[int]], DependentQuery], owners: Sequence[int], stored: DependentCounts
) -> CallGenerator[list[int] | Bitrix24Error]:
    """Finds owners whose product rows in the destination differ from the portal's in number or in the highest id.

    Args:
        query: makes the query for the product rows of some owners.
        owners: items that are not deleted, in ascending order.
        stored: number of rows and highest row id in the destination.

    Returns:
        The owners of each group that differs; or the error of the portal.
    """
    groups = list(_groups(owners, ProductRowQuery.max_counted_owners))
    results = yield [query(group).count_call() for group in groups]
    refused = [group for group, result in zip(groups, results, strict=True) if isinstance(result, DeniedError)]
    if refused and sum(map(len, refused)) <= MAX_SINGLE_OWNERS:  # rights on lists are checked on one item
        single_owners = list(_groups(list(chain.from_iterable(refused)), 1))
        results = [result for result in results if not isinstance(result, DeniedError)]
        groups = [*(group for group in groups if group not in refused), *single_owners]
        results += yield [query(group).count_call() for group in single_owners]
    differing: list[int] = []
    for group, result in zip(groups, results, strict=True):
        if isinstance(result, Bitrix24Error) and not isinstance(result, DeniedError):
            return result
        if not _are_equal(query(group), result, stored):
            differing += group
    return differing


def _groups(owners: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (owners[start : start + size] for start in range(0, len(owners), size))


def _are_equal(query: DependentQuery, result: CallResult, stored: DependentCounts) -> bool:
    """Returns whether a group of owners has as many rows as the portal reports; True if it reports no number."""
    rows = query.rows_in(result.result) if isinstance(result, Response) else None
    if rows is None or not isinstance(result, Response):
        return True
    count = len(rows) if len(rows) < PAGE_SIZE else result.total
    newest = max(map(query.id_of, rows), default=0)
    kept = [stored[owner] for owner in query.owners if owner in stored]
    return count in (None, sum(number for number, _ in kept)) and newest == max((id_ for _, id_ in kept), default=0)

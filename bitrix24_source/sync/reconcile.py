"""Reconciles tables with the portal's lists, by their ids and, for rows without a time of change, by their numbers.

Deleted items are marked; those that are missing, restored or changed unnoticed are read again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pyarrow as pa

from ..errors import STOPS_READING, Bitrix24Error, PortalError
from ..rest import gather
from .comparison import ALWAYS_ALLOWED_DELETES, Comparison, compare, items_with_other_lists, tombstones
from .dependents import DependentProgress
from .item_tables import ItemTableBuilder
from .ports import DependentCounts
from .progress import StreamProgress
from .sync_run import SyncRun
from .table_batches import TableBatch

log = logging.getLogger("bitrix24_source")


def reconcile(run: SyncRun) -> Iterator[TableBatch]:
    """Compares every stream that is due, over one connection to the destination; queues what differs to be read again."""
    with run.context.destination.opened():
        for progress in run.progress.values():
            table = progress.stream.table
            if progress.is_complete and progress.plan.reconciles and table is not None:
                yield from _reconcile_stream(run, progress, table)
        _compare_counts(run)
        _compare_children(run)


def _reconcile_stream(run: SyncRun, progress: StreamProgress, table: ItemTableBuilder) -> Iterator[TableBatch]:
    """Marks deleted items, and queues those to be read again."""
    plan, stream = progress.plan, progress.stream
    # A refresh drops the table with this load: its present rows are not kept.
    stored = None if plan.is_new_table else run.context.destination.keys(table.name)
    if stored is None:
        _close(run, progress)
        return
    comparison = replace(compare(stored, progress.seen), incomplete=_with_other_lists(run, progress, table))
    may_shrink = plan.checkpoint.may_shrink
    max_share = 1.0 if may_shrink else run.options.max_deleted_share
    is_unusual = comparison.is_unusual(max_share)
    try:
        if run.has_other_user(progress):
            _report_other_user(run, progress, comparison)
        elif not progress.seen.is_complete:
            log.info("%s: rows without a usable id may be any: none is marked as deleted in this run", stream.name)
        else:
            comparison.require_plausible(table.name, max_share)
            if is_unusual and not may_shrink:
                _report_unusual_deletions(run, progress, comparison)
            for rows in tombstones(run.context.destination, table.name, comparison.gone, run.now()):
                yield from run.batches(stream, [(table.spec, rows)])
    except Bitrix24Error as error:
        run.record(stream, error, error.what)
        return
    if not plan.is_full and comparison.to_read:
        log.info(
            "%s: %s items are read again: %s are missing in the table, %s came back, %s have another time of change, "
            "%s other lists of values",
            stream.name,
            *(
                f"{len(ids):,}"
                for ids in (
                    comparison.to_read,
                    comparison.missing,
                    comparison.restored,
                    comparison.changed,
                    comparison.incomplete,
                )
            ),
        )
        progress.schedule_reread(comparison.to_read)
    is_empty_again = not any(map(len, progress.seen.ids)) and bool(len(stored.ids))
    _close(run, progress, is_doubtful=is_unusual or is_empty_again)


def _with_other_lists(run: SyncRun, progress: StreamProgress, table: ItemTableBuilder) -> list[int]:
    """Returns items for which a child table has another number of rows than the portal has values, or than were read."""
    found: set[int] = set()
    for child, expected in _expected_lists(run, progress, table):
        stored = run.context.destination.list_sizes(child)
        if stored is not None:
            found.update(items_with_other_lists(stored, expected, progress.seen))
    return sorted(found)


def _expected_lists(run: SyncRun, progress: StreamProgress, table: ItemTableBuilder) -> Iterator[tuple[str, pa.Table]]:
    """Yields child tables with the number of rows that they should have for each item."""
    for child, pages in progress.seen.lists.items():
        yield child, pa.concat_tables(pages)
    for column, child in table.counts.items():
        recorded = run.context.destination.recorded_sizes(table.name, column)
        if recorded is not None:
            yield child, recorded


def _close(run: SyncRun, progress: StreamProgress, *, is_doubtful: bool = False) -> None:
    """Stores the time of the comparison, or has the next load compare again.

    The next load compares again after a change of users, if this load could not mark anything, if the list is empty and the
    table is not, or if unusually many rows are gone: a lost permission is soon restored, and an empty list costs one call.
    """
    now = run.start.portal_now if run.start is not None else run.now()
    is_again = run.has_other_user(progress) or is_doubtful or not progress.seen.is_complete
    progress.close_reconciliation("" if is_again else now.isoformat())


def _report_unusual_deletions(run: SyncRun, progress: StreamProgress, comparison: Comparison) -> None:
    """Reports few items that are a large part of their table: either deleted, or hidden by a lost permission."""
    name = progress.stream.name
    hint = "if they were not deleted, check the rights of the credential: they come back with them"
    error = PortalError("more items are gone than usual", name, hint)
    gone = f"{len(comparison.gone):,} of {comparison.active:,} items are gone from the portal"
    run.record(progress.stream, error, f"{name}: {gone}; they were marked, and the next run looks again")


def _report_other_user(run: SyncRun, progress: StreamProgress, comparison: Comparison) -> None:
    """Reports items that the previous user saw and this one does not: either deleted, or hidden from this user."""
    gone, active, name = len(comparison.gone), comparison.active, progress.stream.name
    if not gone:
        return
    text = f"{name}: the credential's user is another one, who does not see {gone:,} of {active:,} items"
    if gone < active and gone <= ALWAYS_ALLOWED_DELETES:
        log.info("%s; none is marked in this run", text)
        return
    hint = "check the rights of the new user; the next run marks what it does not see"
    run.record(progress.stream, PortalError("another user does not see them", name, hint), f"{text}; none was marked")


def _compare_counts(run: SyncRun) -> None:
    """Has lists read anew of which the destination has fewer rows than the portal, if their rows are never deleted."""
    start, schedule = run.start, run.options.sweep
    if start is None or run.reader.lost is not None:
        return
    due = [
        progress
        for progress in run.progress.values()
        if progress.stream.is_counted
        and progress.is_complete
        and progress.checkpoint.is_reconciliation_due(start.portal_now, schedule)
    ]
    counted = {progress: count for progress in due if (count := progress.plan.portal_count) is not None}
    if counted:
        streams = [progress.stream for progress in counted]
        tables = {
            stream.entity.entity_type_id: stream.entity.items_table for stream in streams if stream.entity is not None
        }
        stored = run.context.destination.counts(streams[0].name, items_tables=tables)
        for progress, portal_count in counted.items() if stored is not None else ():
            count = _rows_after(progress, stored or {})
            if count < portal_count:
                progress.start_over(f"the table has {count:,} of {portal_count:,} rows")
    for progress in due:
        progress.close_reconciliation(start.portal_now.isoformat())


def _rows_after(progress: StreamProgress, stored: Mapping[int, int]) -> int:
    """Returns the number of rows of the table after this load, plus those that cannot be loaded."""
    return stored.get(progress.stream.query.entity_type_id, 0) + progress.rows + progress.unusable.count


def _compare_children(run: SyncRun) -> None:
    """Queues parents whose dependents differ from the destination's, beside those that changed.

    Dependents are counted for many parents at once, of all types in the same requests.
    """
    comparing: list[tuple[DependentProgress, list[int], DependentCounts]] = []
    counts: dict[str, Mapping[int, DependentCounts] | None] = {}
    if run.reader.lost is not None or run.start is None:
        _miss_comparisons(run)
        return
    for progress in run.dependents:
        if progress.is_complete and (progress.plan.reconciles or progress.plan.is_full):
            progress.close_reconciliation(run.start.portal_now.isoformat())
        owners = progress.owners_to_compare()
        name = progress.stream.name
        if owners and name not in counts:
            group, owner, row_id = progress.stream.dependent_table.counted_by
            counts[name] = run.context.destination.dependent_counts(name, group=group, owner=owner, row_id=row_id)
        stored = counts.get(name)
        if owners and stored is not None:
            comparing.append((progress, owners, stored.get(progress.stream.query.entity_type_id, {})))
    try:
        results = gather(
            run.client, [progress.differing_owners(owners, stored) for progress, owners, stored in comparing]
        )
    except STOPS_READING as error:
        run.reader.lose(error)
        results = [error] * len(comparing)
    for (progress, _, _), result in zip(comparing, results, strict=True):
        if isinstance(result, Bitrix24Error):
            log.info("%s: rows could not be compared with the portal's: %s", progress.stream.name, result.what)
            progress.miss_comparison()
        elif result:
            where = progress.stream.query.where
            log.info(
                "%s: rows of %s items are read again: the table lacks some, %s",
                progress.stream.name,
                f"{len(result):,}",
                where,
            )
            progress.recheck(result)


def _miss_comparisons(run: SyncRun) -> None:
    """Leaves the comparisons of this load to the next one, because the portal no longer answers."""
    for progress in run.dependents:
        if progress.owners_to_compare():
            progress.miss_comparison()

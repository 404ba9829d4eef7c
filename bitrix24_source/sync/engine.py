"""One load over all streams: reads what the plan says, yields tables, and saves checkpoints.

A stream is read in full the first time, and by what is new and what changed after that; its ids are compared with the
destination's now and then, because the portal does not report deletions. Rows and checkpoints are committed in one package.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import islice

from ..catalog import Catalog, EntityType, IssueLog
from ..errors import STOPS_READING, Bitrix24Error, ConfigError, DeniedError, PortalError, UnavailableError
from ..reader import DependentQuery, ListQuery, PageBatch, Row
from ..rest import Client
from .comparison import tombstones
from .deleted_types import confirmed_deleted_types
from .dependents import DependentBatch, DependentProgress
from .item_tables import ItemTableBuilder, item_spec
from .options import SyncOptions
from .plan import ReadTask, SyncPlan, make_plan
from .ports import LoadContext
from .progress import StreamProgress
from .reconcile import reconcile
from .selection import SPA_ITEMS
from .session import RunSession
from .streams import DependentStream, ReadMode, Stream
from .sync_run import SyncRun
from .table_batches import TableBatch
from .task_reader import SliceStop, TaskReader

log = logging.getLogger("bitrix24_source")

CHILD_LISTS_AT_ONCE = 10_000
"""maximum number of queries for dependents that are read at once"""


def sync(
    context: LoadContext,
    client: Client,
    catalog: Catalog,
    streams: Sequence[Stream],
    options: SyncOptions,
    issues: IssueLog,
) -> Iterator[TableBatch]:
    """Yields all rows for the destination, and saves the checkpoints of streams that were read to their end.

    Args:
        context: the load package.
        client: calls the portal.
        catalog: the portal's catalogue.
        streams: the streams to read, from `select_streams`.
        options: how to read them; `session` is shared by the load packages of one run.
        issues: collects what could not be read.
    """
    session = options.session
    session.begin_slice()
    unfinished = [stream for stream in streams if stream.key not in session.finished]
    if not session.slice_count:
        session.new_tables.update(stream.name for stream in unfinished if not context.has_columns(stream.name))
    fitting = [stream for stream in unfinished if _fits_destination(stream, issues)]
    plan = make_plan(context, client, fitting, options, issues)
    with TaskReader(client, session, options.connections, plan.error) as reader:
        run = SyncRun(context, client, options, issues, plan.start, _open_progress(plan, session), reader)
        if plan.error is not None:
            for progress in run.progress.values():
                run.record_failure(progress, plan.error)
        full_reads = plan.tasks(ReadMode.FULL)
        stop = SliceStop(session, client.clock, full_reads)
        yield from _read(run, plan.tasks(ReadMode.CREATED, ReadMode.UPDATED, ReadMode.IDS), stop)
        yield from _read(run, full_reads, stop)
        yield from reconcile(run)
        yield from _reread_by_id(run)
        yield from _read_dependents(run)
        _report_unknown_exclusions(run)
        _report_unusable_rows(run)
        _report_keys_not_looked_up(run)
        yield from _mark_deleted_types(run, catalog)
        yield from _empty_tables(run)
        _save(run)
        _close_slice(run)


def _fits_destination(stream: Stream, issues: IssueLog) -> bool:
    """Returns whether the destination's table can hold all columns of the list; if not, that is an issue."""
    table = stream.table
    too_wide = table.tables_beyond_limit() if table is not None else {}
    if table is not None and too_wide:
        sizes = ", ".join(f"{name} has {size}" for name, size in too_wide.items())
        limit = table.capabilities.max_columns
        error = ConfigError(f"more columns than the destination allows in a table ({limit})", sizes)
        hint = f"name the fields that are needed in select, or leave_out the others as {table.name}.<column>"
        message = f"{error.what}: {error.where}; its items are not loaded"
        issues.record(stream.resource, error, message, hint=hint, entity_type_id=stream.entity_type_id)
    return not too_wide


def _open_progress(plan: SyncPlan, session: RunSession) -> Mapping[Stream, StreamProgress]:
    """Returns the progress of every stream; for full reads, with the ids that earlier slices have seen."""
    opened: dict[Stream, StreamProgress] = {}
    for stream_plan in plan.streams:
        stream = stream_plan.stream
        if isinstance(stream, DependentStream):
            opened[stream] = DependentProgress(stream_plan, opened.get(stream.parent) if stream.parent else None)
        elif stream_plan.is_full and stream_plan.reconciles:
            opened[stream] = StreamProgress(stream_plan, session.seen_keys(stream.key))
        else:
            opened[stream] = StreamProgress(stream_plan)
    return opened


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(run: SyncRun, tasks: Sequence[ReadTask], stop: SliceStop) -> Iterator[TableBatch]:
    """Reads tasks of the plan; `stop` ends full reads only."""
    is_full = any(task.mode is ReadMode.FULL for task in tasks)
    for task, event in run.reader.read(tasks, stop if is_full else None):
        progress = run.progress[task.stream]
        if isinstance(event, PageBatch):
            yield from _take_rows(run, task, event, stop)
        elif event.error is not None:
            run.record_failure(progress, event.error)
        elif run.start is not None:
            progress.close(task, run.start)


def _take_rows(run: SyncRun, task: ReadTask, batch: PageBatch, stop: SliceStop) -> Iterator[TableBatch]:
    progress = run.progress[task.stream]
    ids = progress.observe(task, batch)
    if task.mode is ReadMode.IDS:
        return
    if task.mode is ReadMode.UPDATED:
        _check_filter(run, progress, batch.rows)
    if task.mode is ReadMode.FULL:
        stop.count(task, len(ids), batch.rows_left)
    yield from run.write(progress, batch.rows, ids)
    if (table := task.stream.table) is not None:
        # dlt shows rows and rate; the rows and minutes left of a long table are shown here.
        if task.mode is ReadMode.FULL:
            run.options.session.note_left(table.name, batch.rows_left)
        minutes = stop.minutes_for(batch.rows_left)
        time = f", {minutes:,.0f} min" if minutes >= 1 else ""
        run.context.show_progress(table.name, f"about {batch.rows_left:,} left{time}" if batch.rows_left else "")


def _check_filter(run: SyncRun, progress: StreamProgress, rows: Sequence[Row]) -> None:
    """Reports a portal that ignored the filter and answered older rows: nothing is lost, but too much is read."""
    stream, plan = progress.stream, progress.plan
    since = plan.checkpoint.since(run.options.overlap)
    if progress.filter_was_ignored or not plan.time_filter.was_ignored(stream.query, rows, since):
        return
    progress.note_ignored_filter()
    error = PortalError(f"the portal ignores the filter on {stream.query.updated_field}", stream.query.method)
    run.record(stream, error, f"{stream.name}: {error.what}; all items were read")


def _reread_by_id(run: SyncRun) -> Iterator[TableBatch]:
    """Reads the items that the comparison found to be missing or different."""
    tasks = [
        ReadTask.of(stream, ReadMode.BY_ID, query)
        for stream, progress in run.progress.items()
        for query in stream.query.by_ids(progress.ids_to_reread)
    ]
    for task, event in run.reader.read(tasks):
        progress = run.progress[task.stream]
        if isinstance(event, PageBatch):
            yield from run.write(progress, event.rows, progress.observe(task, event))
        elif event.error is not None:
            progress.reopen_reconciliation()
            run.record_failure(progress, event.error)


# --- rows that belong to items ----------------------------------------------------------------------------------------


def _read_dependents(run: SyncRun) -> Iterator[TableBatch]:
    """Yields the dependents of the items that were read."""
    tasks = (
        ReadTask.of(progress.stream, ReadMode.BY_ID, query)
        for progress in run.dependents
        for query in progress.child_queries()
    )
    while some := list(islice(tasks, CHILD_LISTS_AT_ONCE)):
        refused = yield from _read_children(run, some)
        if refused:
            yield from _read_children(run, refused)


def _read_children(run: SyncRun, tasks: Sequence[ReadTask]) -> Generator[TableBatch, None, list[ReadTask]]:
    """Yields the dependents of some parents.

    Returns:
        Tasks for single parents, where the portal rejected a query for several of them.
    """
    rows: dict[ListQuery, list[Row]] = defaultdict(list)
    incomplete: set[ListQuery] = set()
    buffered: dict[DependentProgress, DependentBatch] = defaultdict(DependentBatch)
    refused: list[ReadTask] = []
    for task, event in run.reader.read(tasks):
        progress, query = run.progress[task.stream], task.query
        assert isinstance(progress, DependentProgress)  # noqa: S101 - child queries are theirs
        assert isinstance(query, DependentQuery)  # noqa: S101
        if isinstance(event, PageBatch):
            rows[query] += event.rows
            progress.pass_over(event.unusable, of_ids=False)
            if event.unusable:
                incomplete.add(query)
        elif event.error is None:
            dependents = rows.pop(query, [])
            having = {progress.stream.dependent_table.owner_of(row) for row in dependents}
            # The owners of skipped rows are unknown: a parent without rows here may have some.
            buffered[progress].add(
                (owner for owner in query.owners if query not in incomplete or owner in having), dependents
            )
        elif len(query.owners) > 1 and _concerns_one_parent(run, progress, event.error):
            single_owners = (progress.stream.dependent_query([owner]) for owner in query.owners)
            refused += [ReadTask.of(task.stream, ReadMode.BY_ID, single) for single in single_owners]
        elif event.error.code != "NOT_FOUND":  # of a deleted parent the stored rows stay
            run.record_failure(progress, event.error)
        if buffered[progress].is_full:
            yield from run.write_dependents(progress, buffered.pop(progress))
    for progress, batch in buffered.items():
        yield from run.write_dependents(progress, batch)
    return refused


def _concerns_one_parent(run: SyncRun, progress: DependentProgress, error: Bitrix24Error) -> bool:
    """Returns whether a query for several parents may have failed because of one of them; False if the type was deleted."""
    if isinstance(error, DeniedError):
        progress.ask_single_owners()
        return True
    return error.code == "NOT_FOUND" and not run.is_deleted(progress.stream.entity)


# --- deleted types ----------------------------------------------------------------------------------------------------


def _mark_deleted_types(run: SyncRun, catalog: Catalog) -> Iterator[TableBatch]:
    """Marks the items of types that were read before and have been deleted in the portal."""
    if not run.context.has_consumer(SPA_ITEMS) or not run.context.load_id:
        return
    remembered = run.context.resource_state(SPA_ITEMS).get("types", {})
    present = {entity.entity_type_id for entity in catalog.types} | set(catalog.unreadable)
    absent = [EntityType(type_id, {}) for type_id in map(int, remembered) if type_id not in present]
    if not absent or run.options.session.slice_count or run.reader.lost is not None:
        return
    try:
        deleted = confirmed_deleted_types(run.client, absent)
    except STOPS_READING as error:
        run.reader.lose(error)
        names = ", ".join(entity.items_table for entity in absent)
        run.issues.record(SPA_ITEMS, error, f"whether the types of {names} are gone is not known: {error.what}")
        return
    for entity in deleted:
        table = entity.items_table
        stored_keys = run.context.destination.keys(table)
        if stored_keys is None and run.context.capabilities.supports_merge:
            continue  # a later run may be able to read the table, and marks its rows then
        active = [] if stored_keys is None else stored_keys.active_ids.to_pylist()
        for rows in tombstones(run.context.destination, table, active, run.now()):
            yield TableBatch(SPA_ITEMS, item_spec(table, has_time="updated_time" in rows.schema.names), rows)
        del remembered[str(entity.entity_type_id)]


# --- the end ----------------------------------------------------------------------------------------------------------


def _report_unknown_exclusions(run: SyncRun) -> None:
    """Reports excluded columns that exist nowhere: a misspelt name would let through data that is to be kept out.

    This is known only at the end, because rows may have keys that no field list contains.
    """
    reported: set[str] = set()
    for stream in run.progress:
        table = stream.dependent_table if isinstance(stream, DependentStream) else stream.table
        if not isinstance(table, ItemTableBuilder) or not table.rows or table.name in reported:
            continue
        if not (unknown := table.unknown_exclusions()):
            continue
        reported.add(table.name)
        error = ConfigError(f"leave_out names columns that do not exist: {', '.join(unknown)}", table.name)
        run.record(stream, error, error.what, hint="name them as spa_fields or crm_fields do")


def _report_unusable_rows(run: SyncRun) -> None:
    """Reports rows without a usable id, which are not loaded; the others of their lists are."""
    for stream, progress in run.progress.items():
        if not (rows := progress.unusable):
            continue
        subject = f"{rows.count:,} row{'s' if rows.count > 1 else ''} of {stream.name}"
        error = PortalError(f"{subject} not loaded, for want of a usable id ({rows.example})", stream.query.method)
        hint = "report it to the portal's administrator: a customised REST method or a damaged row may be the cause"
        run.record(stream, error, error.what, hint=hint)


def _report_keys_not_looked_up(run: SyncRun) -> None:
    """Reports values that are missing because the field list could not be read, and has the next run read changes again.

    Full reads are not repeated: as long as the field list fails, they would be repeated in every run.
    """
    for stream, progress in run.progress.items():
        if stream.table is None or not stream.table.not_looked_up or progress.failed:
            continue
        keys = ", ".join(sorted(stream.table.not_looked_up))
        error = UnavailableError(f"the field list could not be read again to look up {keys}", stream.name)
        message = f"{stream.name} was loaded without {keys}: the field list could not be read again"
        hint = "a field that gets listed is read for all items; for another key run once with --full-refresh"
        if not progress.plan.is_full:
            progress.repeat_in_next_load()
            hint = "the next run reads the changed items again"
        run.record(stream, error, message, hint=hint)


def _empty_tables(run: SyncRun) -> Iterator[TableBatch]:
    """Yields the tables of types without items, unless the destination has them already: empty batches cost time, too."""
    for stream in run.progress:
        for spec, rows in stream.empty_tables():
            if spec.name not in run.written and not run.context.has_columns(spec.name, rows.schema.names):
                yield from run.batches(stream, [(spec, rows)])


def _save(run: SyncRun) -> None:
    """Saves the checkpoints of streams whose rows were consumed."""
    if run.start is None:
        return
    for stream, progress in run.progress.items():
        if run.context.has_consumer(stream.resource) and progress.is_saved:
            progress.learn_columns()
            progress.note_user(run.start.user)
            progress.checkpoint.to_state(run.context.resource_state(stream.resource), stream.query.entity_type_id)


def _close_slice(run: SyncRun) -> None:
    unfinished = _unfinished(run)
    run.options.session.close_slice(
        read=[stream.key for stream, progress in run.progress.items() if progress.is_complete],
        finished=[stream.key for stream in run.progress if stream not in unfinished],
        unfinished_tables=[stream.name for stream in unfinished],
    )


def _unfinished(run: SyncRun) -> list[Stream]:
    """Returns the streams that the next slice continues, without those whose rows nobody consumes: they never advance."""
    return [
        stream
        for stream, progress in run.progress.items()
        if progress.needs_another_slice and run.context.has_consumer(stream.resource)
    ]

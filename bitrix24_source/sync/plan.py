"""Decides what each stream reads in this load: everything, what is new, what changed, or ids only."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..catalog import IssueLog
from ..errors import STOPS_READING, Bitrix24Error, PortalError
from ..reader import IdRange, ListQuery
from ..rest import CallGenerator, Client, Response
from .change_filter import (
    MAX_SHIFT,
    TIME_FORMATS,
    FilterCheck,
    TimeFilter,
    clock_was_set_back,
    measure_filters,
    portal_time,
)
from .checkpoint import Checkpoint, column_keys
from .options import SyncOptions
from .ports import StateContext
from .provenance import Provenance
from .session import RunSession
from .streams import DependentStream, ReadMode, Stream

log = logging.getLogger("bitrix24_source")


@dataclass(frozen=True)
class SyncStart:
    """When a load began, and as which user.

    Attributes:
        portal_now: the portal's time, in its zone.
        clock_skew: by how many seconds its clock is ahead of ours.
        user: id of the credential's user; "" if unknown.
    """

    portal_now: datetime
    clock_skew: float
    user: str = ""


@dataclass(frozen=True, eq=False)
class ReadTask:
    """One read of a stream: a query, and the id ranges of it that are to be read."""

    stream: Stream
    mode: ReadMode
    query: ListQuery
    ranges: tuple[IdRange, ...]

    @classmethod
    def of(cls, stream: Stream, mode: ReadMode, query: ListQuery, after: int = 0, upper: int | None = None) -> ReadTask:
        """Returns a task that reads a query after one id and up to another."""
        return cls(stream, mode, query, (IdRange(query, after=after, upper=upper),))


@dataclass(frozen=True, eq=False)
class StreamPlan:
    """What one stream reads in this load.

    Attributes:
        stream: the stream.
        checkpoint: the checkpoint from which it starts.
        tasks: what it reads; none if a dependent stream shares its parent's read.
        reconciles: its ids are compared with the destination's.
        is_resumed: it reads what an interrupted run has left, so no single run has seen all ids.
        is_new_table: the destination has no table of it yet.
        knows_columns: the state says for which columns its rows were read; that of 0.1.0 does not.
        shares_parent_read: it needs exactly what the parent stream reads.
        time_filter: how it asks for changes.
        portal_count: number of rows in the portal when the load began, if they are counted.
    """

    stream: Stream
    checkpoint: Checkpoint
    tasks: tuple[ReadTask, ...] = ()
    reconciles: bool = False
    is_resumed: bool = False
    is_new_table: bool = False
    knows_columns: bool = True
    shares_parent_read: bool = False
    time_filter: TimeFilter = field(default_factory=TimeFilter)
    portal_count: int | None = None

    @property
    def is_full(self) -> bool:
        """The list is read completely, by this load or together with earlier ones."""
        return any(task.mode is ReadMode.FULL for task in self.tasks)

    @property
    def is_incremental(self) -> bool:
        """The list was read before, so only new rows are asked for, and changed ones if rows have a time of change."""
        checkpoint, stream = self.checkpoint, self.stream
        is_read = bool(checkpoint.cursor) and not checkpoint.has_unfinished_full_read
        return is_read and (stream.has_time or not stream.query.updated_field)

    @property
    def asks_for_changes(self) -> bool:
        """Changes since the last load are asked for by a filter on a time."""
        return self.is_incremental and self.stream.has_time and bool(self.stream.query.updated_field)


@dataclass(frozen=True)
class SyncPlan:
    """What a load reads.

    Attributes:
        start: when the load began; None if the portal could not be asked for the time, or nothing is to be read.
        streams: plans in the order of selection, parents before their dependents.
        error: why the portal could not be asked.
    """

    start: SyncStart | None
    streams: tuple[StreamPlan, ...]
    error: Bitrix24Error | None = None

    def tasks(self, *modes: ReadMode) -> list[ReadTask]:
        """Returns the tasks of all streams that have one of these modes."""
        return [task for plan in self.streams for task in plan.tasks if task.mode in modes]


def make_plan(
    context: StateContext, client: Client, streams: Sequence[Stream], options: SyncOptions, issues: IssueLog
) -> SyncPlan:
    """Decides what a load reads; records issues, and in the state how the portal treats filters."""
    plans = [recall_stream(stream, context, is_first_slice=not options.session.slice_count) for stream in streams]
    plans = _with_shared_reads(plans)
    if not plans:
        return SyncPlan(None, ())
    try:
        start = _begin(client)
        own = [plan for plan in plans if not plan.shares_parent_read]
        counts: dict[Stream, int] = {}
        filters = _time_filters(client, own, start, context, issues, _count_rows(own, start, options, counts))
    except STOPS_READING as error:
        return SyncPlan(None, tuple(plans), error)
    planned = (
        plan_stream(plan, filters.get(plan.stream.query.method), start, options)
        if not plan.shares_parent_read
        else plan
        for plan in plans
    )
    return SyncPlan(start, tuple(replace(plan, portal_count=counts.get(plan.stream)) for plan in planned))


def recall_stream(stream: Stream, context: StateContext, *, is_first_slice: bool) -> StreamPlan:
    """Loads a stream's checkpoint, or starts over if the list must be read anew."""
    state = context.resource_state(stream.resource)
    type_id = stream.entity.id if stream.entity is not None else None
    columns = column_keys(stream.filled_columns)
    last_user = Provenance.from_state(context.source_state).user
    checkpoint = Checkpoint.from_state(state, stream.query.entity_type_id, stream.query, last_user)
    if is_first_slice:
        reason = checkpoint.reason_to_start_over(type_id, columns) or _missing_tables(stream, context)
        if reason:
            log.info("%s: all items are read once more: %s", stream.name, reason)
        if reason or stream.full_refresh:
            checkpoint = checkpoint.renewed(type_id)
    return StreamPlan(
        stream,
        replace(checkpoint, type_id=type_id, columns=tuple(sorted(columns))),
        is_new_table=stream.table is not None and not context.has_columns(stream.table.name),
        knows_columns=checkpoint.columns is not None or not checkpoint.cursor,
    )


def plan_stream(plan: StreamPlan, time_filter: TimeFilter | None, start: SyncStart, options: SyncOptions) -> StreamPlan:
    """Decides what to read of one list; without a time filter, changes cannot be asked for in this load."""
    stream, checkpoint = plan.stream, plan.checkpoint
    if not plan.is_incremental or (plan.asks_for_changes and time_filter is None):
        return _plan_full_read(plan, start, options.session)
    tasks = [ReadTask.of(stream, ReadMode.CREATED, replace(stream.query), after=checkpoint.high_water_id)]
    if checkpoint.high_water_id and plan.asks_for_changes and time_filter is not None:
        since = updated_since(checkpoint, start, options.overlap)
        changed = replace(stream.query, filter={**stream.query.filter, **time_filter.since(stream.query, since)})
        tasks.append(ReadTask.of(stream, ReadMode.UPDATED, changed, upper=checkpoint.high_water_id))
        plan = replace(plan, time_filter=time_filter)
    is_due = checkpoint.was_read_by_another(start.user) or checkpoint.is_reconciliation_due(
        start.portal_now, options.sweep
    )
    reconciles = is_due and (stream.marks_deleted or stream.compares_children)
    if reconciles:
        times = (stream.query.updated_field,) if stream.has_time and stream.query.updated_field else ()
        ids = replace(stream.query, select=(stream.query.id_field, *times), extra_select=stream.list_fields)
        known = 0 if stream.query.filter else checkpoint.high_water_id
        tasks.append(ReadTask(stream, ReadMode.IDS, ids, (IdRange(ids, checkpoint_max_id=known),)))
    return replace(plan, tasks=tuple(tasks), reconciles=reconciles)


def updated_since(checkpoint: Checkpoint, start: SyncStart, overlap: timedelta) -> datetime:
    """Returns the time since which changes are asked for, in the portal's zone."""
    regression = checkpoint.clock_regression(start.portal_now, start.clock_skew)
    return checkpoint.since(overlap + regression).astimezone(start.portal_now.tzinfo)


def _plan_full_read(plan: StreamPlan, start: SyncStart, session: RunSession) -> StreamPlan:
    """Plans to read all rows, or those that a slice left. A run that sees all ids can also mark deleted items."""
    stream, checkpoint = plan.stream, plan.checkpoint
    is_resumed = checkpoint.has_unfinished_full_read and stream.key not in session.seen
    query = replace(stream.query)
    ranges = tuple(checkpoint.ranges(query))
    if not checkpoint.has_unfinished_full_read:
        checkpoint = replace(checkpoint, full_read_started=start.portal_now.isoformat(), clock_skew=start.clock_skew)
    return replace(
        plan,
        checkpoint=replace(checkpoint, remaining_ranges=tuple(id_range.to_stored() for id_range in ranges)),
        tasks=(ReadTask(stream, ReadMode.FULL, query, ranges),),
        reconciles=stream.marks_deleted and not is_resumed,
        is_resumed=is_resumed,
    )


def _begin(client: Client) -> SyncStart:
    now, user = portal_time(client)
    return SyncStart(now, (now - client.clock.now()).total_seconds(), user)


def _with_shared_reads(plans: Sequence[StreamPlan]) -> list[StreamPlan]:
    """Has dependent streams share the read of a parent stream that is at the same point.

    If only the dependents are due for comparison (the last load got no answer), they read the parents' ids themselves.
    """
    checkpoints = {plan.stream: plan.checkpoint for plan in plans}
    shared: list[StreamPlan] = []
    for plan in plans:
        parent = plan.stream.parent if isinstance(plan.stream, DependentStream) else None
        is_shared = parent in checkpoints and (
            checkpoints[parent].position == plan.checkpoint.position
            and bool(plan.checkpoint.reconciled_at or not checkpoints[parent].reconciled_at)
        )
        shared.append(replace(plan, shares_parent_read=is_shared))
    return shared


def _missing_tables(stream: Stream, context: StateContext) -> str:
    """Recreates dropped tables of a stream. Returns why it is read anew; "" if all tables exist."""
    names = stream.table.table_names if stream.table is not None else (stream.name,)
    lost = context.recreate_missing_tables(names)
    return f"the destination lacks {', '.join(lost)}" if lost else ""


def _count_rows(
    plans: Sequence[StreamPlan], start: SyncStart, options: SyncOptions, counts: dict[Stream, int]
) -> CallGenerator[None]:
    """Counts the rows in the portal before new ones are read: the destination should have at least as many afterwards."""
    streams = [
        plan.stream
        for plan in plans
        if plan.stream.is_counted
        and plan.is_incremental
        and plan.checkpoint.is_reconciliation_due(start.portal_now, options.sweep)
    ]
    results = yield [stream.query.count_call() for stream in streams]
    for stream, result in zip(streams, results, strict=True):
        if isinstance(result, Response) and result.total is not None:
            counts[stream] = result.total


def _time_filters(
    client: Client,
    plans: Sequence[StreamPlan],
    start: SyncStart,
    context: StateContext,
    issues: IssueLog,
    beside: CallGenerator[None],
) -> Mapping[str, TimeFilter | None]:
    """Returns by method how changes are asked for, None if they cannot be; `beside` is sent along."""
    asking: dict[str, list[StreamPlan]] = defaultdict(list)
    for plan in plans:
        if plan.asks_for_changes:
            asking[plan.stream.query.method].append(plan)
    checks: dict[str, FilterCheck] = {}
    measurable: dict[str, list[ListQuery]] = {}
    for method, group in asking.items():
        regression = max(plan.checkpoint.clock_regression(start.portal_now, start.clock_skew) for plan in group)
        if (check := clock_was_set_back(regression)) is not None:
            checks[method] = check
        else:
            measurable[method] = _most_rows_first(group)
    known = {method: _stored_filter(asking[method], context) for method in measurable}
    checks |= measure_filters(client, measurable, start.portal_now, known, beside)
    for method, check in checks.items():
        _remember_filter(asking[method], check, context, issues)
    return {method: check.filter for method, check in checks.items()}


def _most_rows_first(plans: Sequence[StreamPlan]) -> list[ListQuery]:
    return [plan.stream.query for plan in sorted(plans, key=lambda plan: -plan.checkpoint.high_water_id)]


def _stored_filter(plans: Sequence[StreamPlan], context: StateContext) -> TimeFilter:
    """Returns the filter of the previous run."""
    for state in (context.resource_state(plan.stream.resource) for plan in plans):
        if name := state.get("spelling", ""):
            time_format = next((format_ for format_ in TIME_FORMATS if format_.name == name), TIME_FORMATS[0])
            return TimeFilter(time_format, timedelta(seconds=state.get("filter_shift", 0)))
    return TimeFilter()


def _remember_filter(plans: Sequence[StreamPlan], check: FilterCheck, context: StateContext, issues: IssueLog) -> None:
    """Stores the filter. A new problem is an issue; while it lasts it is only logged, because nothing is lost."""
    states = {plan.stream.resource: context.resource_state(plan.stream.resource) for plan in plans}
    if check.trouble and not any(state.get("filter_trouble") == check.trouble for state in states.values()):
        error = PortalError(check.trouble, plans[0].stream.query.method)
        issues.record(plans[0].stream.resource, error, check.trouble, hint=check.hint)
    elif check.trouble:
        log.info("%s, as in the run before", check.trouble)
    for state in states.values():
        if check.trouble:
            state["filter_trouble"] = check.trouble
        else:
            state.pop("filter_trouble", None)
        if check.filter is not None and check.filter.margin < MAX_SHIFT:
            state["spelling"] = check.filter.format.name
            state["filter_shift"] = int(check.filter.shift.total_seconds())

"""Decides what each stream reads in this run: everything, what is new, what changed, or ids only."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..catalog import IssueLog
from ..errors import PortalError
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
from .options import SyncOptions
from .reconcile import SeenKeys
from .session import RunSession
from .streams import ReadMode, Stream

log = logging.getLogger("bitrix24_source")

ReadTasks = list[tuple[Stream, ReadMode, IdRange]]


@dataclass(frozen=True)
class SyncStart:
    """When a run is, and who reads.

    Attributes:
        now: the portal's time, in its zone.
        ahead: by how many seconds its clock is ahead of ours.
        user: id of the credential's user; "" where the portal does not say.
        is_other_user: the tables were read by another user, who may have seen other items.
    """

    now: datetime
    ahead: float
    user: str = ""
    is_other_user: bool = False


def make_plan(
    client: Client, streams: Sequence[Stream], options: SyncOptions, issues: IssueLog, known_user: str = ""
) -> tuple[SyncStart, ReadTasks]:
    """When the run is, and what it asks for; what cannot be asked as usual is recorded.

    Raises:
        Bitrix24Error: the portal cannot even be asked the time.
    """
    now, user = portal_time(client)
    is_other_user = bool(user and known_user and user != known_user)
    start = SyncStart(now, (now - client.clock.now()).total_seconds(), user, is_other_user)
    counts = _count_rows([one for one in streams if _is_to_be_counted(one, start, options)])
    filters = _time_filters(client, streams, start, issues, counts)
    tasks = [
        (stream, mode, id_range)
        for stream in streams
        for mode, id_range in plan_stream(stream, filters.get(stream.items.method), start, options)
    ]
    return start, tasks


def plan_stream(
    one: Stream, time_filter: TimeFilter | None, moment: SyncStart, options: SyncOptions
) -> list[tuple[ReadMode, IdRange]]:
    """What to read of one list; without a time filter, changes cannot be asked for in this run."""
    if not one.remembers or (one.asks_for_changes and time_filter is None):
        return [("all", id_range) for id_range in _full_read_tasks(one, moment, options.session)]
    checkpoint = one.checkpoint
    one.role = "changed"
    planned: list[tuple[ReadMode, IdRange]] = [("new", IdRange(_own(one, one.items), after=checkpoint.high_water_id))]
    if checkpoint.high_water_id and one.asks_for_changes and time_filter is not None:
        overlap = options.overlap + checkpoint.clock_regression(moment.now, moment.ahead)
        since = checkpoint.since(overlap).astimezone(moment.now.tzinfo)
        one.time_filter = time_filter
        changed = replace(one.items, filter={**one.items.filter, **time_filter.since(one.items, since)})
        planned.append(("changed", IdRange(_own(one, changed), upper=checkpoint.high_water_id)))
    one.sweeps = (one.is_swept or one.is_compared) and (
        moment.is_other_user or checkpoint.is_sweep_due(moment.now, options.sweep)
    )
    if one.sweeps:
        times = (one.items.updated_field,) if one.has_time and one.items.updated_field else ()
        ids = replace(one.items, select=(one.items.id_field, *times), extra_select=())
        planned.append(
            ("ids", IdRange(_own(one, ids), checkpoint_max_id=0 if one.items.filter else checkpoint.high_water_id))
        )
    return planned


def _full_read_tasks(one: Stream, moment: SyncStart, session: RunSession) -> Sequence[IdRange]:
    """All rows, or what a slice left of them. Who has seen all ids by then knows as well which are gone."""
    one.role = "all"
    checkpoint = one.checkpoint
    one.resumes = checkpoint.has_unfinished_full_read and one.key not in session.seen
    one.sweeps = one.is_swept and not one.resumes
    if one.sweeps:
        one.seen = session.seen.setdefault(one.key, SeenKeys())
    if not checkpoint.has_unfinished_full_read:
        checkpoint.full_read_started, checkpoint.clock_skew = moment.now.isoformat(), moment.ahead
    ranges = checkpoint.ranges(_own(one, one.items))
    checkpoint.remaining_ranges = [id_range.to_stored() for id_range in ranges]
    return ranges


def _own(one: Stream, items: ListQuery) -> ListQuery:
    """One of its own, to be known again when its rows come."""
    own = replace(items)
    one.open.add(own)
    return own


def _is_to_be_counted(stream: Stream, start: SyncStart, options: SyncOptions) -> bool:
    return stream.is_counted and stream.remembers and stream.checkpoint.is_sweep_due(start.now, options.sweep)


def _count_rows(streams: Sequence[Stream]) -> CallGenerator[None]:
    """How many rows the portal has now, before what is new is read: never more than the destination should have then."""
    results = yield [stream.items.count_call() for stream in streams]
    for stream, result in zip(streams, results, strict=True):
        stream.portal_count = result.total if isinstance(result, Response) else None


def _time_filters(
    client: Client, streams: Sequence[Stream], start: SyncStart, issues: IssueLog, beside: CallGenerator[None]
) -> dict[str, TimeFilter | None]:
    """By method, how changes are asked for; None where they cannot be asked for in this run. Other calls go `beside`."""
    asking: dict[str, list[Stream]] = defaultdict(list)
    for stream in streams:
        if stream.asks_for_changes:
            asking[stream.items.method].append(stream)
    checks: dict[str, FilterCheck] = {}
    measurable: dict[str, list[ListQuery]] = {}
    for method, group in asking.items():
        regression = max(stream.checkpoint.clock_regression(start.now, start.ahead) for stream in group)
        if (check := clock_was_set_back(regression)) is not None:
            checks[method] = check
        else:
            measurable[method] = _most_rows_first(group)
    known = {method: _stored_filter(asking[method]) for method in measurable}
    checks |= measure_filters(client, measurable, start.now, known, beside)
    for method, check in checks.items():
        _report(asking[method], check, issues)
    return {method: check.filter for method, check in checks.items()}


def _most_rows_first(streams: Sequence[Stream]) -> list[ListQuery]:
    return [stream.items for stream in sorted(streams, key=lambda stream: -stream.checkpoint.high_water_id)]


def _stored_filter(streams: Sequence[Stream]) -> TimeFilter:
    """The filter of the run before."""
    for state in (stream.state for stream in streams):
        if name := state.get("spelling", ""):
            time_format = next((format_ for format_ in TIME_FORMATS if format_.name == name), TIME_FORMATS[0])
            return TimeFilter(time_format, timedelta(seconds=state.get("filter_shift", 0)))
    return TimeFilter()


def _report(streams: Sequence[Stream], check: FilterCheck, issues: IssueLog) -> None:
    """Trouble is an issue when it begins; while it lasts nothing is lost, so that the log is enough."""
    if check.trouble and not any(stream.state.get("filter_trouble") == check.trouble for stream in streams):
        error = PortalError(check.trouble, streams[0].items.method)
        issues.record(streams[0].resource, error, check.trouble, hint=check.hint)
    elif check.trouble:
        log.info("%s, as in the run before", check.trouble)
    for state in (stream.state for stream in streams):
        if check.trouble:
            state["filter_trouble"] = check.trouble
        else:
            state.pop("filter_trouble", None)
        if check.filter is not None and check.filter.margin < MAX_SHIFT:
            state["spelling"] = check.filter.format.name
            state["filter_shift"] = int(check.filter.shift.total_seconds())

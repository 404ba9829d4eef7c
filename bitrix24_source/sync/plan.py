"""Decides what each stream reads in this run: everything, what is new, what changed, or ids only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..catalog import IssueLog
from ..errors import PortalError
from ..reader import IdRange, ListQuery
from ..rest import Client
from .change_filter import TimeFormat, choose_time_format, portal_time
from .options import SyncOptions
from .session import RunSession
from .streams import ReadMode, Stream

ReadTasks = list[tuple[Stream, ReadMode, IdRange]]


@dataclass(frozen=True)
class SyncStart:
    """When a round is: the portal's time, and by how many seconds its clock is ahead of ours."""

    now: datetime
    ahead: float


def make_plan(
    client: Client, streams: Sequence[Stream], options: SyncOptions, issues: IssueLog
) -> tuple[SyncStart, ReadTasks]:
    """When the round is, and what it asks for; what cannot be asked as usual is noted.

    Raises:
        Bitrix24Error: the portal cannot even be asked the time.
    """
    now = portal_time(client)
    moment = SyncStart(now, (now - client.clock.now()).total_seconds())
    spellings = _spellings(client, streams, moment, issues)
    asked = [
        (one, role, id_range)
        for one in streams
        for role, id_range in plan_stream(one, spellings.get(one.items.method), moment, options)
    ]
    return moment, asked


def plan_stream(
    one: Stream, spelling: TimeFormat | None, moment: SyncStart, options: SyncOptions
) -> list[tuple[ReadMode, IdRange]]:
    """What to read of one list; None for a spelling says that changes cannot be asked for in this round."""
    if not one.remembers or (one.asks_for_changes and spelling is None):
        return [("all", id_range) for id_range in _full_read_tasks(one, moment, options.session)]
    checkpoint = one.checkpoint
    one.role = "changed"
    planned: list[tuple[ReadMode, IdRange]] = [("new", IdRange(_own(one, one.items), after=checkpoint.high_water_id))]
    if checkpoint.high_water_id and one.asks_for_changes and spelling is not None:
        overlap = options.overlap + checkpoint.clock_regression(moment.now, moment.ahead)
        since = checkpoint.since(overlap).astimezone(moment.now.tzinfo)
        changed = replace(one.items, filter={**one.items.filter, **spelling.since(one.items, since)})
        planned.append(("changed", IdRange(_own(one, changed), upper=checkpoint.high_water_id)))
    one.sweeps = one.is_swept and checkpoint.is_sweep_due(moment.now, options.sweep)
    if one.sweeps:  # of all ids, whatever is filtered: an item that the filter leaves out is not gone
        ids = replace(one.items, filter={}, select=(one.items.id_field,), extra_select=())
        planned.append(("ids", IdRange(_own(one, ids), known=checkpoint.high_water_id)))
    return planned


def _full_read_tasks(one: Stream, moment: SyncStart, session: RunSession) -> Sequence[IdRange]:
    """All rows, or what a slice left of them. Who has seen all ids by then knows as well which are gone."""
    one.role = "all"
    checkpoint = one.checkpoint
    one.resumes = checkpoint.has_unfinished_full_read and one.key not in session.seen
    one.sweeps = one.is_swept and not one.resumes and not one.items.filter
    if one.sweeps:
        one.seen = session.seen.setdefault(one.key, [])
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


def _spellings(
    client: Client, streams: Sequence[Stream], moment: SyncStart, issues: IssueLog
) -> dict[str, TimeFormat | None]:
    """By method, how a time is written in a filter; None where changes cannot be asked for in this round."""
    asking: dict[str, list[Stream]] = defaultdict(list)
    for one in streams:
        if one.asks_for_changes:
            asking[one.items.method].append(one)
    return {method: _spelling(client, ones, moment, issues) for method, ones in asking.items()}


def _spelling(client: Client, streams: Sequence[Stream], moment: SyncStart, issues: IssueLog) -> TimeFormat | None:
    set_back = max(one.checkpoint.clock_regression(moment.now, moment.ahead) for one in streams)
    known = next((name for one in streams if (name := one.state.get("spelling", ""))), "")
    trust = choose_time_format(client, [one.items for one in streams], set_back, known)
    if trust.trouble:
        error = PortalError(trust.trouble, streams[0].items.method)
        issues.record(streams[0].resource, error, trust.trouble, hint=trust.hint)
    if trust.spelling is not None:
        for one in streams:
            one.state["spelling"] = trust.spelling.name
    return trust.spelling

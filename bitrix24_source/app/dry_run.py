"""Estimates what a load would read, without loading: nothing is written to destination, working folder or state.

The catalogue is read as in a load, and the state of the last load is read from the destination: of a list that was read before,
only new and changed rows would be read. Then the rows of every list are counted, fifty lists in a request. The estimate:

- pages: one for every fifty rows and one more for each list; product rows need one for every twenty owners, and bindings one for
  each activity;
- requests: those for the catalogue and the portal's time, one for every fifty pages, or for as many as take twelve seconds, and
  for each committed slice one for the time and, for long lists, one for each connection, whose last request is not full;
- minutes: the catalogue's measured time, and the longer of two times: the requests beyond the burst at the configured requests
  per second; or the pages, each as long as counting a list took on average, divided by the connections.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson
from dlt.common.exceptions import DltException

from ..catalog import ISSUES
from ..errors import Bitrix24Error, causes, root_message
from ..reader import REQUEST_SECONDS, ListQuery
from ..redaction import safe_line
from ..rest import BATCH_SIZE, PAGE_SIZE, Client, Response, call_many
from ..source import check_destination, fallback_configuration, planned_streams
from ..sync import ITEM_RESOURCES, DependentStream, ReadMode, RunSession, Stream, StreamPlan, bounded_queries
from .error_messages import to_user_error
from .run import DEFAULTS, LoadTarget, load_target, make_pipeline

LoadKind = Literal["first", "rest", "changes"]
"""the part of a list that is read: all, what an interrupted run has left, or what is new or changed since the last load"""


@dataclass(frozen=True)
class PlannedList:
    """One list that would be read.

    Attributes:
        table: the table that it fills.
        resource: the resource of the table.
        entity_type_id: entity type of the items; None for lists of all types.
        title: title of the type, may be empty.
        items: number of items in the list; for product rows and bindings, of owners; None if the portal reports none.
        counts: what is counted, "items" or "owners".
        load: a first load of the list, the rest of one, or the changes since the last load.
        reads: how many of them would be read; None if the portal reports no number.
    """

    table: str
    resource: str
    entity_type_id: int | None
    title: str
    items: int | None
    counts: str
    load: LoadKind
    reads: int | None


@dataclass(frozen=True)
class LoadPlan:
    """What would be read, and where to.

    Attributes:
        portal: the portal's host.
        target: destination, file or host, and dataset.
        catalogue: resources that are read completely, not by id.
        lists: lists that are read by id.
        requests: estimated number of requests.
        minutes: estimated duration.
        is_complete: every list could be counted; otherwise requests and minutes are lower bounds.
        issues: parts of the catalogue that cannot be read, a sentence each.
    """

    portal: str
    target: LoadTarget
    catalogue: Sequence[str]
    lists: Sequence[PlannedList]
    requests: int
    minutes: float
    is_complete: bool
    issues: Sequence[str]


def plan_load(
    source: Any,
    client: Client,
    slices: RunSession,
    *,
    pipeline_name: str,
    destination: Any,
    dataset: str,
    resources: Sequence[str] = (),
) -> LoadPlan:
    """Plans what `run_load` would read with the same arguments.

    Args:
        source: the source.
        client: the source's client.
        slices: the session with which the source was made.
        pipeline_name: dlt's name of the pipeline.
        destination: dlt's name of the destination, or one of its destination objects.
        dataset: dataset or schema.
        resources: names of resources; empty for those that are selected.

    Raises:
        Bitrix24Error: the portal or the configuration cannot be used, or a chosen type or field does not exist.
    """
    target, state, unknown = _target(pipeline_name, destination, dataset, source.name)
    selected = frozenset(source.with_resources(*(resources or source.selected_resources)).selected_resources)
    began, requests_before = client.clock.monotonic(), client.requests
    planned = planned_streams(client, slices, selected, state)
    catalogue_seconds = client.clock.monotonic() - began
    catalogue_requests = client.requests - requests_before

    began = client.clock.monotonic()
    plans = planned.plan.streams
    reads = [
        _PlannedRead(task.stream, task.mode, query)
        for plan in plans
        for task in plan.tasks
        for query in bounded_queries(task)
    ]
    counts = _count(client, [*(plan.stream.query for plan in plans), *(read.query for read in reads)])
    page_seconds = (client.clock.monotonic() - began) / max(len(counts), 1)

    rows = {plan.stream: _rows_to_read(plan, reads, counts) for plan in plans}
    pages = sum(_pages(stream, number or 0) for stream, number in rows.items())
    pages += sum(
        ceil((counts[read.query] or 0) / PAGE_SIZE) + 1 for read in reads if read.mode is ReadMode.IDS
    )  # of comparisons
    reading_seconds = pages * page_seconds / planned.connections
    rows_of_full_reads = sum(rows[plan.stream] or 0 for plan in plans if not plan.is_incremental)
    slices_to_load = slices.limits.expected_slices(rows_of_full_reads, reading_seconds)
    requests = (
        catalogue_requests
        + ceil(pages / _pages_in_request(page_seconds))
        + slices_to_load * (1 + min(planned.connections, pages // 10))
    )
    settings = client.settings
    waiting = max(0.0, requests - settings.burst) / settings.requests_per_second
    seconds = catalogue_seconds + max(waiting, reading_seconds)
    return LoadPlan(
        client.portal,
        target,
        sorted(selected - ITEM_RESOURCES.keys() - {ISSUES.name}),
        [_planned(plan, counts[plan.stream.query], rows[plan.stream]) for plan in plans],
        requests,
        round(seconds / 60, 1),
        None not in counts.values(),
        [*unknown, *(issue.message for issue in planned.issues)],
    )


def plan_json(plan: LoadPlan) -> str:
    """Returns the plan as one line of JSON."""
    return orjson.dumps({"dry_run": True, **asdict(plan)}).decode()


def plan_lines(plan: LoadPlan) -> Iterator[str]:
    """Yields the plan as lines for a person."""
    place = f"{plan.target.destination} {plan.target.location}".rstrip()
    yield safe_line(f"Would load portal {plan.portal} into {place}, dataset {plan.target.dataset}")
    for planned in plan.lists:
        items = "unknown" if planned.items is None else f"{planned.items:,}"
        yield safe_line(
            f"{planned.table:<28} {items:>12} {planned.counts:<6}  {_load_text(planned):<24} {planned.title}".rstrip()
        )
    yield f"catalogue: {', '.join(plan.catalogue) or 'none'}"
    bound = "about" if plan.is_complete else "at least (some lists cannot be counted)"
    minutes = f"{plan.minutes:,.1f} minutes" if plan.minutes >= 1 else "less than a minute"
    yield f"It takes {bound} {plan.requests:,} requests, {minutes}"
    yield from (safe_line(f"cannot be read: {issue}") for issue in plan.issues)
    yield "Nothing was loaded"


def _load_text(planned: PlannedList) -> str:
    reads = "unknown" if planned.reads is None else f"{planned.reads:,}"
    texts: dict[LoadKind, str] = {
        "first": "first load", "rest": f"first load, {reads} left", "changes": f"new or changed: {reads}",
    }  # fmt: skip
    return texts[planned.load]


def _target(
    pipeline_name: str, destination: Any, dataset: str, source: str
) -> tuple[LoadTarget, Mapping[str, Any], list[str]]:
    """Returns the target, the source's state there, and a sentence if that state cannot be read.

    Uses a temporary working folder of dlt.
    """
    failure: Bitrix24Error
    try:
        with tempfile.TemporaryDirectory() as folder, fallback_configuration(DEFAULTS):
            pipeline = make_pipeline(pipeline_name, destination, dataset, None, folder)
            try:
                target = load_target(pipeline)
                return target, *_stored_state(pipeline, target, source)
            finally:
                pipeline.deactivate()
    except (DltException, OSError) as error:
        failure = to_user_error(error, str(getattr(destination, "destination_name", destination)))
    raise failure


def _stored_state(pipeline: Any, target: LoadTarget, source: str) -> tuple[Mapping[str, Any], list[str]]:
    """Returns the source's state in the destination; empty before the first load."""
    if target.destination == "duckdb" and not Path(target.location).is_file():
        return {}, []  # opening it would create it
    try:
        check_destination(pipeline)
        pipeline.sync_destination()
    except (Bitrix24Error, DltException) as error:
        reason = root_message(list(causes(error)))
        return {}, [f"what was loaded before, so that a first load of all lists is assumed: {reason}"]
    state: Mapping[str, Any] = pipeline.state
    return state.get("sources", {}).get(source, {}), []


class _PlannedRead(NamedTuple):
    """A query that would be sent."""

    stream: Stream
    mode: ReadMode
    query: ListQuery


def _count(client: Client, queries: Sequence[ListQuery]) -> Mapping[ListQuery, int | None]:
    """Returns the number of rows of each query, complete or as planned; None if the portal reports none."""
    calls = {repr(call.params) + call.method: call for call in (query.count_call() for query in queries)}
    outcomes = dict(zip(calls, call_many(client, list(calls.values())), strict=True))
    totals: dict[ListQuery, int | None] = {}
    for query in queries:
        call = query.count_call()
        outcome = outcomes[repr(call.params) + call.method]
        totals[query] = outcome.total if isinstance(outcome, Response) else None
    return totals


def _rows_to_read(
    plan: StreamPlan, reads: Sequence[_PlannedRead], counts: Mapping[ListQuery, int | None]
) -> int | None:
    """Returns how many rows, or owners, of a list would be read; None if the portal reports no number."""
    stream = plan.stream
    if isinstance(stream, DependentStream) and plan.shares_parent_read and stream.parent is not None:
        stream = stream.parent
    rows = [counts[read.query] for read in reads if read.stream is stream and read.mode is not ReadMode.IDS]
    return None if None in rows else sum(number or 0 for number in rows)


def _pages_in_request(page_seconds: float) -> float:
    """Returns the pages in a request: fewer than fifty if they would take the portal too long."""
    return min(float(BATCH_SIZE), max(1.0, REQUEST_SECONDS / page_seconds)) if page_seconds else float(BATCH_SIZE)


def _pages(stream: Stream, rows: int) -> int:
    """Returns the number of calls for so many rows of a list, or so many owners."""
    own = ceil(rows / PAGE_SIZE) + 1
    if not isinstance(stream, DependentStream):
        return own
    dependents = ceil(rows / stream.dependent_query(()).max_owners)
    return dependents if stream.parent is not None else own + dependents


def _planned(plan: StreamPlan, items: int | None, reads: int | None) -> PlannedList:
    stream, checkpoint = plan.stream, plan.checkpoint
    is_begun = checkpoint.has_unfinished_full_read and checkpoint.high_water_id
    return PlannedList(
        stream.name,
        stream.resource,
        stream.entity_type_id,
        stream.entity.title or "" if stream.entity else "",
        items,
        "owners" if isinstance(stream, DependentStream) else "items",
        "changes" if plan.is_incremental else "rest" if is_begun else "first",
        reads,
    )

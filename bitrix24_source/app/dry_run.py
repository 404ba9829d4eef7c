"""Says what a load would read, and where to, without loading: nothing is written to destination, working folder or state.

The catalogue is read as in a load. Then every list is asked for its number of items, fifty lists in a request. The estimate is
that of a first load, an upper bound where a pipeline has loaded before and reads only what changed since:

- pages: one for every fifty items and one for the newest id of each list; product rows need one for every twenty owners,
  and bindings one for each activity;
- requests: those that the catalogue took, and one for every fifty pages;
- minutes: the catalogue's measured time, and the longer of two times: the requests beyond the burst at the configured requests
  per second; or the pages, each as long as counting a list took on average, shared by the connections.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import orjson
from dlt.common.exceptions import DltException

from ..catalog import ISSUES
from ..errors import Bitrix24Error
from ..redaction import safe_line
from ..rest import BATCH_SIZE, PAGE_SIZE, Client, Response, call_many
from ..source import fallback_configuration, planned_streams
from ..sync import ITEM_RESOURCES, DependentStream, RunSession, Stream
from .error_messages import to_user_error
from .run import DEFAULTS, LoadTarget, load_target, make_pipeline


@dataclass(frozen=True)
class PlannedList:
    """One list that would be read.

    Attributes:
        table: that it fills.
        resource: whose table it is.
        entity_type_id: of the items' type; None for lists of all types.
        title: the type's, empty where it has none.
        items: in the list; of product rows and bindings, the owners that are asked for; None where the portal does not say.
        counts: "items" or "owners".
    """

    table: str
    resource: str
    entity_type_id: int | None
    title: str
    items: int | None
    counts: str


@dataclass(frozen=True)
class LoadPlan:
    """What would be read, and where to.

    Attributes:
        portal: the portal's host.
        target: destination, file or host, and dataset.
        catalogue: resources that are read whole, not by id.
        lists: those that are read by id.
        requests: about how many the first load takes.
        minutes: about how many.
        is_complete: every list could be counted; else requests and minutes are lower bounds.
        issues: what of the catalogue cannot be read, a sentence each.
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
    """Finds out what `run_load` would read with the same arguments.

    Args:
        source: what would be loaded.
        client: the source's.
        slices: those that the source was made with.
        pipeline_name: dlt's name of the pipeline.
        destination: dlt's name of the destination, or one of its destination objects.
        dataset: dataset or schema.
        resources: names of resources; empty for those that are selected.

    Raises:
        Bitrix24Error: the portal or the configuration cannot be used, or a type or field that was chosen does not exist.
    """
    target = _target(pipeline_name, destination, dataset)
    selected = frozenset(source.with_resources(*(resources or source.selected_resources)).selected_resources)
    began, requests_before = client.clock.monotonic(), client.requests
    streams, issues = planned_streams(client, slices, selected)
    catalogue_seconds = client.clock.monotonic() - began
    catalogue_requests = client.requests - requests_before

    began = client.clock.monotonic()
    counts = _count_items(client, streams)
    page_seconds = (client.clock.monotonic() - began) / max(len(set(map(_list_key, streams))), 1)

    pages = sum(_pages(stream, counts[_list_key(stream)] or 0) for stream in streams)
    requests = catalogue_requests + ceil(pages / BATCH_SIZE)
    settings = client.settings
    waiting = max(0.0, requests - settings.burst) / settings.requests_per_second
    seconds = catalogue_seconds + max(waiting, pages * page_seconds / slices.options.connections)
    return LoadPlan(
        client.portal,
        target,
        sorted(selected - ITEM_RESOURCES.keys() - {ISSUES.name}),
        [_planned(stream, counts[_list_key(stream)]) for stream in streams],
        requests,
        round(seconds / 60, 1),
        None not in counts.values(),
        [issue.message for issue in issues],
    )


def plan_json(plan: LoadPlan) -> str:
    """One line for machines."""
    return orjson.dumps({"dry_run": True, **asdict(plan)}).decode()


def plan_lines(plan: LoadPlan) -> Iterator[str]:
    """Lines for a person."""
    place = f"{plan.target.destination} {plan.target.location}".rstrip()
    yield safe_line(f"Would load portal {plan.portal} into {place}, dataset {plan.target.dataset}")
    for planned in plan.lists:
        items = "unknown" if planned.items is None else f"{planned.items:,}"
        yield safe_line(f"{planned.table:<28} {items:>12} {planned.counts:<6}  {planned.title}".rstrip())
    yield f"catalogue: {', '.join(plan.catalogue) or 'none'}"
    bound = "about" if plan.is_complete else "at least (some lists cannot be counted)"
    minutes = f"{plan.minutes:,.1f} minutes" if plan.minutes >= 1 else "less than a minute"
    yield f"A first load takes {bound} {plan.requests:,} requests, {minutes}; a later one reads only what changed"
    yield from (safe_line(f"cannot be read: {issue}") for issue in plan.issues)
    yield "Nothing was loaded"


def _target(pipeline_name: str, destination: Any, dataset: str) -> LoadTarget:
    """Where it would be loaded to; dlt's working folder for the question is a temporary one."""
    failure: Bitrix24Error
    try:
        with tempfile.TemporaryDirectory() as folder, fallback_configuration(DEFAULTS):
            pipeline = make_pipeline(pipeline_name, destination, dataset, None, folder)
            try:
                return load_target(pipeline)
            finally:
                pipeline.deactivate()
    except (DltException, OSError) as error:
        failure = to_user_error(error, str(getattr(destination, "destination_name", destination)))
    raise failure


def _list_key(stream: Stream) -> tuple[str, int]:
    """Tells lists apart; the owners of product rows are the items of their type."""
    return stream.items.method, stream.items.entity_type_id


def _count_items(client: Client, streams: Sequence[Stream]) -> Mapping[tuple[str, int], int | None]:
    """The portal's number of rows of each list under its filter; None where it does not say."""
    queries = {_list_key(stream): stream.items for stream in streams}
    outcomes = call_many(client, [query.count_call() for query in queries.values()])
    totals = [outcome.total if isinstance(outcome, Response) else None for outcome in outcomes]
    return dict(zip(queries, totals, strict=True))


def _pages(stream: Stream, items: int) -> int:
    """Calls that a first load needs for a list of so many items."""
    own = ceil(items / PAGE_SIZE) + 1
    if not isinstance(stream, DependentStream):
        return own
    children = ceil(items / stream.asked(()).max_owners)
    return children if stream.parent_stream is not None else own + children


def _planned(stream: Stream, items: int | None) -> PlannedList:
    return PlannedList(
        stream.name,
        stream.resource,
        stream.entity_type_id,
        stream.entity.title or "" if stream.entity else "",
        items,
        "owners" if isinstance(stream, DependentStream) else "items",
    )

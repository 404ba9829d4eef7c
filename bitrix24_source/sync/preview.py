"""What a sync run would read of its streams, without reading a list and without remembering anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..catalog import IssueLog
from ..reader import IdRange, ListQuery
from ..rest import Client
from .dependents import DependentStream
from .options import SyncOptions
from .plan import make_plan
from .ports import State
from .provenance import Provenance
from .streams import ReadMode, Stream


@dataclass(frozen=True)
class PlannedRead:
    """One list that would be read.

    Attributes:
        stream: whose rows come of it.
        mode: why it is read.
        query: with the bounds of its ids among its conditions, so that its rows can be counted.
    """

    stream: Stream
    mode: ReadMode
    query: ListQuery


def planned_reads(
    client: Client,
    streams: Sequence[Stream],
    state_of: Callable[[str], State],
    source_state: State,
    options: SyncOptions,
    issues: IssueLog,
) -> list[PlannedRead]:
    """What the next run would ask for, by the state that the last one has stored.

    Streams of dependents that take the owners from their parent's rows ask for no list of their own.

    Args:
        client: asks the portal for its time and how it filters by time.
        streams: of the run; they take up their checkpoints.
        state_of: copies of the resources' states.
        source_state: a copy of the source's.
        options: of the run.
        issues: takes what cannot be asked as usual.

    Raises:
        Bitrix24Error: the portal cannot even be asked the time.
    """
    for stream in streams:
        stream.recall(state_of(stream.resource), is_first_slice=True)
    for stream in streams:
        if isinstance(stream, DependentStream):
            stream.look_for_parent_stream()
    asking = [stream for stream in streams if not (isinstance(stream, DependentStream) and stream.shares_parent_read)]
    _, tasks = make_plan(client, asking, options, issues, Provenance.from_state(source_state).user)
    return [PlannedRead(stream, mode, _bounded(id_range)) for stream, mode, id_range in tasks]


def _bounded(id_range: IdRange) -> ListQuery:
    query = id_range.items
    bounds: dict[str, int] = {f">{query.id_field}": id_range.after} if id_range.after else {}
    if id_range.upper is not None:
        bounds[f"<={query.id_field}"] = id_range.upper
    return replace(query, filter={**query.filter, **bounds})

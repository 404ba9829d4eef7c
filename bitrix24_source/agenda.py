"""What is asked of each list in a round: everything, what is new and what changed, or ids alone?

It knows the portal's clock and how times are written in filters, and refuses to know what comes of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from .catalog import Issues
from .choice import ItemChoice, Slices
from .client import Client
from .errors import PortalError
from .lists import ItemList
from .readings import Reading, Role
from .segments import Segment
from .timefilter import Spelling, how_to_ask, portal_time

Asked = list[tuple[Reading, Role, Segment]]


@dataclass(frozen=True)
class Moment:
    """When a round is: the portal's time, and by how many seconds its clock is ahead of ours."""

    now: datetime
    ahead: float


def agenda(client: Client, readings: Sequence[Reading], choice: ItemChoice, issues: Issues) -> tuple[Moment, Asked]:
    """When the round is, and what it asks for; what cannot be asked as usual is noted.

    Raises:
        Bitrix24Error: the portal cannot even be asked the time.
    """
    now = portal_time(client)
    moment = Moment(now, (now - client.clock.now()).total_seconds())
    spellings = _spellings(client, readings, moment, issues)
    asked = [
        (one, role, segment)
        for one in readings
        for role, segment in plan(one, spellings.get(one.items.method), moment, choice)
    ]
    return moment, asked


def plan(one: Reading, spelling: Spelling | None, moment: Moment, choice: ItemChoice) -> list[tuple[Role, Segment]]:
    """What to read of one list; None for a spelling says that changes cannot be asked for in this round."""
    if not one.remembers or (one.asks_for_changes and spelling is None):
        return [("all", segment) for segment in _whole(one, moment, choice.slices)]
    memory = one.memory
    one.role = "changed"
    planned: list[tuple[Role, Segment]] = [("new", Segment(_own(one, one.items), after=memory.max_id))]
    if memory.max_id and one.asks_for_changes and spelling is not None:
        overlap = choice.overlap + memory.set_back(moment.now, moment.ahead)
        since = memory.since(overlap).astimezone(moment.now.tzinfo)
        changed = replace(one.items, filter={**one.items.filter, **spelling.since(one.items, since)})
        planned.append(("changed", Segment(_own(one, changed), upper=memory.max_id)))
    one.sweeps = one.is_swept and memory.is_sweep_due(moment.now, choice.sweep)
    if one.sweeps:  # of all ids, whatever is filtered: an item that the filter leaves out is not gone
        ids = replace(one.items, filter={}, select=(one.items.id_name,), also=())
        planned.append(("ids", Segment(_own(one, ids), known=memory.max_id)))
    return planned


def _whole(one: Reading, moment: Moment, slices: Slices) -> Sequence[Segment]:
    """All rows, or what a slice left of them. Who has seen all ids by then knows as well which are gone."""
    one.role = "all"
    memory = one.memory
    one.resumes = memory.is_begun and one.key not in slices.seen
    one.sweeps = one.is_swept and not one.resumes and not one.items.filter
    if one.sweeps:
        one.seen = slices.seen.setdefault(one.key, [])
    if not memory.is_begun:
        memory.began, memory.ahead = moment.now.isoformat(), moment.ahead
    segments = memory.segments(_own(one, one.items))
    memory.parts = [segment.to_part() for segment in segments]
    return segments


def _own(one: Reading, items: ItemList) -> ItemList:
    """One of its own, to be known again when its rows come."""
    own = replace(items)
    one.open.add(own)
    return own


def _spellings(
    client: Client, readings: Sequence[Reading], moment: Moment, issues: Issues
) -> dict[str, Spelling | None]:
    """By method, how a time is written in a filter; None where changes cannot be asked for in this round."""
    asking: dict[str, list[Reading]] = defaultdict(list)
    for one in readings:
        if one.asks_for_changes:
            asking[one.items.method].append(one)
    return {method: _spelling(client, ones, moment, issues) for method, ones in asking.items()}


def _spelling(client: Client, readings: Sequence[Reading], moment: Moment, issues: Issues) -> Spelling | None:
    set_back = max(one.memory.set_back(moment.now, moment.ahead) for one in readings)
    known = next((name for one in readings if (name := one.state.get("spelling", ""))), "")
    trust = how_to_ask(client, [one.items for one in readings], set_back, known)
    if trust.trouble:
        error = PortalError(trust.trouble, readings[0].items.method)
        issues.note(readings[0].resource, error, trust.trouble, hint=trust.hint)
    if trust.spelling is not None:
        for one in readings:
            one.state["spelling"] = trust.spelling.name
    return trust.spelling

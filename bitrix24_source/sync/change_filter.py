"""Finds out how the portal's filter on the time of change has to be written, and whether it can be relied on.

Each run probes the filter with a row that is known before it trusts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ..reader import ListQuery, Row
from ..rest import Call, CallResult, Client, Response, call_many


@dataclass(frozen=True)
class TimeFormat:
    """A way to write a moment. `margin` is what the spelling itself may be off by: a naive hour comes twice in autumn."""

    name: str
    format: str
    margin: timedelta = timedelta()

    def write(self, moment: datetime) -> str:
        return moment.isoformat(timespec="seconds") if not self.format else moment.strftime(self.format)

    def write_hardest(self, moment: datetime) -> str:
        """The same moment as it is least likely to be understood: with a foreign offset, where there is one."""
        return self.write(moment if self.format else moment.astimezone(format_foreign_offset(moment)))

    def since(self, items: ListQuery, moment: datetime) -> dict[str, str]:
        """A filter for what changed from a moment on, in the zone that the moment is given in."""
        return {f">={items.updated_field}": self.write(moment - self.margin)}


TIME_FORMATS = (
    TimeFormat("ISO 8601 with offset", ""),
    TimeFormat("YYYY-MM-DD HH:MM:SS in the portal's zone", "%Y-%m-%d %H:%M:%S", timedelta(hours=1)),
)
TRIALS = 2
"""with an item each: somebody may have changed or deleted the first one meanwhile"""
LONGEST_CORRECTION = timedelta(minutes=5)
"""of the portal's clock between two runs, that is made up for by reading from so much earlier"""
IGNORED_FILTER_MARGIN = timedelta(hours=3)
"""by which a bound may be taken for an earlier one without being ignored: naive spellings around summer time"""
REREAD = "all items are read instead of those that changed"


@dataclass(frozen=True)
class FilterCheck:
    """How a time is written in a filter, None where changes cannot be asked for; and what is to be told of it."""

    spelling: TimeFormat | None
    trouble: str = ""
    hint: str = "report it to the portal's administrator"


def portal_time(client: Client) -> datetime:
    """The portal's clock and zone; https://apidocs.bitrix24.com/api-reference/common/system/server-time.html"""
    answer = client.call("server.time")
    return parse_timestamp(answer.result) or parse_timestamp(answer.server_time) or client.clock.now()


def choose_time_format(client: Client, lists: Sequence[ListQuery], set_back: timedelta, known: str) -> FilterCheck:
    """Whether and how changes of some lists can be asked for.

    Args:
        client: speaks to the portal.
        lists: of one kind.
        set_back: by how much the portal's clock was, since they were read last.
        known: name of the spelling of the run before; another one is told, once.
    """
    if set_back > LONGEST_CORRECTION:
        by = timedelta(seconds=round(set_back.total_seconds()))
        return FilterCheck(None, f"the portal's clock was set back by {by}: {REREAD}")
    spelling = probe_time_format(client, lists)
    if spelling is None:
        return FilterCheck(None, f"the portal's filter on {lists[0].updated_field} cannot be relied on: {REREAD}")
    if spelling.name == (known or TIME_FORMATS[0].name):
        return FilterCheck(spelling)
    change = "the portal now understands the offset of times in filters"
    if spelling is not TIME_FORMATS[0]:
        change = "the portal passes over the offset of times in filters: they are written in its own zone"
    return FilterCheck(spelling, change, "nothing is missed, and nothing need be done")


def probe_time_format(client: Client, lists: Sequence[ListQuery]) -> TimeFormat | None:
    """The first spelling with which the filter finds an item at its own second and no more a second later.

    None when no spelling does, or when times are written as we cannot read them. Where no item has a time at all, there is
    nothing that a filter could miss, and any spelling will do.
    """
    for _ in range(TRIALS):
        known, unreadable = _known_item(client, lists)
        if known is None:
            return None if unreadable else TIME_FORMATS[0]
        spelling = _tried(client, *known)
        if spelling is not None:
            return spelling
    return None


def filter_was_ignored(items: ListQuery, rows: Sequence[Row], since: datetime) -> bool:
    """Whether rows are older than a filter on a time can have let through."""
    moments = [moment for row in rows if (moment := parse_timestamp(row.get(items.updated_field))) is not None]
    return bool(moments) and min(moments) < since - IGNORED_FILTER_MARGIN


def _tried(client: Client, items: ListQuery, id_: int, moment: datetime) -> TimeFormat | None:
    calls = []
    for spell in TIME_FORMATS:
        calls += [_probe(items, id_, spell.write_hardest(moment + timedelta(seconds=later))) for later in (0, 1)]
    outcomes = call_many(client, calls)
    for number, spell in enumerate(TIME_FORMATS):
        at, later = outcomes[2 * number : 2 * number + 2]
        if _ids(items, at) == [id_] and _ids(items, later) == []:
            return spell
    return None


def _known_item(client: Client, lists: Sequence[ListQuery]) -> tuple[tuple[ListQuery, int, datetime] | None, bool]:
    """The row that was least lately changed among the first of some types: one that will hardly change while we ask.

    And whether there may be others, whose time cannot be read.
    """
    unreadable = False
    calls = [replace(items, filter={}, select=(items.updated_field,), extra_select=()).page_call(0) for items in lists]
    found: list[tuple[datetime, int, int]] = []
    for place, outcome in enumerate(call_many(client, calls)):
        items = lists[place]
        unreadable = unreadable or not isinstance(outcome, Response)
        for row in _rows(items, outcome):
            moment = parse_timestamp(row.get(items.updated_field))
            if moment is not None and (id_ := items.id_of(row)):
                found.append((moment, place, id_))
            elif row.get(items.updated_field):
                unreadable = True
    if not found:
        return None, unreadable
    moment, place, id_ = min(found)
    return (lists[place], id_, moment), unreadable


def format_foreign_offset(moment: datetime) -> timezone:
    """Five and a half hours away from the moment's own, in which no portal is likely to think."""
    own = moment.utcoffset() or timedelta()
    return timezone(own + timedelta(hours=5.5) * (-1 if own > timedelta(hours=8) else 1))


def _probe(items: ListQuery, id_: int, literal: str) -> Call:
    return items.matching({items.id_field: id_, f">={items.updated_field}": literal}, (items.id_field,))


def _ids(items: ListQuery, outcome: CallResult) -> list[int] | None:
    return [items.id_of(row) for row in _rows(items, outcome)] if isinstance(outcome, Response) else None


def _rows(items: ListQuery, outcome: CallResult) -> Sequence[Row]:
    return items.rows_in(outcome.result) or () if isinstance(outcome, Response) else ()


def parse_timestamp(value: Any) -> datetime | None:
    """A time of the portal's, with its offset; None for anything else."""
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else None

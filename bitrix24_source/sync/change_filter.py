"""Measures how the portal interprets a time in a filter on the time of change, and writes filters accordingly.

`crm.item.list` shifts the bound of such a filter by the zone of the credential's owner minus the server's, whatever offset the
bound is written with. The shift changes with the user, or when the owner travels, so each run measures it on a known row: it is
the latest bound with which the filter still finds the row. Bounds of legacy lists (activities) are not shifted.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import Enum, auto
from typing import Any

from ..reader import ListQuery, Row
from ..rest import BATCH_SIZE, Call, CallGenerator, CallResult, Client, Response, as_local_time, call_many, gather

log = logging.getLogger("bitrix24_source")


@dataclass(frozen=True)
class TimeFormat:
    """A format of times. `margin` is its uncertainty: a naive hour occurs twice in autumn."""

    name: str
    format: str
    margin: timedelta = timedelta()

    def write(self, time: datetime) -> str:
        return time.isoformat(timespec="seconds") if not self.format else time.strftime(self.format)

    def write_hardest(self, time: datetime) -> str:
        """Writes the time in the way least likely to be understood: with a foreign offset, if the format has offsets."""
        return self.write(time if self.format else time.astimezone(foreign_offset(time)))


TIME_FORMATS = (
    TimeFormat("ISO 8601 with offset", ""),
    TimeFormat("YYYY-MM-DD HH:MM:SS in the portal's zone", "%Y-%m-%d %H:%M:%S", timedelta(hours=1)),
)
QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)
MAX_SHIFT = timedelta(hours=14)
"""greatest difference between two zones; a filter is widened by it while the shift is unknown"""
WHOLE_HOURS = tuple(HOUR * hours for hours in range(-15, 16))
"""the hours that are tried, beyond the greatest shift on both sides: a filter that always finds the row is ignored"""
QUIET = timedelta(days=1)
"""time for which a row has not changed, so that it will hardly change during the measurement"""
FRESH = timedelta(days=2)
"""A row that changed longer ago may show its time an hour off: portals print times of the other half-year with the present
offset, if the owner's and the server's zone do not change clocks together."""
TRIALS = 2
"""number of attempts, each with another row: the first one may have been changed or deleted meanwhile"""
LONGEST_CORRECTION = timedelta(minutes=5)
"""maximum correction of the portal's clock between two runs that is compensated by reading from earlier"""
IGNORED_FILTER_MARGIN = timedelta(hours=3)
"""how much earlier than its bound a filter may reach without counting as ignored: naive times around clock changes"""
REREAD = "all items are read instead of those that changed"


@dataclass(frozen=True)
class TimeFilter:
    """Writes filters for what changed since a time.

    Attributes:
        format: how a time is written.
        shift: by how much the portal moves a bound to an earlier time; bounds are written later by it.
        margin: by how much a bound is set earlier, because the shift is not known exactly.
    """

    format: TimeFormat = TIME_FORMATS[0]
    shift: timedelta = timedelta()
    margin: timedelta = timedelta()

    def since(self, query: ListQuery, time: datetime) -> dict[str, str]:
        """Returns a filter for what changed since a time, written in that time's zone."""
        return {f">={query.updated_field}": self.format.write(time + self.shift - self.margin - self.format.margin)}

    def was_ignored(self, query: ListQuery, rows: Sequence[Row], time: datetime) -> bool:
        """Returns whether rows are older than a filter for `time` allows."""
        oldest = time - 2 * self.margin - IGNORED_FILTER_MARGIN
        times = [updated for row in rows if (updated := as_local_time(row.get(query.updated_field))) is not None]
        return bool(times) and min(times) < oldest


@dataclass(frozen=True)
class FilterCheck:
    """The result of a measurement.

    Attributes:
        filter: how to ask for changes; None if they cannot be asked for.
        trouble: the problem to report, "" without one.
        hint: what to do about the problem.
    """

    filter: TimeFilter | None
    trouble: str = ""
    hint: str = "report it to the portal's administrator"


@dataclass(frozen=True)
class _KnownRow:
    query: ListQuery
    id: int
    updated: datetime

    def probe(self, literal: str) -> Call:
        """Returns a call that asks for this row only, if it changed since a time."""
        query = self.query
        return query.matching({query.id_field: self.id, f">={query.updated_field}": literal}, (query.id_field,))

    def look(self) -> Call:
        """Returns a call that reads this row as it is now."""
        return self.query.matching({self.query.id_field: self.id}, (self.query.id_field, self.query.updated_field))

    def is_as_it_was(self, result: CallResult) -> bool:
        """Returns whether the row is unchanged; an error counts as unchanged."""
        if not isinstance(result, Response):
            return True
        rows = self.query.rows_in(result.result) or ()
        return [as_local_time(row.get(self.query.updated_field)) for row in rows] == [self.updated]

    def is_found(self, result: CallResult) -> bool | None:
        """Returns whether the row was found, None if that is unknown."""
        if not isinstance(result, Response):
            return None
        ids = [self.query.id_of(row) for row in self.query.rows_in(result.result) or ()]
        return ids == [self.id] if ids in ([self.id], []) else None


class _Verdict(Enum):
    """Why no shift was found: all bounds find the row, none does, some do in no order, or the row changed meanwhile."""

    IGNORED = auto()
    REFUSED = auto()
    UNCLEAR = auto()
    MOVED = auto()


def portal_time(client: Client) -> tuple[datetime, str]:
    """Returns the portal's time in its zone, and the id of the credential's user, "" if unknown; one request.

    https://apidocs.bitrix24.com/api-reference/common/system/server-time.html
    https://apidocs.bitrix24.com/api-reference/common/users/profile.html

    Raises:
        Bitrix24Error: the portal cannot be asked the time.
    """
    time, profile = call_many(client, [Call("server.time"), Call("profile")])
    if not isinstance(time, Response):
        raise time
    now = as_local_time(time.result) or as_local_time(time.server_time) or client.clock.now()
    user = profile.result.get("ID") if isinstance(profile, Response) and isinstance(profile.result, Mapping) else None
    return now, str(user or "")


def measure_filters(
    client: Client,
    queries: Mapping[str, Sequence[ListQuery]],
    now: datetime,
    expected: Mapping[str, TimeFilter],
    beside: CallGenerator[None] | None = None,
) -> dict[str, FilterCheck]:
    """Measures how changes of some lists can be asked for: three requests for all, two if `expected` still holds.

    Args:
        client: calls the portal.
        queries: lists that have rows, by method.
        now: the portal's time, in its zone.
        expected: the filters of the previous run, by method.
        beside: further calls that are sent in the same requests.
    """
    measurements = [_measure(group, now, expected.get(method, TimeFilter())) for method, group in queries.items()]
    checks: list[Any] = gather(client, [*measurements, *([beside] if beside is not None else [])])
    return dict(zip(queries, checks, strict=False))


def clock_was_set_back(regression: timedelta) -> FilterCheck | None:
    """Returns a report that changes cannot be asked for if the portal's clock was set back by too much."""
    if regression <= LONGEST_CORRECTION:
        return None
    by = timedelta(seconds=round(regression.total_seconds()))
    return FilterCheck(None, f"the portal's clock was set back by {by}: {REREAD}")


def _measure(queries: Sequence[ListQuery], now: datetime, expected: TimeFilter) -> CallGenerator[FilterCheck]:
    unknown = f"the portal's filter on {queries[0].updated_field} cannot be relied on"
    verdicts: list[_Verdict] = []
    for _ in range(TRIALS):
        row, is_unreadable = yield from _known_row(queries, now)
        if row is None:
            unusable = FilterCheck(None, f"{unknown}: {REREAD}")
            return unusable if is_unreadable else FilterCheck(TimeFilter(margin=MAX_SHIFT))
        margin = timedelta() if now - row.updated <= FRESH else HOUR
        verdicts.clear()
        for time_format in TIME_FORMATS:
            shift = yield from _shift(row, time_format, now, expected.shift)
            if isinstance(shift, timedelta):
                return FilterCheck(TimeFilter(time_format, shift, margin), *_change_of_format(time_format, expected))
            verdicts.append(shift)
            if shift in (_Verdict.UNCLEAR, _Verdict.MOVED):
                break
        if not {_Verdict.UNCLEAR, _Verdict.MOVED}.intersection(verdicts):
            return FilterCheck(None, f"{unknown}: {REREAD}")
    if _Verdict.MOVED in verdicts:
        log.info(
            "the rows to measure the filter by change too fast: changes are read from %s hours earlier",
            MAX_SHIFT // HOUR,
        )
        return FilterCheck(TimeFilter(margin=MAX_SHIFT))
    wider = f"{unknown} to the hour: changes are read from {MAX_SHIFT // HOUR} hours earlier on"
    return FilterCheck(TimeFilter(margin=MAX_SHIFT), wider, "nothing is missed, and nothing need be done")


def _change_of_format(time_format: TimeFormat, expected: TimeFilter) -> tuple[str, ...]:
    if time_format is expected.format:
        return ()
    change = "the portal now understands the offset of times in filters"
    if time_format is not TIME_FORMATS[0]:
        change = "the portal ignores the offset of times in filters: they are written in its own zone"
    return change, "nothing is missed, and nothing need be done"


def _shift(
    row: _KnownRow, time_format: TimeFormat, now: datetime, expected: timedelta
) -> CallGenerator[timedelta | _Verdict]:
    """Finds the latest bound that still finds the row, relative to the row's time: whole hours first, then quarters."""
    ladder = WHOLE_HOURS if row.query.has_shifted_filter else (timedelta(), timedelta(seconds=1))
    hour = expected - expected % HOUR
    coarse = [time_format.write(row.updated.astimezone(now.tzinfo) + offset) for offset in ladder]
    results = yield [*(row.probe(literal) for literal in (*coarse, *_fine(row, time_format, now, hour))), row.look()]
    found = [row.is_found(result) for result in results[:-1]]
    if not row.is_as_it_was(results[-1]):
        return _Verdict.MOVED
    rungs = _clean_prefix(found[: len(ladder)])
    if isinstance(rungs, _Verdict):
        return rungs
    fine = found[len(ladder) :]
    if ladder[rungs - 1] != hour:
        hour = ladder[rungs - 1]
        results = yield [row.probe(literal) for literal in _fine(row, time_format, now, hour)]
        fine = [row.is_found(result) for result in results]
    quarters = _clean_prefix([True, *fine[:3], False])
    if isinstance(quarters, _Verdict):
        return quarters
    shift = hour + (quarters - 1) * QUARTER
    at, later = fine[3 + 2 * (quarters - 1) : 5 + 2 * (quarters - 1)]
    return (
        shift if (at, later) == (True, False) else _Verdict.IGNORED
    )  # the offset is ignored, or the time cut to the day


def _fine(row: _KnownRow, time_format: TimeFormat, now: datetime, hour: timedelta) -> list[str]:
    """Returns bounds within an hour: its quarters, and each quarter to the second in the hardest notation."""
    updated = row.updated.astimezone(now.tzinfo) + hour
    quarters = [updated + QUARTER * number for number in range(4)]
    exact = [quarter + timedelta(seconds=later) for quarter in quarters for later in (0, 1)]
    return [*map(time_format.write, quarters[1:]), *map(time_format.write_hardest, exact)]


def _clean_prefix(found: Sequence[bool | None]) -> int | _Verdict:
    """Returns how many bounds found the row, provided that those are the earliest ones."""
    count = sum(answer is True for answer in found)
    if all(answer is None for answer in found) or not any(answer is not False for answer in found):
        return _Verdict.REFUSED
    if count == len(found):
        return _Verdict.IGNORED
    return count if list(found) == [True] * count + [False] * (len(found) - count) else _Verdict.UNCLEAR


def _known_row(queries: Sequence[ListQuery], now: datetime) -> CallGenerator[tuple[_KnownRow | None, bool]]:
    """Finds a row to measure with: among the newest of some lists the most recently changed quiet one, else the quietest.

    Returns:
        The row, and whether there may be others whose time cannot be read.
    """
    sampled = queries[: BATCH_SIZE // 2]
    results = yield [replace(query, filter={}).newest_call((query.updated_field,)) for query in sampled]
    is_unreadable, rows = False, []
    for query, result in zip(sampled, results, strict=True):
        is_unreadable = is_unreadable or not isinstance(result, Response)
        for row in (query.rows_in(result.result) or ()) if isinstance(result, Response) else ():
            updated = as_local_time(row.get(query.updated_field))
            if updated is not None and (id_ := query.id_of(row)):
                rows.append(_KnownRow(query, id_, updated))
            elif row.get(query.updated_field):
                is_unreadable = True
    quiet = [row for row in rows if now - row.updated > QUIET]
    if quiet:
        return max(quiet, key=lambda row: row.updated), is_unreadable
    return min(rows, key=lambda row: row.updated, default=None), is_unreadable


def foreign_offset(time: datetime) -> timezone:
    """Returns an offset five and a half hours from the time's own, which a portal is unlikely to use itself."""
    own = time.utcoffset() or timedelta()
    return timezone(own + timedelta(hours=5.5) * (-1 if own > timedelta(hours=8) else 1))

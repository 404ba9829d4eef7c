"""Facts about the portal itself: its clock, its time zone as far as it can be determined, its languages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ..rest import Call, CallGenerator, Response, as_local_time, as_mapping, as_text


@dataclass(frozen=True)
class PortalAnswers:
    """Answers of the portal; "" for missing ones.

    Attributes:
        server_time: the result of `server.time`, ISO 8601 with the server's present offset.
        user_zone: TIME_ZONE of `profile`: the IANA name that the credential's owner has chosen.
        is_unreadable: the result of `server.time` was not a time.
    """

    server_time: str = ""
    user_zone: str = ""
    is_unreadable: bool = False


@dataclass(frozen=True)
class PortalFacts:
    """One portal.

    Attributes:
        host: host name, as in the addresses of its items.
        zone: IANA name of the time zone in which the portal writes its days, else its present offset as ±HH:MM; None if
            unknown.
        utc_offset_minutes: the present offset, east of UTC.
        languages: codes of languages that the portal is known to use.
        loaded_at: the portal's time of the load; this machine's if the portal's is unknown.
    """

    host: str
    zone: str | None
    utc_offset_minutes: int | None
    languages: tuple[str, ...]
    loaded_at: datetime


def read_portal(*, wanted: bool) -> CallGenerator[PortalAnswers | None]:
    """Reads the portal's clock and its user's zone, if `wanted`.

    https://apidocs.bitrix24.com/api-reference/common/system/server-time.html
    https://apidocs.bitrix24.com/api-reference/common/users/profile.html
    """
    if not wanted:
        return None
    clock, profile = yield [Call("server.time"), Call("profile")]
    times = (clock.result, clock.server_time) if isinstance(clock, Response) else ()
    server_time = next((time for time in times if _instant(time) is not None), None)
    row = as_mapping(profile.result) if isinstance(profile, Response) else {}
    is_unreadable = bool(times) and server_time is None
    return PortalAnswers(as_text(server_time) or "", as_text(row.get("TIME_ZONE")) or "", is_unreadable)


def portal_facts(
    host: str,
    now: datetime,
    answers: PortalAnswers | None,
    types: Sequence[Mapping[str, Any]],
    currencies: Sequence[Mapping[str, Any]],
) -> PortalFacts | None:
    """Determines the portal's zone: a user's may differ from it, and an offset does not say when clocks change.

    The user's zone is used if every time written by the portal agrees with it.

    Args:
        host: the portal's host.
        now: the time of this machine.
        answers: answers of the portal; None if it was not asked.
        types: rows of crm.type.list, whose times have the offset of their day.
        currencies: rows of crm.currency.list.
    """
    if answers is None:
        return None
    server_time = _instant(answers.server_time)
    languages = tuple(sorted({language.lower() for row in currencies if (language := as_text(row.get("LID")))}))
    if server_time is None:
        return PortalFacts(host, None, None, languages, now)
    written = [server_time, *_instants(types, "createdTime", "updatedTime"), *_instants(currencies, "DATE_UPDATE")]
    offset = server_time.utcoffset() or timedelta()
    minutes = int(offset.total_seconds() // 60)
    zone = answers.user_zone if _agrees(answers.user_zone, written) else server_time.isoformat()[-6:]
    return PortalFacts(host, zone, minutes, languages, server_time)


def _agrees(zone: str, written: Iterable[datetime]) -> bool:
    try:
        known = ZoneInfo(zone) if zone else None
    except (ValueError, OSError, KeyError):  # not a zone, or unknown to this machine
        return False
    return known is not None and all(time.astimezone(known).utcoffset() == time.utcoffset() for time in written)


def _instants(rows: Sequence[Mapping[str, Any]], *names: str) -> Iterator[datetime]:
    values = (_instant(row.get(name)) for row in rows for name in names)
    return (time for time in values if time is not None)


def _instant(value: Any) -> datetime | None:
    """Parses a time with offset, of years for which zones have rules; None for anything else."""
    time = as_local_time(value)
    return time if time and time.year in _ZONED_YEARS else None


_ZONED_YEARS = range(1901, 2201)

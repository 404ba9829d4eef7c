"""Facts of the portal itself: its clock, its time zone as far as it can be known, its languages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ..rest import Call, CallGenerator, Response, as_local_time, as_mapping, as_text


@dataclass(frozen=True)
class PortalAnswers:
    """Answers of the portal; "" for those it did not give.

    Attributes:
        server_time: of `server.time`, ISO 8601 with the server's present offset.
        user_zone: TIME_ZONE of `profile`: the IANA name that the credential's owner has chosen.
        is_unreadable: `server.time` was answered, and by no time.
    """

    server_time: str = ""
    user_zone: str = ""
    is_unreadable: bool = False


@dataclass(frozen=True)
class PortalFacts:
    """One portal.

    Attributes:
        host: as in the addresses of its items.
        zone: IANA name of the time zone in which the portal writes its days, else its present offset as ±HH:MM; None where
            the portal does not tell its time.
        utc_offset_minutes: the present offset, east of UTC.
        languages: codes of languages that the portal is known to use.
        loaded_at: the portal's time when it was asked; this machine's where the portal does not tell.
    """

    host: str
    zone: str | None
    utc_offset_minutes: int | None
    languages: tuple[str, ...]
    loaded_at: datetime


def read_portal(*, wanted: bool) -> CallGenerator[PortalAnswers | None]:
    """Asks for the portal's clock and its user's zone, where they are wanted.

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
    """Settles the zone: a user's may differ from the portal's, and an offset alone does not tell when clocks change.

    The name of the user's zone is taken where every time that the portal has written agrees with it.

    Args:
        host: of the portal.
        now: by this machine's clock.
        answers: of the portal; None where it was not asked, and so nothing is known.
        types: rows of crm.type.list, whose times bear the offset of their day.
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
    except (ValueError, OSError, KeyError):  # no name of a zone, or none that this machine knows
        return False
    return known is not None and all(time.astimezone(known).utcoffset() == time.utcoffset() for time in written)


def _instants(rows: Sequence[Mapping[str, Any]], *names: str) -> Iterator[datetime]:
    values = (_instant(row.get(name)) for row in rows for name in names)
    return (time for time in values if time is not None)


def _instant(value: Any) -> datetime | None:
    """A time with its offset, in years in which zones have rules; None for anything else."""
    time = as_local_time(value)
    return time if time and time.year in _ZONED_YEARS else None


_ZONED_YEARS = range(1901, 2201)

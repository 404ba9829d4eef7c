"""The time zones of a portal: the server's, and one for each person who chose another.

Times are kept as instants. Two things depend on the person who asks: a datetime filter of `crm.item.list` is moved by
that person's zone minus the server's, and a datetime of the other half of the year is printed an hour off where the two
zones do not change their clocks together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from .clock import Clock


@dataclass
class Zones:
    """Zones of the server and of people, by user id.

    Attributes:
        server: The zone in which the portal prints times.
        people: Zones of the people whose zone is another; everybody else has the server's.
        use_time_zones: The main module's option of that name. Switched off, everybody has the server's zone.
    """

    clock: Clock
    server: tzinfo
    people: dict[int, tzinfo] = field(default_factory=dict)
    use_time_zones: bool = True

    def of(self, user_id: int) -> tzinfo:
        return self.people.get(user_id, self.server) if self.use_time_zones else self.server

    def name(self, user_id: int) -> str:
        """`TIME_ZONE` of a person: the name of a zone that was chosen, "" for one that the browser set."""
        return str(getattr(self.people.get(user_id), "key", ""))

    def difference(self, user_id: int, moment: datetime) -> timedelta:
        """A person's offset minus the server's at one moment."""
        return _offset(self.of(user_id), moment) - _offset(self.server, moment)

    def shift(self, user_id: int) -> timedelta:
        """The difference now, by which a datetime filter of `crm.item.list` is moved."""
        return self.difference(user_id, self.clock.now())


def _offset(zone: tzinfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def is_fixed(zone: tzinfo) -> bool:
    """Whether the offset is the same all year."""
    return isinstance(zone, timezone)


@dataclass(frozen=True)
class PrintedTimes:
    """Prints times as one person sees them now.

    The main module converts a stored time to the person's zone and REST converts it back. Since 2026 the first uses
    the offsets of the stored time and the second those of now; before, both used those of now. A date is server
    midnight plus the server's offset of now.
    """

    zones: Zones
    user_id: int
    offset_of_stored_time: bool

    @property
    def moves_datetimes(self) -> bool:
        """Whether a datetime may be printed as another instant than the stored one."""
        zone, server = self.zones.of(self.user_id), self.zones.server
        return self.offset_of_stored_time and zone != server and not (is_fixed(zone) and is_fixed(server))

    @property
    def moves_dates(self) -> bool:
        """Whether the clock that a date shows depends on the day of the request."""
        return not is_fixed(self.zones.server)

    def datetime(self, value: Any) -> Any:
        moment = _moment(value)
        if moment is None:
            return value
        wrong = self.zones.difference(self.user_id, moment) - self.zones.shift(self.user_id)
        return (moment.astimezone(timezone.utc) + wrong).astimezone(self.zones.server).isoformat() if wrong else value

    def date(self, value: Any) -> Any:
        moment = _moment(value)
        if moment is None:
            return value
        day = (moment.astimezone(timezone.utc) + timedelta(hours=12)).date()
        midnight = datetime(day.year, day.month, day.day, tzinfo=self.zones.server).astimezone(timezone.utc)
        offset = _offset(self.zones.server, self.zones.clock.now())
        return (midnight + offset).astimezone(self.zones.server).isoformat()


def _moment(value: Any) -> datetime | None:
    """Parses an ISO time with offset. Returns None for anything else, such as the hostile portal's values."""
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else None

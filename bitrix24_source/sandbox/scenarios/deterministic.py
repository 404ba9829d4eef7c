"""Computes column values from an item's number and the seed, always the same and without stored state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zlib import crc32

Column = Callable[[int], Any]

SERVER_ZONE = timezone(timedelta(hours=3))
DAY = 86400
# Two and a half years.
STORY_DAYS = 903
# A prime, so that sparse ids meet every position.
PERIOD = 4093
_ALL = (1 << 64) - 1


@dataclass(frozen=True)
class Story:
    """The company's past: from 9:00 of its first day to 18:00 of the day before the portal was made, in seconds."""

    start: int
    end: int

    @classmethod
    def until(cls, now: datetime, zone: tzinfo) -> Story:
        evening = now.astimezone(zone).replace(hour=18, minute=0, second=0, microsecond=0) - timedelta(days=1)
        morning = evening.replace(hour=9) - timedelta(days=STORY_DAYS)
        return cls(int(morning.timestamp()), int(evening.timestamp()))


def salt(*parts: object) -> int:
    return crc32("/".join(map(str, parts)).encode())


def mix(number: int, salted: int) -> int:
    """Returns 24 pseudo-random bits."""
    return ((number * 0x9E3779B1 + salted) * 0x85EBCA6B >> 13) & 0xFFFFFF


def unit(number: int, salted: int, step: int = 0) -> float:
    """Returns a number from 0 to 1 that depends on all three arguments (splitmix64); `mix` is faster but cruder."""
    bits = (number * 0x9E3779B97F4A7C15 + salted * 0xD1342543DE82EF95 + step * 0x94D049BB133111EB) & _ALL
    bits = ((bits ^ bits >> 30) * 0xBF58476D1CE4E5B9) & _ALL
    bits = ((bits ^ bits >> 27) * 0x94D049BB133111EB) & _ALL
    return ((bits ^ bits >> 31) >> 11) / (1 << 53)


class Drawn:
    """A column whose items each draw one value of a pool.

    The draw repeats after PERIOD items, so that all drawn columns of a row can be copied at once (see `RowMaker`).
    """

    __slots__ = ("_pool", "_salt")

    def __init__(self, pool: Sequence[Any], salted: int) -> None:
        self._pool, self._salt = pool, salted

    def __call__(self, number: int) -> Any:
        return self._pool[mix(number % PERIOD, self._salt) % len(self._pool)]


def drawn(pool: Sequence[Any], salted: int) -> Drawn:
    return Drawn(pool, salted)


def constant(value: Any) -> Drawn:
    return Drawn((value,), 0)


def iso(timestamp: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(timestamp, zone).isoformat()


def iso_date(timestamp: int, zone: tzinfo) -> str:
    """A date as crm.item.* spells it: UTC midnight on the server's clock, e.g. 03:00+03:00 or 19:00-05:00 the day before."""
    day = datetime.fromtimestamp(timestamp, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    offset = day.utcoffset() or timedelta()
    return (day + offset).isoformat()

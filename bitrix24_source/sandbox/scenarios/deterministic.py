"""Answers what the value of a column is for item number n: the same for the same seed, without any memory.

It refuses to know what the columns mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zlib import crc32

Column = Callable[[int], Any]

# All of the company's past lies in these two and a half years, whatever the wall clock says: the same seed
# gives the same dates for ever, and nothing is dated later than today.
SERVER_ZONE = timezone(timedelta(hours=3))
STORY_START = int(datetime(2023, 1, 9, 9, 0, tzinfo=SERVER_ZONE).timestamp())
STORY_END = int(datetime(2025, 6, 30, 18, 0, tzinfo=SERVER_ZONE).timestamp())
DAY = 86400
# A prime, so that sparse ids meet all of it.
PERIOD = 4093


def salt(*parts: object) -> int:
    return crc32("/".join(map(str, parts)).encode())


def mix(number: int, salted: int) -> int:
    """24 bits that look random."""
    return ((number * 0x9E3779B1 + salted) * 0x85EBCA6B >> 13) & 0xFFFFFF


class Drawn:
    """A column whose items each draw one value of a pool.

    The draw repeats after PERIOD items, so that all drawn columns of a row can be copied at a stroke (see `rows`).
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

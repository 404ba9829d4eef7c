"""Converts single values of the portal's JSON, which PHP writes in more than one way.

A flag comes as "Y"/"N", 1/0, "true"/"false" or a boolean, a number as text, a list with gaps as a map with numeric keys, an
empty map as a list. The `as_*` functions return None (or an empty collection) for a value of another kind; the `to_*` functions
raise a `ConversionError` that says why, for callers that record such values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

_T = TypeVar("_T")

_FLAGS = {"Y": True, "N": False, "1": True, "0": False, "TRUE": True, "FALSE": False}
_LONGEST_FLAG = 5
_MOST_DIGITS = 28  # before the point of an exact number


class ConversionError(ValueError):
    """A value that its columns cannot hold; `partial` is the part that they can."""

    def __init__(self, reason: str, *partial: Any) -> None:
        super().__init__(reason)
        self.reason, self.partial = reason, partial


def is_blank(value: Any) -> bool:
    """Returns whether a value is one of PHP's empty ones: null, false, an empty text, list or map."""
    return value is None or value is False or (isinstance(value, (str, list, Mapping)) and not value)


def as_bool(value: Any) -> bool | None:
    """Like `to_bool`, but returns None instead of raising."""
    return _converted(to_bool, value)


def as_int(value: Any) -> int | None:
    """Like `to_int`, but returns None instead of raising."""
    return _converted(to_int, value)


def as_id(value: Any, *, least: int = 1) -> int | None:
    """The id of a row: an integer from `least` to 2**63 - 1, as a number or in digits. Categories may have the id 0.

    Stricter than `as_int`: "7.0" is not an id, because a row with the id 7 may exist as well.
    """
    if isinstance(value, str):
        value = int(value) if re.fullmatch("[0-9]{1,19}", value) else None
    return value if type(value) is int and least <= value < 2**63 else None


def as_local_time(value: Any) -> datetime | None:
    """A time with its written offset; None for anything else, including a time without offset."""
    try:
        time = datetime.fromisoformat(str(value).replace("Z", "+00:00"))  # Python 3.10 knows no Z
    except ValueError:
        return None
    return time if time.tzinfo else None


def as_text(value: Any) -> str | None:
    """Text without NUL characters and lone surrogates, which databases reject; None if empty or not text."""
    return strip_unstorable(_converted(to_text, value) or "") or None


def strip_unstorable(text: str) -> str:
    """Removes NUL characters and lone surrogates, which databases reject."""
    return text.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def as_json(value: Any) -> Any:
    """A JSON value as it is, None if it is empty."""
    if isinstance(value, Mapping):
        return {strip_unstorable(str(key)): as_json(item) for key, item in value.items()} or None
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return strip_unstorable(value) if isinstance(value, str) else value


def as_mapping(value: Any) -> Mapping[str, Any]:
    """A map; empty for an empty list, as PHP writes an empty map, and for anything else."""
    return value if isinstance(value, Mapping) else {}


def numbered_values(value: Any) -> Sequence[Any] | None:
    """The values of a list, or of a map with numeric keys, as PHP writes a list with gaps; None for anything else."""
    if isinstance(value, Mapping) and value and all(str(key).isdecimal() for key in value):
        return list(value.values())
    return value if isinstance(value, list) else None


def as_list(value: Any) -> Sequence[Any]:
    """A list; a single value becomes a list of one, an empty value an empty list."""
    listed = numbered_values(value)
    if listed is not None:
        return listed
    return () if is_blank(value) else (value,)


def as_rows(value: Any) -> Sequence[Any] | None:
    """The entries of a list of rows, or of a map of rows; None for anything else.

    Entries that are not maps are included: the caller reports them.
    """
    if isinstance(value, Mapping) and value and all(isinstance(row, Mapping) for row in value.values()):
        return list(value.values())
    listed = numbered_values(value)
    if listed is None and isinstance(value, Mapping):
        return [value] if value else []
    return listed


def as_timestamp(value: Any) -> datetime | None:
    """Like `to_timestamp`, but returns None instead of raising."""
    return _converted(to_timestamp, value)


def as_date(value: Any) -> date | None:
    """Like `to_date`, but returns None instead of raising."""
    return _converted(to_date, value)


def _converted(convert: Callable[[Any], _T], value: Any) -> _T | None:
    try:
        return convert(value)
    except ConversionError:
        return None


def to_bool(value: Any) -> bool:
    """A flag, in any spelling.

    Raises:
        ConversionError: it is none.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and (text := value[: _LONGEST_FLAG + 1].upper()) in _FLAGS:
        return _FLAGS[text]
    raise ConversionError("neither Y nor N")


def to_text(value: Any) -> str:
    """Text, or a number as text.

    Raises:
        ConversionError: it is neither.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e300 < value < 1e300:
        raise ConversionError("neither text nor number")
    return str(value)


def to_decimal(value: Any) -> Decimal:
    """An exact number of at most 28 digits before the point.

    Raises:
        ConversionError: it is none.
    """
    try:
        number = Decimal(to_text(value))
    except InvalidOperation:
        raise ConversionError("not a number") from None
    if not number.is_finite() or abs(number) >= 10**_MOST_DIGITS:
        raise ConversionError(f"not a number of at most {_MOST_DIGITS} digits")
    return number


def to_int(value: Any) -> int:
    """A 64-bit integer; whole floats and decimal text such as "7" or "7.0" are accepted.

    Raises:
        ConversionError: it is none.
    """
    if isinstance(value, str) and (digits := re.fullmatch(r"\s*([+-]?[0-9]{1,40})(?:\.0*)?\s*", value)):
        value = int(digits[1])
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:  # beyond, the decoder lost digits
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConversionError("not a whole number")
    if not -(2**63) <= value < 2**63:
        raise ConversionError("beyond 64 bits")
    return value


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DAY = 86_400_000_000
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?"
    r"(?:Z|([+-])([0-9]{2})(?::?([0-9]{2}))?)"
)
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?")
_LEGACY_DATE = re.compile(r"([0-9]{2})\.([0-9]{2})\.([0-9]{4})(?: [0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?")


def to_microseconds(value: Any) -> int:
    """Microseconds since 1970 of an ISO 8601 time with an offset from UTC.

    Times some hours before the year 1 and after the year 9999 are accepted, because days are rounded from them.

    Raises:
        ConversionError: it is not such a time; without an offset it is not an instant.
    """
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match:
        day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups(default="0")
        with suppress(ValueError):
            if int(hour) < 24 and int(minute) < 60 and int(second) < 60 and int(offset_minutes) < 60:
                offset = (int(offset_hours) * 60 + int(offset_minutes)) * (-1 if sign == "-" else 1)
                minutes = (int(hour) * 60 + int(minute)) - offset
                seconds = (
                    (date.fromisoformat(day).toordinal() - _EPOCH.toordinal()) * 86_400 + minutes * 60 + int(second)
                )
                if abs(offset) < 24 * 60:
                    return seconds * 1_000_000 + int(fraction.ljust(6, "0"))
    raise ConversionError("not a date and time with its offset from UTC")


def to_timestamp(value: Any) -> datetime:
    """An instant in UTC, in the years 1 to 9999.

    Raises:
        ConversionError: it is none.
    """
    microseconds = to_microseconds(value)
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        raise ConversionError("beyond the years 1 to 9999") from None


def to_date(value: Any) -> date:
    """A day: of a bare date, or of the UTC midnight nearest to an instant.

    The portal writes a date as midnight in UTC, printed in its server's zone: east of Greenwich the printed day is right,
    west of it it is the day before. A clock change between today and that date shifts the instant by an hour.

    Raises:
        ConversionError: it is none.
    """
    if isinstance(value, str):
        with suppress(ValueError):
            if bare := _DATE.fullmatch(value):
                return date.fromisoformat(bare[1])
            if legacy := _LEGACY_DATE.fullmatch(value):
                return date(*map(int, legacy.groups()[::-1]))
            days = (to_microseconds(value) + _DAY // 2) // _DAY
            return date.fromordinal(_EPOCH.toordinal() + days)
    raise ConversionError("not a date of the years 1 to 9999")

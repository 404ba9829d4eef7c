"""Converts single values of the portal's JSON: flags as "Y"/"N" or booleans, numbers as numbers or text.

For catalogue rows, where an odd value becomes NULL. Item values are converted in `schema`, which keeps what it cannot convert.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any


def as_bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"Y": True, "N": False, "1": True, "0": False}.get(str(value).upper())


def as_int(value: Any) -> int | None:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if -(2**63) <= number < 2**63 else None


def as_decimal(value: Any) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < 10**28 else None


def as_text(value: Any) -> str | None:
    return None if value in (None, "", [], {}, False) else strip_unstorable(str(value))


def strip_unstorable(text: str) -> str:
    """Without what no database keeps: NUL, and halves of characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def as_json(value: Any) -> Any:
    """Settings as they came, None when empty."""
    if isinstance(value, Mapping):
        return {strip_unstorable(str(key)): as_json(item) for key, item in value.items()} or None
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return strip_unstorable(value) if isinstance(value, str) else value


def as_timestamp(value: Any) -> datetime | None:
    """An instant in UTC; a time without a zone says nothing about an instant and is left out."""
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.astimezone(timezone.utc) if moment.tzinfo else None


def as_date(value: Any) -> date | None:
    """The day as it is written: a zone would move it."""
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


class ConversionError(ValueError):
    """A value that its columns cannot take; `partial` holds what they still can take."""

    def __init__(self, reason: str, *partial: Any) -> None:
        super().__init__(reason)
        self.reason, self.partial = reason, partial


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

"""What do single values of the catalogue's answers mean? Flags come as "Y"/"N" or booleans, numbers as numbers or text.

Item rows are not read here but in `values`, which keeps what it cannot read; the catalogue's odd values become NULL.
"""

from __future__ import annotations

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
    return None if value in (None, "", [], {}, False) else storable(str(value))


def storable(text: str) -> str:
    """Without what no database keeps: NUL, and halves of characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def as_json(value: Any) -> Any:
    """Settings as they came, None when empty."""
    if isinstance(value, Mapping):
        return {storable(str(key)): as_json(item) for key, item in value.items()} or None
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return storable(value) if isinstance(value, str) else value


def as_time(value: Any) -> datetime | None:
    """An instant in UTC; a time without a zone says nothing about an instant and is left out."""
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.astimezone(timezone.utc) if moment.tzinfo else None


def as_day(value: Any) -> date | None:
    """The day as it is written: a zone would move it."""
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None

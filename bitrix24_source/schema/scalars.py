"""Converts one value to a number, text, boolean, date or timestamp, or gives the reason why it cannot.

Accepts every notation that a portal may use; independent of fields, columns and pages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from typing import Any

from ..rest import ConversionError, numbered_values, php_values, to_int, to_microseconds
from .arrow_types import VALID_MICROSECONDS

BOOLEANS: Mapping[Any, bool | None] = {
    "Y": True, "N": False, True: True, False: False, None: None, "": None, "y": True, "n": False, "1": True,
    "0": False, "true": True, "false": False,
}  # fmt: skip


def single_value(value: Any) -> Any:
    """Returns the value of a list with one element, also of nested ones."""
    while (items := numbered_values(value)) is not None and len(items) == 1:
        value = items[0]
    if items:
        raise ConversionError("several values where one is due")
    return value


def is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, dict)) and not value)


def to_reference(value: Any) -> int | None:
    return to_int(value) or None


def to_float(value: Any) -> float:
    if isinstance(value, str) and re.fullmatch(_NUMBER, value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConversionError("not a number")
    with suppress(OverflowError):
        if math.isfinite(number := float(value)):
            return number
    raise ConversionError("beyond a double's range")


_EXACT = Context(prec=38, traps=[Inexact, InvalidOperation])
_NUMBER = r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?\s*"


def to_text(value: Any) -> str | None:
    return None if is_empty(value) else php_values.to_text(value)


def to_bool(value: Any) -> bool | None:
    try:
        return BOOLEANS[value]
    except (KeyError, TypeError):
        raise ConversionError("neither Y nor N") from None


def to_timestamp_microseconds(value: Any) -> int:
    """Returns the microseconds since 1970 of an instant that databases can hold."""
    microseconds = to_microseconds(value)
    if microseconds not in VALID_MICROSECONDS:
        raise ConversionError("beyond the years 1 to 9999")
    return microseconds


def to_decimal(value: Any) -> Decimal | None:
    if isinstance(value, float) and not abs(value) < 2**53:
        raise ConversionError("a decoder lost digits of this number")
    text = (to_text(value) or "").strip()
    with suppress(DecimalException):
        if re.fullmatch(_NUMBER, text):
            return Decimal(text).quantize(Decimal("1e-9"), context=_EXACT)
    if text:
        raise ConversionError("not an amount of at most 29 digits and 9 decimals")
    return None

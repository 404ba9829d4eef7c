"""What does one value mean as a number, a text, a yes or no, a day, an instant - or why is it none?

Every spelling that a portal may use is known here. It refuses to know fields, columns and pages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from typing import Any

import pyarrow as pa

from .arrow_types import INSTANT, MICROSECONDS, TEXT

BOOLEANS: Mapping[Any, bool | None] = {
    "Y": True, "N": False, True: True, False: False, None: None, "": None, "y": True, "n": False, "1": True,
    "0": False, "true": True, "false": False,
}  # fmt: skip


class UnfitError(ValueError):
    """A value that its columns cannot take; `cells` is what they can still take of it."""

    def __init__(self, reason: str, *cells: Any) -> None:
        super().__init__(reason)
        self.reason, self.cells = reason, cells


def single(value: Any) -> Any:
    """The one value of a list of one, however deep it lies."""
    while (items := items_of(value)) is not None and len(items) == 1:
        value = items[0]
    if items:
        raise UnfitError("several values where one is due")
    return value


def items_of(value: Any) -> Sequence[Any] | None:
    if isinstance(value, dict) and value and all(str(key).isdecimal() for key in value):
        return list(value.values())
    return value if isinstance(value, list) else None


def is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, dict)) and not value)


def whole(value: Any) -> int:
    if isinstance(value, str) and (digits := re.fullmatch(r"\s*([+-]?[0-9]{1,40})(?:\.0*)?\s*", value)):
        value = int(digits[1])
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:  # beyond, the decoder lost digits
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnfitError("not a whole number")
    if not -(2**63) <= value < 2**63:
        raise UnfitError("beyond 64 bits")
    return value


def link(value: Any) -> int | None:
    return whole(value) or None


def real(value: Any) -> float:
    if isinstance(value, str) and re.fullmatch(_NUMBER, value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnfitError("not a number")
    with suppress(OverflowError):
        if math.isfinite(number := float(value)):
            return number
    raise UnfitError("beyond a double's range")


_EXACT = Context(prec=38, traps=[Inexact, InvalidOperation])
_NUMBER = r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?\s*"


def string(value: Any) -> str | None:
    if isinstance(value, str) or is_empty(value):
        return value or None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e300 < value < 1e300:
        raise UnfitError("neither text nor number")
    return str(value)


def boolean(value: Any) -> bool | None:
    try:
        return BOOLEANS[value]
    except (KeyError, TypeError):
        raise UnfitError("neither Y nor N") from None


def day(value: Any) -> date:
    """The day as it is written: a zone would move it."""
    if isinstance(value, str):
        iso = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ].*)?", value, re.DOTALL)
        legacy = re.fullmatch(r"([0-9]{2})\.([0-9]{2})\.([0-9]{4})(?: .*)?", value, re.DOTALL)
        parts = iso.groups() if iso else legacy.groups()[::-1] if legacy else ()
        with suppress(ValueError, TypeError):
            return date(*map(int, parts))
    raise UnfitError("not a date")


def microseconds(value: Any) -> int:
    with suppress(ValueError, TypeError):
        instant = int(pa.array([value], TEXT).cast(INSTANT)[0].value)
        if instant in MICROSECONDS:
            return instant
    raise UnfitError("not a date and time with its offset from UTC, in the years 1 to 9999")


def amount(value: Any) -> Decimal | None:
    if isinstance(value, float) and not abs(value) < 2**53:
        raise UnfitError("a decoder lost digits of this number")
    text = (string(value) or "").strip()
    with suppress(DecimalException):
        if re.fullmatch(_NUMBER, text):
            return Decimal(text).quantize(Decimal("1e-9"), context=_EXACT)
    if text:
        raise UnfitError("not an amount of at most 29 digits and 9 decimals")
    return None

"""Parses response bodies: orjson, with a lenient fallback for what PHP can send and orjson refuses or reads inexactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson


def parse_json_object(body: bytes) -> Mapping[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _lenient_json(body)
    else:
        if has_long_integer(body):  # orjson reads integers beyond 64 bits as floats
            value = _lenient_json(body) or value
    return value if isinstance(value, dict) and not _is_too_deep(value, body) else None


BYTES_PER_VALUE = 32
"""that an answer has at least for each of its values, on the average; one that has less is made to take memory"""


def count_values(body: bytes) -> int:
    """At most so many values are in a JSON text: what it costs in memory depends on them more than on its bytes."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _is_too_deep(value: Any, body: bytes) -> bool:
    """Whether values are nested so deeply that whoever walks through them would exhaust the stack.

    orjson writes at most 254 levels; a portal's answers have some ten.
    """
    if not any(ends in body for ends in _DEEP_ENDS):
        return False
    try:
        orjson.dumps(value)
    except RecursionError:
        return True
    except orjson.JSONEncodeError as error:  # integers of any length and lone surrogates are no matter of depth
        return "recursion" in str(error).lower()
    return False


_DEEP_ENDS = (b"]" * 9, b"}" * 9, b"]}" * 5, b"}]" * 5)
"""what stands where deep nesting ends, and in hardly any answer of a portal"""


def has_long_integer(body: bytes) -> bool:
    """Twenty digits in a row, but for fractions: PHP tells the seconds that every command took with so many.

    Every answer passes here, so that it must not take as long as decoding does.
    """
    digits = body.translate(_DIGITS_AS_ZEROS)
    found = digits.find(_LONG_NUMBER)
    while found > 0 and body[found - 1 : found] == b".":
        found = digits.find(_LONG_NUMBER, digits.find(b" ", found))
    return found >= 0


_LONG_NUMBER = b"0" * 20
_DIGITS_AS_ZEROS = bytes(ord("0") if chr(code).isdecimal() and code < 128 else 32 for code in range(256))


def _lenient_json(body: bytes) -> Any:
    """What orjson refuses or reads inexactly but a portal can send: NaN, lone surrogates, integers of any length."""
    try:
        return json.loads(body, parse_int=_parse_int)
    except (ValueError, RecursionError):
        return None


def _parse_int(digits: str) -> int | float:
    """Python itself refuses integers of more than 4,300 digits."""
    return int(digits) if len(digits) <= 1000 else float(digits)

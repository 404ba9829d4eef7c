"""Parses response bodies: orjson, with a lenient fallback for what PHP can send and orjson refuses or rounds."""

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
    return value if isinstance(value, dict) else None


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
    """What orjson refuses or rounds but a portal can send: NaN, lone surrogates, integers of any length."""
    try:
        return json.loads(body, parse_int=_parse_int)
    except (ValueError, RecursionError):
        return None


def _parse_int(digits: str) -> int | float:
    """Python itself refuses integers of more than 4,300 digits."""
    return int(digits) if len(digits) <= 1000 else float(digits)

"""Parses response bodies: orjson, with a lenient fallback for what PHP can send and orjson refuses or reads inexactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson


def parse_json_object(body: bytes) -> Mapping[str, Any] | None:
    outline = outline_of(body)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _lenient_json(body)
    else:
        if has_long_integer(outline):  # orjson reads integers beyond 64 bits as floats
            value = _lenient_json(body) or value
    return value if isinstance(value, dict) and not _is_too_deep(value, outline) else None


BYTES_PER_VALUE = 32
"""divides the maximum size of an answer into a maximum number of JSON values

Real answers have more bytes per value; one with more values than that is treated as an attack on memory.
"""


def exceeds_values(body: bytes, limit: int) -> bool:
    """Returns whether a JSON text has more than `limit` values, on which memory depends more than on bytes.

    Commas and opening brackets are counted, which precede the values. At most two of three bytes can be such, as in
    `[],[],`, so a short text needs no counting.
    """
    return len(body) * 2 > limit * 3 and body.count(b",") + body.count(b"[") + body.count(b"{") > limit


def outline_of(body: bytes) -> bytes:
    """Returns a JSON text with digits as zeros, closing brackets as `}`, points as they are, and all else as spaces.

    Long numbers and deep nesting can be found in it much faster than by decoding; every answer is checked.
    """
    return body.translate(_OUTLINE)


_OUTLINE = bytes(
    ord("0") if code in b"0123456789" else ord("}") if code in b"]}" else code if code == ord(".") else ord(" ")
    for code in range(256)
)
_LONG_NUMBER = b"0" * 20
_DEEP_END = b"}" * 9
"""the end of deep nesting, which hardly any answer of a portal contains"""


def _is_too_deep(value: Any, outline: bytes) -> bool:
    """Returns whether values are nested so deeply that walking through them would exhaust the stack.

    orjson writes at most 254 levels; a portal's answers have about ten.
    """
    if _DEEP_END not in outline:
        return False
    try:
        orjson.dumps(value)
    except RecursionError:
        return True
    except orjson.JSONEncodeError as error:  # long integers and lone surrogates have nothing to do with depth
        return "recursion" in str(error).lower()
    return False


def has_long_integer(outline: bytes) -> bool:
    """Returns whether there are twenty digits in a row, except in fractions: PHP prints seconds with that many."""
    found = outline.find(_LONG_NUMBER)
    while found > 0 and outline[found - 1 : found] == b".":
        end = outline.find(b" ", found)
        found = outline.find(_LONG_NUMBER, end) if end >= 0 else -1
    return found >= 0


def _lenient_json(body: bytes) -> Any:
    """Parses what orjson rejects or reads inexactly and a portal can send: NaN, lone surrogates, long integers."""
    try:
        return json.loads(body, parse_int=_parse_int)
    except (ValueError, RecursionError):
        return None


def _parse_int(digits: str) -> int | float:
    """Parses an integer; one of more than 4,300 digits, which Python rejects, becomes a float."""
    return int(digits) if len(digits) <= 1000 else float(digits)

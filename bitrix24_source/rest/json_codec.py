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
"""that an answer has at least for each of its values, on the average; one that has less is made to take memory"""


def exceeds_values(body: bytes, limit: int) -> bool:
    """Whether a JSON text may have more than so many values: what it costs in memory depends on them more than on its bytes.

    Values are counted by what stands before them; of three bytes at most two do, as in `[],[],`.
    """
    return len(body) * 2 > limit * 3 and body.count(b",") + body.count(b"[") + body.count(b"{") > limit


def outline_of(body: bytes) -> bytes:
    """A JSON text in which all digits are zeros, all closing brackets are curly, and all else but points is a space.

    Every answer passes here, and looking for what is rare in it must not take as long as decoding does.
    """
    return body.translate(_OUTLINE)


_OUTLINE = bytes(
    ord("0") if code in b"0123456789" else ord("}") if code in b"]}" else code if code == ord(".") else ord(" ")
    for code in range(256)
)
_LONG_NUMBER = b"0" * 20
_DEEP_END = b"}" * 9
"""what stands where deep nesting ends, and in hardly any answer of a portal"""


def _is_too_deep(value: Any, outline: bytes) -> bool:
    """Whether values are nested so deeply that whoever walks through them would exhaust the stack.

    orjson writes at most 254 levels; a portal's answers have some ten.
    """
    if _DEEP_END not in outline:
        return False
    try:
        orjson.dumps(value)
    except RecursionError:
        return True
    except orjson.JSONEncodeError as error:  # integers of any length and lone surrogates are no matter of depth
        return "recursion" in str(error).lower()
    return False


def has_long_integer(outline: bytes) -> bool:
    """Twenty digits in a row, but for fractions: PHP tells the seconds that every command took with so many."""
    found = outline.find(_LONG_NUMBER)
    while found > 0 and outline[found - 1 : found] == b".":
        end = outline.find(b" ", found)
        found = outline.find(_LONG_NUMBER, end) if end >= 0 else -1
    return found >= 0


def _lenient_json(body: bytes) -> Any:
    """What orjson refuses or reads inexactly but a portal can send: NaN, lone surrogates, integers of any length."""
    try:
        return json.loads(body, parse_int=_parse_int)
    except (ValueError, RecursionError):
        return None


def _parse_int(digits: str) -> int | float:
    """Python itself refuses integers of more than 4,300 digits."""
    return int(digits) if len(digits) <= 1000 else float(digits)

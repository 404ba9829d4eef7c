"""What a call looks like on the wire, and what an answer means. Pure: it opens no socket, keeps no time, retries nothing.

Facts: https://apidocs.bitrix24.com (envelopes: error-codes.html, batch: settings/how-to-call-rest-api/batch.html).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from .errors import Bitrix24Error, PortalError, UnavailableError, refusal

BATCH_SIZE = 50
PAGE_SIZE = 50

Scrub = Callable[[str], str]


@dataclass(frozen=True)
class Call:
    """One method with its parameters, before it is signed."""

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.method


@dataclass(frozen=True)
class Operating:
    """The time budget of one method, as an answer reports it: a level in seconds, not an increment."""

    seconds: float = 0.0
    reset_at: int | None = None


@dataclass(frozen=True)
class Answer:
    """What a method returned.

    Attributes:
        result: as the method's page describes it; PHP's empty map arrives as [].
        total: rows of the whole list, where the method counts them. Unusable after start=-1.
        next: offset of the next page; None on the last one. 0 is a legal offset.
        operating: the method's time budget; None where the portal does not report it.
        server_time: the portal's clock when it began to answer, ISO 8601 with offset; empty when not given.
        finished: the same clock when the answer was made, Unix seconds; None when not given.
        duration: seconds that it took the portal, as it says; 0 when not given.
        seconds: that it took to come, by our clock, without waiting for our turn or for a limit; 0 for a command of a batch.
    """

    result: Any
    total: int | None = None
    next: int | None = None
    operating: Operating | None = None
    server_time: str = ""
    finished: float | None = None
    duration: float = 0.0
    seconds: float = 0.0


def decipher(status: int, body: bytes, where: str, scrub: Scrub = str) -> Answer:
    """The answer in a body, or the error that it stands for.

    Args:
        status: HTTP status; it decides only where the body has no code.
        body: as received, decompressed.
        where: method and portal, for the reader of an error.
        scrub: takes credentials out of text that the portal sent.

    Raises:
        Bitrix24Error: of the kind that says who acts.
    """
    envelope = _json_object(body)
    if envelope is None:
        raise not_an_answer(status, body, where)
    if "error" in envelope:  # the key, never its truth: codes may be 0 or ""
        error = error_in(envelope, where, status, scrub)
        told = operating_in(envelope.get("time"))
        error.reset_at = told.reset_at if told else None
        raise error
    if "result" not in envelope:
        raise not_an_answer(status, body, where)
    time = envelope.get("time")
    began, finished = (time.get("date_start"), time.get("finish")) if isinstance(time, Mapping) else (None, None)
    return Answer(
        envelope["result"],
        _whole(envelope.get("total")),
        _whole(envelope.get("next")),
        operating_in(time),
        str(began or ""),
        float(finished) if isinstance(finished, (int, float)) and math.isfinite(finished) else None,
        _duration_in(time),
    )


def error_in(envelope: Mapping[str, Any], where: str, status: int = 200, scrub: Scrub = str) -> Bitrix24Error:
    """The error in an envelope: flat strings in REST v2, a nested object in v3."""
    code: Any = envelope["error"]
    description = envelope.get("error_description")
    if isinstance(code, Mapping):
        code, description = code.get("code"), code.get("message")
    return refusal(scrub("" if code is None else str(code)), scrub(str(description or "")), where, status)


def not_an_answer(status: int, body: bytes, where: str) -> Bitrix24Error:
    """The error for a body that is no Bitrix24 envelope: a web page, a cut answer, nothing at all."""
    start = body[:200].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<")):
        what = f"the answer is a web page and not Bitrix24's REST (HTTP {status})"
        hint = "check the portal's address; a proxy, a login page or a maintenance page may stand in between"
    elif not body:
        what, hint = f"the answer is empty (HTTP {status})", "try again later"
    elif start.startswith((b"{", b"[")):
        what, hint = f"the answer is cut off or no valid JSON (HTTP {status})", "try again later"
    else:
        what = f"the answer is not Bitrix24's REST (HTTP {status})"
        hint = "check the portal's address"
    if status in (400, 401, 403, 404, 405, 410):
        return PortalError(what, where, hint)
    if status == 429:  # a limit may be said by a web page, which brings no code
        return refusal("OPERATION_TIME_LIMIT", "HTTP 429", where)
    return UnavailableError(what, where, hint)


def operating_in(time: Any) -> Operating | None:
    """The budget in a `time` object; both keys are optional on the wire."""
    if not isinstance(time, Mapping) or "operating" not in time:
        return None
    try:
        seconds = float(time["operating"] or 0)
    except (TypeError, ValueError):
        return None
    return Operating(seconds if math.isfinite(seconds) else 0.0, _whole(time.get("operating_reset_at")))


def _duration_in(time: Any) -> float:
    duration = time.get("duration") if isinstance(time, Mapping) else None
    return float(duration) if isinstance(duration, (int, float)) and 0 < duration < math.inf else 0.0


# --- batch --------------------------------------------------------------------------------------------------------


def batch_call(calls: Sequence[Call]) -> Call:
    """Up to fifty calls as one. Command ids are never numeric: PHP would answer with lists instead of maps."""
    if not 0 < len(calls) <= BATCH_SIZE:
        raise ValueError(f"a batch takes 1 to {BATCH_SIZE} calls, not {len(calls)}")
    return Call("batch", {"halt": 0, "cmd": {f"c{i}": command(call) for i, call in enumerate(calls)}})


def read_batch(
    calls: Sequence[Call], answer: Answer, where: Callable[[str], str] = str, scrub: Scrub = str
) -> list[Answer | Bitrix24Error | None]:
    """One outcome for every call of a batch, in their order; None for a command that the portal left unanswered."""
    if not isinstance(answer.result, Mapping):
        return [None] * len(calls)
    parts = {key: answer.result.get(f"result{suffix}") for key, suffix in _BATCH_PARTS.items()}
    maps = {key: part if isinstance(part, Mapping) else {} for key, part in parts.items()}  # PHP's empty map is []
    return [_outcome(call, f"c{i}", maps, where, scrub) for i, call in enumerate(calls)]


_BATCH_PARTS = {"result": "", "error": "_error", "total": "_total", "next": "_next", "time": "_time"}


def _outcome(
    call: Call, key: str, parts: Mapping[str, Mapping[str, Any]], where: Callable[[str], str], scrub: Scrub
) -> Answer | Bitrix24Error | None:
    if key in parts["error"]:
        error = parts["error"][key]
        envelope = error if isinstance(error, Mapping) and "error" in error else {"error": error}
        refused = error_in(envelope, where(call.method), scrub=scrub)
        told = operating_in(envelope.get("time") or parts["time"].get(key))
        refused.reset_at = told.reset_at if told else None
        return refused
    if key not in parts["result"]:
        return None
    return Answer(
        parts["result"][key],
        _whole(parts["total"].get(key)),
        _whole(parts["next"].get(key)),
        operating_in(parts["time"].get(key)),
        duration=_duration_in(parts["time"].get(key)),
    )


def command(call: Call) -> str:
    """A call as a batch command: `method?query`, PHP's way of nesting parameters.

    Names are encoded as well as values. PHP splits at the first "=", so that a bare `filter[>=updatedTime]=x` would
    become the key `filter[>` and the filter would silently vanish.
    """
    query = "&".join(f"{quote(name, safe='[]')}={_quoted(value)}" for name, value in _flat(call.params))
    return f"{call.method}?{query}" if query else call.method


def _flat(params: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    pairs = params.items() if isinstance(params, Mapping) else enumerate(params)
    for key, value in pairs:
        name = f"{prefix}[{key}]" if prefix else str(key)
        if isinstance(value, (Mapping, list, tuple)):
            if not value:
                raise ValueError(f"{name} is empty, which a batch command cannot express")
            yield from _flat(value, name)
        else:
            yield name, _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return "" if value is None else str(value)


_REFERENCE = re.compile(r"\$result(?:\[\w+\])+", re.ASCII)


def _quoted(value: str) -> str:
    """References stay bare, as in the vendor's examples: whether they may be encoded is not documented."""
    return value if _REFERENCE.fullmatch(value) else quote(value, safe="")


# --- JSON ---------------------------------------------------------------------------------------------------------


def _json_object(body: bytes) -> Mapping[str, Any] | None:
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
        return json.loads(body, parse_int=_of_digits)
    except (ValueError, RecursionError):
        return None


def _of_digits(digits: str) -> int | float:
    """Python itself refuses integers of more than 4,300 digits."""
    return int(digits) if len(digits) <= 1000 else float(digits)


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None

"""Calls, responses, and the envelope in which Bitrix24 wraps a result or an error.

Pure functions: no sockets, no clock, no retries. Facts: https://apidocs.bitrix24.com/error-codes.html.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import Bitrix24Error, PortalError, UnavailableError
from .error_codes import error_from_code
from .json_codec import parse_json_object
from .php_values import as_int

BATCH_SIZE = 50
PAGE_SIZE = 50
Redact = Callable[[str], str]


@dataclass(frozen=True)
class Call:
    """One method with its parameters, without authentication."""

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.method


@dataclass(frozen=True)
class TimeUsage:
    """The time budget of one method, as an answer reports it: a level in seconds, not an increment."""

    seconds: float = 0.0
    reset_at: int | None = None


@dataclass(frozen=True)
class Response:
    """The answer of a method.

    Attributes:
        result: as the method's page describes it; an empty map of PHP is [].
        total: number of rows of the whole list, if the method counts them. Unusable after start=-1.
        next: offset of the next page; None on the last one. 0 is a valid offset.
        operating: the method's time budget; None if the portal does not report it.
        server_time: the portal's clock when it began to answer, ISO 8601 with offset; empty if missing.
        finished: the same clock at the end of the answer, Unix seconds; None if missing.
        duration: seconds as reported by the portal; 0 if missing or rounded to whole seconds.
        seconds: duration by our clock, without waiting for rate limits; 0 for a command in a batch.
    """

    result: Any
    total: int | None = None
    next: int | None = None
    operating: TimeUsage | None = None
    server_time: str = ""
    finished: float | None = None
    duration: float = 0.0
    seconds: float = 0.0


def parse_response(status: int, body: bytes, where: str, redact: Redact = str) -> Response:
    """Parses the answer in a response body.

    Args:
        status: HTTP status; it matters only if the body has no error code.
        body: the body, decompressed.
        where: method and portal, for errors.
        redact: removes credentials from text that the portal sent.

    Raises:
        Bitrix24Error: the body contains an error, or cannot be parsed.
    """
    envelope = parse_json_object(body)
    if envelope is None:
        raise unparsable_response(status, body, where)
    if "error" in envelope:  # the presence of the key counts: codes may be 0 or ""
        error = error_from_envelope(envelope, where, status, redact)
        usage = time_usage_in(envelope.get("time"))
        error.reset_at = usage.reset_at if usage else None
        raise error
    if "result" not in envelope:
        raise unparsable_response(status, body, where)
    time = envelope.get("time")
    began, finished = (time.get("date_start"), time.get("finish")) if isinstance(time, Mapping) else (None, None)
    return Response(
        envelope["result"],
        as_int(envelope.get("total")),
        as_int(envelope.get("next")),
        time_usage_in(time),
        str(began or ""),
        float(finished) if isinstance(finished, (int, float)) and math.isfinite(finished) else None,
        _duration_in(time),
    )


def error_from_envelope(
    envelope: Mapping[str, Any], where: str, status: int = 200, redact: Redact = str
) -> Bitrix24Error:
    """Returns the error in an envelope: flat strings in REST v2, a nested object in v3."""
    code: Any = envelope["error"]
    description = envelope.get("error_description")
    if isinstance(code, Mapping):
        code, description = code.get("code"), code.get("message")
    return error_from_code(redact("" if code is None else str(code)), redact(str(description or "")), where, status)


def unparsable_response(status: int, body: bytes, where: str) -> Bitrix24Error:
    """Returns the error for a body without Bitrix24's envelope: a web page, a truncated answer, nothing at all."""
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
    if status == 429:  # the limit may be reported by a web page, without a code
        return error_from_code("OPERATION_TIME_LIMIT", "HTTP 429", where)
    return UnavailableError(what, where, hint)


def time_usage_in(time: Any) -> TimeUsage | None:
    """Returns the time budget in a `time` object, in which both keys are optional."""
    if not isinstance(time, Mapping) or "operating" not in time:
        return None
    try:
        seconds = float(time["operating"] or 0)
    except (TypeError, ValueError):
        return None
    return TimeUsage(seconds if math.isfinite(seconds) else 0.0, as_int(time.get("operating_reset_at")))


def _duration_in(time: Any) -> float:
    """Returns the seconds that a command took, 0 if unknown.

    Current portals round the start to whole seconds, so their `duration` is wrong by up to a second.
    """
    if not isinstance(time, Mapping) or not _has_fraction(time.get("start")):
        return 0.0
    duration = time.get("duration")
    return float(duration) if isinstance(duration, (int, float)) and 0 < duration < math.inf else 0.0


def _has_fraction(moment: Any) -> bool:
    return isinstance(moment, float) and not moment.is_integer()

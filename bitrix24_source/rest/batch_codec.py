"""Encodes up to fifty calls as one `batch` call and decodes its response.

Facts: https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..errors import Bitrix24Error
from .php_values import as_int
from .protocol import BATCH_SIZE, Call, Redact, Response, _duration_in, error_from_envelope, time_usage_in


def encode_batch(calls: Sequence[Call]) -> Call:
    """Encodes up to fifty calls as one. Command ids are never numeric, since PHP would answer lists instead of maps."""
    if not 0 < len(calls) <= BATCH_SIZE:
        raise ValueError(f"a batch takes 1 to {BATCH_SIZE} calls, not {len(calls)}")
    return Call("batch", {"halt": 0, "cmd": {f"c{i}": encode_command(call) for i, call in enumerate(calls)}})


def decode_batch(
    calls: Sequence[Call], answer: Response, where: Callable[[str], str] = str, redact: Redact = str
) -> list[Response | Bitrix24Error | None]:
    """Returns the outcome of every call of a batch, in order; None for a command that the portal left unanswered."""
    if not isinstance(answer.result, Mapping):
        return [None] * len(calls)
    parts = {key: answer.result.get(f"result{suffix}") for key, suffix in _BATCH_PARTS.items()}
    maps = {key: part if isinstance(part, Mapping) else {} for key, part in parts.items()}  # PHP's empty map is []
    return [_decode_command(call, f"c{i}", maps, where, redact) for i, call in enumerate(calls)]


_BATCH_PARTS = {"result": "", "error": "_error", "total": "_total", "next": "_next", "time": "_time"}


def _decode_command(
    call: Call, key: str, parts: Mapping[str, Mapping[str, Any]], where: Callable[[str], str], redact: Redact
) -> Response | Bitrix24Error | None:
    if key in parts["error"]:
        error = parts["error"][key]
        envelope = error if isinstance(error, Mapping) and "error" in error else {"error": error}
        refused = error_from_envelope(envelope, where(call.method), redact=redact)
        usage = time_usage_in(envelope.get("time") or parts["time"].get(key))
        refused.reset_at = usage.reset_at if usage else None
        return refused
    if key not in parts["result"]:
        return None
    return Response(
        parts["result"][key],
        as_int(parts["total"].get(key)),
        as_int(parts["next"].get(key)),
        time_usage_in(parts["time"].get(key)),
        duration=_duration_in(parts["time"].get(key)),
    )


def encode_command(call: Call) -> str:
    """Encodes a call as a batch command: `method?query`, with parameters nested as in PHP.

    Names are percent-encoded like values: PHP splits at the first "=", so an unencoded `filter[>=updatedTime]=x` would become
    the key `filter[>`, and the filter would be lost silently.
    """
    query = "&".join(f"{quote(name, safe='[]')}={_quote(value)}" for name, value in _flatten(call.params))
    return f"{call.method}?{query}" if query else call.method


def _flatten(params: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    pairs = params.items() if isinstance(params, Mapping) else enumerate(params)
    for key, value in pairs:
        name = f"{prefix}[{key}]" if prefix else str(key)
        if isinstance(value, (Mapping, list, tuple)):
            if not value:
                raise ValueError(f"{name} is empty, which a batch command cannot express")
            yield from _flatten(value, name)
        else:
            yield name, _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return "" if value is None else str(value)


_REFERENCE = re.compile(r"\$result(?:\[\w+\])+", re.ASCII)


def _quote(value: str) -> str:
    """Percent-encodes text except references: whether these may be encoded is not documented."""
    return value if _REFERENCE.fullmatch(value) else quote(value, safe="")

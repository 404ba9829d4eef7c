"""Converts a rejected value to JSON text without credentials."""

from __future__ import annotations

import json
import re
from typing import Any

from .fields import FieldKind

_RAW_LENGTH = 10_000


def rejected_json(value: Any, kind: FieldKind = "unknown") -> str:
    """Returns a rejected value as JSON, cut to 10,000 characters."""
    text = json_text(value)
    return '"(not writable)"' if text is None else redact_json(text, is_file=kind == "file")[:_RAW_LENGTH]


def json_text(value: Any) -> str | None:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, default=str)
    except (RecursionError, ValueError):
        return None
    return text


def redact_json(text: str, *, is_file: bool = False) -> str:
    """Returns JSON text without credentials; for a file also without addresses, which may contain the token."""
    is_secret = False

    def shown(match: re.Match[str]) -> str:
        nonlocal is_secret
        string, colon = match[1], match[2] or ""
        hidden = (is_secret and not colon) or (is_file and _ADDRESS.search(string))
        is_secret = bool(colon and _SECRET_KEY.search(string))
        return f'"(removed)"{colon}' if hidden else _CREDENTIAL.sub("(removed)", string) + colon

    return _STRING.sub(shown, text)


_STRING = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?', re.DOTALL)
_SECRET_KEY = re.compile(r"url|\bauth(?:_id)?\b|token|secret|sessid|refresh_id|password", re.IGNORECASE)
_ADDRESS = re.compile(r"[/:=%?&\\]")
_CREDENTIAL = re.compile(
    r"(?:/|%2F)rest(?:/|%2F)(?:api(?:/|%2F))?[0-9]+(?:/|%2F)[^/%\s\"&?]+"
    r"|\b(?:auth|auth_id|code|sessid|refresh_id|client_secret|(?:access_|refresh_|application_)?token)(?:=|%3D)[^&\s\"]+",
    re.IGNORECASE,
)

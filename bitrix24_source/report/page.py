"""Renders the page: template, style, script, charts and data in one file, whose policy forbids network requests."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from string import Template
from typing import Any

LANGUAGES = ("en", "ru")


def render_page(data: Mapping[str, Any], language: str = "") -> str:
    """Returns the page as HTML.

    Args:
        data: what `queries.collect` returns.
        language: one of `LANGUAGES`; "" for Russian where the portal speaks it, else English.
    """
    spoken = str(data["portal"].get("languages") or "")
    chosen = language or ("ru" if "ru" in spoken.split(", ") else "en")
    words = json.loads(_asset("words.json"))[chosen]
    charts, script = _asset("echarts.min.js"), _asset("page.js")
    policy = (
        f"default-src 'none'; script-src {_hash(charts)} {_hash(script)}; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template(_asset("template.html")).substitute(
        language=chosen,
        policy=policy,
        title=_escaped_text(f"Bitrix24 · {data['portal'].get('host') or ''}"),
        style=_asset("page.css"),
        charts=charts,
        script=script,
        data=_escaped_json(data),
        words=_escaped_json(words),
        noscript=_escaped_text(words["noscript"]),
    )


def _hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _escaped_json(value: Any) -> str:
    """Returns JSON that HTML parsers never take for markup."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode("utf-8", "replace").decode()


def _escaped_text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")

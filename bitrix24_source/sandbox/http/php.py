"""Parses requests as PHP does: query strings, forms, JSON bodies, `$result[...]` references.

Parameters come out as plain dicts and lists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.parser import BytesParser
from typing import Any
from urllib.parse import unquote_plus

import orjson

REFERENCE = re.compile(r"\$result((?:\[[^\[\]]*\])+)")
_BRACKET = re.compile(r"\[([^\]]*)\]")


def query_to_params(query: str) -> dict[str, Any]:
    """`parse_str`: split at `&`, then at the FIRST `=` of the text as it stands, and only then decode.

    So `filter[>=id]=1` written without percent-encoding arrives as the harmless key `filter_>` and the
    filter is lost, as on a real portal.
    """
    tree: dict[str, Any] = {}
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            _plant(tree, unquote_plus(name), unquote_plus(value))
    return {name: as_php_array(value) for name, value in tree.items()}


def _plant(tree: dict[str, Any], name: str, value: str) -> None:
    keys = name_to_keys(name)
    for written in keys[:-1]:
        key = written or _next_index(tree)
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    last = keys[-1] or _next_index(tree)
    tree[last] = value


def name_to_keys(name: str) -> list[str]:
    """`filter[@id][]` -> filter, @id, "" (append). PHP replaces an unclosed bracket with an underscore."""
    head, bracket, rest = name.lstrip(" ").partition("[")
    head = head.replace(".", "_").replace(" ", "_")
    if not bracket:
        return [head]
    keys, position, rest = [], 0, "[" + rest
    while (match := _BRACKET.match(rest, position)) is not None:
        keys.append(match.group(1))
        position = match.end()
    if not keys:
        return [head + "_" + rest[1:].replace(".", "_").replace(" ", "_")]
    return [head, *keys]


def _next_index(tree: Mapping[str, Any]) -> str:
    return str(1 + max((int(key) for key in tree if key.isdigit()), default=-1))


def as_php_array(value: Any) -> Any:
    """Turns maps with the keys 0..n-1 into lists, as PHP does; other maps stay maps."""
    if not isinstance(value, dict):
        return value
    inner = {key: as_php_array(item) for key, item in value.items()}
    return list(inner.values()) if list(inner) == [str(i) for i in range(len(inner))] else inner


def as_php_json(value: Mapping[str, Any]) -> Any:
    """What `json_encode` makes of an array: `[]` when empty, a list when numbered 0..n-1, an object otherwise."""
    if all(key == str(place) for place, key in enumerate(value)):
        return list(value.values())
    return dict(value)


def request_to_params(query: str, content_type: str, body: bytes) -> dict[str, Any]:
    """Merges the query string and the body; the body wins."""
    return {**query_to_params(query), **_body_to_params(content_type, body)}


def _body_to_params(content_type: str, body: bytes) -> dict[str, Any]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return _json_to_params(body)
    if kind == "multipart/form-data":
        return _multipart_to_params(content_type, body)
    return query_to_params(body.decode("utf-8", "replace")) if body else {}


def _json_to_params(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError:
        return {}  # PHP finds nothing in a body it cannot read, and the method runs without parameters
    if isinstance(parsed, list):
        return {str(place): item for place, item in enumerate(parsed)}
    return parsed if isinstance(parsed, dict) else {}


def _multipart_to_params(content_type: str, body: bytes) -> dict[str, Any]:
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    tree: dict[str, Any] = {}
    for part in message.get_payload() if message.is_multipart() else []:
        name = part.get_param("name", header="content-disposition")  # type: ignore[union-attr]
        content = part.get_payload(decode=True)  # type: ignore[union-attr]
        if isinstance(name, str) and isinstance(content, bytes):
            _plant(tree, name, content.decode("utf-8", "replace"))
    return {name: as_php_array(value) for name, value in tree.items()}


def resolve_references(value: Any, results: Mapping[str, Any]) -> Any:
    """Replaces `$result[...]` with earlier results; an unresolved reference stays literal text."""
    if isinstance(value, dict):
        return {key: resolve_references(item, results) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve_references(item, results) for item in value]
    if not isinstance(value, str) or "$result" not in value:
        return value
    whole = REFERENCE.fullmatch(value)
    if whole is not None:
        return _look_up(whole, results)
    return REFERENCE.sub(lambda match: _as_text(_look_up(match, results), match), value)


def _look_up(match: re.Match[str], results: Mapping[str, Any]) -> Any:
    found: Any = results
    for key in _BRACKET.findall(match.group(1)):
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return match.group(0)
    return found


def _as_text(found: Any, match: re.Match[str]) -> str:
    return match.group(0) if isinstance(found, (dict, list)) else str(found)


def php_int(value: Any) -> int:
    """Converts to an integer as PHP does: the leading digits, or 0 without any."""
    if isinstance(value, (int, float)):
        return int(value)
    text = str(value).strip()
    end = 1 if text[:1] in "+-" else 0
    while text[end : end + 1].isdigit():
        end += 1
    return int(text[:end]) if text[:end].lstrip("+-") else 0

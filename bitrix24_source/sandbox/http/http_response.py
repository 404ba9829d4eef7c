"""One HTTP reply, with the network fault that server and adapter are to simulate while sending it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import orjson


@dataclass
class HttpReply:
    status: int
    headers: dict[str, str]
    body: bytes
    reset_at: Literal["", "before", "headers", "body"] = ""
    waits_seconds: float = 0.0
    drips_seconds: float = 0.0
    hangs: bool = False


@dataclass(frozen=True)
class RecordedRequest:
    """One HTTP request as the portal saw it, without the webhook code and the parameters."""

    http_method: str
    path_without_code: str
    method: str
    commands: tuple[str, ...]
    bytes_in: int
    bytes_out: int
    status: int = 200


def json_reply(status: int, document: Any) -> HttpReply:
    return HttpReply(status, {"Content-Type": "application/json; charset=utf-8"}, _dump(document))


def _dump(document: Any) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError:  # integers of more than 64 bits: the hostile portal has them
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def page_reply(status: int, text: str) -> HttpReply:
    page = f"<!DOCTYPE html><html><body>{text}</body></html>"
    return HttpReply(status, {"Content-Type": "text/html; charset=UTF-8"}, page.encode())

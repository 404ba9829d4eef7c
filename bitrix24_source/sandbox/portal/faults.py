"""Faults that tests order: errors instead of an answer, and damaged, delayed or interrupted answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal, get_args

from ..http.http_response import HttpReply, json_reply
from . import api_errors
from .api_errors import Refused

Kind = Literal[
    "error", "http", "reset", "truncate", "invalid_utf8", "empty", "slow", "drip", "hang", "redirect", "limit",
    "expired_token", "QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT", "OVERLOAD_LIMIT", "INVALID_CREDENTIALS",
    "authorization_error", "CONNECTION_ERROR", "APPLICATION_NOT_FOUND", "WRONG_AUTH_TYPE", "WRONG_LICENSE",
    "NO_AUTH_FOUND", "PORTAL_DELETED",
]  # fmt: skip
# Errors that can be ordered by their code alone.
CODES: dict[Any, Callable[[], Refused]] = {
    "INVALID_CREDENTIALS": api_errors.invalid_credentials,
    "authorization_error": api_errors.owner_dismissed,
    "CONNECTION_ERROR": api_errors.connection_error,
    "APPLICATION_NOT_FOUND": api_errors.application_not_found,
    "WRONG_AUTH_TYPE": api_errors.wrong_auth_type,
    "WRONG_LICENSE": api_errors.wrong_license,
    "NO_AUTH_FOUND": api_errors.no_auth,
    "PORTAL_DELETED": api_errors.portal_deleted,
    "expired_token": api_errors.expired_token,
    "QUERY_LIMIT_EXCEEDED": api_errors.query_limit,
    "OPERATION_TIME_LIMIT": api_errors.operation_time_limit,
    "OVERLOAD_LIMIT": api_errors.overload,
}
# These answer instead of the method; the others let it run and then damage its answer.
INSTEAD = {"error", "http", "redirect", "limit", "expired_token", "hang", *CODES}
IN_A_COMMAND = {"error", "limit", "expired_token", "slow", *CODES}
WEB_PAGE = b"<!DOCTYPE html><html><head><title>Bitrix24</title></head><body>Service is not available</body></html>"


@dataclass
class Fault:
    """One fault, at the nth matching call (None: from the next one on) and so many `times` (None: always).

    `method` is a REST method, `batch`, `oauth.token`, or `*` for every REST request. `where="command"` strikes
    inside a batch. A reset happens `at` "before" (nothing ran), "headers" or "body" (the method did run).
    """

    method: str = "*"
    kind: Kind = "error"
    nth: int | None = None
    times: int | None = 1
    where: Literal["outer", "command"] = "outer"
    status: int = 0
    error: Any = "INTERNAL_SERVER_ERROR"
    description: str = "Internal server error"
    body: bytes | str = WEB_PAGE
    content_type: str = "text/html; charset=UTF-8"
    at: Literal["before", "headers", "body"] = "before"
    seconds: float = 5.0
    location: str = ""
    when: Callable[[Mapping[str, Any]], bool] | None = None
    struck: int = field(default=0, init=False)
    _seen: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"No such fault: {self.kind!r}. Known: {', '.join(get_args(Kind))}")
        if self.where == "command" and self.kind not in IN_A_COMMAND:
            raise ValueError(f"A single command of a batch cannot {self.kind}; possible: {sorted(IN_A_COMMAND)}")

    def strikes(self, method: str, where: str, params: Mapping[str, Any]) -> bool:
        if where != self.where or not self._fits(method) or not (self.when is None or self.when(params)):
            return False
        self._seen += 1
        if self._seen < (self.nth or 1) or (self.times is not None and self.struck >= self.times):
            return False
        self.struck += 1
        return True

    def _fits(self, method: str) -> bool:
        return method == self.method or (self.method == "*" and method != "oauth.token")

    def refusal(self) -> Refused | None:
        """Returns the error that this fault stands for, None if it is of another kind."""
        if self.kind == "error":
            return Refused(self.status or 500, self.error, self.description)
        code = self.error if self.kind == "limit" else self.kind
        return CODES[code]() if code in CODES else None

    def instead(self) -> HttpReply | None:
        """Returns the reply that replaces the method's, None if the method runs."""
        if (refused := self.refusal()) is not None:
            return json_reply(refused.status, refused.body())
        if self.kind == "http":
            body = self.body.encode() if isinstance(self.body, str) else self.body
            return HttpReply(self.status or 200, {"Content-Type": self.content_type}, body)
        if self.kind == "redirect":
            return HttpReply(self.status or 302, {"Location": self.location}, b"")
        if self.kind == "hang":
            return HttpReply(200, {}, b"", hangs=True)
        return HttpReply(200, {}, b"", reset_at="before") if self.kind == "reset" and self.at == "before" else None

    def spoil(self, reply: HttpReply) -> HttpReply:
        """Damages the reply of a method."""
        if self.kind == "reset":
            reply.reset_at = self.at
        elif self.kind == "truncate":
            reply.body = reply.body[: max(1, len(reply.body) // 2)]
        elif self.kind == "invalid_utf8":
            reply.body = reply.body.replace(b'"', b'"\xc3\x28', 1)
        elif self.kind == "empty":
            reply.body = b""
        elif self.kind == "slow":
            reply.waits_seconds = self.seconds
        elif self.kind == "drip":
            reply.drips_seconds = self.seconds
        return reply


class Faults:
    """The ordered faults. The first one that applies wins."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = Lock()

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def strike(self, method: str, where: str, params: Mapping[str, Any]) -> Fault | None:
        if not self._faults:
            return None
        with self._lock:
            return next((fault for fault in self._faults if fault.strikes(method, where, params)), None)

"""Runs a batch: up to fifty commands one after the other, with `$result[...]` of the earlier ones filled in.

Each command goes through the portal's dispatch like a call of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..http.php import as_php_json, query_to_params, resolve_references
from .api_errors import Refused
from .registry import MethodResult

LONGEST = 50
NOT_INSIDE = {"batch"}

# method, params -> its result and its `time`
RunCommand = Callable[[str, Mapping[str, Any]], tuple[MethodResult, dict[str, Any]]]


def commands_of(params: Mapping[str, Any]) -> dict[str, str]:
    """Returns `cmd` as a map; a list gets the keys 0, 1, ... as in PHP."""
    written = params.get("cmd", params.get("CMD", {}))
    pairs = enumerate(written) if isinstance(written, list) else written.items() if isinstance(written, dict) else ()
    return {str(key): str(command) for key, command in pairs}


def method_names(params: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(command.partition("?")[0] for command in commands_of(params).values())


@dataclass
class Batch:
    """The results of a batch so far. Empty maps are written as `[]`, as in PHP."""

    run: RunCommand
    language: str = "en"
    result: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, Any] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    nexts: dict[str, int] = field(default_factory=dict)
    times: dict[str, Any] = field(default_factory=dict)

    def answer(self, params: Mapping[str, Any], overflow: str) -> MethodResult:
        commands = commands_of(params)
        if len(commands) > LONGEST and overflow == "request":
            raise too_long()
        halt = str(params.get("halt", params.get("HALT", 0))).lower() in ("1", "true")
        for place, (key, command) in enumerate(commands.items()):
            if not self._one(key, command, too_many=place >= LONGEST) and halt:
                break
        return MethodResult(self._gathered())

    def _one(self, key: str, command: str, *, too_many: bool) -> bool:
        method, _, query = command.partition("?")
        try:
            if too_many:
                raise too_long()
            if method in NOT_INSIDE:
                raise not_inside()
            params = resolve_references(query_to_params(query), self.result)
            self._keep(key, *self.run(method.removesuffix(".json"), params))
        except Refused as refused:
            self.errors[key] = refused.body(self.language)
            return False
        return True

    def _keep(self, key: str, answer: MethodResult, time: dict[str, Any]) -> None:
        self.result[key] = answer.result
        self.times[key] = time
        if answer.total is not None:
            self.totals[key] = answer.total
        if answer.next is not None:
            self.nexts[key] = answer.next

    def _gathered(self) -> dict[str, Any]:
        return {
            "result": as_php_json(self.result),
            "result_error": as_php_json(self.errors),
            "result_total": as_php_json(self.totals),
            "result_next": as_php_json(self.nexts),
            "result_time": as_php_json(self.times),
        }


def too_long() -> Refused:
    return Refused(400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")


def not_inside() -> Refused:
    return Refused(405, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")

"""Handles one REST request: authentication, limits, scopes, permissions, time cost, envelope."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..http.http_response import HttpReply, json_reply, page_reply
from ..http.urls import Address
from ..methods import all_methods  # noqa: F401 - importing the methods enters them into the registry
from ..model.world import World
from .access import Access, Caller
from .api_errors import Refused, app_context_required, insufficient_scope, method_not_found, no_auth, wrong_auth_type
from .batch import Batch
from .faults import Fault, Faults
from .interpretations import Interpretations
from .rate_limits import Limits
from .registry import ALWAYS_HEARD, METHODS, Method, MethodCall, MethodResult, Rights, documented
from .time_costs import LONGEST_REQUEST_SECONDS, Costs, Stopwatch


@dataclass(frozen=True)
class Dispatch:
    access: Access
    world: World
    limits: Limits
    costs: Costs
    interpretations: Interpretations
    faults: Faults
    unknown_parameters: Counter[str]

    def answer(self, address: Address, params: Mapping[str, Any], headers: Mapping[str, str], base: str) -> HttpReply:
        self.limits.pour()
        caller = self._caller(address, params, headers)
        if address.version != 2:
            raise method_not_found()  # everything here is version 2
        if address.method == "batch":
            return self._batch(params, caller, base)
        answer, time = self._run(address.method, params, caller, base)
        return json_reply(200, _envelope(answer, time))

    def _caller(self, address: Address, params: Mapping[str, Any], headers: Mapping[str, str]) -> Caller:
        if address.kind == "webhook":
            return self.access.webhook_caller(address.user_id, address.code)
        token = params.get("auth") or params.get("access_token")
        if not token and self.interpretations.auth_in_header:
            token = headers.get("authorization", "").removeprefix("Bearer ")
        if not token:
            raise no_auth()
        return self.access.token_caller(str(token))

    def _batch(self, params: Mapping[str, Any], caller: Caller, base: str) -> HttpReply:
        if self.interpretations.batch_billing != "nested":
            self.limits.check(caller.key, "batch")
        watch, before, processing = (
            Stopwatch(self.world.clock, self.world.zone, self.interpretations),
            self.world.clock.monotonic(),
            0.0,
        )

        def run(method: str, inner: Mapping[str, Any]) -> tuple[MethodResult, dict[str, Any]]:
            nonlocal processing
            if self.world.clock.monotonic() - before > LONGEST_REQUEST_SECONDS:
                raise _CutOff
            method = self.spelled(method)
            self._strike_command(method, inner)
            answer, time = self._run(method, inner, caller, base, nested=True)
            processing += time["processing"]
            return answer, time

        try:
            answer = Batch(run, self.world.language).answer(params, self.interpretations.batch_overflow)
        except _CutOff:
            return page_reply(504, "Gateway Time-out")
        return json_reply(200, _envelope(answer, watch.time(processing, self.limits, caller.key, "batch")))

    def spelled(self, method: str) -> str:
        return documented(method) if self.interpretations.method_names == "any_case" else method

    def _strike_command(self, method: str, params: Mapping[str, Any]) -> None:
        fault: Fault | None = self.faults.strike(method, "command", params)
        if fault is None:
            return
        if (refused := fault.refusal()) is not None:
            raise refused
        self.world.clock.sleep(fault.seconds)

    def _run(
        self, name: str, params: Mapping[str, Any], caller: Caller, base: str, *, nested: bool = False
    ) -> tuple[MethodResult, dict[str, Any]]:
        """Runs one method: checks permission, measures the time and bills it."""
        watch, since = Stopwatch(self.world.clock, self.world.zone, self.interpretations), self.world.clock.monotonic()
        known = self._method(name, caller)
        bills = self._bills(name, nested=nested)
        if name in bills:
            self.limits.check(caller.key, name)
        call = self._call(name, params, caller, base)
        try:
            answer = known.run(call)
        except Refused as refused:
            self._count(name, [refused.not_understood] if refused.not_understood else [])
            raise
        self._count(name, [*(key for key in params if key not in call.heard | ALWAYS_HEARD), *call.not_understood])
        seconds = self.costs.spend(answer.rows, since)
        for bill in bills:
            self.limits.charge(caller.key, bill, seconds)
        return answer, watch.time(seconds, self.limits, caller.key, bills[-1], nested=nested)

    def _count(self, method: str, not_understood: Iterable[str]) -> None:
        """Counts the parameters that a method did not understand; the answer does not mention them."""
        self.unknown_parameters.update(f"{method}: {name}" for name in not_understood)

    def _bills(self, name: str, *, nested: bool) -> tuple[str, ...]:
        """Returns the methods whose time budget a call uses; within a batch, `batch_billing` decides."""
        if not nested or self.interpretations.batch_billing == "nested":
            return (name,)
        return ("batch",) if self.interpretations.batch_billing == "batch" else (name, "batch")

    def _method(self, name: str, caller: Caller) -> Method:
        known = METHODS.get(name)
        if known is None:
            raise method_not_found()
        if known.scopes and not self.access.scopes.intersection(known.scopes):
            raise insufficient_scope() if self.interpretations.missing_scope == "told" else method_not_found()
        if known.app_only and not caller.is_app:
            raise wrong_auth_type() if name.startswith("event.") else app_context_required()
        return known

    def _call(self, name: str, params: Mapping[str, Any], caller: Caller, base: str) -> MethodCall:
        access = self.access
        rights = Rights(access.scopes, access.crm_admin, access.portal_admin, self.world.now())
        return MethodCall(name, params, caller, self.world, rights, self.interpretations, base)


class _CutOff(Exception):  # noqa: N818 - the gateway's scissors, not an error of this program
    """The request exceeded the 60 seconds after which the cloud cuts it off."""


def _envelope(answer: MethodResult, time: dict[str, Any]) -> dict[str, Any]:
    envelope: dict[str, Any] = {"result": answer.result}
    if answer.next is not None:
        envelope["next"] = answer.next
    if answer.total is not None:
        envelope["total"] = answer.total
    return envelope | {"time": time}

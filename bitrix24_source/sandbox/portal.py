"""The portal: one HTTP request in, one reply out, no socket anywhere.

It decides who calls, whether limits and rights allow it, and wraps what the method says; it refuses to know
what any method does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import RLock
from typing import Any
from urllib.parse import urlsplit

from . import methods_all
from .access import Access, Caller
from .address import Address, read_path
from .batch import Batch, method_names
from .clock import Clock, WallClock
from .faults import Fault, Faults
from .limits import Limits
from .oauth import AUTH_SERVER, token_answer
from .php import request_to_params
from .readings import Readings
from .refusal import (
    Refused,
    access_denied,
    app_context_required,
    insufficient_scope,
    method_not_found,
    no_auth,
)
from .registry import METHODS, Answer, Call, Method, Rights
from .reply import Reply, Seen, json_reply, page_reply
from .scenario import build_world
from .stored import StoredItems
from .timing import LONGEST_REQUEST_SECONDS, Costs, Stopwatch

assert methods_all.__name__, "importing the methods enters them into the registry"


class Portal:
    """A Bitrix24 portal in memory.

    >>> portal = Portal(scenario="demo", seed=1)
    >>> reply = portal.handle("POST", portal.webhook_path + "profile")
    >>> reply.status
    200
    """

    host = "demo.bitrix24.test"

    def __init__(
        self, scenario: str = "demo", seed: int = 1, items: int | None = None, clock: Clock | None = None,
        latency: tuple[float, float] | float | None = None, *, id_step: int = 1,
    ) -> None:  # fmt: skip
        self.clock = clock or WallClock()
        self.world = build_world(scenario, seed, items, self.clock, id_step)
        self.access = Access(seed, self.clock)
        self.limits = Limits(self.clock)
        self.costs = Costs(self.clock, (latency, 0.0) if isinstance(latency, (int, float)) else latency)
        self.readings = Readings()
        self.faults = Faults()
        self.requests: list[Seen] = []
        self._moved: tuple[str, int] | None = None
        self._lock = RLock()

    # -- what tests and people say to it -------------------------------------------------------------------------

    @property
    def webhook_code(self) -> str:
        return self.access.webhook_code

    @property
    def webhook_path(self) -> str:
        return f"/rest/1/{self.webhook_code}/"

    def credentials(self, base_url: str) -> dict[str, dict[str, str]]:
        """A ready configuration for each way to authorise, against the address under which the portal is served."""
        base, access = base_url.rstrip("/"), self.access
        auth_server = f"https://{AUTH_SERVER}" if urlsplit(base).hostname == self.host else base
        app = {"client_id": access.client_id, "client_secret": access.client_secret}
        return {
            "webhook": {"auth": "webhook", "webhook_url": base + self.webhook_path},
            "oauth2": {"auth": "oauth2", "portal_url": base, **app, "refresh_token": access.refresh_token,
                       "token_url": auth_server + "/oauth/token/"},
            "api_key": {"auth": "api_key", "portal_url": base, "api_key": f"1/{access.webhook_code}"},
        }  # fmt: skip

    def set_scopes(self, scopes: Iterable[str]) -> None:
        self.access.scopes = frozenset(scopes)

    def set_admin(self, *, crm: bool = True, portal: bool = True) -> None:
        self.access.crm_admin, self.access.portal_admin = crm, portal

    def deny_type(self, entity_type_id: int) -> None:
        self.world.denied.add(entity_type_id)

    def expire_access_tokens(self) -> None:
        self.access.expire_access_tokens()

    def expire_webhook(self) -> None:
        self.access.webhook_alive = False

    def revoke_refresh_token(self) -> None:
        self.access.revoke_refresh_tokens()

    def move_to(self, base_url_or_host: str, status: int = 302) -> None:
        """Renames the portal: whoever asks under another address is sent to the new one."""
        self._moved = (base_url_or_host.rstrip("/"), status)

    def items(self, entity_type_id: int) -> StoredItems:
        return StoredItems(self.world, entity_type_id, self.access.webhook_caller("1", self.webhook_code), self.base_url)

    def types(self) -> list[dict[str, Any]]:
        return list(self.world.types.values())

    @property
    def base_url(self) -> str:
        return f"https://{self.host}"

    # -- what the network says to it -----------------------------------------------------------------------------

    def handle(
        self, http_method: str, path: str, query: str = "", headers: Mapping[str, str] | None = None,
        body: bytes = b"", base_url: str = "",
    ) -> Reply:  # fmt: skip
        """One request. `base_url` is the address under which the portal was reached, for links and redirects."""
        address, headers = read_path(path), {name.lower(): value for name, value in (headers or {}).items()}
        params = request_to_params(query, headers.get("content-type", ""), body)
        base = base_url or self.base_url
        reply = self._redirected(address, path, query, base) or self._faulted(address, params, headers, base)
        commands = method_names(params) if address.method == "batch" else ()
        seen = Seen(http_method, address.safe_path, address.method, commands, len(body), len(reply.body), reply.status)
        with self._lock:
            self.requests.append(seen)
        return reply

    def _redirected(self, address: Address, path: str, query: str, base: str) -> Reply | None:
        if self._moved is None or address.kind == "token":
            return None
        target, status = self._moved
        here = urlsplit(base)
        target = target if "://" in target else f"{here.scheme}://{target}"
        if urlsplit(target).netloc == here.netloc:
            return None
        location = target + path + (f"?{query}" if query else "")
        return Reply(status, {"Location": location, "Content-Type": "text/html"}, b"")

    def _faulted(self, address: Address, params: Mapping[str, Any], headers: Mapping[str, str], base: str) -> Reply:
        fault = self.faults.strike(address.method, "outer", params)
        instead = fault.instead() if fault else None
        if instead is not None:
            return instead
        reply = self._answered(address, params, headers, base)
        return fault.spoil(reply) if fault else reply

    def _answered(self, address: Address, params: Mapping[str, Any], headers: Mapping[str, str], base: str) -> Reply:
        try:
            if address.kind == "token":
                return json_reply(200, self._token(params, base))
            if address.kind == "authorize":
                return page_reply(200, f"Authorization code (30 seconds): {self.access.issue_code()}")
            if address.kind == "page":
                return page_reply(404, "Page not found")
            return self._rest(address, params, headers, base)
        except Refused as refused:
            return json_reply(refused.status, refused.body())

    def _token(self, params: Mapping[str, Any], base: str) -> dict[str, Any]:
        portal = self.base_url if urlsplit(base).hostname == AUTH_SERVER else base
        return token_answer(self.access, self.readings, params, portal + "/rest/", paid=self.access.commercial_plan)

    def _rest(self, address: Address, params: Mapping[str, Any], headers: Mapping[str, str], base: str) -> Reply:
        self.limits.pour()
        caller = self._caller(address, params, headers)
        if not self.access.commercial_plan:
            raise access_denied("REST API is available only on commercial plans", 403)
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
        if not token and self.readings.auth_in_header:
            token = headers.get("authorization", "").removeprefix("Bearer ")
        if not token:
            raise no_auth()
        return self.access.token_caller(str(token))

    def _batch(self, params: Mapping[str, Any], caller: Caller, base: str) -> Reply:
        if self.readings.batch_billing != "nested":
            self.limits.check(caller.key, "batch")
        watch, before, processing = Stopwatch(self.clock, self.world.zone), self.clock.monotonic(), 0.0

        def run(method: str, inner: Mapping[str, Any]) -> tuple[Answer, dict[str, Any]]:
            nonlocal processing
            if self.clock.monotonic() - before > LONGEST_REQUEST_SECONDS:
                raise _CutOff
            self._strike_command(method, inner)
            answer, time = self._run(method, inner, caller, base, nested=True)
            processing += time["processing"]
            return answer, time

        try:
            answer = Batch(run).answer(params, self.readings.batch_overflow)
        except _CutOff:
            return page_reply(504, "Gateway Time-out")
        return json_reply(200, _envelope(answer, watch.time(processing, self.limits, caller.key, "batch")))

    def _strike_command(self, method: str, params: Mapping[str, Any]) -> None:
        fault: Fault | None = self.faults.strike(method, "command", params)
        if fault is None:
            return
        if (refused := fault.refusal()) is not None:
            raise refused
        self.clock.sleep(fault.seconds)

    def _run(
        self, name: str, params: Mapping[str, Any], caller: Caller, base: str, *, nested: bool = False
    ) -> tuple[Answer, dict[str, Any]]:
        """One call of one method: allowed, timed and billed."""
        watch = Stopwatch(self.clock, self.world.zone)
        known = self._method(name, caller)
        bills = self._bills(name, nested=nested)
        if name in bills:
            self.limits.check(caller.key, name)
        answer = known.run(self._call(name, params, caller, base))
        seconds = self.costs.spend(answer.rows)
        for bill in bills:
            self.limits.charge(caller.key, bill, seconds)
        return answer, watch.time(seconds, self.limits, caller.key, bills[-1])

    def _bills(self, name: str, *, nested: bool) -> tuple[str, ...]:
        """OPEN-05: who pays for a command in a batch - its own method, the batch, or both."""
        if not nested or self.readings.batch_billing == "nested":
            return (name,)
        return ("batch",) if self.readings.batch_billing == "batch" else (name, "batch")

    def _method(self, name: str, caller: Caller) -> Method:
        known = METHODS.get(name)
        if known is None and self.readings.method_names == "any_case":
            known = next((one for key, one in METHODS.items() if key.lower() == name.lower()), None)
        if known is None:
            raise method_not_found()
        if known.scopes and not self.access.scopes.intersection(known.scopes):
            raise insufficient_scope()
        if known.app_only and not caller.is_app:
            raise app_context_required()
        return known

    def _call(self, name: str, params: Mapping[str, Any], caller: Caller, base: str) -> Call:
        access = self.access
        rights = Rights(access.scopes, access.crm_admin, access.portal_admin, self.world.now())
        return Call(name, params, caller, self.world, rights, self.readings, base)


class _CutOff(Exception):  # noqa: N818 - the gateway's scissors, not an error of this program
    """The request ran into the 60 seconds after which the cloud cuts it off."""


def _envelope(answer: Answer, time: dict[str, Any]) -> dict[str, Any]:
    envelope: dict[str, Any] = {"result": answer.result}
    if answer.next is not None:
        envelope["next"] = answer.next
    if answer.total is not None:
        envelope["total"] = answer.total
    return envelope | {"time": time}

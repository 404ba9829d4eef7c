"""Calls one portal, in layers: retries, authentication, rate limits, redirects, one POST.

Decisions follow Bitrix24's error code. Errors and logs contain the method's name and the portal's host, never an address.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import orjson
import requests

from ..errors import Action, Bitrix24Error, ConfigError, PortalError, exhausted
from ..redaction import redact
from .auth import REFRESH_HINTS, Auth
from .clock import Clock, SystemClock
from .error_codes import normalize_code
from .json_codec import BYTES_PER_VALUE, exceeds_values
from .protocol import Call, Response, error_from_envelope, parse_response, unparsable_response
from .rate_limit import shared_bucket
from .redirects import is_allowed_host, is_loopback
from .retry import Retry, RetryPolicy, RetryState
from .time_budget import TimeBudget
from .transport import (
    MAX_RESPONSE_BYTES,
    HttpResponse,
    OversizedResponseError,
    PortalTimeoutError,
    Timeouts,
    Transport,
)

T = TypeVar("T")
log = logging.getLogger("bitrix24_source")


_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 4
_GATEWAY_SECONDS = 30.0
"""duration from which a 504 means that the request was too large for the portal"""
_UNKNOWN_APPLICATION = frozenset({"INVALID_CLIENT", "INVALID_GRANT"})
"""codes of a token server of another region, which has not used the token"""
_LARGE = 1 << 17
"""size from which answers are decoded in a thread of their own"""


@dataclass
class ClientSettings:
    """Limits, retries and time-outs of a client.

    Attributes:
        burst: capacity of the portal's request bucket; 250 on the Enterprise plan.
        requests_per_second: rate at which the bucket leaks; 5 on the Enterprise plan.
        allowed_hosts: hosts to which a renamed portal may redirect, besides Bitrix24's domains and its own.
        retry_policy: how long to retry.
        timeouts: how long one request may take.
        max_response_bytes: maximum size of one response, decompressed; no memory is allocated for more.
    """

    burst: float = 50
    requests_per_second: float = 2
    allowed_hosts: Sequence[str] = ()
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    timeouts: Timeouts = field(default_factory=Timeouts)
    max_response_bytes: int = MAX_RESPONSE_BYTES


class Client:
    """Calls methods of one portal. Safe to share between threads.

    Attributes:
        on_request: called before each HTTP request, for progress.
        requests: HTTP requests so far.
    """

    def __init__(
        self,
        auth: Auth,
        settings: ClientSettings | None = None,
        *,
        clock: Clock | None = None,
        session: requests.Session | None = None,
    ) -> None:
        self.auth = auth
        self.settings = settings or ClientSettings()
        self.clock = clock or SystemClock()
        self.budget = TimeBudget(self.clock)
        self._transport = Transport(session, self.settings.timeouts, self.settings.max_response_bytes)
        self._rest_url = auth.rest_url
        self._moving = threading.Lock()
        self._decoding = threading.Lock()
        self._decoder: ThreadPoolExecutor | None = None
        self._answered = False
        self.on_request: Callable[[], None] | None = None
        self.requests = 0
        self._bucket = shared_bucket(self.portal, self.settings.burst, self.settings.requests_per_second, clock)

    def __repr__(self) -> str:
        return f"Client({self.portal!r}, auth={self.auth.name!r})"

    @property
    def portal(self) -> str:
        """The portal's host, with its port if there is one."""
        return urlsplit(self._rest_url).netloc

    def where(self, method: str) -> str:
        """Returns the name of a call for errors."""
        return f"{method} at {self.portal}"

    def redact(self, text: str) -> str:
        """Removes this client's secrets from text that the portal sent."""
        for secret in self.auth.secrets():
            text = text.replace(secret, "***")
        return redact(text)

    def close(self) -> None:
        self._transport.close()
        self.stop_decoder()

    def stop_decoder(self) -> None:
        """Stops the decoding thread; the next large answer starts a new one."""
        with self._decoding:
            decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.shutdown()

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Response:
        """Calls one method, with retries; raises a `Bitrix24Error` if that does not help."""
        return self.send(Call(method, params or {}))

    # --- retries ------------------------------------------------------------------------------------------------------

    def send(self, call: Call, *, commands: Iterable[str] = (), raise_on_timeout: bool = False) -> Response:
        """Sends a call until it is answered or rejected, or the retry policy ends.

        Args:
            call: the call.
            commands: methods in a batch, whose time budgets are used, too.
            raise_on_timeout: raise a time-out at once, because the caller can make the call smaller.
        """
        methods, state = (call.method, *commands), RetryState(self.clock.monotonic())
        while True:
            outcome = _catch(lambda: self._send_authenticated(call))
            if isinstance(outcome, Response):
                return outcome
            if raise_on_timeout and isinstance(outcome, PortalTimeoutError):
                raise outcome
            retry = self.decide_retry(outcome, state, methods)
            if retry is None:
                raise outcome
            self.wait(retry.after, outcome)
            state = retry.state

    def decide_retry(self, error: Bitrix24Error, state: RetryState, methods: Sequence[str] = ()) -> Retry | None:
        """Decides when a call that failed with `error` is sent again, by the policy and the portal's time budgets."""
        policy = self.settings.retry_policy
        if error.code == "QUERY_LIMIT_EXCEEDED":
            self._bucket.fill()
        reset_in = 0.0
        if error.action is Action.WAIT_FOR_BUDGET:
            reset_in = self.budget.seconds_until_reset(methods, error.reset_at)
        answered, jitter = self._answered or error.is_reply, policy.rng.random()
        return policy.decide(
            error, state, now=self.clock.monotonic(), answered=answered, reset_in=reset_in, jitter=jitter
        )

    def wait(self, seconds: float, error: Bitrix24Error) -> None:
        """Sleeps; logs a long wait."""
        self.log_wait(seconds, error)
        self.clock.sleep(seconds)

    def log_wait(self, seconds: float, error: Bitrix24Error) -> None:
        """Logs until when nothing will be sent, and why; short waits only at a lower level."""
        until = self.clock.now() + timedelta(seconds=seconds)
        level = logging.WARNING if seconds >= 5 else logging.DEBUG
        log.log(level, "Waiting until %s (%.0f s): %s", until.strftime("%H:%M:%S %Z"), seconds, error.what)

    # --- authentication -----------------------------------------------------------------------------------------------

    def refresh_auth(self, refused: str | None) -> bool:
        """Renews the rejected token if needed. Returns whether there is another one to try."""
        outcome = _catch(lambda: self.auth.refresh(refused, self._request_tokens))
        if isinstance(outcome, Bitrix24Error):
            raise exhausted(outcome)  # the exchange has its own retries
        return outcome

    def _send_authenticated(self, call: Call) -> Response:
        """Sends with authentication; repeats the call after renewing an expired token, or once after another rejection."""
        state = RetryState(self.clock.monotonic())
        while True:
            token = self.auth.token()
            if token == "" and self.refresh_auth(token):  # oauth2 before its very first exchange
                token = self.auth.token()
            outcome = _catch(lambda token=token: self._send_rate_limited(call, token))  # type: ignore[misc]
            if isinstance(outcome, Response):
                return outcome
            retry = None
            if outcome.action is Action.REFRESH_TOKEN:
                retry = self.decide_retry(outcome, state)
            elif outcome.code == "NO_AUTH_FOUND" and token is not None and not state.refreshes:
                retry = Retry(0.0, replace(state, refreshes=self.settings.retry_policy.token_refreshes))
            if retry is None or not self.refresh_auth(token):
                raise self.with_credential_hint(outcome)
            state = retry.state

    def with_credential_hint(self, error: Bitrix24Error) -> Bitrix24Error:
        """Returns the error; if it rejects the credential, with advice for the method of authentication in use."""
        if error.action is Action.REFRESH_TOKEN or (error.code == "NO_AUTH_FOUND" and self.auth.token() is not None):
            return exhausted(error, self.auth.hint)
        return error

    def _request_tokens(self, urls: Sequence[str], query: Mapping[str, str]) -> tuple[str, Mapping[str, Any]]:
        """Returns the token server's address and JSON, whatever its status.

        A server that is down or answers garbage is asked again. Another server is asked only if none can have accepted the
        request: nothing was sent, or the server does not know the application.
        """
        state, candidates = RetryState(self.clock.monotonic()), tuple(urls)
        while True:
            refusals, failures = [], []
            for url in candidates:
                where = f"token server {urlsplit(url).hostname}"
                outcome = _catch(lambda url=url, where=where: self._token_response(url, query, where))  # type: ignore[misc]
                if isinstance(outcome, Bitrix24Error):
                    failures.append(outcome)
                    if outcome.was_sent:
                        candidates = (url,)
                        break
                elif normalize_code(outcome.get("error")) in _UNKNOWN_APPLICATION:
                    refusals.append((url, outcome))
                else:
                    return url, outcome
            retry = self.decide_retry(failures[0], state) if failures else None
            if retry is None and refusals:
                return refusals[0]
            if retry is None:
                raise failures[0]
            self.wait(retry.after, failures[0])
            state = retry.state

    def _token_response(self, url: str, query: Mapping[str, str], where: str) -> Mapping[str, Any]:
        response = self._transport.get(url, query, where)
        if response.status in _REDIRECTS:
            raise ConfigError("the token server redirects, which is not followed", where, "check token_url")
        try:
            value = orjson.loads(response.body)
        except orjson.JSONDecodeError:
            value = None
        if isinstance(value, dict) and (response.status < 500 or normalize_code(value.get("error")) in REFRESH_HINTS):
            return value
        if isinstance(value, dict) and "error" in value:
            raise error_from_envelope(value, where, response.status, self.redact)
        raise unparsable_response(response.status, response.body, where)

    # --- limits and redirects -----------------------------------------------------------------------------------------

    def _send_rate_limited(self, call: Call, token: str | None) -> Response:
        self._bucket.acquire()
        where = self.where(call.method)
        started = self.clock.monotonic()
        response = self._send_following_redirects(call, token, where)
        seconds = self.clock.monotonic() - started
        # The cloud's gateway gives up after 60 seconds, with a page of its own; an immediate 504 is an ordinary server error.
        if response.status == 504 and seconds >= _GATEWAY_SECONDS:
            raise PortalTimeoutError("the portal did not answer in time (HTTP 504)", where, "try again later")
        outcome = _catch(lambda: self._parse(response, where))
        self._answered = self._answered or isinstance(outcome, Response) or outcome.is_reply
        if isinstance(outcome, Bitrix24Error):
            raise outcome
        answer = replace(outcome, seconds=seconds)
        self.budget.update(call.method, answer.operating)
        self.budget.update_clock(answer.finished)
        return answer

    def _parse(self, response: HttpResponse, where: str) -> Response:
        """Parses a response; large ones in a single thread, which costs no time: the GIL allows one decoding at once.

        Each thread keeps the memory in which it created rows; four of them would keep four times as much.
        """
        if exceeds_values(response.body, self.settings.max_response_bytes // BYTES_PER_VALUE):
            raise OversizedResponseError(self.settings.max_response_bytes, where)
        arguments = response.status, response.body, where, self.redact
        if len(response.body) < _LARGE:
            return parse_response(*arguments)
        with self._decoding:
            self._decoder = self._decoder or ThreadPoolExecutor(1, "bitrix24-decoder")
            decoded = self._decoder.submit(parse_response, *arguments)
        return decoded.result()

    def _send_following_redirects(self, call: Call, token: str | None, where: str) -> HttpResponse:
        """Sends a POST request, and repeats it at the new address of a renamed portal, with the same body.

        https://apidocs.bitrix24.com/settings/how-to-call-rest-api/change-domen.html
        """
        body = orjson.dumps({**call.params, "auth": token} if token else dict(call.params))
        url = self._rest_url + call.method
        for _ in range(_MOST_REDIRECTS):
            self.requests += 1
            if self.on_request:
                self.on_request()
            response = self._transport.post(url, body, where)
            if response.status not in _REDIRECTS:
                return response
            url = self._redirect_target(url, response.location, where)
            self._adopt_new_address(url, call.method)
        raise PortalError("the portal redirects in a circle", where, "check the portal's address")

    def _redirect_target(self, url: str, location: str, where: str) -> str:
        try:
            old, new = urlsplit(url), urlsplit(urljoin(url, location))
            host = new.hostname or ""
        except ValueError:
            host = ""
        if not location or not host or new.scheme not in ("http", "https") or new.username is not None:
            raise PortalError("the portal redirects to nowhere", where, "check the portal's address")
        if new.scheme == "http" and not (old.scheme == "http" and is_loopback(host)):
            raise PortalError(
                "the portal redirects to plain http://, which would send the credential unencrypted",
                where,
                "use the portal's https:// address",
            )
        if not is_allowed_host(urlsplit(self.auth.rest_url).hostname or "", host, self.settings.allowed_hosts):
            raise PortalError(
                f"the portal redirects to the foreign host {host}",
                where,
                "if that is the portal's new home, put it into the configuration or into credentials.allowed_hosts",
            )
        return new.geturl()

    def _adopt_new_address(self, url: str, method: str) -> None:
        """Sends later calls to the new address; logs it once."""
        base = url.split("?", 1)[0]
        if not base.endswith(f"/{method}"):
            return
        with self._moving:
            old, self._rest_url = self.portal, base[: -len(method)]
            if self.portal != old:
                log.warning("The portal %s has moved to %s: update its address in the configuration", old, self.portal)


def _catch(send: Callable[[], T]) -> T | Bitrix24Error:
    """Returns the answer, or the error as a value, so that it is raised outside this handler, without context."""
    try:
        return send()
    except Bitrix24Error as error:
        return error

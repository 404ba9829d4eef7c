"""Signs calls, and refreshes OAuth tokens that the portal has refused.

Opens no socket: a refresh is a request that the client sends on its behalf. No `repr` shows a secret.
Facts: https://apidocs.bitrix24.com/settings/oauth/auto-renewal.html, https://apidocs.bitrix24.com/local-integrations/local-webhooks.html
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from ..errors import CredentialError
from .error_codes import normalize_code
from .token_store import TokenPair, TokenStore, delay_exit, fingerprint, run_uninterrupted

TOKEN_URL = "https://oauth.bitrix.info/oauth/token/"  # noqa: S105 - an address
TokenRequest = Callable[[str, Mapping[str, str]], Mapping[str, Any]]
"""Sends a token request (address, query parameters) and returns the token server's JSON, errors included."""


class Auth(Protocol):
    """How the client asks a method of authentication."""

    name: str
    rest_url: str
    """Where methods are appended, ends with a slash. Holds the webhook's code where there is one."""

    def token(self) -> str | None:
        """The access token to sign with now; None where the address is the signature."""

    def refresh(self, refused: str | None, request_token: TokenRequest) -> bool:
        """After `refused` was refused: True when there is another token to try."""

    def secrets(self) -> tuple[str, ...]:
        """Texts that must never be shown."""


@dataclass(repr=False)
class StaticAuth:
    """A webhook, or a token that nobody can renew."""

    name: str
    rest_url: str
    access_token: str | None = None
    code: str = ""

    def token(self) -> str | None:
        return self.access_token

    def refresh(self, refused: str | None, request_token: TokenRequest) -> bool:  # noqa: ARG002 - the protocol's arguments
        return False

    def secrets(self) -> tuple[str, ...]:
        return tuple(secret for secret in (self.access_token, self.code) if secret)


class OAuth2:
    """An access token that is renewed when the portal says `expired_token`: not before, not on a timer, and once.

    However many threads were refused with the same token, one of them exchanges it while the others wait; a process that
    finds a newer pair in the store uses that. The pair is stored before it is used, and also if nobody waits for it any more.
    """

    name = "oauth2"

    def __init__(
        self, portal_url: str, client_id: str, client_secret: str, refresh_token: str, token_url: str, store: TokenStore
    ) -> None:
        self.rest_url = portal_url + "/rest/"
        self._client_id = client_id
        self._client_secret = client_secret
        self._token_url = token_url
        self._first = TokenPair("", refresh_token, fingerprint(refresh_token))
        self._store = store
        self._pair: TokenPair | None = None
        self._lock = threading.Lock()
        self._seen = {self._client_secret, self._first.refresh_token}

    def token(self) -> str | None:
        with self._lock:
            if self._pair is None:
                self._adopt(self._load())
            return self._pair.access_token if self._pair else ""

    def refresh(self, refused: str | None, request_token: TokenRequest) -> bool:
        with self._lock:
            if self._pair and self._pair.access_token != refused:
                return True  # another thread was faster
            self._adopt(run_uninterrupted(lambda: self._refresh_locked(refused, request_token)))
        return True

    def secrets(self) -> tuple[str, ...]:
        return tuple(secret for secret in self._seen if secret)

    def _load(self) -> TokenPair:
        kept = self._store.load()
        return kept if kept and kept.root in ("", self._first.root) else self._first

    def _adopt(self, pair: TokenPair) -> None:
        self._pair = pair
        self._seen |= {pair.access_token, pair.refresh_token}

    def _refresh_locked(self, refused: str | None, request_token: TokenRequest) -> TokenPair:
        with self._store.lock():
            kept = self._load()
            if kept.access_token and kept.access_token != refused:
                return kept  # another process was faster
            self._store.prepare()
            with delay_exit():
                return self._request_pair(kept, request_token)

    def _request_pair(self, kept: TokenPair, request_token: TokenRequest) -> TokenPair:
        answer = request_token(
            self._token_url,
            {
                "grant_type": "refresh_token",
                "client_id": self._client_id,
                "client_secret": self._client_secret,
                "refresh_token": kept.refresh_token,
            },
        )
        if "error" in answer or not answer.get("access_token") or not answer.get("refresh_token"):
            raise _refresh_error(answer.get("error"), urlsplit(self._token_url).hostname or "")
        pair = TokenPair(str(answer["access_token"]), str(answer["refresh_token"]), self._first.root)
        self._seen |= {pair.access_token, pair.refresh_token}
        self._store.save(pair)
        return pair


# https://apidocs.bitrix24.com/settings/oauth/error-codes.html
REFRESH_HINTS = {
    "INVALID_GRANT": (
        "the refresh token is wrong, used up or older than 180 days",
        "authorise the application again and put the new refresh token into the configuration",
    ),
    "INVALID_CLIENT": (
        "client_id or client_secret is wrong, or the application is not installed on this portal",
        "compare both with the application's card in Bitrix24",
    ),
    "PAYMENT_REQUIRED": (
        "the portal's trial or paid period is over, or the application was removed",
        "check the portal's plan and that the application is installed",
    ),
    "INVALID_REQUEST": ("the token server did not understand the request", "check token_url and client_id"),
    "INSUFFICIENT_SCOPE": ("the application asks for more than its card allows", "check the application's scopes"),
    "INVALID_SCOPE": ("the application asks for more than its card allows", "check the application's scopes"),
}


def _refresh_error(code: Any, host: str) -> CredentialError:
    known = normalize_code(code)
    why, hint = REFRESH_HINTS.get(known, ("the token server did not return a token pair", "check token_url"))
    return CredentialError(
        f"the access token could not be renewed ({(known or 'no code').lower()}): {why}",
        f"token server {host}",
        hint,
        known,
    )

"""Authenticates calls, and refreshes OAuth tokens that the portal has rejected.

Opens no socket: the client sends the request for a refresh. No `repr` shows a secret.
Facts: https://apidocs.bitrix24.com/settings/oauth/auto-renewal.html, https://apidocs.bitrix24.com/local-integrations/local-webhooks.html
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from ..errors import CredentialError
from .error_codes import DEAD_TOKEN, DEAD_WEBHOOK, normalize_code
from .token_store import TokenPair, TokenStore, delay_exit, fingerprint, run_uninterrupted

TOKEN_URL = "https://oauth.bitrix.info/oauth/token/"  # noqa: S105 - an address
EASTERN_TOKEN_URL = "https://oauth.bitrix24.tech/oauth/token/"  # noqa: S105 - an address
"""token server of the regions ru, am, az, by, ge, kg, kz and uz"""
_EASTERN = re.compile(r".*\.(?:ru|am|az|by|ge|kg|kz|uz)")

TokenRequest = Callable[[Sequence[str], Mapping[str, str]], tuple[str, Mapping[str, Any]]]
"""Sends a token request; takes candidate addresses and query parameters.

Returns the address that answered and its JSON, errors included. The next address is tried only if the previous one cannot have
accepted the request: a refresh token can be used once.
"""


def token_urls(portal_host: str) -> tuple[str, ...]:
    """Returns the token servers that may know a portal's applications, likeliest first.

    The region is inferred from the host's top-level domain.
    """
    likely = (EASTERN_TOKEN_URL, TOKEN_URL)
    return likely if _EASTERN.fullmatch(portal_host.lower().rstrip(".")) else likely[::-1]


class Auth(Protocol):
    """The interface of authentication methods."""

    name: str
    rest_url: str
    """The address to which method names are appended; ends with a slash. Contains the code of a webhook."""

    def token(self) -> str | None:
        """Returns the current access token; None if the address itself authenticates."""

    def refresh(self, refused: str | None, request_token: TokenRequest) -> bool:
        """Renews the token `refused`, which the portal rejected. Returns whether there is another one to try."""

    def secrets(self) -> tuple[str, ...]:
        """Returns the secrets, which must never be shown."""

    @property
    def hint(self) -> str:
        """Advice for the case that the portal no longer accepts this credential."""


@dataclass(repr=False)
class StaticAuth:
    """A webhook, or a token that cannot be renewed."""

    name: str
    rest_url: str
    access_token: str | None = None
    code: str = ""

    @property
    def hint(self) -> str:
        return DEAD_WEBHOOK if self.code else _SHORT_LIVED

    def token(self) -> str | None:
        return self.access_token

    def refresh(self, refused: str | None, request_token: TokenRequest) -> bool:  # noqa: ARG002 - the protocol's arguments
        return False

    def secrets(self) -> tuple[str, ...]:
        return tuple(secret for secret in (self.access_token, self.code) if secret)


_SHORT_LIVED = 'access tokens live for one hour: use auth = "oauth2" with a refresh token, or a webhook'


class OAuth2:
    """An access token that is renewed when the portal answers `expired_token`, not earlier.

    If several threads are rejected with the same token, one exchanges it while the others wait; a process that finds a newer
    pair in the store uses that. A pair is stored before it is used, even if nothing waits for it any more.
    """

    name = "oauth2"
    hint = f"compare portal_url with the portal on which the application is installed; {DEAD_TOKEN}"

    def __init__(
        self, portal_url: str, client_id: str, client_secret: str, refresh_token: str, token_url: str, store: TokenStore
    ) -> None:
        """If `token_url` is "", the token server is inferred from the portal's address."""
        self.rest_url = portal_url + "/rest/"
        self._client_id = client_id
        self._client_secret = client_secret
        self._token_urls = (token_url,) if token_url else token_urls(urlsplit(portal_url).hostname or "")
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
                return True  # another thread has renewed it
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
        url, answer = request_token(
            self._token_urls,
            {
                "grant_type": "refresh_token",
                "client_id": self._client_id,
                "client_secret": self._client_secret,
                "refresh_token": kept.refresh_token,
            },
        )
        if "error" in answer or not answer.get("access_token") or not answer.get("refresh_token"):
            raise _refresh_error(answer.get("error"), urlsplit(url).hostname or "")
        pair = TokenPair(str(answer["access_token"]), str(answer["refresh_token"]), self._first.root)
        self._seen |= {pair.access_token, pair.refresh_token}
        self._store.save(pair)
        self._token_urls = (url,)  # the one that knows the application is the only one from now on
        return pair


# https://apidocs.bitrix24.com/settings/oauth/error-codes.html
REFRESH_HINTS = {
    "INVALID_GRANT": (
        "the refresh token is wrong, used up or older than 180 days",
        "authorise the application again and put the new refresh token into the configuration",
    ),
    "INVALID_CLIENT": (
        "client_id or client_secret is wrong, or the application is not installed on this portal",
        "compare both with the application's card in Bitrix24; if they are right, set token_url to the token server of the portal's region",
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
    why, hint = REFRESH_HINTS.get(
        known, ("the token server did not return a token pair", "check token_url and the portal's region")
    )
    return CredentialError(
        f"the access token could not be renewed ({(known or 'no code').lower()}): {why}",
        f"token server {host}",
        hint,
        known,
    )

"""How is a call signed, and what happens when it is refused? The selector, the three methods, the renewal as a flow.

It opens no socket: a renewal is a request that the client sends for it. Nothing here shows a secret in its repr.
Facts: https://apidocs.bitrix24.com/settings/oauth/auto-renewal.html, https://apidocs.bitrix24.com/local-integrations/local-webhooks.html
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol
from urllib.parse import SplitResult, urlsplit

from dlt.common.configuration import configspec
from dlt.common.configuration.specs import CredentialsConfiguration
from dlt.common.configuration.specs.base_configuration import NotResolved
from dlt.common.typing import TSecretStrValue

from .errors import ConfigError, CredentialError, normal_code
from .hosts import is_loopback
from .tokens import FileTokenStore, TokenPair, TokenStore, apart, before_exit, fingerprint

TOKEN_URL = "https://oauth.bitrix.info/oauth/token/"  # noqa: S105 - an address
METHODS = ("webhook", "oauth2", "api_key")
SECTION = "sources.bitrix24.credentials"

Exchange = Callable[[str, Mapping[str, str]], Mapping[str, Any]]
"""Sends a token request (address, query parameters) and returns the token server's JSON, errors included."""


@configspec
class Bitrix24Credentials(CredentialsConfiguration):
    """What `[sources.bitrix24.credentials]` holds. `auth` selects; what it did not select is ignored.

    Attributes:
        auth: "webhook", "oauth2" or "api_key". Never guessed from what is filled.
        webhook_url: webhook; "https://portal.bitrix24.com/rest/1/code/", as Bitrix24 shows it. It is a password.
        portal_url: oauth2, api_key; "https://portal.bitrix24.com".
        client_id: oauth2; "local.0123".
        client_secret: oauth2.
        refresh_token: oauth2; the first one, later ones are kept by the token store.
        token_url: oauth2; the token server.
        token_file: oauth2; where the default token store keeps the pair.
        api_key: api_key; "<user id>/<webhook code>", or an access token of a local application.
        allowed_hosts: hosts besides Bitrix24's and the portal's own that a renamed portal may send us to.
        section: where these stand, for messages; a named portal has its own.
    """

    auth: str | None = None
    webhook_url: TSecretStrValue | None = None
    portal_url: str | None = None
    client_id: str | None = None
    client_secret: TSecretStrValue | None = None
    refresh_token: TSecretStrValue | None = None
    token_url: str = TOKEN_URL
    token_file: str | None = None
    api_key: TSecretStrValue | None = None
    allowed_hosts: list[str] | None = None
    section: Annotated[str, NotResolved()] = SECTION

    def on_resolved(self) -> None:
        """Refuses what cannot work, in one sentence, before anything is asked of the portal."""
        auth_from(self)

    def parse_native_representation(self, native_value: Any) -> None:
        """A bare string says nothing about which method it is for, and guessing is what the selector forbids."""
        if isinstance(native_value, str):
            raise ConfigError(
                "the credentials are a bare value",
                self.section,
                'name the method: {"auth": "webhook", "webhook_url": "..."}',
            )
        super().parse_native_representation(native_value)

    def where(self, key: str) -> str:
        """How messages name a key."""
        return f"{self.section}.{key}"

    def __repr__(self) -> str:
        return f"Bitrix24Credentials(auth={self.auth!r})"

    __str__ = __repr__

    def to_native_representation(self) -> str:
        """Never the secret: dlt shows this form in messages."""
        return repr(self)


class Auth(Protocol):
    """How the client asks a method of authentication."""

    name: str
    rest_url: str
    """Where methods are appended, ends with a slash. Holds the webhook's code where there is one."""

    def token(self) -> str | None:
        """The access token to sign with now; None where the address is the signature."""

    def renew(self, refused: str | None, exchange: Exchange) -> bool:
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

    def renew(self, refused: str | None, exchange: Exchange) -> bool:  # noqa: ARG002 - the protocol's arguments
        return False

    def secrets(self) -> tuple[str, ...]:
        return tuple(secret for secret in (self.access_token, self.code) if secret)


class OAuth2:
    """An access token that is renewed when the portal says `expired_token`: not before, not on a timer, and once.

    However many threads were refused with the same token, one of them exchanges it while the others wait; a process that
    finds a newer pair in the store uses that. The pair is stored before it is used, and also if nobody waits for it any more.
    """

    name = "oauth2"

    def __init__(self, credentials: Bitrix24Credentials, store: TokenStore) -> None:
        self.rest_url = _portal(credentials) + "/rest/"
        self._client_id = _required(credentials, "client_id")
        self._client_secret = _required(credentials, "client_secret")
        self._token_url = credentials.token_url.strip()
        first = _required(credentials, "refresh_token")
        self._first = TokenPair("", first, fingerprint(first))
        self._store = store
        self._pair: TokenPair | None = None
        self._lock = threading.Lock()
        self._seen = {self._client_secret, self._first.refresh_token}

    def token(self) -> str | None:
        with self._lock:
            if self._pair is None:
                self._use(self._latest())
            return self._pair.access_token if self._pair else ""

    def renew(self, refused: str | None, exchange: Exchange) -> bool:
        with self._lock:
            if self._pair and self._pair.access_token != refused:
                return True  # another thread was faster
            self._use(apart(lambda: self._renewed(refused, exchange)))
        return True

    def secrets(self) -> tuple[str, ...]:
        return tuple(secret for secret in self._seen if secret)

    def _latest(self) -> TokenPair:
        kept = self._store.load()
        return kept if kept and kept.root in ("", self._first.root) else self._first

    def _use(self, pair: TokenPair) -> None:
        self._pair = pair
        self._seen |= {pair.access_token, pair.refresh_token}

    def _renewed(self, refused: str | None, exchange: Exchange) -> TokenPair:
        with self._store.lock():
            kept = self._latest()
            if kept.access_token and kept.access_token != refused:
                return kept  # another process was faster
            self._store.prepare()
            with before_exit():
                return self._exchanged(kept, exchange)

    def _exchanged(self, kept: TokenPair, exchange: Exchange) -> TokenPair:
        answer = exchange(
            self._token_url,
            {
                "grant_type": "refresh_token",
                "client_id": self._client_id,
                "client_secret": self._client_secret,
                "refresh_token": kept.refresh_token,
            },
        )
        if "error" in answer or not answer.get("access_token") or not answer.get("refresh_token"):
            raise _refused_refresh(answer.get("error"), urlsplit(self._token_url).hostname or "")
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


def _refused_refresh(code: Any, host: str) -> CredentialError:
    known = normal_code(code)
    why, hint = REFRESH_HINTS.get(known, ("the token server did not return a token pair", "check token_url"))
    return CredentialError(
        f"the access token could not be renewed ({(known or 'no code').lower()}): {why}",
        f"token server {host}",
        hint,
        known,
    )


# --- the selector ---------------------------------------------------------------------------------------------------


def auth_from(credentials: Bitrix24Credentials, store: TokenStore | None = None) -> Auth:
    """The selected method, checked; raises ConfigError with the key to mend. Makes no call and reads no file."""
    if not credentials.auth:
        raise ConfigError(
            "no authentication method is chosen", credentials.where("auth"), f"set it to one of {_listed(METHODS)}"
        )
    build = {"webhook": _webhook, "oauth2": _oauth2, "api_key": _api_key}.get(str(credentials.auth).strip())
    if build is None:
        raise ConfigError(
            f"unknown authentication method {str(credentials.auth)[:20]!r}",
            credentials.where("auth"),
            f"set it to one of {_listed(METHODS)}",
        )
    return build(credentials, store)


def _webhook(credentials: Bitrix24Credentials, _store: TokenStore | None) -> Auth:
    url = _required(credentials, "webhook_url")
    parts = _split(url, credentials.where("webhook_url"))
    match = _WEBHOOK_PATH.fullmatch(parts.path)
    if not match or parts.query or parts.fragment:
        raise ConfigError(
            "this is not a webhook's address",
            credentials.where("webhook_url"),
            "copy it whole from Bitrix24: https://<portal>/rest/<user id>/<code>/",
        )
    return StaticAuth("webhook", f"{_origin(parts)}/rest/{match['user']}/{match['code']}/", code=match["code"])


def _oauth2(credentials: Bitrix24Credentials, store: TokenStore | None) -> Auth:
    for key in ("portal_url", "client_id", "client_secret", "refresh_token"):
        _required(credentials, key)
    _split(credentials.token_url or "", credentials.where("token_url"))
    return OAuth2(credentials, store or FileTokenStore(credentials.token_file or _default_file(credentials)))


def _api_key(credentials: Bitrix24Credentials, _store: TokenStore | None) -> Auth:
    portal, key = _portal(credentials), _required(credentials, "api_key")
    match = _WEBHOOK_KEY.fullmatch(key)
    if match:
        return StaticAuth("api_key", f"{portal}/rest/{match['user']}/{match['code']}/", code=match["code"])
    if "/" in key or any(sign.isspace() for sign in key):
        raise ConfigError(
            "this is neither <user id>/<webhook code> nor an access token",
            credentials.where("api_key"),
            'for a whole webhook address use auth = "webhook"',
        )
    return StaticAuth("api_key", f"{portal}/rest/", access_token=key)


# A method after the code is what Bitrix24's own example links end with.
_WEBHOOK_PATH = re.compile(r"/rest/(?:api/)?(?P<user>\d+)/(?P<code>[A-Za-z0-9]+)(?:/(?:[A-Za-z][A-Za-z0-9.]*)?)?")
_WEBHOOK_KEY = re.compile(r"(?P<user>\d+)/(?P<code>[A-Za-z0-9]+)/?")


def _required(credentials: Bitrix24Credentials, key: str) -> str:
    value = str(getattr(credentials, key) or "").strip()
    if not value:
        raise ConfigError(
            f'auth = "{credentials.auth}" needs {key}',
            credentials.where(key),
            f"set it in .dlt/secrets.toml or as {credentials.where(key).upper().replace('.', '__')}",
        )
    return value


def _portal(credentials: Bitrix24Credentials) -> str:
    return _origin(_split(_required(credentials, "portal_url"), credentials.where("portal_url")))


def _split(url: str, where: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = None, None
    if parts is None or not host or parts.scheme not in ("http", "https") or parts.username is not None:
        raise ConfigError("this is not an address", where, "it starts with https:// and a host name")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError("plain http:// would send the credential unencrypted", where, "use https://")
    return parts


def _origin(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}"


def _default_file(credentials: Bitrix24Credentials) -> Path:
    """One file for a portal and an application; for a named portal also for the authorisation, of which there may be more."""
    from dlt.common.runtime.run_context import active  # noqa: PLC0415 - the folder is asked for when needed

    owner = f"{urlsplit(_portal(credentials)).netloc} {_required(credentials, 'client_id')}"
    if credentials.section != SECTION:
        owner += f" {fingerprint(_required(credentials, 'refresh_token'))}"
    return Path(active().data_dir) / "bitrix24" / f"{fingerprint(owner)[:16]}.json"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)

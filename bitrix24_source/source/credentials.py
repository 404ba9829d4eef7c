"""The configuration of credentials: selects one of three methods and reports what is missing in one sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

import orjson
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import CredentialsConfiguration
from dlt.common.configuration.specs.base_configuration import NotResolved
from dlt.common.typing import TSecretStrValue

from ..errors import ConfigError
from ..rest import Auth, FileTokenStore, OAuth2, StaticAuth, TokenStore, fingerprint, is_loopback
from .configuration_report import closest, variable_of, where_to_set
from .dlt_internals import data_folder

METHODS = ("webhook", "oauth2", "api_key")
SECTION = "sources.bitrix24.credentials"


@configspec
class Bitrix24Credentials(CredentialsConfiguration):
    """The section `[sources.bitrix24.credentials]`. `auth` selects the method; keys of the others are ignored.

    Attributes:
        auth: "webhook", "oauth2" or "api_key". Never guessed from the other keys.
        webhook_url: webhook; "https://portal.bitrix24.com/rest/1/code/", as Bitrix24 shows it. It is a password.
        portal_url: oauth2, api_key; "https://portal.bitrix24.com".
        client_id: oauth2; "local.0123".
        client_secret: oauth2.
        refresh_token: oauth2; the first one, later ones are kept by the token store.
        token_url: oauth2; the token server. By default inferred from the portal's address.
        token_file: oauth2; where the default token store keeps the pair.
        api_key: api_key; "<user id>/<webhook code>", or an access token of a local application.
        allowed_hosts: hosts besides Bitrix24's and the portal's own to which a renamed portal may redirect.
        section: name of the section, for messages; a named portal has its own.
    """

    auth: str | None = None
    webhook_url: TSecretStrValue | None = None
    portal_url: str | None = None
    client_id: str | None = None
    client_secret: TSecretStrValue | None = None
    refresh_token: TSecretStrValue | None = None
    token_url: str | None = None
    token_file: str | None = None
    api_key: TSecretStrValue | None = None
    allowed_hosts: list[str] | None = None
    section: Annotated[str, NotResolved()] = SECTION

    def on_resolved(self) -> None:
        """Rejects invalid credentials, in one sentence, before the portal is called."""
        auth_from_credentials(self)

    def parse_native_representation(self, native_value: Any) -> None:
        """Accepts a JSON object as text, as in an environment variable.

        Any other text is rejected: it does not say which method it is for, and methods are never guessed.
        """
        if isinstance(native_value, str):
            for key, value in _json_object(native_value, self.section).items():
                setattr(self, key, value)
        else:
            super().parse_native_representation(native_value)

    def where(self, key: str) -> str:
        """Returns the name of a key for messages."""
        return f"{self.section}.{key}"

    def __repr__(self) -> str:
        return f"Bitrix24Credentials(auth={self.auth!r})"

    __str__ = __repr__

    def to_native_representation(self) -> str:
        """Returns a form without secrets, because dlt shows it in messages."""
        return repr(self)


KEYS = frozenset(Bitrix24Credentials.get_resolvable_fields()) - {"section"}
"""keys of `[sources.bitrix24.credentials]`"""
_KEY_OF = {"webhook": "webhook_url", "api_key": "api_key", "oauth2": "refresh_token"}
"""the key whose presence suggests a method"""
_WRAPPINGS = {
    '"': "a quotation mark", "'": "a quotation mark", "\u201c": "a quotation mark", "\u00ab": "a quotation mark", "\u201e": "a quotation mark",
    "<": "an angle bracket", "\ufeff": "a byte order mark (BOM), which cannot be seen", "\u200b": "a space that cannot be seen",
}  # fmt: skip
_EXAMPLES = {
    "webhook_url": frozenset({"https://portal.bitrix24.com/rest/1/code/", "https://portal.bitrix24.com/rest/1/code"}),
    "client_secret": frozenset({"..."}),
    "refresh_token": frozenset({"..."}),
    "api_key": frozenset({"...", "1/code"}),
}
"""values of example.secrets.toml"""


def given_credentials(given: Any, section: str = SECTION) -> Any:
    """Checks the keys of credentials given in a call.

    dlt would ignore a misspelt key, and take the missing value from the configuration, which may be another portal's.

    Raises:
        ConfigError: a key is unknown, or a text is not a JSON object.
    """
    if isinstance(given, str):
        return _json_object(given, section)
    if isinstance(given, Mapping) and not isinstance(given, Bitrix24Credentials):
        _require_known_keys(given, section)
    return given


def _json_object(text: str, where: str) -> dict[str, Any]:
    try:
        values = orjson.loads(text.strip().removeprefix("\ufeff"))
    except orjson.JSONDecodeError:
        values = None
    if not isinstance(values, dict):
        raise ConfigError(
            "the credentials are a bare value", where, 'name the method: {"auth": "webhook", "webhook_url": "..."}'
        )
    _require_known_keys(values, where)
    return values


def _require_known_keys(values: Mapping[Any, Any], where: str) -> None:
    unknown = sorted(str(key) for key in values if key not in {*KEYS, "section"})
    if unknown:
        meant = closest(unknown[0], KEYS)
        raise ConfigError(
            f"credentials have no key {unknown[0][:40]!r}",
            where,
            (f"did you mean {meant!r}? " if meant else "") + f"there are {', '.join(sorted(KEYS))}",
        )


def auth_from_credentials(credentials: Bitrix24Credentials, store: TokenStore | None = None) -> Auth:
    """Returns the selected method, checked; raises ConfigError with the key to correct. Makes no call, reads no file."""
    auth = str(credentials.auth or "").strip()
    if not auth:
        filled = next((method for method, key in _KEY_OF.items() if getattr(credentials, key)), "")
        raise ConfigError(
            "no authentication method is chosen",
            credentials.where("auth"),
            f"set it to one of {_quoted_list(METHODS)}; "
            + (
                f'{_KEY_OF[filled]} is set, which auth = "{filled}" would use'
                if filled
                else where_to_set(credentials.section, "auth", KEYS)
            ),
        )
    build = {"webhook": _webhook, "oauth2": _oauth2, "api_key": _api_key}.get(auth)
    if build is None:
        raise ConfigError(
            f"unknown authentication method {auth[:20]!r}",
            credentials.where("auth"),
            f"set it to one of {_quoted_list(METHODS)}",
        )
    return build(credentials, store)


def _webhook(credentials: Bitrix24Credentials, _store: TokenStore | None) -> Auth:
    url = _required(credentials, "webhook_url")
    parts = _parse_url(url, credentials.where("webhook_url"))
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
    token_url = (credentials.token_url or "").strip()
    if token_url:
        _parse_url(token_url, credentials.where("token_url"))
    return OAuth2(
        _portal(credentials),
        _required(credentials, "client_id"),
        _required(credentials, "client_secret"),
        _required(credentials, "refresh_token"),
        token_url,
        store or FileTokenStore(credentials.token_file or _default_file(credentials)),
    )


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


# Bitrix24's own example links have a method after the code.
_WEBHOOK_PATH = re.compile(r"/rest/(?:api/)?(?P<user>\d+)/(?P<code>[A-Za-z0-9]+)(?:/(?:[A-Za-z][A-Za-z0-9.]*)?)?")
_WEBHOOK_KEY = re.compile(r"(?P<user>\d+)/(?P<code>[A-Za-z0-9]+)/?")


def _required(credentials: Bitrix24Credentials, key: str) -> str:
    value = str(getattr(credentials, key) or "").strip()
    where = credentials.where(key)
    if not value:
        raise ConfigError(
            f'auth = "{credentials.auth}" needs {key}',
            where,
            f"set it in .dlt/secrets.toml or as {variable_of(where)}; {where_to_set(credentials.section, key, KEYS)}",
        )
    for found, name in _WRAPPINGS.items():
        if value.startswith(found):
            raise ConfigError(f"{key} begins with {name}", where, "take the value alone, without anything around it")
    if value in _EXAMPLES.get(key, ()):
        raise ConfigError(f"{key} is the example's and nobody's", where, "put your portal's own value there")
    return value


def _portal(credentials: Bitrix24Credentials) -> str:
    return _origin(_parse_url(_required(credentials, "portal_url"), credentials.where("portal_url")))


def _parse_url(url: str, where: str) -> SplitResult:
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
    """Returns the default file: one per portal and application; for a named portal, also per authorisation."""
    owner = f"{urlsplit(_portal(credentials)).netloc} {_required(credentials, 'client_id')}"
    if credentials.section != SECTION:
        owner += f" {fingerprint(_required(credentials, 'refresh_token'))}"
    return Path(data_folder()) / "bitrix24" / f"{fingerprint(owner)[:16]}.json"


def _quoted_list(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)

"""Parses the URL paths of a portal: credential and method, or another page. Credentials are not checked here."""

from __future__ import annotations

import re
from dataclasses import dataclass

TOKEN_PATH = "/oauth/token/"  # noqa: S105 - a path, not a secret
_WEBHOOK = re.compile(r"/rest/(?P<v3>api/)?(?P<user>\d+)/(?P<code>[^/]+)/(?P<method>[^/]*)/?")
_APP = re.compile(r"/rest/(?P<v3>api/)?(?P<method>[^/]+)/?")


@dataclass(frozen=True)
class Address:
    """A parsed path; `safe_path` is the path without the webhook code."""

    kind: str  # webhook, app, token, authorize or page
    method: str
    safe_path: str
    user_id: str = ""
    code: str = ""
    version: int = 2


def read_path(path: str) -> Address:
    if path.rstrip("/") == TOKEN_PATH.rstrip("/"):
        return Address("token", "oauth.token", TOKEN_PATH)
    if path.rstrip("/") == "/oauth/authorize":
        return Address("authorize", "oauth.authorize", "/oauth/authorize/")
    if (match := _WEBHOOK.fullmatch(path)) is not None:
        method = without_format(match["method"])
        safe = f"/rest/{match['v3'] or ''}{match['user']}/{method}"
        return Address("webhook", method, safe, match["user"], match["code"], 3 if match["v3"] else 2)
    if (match := _APP.fullmatch(path)) is not None:
        method = without_format(match["method"])
        return Address("app", method, f"/rest/{match['v3'] or ''}{method}", version=3 if match["v3"] else 2)
    return Address("page", "", path if not path.startswith("/rest/") else "/rest/")


def without_format(method: str) -> str:
    """`crm.item.list.json` is `crm.item.list`."""
    return method.removesuffix(".json")

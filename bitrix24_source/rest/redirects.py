"""Decides to which hosts a credential may be sent. Compares names without resolving them.

Facts: https://apidocs.bitrix24.com/settings/how-to-call-rest-api/change-domen.html.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

# Bitrix24's own cloud domains. The last label counts: bitrix24.example.com belongs to somebody else.
_CLOUD = re.compile(
    r"(?:[a-z0-9-]+\.)+"
    r"(?:bitrix24\.(?:com|ru|eu|de|es|fr|it|pl|in|cn|jp|kz|by|ua|vn|id|uk|co|mx|tech|net|com\.br|com\.tr|com\.tw)"
    r"|bitrix\.info)"
)
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
"""names of this machine; 127.0.0.2 may be another service"""
_NAME = re.compile(r"[a-z0-9._-]+")


def is_loopback(host: str) -> bool:
    """Returns whether a host is this machine, for which alone plain http is accepted."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_allowed_host(portal: str, host: str, allowed: Sequence[str] = ()) -> bool:
    """Returns whether a request for `portal` may go to `host`: its own domain, a Bitrix24 domain, or an allowed one."""
    host, portal = host.lower().removesuffix("."), portal.lower().removesuffix(".")
    if {host, portal} <= _THIS_MACHINE:
        return True
    if not _NAME.fullmatch(host):  # characters that parsers of addresses may interpret differently
        return False
    own = [portal, *(name.lower().strip(".") for name in allowed if name.strip("."))]
    return bool(_CLOUD.fullmatch(host)) or any(host == name or host.endswith(f".{name}") for name in own)

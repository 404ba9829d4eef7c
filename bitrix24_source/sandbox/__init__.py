"""A Bitrix24 portal on loopback, to point this connector, a script or any other client at.

In the same process, without a socket::

    import requests
    from bitrix24_source.sandbox import Portal, SandboxAdapter

    portal = Portal(scenario="demo", seed=1)
    session = requests.Session()
    session.mount("https://demo.bitrix24.test/", SandboxAdapter(portal))
    url = portal.credentials("https://demo.bitrix24.test")["webhook"]["webhook_url"]
    session.post(url + "crm.type.list", json={}).json()["result"]["types"]

Over a real one::

    with SandboxServer(portal) as server:
        requests.post(server.webhook_url + "profile", json={})

It imports nothing from the rest of the connector, so that no mistake can be in both.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .http.adapter import SandboxAdapter
    from .http.http_response import HttpReply, RecordedRequest
    from .http.php import query_to_params
    from .http.serve import serve_forever
    from .http.server import SandboxServer
    from .model.clock import Clock, WallClock
    from .portal.faults import Fault
    from .portal.interpretations import Interpretations
    from .portal.portal import Portal
    from .portal.rate_limits import Limits

__all__ = [
    "Clock",
    "Fault",
    "HttpReply",
    "Interpretations",
    "Limits",
    "Portal",
    "RecordedRequest",
    "SandboxAdapter",
    "SandboxServer",
    "WallClock",
    "query_to_params",
    "serve_forever",
]

_HOMES = {
    "Clock": "model.clock",
    "Fault": "portal.faults",
    "Interpretations": "portal.interpretations",
    "Limits": "portal.rate_limits",
    "Portal": "portal.portal",
    "HttpReply": "http.http_response",
    "SandboxAdapter": "http.adapter",
    "SandboxServer": "http.server",
    "RecordedRequest": "http.http_response",
    "WallClock": "model.clock",
    "query_to_params": "http.php",
    "serve_forever": "http.serve",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that an unused pytest plugin costs nothing."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

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

It imports nothing from the rest of the connector: what both shared, both could get wrong alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .http.http_response import Reply, Seen
from .http.php import query_to_params
from .http.server import SandboxServer
from .model.clock import Clock, WallClock
from .portal.faults import Fault
from .portal.interpretations import Interpretations
from .portal.portal import Portal
from .portal.rate_limits import Limits

if TYPE_CHECKING:
    from .http.adapter import SandboxAdapter

__all__ = [
    "Clock",
    "Fault",
    "Interpretations",
    "Limits",
    "Portal",
    "Reply",
    "SandboxAdapter",
    "SandboxServer",
    "Seen",
    "WallClock",
    "query_to_params",
]


def __getattr__(name: str) -> Any:
    """Only the adapter needs `requests`, so only who asks for it pays for the import."""
    if name == "SandboxAdapter":
        from .http.adapter import SandboxAdapter  # noqa: PLC0415 - see above

        return SandboxAdapter
    raise AttributeError(name)

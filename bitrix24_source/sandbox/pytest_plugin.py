"""Fixtures that give a test a Bitrix24 portal: in the process, behind `requests`, or over HTTP.

pytest finds the plugin where the package is installed. It imports the portal only when a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import requests

    from . import Portal, SandboxServer

MARKER = (
    "bitrix24(**arguments): arguments of the portal that this test gets, such as scenario, items, zone and language"
)
ITEMS = 500


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def bitrix24_portal(request: pytest.FixtureRequest) -> Portal:
    """Returns a new portal for each test.

    Its clock stands at 1 July 2025, 09:00 UTC, and moves when the test moves it (`bitrix24_portal.clock.advance(60)`), or
    when the portal would sleep. Its limits are off, since they would need time to pass: `bitrix24_portal.limits` has them.
    `@pytest.mark.bitrix24(scenario="hostile", items=100)` passes arguments to `Portal`.
    """
    from datetime import datetime, timezone  # noqa: PLC0415 - see the module's docstring

    from . import Clock, Portal  # noqa: PLC0415 - see the module's docstring

    arguments: dict[str, Any] = {"items": ITEMS, "clock": Clock(datetime(2025, 7, 1, 9, tzinfo=timezone.utc))}
    for marker in reversed(list(request.node.iter_markers("bitrix24"))):
        arguments |= marker.kwargs
    portal = Portal(**arguments)
    portal.limits.capacity = portal.limits.operating_seconds = None
    return portal


@pytest.fixture
def bitrix24_server(bitrix24_portal: Portal) -> Iterator[SandboxServer]:
    """The portal over HTTP on a free port of this machine: `webhook_url`, `base_url` and `credentials()` lead to it."""
    from . import SandboxServer  # noqa: PLC0415 - see the module's docstring

    with SandboxServer(bitrix24_portal) as server:
        yield server


@pytest.fixture
def bitrix24_session(bitrix24_portal: Portal) -> Iterator[requests.Session]:
    """A session of `requests` for which `bitrix24_portal.base_url` is the portal, without a socket."""
    import requests  # noqa: PLC0415 - see the module's docstring

    from . import SandboxAdapter  # noqa: PLC0415 - see the module's docstring

    with requests.Session() as session:
        session.mount(bitrix24_portal.base_url, SandboxAdapter(bitrix24_portal))
        yield session

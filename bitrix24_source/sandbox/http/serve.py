"""Runs a sandbox portal until Ctrl-C and prints how to reach it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event

from ..portal.portal import Portal
from .server import SandboxServer


def serve_forever(
    port: int = 8024, scenario: str = "demo", seed: int = 1, items: int | None = None, latency_ms: float = 0,
    out: Callable[[str], object] = print, *, until: Event | None = None,
) -> None:  # fmt: skip
    """Serves until Ctrl-C (or until the event is set). A port in use is an OSError that says so."""
    portal = Portal(scenario, seed, items, latency=(latency_ms / 1000, 0.0) if latency_ms else None)
    with SandboxServer(portal, port) as server:
        out(announcement(server))
        try:
            (until or Event()).wait()
        except KeyboardInterrupt:
            out("The sandbox portal has stopped.")


def announcement(server: SandboxServer) -> str:
    """The webhook URL, and the credentials as TOML to paste below `[sources.bitrix24.credentials]`."""
    credentials = server.credentials()
    return "\n".join(
        [
            f"A Bitrix24 portal to try things against: {server.base_url}",
            f"Webhook URL: {server.webhook_url}",
            "Below [sources.bitrix24.credentials] in .dlt/secrets.toml, one of these:",
            *(f"\n# {name}\n{_toml(keys)}" for name, keys in credentials.items()),
            f"\nAuthorization code for an OAuth app (30 seconds): {server.base_url}/oauth/authorize/",
            "Nothing is stored: what you change is gone when you stop it with Ctrl-C.",
        ]
    )


def _toml(keys: Mapping[str, str]) -> str:
    return "\n".join(f'{name} = "{value}"' for name, value in keys.items())

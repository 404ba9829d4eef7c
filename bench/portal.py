"""The portal of the benchmark, in a process of its own: its work must not be counted as a client's, nor share its GIL.

Speaks https, as Bitrix24 does and as one of the clients insists on. Says on stdout where it is, then answers a word on stdin
with a line on stdout: `reset` (counters and limits as new), `account` (what it was asked since). Ends with its stdin.
"""

from __future__ import annotations

import argparse
import json
import ssl
import sys
import time
from pathlib import Path

import trustme

from bitrix24_source.sandbox import Limits, Portal, SandboxServer
from bitrix24_source.sandbox.scenarios.deterministic import PERIOD

ENTITY_TYPE = 177
PAGE = 50


def main() -> None:
    options = _options()
    portal = Portal("bench", items=options.items, latency=_latency(options))
    _warm_up(portal)
    with SandboxServer(portal, tls=_tls(options.authority)) as server:
        _say({"webhook_url": server.webhook_url})
        desk = Desk(portal, limited=options.limited)
        for line in sys.stdin:
            _say(desk.reset() if line.strip() == "reset" else desk.account())


class Desk:
    """Where the runner asks what the portal was asked."""

    def __init__(self, portal: Portal, *, limited: bool) -> None:
        self._portal = portal
        self._limited = limited
        self.reset()

    def reset(self) -> dict[str, float]:
        portal = self._portal
        limits = Limits(portal.clock)
        if not self._limited:
            limits.capacity = limits.operating_seconds = None
        portal.limits = limits
        portal.requests.clear()
        portal.costs.spent = 0.0
        self._cpu = time.process_time()
        return {}

    def account(self) -> dict[str, float]:
        """`seconds` is what the portal would bill (its cost model), `cpu` what answering really took of a core."""
        seen = self._portal.requests
        return {
            "requests": len(seen),
            "pages": sum(len(request.commands) or 1 for request in seen),
            "refused": self._portal.limits.refused,
            "megabytes": sum(request.bytes_out for request in seen) / 1e6,
            "seconds": self._portal.costs.spent,
            "cpu": time.process_time() - self._cpu,
        }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--limited", action="store_true", help="with the documented limits of requests and time")
    parser.add_argument("--page-ms", type=float, default=0.0, help="time that every page takes")
    parser.add_argument("--row-ms", type=float, default=0.0, help="time that every row takes on top")
    parser.add_argument("--authority", type=Path, required=True, help="where to write the certificate to trust")
    return parser.parse_args()


def _latency(options: argparse.Namespace) -> tuple[float, float] | None:
    seconds = (options.page_ms / 1000, options.row_ms / 1000)
    return seconds if any(seconds) else None


def _warm_up(portal: Portal) -> None:
    """The first rows of each kind take longer, which should not be the first contender's luck."""
    latency, portal.costs.latency = portal.costs.latency, None
    for after in range(0, PERIOD + PAGE, PAGE):
        query = f"entityTypeId={ENTITY_TYPE}&start=-1&filter[%3Eid]={after}"
        portal.handle("GET", portal.webhook_path + "crm.item.list", query)
    portal.costs.latency = latency


def _tls(authority: Path) -> ssl.SSLContext:
    made, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("127.0.0.1").configure_cert(context)
    made.cert_pem.write_to_path(str(authority))
    return context


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()

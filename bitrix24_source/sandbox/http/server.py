"""Serves a portal over loopback HTTP, and simulates ordered network faults on real sockets.

Paths contain the webhook code, so they are never logged.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..portal.portal import Portal
from .http_response import HttpReply, json_reply

if TYPE_CHECKING:
    from typing_extensions import Self

DRIPS = 20
LOOPBACK = "127.0.0.1"


class SandboxServer:
    """A portal behind `http://127.0.0.1:<port>`; port 0 takes a free one. With `tls` it speaks https."""

    def __init__(self, portal: Portal, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.portal = portal
        self._closing = Event()
        self._scheme = "https" if tls else "http"
        try:
            self._http = _Http(port, portal, self._closing, tls)
        except OSError as error:
            raise OSError(f"Port {port} on {LOOPBACK} cannot be used: {error.strerror}. Choose another one.") from None
        self._thread = Thread(target=self._http.serve_forever, args=(0.05,), name="bitrix24-sandbox", daemon=True)

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def base_url(self) -> str:
        return f"{self._scheme}://{LOOPBACK}:{self.port}"

    @property
    def webhook_url(self) -> str:
        return self.base_url + self.portal.webhook_path

    def credentials(self) -> dict[str, dict[str, str]]:
        return self.portal.credentials(self.base_url)

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, portal: Portal, closing: Event, tls: ssl.SSLContext | None) -> None:
        self.portal, self.closing, self.tls = portal, closing, tls
        self.scheme = "https" if tls else "http"
        super().__init__((LOOPBACK, port), _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Does the TLS handshake in the connection's thread, so that a stalled client does not block the others."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints nothing: a disconnected client is normal, and a traceback could contain the request."""


class _Handler(BaseHTTPRequestHandler):
    """Serves one keep-alive connection."""

    server: _Http
    protocol_version = "HTTP/1.1"
    server_version = "Bitrix24Sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        body = self._body()
        here = urlsplit(self.path)
        base = f"{self.server.scheme}://{self.headers.get('Host', LOOPBACK)}"
        headers = dict(self.headers.items())
        try:
            reply = self.server.portal.handle(self.command, here.path, here.query, headers, body, base_url=base)
        except Exception:  # noqa: BLE001 - whatever a client sends, it gets an answer; the adapter lets errors out
            reply = json_reply(500, {"error": "INTERNAL_SERVER_ERROR", "error_description": "Internal server error"})
        self._send(reply)

    do_POST = do_HEAD = do_PUT = do_GET  # noqa: N815 - the standard library looks for these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Logs nothing, because paths contain a credential."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0].strip() or b"0", 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _send(self, reply: HttpReply) -> None:
        if reply.hangs:
            self.server.closing.wait()
        if reply.waits_seconds:
            self.server.portal.clock.sleep(reply.waits_seconds)
        if reply.hangs or reply.reset_at == "before":
            self._reset()
            return
        self.send_response(reply.status)
        if reply.reset_at == "headers":
            self.flush_headers()
            self._reset()
            return
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(reply)

    def _send_body(self, reply: HttpReply) -> None:
        if reply.reset_at == "body":
            self.wfile.write(reply.body[: len(reply.body) // 2])
            self._reset()
        elif reply.drips_seconds:
            self._drip(reply.body, reply.drips_seconds)
        else:
            self.wfile.write(reply.body)

    def _drip(self, body: bytes, seconds: float) -> None:
        size = max(1, -(-len(body) // DRIPS))
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            self.wfile.flush()
            self.server.portal.clock.sleep(seconds / DRIPS)

    def _reset(self) -> None:
        """Resets the connection instead of closing it."""
        self.close_connection = True
        with suppress(OSError):  # the client may have been faster
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

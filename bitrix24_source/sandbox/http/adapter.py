"""A `requests` transport to a portal in the same process: no socket, no port, no waiting.

Network faults become the exceptions that a socket would cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.response import HTTPResponse

from ..portal.portal import Portal
from .http_response import HttpReply


class SandboxAdapter(BaseAdapter):
    """Mount it on `https://demo.bitrix24.test/` and `https://oauth.bitrix24.test/`, or on any host at all."""

    def __init__(self, portal: Portal) -> None:
        super().__init__()
        self.portal = portal

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,  # noqa: ARG002 - there is no socket: no certificate, no proxy
        cert: Any = None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> requests.Response:
        here = urlsplit(request.url or "")
        reply = self.portal.handle(
            request.method or "GET", str(here.path), str(here.query), {str(k): str(v) for k, v in request.headers.items()},
            _body(request), base_url=f"{here.scheme}://{here.netloc}",
        )  # fmt: skip
        self._act_out(reply, request, timeout)
        return self._response(reply, request, stream=stream)

    def close(self) -> None:
        """There is nothing to close."""

    def _act_out(self, reply: HttpReply, request: requests.PreparedRequest, timeout: Any) -> None:
        patience = timeout[1] if isinstance(timeout, tuple) else timeout
        wait = reply.waits_seconds
        if reply.hangs or (patience is not None and wait > float(patience)):
            self.portal.clock.sleep(float(patience or 0))
            raise requests.ReadTimeout("Read timed out.", request=request)
        self.portal.clock.sleep(wait + reply.drips_seconds)
        if reply.reset_at in ("before", "headers"):
            raise requests.ConnectionError("Connection aborted: connection reset by peer", request=request)
        if reply.reset_at == "body":
            raise requests.exceptions.ChunkedEncodingError("Connection broken: incomplete read", request=request)

    def _response(self, reply: HttpReply, request: requests.PreparedRequest, *, stream: bool) -> requests.Response:
        response = requests.Response()
        response.status_code = reply.status
        response.headers = CaseInsensitiveDict({**reply.headers, "Content-Length": str(len(reply.body))})
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        response.raw = HTTPResponse(BytesIO(reply.body), headers=dict(response.headers), status=reply.status,
                                    preload_content=False)  # fmt: skip
        response.url, response.request = request.url or "", request
        response.connection = self  # type: ignore[assignment]  # requests types it as its own adapter
        if not stream:
            _ = response.content
        return response


def _body(request: requests.PreparedRequest) -> bytes:
    body = request.body
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else b"".join(body)

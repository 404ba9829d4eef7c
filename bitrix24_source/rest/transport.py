"""One HTTP exchange: sends bytes, returns bytes or an error. The only module that opens a socket.

`requests` puts the URL into its exceptions, and urllib3 into its log. A webhook's URL is a password, so neither leaves this
module unredacted.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version

import requests
import urllib3

from ..errors import Action, Bitrix24Error, ConfigError, PortalError, UnavailableError
from ..redaction import REDACTING_FILTER

try:
    _VERSION = version("dlt-source-bitrix24")
except PackageNotFoundError:  # copied into a project instead of installed
    _VERSION = "0"


@dataclass(frozen=True)
class HttpResponse:
    """A response, whatever its status."""

    status: int
    body: bytes = field(repr=False)
    location: str = field(default="", repr=False)


@dataclass(frozen=True)
class Timeouts:
    """Seconds. The cloud cuts a request after 60, and a batch may need them all."""

    connect: float = 10
    read: float = 75
    whole_answer: float = 300


class PortalTimeoutError(UnavailableError):
    """The portal was reached but did not finish in time; a smaller request might succeed."""


MAX_RESPONSE_BYTES = 64 << 20
"""maximum size of a response, decompressed; a batch of fifty full pages of rows with a hundred fields has about 15 MB"""


class OversizedResponseError(PortalTimeoutError):
    """A response exceeded the size limit and was not read to its end; a smaller request might succeed."""

    action = Action.FAIL

    def __init__(self, max_bytes: int, where: str) -> None:
        super().__init__(
            f"the answer is larger than {max_bytes / (1 << 20):.4g} MB, and was not read to its end",
            where,
            "check that nothing else than the portal answers; if its answers are so large, raise max_response_mb",
        )


class Transport:
    """A keep-alive session. Proxies and certificate authorities come from the usual environment variables."""

    def __init__(
        self,
        session: requests.Session | None = None,
        timeouts: Timeouts | None = None,
        max_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        """`max_bytes` limits the decompressed size of a response; no memory is allocated for more."""
        self._session = _hardened_session(session or requests.Session())
        self._timeouts = timeouts or Timeouts()
        self._max_bytes = max_bytes

    def post(self, url: str, body: bytes, where: str) -> HttpResponse:
        """Sends a POST request; raises UnavailableError or ConfigError without a response, OversizedResponseError for a long one."""
        return self._exchange("POST", url, where, body=body)

    def get(self, url: str, query: Mapping[str, str], where: str) -> HttpResponse:
        """Sends a GET request, like `post`; used for token servers only."""
        return self._exchange("GET", url, where, query=query)

    def close(self) -> None:
        self._session.close()

    def _exchange(
        self, verb: str, url: str, where: str, body: bytes | None = None, query: Mapping[str, str] | None = None
    ) -> HttpResponse:
        failure: Bitrix24Error
        try:
            with self._session.request(
                verb,
                url,
                data=body,
                params=query,
                timeout=(self._timeouts.connect, self._timeouts.read),
                allow_redirects=False,
                stream=True,
            ) as response:
                whole = _read_body(response, self._timeouts.whole_answer, self._max_bytes, where)
                return HttpResponse(response.status_code, whole, response.headers.get("Location", ""))
        except Bitrix24Error as error:
            failure = error
        except (requests.RequestException, urllib3.exceptions.HTTPError, zlib.error) as error:
            failure = _network_error(error, where)
        except (OSError, ValueError) as error:  # e.g. a host name that cannot be encoded
            failure = ConfigError(
                f"the request cannot be sent ({type(error).__name__})",
                where,
                "check the address, the proxy settings and the file that REQUESTS_CA_BUNDLE names",
            )
        raise failure  # outside the handlers, because the context of an exception is printed, too


def _read_body(response: requests.Response, seconds: float, max_bytes: int, where: str) -> bytes:
    """Reads the whole body within a time limit; a socket's time-out only limits the pause between two bytes.

    `read1` returns what has arrived. `iter_content` waits for a full chunk, so a slow portal could exceed the limit.
    """
    ends_at = time.monotonic() + seconds
    chunks, size = [], 0
    for chunk in _unpacked(response.raw, response.headers.get("Content-Encoding", ""), where):
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise OversizedResponseError(max_bytes, where)
        if time.monotonic() > ends_at:
            raise requests.exceptions.ReadTimeout
    return b"".join(chunks)


_RAW_CHUNK = 1 << 18
_UNPACKED_CHUNK = 1 << 20


def _unpacked(raw: urllib3.HTTPResponse, encoding: str, where: str) -> Iterator[bytes]:
    """Yields the body as it arrives, decompressed in pieces of bounded size: one byte of gzip can become a thousand.

    urllib3 would decompress everything that has arrived at once, and apply every encoding that the server names.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        while chunk := raw.read1(_RAW_CHUNK, decode_content=False):
            yield chunk
        return
    if encoding not in ("gzip", "x-gzip"):
        raise PortalError(
            f"the answer is packed as {encoding[:40]!r}, which was not asked for", where, "check proxies on the way"
        )
    decoder, has_begun = zlib.decompressobj(zlib.MAX_WBITS | 16), False
    while packed := raw.read1(_RAW_CHUNK, decode_content=False):
        has_begun = True
        while packed and not decoder.eof:
            yield decoder.decompress(packed, _UNPACKED_CHUNK)
            packed = decoder.unconsumed_tail
    if has_begun and not decoder.eof:
        raise urllib3.exceptions.ProtocolError("the packed answer is cut off")


def _network_error(error: Exception, where: str) -> Bitrix24Error:
    return _connection_error(error, where) or _exchange_error(error, where)


def _connection_error(error: Exception, where: str) -> Bitrix24Error | None:
    """Returns an error if there was no connection, so nothing was sent; None if there was one."""
    text = f"{type(error).__name__} {error}"
    failure: Bitrix24Error
    if isinstance(error, requests.exceptions.SSLError) and "EOF occurred" not in text:  # a reset is temporary
        failure = ConfigError(
            "the TLS connection could not be verified",
            where,
            "check the portal's certificate; for a private authority set REQUESTS_CA_BUNDLE to its certificate file",
        )
    elif isinstance(error, requests.exceptions.ProxyError):
        failure = UnavailableError("the proxy cannot be used", where, "check HTTPS_PROXY and NO_PROXY")
    elif isinstance(error, requests.exceptions.ConnectTimeout):
        failure = UnavailableError(
            "the portal could not be reached in time", where, "check address, firewall and proxy"
        )
    elif isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)):
        failure = ConfigError("this address cannot be used", where, "check the portal's address")
    elif "NameResolutionError" in text or "getaddrinfo" in text:
        failure = UnavailableError(
            "the portal's host name was not found", where, "check it for typing errors; check DNS"
        )
    elif "Connection refused" in text or "NewConnectionError" in text:
        failure = UnavailableError(
            "the portal refused the connection", where, "check host and port, firewall and proxy"
        )
    else:
        return None
    failure.was_sent = False
    return failure


def _exchange_error(error: Exception, where: str) -> Bitrix24Error:
    if isinstance(error, (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError)):
        return PortalTimeoutError("the portal did not answer in time", where, "try again later")
    return UnavailableError("the connection broke before the answer was complete", where, "try again later")


def _hardened_session(session: requests.Session) -> requests.Session:
    """Makes calls independent: no cookies, and no password from ~/.netrc."""
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.auth = _unchanged
    session.headers.update(
        {
            "User-Agent": f"dlt-source-bitrix24/{_VERSION}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Content-Type": "application/json",
        }
    )
    for name in ("urllib3.connectionpool", "urllib3.util.retry"):
        logger = logging.getLogger(name)
        if REDACTING_FILTER not in logger.filters:
            logger.addFilter(REDACTING_FILTER)
    return session


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request

"""What only a socket, a certificate or a proxy can prove."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone

import orjson
import pytest
import trustme

from bitrix24_source.errors import ConfigError, UnavailableError
from bitrix24_source.rest.client import Client, ClientSettings
from bitrix24_source.rest.transport import PortalTimeoutError, Timeouts, Transport
from bitrix24_source.sandbox import Fault, Portal, SandboxServer
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

from .conftest import CODE, read_request

GOOD = orjson.dumps({"result": {"ID": "1"}})


def answer(body: bytes = GOOD, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
def portal_at(clock) -> Iterator:
    """portal_at(base_url): a client by webhook over real sockets, on the movable clock."""
    clients = []

    def make(base_url: str, code: str = CODE, **timeouts: float) -> Client:
        credentials = Bitrix24Credentials(auth="webhook", webhook_url=f"{base_url}/rest/1/{code}/")
        client = Client(auth_from_credentials(credentials), ClientSettings(timeouts=Timeouts(**timeouts)), clock=clock)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def serving(portal: Portal, portal_at) -> Iterator:
    """The sandbox behind a socket, and a client of it with short time-outs."""
    with SandboxServer(portal) as server:
        yield portal_at(server.base_url, portal.webhook_code, read=0.2)


# --- one session --------------------------------------------------------------------------------------------------------


def test_one_connection_for_many_calls(serving, no_network):
    """A hundred calls, refused ones among them, need one connection."""
    for _ in range(50):
        serving.call("profile")
        with pytest.raises(Exception, match="does not have the method"):
            serving.call("no.such.method")

    assert len(no_network) == 1


def test_a_connection_that_the_portal_closed(loopback, portal_at, clock):
    """A keep-alive connection that the portal dropped in the meantime costs one silent retry."""

    def one_answer(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer())

    server = loopback(one_answer)
    client = portal_at(f"http://127.0.0.1:{server.port}")

    assert [client.call("profile").result for _ in range(3)] == [{"ID": "1"}] * 3


def test_what_is_sent(loopback, portal_at):
    """POST with JSON to the method's address, with a User-Agent of ours, and nothing that came from elsewhere."""
    received: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        while request := read_request(connection):
            received.append(request)
            connection.sendall(
                answer(GOOD, "Set-Cookie: BITRIX_SM_LOGIN=me; Path=/", "Set-Cookie: PHPSESSID=1; Path=/")
            )

    client = portal_at(f"http://127.0.0.1:{loopback(listen).port}")
    client.call("crm.type.list", {"filter": {">id": 1}})
    client.call("profile")

    head, _, body = received[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    assert lines[0] == f"POST /rest/1/{CODE}/crm.type.list HTTP/1.1"
    assert orjson.loads(body) == {"filter": {">id": 1}}
    assert headers["content-type"] == headers["accept"] == "application/json"
    assert headers["user-agent"].startswith("dlt-source-bitrix24/")
    assert "gzip" in headers["accept-encoding"]
    assert {"cookie", "authorization"}.isdisjoint(headers)


def test_no_cookies_are_kept(loopback, portal_at):
    """What the portal sets as cookies is not sent back: every call stands alone."""
    received: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        while request := read_request(connection):
            received.append(request)
            connection.sendall(answer(GOOD, "Set-Cookie: PHPSESSID=1; Path=/; Domain=127.0.0.1", "Set-Cookie: A=1"))

    client = portal_at(f"http://127.0.0.1:{loopback(listen).port}")
    for _ in range(3):
        client.call("profile")

    assert len(received) == 3
    assert not [request for request in received if b"cookie" in request.lower()]


@pytest.mark.parametrize("where", ["home/.netrc", "netrc"])
def test_passwords_of_netrc_stay_at_home(loopback, portal_at, tmp_path, monkeypatch, where):
    """A ~/.netrc with a password for the portal's host, or for any host, is not used."""
    (tmp_path / where).write_text("machine 127.0.0.1 login me password s3cret\ndefault login me password s3cret\n")
    (tmp_path / where).chmod(0o600)
    if where == "netrc":
        monkeypatch.setenv("NETRC", str(tmp_path / where))
    received: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        received.append(read_request(connection))
        connection.sendall(answer())

    portal_at(f"http://127.0.0.1:{loopback(listen).port}").call("profile")

    assert b"authorization" not in received[0].lower()


def test_timeouts_are_explicit(scripted_client, mocker):
    """Every request has both time-outs: ten seconds to connect, and more than the minute that a batch may take to read."""
    scripted_client({"json": {"result": 1}}).call("profile")

    assert mocker.last_request.timeout == (10, 75)
    assert mocker.last_request.verify is True


# --- answers that break ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["before", "headers", "body"])
def test_resets(serving, portal, at):
    """A connection that is reset before, in the middle of and after the headers is tried again."""
    portal.faults.add(Fault("profile", "reset", at=at))

    assert serving.call("profile").result["ID"]
    assert len(portal.requests) == 2


@pytest.mark.parametrize("kind", ["truncate", "empty", "invalid_utf8"])
def test_spoilt_answers(serving, portal, kind):
    """What arrives whole and cannot be read is asked for again."""
    portal.faults.add(Fault("profile", kind))

    assert serving.call("profile").result["ID"]
    assert len(portal.requests) == 2


def test_silence(serving, portal):
    """A portal that takes the request and says nothing is a time-out, and tried again."""
    portal.faults.add(Fault("profile", "hang"))

    assert serving.call("profile").result["ID"]
    assert len(portal.requests) == 2


def stalling(sent: bytes):
    def stall(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(sent)
        connection.recv(1)  # until the client goes

    return stall


@pytest.mark.parametrize(
    "sent",
    [
        b"", b"HTTP/1.1 200 OK\r\nContent-Len", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"resu',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{"resu\r\n',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n63\r\n{"resu',
    ],
)  # fmt: skip
def test_answers_that_stop(loopback, portal_at, sent):
    """Wherever an answer stops it is a time-out, so that a batch is halved and not just repeated."""
    transport = Transport(timeouts=Timeouts(read=0.1))
    with pytest.raises(PortalTimeoutError, match="the portal did not answer in time"):
        transport.post(f"http://127.0.0.1:{loopback(stalling(sent)).port}/rest/1/{CODE}/profile", b"{}", "profile")
    transport.close()


def test_answers_that_drip(loopback):
    """A portal that sends a byte now and then keeps us no longer than the limit for a whole answer."""
    gone = threading.Event()

    def drip(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        with suppress(OSError):
            while not gone.wait(0.01):
                connection.sendall(b" ")

    transport = Transport(timeouts=Timeouts(read=5, whole_answer=0.1))
    with pytest.raises(PortalTimeoutError):
        transport.post(f"http://127.0.0.1:{loopback(drip).port}/rest/1/{CODE}/profile", b"{}", "profile")
    gone.set()
    transport.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n63\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nno gz",
        b"this is not HTTP\r\n\r\n",
        b"\x00" * 100,
    ],
)
def test_answers_that_are_cut_off(loopback, sent):
    """An end before the end, or something that is not HTTP, is a broken connection, which may work the next time."""

    def cut(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(sent)

    transport = Transport()
    with pytest.raises(UnavailableError, match="the connection broke") as caught:
        transport.post(f"http://127.0.0.1:{loopback(cut).port}/rest/1/{CODE}/profile", b"{}", "profile")
    transport.close()

    assert not isinstance(caught.value, PortalTimeoutError)


@pytest.mark.parametrize("size", [0, 1, 300_000, 3_000_000])
@pytest.mark.parametrize("packed", [True, False])
def test_answers_arrive_whole(loopback, size, packed):
    """Large and small answers come out as they went in, packed or not."""
    body = b"x" * size
    sent = answer(gzip.compress(body), "Content-Encoding: gzip") if packed else answer(body)

    def send(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(sent)

    transport = Transport()
    response = transport.post(f"http://127.0.0.1:{loopback(send).port}/rest/1/{CODE}/profile", b"{}", "profile")
    transport.close()

    assert (response.status, response.body) == (200, body)


# --- portals that are not there -------------------------------------------------------------------------------------------


def test_a_host_that_does_not_exist(portal_at):
    """A name that nobody knows is called that."""
    with pytest.raises(UnavailableError, match="the portal's host name was not found - profile at no-such-portal"):
        portal_at("https://no-such-portal.invalid").call("profile")


def test_a_port_where_nobody_listens(portal_at):
    """A refused connection is called that."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UnavailableError, match=f"the portal refused the connection - profile at 127.0.0.1:{port}"):
        portal_at(f"http://127.0.0.1:{port}").call("profile")


# --- TLS ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path, monkeypatch):
    """The authority's certificate, where REQUESTS_CA_BUNDLE finds it."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))


@pytest.fixture
def secure(portal, authority):
    """secure(): the sandbox behind TLS, with a certificate for this machine unless another name is given."""

    def serve(name: str = "127.0.0.1", **issue: object) -> SandboxServer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, **issue).configure_cert(context)
        return SandboxServer(portal, tls=context)

    return serve


NOT_VERIFIED = "the TLS connection could not be verified - profile at 127.0.0.1:"


def test_an_unknown_authority_is_refused(secure, portal, portal_at, clock):
    """A certificate that nobody vouches for ends the run at once, with the way to trust a private authority."""
    with secure() as server, pytest.raises(ConfigError) as caught:
        portal_at(server.base_url, portal.webhook_code).call("profile")

    assert str(caught.value).startswith(NOT_VERIFIED)
    assert "set REQUESTS_CA_BUNDLE to its certificate file" in str(caught.value)
    assert (portal.requests, clock.monotonic()) == ([], 0)


def test_a_private_authority_is_accepted(secure, portal, portal_at, trusted):
    """With REQUESTS_CA_BUNDLE naming the authority the same portal is read."""
    with secure() as server:
        assert portal_at(server.base_url, portal.webhook_code).call("profile").result["ID"]


@pytest.mark.parametrize(
    ("name", "issue"),
    [("crm.example.com", {}), ("127.0.0.1", {"not_after": datetime(2020, 1, 1, tzinfo=timezone.utc)})],
    ids=["another name", "expired"],
)
def test_a_wrong_certificate_is_refused(secure, portal, portal_at, trusted, name, issue):
    """Another host's certificate and an expired one are refused although the authority is trusted."""
    with secure(name, **issue) as server, pytest.raises(ConfigError, match=NOT_VERIFIED):
        portal_at(server.base_url, portal.webhook_code).call("profile")

    assert portal.requests == []


def test_a_bundle_that_is_missing(secure, portal, portal_at, monkeypatch):
    """REQUESTS_CA_BUNDLE that names no file is a setting to mend, and named."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    with secure() as server, pytest.raises(ConfigError, match="the file that REQUESTS_CA_BUNDLE names"):
        portal_at(server.base_url, portal.webhook_code).call("profile")


def test_a_server_without_tls(portal, portal_at):
    """https:// to a server that speaks plain http is a wrong address and no passing trouble."""
    with SandboxServer(portal) as server, pytest.raises(ConfigError, match=NOT_VERIFIED):
        portal_at(f"https://127.0.0.1:{server.port}", portal.webhook_code).call("profile")


def test_a_handshake_that_breaks_off(loopback, portal_at, trusted):
    """A connection that ends during the handshake says nothing about certificates: it is tried again."""
    server = loopback(lambda connection: connection.recv(65536))
    with pytest.raises(UnavailableError, match="the connection broke"):
        portal_at(f"https://127.0.0.1:{server.port}").call("profile")

    assert server.connections == 3


# --- proxies --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_for_http(loopback, portal_at, monkeypatch, name):
    """The usual variables lead through a proxy, which is asked for the whole address."""
    received: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        while request := read_request(connection):
            received.append(request)
            connection.sendall(answer())

    monkeypatch.setenv(name, f"http://127.0.0.1:{loopback(proxy).port}")

    assert portal_at("http://127.0.0.1:9").call("profile").result == {"ID": "1"}
    assert received[0].startswith(f"POST http://127.0.0.1:9/rest/1/{CODE}/profile HTTP/1.1".encode())


def test_a_proxy_for_https(secure, loopback, portal, portal_at, monkeypatch, trusted):
    """Through HTTPS_PROXY a tunnel leads to the portal: the proxy learns its name and nothing of what is said."""
    received: list[bytes] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                received.append(data)
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    with secure("crm.example.com") as server:

        def tunnel(connection: socket.socket) -> None:
            received.append(read_request(connection))
            with socket.create_connection(("127.0.0.1", server.port)) as onward:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=pump, args=(onward, connection), daemon=True)
                back.start()
                pump(connection, onward)
                back.join()

        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{loopback(tunnel).port}")
        client = portal_at("https://crm.example.com", portal.webhook_code)
        assert client.call("profile").result["ID"]
        client.close()

    assert received[0].startswith(b"CONNECT crm.example.com:443 HTTP/1.")
    assert portal.webhook_code.encode() not in b"".join(received)


def test_no_proxy(loopback, portal, portal_at, monkeypatch):
    """NO_PROXY leads past the proxy."""
    proxy = loopback(lambda connection: None)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with SandboxServer(portal) as server:
        assert portal_at(server.base_url, portal.webhook_code).call("profile").result["ID"]

    assert proxy.connections == 0


def test_a_proxy_that_refuses(loopback, portal_at, monkeypatch):
    """A proxy that will not open a tunnel is named as the place to look, and its password is not."""

    def refuse(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    monkeypatch.setenv("HTTPS_PROXY", f"http://me:s3cret@127.0.0.1:{loopback(refuse).port}")
    with pytest.raises(UnavailableError) as caught:
        portal_at("https://crm.example.com").call("profile")

    assert str(caught.value) == (
        "the proxy cannot be used - profile at crm.example.com - check HTTPS_PROXY and NO_PROXY"
    )

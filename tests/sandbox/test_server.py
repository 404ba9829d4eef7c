"""The portal behind a real socket: keep-alive, resets, drips, TLS, a port in use, nothing in the log."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from threading import Event, Thread
from urllib.parse import urlsplit

import pytest
import requests
import trustme

from bitrix24_source.sandbox import Fault, Portal, SandboxServer
from bitrix24_source.sandbox.http.serve import serve_forever


@pytest.fixture
def server(portal):
    with SandboxServer(portal) as server:
        yield server


def test_one_connection_for_many_requests(server, capfd):
    """HTTP/1.1 keep-alive: the socket of the first request serves the last; nothing is printed."""
    here = urlsplit(server.webhook_url)
    connection = http.client.HTTPConnection(here.hostname, here.port, timeout=10)
    sockets = set()
    for _ in range(5):
        connection.request("POST", here.path + "profile", b"{}", {"Content-Type": "application/json"})
        assert json.loads(connection.getresponse().read())["result"]["ID"] == "1"
        sockets.add(id(connection.sock))
    connection.close()

    assert len(sockets) == 1
    assert capfd.readouterr() == ("", "")


def test_credentials_point_at_the_server(server):
    """All three ready configurations name the loopback address, the token endpoint too."""
    credentials = server.credentials()
    app = credentials["oauth2"]
    params = {
        "grant_type": "refresh_token",
        **{key: app[key] for key in ("client_id", "client_secret", "refresh_token")},
    }
    token = requests.get(app["token_url"], params=params, timeout=10).json()

    assert credentials["webhook"]["webhook_url"] == server.webhook_url
    assert credentials["api_key"]["api_key"] == "1/" + server.portal.webhook_code
    assert token["client_endpoint"] == server.base_url + "/rest/"
    answer = requests.post(token["client_endpoint"] + "profile", json={"auth": token["access_token"]}, timeout=10)
    assert answer.json()["result"]["ID"] == "1"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind="reset"), requests.ConnectionError),
        (Fault(kind="reset", at="headers"), requests.ConnectionError),
        (Fault(kind="reset", at="body"), (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)),
        (Fault(kind="hang"), requests.ReadTimeout),
    ],
)
def test_the_socket_breaks_as_told(server, portal, fault, error):
    """What the adapter raises is what a socket does."""
    portal.faults.add(fault)

    with pytest.raises(error):
        requests.post(server.webhook_url + "user.get", json={}, timeout=0.3)
    assert requests.post(server.webhook_url + "profile", json={}, timeout=10).status_code == 200


def test_a_drip_arrives_whole(server, portal, clock):
    """A body in twenty pieces is the same body."""
    portal.faults.add(Fault(kind="drip", seconds=20))

    assert len(requests.post(server.webhook_url + "user.get", json={}, timeout=10).json()["result"]) == 16
    assert 18.5 < clock.monotonic() < 20.5  # the server may still pause after the last piece


def test_a_renamed_portal_over_two_sockets(portal):
    """The old address redirects, the new one answers."""
    with SandboxServer(portal) as old, SandboxServer(portal) as new:
        portal.move_to(new.base_url)
        answer = requests.post(old.webhook_url + "profile", json={}, timeout=10, allow_redirects=False)

        assert (answer.status_code, answer.headers["Location"]) == (302, new.webhook_url + "profile")
        assert requests.post(answer.headers["Location"], json={}, timeout=10).status_code == 200


def test_chunked_bodies_are_read(server):
    """A client that streams its body is understood."""
    parts = iter([b'{"entityType', b'Id": 177}'])
    headers = {"Content-Type": "application/json"}
    answer = requests.post(server.webhook_url + "crm.item.fields", data=parts, headers=headers, timeout=10)

    assert "stageId" in answer.json()["result"]["fields"]


def test_tls(portal, tmp_path):
    """With a certificate it speaks https; a client that stalls in the handshake stalls nobody else."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with SandboxServer(portal, tls=context) as server, socket.create_connection(("127.0.0.1", server.port)):
        answer = requests.post(server.webhook_url + "profile", json={}, timeout=10, verify=str(tmp_path / "ca.pem"))

    assert server.base_url.startswith("https://")
    assert answer.json()["result"]["ID"] == "1"


def test_a_port_in_use_is_one_clear_sentence(server):
    """The message names the port and says what to do."""
    with pytest.raises(OSError, match=f"Port {server.port} on 127.0.0.1 cannot be used: .*Choose another one"):
        SandboxServer(Portal(scenario="empty"), port=server.port)


def test_serve_forever_prints_credentials_to_paste(tmp_path):
    """The webhook URL works, and each block is TOML."""
    tomllib = pytest.importorskip("tomllib")
    printed, stop, ready = [], Event(), Event()

    def out(text):
        printed.append(text)
        ready.set()

    thread = Thread(target=serve_forever, kwargs={"port": 0, "items": 60, "out": out, "until": stop})
    thread.start()
    assert ready.wait(10)
    url = next(line for line in printed[0].splitlines() if line.startswith("Webhook URL: ")).partition(": ")[2]
    answer = requests.post(url + "profile", json={}, timeout=10)
    stop.set()
    thread.join(10)
    blocks = [block.partition("\n")[2] for block in printed[0].split("\n\n# ")[1:]]
    read = [tomllib.loads(block.split("\n\n")[0]) for block in blocks]

    assert answer.status_code == 200
    assert [answer["auth"] for answer in read] == ["webhook", "oauth2", "api_key"]
    assert read[0]["webhook_url"] == url

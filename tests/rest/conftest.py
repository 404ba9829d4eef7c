"""Portals that answer exactly what a test says, and a plain loopback server for what only a socket can prove."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import requests_mock

from bitrix24_source.rest.client import Client, ClientSettings
from bitrix24_source.rest.retry import RetryPolicy
from bitrix24_source.sandbox import Clock, Portal
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

PORTAL = "https://crm.example.com"
CODE = "c0deofthewebh00k"
URL = f"{PORTAL}/rest/1/{CODE}/"

ScriptedClient = Callable[..., Client]


@pytest.fixture
def portal(clock: Clock) -> Portal:
    """Nobody's items: what goes to and fro is looked at, whatever it holds. The believable company takes ten times as long."""
    return Portal("empty", clock=clock)


@pytest.fixture
def retry_policy() -> RetryPolicy:
    """The product's own retry_policy, with dice that fall alike in every run."""
    return RetryPolicy(rng=random.Random(7))


@pytest.fixture
def mocker() -> Iterator[requests_mock.Mocker]:
    """Answers in place of the network; its `request_history` is what was sent."""
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def scripted_client(mocker: requests_mock.Mocker, clock: Clock, retry_policy: RetryPolicy) -> ScriptedClient:
    """scripted_client(answer, answer, ...): a client by webhook whose portal gives these answers, and the last one from then on."""

    def make(*answers: dict[str, Any], settings: ClientSettings | None = None) -> Client:
        mocker.post(requests_mock.ANY, list(answers))
        credentials = Bitrix24Credentials(auth="webhook", webhook_url=URL)
        return Client(
            auth_from_credentials(credentials), settings or ClientSettings(retry_policy=retry_policy), clock=clock
        )

    return make


class Loopback:
    """A server that treats each connection as it is told, and counts them."""

    def __init__(self, treat: Callable[[socket.socket], None]) -> None:
        self._treat = treat
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):  # wakes `accept`, which closing alone does not
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client may go first
            self._treat(connection)


def read_request(connection: socket.socket) -> bytes:
    """One HTTP request with its body; b"" when the client has gone."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return b""
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def loopback() -> Iterator[Callable[[Callable[[socket.socket], None]], Loopback]]:
    """loopback(treat): a server on 127.0.0.1 that hands each connection to `treat`."""
    with ExitStack() as open_:

        def serve(treat: Callable[[socket.socket], None]) -> Loopback:
            server = Loopback(treat)
            open_.callback(server.close)
            return server

        yield serve

"""Answers without end cost one sentence and bounded memory, packed or not, whatever they hold."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib

import orjson
import pytest

from bitrix24_source.errors import ConfigError
from bitrix24_source.rest import Call, Client, ClientSettings, Response, call_many
from bitrix24_source.rest.json_codec import BYTES_PER_VALUE, exceeds_values, parse_json_object
from bitrix24_source.rest.transport import MAX_RESPONSE_BYTES, OversizedResponseError
from bitrix24_source.sandbox import SandboxServer
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials
from bitrix24_source.source.source import connect as connect_configured

from .conftest import CODE, Loopback, read_request

MEGABYTE = 1 << 20
ROWS = b'{"id":1,"title":"Equipment"},' * (MEGABYTE // 29)


def sending(*parts, headers=(), begin=b'{"result":['):
    """Answers every request with a beginning, and then with the parts over and over, until the client goes."""

    def treat(connection):
        while read_request(connection):
            head = "\r\n".join(["HTTP/1.1 200 OK", "Content-Type: application/json", "Connection: close", *headers])
            connection.sendall(head.encode() + b"\r\n\r\n" + begin)
            while True:
                for part in parts:
                    connection.sendall(part)

    return treat


def packed(*parts, begin=b'{"result":['):
    """The same packed: three megabytes of it are three gigabytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    start = packer.compress(begin) + packer.flush(zlib.Z_FULL_FLUSH)
    blocks = [packer.compress(part) + packer.flush(zlib.Z_FULL_FLUSH) for part in parts for _ in (1, 2)][1::2]
    return sending(*blocks, headers=["Content-Encoding: gzip"], begin=start)


ENDLESS = {
    "rows": sending(ROWS),
    "rows, packed": packed(ROWS),
    "spaces, packed": packed(b" " * MEGABYTE),
    "empty lists, packed": packed(b"[]," * (MEGABYTE // 3)),
    "empty objects": sending(b"{}," * (MEGABYTE // 3)),
    "nested lists, packed": packed(b"[" * MEGABYTE),
    "nested objects": sending(b'{"a":' * (MEGABYTE // 5)),
    "one text, packed": packed(b"a" * MEGABYTE, begin=b'{"result":"'),
    "one number": sending(b"1" * MEGABYTE, begin=b'{"result":'),
    "packed twice": packed(gzip.compress(b" " * MEGABYTE)),
}

ASKER = """
import os, sys
from bitrix24_source.errors import Bitrix24Error
from bitrix24_source.rest import Client, StaticAuth

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))

for address in sys.argv[1:]:
    if not os.fork():
        try:
            Client(StaticAuth("webhook", address)).call("profile")
        except Bitrix24Error as error:
            print(address, peak(), error, flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def asked():
    """By kind: what a client says in a process of its own, the megabytes that the process took at most, and its connections."""
    servers = {kind: Loopback(treat) for kind, treat in ENDLESS.items()}
    addresses = {kind: f"http://127.0.0.1:{server.port}/rest/1/{CODE}/" for kind, server in servers.items()}
    command = [sys.executable, "-c", ASKER, *addresses.values()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    for server in servers.values():
        server.close()
    assert done.stderr == ""
    answers = [line.split(" ", 2) for line in done.stdout.splitlines()]
    return {
        kind: [(said, int(megabytes), servers[kind].connections) for of, megabytes, said in answers if of == address]
        for kind, address in addresses.items()
    }


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of one process is read from /proc")
@pytest.mark.parametrize("kind", ENDLESS)
def test_an_answer_without_end_is_one_sentence_and_bounded_memory(asked, kind):
    """Whatever comes without end, packed or not: one sentence that says what to do, within 300 MB."""
    ((said, megabytes, connections),) = asked[kind]

    assert said.startswith("the answer is larger than 64 MB, and was not read to its end - profile at 127.0.0.1")
    assert "max_response_mb" in said
    assert megabytes < 300
    assert connections == 1


def test_dense_values_within_the_bound_are_refused_before_they_are_made(scripted_client):
    """Bytes are not all that costs memory: millions of empty lists would take twenty times their size."""
    settings = ClientSettings(max_response_bytes=MEGABYTE)
    client = scripted_client({"content": b'{"result":[' + b"[]," * 200_000 + b"[]]}"}, settings=settings)

    with pytest.raises(OversizedResponseError, match="larger than 1 MB"):
        client.call("profile")


def test_the_bound_is_far_above_a_large_page():
    """A batch of fifty full pages, each row with a hundred fields, takes a quarter of the bound, in bytes as in values."""
    body = orjson.dumps({"result": {"items": [{f"ufCrm{i}Field": "a value of a field" for i in range(100)}] * 2500}})

    assert len(body) < MAX_RESPONSE_BYTES / 4
    assert not exceeds_values(body, MAX_RESPONSE_BYTES // BYTES_PER_VALUE // 4)


@pytest.mark.parametrize(
    "text",
    [
        b'{"result":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"result":' + b'{"a":' * 900 + b"1" + b"}" * 901,
        b'{"result":' + b'[{"a":' * 400 + b"1" + b"}]" * 400 + b"}",
        b'{"result":' + b"[" * 500 + b"NaN" + b"]" * 500 + b"}",
        b'{"result":' + b"[" * 100_000,
    ],
)
def test_deep_nesting_is_no_answer(text):
    """What would exhaust the stack of whoever walks through it is no valid answer."""
    assert parse_json_object(text) is None


@pytest.mark.parametrize(
    "text", [b'{"result":' + b"[" * 100 + b"]" * 100 + b"}", b'{"result":[[[[[[[[["]]]]]]]]]"]]]]]]]]]}']
)
def test_nesting_that_can_be_walked_through_is_an_answer(text):
    """A hundred levels are more than any portal has, and stay an answer; brackets in texts are no levels."""
    assert parse_json_object(text) is not None


ITEMS = Call("crm.item.list", {"entityTypeId": 177, "select": ["*"]})


@pytest.fixture
def bounded(portal, clock):
    """bounded(pages): a client whose bound is so many pages of items; what was asked before is forgotten."""
    clients = []
    portal.add_type("Purchases", entity_type_id=177, items=60)
    with SandboxServer(portal) as server:

        def make(pages):
            auth = auth_from_credentials(Bitrix24Credentials(**server.credentials()["webhook"]))
            clients.append(Client(auth, clock=clock))
            clients[-1].call(ITEMS.method, ITEMS.params)
            most = int(pages * portal.requests[-1].bytes_out)
            clients.append(Client(auth, ClientSettings(max_response_bytes=most), clock=clock))
            portal.requests.clear()
            return clients[-1]

        yield make
        for client in clients:
            client.close()


def test_a_batch_that_is_too_large_is_asked_in_halves(bounded, portal):
    """As with a time-out: fewer calls have smaller answers, and all of them are answered."""
    outcomes = call_many(bounded(pages=3), [ITEMS] * 4)

    assert all(isinstance(outcome, Response) for outcome in outcomes)
    assert [len(seen.commands) for seen in portal.requests] == [4, 2, 2]


def test_a_call_that_is_too_large_alone_is_its_own_failure(bounded):
    """The others of the batch are answered, and nobody waits for the answer to become smaller."""
    outcomes = call_many(bounded(pages=0.5), [Call("profile"), ITEMS, Call("server.time")])

    assert [isinstance(outcome, Response) for outcome in outcomes] == [True, False, True]
    assert isinstance(outcomes[1], OversizedResponseError)


@pytest.mark.parametrize("cut", [10, -1])
def test_a_packed_answer_that_is_cut_off_is_asked_for_again(scripted_client, cut):
    """Half of a packed answer is no answer, and passes."""
    good = gzip.compress(b'{"result": {"ID": "1"}}')
    headers = {"Content-Encoding": "gzip"}
    client = scripted_client({"content": good[:cut], "headers": headers}, {"content": good, "headers": headers})

    assert client.call("profile").result == {"ID": "1"}


def test_what_is_packed_otherwise_is_refused(scripted_client):
    """An encoding that nobody asked for is not unpacked."""
    with pytest.raises(Exception, match="packed as 'gzip, gzip'"):
        scripted_client({"content": b"x", "headers": {"Content-Encoding": "gzip, gzip"}}).call("profile")


def test_the_bound_is_a_setting():
    """max_response_mb is in megabytes, and is looked at before anything is asked."""
    credentials = {"auth": "webhook", "webhook_url": f"https://crm.example.com/rest/1/{CODE}/"}

    assert connect_configured(credentials, max_response_mb=8).settings.max_response_bytes == 8 * MEGABYTE
    assert connect_configured(credentials).settings.max_response_bytes == 64 * MEGABYTE
    with pytest.raises(ConfigError, match="max_response_mb cannot be 0"):
        connect_configured(credentials, max_response_mb=0)

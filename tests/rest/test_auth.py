"""oauth2: renewed when the portal says so, once however many were refused, and stored before it is used."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests_mock

from bitrix24_source.errors import (
    AccessError,
    Bitrix24Error,
    ConfigError,
    CredentialError,
    ExpiredTokenError,
    UnavailableError,
)
from bitrix24_source.rest.batching import call_many
from bitrix24_source.rest.client import Client
from bitrix24_source.rest.protocol import Call, Response
from bitrix24_source.rest.token_store import FileTokenStore, TokenPair, TokenStore
from bitrix24_source.sandbox import Fault, Portal, SandboxServer
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

FOUR = [Call("profile"), Call("crm.type.list"), Call("server.time"), Call("scope")]
NAMES = tuple(call.method for call in FOUR)


def asked(portal: Portal) -> list[str]:
    return [seen.method for seen in portal.requests]


def exchanges(portal: Portal) -> int:
    return asked(portal).count("oauth.token")


def oauth_clients(connect, tmp_path: Path):
    """Clients that share one token file, as two runs of one job do."""
    return lambda **changed: connect("oauth2", token_file=str(tmp_path / "pair.json"), **changed)


class MemoryStore:
    """A store of somebody's own, which remembers what was asked of it."""

    def __init__(self, portal: Portal) -> None:
        self.pair: TokenPair | None = None
        self.steps: list[str] = []
        self._portal = portal

    def _note(self, step: str) -> None:
        self.steps.append(f"{step} after {exchanges(self._portal)} exchanges")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        self._note("lock")
        yield
        self._note("release")

    def load(self) -> TokenPair | None:
        return self.pair

    def prepare(self) -> None:
        self._note("prepare")

    def save(self, pair: TokenPair) -> None:
        self._note("save")
        self.pair = pair


class OpenStore(MemoryStore):
    """Its lock holds nobody off, and whoever is inside leaves the door open until a second one has come in, or none can."""

    def __init__(self, portal: Portal) -> None:
        super().__init__(portal)
        self._door = threading.Barrier(2)

    def prepare(self) -> None:
        super().prepare()
        try:
            self._door.wait(timeout=0.1)
        except threading.BrokenBarrierError:
            self._door.reset()


# --- when ---------------------------------------------------------------------------------------------------------------


def test_before_the_very_first_call(connect, portal):
    """With nothing but the configured refresh token, one exchange precedes the first call and serves all later ones."""
    client = connect("oauth2")
    for _ in range(3):
        client.call("profile")

    assert asked(portal) == ["oauth.token", "profile", "profile", "profile"]


def test_not_before_it_expires(connect, portal, clock):
    """No timer: a token is used to its last second, and renewed when the portal refuses it."""
    client = connect("oauth2")
    client.call("profile")
    clock.advance(3599)
    client.call("profile")
    assert exchanges(portal) == 1

    clock.advance(2)

    assert client.call("profile").result["ID"]
    assert asked(portal)[3:] == ["profile", "oauth.token", "profile"]


@pytest.mark.parametrize("error", ["expired_token", "invalid_token", "NO_AUTH_FOUND"])
def test_refused_tokens_are_renewed(connect, portal, error):
    """The three ways to refuse a token all lead to one renewal and one repetition."""
    client = connect("oauth2")
    client.call("profile")
    portal.faults.add(Fault("profile", "error", status=401, error=error))

    assert client.call("profile").result["ID"]
    assert asked(portal)[2:] == ["profile", "oauth.token", "profile"]


@pytest.mark.parametrize(("error", "renewals"), [("expired_token", 3), ("NO_AUTH_FOUND", 1)])
def test_a_new_token_that_is_refused_too(connect, portal, error, renewals):
    """A token that is refused right after its renewal is not renewed in a circle, and nobody is told to use what he uses."""
    portal.faults.add(Fault("profile", "error", status=401, error=error, times=None))
    with pytest.raises(CredentialError) as raised:
        connect("oauth2").call("profile")

    assert asked(portal) == ["oauth.token", "profile", *["oauth.token", "profile"] * renewals]
    assert 'auth = "oauth2"' not in str(raised.value)
    assert "authorise the application again" in raised.value.hint


def test_a_renewed_token_that_expires_again_is_renewed_again(connect, portal):
    """Within one call, too: a long wait for a limit can outlast more than one token."""
    client = connect("oauth2")
    portal.faults.add(Fault("profile", "expired_token", times=2))

    assert client.call("profile").result["ID"]
    assert exchanges(portal) == 3


def test_commands_whose_renewed_token_expires_again(connect, portal):
    """Inside a batch a token may expire more than once as well."""
    client = connect("oauth2")
    client.call("profile")
    for method in NAMES:
        portal.faults.add(Fault(method, "expired_token", where="command", times=2))

    assert all(isinstance(outcome, Response) for outcome in call_many(client, FOUR))
    assert exchanges(portal) == 3


@pytest.mark.parametrize("error", ["insufficient_scope", "ACCESS_DENIED", "NOT_FOUND", "INVALID_CREDENTIALS"])
def test_other_refusals_renew_nothing(connect, portal, error):
    """A token that lacks a scope or a right is not exchanged for another of the same kind."""
    client = connect("oauth2")
    client.call("profile")
    portal.faults.add(Fault("profile", "error", status=403, error=error))
    with pytest.raises(Bitrix24Error):
        client.call("profile")

    assert exchanges(portal) == 1


def test_twenty_refused_at_once(connect, portal, session):
    """Twenty threads are refused with the same token at the same moment: one exchange, and all calls are repeated."""
    store = OpenStore(portal)
    client = connect("oauth2", store=store)
    client.call("profile")
    portal.expire_access_tokens()
    all_refused = threading.Barrier(20, timeout=30)

    def hold(response, **_: object) -> None:
        if response.status_code == 401:
            all_refused.wait()

    session.hooks["response"].append(hold)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: client.call("profile"), range(20)))

    assert [answer.result["ID"] for answer in answers] == [answers[0].result["ID"]] * 20
    assert exchanges(portal) == 2
    assert asked(portal).count("profile") == 1 + 20 + 20
    assert [step for step in store.steps if step.startswith("lock")] == [
        "lock after 0 exchanges",
        "lock after 1 exchanges",
    ]


def test_twenty_first_calls_at_once(connect, portal):
    """Twenty threads that all make the very first call share its one exchange."""
    client, start = connect("oauth2"), threading.Barrier(20, timeout=30)

    def first(_: int) -> Response:
        start.wait()
        return client.call("profile")

    with ThreadPoolExecutor(20) as pool:
        assert all(answer.result["ID"] for answer in pool.map(first, range(20)))
    assert exchanges(portal) == 1


# --- inside batches -----------------------------------------------------------------------------------------------------


def test_expired_before_a_batch(connect, portal):
    """A batch that is refused as a whole is repeated as a whole, after one exchange."""
    client = connect("oauth2")
    client.call("profile")
    portal.expire_access_tokens()

    assert all(isinstance(outcome, Response) for outcome in call_many(client, FOUR))
    assert asked(portal)[2:] == ["batch", "oauth.token", "batch"]


@pytest.mark.parametrize("expired", [["scope"], ["crm.type.list", "scope"]])
def test_expired_inside_a_batch(connect, portal, clock, expired):
    """Commands that met the end of the token are repeated alone with a new one, without a pause."""
    client = connect("oauth2")
    client.call("profile")
    portal.faults.add(*(Fault(method, "expired_token", where="command") for method in expired))

    assert all(isinstance(outcome, Response) for outcome in call_many(client, FOUR))
    again = portal.requests[-1]
    assert (again.commands or (again.method,)) == tuple(expired)
    assert asked(portal)[2:4] == ["batch", "oauth.token"]
    assert clock.monotonic() == 0


def test_a_batch_that_is_always_expired(connect, portal):
    """A portal that finds every token expired inside batches is told of after three renewals, not after ten."""
    client = connect("oauth2")
    client.call("profile")
    for method in NAMES:
        portal.faults.add(Fault(method, "expired_token", where="command", times=None))
    with pytest.raises(ExpiredTokenError) as raised:
        call_many(client, FOUR)

    assert asked(portal)[2:] == ["batch", *["oauth.token", "batch"] * 3]
    assert 'auth = "oauth2"' not in str(raised.value)


def test_twenty_batches_refused_at_once(connect, portal):
    """Batches of many threads that find one command expired each still share their exchange."""
    client = connect("oauth2")
    client.call("profile")
    portal.expire_access_tokens()
    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(lambda _: call_many(client, FOUR), range(20)))

    assert all(isinstance(outcome, Response) for batch in outcomes for outcome in batch)
    assert exchanges(portal) == 2


# --- the store ----------------------------------------------------------------------------------------------------------


def test_an_own_store(connect, portal):
    """A store that is passed in is asked in order: locked, rehearsed before the exchange, saved after it, released."""
    store = MemoryStore(portal)
    client = connect("oauth2", store=store)
    client.call("profile")

    assert store.steps == [
        "lock after 0 exchanges",
        "prepare after 0 exchanges",
        "save after 1 exchanges",
        "release after 1 exchanges",
    ]
    assert store.pair is not None
    assert store.pair.refresh_token == portal.access.refresh_token
    assert isinstance(client.auth.secrets(), tuple)


def test_own_stores_fit_the_protocol(portal, tmp_path):
    """Both our store and one of somebody's own are what the type says."""
    stores: list[TokenStore] = [MemoryStore(portal), FileTokenStore(tmp_path / "x")]

    assert len(stores) == 2


def test_the_next_run_goes_on_with_the_kept_pair(connect, portal, tmp_path):
    """The next process uses the kept access token, although the configured refresh token is long used up."""
    client = oauth_clients(connect, tmp_path)
    first = portal.access.refresh_token
    client(refresh_token=first).call("profile")
    client(refresh_token=first).call("profile")
    portal.expire_access_tokens()
    client(refresh_token=first).call("profile")

    assert asked(portal) == ["oauth.token", "profile", "profile", "profile", "oauth.token", "profile"]


def test_a_new_refresh_token_in_the_configuration_wins(connect, portal, tmp_path):
    """Somebody who authorised the application again is not held back by a kept pair that has died."""
    client = oauth_clients(connect, tmp_path)
    client(refresh_token=portal.access.refresh_token).call("profile")
    portal.expire_access_tokens()
    portal.revoke_refresh_token()
    anew = portal.access.issue().refresh_token

    assert client(refresh_token=anew).call("profile").result["ID"]
    assert exchanges(portal) == 2
    assert json.loads((tmp_path / "pair.json").read_text())["refresh_token"] == portal.access.refresh_token


class FailingStore(FileTokenStore):
    def save(self, pair: TokenPair) -> None:
        raise OSError("power cut")


def test_a_pair_that_was_not_kept_is_not_used(connect, portal, tmp_path):
    """When saving fails the new token is never sent to the portal, and the file is what it was before."""
    path = tmp_path / "pair.json"
    first = portal.access.refresh_token
    connect("oauth2", store=FileTokenStore(path), refresh_token=first).call("profile")
    portal.expire_access_tokens()
    before, sent = path.read_bytes(), len(portal.requests)
    client = connect("oauth2", store=FailingStore(path), refresh_token=first)
    with pytest.raises(OSError, match="power cut"):
        client.call("profile")
    with pytest.raises(CredentialError, match="authorise the application again"):
        client.call("profile")

    assert [(seen.method, seen.status) for seen in portal.requests[sent:]] == [
        ("profile", 401), ("oauth.token", 200), ("profile", 401), ("oauth.token", 400),
    ]  # fmt: skip
    assert path.read_bytes() == before


@pytest.mark.parametrize("blocked", ["file/pair.json", "locked.json"])
def test_an_unwritable_place_spends_no_token(connect, portal, tmp_path, blocked):
    """A token file that cannot be kept is found before the refresh token is given away: it still works elsewhere."""
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "locked.json.lock").mkdir()
    with pytest.raises(ConfigError, match=f"OAuth token cannot be .*{blocked}"):
        connect("oauth2", token_file=str(tmp_path / blocked)).call("profile")
    assert asked(portal) == []

    assert connect("oauth2", token_file=str(tmp_path / "pair.json")).call("profile").result["ID"]


def test_a_damaged_token_file(connect, portal, tmp_path):
    """A file that holds no pair stops us before anything is exchanged or overwritten."""
    (tmp_path / "pair.json").write_text("{")
    with pytest.raises(ConfigError, match="it is not a token file"):
        connect("oauth2", token_file=str(tmp_path / "pair.json")).call("profile")

    assert asked(portal) == []
    assert (tmp_path / "pair.json").read_text() == "{"


def test_a_pair_that_another_process_renewed(connect, portal, tmp_path):
    """A refused client that finds a newer pair in the store takes it, and exchanges nothing."""
    store = FileTokenStore(tmp_path / "pair.json")
    client = connect("oauth2", store=store)
    client.call("profile")
    portal.expire_access_tokens()
    theirs = portal.access.issue()
    kept = store.load()
    store.save(TokenPair(theirs.access_token, theirs.refresh_token, kept.root if kept else ""))

    assert client.call("profile").result["ID"]
    assert exchanges(portal) == 1


OWN_CLIENT = """
import json, sys
from pathlib import Path
from bitrix24_source.rest import Client, FileTokenStore, OAuth2

def make_client():
    given = json.loads(sys.argv[1])
    file = Path(given.pop("token_file"))
    del given["auth"]
    return Client(OAuth2(**given, store=FileTokenStore(file)))
"""
"""of a process, which need not wait for dlt: credentials as they stand in a configuration"""
FOUR_CALLS = (
    OWN_CLIENT
    + """
import os

start, go = os.pipe()
answers, answer = os.pipe()
for _ in range(4):
    if not os.fork():
        client = make_client()
        os.read(start, 1)
        os.write(answer, client.call("profile").result["ID"].encode())
        os._exit(0)
print("ready", flush=True)
sys.stdin.readline()
os.write(go, b"4444")
ended = [os.wait()[1] for _ in range(4)]
print(ended, os.read(answers, 9).decode())
"""
)


def test_processes_refused_at_once(portal, tmp_path):
    """Four processes with one expired pair: one of them exchanges it, and all four get their answer."""
    with SandboxServer(portal) as server:
        credentials = {**server.credentials()["oauth2"], "token_file": str(tmp_path / "pair.json")}
        with subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", FOUR_CALLS, json.dumps(credentials)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as processes:  # fmt: skip
            first = Client(auth_from_credentials(Bitrix24Credentials(**credentials)))
            first.call("profile")
            first.close()
            assert processes.stdout.readline() == "ready\n"
            portal.expire_access_tokens()
            answers = processes.communicate("go\n")[0]

    assert answers == "[0, 0, 0, 0] 1111\n"
    assert exchanges(portal) == 2


STOPPED_CALL = (
    OWN_CLIENT
    + """
import threading

client = make_client()
try:
    if sys.argv[2] == "main":
        client.call("profile")
    else:
        threading.Thread(target=client.call, args=("profile",), daemon=True).start()
        threading.Event().wait()
except KeyboardInterrupt:
    sys.exit(130)
"""
)


@pytest.mark.parametrize("thread", ["main", "daemon"])
def test_ctrl_c_during_a_renewal_loses_no_pair(tmp_path, thread):
    """The process waits for the pair that it asked for, keeps it and ends; the next run goes on with it."""
    portal = Portal(scenario="empty")  # on the clock of the wall
    fault = Fault("oauth.token", "slow", seconds=1)
    portal.faults.add(fault)
    with SandboxServer(portal) as server:
        credentials = {**server.credentials()["oauth2"], "token_file": str(tmp_path / "pair.json")}
        process = subprocess.Popen(
            [sys.executable, "-c", STOPPED_CALL, json.dumps(credentials), thread], stderr=subprocess.PIPE, text=True
        )
        while not fault.struck:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        client = Client(auth_from_credentials(Bitrix24Credentials(**credentials)))
        client.call("profile")
        client.close()

    assert (process.returncode, len(said.splitlines())) == (130, 1), said
    assert said.startswith("Waiting for the OAuth token")
    assert portal.access.refresh_token == json.loads((tmp_path / "pair.json").read_text())["refresh_token"]
    assert exchanges(portal) == 1


def test_a_hopeless_renewal_holds_no_exit(tmp_path):
    """A token server that never answers is waited for as long as a request may take, and no longer."""
    script = (
        "import threading, time\n"
        "from bitrix24_source.rest import token_store\n"
        "token_store.EXIT_SECONDS = 0.5\n"
        "def hang():\n"
        "    with token_store.delay_exit():\n"
        "        time.sleep(300)\n"
        "threading.Thread(target=hang, daemon=True).start()\n"
        "time.sleep(0.5)\n"
    )
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60)

    assert time.monotonic() - started < 30


# --- the token server -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            Fault("oauth.token", error="invalid_grant", status=400),
            "(invalid_grant): the refresh token is wrong, used up",
        ),
        (Fault("oauth.token", error="invalid_grant", status=200), "(invalid_grant): the refresh token is wrong"),
        (Fault("oauth.token", error="invalid_grant", status=500), "(invalid_grant): the refresh token is wrong"),
        (Fault("oauth.token", error="invalid_client", status=401), "(invalid_client): client_id or client_secret"),
        (Fault("oauth.token", error="PAYMENT_REQUIRED", status=402), "(payment_required): the portal's trial or paid"),
        (Fault("oauth.token", error="invalid_request", status=400), "(invalid_request): the token server did not"),
        (Fault("oauth.token", error="insufficient_scope", status=403), "(insufficient_scope): the application asks"),
        (Fault("oauth.token", error="something_new", status=400), "(something_new): the token server did not return"),
        (
            Fault("oauth.token", "http", status=200, body="{}"),
            "(no code): the token server did not return a token pair",
        ),
        (
            Fault("oauth.token", "http", status=200, body='{"access_token": "a"}'),
            "(no code): the token server did not return a token pair",
        ),
    ],
    ids=lambda value: f"{value.error} {value.status}" if isinstance(value, Fault) else None,
)
def test_a_refused_renewal(connect, portal, clock, fault, said):
    """What the token server refuses is said at once, with who is to act, and asked once."""
    portal.faults.add(fault)
    with pytest.raises(AccessError) as caught:
        connect("oauth2").call("profile")

    assert f"the access token could not be renewed {said}" in str(caught.value)
    assert " - token server oauth.bitrix24.test - " in str(caught.value)
    assert asked(portal) == ["oauth.token"]
    assert clock.monotonic() == 0


def test_a_used_up_refresh_token(connect, portal):
    """The sandbox's own refusal of a dead refresh token reads the same."""
    portal.revoke_refresh_token()
    with pytest.raises(CredentialError, match="authorise the application again"):
        connect("oauth2").call("profile")


PASSING = [
    Fault("oauth.token", "reset"),
    Fault("oauth.token", "hang"),
    Fault("oauth.token", "http", status=500),
    Fault("oauth.token", "http", status=502, body="Bad gateway"),
    Fault("oauth.token", "http", status=200),
    Fault("oauth.token", "http", status=200, body=""),
    Fault("oauth.token", "error", status=500, error="INTERNAL_SERVER_ERROR"),
    Fault("oauth.token", "error", status=503, error="something_new"),
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.kind} {fault.status} {fault.body!r:.12}")
def test_a_token_server_that_is_down_for_a_moment(connect, portal, fault):
    """A token server that breaks off, is slow or shows a web page is asked again, and nobody hears of it."""
    portal.faults.add(Fault(**{key: getattr(fault, key) for key in ("method", "kind", "status", "body", "error")}))

    assert connect("oauth2").call("profile").result["ID"]
    assert asked(portal) == ["oauth.token", "oauth.token", "profile"]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.kind} {fault.status} {fault.body!r:.12}")
def test_a_token_server_that_stays_down(connect, portal, fault):
    """One that stays down is named, after a bounded number of attempts, and the portal is not asked without a token."""
    settings = {key: getattr(fault, key) for key in ("method", "kind", "status", "body", "error")}
    portal.faults.add(Fault(**settings, times=None))
    with pytest.raises(UnavailableError, match="token server oauth"):
        connect("oauth2").call("profile")

    assert asked(portal) == ["oauth.token"] * (10 if fault.kind == "error" else 3)


def test_a_slow_token_server(connect, portal, clock):
    """An answer that takes a minute is waited for."""
    portal.faults.add(Fault("oauth.token", "slow", seconds=60))

    assert connect("oauth2").call("profile").result["ID"]
    assert clock.monotonic() == 60


def test_a_token_server_that_redirects(connect, portal):
    """The client secret is never carried to another address."""
    portal.faults.add(Fault("oauth.token", "redirect", location="https://evil.bitrix24.com/oauth/token/", times=None))
    with pytest.raises(ConfigError, match="the token server redirects, which is not followed"):
        connect("oauth2").call("profile")

    assert asked(portal) == ["oauth.token"]


def test_what_a_renewal_sends(clock, tmp_path):
    """A GET with the four documented parameters to the configured token server."""
    credentials = Bitrix24Credentials(
        auth="oauth2", portal_url="https://crm.example.com", client_id="local.1", client_secret="s3cret",
        refresh_token="first", token_file=str(tmp_path / "pair.json"),
    )  # fmt: skip
    with requests_mock.Mocker() as mocker:
        mocker.get("https://oauth.bitrix.info/oauth/token/", json={"access_token": "a1", "refresh_token": "r1"})
        mocker.post("https://crm.example.com/rest/profile", json={"result": {}})
        Client(auth_from_credentials(credentials), clock=clock).call("profile")

    exchange, call = mocker.request_history
    assert exchange.qs == {
        "grant_type": ["refresh_token"],
        "client_id": ["local.1"],
        "client_secret": ["s3cret"],
        "refresh_token": ["first"],
    }
    assert call.json() == {"auth": "a1"}
    assert "a1" not in call.url
    assert "Authorization" not in call.headers

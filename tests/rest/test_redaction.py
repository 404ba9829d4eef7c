"""No credential is ever shown: not in a log at any level, not in an exception, not in a repr."""

from __future__ import annotations

import contextlib
import io
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bitrix24_source.errors import Bitrix24Error
from bitrix24_source.redaction import redact
from bitrix24_source.rest.batching import call_many
from bitrix24_source.rest.client import Client, ClientSettings
from bitrix24_source.rest.protocol import Call
from bitrix24_source.rest.retry import RetryPolicy
from bitrix24_source.rest.token_store import FileTokenStore, TokenPair
from bitrix24_source.rest.transport import Timeouts
from bitrix24_source.sandbox import Clock, Fault, Portal, SandboxServer
from bitrix24_source.source.credentials import METHODS, Bitrix24Credentials, auth_from_credentials

KINDS = [*METHODS, "access_token"]


@dataclass
class Stage:
    """A portal over a real socket, a client of it, and everything that was said meanwhile."""

    portal: Portal
    server: SandboxServer
    client: Client
    credentials: Bitrix24Credentials
    said: io.StringIO = field(default_factory=io.StringIO)

    def secrets(self) -> set[str]:
        """All that this client knows and must not show, tokens renewed meanwhile included."""
        return {*self.portal.access.secrets(), *self.client.auth.secrets()}


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """All that any logger says, at any level, with tracebacks."""
    said, root = io.StringIO(), logging.getLogger()
    handler, before = logging.StreamHandler(said), root.level
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s %(args)s %(pathname)s"))
    root.addHandler(handler)
    root.setLevel(logging.NOTSET)
    loud = [logging.getLogger(name) for name in ("urllib3", "urllib3.connectionpool", "urllib3.util.retry", "bitrix24_source", "requests", "filelock", "dlt")]  # fmt: skip
    levels = [logger.level for logger in loud]
    for logger in loud:
        logger.setLevel(1)
    yield said
    root.removeHandler(handler)
    root.setLevel(before)
    for logger, level in zip(loud, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(params=KINDS)
def stage(request, portal: Portal, clock: Clock, everything_logged, tmp_path) -> Iterator[Stage]:
    """Each method of authentication in turn; api_key in both of its kinds."""
    with SandboxServer(portal) as server:
        kind = request.param
        given = dict(server.credentials()["api_key" if kind == "access_token" else kind])
        if kind == "access_token":
            given["api_key"] = portal.access.issue().access_token
        credentials = Bitrix24Credentials(**given, token_file=str(tmp_path / "pair.json"))
        settings = ClientSettings(retry_policy=RetryPolicy(attempts=3), timeouts=Timeouts(read=0.1))
        client = Client(auth_from_credentials(credentials), settings, clock=clock)
        yield Stage(portal, server, client, credentials, everything_logged)
        client.close()


def nothing(_: Stage) -> None:
    """No failure at all."""


def dead_credential(stage: Stage) -> None:
    stage.portal.expire_webhook()
    stage.portal.expire_access_tokens()
    stage.portal.revoke_refresh_token()


def expired(stage: Stage) -> None:
    stage.portal.expire_access_tokens()


def moved_to_a_stranger(stage: Stage) -> None:
    stage.portal.move_to("https://evil.example.net")


def moved_within(stage: Stage) -> None:
    stage.portal.move_to(stage.server.base_url.replace("127.0.0.1", "localhost"))


def portal_is_gone(stage: Stage) -> None:
    stage.server.close()


def echoes(stage: Stage) -> None:
    """The portal repeats everything that it was sent, in an error."""
    text = f"refused: {' '.join(stage.client.auth.secrets())} at {stage.server.webhook_url}profile?auth=0a1b2c"
    stage.portal.faults.add(Fault("*", error="ERROR_CORE", status=400, description=text, times=None))


def echoes_in_the_code(stage: Stage) -> None:
    text = " ".join(stage.client.auth.secrets())
    stage.portal.faults.add(Fault("*", error=text, status=400, description="", times=None))


def page_with_the_credential(stage: Stage) -> None:
    stage.portal.faults.add(Fault("*", "http", status=502, body=" ".join(sorted(stage.secrets())), times=None))


def fault(kind: str, **settings: object) -> Callable[[Stage], None]:
    def order(stage: Stage) -> None:
        stage.portal.faults.add(Fault("*", kind, times=None, **settings))

    order.__name__ = f"{kind} {' '.join(map(str, settings.values()))}".strip()
    return order


FAILURES = [
    nothing, dead_credential, expired, moved_to_a_stranger, moved_within, portal_is_gone, echoes, echoes_in_the_code,
    page_with_the_credential, fault("reset"), fault("reset", at="headers"), fault("reset", at="body"), fault("hang"),
    fault("truncate"), fault("empty"), fault("invalid_utf8"), fault("http", status=502), fault("http", status=404),
    fault("redirect", location=""), fault("redirect", location="https://[broken"), fault("OVERLOAD_LIMIT"),
    fault("QUERY_LIMIT_EXCEEDED"), fault("OPERATION_TIME_LIMIT"), fault("error", error="ACCESS_DENIED", status=403),
    fault("error", error="invalid_token", status=401), fault("error", error="NO_AUTH_FOUND", status=401),
]  # fmt: skip


def shown(error: BaseException) -> str:
    """Every way in which an exception may be printed, with all that is chained to it."""
    texts = ["".join(traceback.format_exception(error)), str(error), repr(error), repr(error.args), str(vars(error))]
    chained = [inner for inner in (error.__cause__, error.__context__) if inner is not None]
    return "\n".join([*texts, pickle.dumps(error.args).decode("latin-1"), *map(shown, chained)])


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.__name__)
def test_nothing_is_shown(stage: Stage, failure):
    """Whatever goes wrong with whichever credential: no log, exception, traceback or repr holds one of its secrets."""
    secrets = stage.secrets()
    failure(stage)
    texts = []
    for ask in (
        lambda: stage.client.call("profile", {"x": 1}),
        lambda: call_many(stage.client, [Call("profile"), Call("no.such.method"), Call("scope")]),
    ):
        try:
            texts.append(repr(ask()))
        except Bitrix24Error as error:
            texts.append(shown(error))
    client, said = stage.client, stage.said.getvalue()
    texts += [said, repr(client), str(client), repr(client.auth), repr(client.settings), repr(client.budget)]
    texts += [repr(stage.credentials), str(stage.credentials), stage.credentials.to_native_representation()]
    texts += [repr(vars(client.auth).get("_store")), repr(vars(client.auth).get("_pair"))]

    everything = "\n".join(texts).lower()
    assert said
    assert [secret for secret in secrets | stage.secrets() if secret in everything] == []


@pytest.mark.parametrize("kind", ["reset", "hang", "http", "empty", "redirect"])
def test_nothing_is_shown_of_a_renewal(stage: Stage, kind):
    """A token server that fails shows neither the client secret nor a refresh token, which stand in the query."""
    stage.portal.faults.add(Fault("oauth.token", kind, status=302 if kind == "redirect" else 500, times=None))
    with contextlib.suppress(Bitrix24Error):
        stage.client.call("profile")

    said = stage.said.getvalue()
    assert [secret for secret in stage.secrets() if secret in said] == []
    answered = kind not in ("reset", "hang")  # urllib3 logs the address of what was answered
    assert ("client_secret=***" in said) == (stage.client.auth.name == "oauth2" and answered)


def test_the_stranger_gets_nothing(stage: Stage, no_network):
    """A redirect to a foreign host is refused before any byte goes there."""
    moved_to_a_stranger(stage)
    with pytest.raises(Bitrix24Error, match=r"foreign host evil\.example\.net"):
        stage.client.call("profile")

    assert {("127.0.0.1", stage.server.port)} == set(no_network)


def test_only_the_token_file_holds_tokens(stage: Stage, tmp_path: Path):
    """Of all files that a run leaves behind, none but the token file holds a secret."""
    stage.client.call("profile")
    expired(stage)
    with contextlib.suppress(Bitrix24Error):
        stage.client.call("profile")

    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    holding = {path.name for path, content in files.items() for s in stage.secrets() if s.encode() in content}
    assert holding <= {"pair.json"}


def test_a_custom_store_that_fails(portal, connect, clock, everything_logged, tmp_path):
    """An error of somebody's own store comes through as it is, with no token chained to it."""

    class Failing(FileTokenStore):
        def save(self, pair: TokenPair) -> None:
            raise RuntimeError("the vault is closed")

    client = connect("oauth2", store=Failing(tmp_path / "pair.json"))
    with pytest.raises(RuntimeError) as caught:
        client.call("profile")

    everything = shown(caught.value) + everything_logged.getvalue()
    assert [secret for secret in client.auth.secrets() if secret in everything] == []


@pytest.mark.parametrize("auth", METHODS)
def test_malformed_credentials_are_not_repeated(auth):
    """A configuration that is refused is described and not quoted, whatever stands in which key."""
    secret = "s3cretc0de"
    broken = {
        "webhook_url": f"htps://crm.example.com/rest/1/{secret}/",
        "portal_url": f"//{secret}",
        "api_key": secret + "/",
    }
    with pytest.raises(Bitrix24Error) as caught:
        auth_from_credentials(
            Bitrix24Credentials(auth=auth, **broken, client_id=secret, client_secret=secret, refresh_token=secret)
        )

    assert secret not in shown(caught.value)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("POST /rest/1/***/profile", "POST /rest/1/abc123/profile"),
        ("https://x/rest/api/17/***/batch", "https://x/rest/api/17/abc123/batch"),
        ("/rest/1/***", "/rest/1/abc123"),
        ('"/rest/1/***"', '"/rest/1/abc123"'),
        ("/rest/1/***?a=1", "/rest/1/abc123?a=1"),
        ("/rest/profile", "/rest/profile"),
        ("/t/?client_id=local.1&client_secret=***&refresh_token=***", "/t/?client_id=local.1&client_secret=a&refresh_token=b"),
        ("/rest/x?AUTH=***&start=50", "/rest/x?AUTH=a1b2&start=50"),
        ("?access_token=***", "?access_token=a1b2"),
        ("no address at all", "no address at all"),
    ],
)  # fmt: skip
def test_redacted(expected, text):
    """Codes and tokens in addresses become stars, and everything else stays readable."""
    assert expected == redact(text)


def test_nothing_but_the_body_carries_a_token(connect, portal, session):
    """An access token travels in the body: never in an address, a header or a cookie."""
    sent = []
    session.hooks["response"].append(lambda response, **_: sent.append(response.request))
    client = connect("oauth2")
    client.call("crm.type.list", {"filter": {">id": 1}})
    call_many(client, [Call("profile"), Call("scope")])

    calls = [request for request in sent if request.method == "POST"]
    token = client.auth.token()
    assert len(calls) == 2
    assert all(token in request.body.decode() for request in calls)
    assert not [request for request in calls if token in f"{request.url} {request.headers}"]


def test_other_loggers_of_urllib3(everything_logged):
    """Whatever urllib3 says with an address in it, the code is starred as soon as there is a client."""
    Client(
        auth_from_credentials(Bitrix24Credentials(auth="webhook", webhook_url="https://crm.example.com/rest/1/abc123/"))
    )
    for name in ("urllib3.connectionpool", "urllib3.util.retry"):
        logging.getLogger(name).debug('%s "POST %s"', "https://crm.example.com:443", "/rest/1/abc123/profile")

    assert "abc123" not in everything_logged.getvalue()
    assert "/rest/1/***/profile" in everything_logged.getvalue()

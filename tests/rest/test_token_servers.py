"""Which token server a refresh token is sent to: it is good for one use, and must not be sent where it may be lost."""

from __future__ import annotations

import contextlib

import pytest
import requests

from bitrix24_source.errors import Bitrix24Error, CredentialError
from bitrix24_source.rest.client import Client
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

EASTERN = "https://oauth.bitrix24.tech/oauth/token/"
WESTERN = "https://oauth.bitrix.info/oauth/token/"
PAIR = {"json": {"access_token": "access1", "refresh_token": "refresh1"}}
UNKNOWN = {"status_code": 401, "json": {"error": "invalid_client"}}
USED_UP = {"status_code": 400, "json": {"error": "invalid_grant"}}
DOWN = {"exc": requests.exceptions.ConnectionError("Connection refused")}
NO_SUCH_HOST = {"exc": requests.exceptions.ConnectionError("NameResolutionError: failed to resolve")}
NOT_REACHED = {"exc": requests.exceptions.ConnectTimeout()}
UNTRUSTED = {"exc": requests.exceptions.SSLError("certificate verify failed")}
SILENT = {"exc": requests.exceptions.ReadTimeout()}
BROKEN = {"exc": requests.exceptions.ConnectionError("Connection reset by peer")}
SPOILT = {"status_code": 502, "text": "<html>bad gateway</html>"}
SAID = {"json": {"result": {"ID": "1"}, "time": {}}}


@pytest.fixture
def connect_to(mocker, clock, tmp_path):
    """connect_to(host, eastern=[...], western=[...]): an application's client and what its token servers answer."""

    def make(host, eastern, western, **changed):
        mocker.post(f"https://{host}/rest/profile", **SAID)
        mocker.get(EASTERN, eastern)
        mocker.get(WESTERN, western)
        credentials = Bitrix24Credentials(
            auth="oauth2", portal_url=f"https://{host}", client_id="local.1", client_secret="s3cret",
            refresh_token="refresh0", token_file=str(tmp_path / "pair.json"), **changed,
        )  # fmt: skip
        return Client(auth_from_credentials(credentials), clock=clock)

    return make


def token_servers(mocker):
    """The hosts that were asked for a token, in order."""
    return [request.hostname for request in mocker.request_history if "/oauth/token/" in request.url]


@pytest.mark.parametrize(
    ("host", "server"), [("demo.bitrix24.ru", "oauth.bitrix24.tech"), ("demo.bitrix24.com", "oauth.bitrix.info")]
)
def test_the_server_of_the_region_is_asked(connect_to, mocker, host, server):
    """The portal's domain names the region; the other server is not asked at all."""
    connect_to(host, [PAIR], [PAIR]).call("profile")

    assert token_servers(mocker) == [server]


@pytest.mark.parametrize("failure", [UNKNOWN, USED_UP, DOWN, NO_SUCH_HOST, NOT_REACHED, UNTRUSTED])
def test_the_other_server_is_asked_where_the_first_has_taken_nothing(connect_to, mocker, failure):
    """No connection, or an application that is unknown there: the token is still good, and the other server gets it."""
    connect_to("demo.bitrix24.ru", [failure], [PAIR]).call("profile")

    assert token_servers(mocker) == ["oauth.bitrix24.tech", "oauth.bitrix.info"]


@pytest.mark.parametrize("failure", [SILENT, BROKEN, SPOILT])
@pytest.mark.parametrize("then", [[PAIR], [USED_UP], [UNKNOWN], [DOWN, PAIR]])
def test_a_token_that_may_have_been_accepted_goes_nowhere_else(connect_to, mocker, failure, then):
    """An answer that got lost may have been a new pair: whatever that server says next, no other one gets the token."""
    client = connect_to("demo.bitrix24.ru", [failure, *then], [PAIR])
    with contextlib.suppress(CredentialError):
        client.call("profile")

    assert set(token_servers(mocker)) == {"oauth.bitrix24.tech"}


def test_the_server_that_knows_the_application_is_remembered(connect_to, mocker, clock):
    """After one exchange the other server is asked no more."""
    client = connect_to("demo.bitrix24.ru", [UNKNOWN], [PAIR, {"json": {"access_token": "a2", "refresh_token": "r2"}}])
    client.call("profile")
    client.refresh_auth("access1")

    assert token_servers(mocker) == ["oauth.bitrix24.tech", "oauth.bitrix.info", "oauth.bitrix.info"]


def test_a_configured_server_is_the_only_one(connect_to, mocker):
    """token_url wins over the region, also where it refuses."""
    client = connect_to("demo.bitrix24.ru", [PAIR], [UNKNOWN], token_url=WESTERN)
    with pytest.raises(CredentialError, match=r"token server oauth\.bitrix\.info"):
        client.call("profile")

    assert token_servers(mocker) == ["oauth.bitrix.info"]


def test_an_application_that_none_knows(connect_to, mocker):
    """Both servers are asked once, and the region's is named."""
    client = connect_to("demo.bitrix24.kz", [UNKNOWN], [UNKNOWN])
    with pytest.raises(CredentialError, match=r"invalid_client.*token server oauth\.bitrix24\.tech"):
        client.call("profile")

    assert token_servers(mocker) == ["oauth.bitrix24.tech", "oauth.bitrix.info"]


def test_a_refusal_is_told_rather_than_a_server_that_is_down(connect_to, mocker):
    """One server does not know the application and the other cannot be reached: after some attempts the refusal is said."""
    client = connect_to("demo.bitrix24.ru", [USED_UP], [DOWN])
    with pytest.raises(CredentialError, match=r"invalid_grant.*oauth\.bitrix24\.tech"):
        client.call("profile")

    assert token_servers(mocker).count("oauth.bitrix.info") > 1


def test_both_servers_are_tried_again_while_none_can_be_reached(connect_to, mocker):
    """A network that comes back ends the wait."""
    connect_to("demo.bitrix24.ru", [DOWN, PAIR], [DOWN]).call("profile")

    assert token_servers(mocker) == ["oauth.bitrix24.tech", "oauth.bitrix.info", "oauth.bitrix24.tech"]


def test_servers_that_stay_unreachable(connect_to, mocker):
    """A bounded number of attempts, and the region's server is named."""
    client = connect_to("demo.bitrix24.ru", [DOWN], [NOT_REACHED])
    with pytest.raises(Bitrix24Error, match=r"token server oauth\.bitrix24\.tech"):
        client.call("profile")

    assert 2 <= len(token_servers(mocker)) <= 20

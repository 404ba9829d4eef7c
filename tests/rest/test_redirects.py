"""A renamed portal is followed with method and body; nobody else is."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from bitrix24_source.errors import Bitrix24Error, PortalError
from bitrix24_source.rest.client import Client, ClientSettings
from bitrix24_source.sandbox import Portal, SandboxServer
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

from .conftest import CODE, PORTAL, URL

GOOD = {"json": {"result": {"types": []}, "total": 0}}
PARAMS = {"filter": {">id": 7}, "order": {"id": "ASC"}}


def moved(location: str, status: int = 302) -> dict[str, object]:
    return {"status_code": status, "headers": {"Location": location}}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_method_and_body_are_kept(scripted_client, mocker, status):
    """Whatever the status says of GET: the same POST with the same body goes to the new address."""
    client = scripted_client(moved(f"https://new.bitrix24.com/rest/1/{CODE}/crm.type.list", status), GOOD)
    client.call("crm.type.list", PARAMS)

    first, second = mocker.request_history
    assert second.url == f"https://new.bitrix24.com/rest/1/{CODE}/crm.type.list"
    assert second.method == "POST"
    assert orjson.loads(second.body) == PARAMS
    assert first.body == second.body
    assert second.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_renamed_portal_answers_as_before(portal, connect, status):
    """After the portal has moved, paging and filters still work: it got whole calls and no bare GETs."""
    before = connect().call("crm.type.list", {"filter": {">id": 1}}).result
    portal.move_to("https://new.bitrix24.com", status)
    client = connect()

    assert client.call("crm.type.list", {"filter": {">id": 1}}).result == before
    assert [seen.http_method for seen in portal.requests[1:]] == ["POST", "POST"]
    assert portal.requests[0].bytes_in == portal.requests[2].bytes_in


def test_the_token_travels_in_the_body(portal, connect):
    """An OAuth client of a renamed portal is answered too, by the token in the body that went along."""
    client = connect("oauth2")
    client.call("profile")
    portal.move_to("https://new.bitrix24.com")

    assert client.call("profile").result["ID"]


def test_later_calls_go_straight_to_the_new_address(scripted_client, mocker):
    """The detour is made once: later calls start at the new address."""
    client = scripted_client(moved(f"https://new.bitrix24.com/rest/1/{CODE}/profile"), GOOD)
    client.call("profile")
    client.call("crm.type.list")

    assert [request.hostname for request in mocker.request_history] == [
        "crm.example.com",
        "new.bitrix24.com",
        "new.bitrix24.com",
    ]
    assert client.portal == "new.bitrix24.com"


def test_it_is_said_once(scripted_client, caplog):
    """One warning names the old host and the new one, however many calls follow, and no address."""
    client = scripted_client(moved(f"https://new.bitrix24.com/rest/1/{CODE}/profile"), GOOD)
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            client.call("profile")

    (record,) = [record for record in caplog.records if "moved" in record.getMessage()]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "The portal crm.example.com has moved to new.bitrix24.com: update its address in the configuration"
    )
    assert not [r for r in caplog.records if r.name.startswith(("bitrix24", "urllib3")) and CODE in r.getMessage()]


def test_threads_hear_of_it_once(portal, connect, session, caplog):
    """Ten threads that are all redirected at the same moment cause one warning."""
    client, all_redirected = connect(), threading.Barrier(10, timeout=30)
    portal.move_to("https://new.bitrix24.com")

    def hold(response, **_: object) -> None:
        if response.status_code == 302:
            all_redirected.wait()

    session.hooks["response"].append(hold)
    with ThreadPoolExecutor(10) as pool:
        assert all(answer.result["ID"] for answer in pool.map(lambda _: client.call("profile"), range(10)))

    assert len([record for record in caplog.records if "has moved to" in record.getMessage()]) == 1


def test_a_detour_within_the_portal_is_no_move(scripted_client, caplog):
    """A redirect that stays on the same host is followed without a word."""
    scripted_client(moved(f"/rest/1/{CODE}/profile"), GOOD).call("profile")

    assert [record for record in caplog.records if record.name == "bitrix24_source"] == []


@pytest.mark.parametrize(
    "location",
    [
        "https://deep.crm.example.com/rest/1/{code}/profile",
        "https://CRM.example.com./rest/1/{code}/profile",
        "https://crm.example.com:8443/rest/1/{code}/profile",
        "https://b24.partner.net/rest/1/{code}/profile",
        "/rest/1/{code}/profile?again=1",
        "//new.bitrix24.ru/rest/1/{code}/profile",
    ],
)
def test_followed(scripted_client, location):
    """The own domain, what is below it, allowed hosts and relative addresses are followed."""
    client = scripted_client(
        moved(location.format(code=CODE)), GOOD, settings=ClientSettings(allowed_hosts=["b24.partner.net"])
    )

    assert client.call("profile").result == {"types": []}


@pytest.mark.parametrize(
    ("said", "location"),
    [
        ("redirects to the foreign host evil.net", "https://evil.net/rest/1/{code}/profile"),
        ("redirects to the foreign host bitrix24.example.com", "https://bitrix24.example.com/rest/1/{code}/profile"),
        ("redirects to the foreign host evilbitrix24.com", "https://evilbitrix24.com/rest/1/{code}/profile"),
        ("redirects to the foreign host bitrix24.com.evil.net", "https://bitrix24.com.evil.net/rest/1/{code}/profile"),
        ("redirects to the foreign host", "https://evil.net\\.crm.example.com/rest/1/{code}/profile"),
        ("redirects to the foreign host localhost", "https://localhost/rest/1/{code}/profile"),
        ("redirects to plain http://", "http://crm.example.com/rest/1/{code}/profile"),
        ("redirects to plain http://", "http://new.bitrix24.com/rest/1/{code}/profile"),
        ("redirects to plain http://", "http://127.0.0.1/rest/1/{code}/profile"),
        ("redirects to nowhere", ""),
        ("redirects to nowhere", "https://crm.example.com@new.bitrix24.com/rest/1/{code}/profile"),
        ("redirects to nowhere", "ftp://crm.example.com/rest/1/{code}/profile"),
        ("redirects to nowhere", "file:///etc/passwd"),
    ],
)
def test_refused(scripted_client, mocker, said, location):
    """A redirect to a look-alike, to plain http or to nothing is one sentence, and nothing is sent there."""
    with pytest.raises(PortalError) as caught:
        scripted_client(moved(location.format(code=CODE)), GOOD).call("profile")

    assert said in str(caught.value)
    assert "profile at crm.example.com" in str(caught.value)
    assert CODE not in str(caught.value)
    assert len(mocker.request_history) == 1


def test_no_location(scripted_client, mocker):
    """A redirect without an address is refused like one to nowhere."""
    with pytest.raises(PortalError, match="redirects to nowhere"):
        scripted_client({"status_code": 302}, GOOD).call("profile")
    assert len(mocker.request_history) == 1


def test_an_unreadable_location(scripted_client):
    """An address that no parser takes is a sentence too, and not a ValueError."""
    with pytest.raises(Bitrix24Error) as caught:
        scripted_client(moved(f"https://[broken/rest/1/{CODE}/profile"), GOOD).call("profile")

    assert CODE not in str(caught.value)


def test_a_circle_ends(scripted_client, mocker):
    """A portal that sends us round in circles is told apart from a renamed one after a few steps."""
    there, back = f"https://new.bitrix24.com/rest/1/{CODE}/profile", URL + "profile"
    with pytest.raises(PortalError, match="redirects in a circle"):
        scripted_client(*[moved(there), moved(back)] * 20).call("profile")

    assert len(mocker.request_history) == 4


def test_a_long_way_does_not_lead_off_the_domain(scripted_client):
    """Each step is judged against the configured portal, not against the step before: trust is not handed on."""
    steps = [moved(f"https://new.bitrix24.com/rest/1/{CODE}/profile"), moved("https://sub.new.partner.net/")]
    with pytest.raises(PortalError, match="foreign host sub"):
        scripted_client(*steps, GOOD).call("profile")


def test_login_page_is_not_a_new_home(scripted_client):
    """A redirect to a page that is no method is asked once and not remembered as the portal's address."""
    client = scripted_client(
        moved(f"{PORTAL}/auth/?backurl=/rest/"), {"text": "<html>Log in", "status_code": 403}, GOOD
    )
    with pytest.raises(PortalError, match="a web page and not Bitrix24's REST"):
        client.call("profile")

    assert client.portal == "crm.example.com"
    assert client.call("profile").result == {"types": []}


def test_loopback_to_loopback(portal, clock):
    """A sandbox that moves to another port or name of this machine is followed over plain http."""
    with SandboxServer(portal) as old, SandboxServer(Portal(items=10, clock=clock)) as new:
        new.portal.access.webhook_code = portal.webhook_code
        portal.move_to(new.base_url.replace("127.0.0.1", "localhost"))
        client = Client(auth_from_credentials(Bitrix24Credentials(auth="webhook", webhook_url=old.webhook_url)))

        assert client.call("profile").result["ID"]
        assert client.portal == f"localhost:{new.port}"
        client.close()

"""What `check` finds out, asked of the portal without a process of its own."""

from __future__ import annotations

from datetime import timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
import requests

from bitrix24_source.app.connection_check import check_connection
from bitrix24_source.errors import AccessError, Bitrix24Error, CredentialError
from bitrix24_source.rest import Client
from bitrix24_source.sandbox import Fault, Portal, SandboxAdapter
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials


def line(client, topic):
    (found,) = [result for result in check_connection(client) if result.topic == topic]
    return found


@pytest.mark.parametrize(
    ("zone", "says"),
    [
        (None, "the user's is the server's (UTC+0300) now"),
        (ZoneInfo("Europe/Minsk"), "the user's is the server's (UTC+0300) now"),
        (ZoneInfo("Europe/Berlin"), "the user's, Europe/Berlin, is 1 h behind the server's (UTC+0300): filters by time are moved"),
        (ZoneInfo("Asia/Kathmandu"), "the user's, Asia/Kathmandu, is 2:45 h ahead of the server's (UTC+0300): "),
        (timezone(timedelta(hours=-5)), "the user's is 8 h behind the server's (UTC+0300): "),
    ],
)  # fmt: skip
def test_the_zones_of_user_and_server_are_compared(portal, client, zone, says):
    """One line says by how much they differ, also where the browser chose a zone without a name, and what it means."""
    portal.set_user_zone(1, zone)

    found = line(client, "zones")

    assert found.text.startswith(says)
    assert found.ok
    assert ("best is a webhook" in found.text) == ("is the server's (" not in found.text)


def test_a_server_off_the_full_hour(clock):
    """Offsets of quarter-hours are named as they are."""
    portal = Portal(items=0, clock=clock, zone=ZoneInfo("Asia/Kolkata"), owner_zone=ZoneInfo("Asia/Kathmandu"))
    with requests.Session() as session:
        session.mount("https://", SandboxAdapter(portal))
        credentials = Bitrix24Credentials(**portal.credentials(portal.base_url)["webhook"])
        client = Client(auth_from_credentials(credentials), clock=clock, session=session)

        assert "0:15 h ahead of the server's (UTC+0530)" in line(client, "zones").text


def test_zones_without_a_scope_for_people(portal, client):
    """profile tells a zone that was chosen, without any scope."""
    portal.set_scopes({"crm"})
    portal.set_user_zone(1, ZoneInfo("Europe/Berlin"))

    assert "Europe/Berlin, is 1 h behind" in line(client, "zones").text


def test_zones_that_nobody_tells(portal, client):
    """A zone of the browser is told with a scope for people only: without one it stays open, and the advice is said."""
    portal.set_scopes({"crm"})
    portal.set_user_zone(1, timezone(timedelta(hours=-5)))

    assert "not known here" in line(client, "zones").text
    assert "best is a webhook" in line(client, "zones").text


def test_a_clock_without_a_zone(portal, client):
    """Nothing is guessed of a server that does not answer."""
    portal.faults.add(Fault("server.time", where="command", status=400, error="ERROR_CORE", times=None))

    assert line(client, "zones").text.startswith("unknown")


# --- what refusals mean ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "kind", "happens"),
    [
        ("there is no active webhook with this user and code", CredentialError, Portal.expire_webhook),
        ("REST is not part of this portal's plan", AccessError, Portal.end_subscription),
        ("the user behind the credential is dismissed or inactive", CredentialError, Portal.dismiss_owner),
    ],
)
def test_a_refused_credential_is_diagnosed(portal, client, what, kind, happens):
    """What a first-time user meets first: one sentence that names the cause."""
    happens(portal)
    with pytest.raises(Bitrix24Error) as raised:
        check_connection(client)

    assert type(raised.value) is kind
    assert raised.value.what.startswith(what)
    assert raised.value.hint


def test_a_portal_that_cannot_ask_its_authorisation_server(portal, client):
    """A 401 that passes is waited for."""
    portal.faults.add(Fault(kind="CONNECTION_ERROR", times=3))

    assert line(client, "SPA types").ok


def test_a_command_whose_authorisation_could_not_be_checked(portal, client):
    """Inside a batch as well."""
    portal.faults.add(Fault("crm.type.list", kind="CONNECTION_ERROR", where="command", times=2))

    assert line(client, "SPA types").ok


def test_an_authorisation_server_that_stays_away(portal, client, clock):
    """A bounded time later it is said as what it is."""
    portal.faults.add(Fault(kind="CONNECTION_ERROR", times=None))
    with pytest.raises(Bitrix24Error, match="could not ask Bitrix24's authorisation server"):
        check_connection(client)


@pytest.mark.parametrize("missing", ["told", "method_not_found"])
def test_a_missing_scope_is_named_however_the_portal_says_it(portal, client, missing):
    """insufficient_scope, or ERROR_METHOD_NOT_FOUND as newer portals say: the scope crm is what is to be added."""
    portal.interpretations.missing_scope = missing
    portal.set_scopes({"user"})

    found = line(client, "SPA types")

    assert not found.ok
    assert "add the scope crm" in found.text

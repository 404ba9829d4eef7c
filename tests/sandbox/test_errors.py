"""How a portal says no: codes, languages, and what each refusal means."""

from __future__ import annotations

import pytest

from bitrix24_source.sandbox import Fault, Portal

from .conftest import asked


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "Smart process not found"), ("ru", "Смарт-процесс не найден"), ("de", "Smart-Prozess")],
)
def test_an_unknown_type_has_a_code_only_for_item_methods(clock, language, text):
    """crm.type.getByEntityTypeId answers the code "0" and a localised text; items and categories say NOT_FOUND."""
    portal = Portal(items=60, clock=clock, language=language)
    answer = asked(portal, "crm.type.getByEntityTypeId", entityTypeId=9998)

    assert (answer["status"], answer["error"]) == (400, "0")
    assert text in answer["error_description"]
    for method in ("crm.item.fields", "crm.item.list", "crm.category.list"):
        answer = asked(portal, method, entityTypeId=9998)
        assert answer["error"] == "NOT_FOUND"
        assert text in answer["error_description"]


def test_texts_are_localised_inside_a_batch(clock):
    """A command that failed carries the same text as a call of its own."""
    portal = Portal(items=60, clock=clock, language="ru")
    answer = asked(portal, "batch", cmd={"a": "crm.type.getByEntityTypeId?entityTypeId=9998"})

    assert answer["result"]["result_error"]["a"] == {"error": "0", "error_description": "Смарт-процесс не найден"}


def test_who_is_no_administrator_learns_nothing_of_an_unknown_type(portal, ask):
    """ACCESS_DENIED comes first, so that a deleted type and a denied one look alike."""
    portal.set_admin(crm=False)

    assert ask("crm.type.getByEntityTypeId", entityTypeId=9998)["error"] == "ACCESS_DENIED"


@pytest.mark.parametrize(
    ("break_it", "error", "text"),
    [
        (Portal.expire_webhook, "INVALID_CREDENTIALS", "Invalid request credentials"),
        (Portal.end_subscription, "ACCESS_DENIED", "REST is available only by subscription."),
        (Portal.dismiss_owner, "authorization_error", "Unable to authorize user"),
    ],
)
def test_what_a_webhook_hears_when_it_is_dead(portal, ask, break_it, error, text):
    """A withdrawn webhook, a plan without REST and a dismissed owner differ in code and text; each is a 401."""
    break_it(portal)
    answer = ask("profile")

    assert (answer["status"], answer["error"], answer["error_description"]) == (401, error, text)


def test_a_removed_application(portal):
    """Its tokens are answered with APPLICATION_NOT_FOUND."""
    token = portal.access.issue().access_token
    portal.remove_application()

    assert b"APPLICATION_NOT_FOUND" in portal.handle("GET", "/rest/profile", f"auth={token}").body


def test_no_credential_at_all(portal):
    """NO_AUTH_FOUND."""
    assert b"NO_AUTH_FOUND" in portal.handle("GET", "/rest/profile").body


def test_events_are_for_applications(ask):
    """A webhook hears WRONG_AUTH_TYPE with 403."""
    answer = ask("event.offline.list")

    assert (answer["status"], answer["error"]) == (403, "WRONG_AUTH_TYPE")


def test_a_missing_scope_may_look_like_a_missing_method(portal, ask):
    """As a switch: newer portals answer ERROR_METHOD_NOT_FOUND."""
    portal.set_scopes({"user"})
    told = ask("crm.type.list")
    portal.interpretations.missing_scope = "method_not_found"
    hidden = ask("crm.type.list")

    assert (told["status"], told["error"]) == (401, "insufficient_scope")
    assert (hidden["status"], hidden["error"]) == (404, "ERROR_METHOD_NOT_FOUND")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("CONNECTION_ERROR", 401), ("APPLICATION_NOT_FOUND", 401), ("WRONG_AUTH_TYPE", 403), ("WRONG_LICENSE", 403),
        ("NO_AUTH_FOUND", 401), ("INVALID_CREDENTIALS", 401), ("authorization_error", 401), ("PORTAL_DELETED", 403),
        ("OVERLOAD_LIMIT", 401),
    ],
)  # fmt: skip
def test_refusals_are_ordered_by_their_code(portal, ask, kind, status):
    """A fault of that kind answers once, and then the portal is well again."""
    portal.faults.add(Fault("profile", kind))
    answer = ask("profile")

    assert (answer["status"], answer["error"]) == (status, kind)
    assert ask("profile")["status"] == 200

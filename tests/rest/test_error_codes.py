"""What Bitrix24's codes mean, however they are spelled, and what a person reads of it."""

from __future__ import annotations

import logging
from datetime import datetime, timezone

import pytest

from bitrix24_source import errors
from bitrix24_source.catalog import IssueLog
from bitrix24_source.errors import Action, Bitrix24Error
from bitrix24_source.redaction import safe_line
from bitrix24_source.rest import error_codes
from bitrix24_source.rest.error_codes import error_from_code, normalize_code


@pytest.mark.parametrize(
    ("meant", "code", "description"),
    [
        ("NOT_FOUND", "NOT_FOUND", ""),
        ("EXPIRED_TOKEN", "expired_token", "The access token provided has expired."),
        ("ERROR_UNEXPECTED_ANSWER", " ERROR_UNEXPECTED_ANSWER ", ""),
        ("ACCESS_DENIED", "Access denied.", ""),
        ("ACCESS_DENIED", "Access denied!", ""),
        ("ACCESS_DENIED", "ACCESS_DENIED", "Zugriff verweigert"),
        ("NOT_FOUND", 0, "Smart process not found"),
        ("NOT_FOUND", "0", "Smart process not found"),
        ("ACCESS_DENIED", "", "Access denied"),
        ("ACCESS_DENIED", "", "You do not have permission to read"),
        ("INSUFFICIENT_SCOPE", "", "The request requires higher privileges than provided by the webhook token"),
        ("ENTITY_TYPE_NOT_SUPPORTED", "", "Entity is not supported"),
        ("INVALID PARAMETERS.", "Invalid parameters.", ""),
        ("200040300010", 200040300010, "Access Denied"),
        ("100", "100", "Could not find value for parameter {entityTypeId}"),
        ("0", 0, "Ein Satz in der Sprache des Portals"),
        ("", "", ""),
        ("", None, ""),
    ],
)
def test_code_in_one_spelling(meant, code, description):
    """A code is understood whether it is 0, "", lower case, padded or a sentence; text counts only where the code is silent."""
    assert meant == normalize_code(code, description)


def test_description_never_overrules_a_code():
    """A code that says something is not reinterpreted by words that happen to stand in its description."""
    assert normalize_code("INVALID_ARG_VALUE", "access denied, not found") == "INVALID_ARG_VALUE"


@pytest.mark.parametrize(
    ("kind", "action", "status", "code"),
    [
        ("LimitError", Action.RETRY, 503, "QUERY_LIMIT_EXCEEDED"),
        ("OperatingLimitError", Action.WAIT_FOR_BUDGET, 429, "OPERATION_TIME_LIMIT"),
        ("PortalError", Action.FAIL, 503, "OVERLOAD_LIMIT"),
        ("UnavailableError", Action.RETRY, 500, "INTERNAL_SERVER_ERROR"),
        ("UnavailableError", Action.RETRY, 500, "ERROR_UNEXPECTED_ANSWER"),
        ("PortalError", Action.FAIL, 500, "PORTAL_DELETED"),
        ("ExpiredTokenError", Action.REFRESH_TOKEN, 401, "expired_token"),
        ("CredentialError", Action.FAIL, 401, "NO_AUTH_FOUND"),
        ("ExpiredTokenError", Action.REFRESH_TOKEN, 401, "invalid_token"),
        ("AccessError", Action.FAIL, 401, "METHOD_CONFIRM_WAITING"),
        ("AccessError", Action.FAIL, 403, "METHOD_CONFIRM_DENIED"),
        ("ScopeError", Action.FAIL, 403, "insufficient_scope"),
        ("CredentialError", Action.FAIL, 401, "INVALID_CREDENTIALS"),
        ("CredentialError", Action.FAIL, 401, "authorization_error"),
        ("CredentialError", Action.FAIL, 401, "APPLICATION_NOT_FOUND"),
        ("UnavailableError", Action.RETRY, 401, "CONNECTION_ERROR"),
        ("AccessError", Action.FAIL, 403, "WRONG_AUTH_TYPE"),
        ("AccessError", Action.FAIL, 403, "WRONG_LICENSE"),
        ("AccessError", Action.FAIL, 403, "user_access_error"),
        ("DeniedError", Action.FAIL, 400, "ACCESS_DENIED"),
        ("DeniedError", Action.FAIL, 403, "allowed_only_intranet_user"),
        ("PortalError", Action.FAIL, 400, "INVALID_REQUEST"),
        ("PortalError", Action.FAIL, 400, "INVALID_ARG_VALUE"),
        ("PortalError", Action.FAIL, 400, "NOT_FOUND"),
        ("PortalError", Action.FAIL, 400, "ENTITY_TYPE_NOT_SUPPORTED"),
        ("PortalError", Action.FAIL, 400, "100"),
        ("PortalError", Action.FAIL, 400, "ERROR_CORE"),
        ("PortalError", Action.FAIL, 404, "ERROR_METHOD_NOT_FOUND"),
        ("PortalError", Action.FAIL, 404, "ERROR_MANIFEST_IS_NOT_AVAILABLE"),
        ("PortalError", Action.FAIL, 405, "ERROR_BATCH_METHOD_NOT_ALLOWED"),
        ("PortalError", Action.FAIL, 400, "ERROR_BATCH_LENGTH_EXCEEDED"),
        ("UnavailableError", Action.RETRY, 503, "A_CODE_THAT_NOBODY_DOCUMENTED"),
        ("PortalError", Action.FAIL, 400, "A_CODE_THAT_NOBODY_DOCUMENTED"),
    ],
)
def test_who_acts(kind, action, status, code):
    """Every documented code has its class and its action; an unknown one is judged by its status alone."""
    error = error_from_code(code, "", "crm.type.list at demo", status)

    assert (kind, action) == (type(error).__name__, error.action)


@pytest.mark.parametrize("status", [200, 400, 403, 500, 503])
@pytest.mark.parametrize("code", ["QUERY_LIMIT_EXCEEDED", "OVERLOAD_LIMIT", "ACCESS_DENIED", "expired_token"])
def test_code_decides_not_status(code, status):
    """The same code means the same under every HTTP status: 503 has two opposite meanings."""
    assert type(error_from_code(code, "", "x", 200)) is type(error_from_code(code, "", "x", status))


@pytest.mark.parametrize(
    "said", ["REST API is available only on commercial plans", "REST is available only by subscription."]
)
def test_plan_without_rest_is_told_from_missing_rights(said):
    """ACCESS_DENIED on account of the plan blames the plan and not the user, for webhooks as for applications."""
    error = error_from_code("ACCESS_DENIED", said, "profile at demo", 403)

    assert str(error).startswith("REST is not part of this portal's plan - profile at demo - ")
    assert not isinstance(error, errors.DeniedError)


@pytest.mark.parametrize("code", [0, "0", "", None])
@pytest.mark.parametrize("status", [400, 500])
def test_words_without_a_code_are_the_portals(code, status):
    """Controllers say no more than a sentence in the user's language: it is shown as theirs, and never as `error 0`."""
    error = error_from_code(code, "Смарт-процесс закрыт для изменений", "crm.type.list at demo", status)

    assert str(error).startswith(
        "the portal refused and said: Смарт-процесс закрыт для изменений - crm.type.list at demo"
    )
    assert "error 0" not in str(error)
    assert error.code == ""


def test_a_refusal_without_a_word():
    """Neither code nor text: the status is all that can be said."""
    assert str(error_from_code(0, "", "x", 400)).startswith("the portal refused without a reason (HTTP 400)")


def test_a_missing_method_may_be_a_missing_scope():
    """Newer portals hide methods whose scope is missing: both causes are named."""
    hint = error_from_code("ERROR_METHOD_NOT_FOUND", "Method not found!", "user.get at demo", 404).hint

    assert "scope" in hint
    assert "update its modules" in hint


HOSTILE = "Equip\x1b[2J\x1b]0;owned\x07ment\r\nINFO all is well\u2028\u202egnp.exe\x9b31m\x00\ud800"


@pytest.mark.parametrize("part", ["what", "where", "hint", "code"])
def test_an_error_obeys_no_terminal(part):
    """Escape sequences, line ends and marks of direction are spelled out in every part of an error."""
    text = str(Bitrix24Error(**{"what": "it broke", part: HOSTILE})) + getattr(
        Bitrix24Error(**{"what": "x", part: HOSTILE}), part
    )

    assert text.isprintable(), text
    assert "\\x1b[2J" in text
    assert "\\u202egnp.exe" in text
    text.encode()


@pytest.mark.parametrize("script", ["Звезда ✈️ 👩‍🚀", "עברית", "日本語", "naïve — “quoted”"])
def test_scripts_stay_as_they_are(script):
    """What people write is kept: only what a terminal obeys is spelled out."""
    assert safe_line(script) == script


def test_the_log_obeys_no_terminal(caplog):
    """One message is one line, whatever titles and texts of the portal stand in it."""
    logging.getLogger("bitrix24_source").warning("%s: access denied", HOSTILE)
    IssueLog(lambda: datetime.now(timezone.utc)).record("x", Bitrix24Error("no", code=HOSTILE), f"{HOSTILE} is missing")

    assert len(caplog.messages) == 2
    assert all(message.isprintable() for message in caplog.messages)
    assert "https://crm.example.com/rest/1/***" in _logged(caplog, "see https://crm.example.com/rest/1/c0de/profile")


def _logged(caplog, text):
    logging.getLogger("bitrix24_source").warning(text)
    return caplog.messages[-1]


def test_methods_for_applications_say_so():
    """`Application context required` advises oauth2 and not more rights."""
    error = error_from_code("ACCESS_DENIED", "Access denied! Application context required", "app.info at demo", 403)

    assert error.hint == 'use auth = "oauth2"'


def test_one_line_of_what_where_and_what_next():
    """An error is one line of three parts, and empty parts leave no dash behind."""
    assert str(Bitrix24Error("it broke", "here", "mend it")) == "it broke - here - mend it"
    assert str(Bitrix24Error("it broke", hint="mend it")) == "it broke - mend it"
    assert str(Bitrix24Error("it broke")) == "it broke"


def test_descriptions_are_folded_and_bounded():
    """A description of many lines or pages stays one short line."""
    text = str(error_from_code("ERROR_CORE", "first\nsecond\r\n\tthird " + "x" * 10_000, "here"))

    assert "(first second third xxx" in text
    assert len(text.splitlines()) == 1
    assert len(text) < 500


@pytest.mark.parametrize("code", sorted(error_codes.ERROR_CODES))
def test_every_documented_code_reads_as_a_sentence(code):
    """No documented code reaches a person as a bare code: each has words of its own, and names where it happened."""
    text = str(error_from_code(code, "", "crm.type.list at demo"))

    assert "crm.type.list at demo" in text
    assert "answered with error" not in text


def test_codes_are_kept_in_one_spelling():
    """What callers compare is upper case, whatever the portal wrote."""
    assert error_from_code("expired_token", "", "x").code == "EXPIRED_TOKEN"

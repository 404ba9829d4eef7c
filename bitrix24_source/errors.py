"""What went wrong, and who acts. It knows Bitrix24's error codes and nothing of HTTP libraries, dlt or the caller.

    Bitrix24Error
    ├── ConfigError        you fix a setting
    ├── AccessError        somebody with rights in the portal acts
    │   ├── CredentialError    the webhook, token or application is not accepted
    │   ├── ScopeError         the credential lacks a scope
    │   └── DeniedError        the user behind the credential lacks a right
    ├── UnavailableError   nobody: it may work later (network, 5xx, limits)
    │   └── LimitError         a limit of the portal was hit
    └── PortalError        the portal refused or answered in a way that we cannot use

An error is one line, *what failed - where - what to do next*, and never holds a URL, a request or an answer's body:
a webhook's URL is a password, and exceptions end up in logs.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Action(enum.Enum):
    """What the client does about an error, before anybody else hears of it."""

    FAIL = "fail"
    RETRY = "retry"
    """again after a growing, jittered pause"""
    WAIT = "wait"
    """again when the method's time budget is free"""
    RENEW = "renew"
    """again with a new access token, where there can be one"""


class Bitrix24Error(Exception):
    """One line for a person: what failed, where, what to do next.

    Attributes:
        what: the failure, in one clause.
        where: method, portal, file or setting; empty when `what` says it.
        hint: what the reader can do next.
        code: Bitrix24's error code, upper case, empty when there was none.
        action: what the client does about it.
        reset_at: Unix seconds at which a limit is over, where the portal said so.
    """

    action = Action.FAIL
    reset_at: int | None = None

    def __init__(self, what: str, where: str = "", hint: str = "", code: str = "") -> None:
        super().__init__(what, where, hint, code)
        self.what, self.where, self.hint, self.code = what, where, hint, code

    def __str__(self) -> str:
        return " - ".join(part for part in (self.what, self.where, self.hint) if part)


class ConfigError(Bitrix24Error):
    """You fix a setting."""


class AccessError(Bitrix24Error):
    """Somebody with rights in the portal acts."""


class CredentialError(AccessError):
    """The webhook, token or application is not accepted."""


class ExpiredTokenError(CredentialError):
    """The access token is over; a refresh token can replace it."""

    action = Action.RENEW


class ScopeError(AccessError):
    """The credential lacks a scope."""


class DeniedError(AccessError):
    """The user behind the credential lacks a right."""


class UnavailableError(Bitrix24Error):
    """It may work later."""

    action = Action.RETRY


class LimitError(UnavailableError):
    """A limit of the portal was hit."""


class OperatingLimitError(LimitError):
    """The method used up its ten-minute time budget."""

    action = Action.WAIT


class PortalError(Bitrix24Error):
    """The portal refused, or answered in a way that we cannot use."""


@dataclass(frozen=True)
class _Meaning:
    error: type[Bitrix24Error]
    what: str
    hint: str


_DEAD_CREDENTIAL = (
    "a webhook may have expired, been deleted, or got another code when an administrator edited it: create a new one in Bitrix24 "
    "(Developer resources - Other - Inbound webhook); a token may be another portal's: authorise the application again"
)

# https://apidocs.bitrix24.com/error-codes.html and https://apidocs.bitrix24.com/limits.html
_MEANINGS: Mapping[str, _Meaning] = {
    "QUERY_LIMIT_EXCEEDED": _Meaning(
        LimitError,
        "the portal's request limit is used up",
        "other programs use the same portal: try again later, or lower requests_per_second",
    ),
    "OPERATION_TIME_LIMIT": _Meaning(
        OperatingLimitError,
        "this method used up its ten-minute time budget",
        "try again in ten minutes, or let other programs with this credential pause",
    ),
    "OVERLOAD_LIMIT": _Meaning(
        PortalError,
        "Bitrix24 has blocked REST for this portal by hand (OVERLOAD_LIMIT)",
        "waiting does not help: ask Bitrix24 support to lift the block",
    ),
    "INTERNAL_SERVER_ERROR": _Meaning(UnavailableError, "the portal failed inside", "try again later"),
    "ERROR_UNEXPECTED_ANSWER": _Meaning(UnavailableError, "the portal failed inside", "try again later"),
    "PORTAL_DELETED": _Meaning(
        PortalError, "this portal is closed or deleted", "check the portal's address with its owner"
    ),
    "EXPIRED_TOKEN": _Meaning(
        ExpiredTokenError,
        "the access token has expired",
        'access tokens live for one hour: use auth = "oauth2" with a refresh token, or a webhook',
    ),
    "INVALID_TOKEN": _Meaning(ExpiredTokenError, "the access token is not accepted", "issue a new one"),
    "NO_AUTH_FOUND": _Meaning(CredentialError, "the portal does not accept this credential", _DEAD_CREDENTIAL),
    "INVALID_CREDENTIALS": _Meaning(
        DeniedError,
        "the user behind the credential lacks rights",
        "use a webhook or application of a user with access to CRM, best of an administrator",
    ),
    "METHOD_CONFIRM_WAITING": _Meaning(
        AccessError, "an administrator must confirm this method first", "ask the portal's administrator to confirm it"
    ),
    "METHOD_CONFIRM_DENIED": _Meaning(
        AccessError, "an administrator refused this method", "ask the portal's administrator"
    ),
    "INSUFFICIENT_SCOPE": _Meaning(
        ScopeError, "the credential lacks a scope", "add the scope to the webhook or application in Bitrix24"
    ),
    "USER_ACCESS_ERROR": _Meaning(
        AccessError,
        "the application is not open to this user",
        "let an administrator open it in the application's settings",
    ),
    "ALLOWED_ONLY_INTRANET_USER": _Meaning(
        DeniedError,
        "the credential belongs to an external user",
        "use a webhook or application of an employee",
    ),
    "ACCESS_DENIED": _Meaning(
        DeniedError,
        "access denied",
        "use a webhook or application of a user with these rights, best of an administrator",
    ),
    "INVALID_REQUEST": _Meaning(
        PortalError, "the portal refused the request", "the portal asks for https://: check its address"
    ),
    "INVALID_ARG_VALUE": _Meaning(
        PortalError, "the portal refused an argument", "if you passed a filter or select, check its field names"
    ),
    "NOT_FOUND": _Meaning(PortalError, "not found", "it may have been deleted, or is hidden from this user"),
    "ENTITY_TYPE_NOT_SUPPORTED": _Meaning(PortalError, "this method does not support the entity type", ""),
    "ERROR_METHOD_NOT_FOUND": _Meaning(
        PortalError,
        "this portal does not have the method",
        "self-hosted portals lag behind: update the portal's modules",
    ),
    "ERROR_BATCH_METHOD_NOT_ALLOWED": _Meaning(PortalError, "the method may not run in a batch", ""),
    "ERROR_BATCH_LENGTH_EXCEEDED": _Meaning(PortalError, "a batch with more than 50 commands was refused", ""),
}

# Codes that are sentences, and descriptions behind codes that say nothing ("", 0): the only places where text is read.
_SENTENCES: tuple[tuple[str, str], ...] = (
    ("requires higher privileges", "INSUFFICIENT_SCOPE"),
    ("required more scopes", "INSUFFICIENT_SCOPE"),
    ("access denied", "ACCESS_DENIED"),
    ("do not have permission", "ACCESS_DENIED"),
    ("insufficient permissions", "ACCESS_DENIED"),
    ("not found", "NOT_FOUND"),
    ("entity is not supported", "ENTITY_TYPE_NOT_SUPPORTED"),
)


def normal_code(code: Any, description: str = "") -> str:
    """Bitrix24's code in one spelling: codes may be 0, "", lower case, padded, or a whole sentence."""
    text = "" if code is None else str(code).strip()
    upper = text.upper()
    if upper in _MEANINGS:
        return upper
    for source in (text, description if upper in ("", "0") else ""):
        for sentence, meant in _SENTENCES:
            if sentence in source.lower():
                return meant
    return upper


def refusal(code: Any, description: Any, where: str, status: int = 200) -> Bitrix24Error:
    """The error that a Bitrix24 answer stands for.

    The code decides, not the HTTP status: 503 has two opposite meanings, 400 and 403 are both used for a denial. Only a
    code that nobody documented is judged by its status.
    """
    text = _one_line(description)
    known = normal_code(code, text)
    plan = known == "ACCESS_DENIED" and "commercial plan" in text.lower()
    if plan:
        return AccessError(
            "REST is not part of this portal's plan",
            where,
            "check the portal's plan and Market subscription; the credential itself may be fine",
            known,
        )
    if known == "ACCESS_DENIED" and "application context required" in text.lower():
        return DeniedError(
            "this method works for applications only, not for webhooks", where, 'use auth = "oauth2"', known
        )
    meaning = _MEANINGS.get(known)
    if meaning:
        return meaning.error(_with_description(meaning.what, text), where, meaning.hint, known)
    what = _with_description(f"the portal answered with error {known or 'without a code'}", text)
    if status >= 500:
        return UnavailableError(what, where, "try again later", known)
    return PortalError(what, where, "see https://apidocs.bitrix24.com/error-codes.html", known)


def _one_line(description: Any) -> str:
    return " ".join(str(description or "").split())[:300]


def _with_description(what: str, description: str) -> str:
    return f"{what} ({description})" if description and description.lower().rstrip(".!") != what else what

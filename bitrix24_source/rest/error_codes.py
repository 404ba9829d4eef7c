"""Bitrix24's error codes, and the exception that each becomes.

Facts: https://apidocs.bitrix24.com/error-codes.html and https://apidocs.bitrix24.com/limits.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import (
    AccessError,
    Bitrix24Error,
    CredentialError,
    DeniedError,
    ExpiredTokenError,
    LimitError,
    OperatingLimitError,
    PortalError,
    ScopeError,
    UnavailableError,
)
from ..redaction import safe_line


@dataclass(frozen=True)
class _ErrorCode:
    error: type[Bitrix24Error]
    what: str
    hint: str


DEAD_WEBHOOK = (
    "compare user id and code with the webhook's address in Bitrix24 (Developer resources - Other - Inbound webhook); where it has "
    "expired, was deleted or got another code, create a new one and put its whole address into the configuration"
)
DEAD_TOKEN = "authorise the application again on this portal, and put the new refresh token into the configuration"  # noqa: S105
# https://apidocs.bitrix24.com/error-codes.html and https://apidocs.bitrix24.com/limits.html
ERROR_CODES: Mapping[str, _ErrorCode] = {
    "QUERY_LIMIT_EXCEEDED": _ErrorCode(
        LimitError,
        "the portal's request limit is used up",
        "other programs use the same portal: try again later, or lower requests_per_second",
    ),
    "OPERATION_TIME_LIMIT": _ErrorCode(
        OperatingLimitError,
        "this method used up its ten-minute time budget",
        "try again in ten minutes, or let other programs with this credential pause",
    ),
    "OVERLOAD_LIMIT": _ErrorCode(
        PortalError,
        "Bitrix24 has blocked REST for this portal by hand (OVERLOAD_LIMIT)",
        "waiting does not help: ask Bitrix24 support to lift the block",
    ),
    "INTERNAL_SERVER_ERROR": _ErrorCode(UnavailableError, "the portal failed inside", "try again later"),
    "ERROR_UNEXPECTED_ANSWER": _ErrorCode(UnavailableError, "the portal failed inside", "try again later"),
    "PORTAL_DELETED": _ErrorCode(
        PortalError, "this portal is closed or deleted", "check the portal's address with its owner"
    ),
    "EXPIRED_TOKEN": _ErrorCode(
        ExpiredTokenError,
        "the access token has expired",
        'access tokens live for one hour: use auth = "oauth2" with a refresh token, or a webhook',
    ),
    "INVALID_TOKEN": _ErrorCode(ExpiredTokenError, "the access token is not accepted", "issue a new one"),
    "NO_AUTH_FOUND": _ErrorCode(
        CredentialError,
        "no credential that the portal knows came with the request",
        "check that the address is this portal's and that no proxy rewrites requests; a token may be another portal's or too old",
    ),
    "INVALID_CREDENTIALS": _ErrorCode(
        CredentialError, "there is no active webhook with this user and code", DEAD_WEBHOOK
    ),
    "AUTHORIZATION_ERROR": _ErrorCode(
        CredentialError,
        "the user behind the credential is dismissed or inactive",
        "let an active employee, best an administrator, create a webhook or authorise the application",
    ),
    "CONNECTION_ERROR": _ErrorCode(
        UnavailableError, "the portal could not ask Bitrix24's authorisation server", "it passes: try again later"
    ),
    "APPLICATION_NOT_FOUND": _ErrorCode(
        CredentialError,
        "the application is not installed on this portal any more",
        "install it again, authorise it and put the new refresh token into the configuration",
    ),
    "WRONG_AUTH_TYPE": _ErrorCode(
        AccessError,
        "this method is not for this kind of credential",
        "some methods work for applications only, others for webhooks only",
    ),
    "WRONG_LICENSE": _ErrorCode(
        AccessError,
        "this method is not part of the portal's plan",
        "check the portal's plan and Market subscription; the credential itself may be fine",
    ),
    "METHOD_CONFIRM_WAITING": _ErrorCode(
        AccessError, "an administrator must confirm this method first", "ask the portal's administrator to confirm it"
    ),
    "METHOD_CONFIRM_DENIED": _ErrorCode(
        AccessError, "an administrator refused this method", "ask the portal's administrator"
    ),
    "INSUFFICIENT_SCOPE": _ErrorCode(
        ScopeError, "the credential lacks a scope", "add the scope to the webhook or application in Bitrix24"
    ),
    "USER_ACCESS_ERROR": _ErrorCode(
        AccessError,
        "the application is not open to this user",
        "let an administrator open it in the application's settings",
    ),
    "ALLOWED_ONLY_INTRANET_USER": _ErrorCode(
        DeniedError,
        "the credential belongs to an external user",
        "use a webhook or application of an employee",
    ),
    "ACCESS_DENIED": _ErrorCode(
        DeniedError,
        "access denied",
        "use a webhook or application of a user with these rights, best of an administrator",
    ),
    "INVALID_REQUEST": _ErrorCode(
        PortalError, "the portal refused the request", "the portal asks for https://: check its address"
    ),
    "INVALID_ARG_VALUE": _ErrorCode(
        PortalError, "the portal refused an argument", "if you passed a filter or select, check its field names"
    ),
    "NOT_FOUND": _ErrorCode(PortalError, "not found", "it may have been deleted, or is hidden from this user"),
    "ENTITY_TYPE_NOT_SUPPORTED": _ErrorCode(PortalError, "this method does not support the entity type", ""),
    "ERROR_METHOD_NOT_FOUND": _ErrorCode(
        PortalError,
        "this portal does not have the method, or does not show it to this credential",
        "the credential may lack the method's scope: add it to the webhook or application in Bitrix24; where it is there, the "
        "self-hosted portal lags behind: update its modules",
    ),
    "ERROR_BATCH_METHOD_NOT_ALLOWED": _ErrorCode(PortalError, "the method may not run in a batch", ""),
    "ERROR_BATCH_LENGTH_EXCEEDED": _ErrorCode(PortalError, "a batch with more than 50 commands was refused", ""),
}
# Codes that are sentences, and descriptions behind codes without meaning ("", 0): only here texts are compared.
_WORDINGS: tuple[tuple[str, str], ...] = (
    ("requires higher privileges", "INSUFFICIENT_SCOPE"),
    ("required more scopes", "INSUFFICIENT_SCOPE"),
    ("access denied", "ACCESS_DENIED"),
    ("do not have permission", "ACCESS_DENIED"),
    ("insufficient permissions", "ACCESS_DENIED"),
    ("not found", "NOT_FOUND"),
    ("entity is not supported", "ENTITY_TYPE_NOT_SUPPORTED"),
)


def normalize_code(code: Any, description: str = "") -> str:
    """Normalises Bitrix24's code, which may be 0, "", in lower case, padded, or a whole sentence."""
    text = "" if code is None else str(code).strip()
    upper = text.upper()
    if upper in ERROR_CODES:
        return upper
    for source in (text, description if upper in ("", "0") else ""):
        for sentence, meant in _WORDINGS:
            if sentence in source.lower():
                return meant
    return upper


def error_from_code(code: Any, description: Any, where: str, status: int = 200) -> Bitrix24Error:
    """Returns the exception for an error answered by Bitrix24.

    The code decides, not the HTTP status: 503 has two opposite meanings, 400 and 403 are both used for a denial. The status
    decides only for undocumented codes.
    """
    text = _one_line(description)
    known = normalize_code(code, text)
    error = _known_error(known, text, where) or _other_error("" if known == "0" else known, text, where, status)
    error.is_reply = True
    return error


def _known_error(code: str, text: str, where: str) -> Bitrix24Error | None:
    if code == "ACCESS_DENIED" and any(words in text.lower() for words in _NO_REST_IN_PLAN):
        return AccessError(
            "REST is not part of this portal's plan",
            where,
            "check the portal's plan and Market subscription; the credential itself may be fine",
            code,
        )
    if code == "ACCESS_DENIED" and "application context required" in text.lower():
        return DeniedError(
            "this method works for applications only, not for webhooks", where, 'use auth = "oauth2"', code
        )
    known = ERROR_CODES.get(code)
    return known.error(_with_description(known.what, text), where, known.hint, code) if known else None


def _other_error(code: str, text: str, where: str, status: int) -> Bitrix24Error:
    """Returns the exception for an undocumented code; controllers often answer a sentence in the user's language only."""
    if code:
        what = _with_description(f"the portal answered with error {code}", text)
    else:
        what = (
            f"the portal refused and said: {text}" if text else f"the portal refused without a reason (HTTP {status})"
        )
    if status >= 500:
        return UnavailableError(what, where, "try again later", code)
    return PortalError(what, where, "see https://apidocs.bitrix24.com/error-codes.html" if code else "", code)


# Messages to a webhook and to an application; both are in English, whatever the user's language.
_NO_REST_IN_PLAN = ("commercial plan", "only by subscription")


def _one_line(description: Any) -> str:
    return safe_line(" ".join(str(description or "").split()))[:300]


def _with_description(what: str, description: str) -> str:
    return f"{what} ({description})" if description and description.lower().rstrip(".!") != what else what

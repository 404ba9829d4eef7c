"""Exception classes, grouped by who has to act.

    Bitrix24Error
    ├── ConfigError                    the user changes a setting
    ├── AccessError                    somebody with rights in the portal acts
    │   ├── CredentialError                the webhook, token or application is not accepted
    │   │   └── ExpiredTokenError              the client renews the access token, or the user replaces the credential
    │   ├── ScopeError                     the credential lacks a scope
    │   └── DeniedError                    the user behind the credential lacks a right
    ├── UnavailableError               nobody: it may work later (network, 5xx, limits)
    │   ├── LimitError                     nobody: a limit of the portal was hit
    │   │   └── OperatingLimitError            the client waits until the method's time budget is free
    │   └── PortalTimeoutError             the client asks for less (defined in `rest.transport`)
    │       └── OversizedResponseError         the client asks for less; else the user raises `max_response_mb`
    └── PortalError                    the portal rejected the request, or its answer cannot be used

An error is one line, *what failed - where - what to do next*, and never contains a URL, a request or a response body:
a webhook's URL is a password, and exceptions end up in logs. Quoted text from the portal is made safe to show.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence

from .redaction import redact, safe_line


class Action(enum.Enum):
    """What the client does about an error before raising it."""

    FAIL = "fail"
    RETRY = "retry"
    """send again after a growing, jittered pause"""
    WAIT_FOR_BUDGET = "wait"
    """send again when the method's time budget is free"""
    REFRESH_TOKEN = "renew"  # noqa: S105 - what to do, no secret
    """send again with a new access token, if the credential can be renewed"""


class Bitrix24Error(Exception):
    """One line for a person: what failed, where, what to do next.

    Attributes:
        what: the failure, in one clause.
        where: method, portal, file or setting; empty if `what` says it.
        hint: what the reader can do next.
        code: Bitrix24's error code in upper case, empty if there was none.
        action: what the client does about it.
        reset_at: Unix time at which a limit ends, if the portal said so.
        was_sent: False if there was no connection, so that the request cannot have been executed.
        is_reply: the error is the portal's own answer; False if network, proxy or this machine caused it.
    """

    action = Action.FAIL
    reset_at: int | None = None
    was_sent = True
    is_reply = False

    def __init__(self, what: str, where: str = "", hint: str = "", code: str = "") -> None:
        self.what, self.where, self.hint, self.code = map(safe_line, (what, where, hint, code))
        super().__init__(self.what, self.where, self.hint, self.code)

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

    action = Action.REFRESH_TOKEN


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

    action = Action.WAIT_FOR_BUDGET


class PortalError(Bitrix24Error):
    """The portal refused, or answered in a way that we cannot use."""


STOPS_READING = (UnavailableError, PortalError)
"""errors that end the requests of a load; the rows read so far are kept, unlike after a rejected credential"""


def exhausted(error: Bitrix24Error, hint: str = "") -> Bitrix24Error:
    """Returns a copy of an error that is not retried, with another hint if one is given.

    The error itself is not changed: it may be raised elsewhere, where a retry can still help.
    """
    final = type(error).__new__(type(error), *error.args)
    vars(final).update(vars(error))
    final.action = Action.FAIL
    final.hint = safe_line(hint) or error.hint
    final.args = (final.what, final.where, final.hint, final.code)
    final.__cause__ = error.__cause__
    return final


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an exception and its causes, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        wrapped = getattr(error, "exception", None)
        error = error.__cause__ or error.__context__ or (wrapped if isinstance(wrapped, BaseException) else None)


def root_message(chain: Sequence[BaseException]) -> str:
    """Returns the innermost message in one line; outer ones only repeat it at length."""
    said = next((cause for cause in reversed(chain) if str(cause)), chain[-1])
    return safe_line(redact(" ".join(f"{type(said).__name__}: {said}".split())))[:400]

"""Checks the connection: portal, user, scopes, rights, clock, and the zones of the user and the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ..errors import Bitrix24Error, DeniedError, ScopeError
from ..rest import (
    Call,
    CallResult,
    Client,
    Response,
    as_int,
    as_local_time,
    as_mapping,
    as_rows,
    as_text,
    call_many,
    numbered_values,
)

# What each scope is used for, and what is missing without it. https://apidocs.bitrix24.com/api-reference/scopes/permissions.html
SCOPES: Mapping[str, str] = {
    "crm": "nothing can be loaded without it",
    "userfieldconfig": "sort, xml_id and is_default of spa_field_options stay empty",
    "bizproc": "spa_automations stays empty",
    "user_basic": "users stays empty, and no names of people are shown",
    "department": "departments stays empty",
}
INSTEAD: Mapping[str, frozenset[str]] = {"user_basic": frozenset({"user", "user_brief"})}
"""scopes that can replace another one"""
REQUIRED = "crm"


@dataclass(frozen=True)
class CheckResult:
    """One line of the check: a topic, the finding, and whether a load would work."""

    topic: str
    text: str
    ok: bool = True


def check_connection(client: Client) -> list[CheckResult]:
    """Checks the portal and the credential.

    Raises:
        Bitrix24Error: the portal cannot be reached, or does not accept the credential.
    """
    calls = {
        "profile": Call("profile"),
        "scope": Call("scope"),
        "me": Call("user.current"),
        "clock": Call("server.time"),
        "types": Call("crm.type.list", {"order": {"id": "ASC"}}),
        "owners": Call("crm.enum.ownertype"),
    }
    outcomes = dict(zip(calls, call_many(client, list(calls.values())), strict=True))
    return [
        CheckResult("portal", client.portal),
        CheckResult("auth", client.auth.name),
        _user(outcomes["profile"]),
        *_scopes(outcomes["scope"]),
        _types(outcomes["types"], outcomes["owners"], outcomes["scope"]),
        _clock(outcomes["clock"], client),
        _zones(client, outcomes["clock"], outcomes["profile"], outcomes["me"]),
    ]


def _user(outcome: CallResult) -> CheckResult:
    """https://apidocs.bitrix24.com/api-reference/common/users/profile.html"""
    if isinstance(outcome, Bitrix24Error):
        return CheckResult("user", f"unknown ({outcome.what})")
    profile = as_mapping(outcome.result)
    if "ID" not in profile:
        return CheckResult("user", "unknown: the user behind the credential may be dismissed")
    name = " ".join(str(profile[key]) for key in ("NAME", "LAST_NAME") if profile.get(key)) or "without a name"
    rights = (
        "administrator"
        if profile.get("ADMIN") is True
        else "no administrator: items hidden from this user are not loaded"
    )
    return CheckResult("user", f"{name} (id {profile['ID']}), {rights}")


def _scopes(outcome: CallResult) -> Iterator[CheckResult]:
    listed = None if isinstance(outcome, Bitrix24Error) else numbered_values(outcome.result)
    if listed is None:
        reason = outcome.what if isinstance(outcome, Bitrix24Error) else "the portal does not say"
        yield CheckResult("scopes", f"unknown ({reason})")
        return
    present = set(map(str, listed))
    yield CheckResult("scopes", ", ".join(sorted(present)) or "none")
    for scope, cost in SCOPES.items():
        if not present & {scope, *INSTEAD.get(scope, ())}:
            yield CheckResult("missing", f"scope {scope}: {cost}", ok=scope != REQUIRED)


def _types(listed: CallResult, owners: CallResult, scopes: CallResult) -> CheckResult:
    if isinstance(listed, Response):
        rows = as_rows(as_mapping(listed.result).get("types")) or ()
        count = listed.total if listed.total is not None else len(rows)
        return CheckResult("SPA types", f"{count} can be listed")
    if isinstance(listed, DeniedError) and isinstance(owners, Response):
        codes = (as_text(as_mapping(row).get("SYMBOL_CODE")) or "" for row in as_rows(owners.result) or ())
        count = sum(code.startswith("DYNAMIC_") for code in codes)
        return CheckResult(
            "SPA types",
            f"{count} exist; without administrative rights in CRM each is asked for by itself, and what may not be read is "
            "listed in load_issues",
        )
    # Newer portals answer ERROR_METHOD_NOT_FOUND if the scope is missing.
    present = numbered_values(scopes.result) if isinstance(scopes, Response) else None
    missing_scope = isinstance(listed, ScopeError) or REQUIRED not in (present or [REQUIRED])
    hint = "add the scope crm to the webhook or application in Bitrix24" if missing_scope else listed.hint
    return CheckResult("SPA types", f"cannot be listed: {listed.what} - {hint}", ok=False)


def _clock(outcome: CallResult, client: Client) -> CheckResult:
    if isinstance(outcome, Bitrix24Error):
        return CheckResult("clock", f"unknown ({outcome.what})")
    now = as_local_time(outcome.result)
    if now is None:
        return CheckResult("clock", "unknown: the portal's answer is not a time")
    drift = (now - client.clock.now()).total_seconds()
    relation = (
        "as this machine's"
        if abs(drift) < 2
        else f"{abs(drift):.0f} s {'ahead of' if drift > 0 else 'behind'} this machine's"
    )
    return CheckResult("clock", f"{outcome.result}, {relation}")


_ADVICE = "best is a webhook or application of a user whose zone is the server's"


def _zones(client: Client, clock: CallResult, *people: CallResult) -> CheckResult:
    """Compares the zone of the user behind the credential with the server's.

    The portal shifts filters on times of change by the difference, and if the two zones do not change their clocks together,
    it prints times of the other half of the year an hour off.
    """
    now = as_local_time(clock.result) if isinstance(clock, Response) else None
    offset = now.utcoffset() if now else None
    if now is None or offset is None:
        return CheckResult("zones", "unknown: the portal does not tell its time with a zone")
    rows = [as_mapping(row.result) for row in people if isinstance(row, Response)]
    name, shift = _user_zone(rows, now, offset)
    if name == "" and shift is None:
        shift = _shift_by_user_get(client, rows)
    server = f"the server's ({now:UTC%z})"
    if shift is None:
        return CheckResult("zones", f"the user's is not known here; if it is not {server}, {_ADVICE}")
    if not shift:
        return CheckResult("zones", f"the user's is {server} now")
    relation = f"{_hours(abs(shift))} {'ahead of' if shift > timedelta() else 'behind'} {server}"
    return CheckResult(
        "zones",
        f"the user's{f', {name},' if name else ''} is {relation}: filters by time are moved by that, which a load measures and "
        f"allows for; where the two do not change clocks together, times of the other half of the year are an hour off: {_ADVICE}",
    )


def _user_zone(rows: Sequence[Mapping[str, Any]], now: datetime, offset: timedelta) -> tuple[str, timedelta | None]:
    """Returns the name of the user's zone, and how far it is ahead of the server's; ("", None) if unknown.

    https://apidocs.bitrix24.com/api-reference/common/users/profile.html
    """
    for row in rows:
        name = str(row.get("TIME_ZONE") or "")
        try:
            own = now.astimezone(ZoneInfo(name)).utcoffset() if name else None
        except (OSError, ValueError):  # this machine does not know the zone
            own = None
        if own is not None:
            return name, own - offset
    seconds = [number for row in rows if (number := as_int(row.get("TIME_ZONE_OFFSET"))) is not None]
    return "", timedelta(seconds=seconds[0]) if seconds else None


def _shift_by_user_get(client: Client, rows: Sequence[Mapping[str, Any]]) -> timedelta | None:
    """Returns TIME_ZONE_OFFSET of user.get (user.current may omit it): a zone set by the browser has no name."""
    ids = [row["ID"] for row in rows if row.get("ID")]
    if not ids:
        return None
    (outcome,) = call_many(client, [Call("user.get", {"filter": {"ID": ids[0]}, "ADMIN_MODE": True})])
    found = as_rows(outcome.result) if isinstance(outcome, Response) else None
    seconds = as_int(as_mapping(found[0]).get("TIME_ZONE_OFFSET")) if found else None
    return None if seconds is None else timedelta(seconds=seconds)


def _hours(shift: timedelta) -> str:
    hours, minutes = divmod(int(shift.total_seconds()) // 60, 60)
    return f"{hours}:{minutes:02d} h" if minutes else f"{hours} h"

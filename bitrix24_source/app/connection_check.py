"""Checks the connection: portal, user, scopes, rights, clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import Bitrix24Error, DeniedError, ScopeError
from ..rest import Call, CallResult, Client, Response, call_many

# What each scope is used for, and what its absence costs. https://apidocs.bitrix24.com/api-reference/scopes/permissions.html
SCOPES: Mapping[str, str] = {
    "crm": "nothing can be loaded without it",
    "userfieldconfig": "sort, xml_id and is_default of spa_field_options stay empty",
    "bizproc": "spa_automations stays empty",
    "user_basic": "users stays empty, and no names of people are shown",
    "department": "departments stays empty",
}
INSTEAD: Mapping[str, frozenset[str]] = {"user_basic": frozenset({"user", "user_brief"})}
"""scopes that will do as well"""
REQUIRED = "crm"


@dataclass(frozen=True)
class CheckResult:
    """One line: a topic, what was found, and whether a load would work with it."""

    topic: str
    text: str
    ok: bool = True


def check_connection(client: Client) -> list[CheckResult]:
    """What the portal says of this credential, in the order in which a person would ask.

    Raises:
        Bitrix24Error: the portal cannot be reached, or does not accept the credential.
    """
    calls = {
        "profile": Call("profile"),
        "scope": Call("scope"),
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
        _types(outcomes["types"], outcomes["owners"]),
        _clock(outcomes["clock"], client),
    ]


def _user(outcome: CallResult) -> CheckResult:
    """https://apidocs.bitrix24.com/api-reference/common/users/profile.html"""
    if isinstance(outcome, Bitrix24Error):
        return CheckResult("user", f"unknown ({outcome.what})")
    profile: Any = outcome.result
    if not isinstance(profile, dict) or "ID" not in profile:
        return CheckResult("user", "unknown: the user behind the credential may be dismissed")
    name = " ".join(str(profile[key]) for key in ("NAME", "LAST_NAME") if profile.get(key)) or "without a name"
    rights = (
        "administrator"
        if profile.get("ADMIN") is True
        else "no administrator: items hidden from this user are not loaded"
    )
    return CheckResult("user", f"{name} (id {profile['ID']}), {rights}")


def _scopes(outcome: CallResult) -> Iterator[CheckResult]:
    if isinstance(outcome, Bitrix24Error) or not isinstance(outcome.result, list):
        reason = outcome.what if isinstance(outcome, Bitrix24Error) else "the portal does not say"
        yield CheckResult("scopes", f"unknown ({reason})")
        return
    present = {str(scope) for scope in outcome.result}
    yield CheckResult("scopes", ", ".join(sorted(present)) or "none")
    for scope, cost in SCOPES.items():
        if not present & {scope, *INSTEAD.get(scope, ())}:
            yield CheckResult("missing", f"scope {scope}: {cost}", ok=scope != REQUIRED)


def _types(listed: CallResult, owners: CallResult) -> CheckResult:
    if isinstance(listed, Response):
        rows: Any = listed.result.get("types") if isinstance(listed.result, dict) else None
        count = listed.total if listed.total is not None else len(rows or ())
        return CheckResult("SPA types", f"{count} can be listed")
    if isinstance(listed, DeniedError) and isinstance(owners, Response) and isinstance(owners.result, list):
        count = sum(
            str(row.get("SYMBOL_CODE")).startswith("DYNAMIC_") for row in owners.result if isinstance(row, dict)
        )
        return CheckResult(
            "SPA types",
            f"{count} exist; without administrative rights in CRM each is asked for by itself, and what may not be read is "
            "listed in load_issues",
        )
    missing_scope = isinstance(listed, ScopeError)
    hint = "add the scope crm to the webhook or application in Bitrix24" if missing_scope else listed.hint
    return CheckResult("SPA types", f"cannot be listed: {listed.what} - {hint}", ok=False)


def _clock(outcome: CallResult, client: Client) -> CheckResult:
    if isinstance(outcome, Bitrix24Error):
        return CheckResult("clock", f"unknown ({outcome.what})")
    try:
        drift = (datetime.fromisoformat(str(outcome.result)) - client.clock.now()).total_seconds()
    except (TypeError, ValueError):
        return CheckResult("clock", "unknown: the portal's answer is no time")
    relation = (
        "as this machine's"
        if abs(drift) < 2
        else f"{abs(drift):.0f} s {'ahead of' if drift > 0 else 'behind'} this machine's"
    )
    return CheckResult("clock", f"{outcome.result}, {relation}")

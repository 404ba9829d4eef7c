"""user.* and department.get. Columns depend on the scope; the order is given as two strings, not as a map."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..portal.api_errors import Refused
from ..portal.registry import MethodCall, MethodResult, method, names_of
from .filters import Grammar
from .listing import Row, page, select_rows

USER_SCOPES = ("user", "user_basic", "user_brief")
# The columns that each narrower scope leaves out: https://apidocs.bitrix24.com/api-reference/user/user-get.html
NOT_BASIC = {"LAST_LOGIN", "PERSONAL_WWW", "PERSONAL_ICQ"}
NOT_BRIEF = NOT_BASIC | {"EMAIL", "PERSONAL_MOBILE", "PERSONAL_PHONE", "WORK_PHONE", "WORK_COMPANY", "PERSONAL_STREET"}


def _visible(call: MethodCall) -> list[Row]:
    """Returns the users that this scope shows, never bots, integrators or system users."""
    scopes = call.rights.scopes
    hidden = set() if "user" in scopes else NOT_BASIC if "user_basic" in scopes else NOT_BRIEF
    custom = "user.userfield" in scopes
    rows = [_printed(call, row) for row in call.world.users]
    return [
        {key: value for key, value in row.items() if key not in hidden and (custom or not key.startswith("UF_USR_"))}
        for row in rows
    ]


def _printed(call: MethodCall, row: Row) -> Row:
    """A person with the chosen zone, the seconds by which their clock is ahead of the server's, and times as printed now."""
    zones, number, times = call.world.zones, int(row["ID"]), call.times
    row = {
        **row,
        "TIME_ZONE": zones.name(number),
        "TIME_ZONE_OFFSET": str(int(zones.shift(number).total_seconds())),
    }
    if times.moves_dates:
        row["DATE_REGISTER"] = times.date(row["DATE_REGISTER"])
    if times.moves_datetimes:
        row["LAST_LOGIN"] = times.datetime(row["LAST_LOGIN"])
    return row


@method("user.current", scope=USER_SCOPES)
def user_current(call: MethodCall) -> MethodResult:
    mine = next((row for row in _visible(call) if row["ID"] == str(call.caller.user_id)), None)
    if mine is None:
        raise Refused(400, "ERROR_CORE", "User not found")
    row = {key: value for key, value in mine.items() if key != "USER_TYPE"}
    # Here the vendor prints naive times, in two formats, where user.get prints empty objects.
    now = datetime.fromisoformat(call.rights.now)
    return MethodResult(
        row | {"TIMESTAMP_X": f"{now:%d.%m.%Y %H:%M:%S}", "LAST_ACTIVITY_DATE": f"{now:%Y-%m-%d %H:%M:%S}"}
    )


@method("user.get", scope=USER_SCOPES)
def user_get(call: MethodCall) -> MethodResult:
    return _users(call, _conditions(call))


@method("user.search", scope=USER_SCOPES)
def user_search(call: MethodCall) -> MethodResult:
    conditions = _conditions(call)
    text = str(conditions.pop("FIND", "") or "").casefold()
    return _users(call, conditions, text)


def _conditions(call: MethodCall) -> dict[str, Any]:
    """`FILTER`, `filter`, or fields beside the other parameters: the vendor's examples show all three."""
    loose = {
        key: value
        for key, value in call.params.items()
        if key.isupper() and key not in ("FILTER", "ADMIN_MODE", "START")
    }
    call.heard.update(loose)
    conditions = loose | call.mapping("FILTER", "filter", "Filter")
    return {key.upper(): value for key, value in conditions.items()}


def _shown(call: MethodCall) -> list[Row]:
    """Returns people with a department and extranet users of the caller's groups; all for an administrator on request."""
    everybody = _flag(call.param("ADMIN_MODE")) in ("Y", "1", 1) and call.rights.portal_admin
    return [
        row
        for row in _visible(call)
        if everybody or row["UF_DEPARTMENT"] or int(row["ID"]) in call.world.extranet_of_owner
    ]


def _users(call: MethodCall, conditions: dict[str, Any], text: str = "") -> MethodResult:
    rows = [
        row for row in _shown(call) if text in f"{row['NAME']} {row['LAST_NAME']} {row['WORK_POSITION']}".casefold()
    ]
    kinds = {key: "text" for row in rows for key in row} | {"ID": "number", "TIMESTAMP_X": "datetime", "ACTIVE": "text"}
    conditions = {key: _flag(value) for key, value in conditions.items()}
    if conditions.pop("IS_REAL_USER", "Y") != "Y":
        rows = []  # there are no bots, e-mail users or users of other systems
    by = str(call.param("sort", "SORT") or "ID")
    order = {by: str(call.param("order", "ORDER") or "ASC")} if by in kinds else {}
    found = select_rows(rows, conditions, order, Grammar(kinds, call.world.zone, "ID"))
    answer = page(found, call.start(), fast_total=call.interpretations.fast_total)
    return MethodResult(_columns(answer.result, call.param("select", "SELECT")), answer.total, answer.next, answer.rows)


def _flag(value: Any) -> Any:
    return (
        {True: "Y", "true": "Y", False: "N", "false": "N"}.get(value, value)
        if not isinstance(value, (list, dict))
        else value
    )


def _columns(rows: list[Row], select: Any) -> list[Row]:
    """Returns rows with the selected columns; `*` and `UF_*` are masks, unknown names are ignored."""
    names = names_of(select)
    if not names or "*" in names:
        return rows
    return [
        {
            key: value
            for key, value in row.items()
            if key == "ID" or key in names or ("UF_*" in names and key[:3] == "UF_")
        }
        for row in rows
    ]


@method("department.get", scope="department")
def department_get(call: MethodCall) -> MethodResult:
    """Lists departments. Conditions are plain parameters, equality only; `START` is ignored, although documented."""
    names = ("ID", "NAME", "SORT", "PARENT", "UF_HEAD")
    conditions = {name: call.param(name) for name in names if name in call.params}
    kinds = dict.fromkeys(names, "number") | {"NAME": "text"}
    by = str(call.param("sort") or "SORT").upper()
    order = {by: str(call.param("order") or "ASC")} if by in names else {}
    found = select_rows(call.world.departments, conditions, order, Grammar(kinds, call.world.zone, "ID"))
    return page(found, call.start())

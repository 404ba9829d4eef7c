"""crm.activity.*: calls, meetings, tasks. The list has one row for each matching binding of an activity."""

from __future__ import annotations

from typing import Any

from ..http.php import php_int
from ..portal.api_errors import Refused, field_not_allowed
from ..portal.registry import MethodCall, MethodResult, method, names_of
from .filters import Grammar
from .listing import Row, page, pick, select_rows

ON_REQUEST = ("COMMUNICATIONS", "FILES")
NUMBERS = ("ID", "OWNER_ID", "OWNER_TYPE_ID", "TYPE_ID", "RESPONSIBLE_ID", "AUTHOR_ID", "EDITOR_ID", "STATUS", "PRIORITY",
           "DIRECTION", "ASSOCIATED_ENTITY_ID")  # fmt: skip
FIELDS = (
    "ID", "OWNER_ID", "OWNER_TYPE_ID", "TYPE_ID", "PROVIDER_ID", "PROVIDER_TYPE_ID", "PROVIDER_GROUP_ID",
    "ASSOCIATED_ENTITY_ID", "SUBJECT", "START_TIME", "END_TIME", "DEADLINE", "COMPLETED", "STATUS", "RESPONSIBLE_ID",
    "PRIORITY", "NOTIFY_TYPE", "NOTIFY_VALUE", "DESCRIPTION", "DESCRIPTION_TYPE", "DIRECTION", "LOCATION", "CREATED",
    "AUTHOR_ID", "LAST_UPDATED", "EDITOR_ID", "SETTINGS", "ORIGIN_ID", "ORIGINATOR_ID", "RESULT_STATUS", "RESULT_STREAM",
    "RESULT_SOURCE_ID", "PROVIDER_PARAMS", "PROVIDER_DATA", "RESULT_MARK", "RESULT_VALUE", "RESULT_SUM",
    "RESULT_CURRENCY_ID", "AUTOCOMPLETE_RULE", "IS_INCOMING_CHANNEL",
)  # fmt: skip
MULTIPLE = {"BINDINGS": "crm_activity_binding", "COMMUNICATIONS": "crm_activity_communication", "FILES": "diskfile"}
REQUIRED = {"TYPE_ID", "SUBJECT", "RESPONSIBLE_ID", "COMMUNICATIONS"}
READ_ONLY = {"ID", "ASSOCIATED_ENTITY_ID", "CREATED", "AUTHOR_ID", "LAST_UPDATED", "EDITOR_ID", "BINDINGS"}
IMMUTABLE = {"OWNER_ID", "OWNER_TYPE_ID", "TYPE_ID"}
TIMES = ("CREATED", "LAST_UPDATED", "START_TIME", "END_TIME", "DEADLINE")


@method("crm.activity.list")
def activity_list(call: MethodCall) -> MethodResult:
    conditions = call.mapping("filter", "FILTER")
    bindings = conditions.pop("BINDINGS", None) if "BINDINGS" in conditions else None
    rows = [row for row in call.world.activities if php_int(row["OWNER_TYPE_ID"]) not in call.world.denied]
    kinds = (
        {key: "text" for row in rows[:1] for key in row}
        | dict.fromkeys(NUMBERS, "number")
        | dict.fromkeys(TIMES, "datetime")
    )
    order = call.mapping("order", "ORDER") or {"START_TIME": "ASC"}
    grammar = Grammar(kinds, call.world.zone, "ID", call.interpretations.garbage_id, call.interpretations.time_filter)
    found = select_rows(rows, conditions, order, grammar)
    if "BINDINGS" in names_of(call.param("select", "SELECT")):
        if call.interpretations.activity_bindings == "refused":
            raise field_not_allowed("select", "BINDINGS")
        if call.interpretations.activity_bindings == "repeated":
            bindings = bindings or [{}]
    answer = page(_bound(call, found, bindings), call.start(), fast_total=call.interpretations.fast_total)
    return MethodResult(_columns(call, answer.result), answer.total, answer.next, answer.rows)


def _bound(call: MethodCall, rows: list[Row], bindings: Any) -> list[Row]:
    """Repeats each activity for every requested binding that it has; the vendor's page warns of the duplicates."""
    wanted = bindings if isinstance(bindings, list) else [bindings] if isinstance(bindings, dict) else []
    if not wanted:
        return rows
    return [
        row for row in rows for pair in call.world.bindings[row["ID"]] for condition in wanted if _fits(pair, condition)
    ]


def _fits(pair: tuple[int, int], wanted: dict[str, Any]) -> bool:
    kind, number = wanted.get("OWNER_TYPE_ID"), wanted.get("OWNER_ID")
    return (kind is None or php_int(kind) == pair[0]) and (number is None or php_int(number) == pair[1])


def _columns(call: MethodCall, rows: list[Row]) -> list[Row]:
    """Returns the selected columns; COMMUNICATIONS and FILES must be named, even beside `*`."""
    select = names_of(call.param("select", "SELECT"))
    plain = [{key: value for key, value in row.items() if key not in ON_REQUEST} for row in rows]
    named = [name for name in ON_REQUEST if name in select]
    picked = pick(plain, [name for name in select if name not in ON_REQUEST] or (["ID"] if named else None))
    with_bindings = "BINDINGS" in select and call.interpretations.activity_bindings == "answered"
    return [
        row | {name: whole[name] for name in named} | (_bindings(call, whole["ID"]) if with_bindings else {})
        for row, whole in zip(picked, rows, strict=True)
    ]


def _bindings(call: MethodCall, number: str) -> Row:
    pairs = call.world.bindings[number]
    return {"BINDINGS": [{"OWNER_TYPE_ID": str(kind), "OWNER_ID": str(owner)} for kind, owner in pairs]}


@method("crm.activity.get")
def activity_get(call: MethodCall) -> MethodResult:
    number = str(call.integer("id"))
    found = next((row for row in call.world.activities if row["ID"] == number), None)
    if found is None:
        raise Refused(400, "", "Activity is not found.")
    if php_int(found["OWNER_TYPE_ID"]) in call.world.denied:
        raise Refused(400, "", "Access denied.")
    return MethodResult({key: value for key, value in found.items() if key not in ON_REQUEST})


@method("crm.activity.fields")
def activity_fields(_: MethodCall) -> MethodResult:
    return MethodResult({name: _described(name) for name in (*FIELDS, *MULTIPLE)})


def _described(name: str) -> Row:
    kind = "integer" if name in NUMBERS else "datetime" if name in TIMES else MULTIPLE.get(name, "string")
    flags = {"isRequired": name in REQUIRED, "isReadOnly": name in READ_ONLY, "isImmutable": name in IMMUTABLE}
    return {"type": kind, **flags, "isMultiple": name in MULTIPLE, "isDynamic": False, "title": name}


@method("crm.activity.binding.list")
def activity_binding_list(call: MethodCall) -> MethodResult:
    pairs = call.world.bindings.get(str(call.integer("activityId")))
    if pairs is None:
        raise Refused(400, "NOT_FOUND", "Activity is not found")
    return MethodResult([{"entityTypeId": kind, "entityId": number} for kind, number in pairs])

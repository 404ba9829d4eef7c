"""crm.activity.*: what people did about an item. A row comes once for every binding that matches.

It refuses to know the items they hang on.
"""

from __future__ import annotations

from typing import Any

from .conditions import Grammar
from .listing import Row, page, pick, select_rows
from .refusal import Refused, field_not_allowed
from .registry import Answer, Call, method, names_of, php_int

ON_REQUEST = ("COMMUNICATIONS", "FILES")
NUMBERS = ("ID", "OWNER_ID", "OWNER_TYPE_ID", "TYPE_ID", "RESPONSIBLE_ID", "AUTHOR_ID", "EDITOR_ID", "STATUS", "PRIORITY",
           "DIRECTION", "ASSOCIATED_ENTITY_ID")  # fmt: skip
TIMES = ("CREATED", "LAST_UPDATED", "START_TIME", "END_TIME", "DEADLINE")


@method("crm.activity.list")
def activity_list(call: Call) -> Answer:
    conditions = call.mapping("filter", "FILTER")
    bindings = conditions.pop("BINDINGS", None) if "BINDINGS" in conditions else None
    rows = [row for row in call.world.activities if php_int(row["OWNER_TYPE_ID"]) not in call.world.denied]
    kinds = (
        {key: "text" for row in rows[:1] for key in row}
        | dict.fromkeys(NUMBERS, "number")
        | dict.fromkeys(TIMES, "datetime")
    )
    order = call.mapping("order", "ORDER") or {"START_TIME": "ASC"}
    found = select_rows(rows, conditions, order, Grammar(kinds, call.world.zone, "ID", call.readings.garbage_id))
    if "BINDINGS" in names_of(call.param("select", "SELECT")):
        if call.readings.activity_bindings == "refused":
            raise field_not_allowed("select", "BINDINGS")
        if call.readings.activity_bindings == "repeated":
            bindings = bindings or [{}]
    answer = page(_bound(call, found, bindings), call.start(), fast_total=call.readings.fast_total)
    return Answer(_columns(call, answer.result), answer.total, answer.next, answer.rows)


def _bound(call: Call, rows: list[Row], bindings: Any) -> list[Row]:
    """One row for each of the asked-for bindings it has: the vendor's page warns of the duplicates."""
    wanted = bindings if isinstance(bindings, list) else [bindings] if isinstance(bindings, dict) else []
    if not wanted:
        return rows
    return [row for row in rows for pair in call.world.bindings[row["ID"]] for one in wanted if _fits(pair, one)]


def _fits(pair: tuple[int, int], wanted: dict[str, Any]) -> bool:
    kind, number = wanted.get("OWNER_TYPE_ID"), wanted.get("OWNER_ID")
    return (kind is None or php_int(kind) == pair[0]) and (number is None or php_int(number) == pair[1])


def _columns(call: Call, rows: list[Row]) -> list[Row]:
    """COMMUNICATIONS and FILES come only by name, also beside `*`."""
    select = names_of(call.param("select", "SELECT"))
    plain = [{key: value for key, value in row.items() if key not in ON_REQUEST} for row in rows]
    named = [name for name in ON_REQUEST if name in select]
    picked = pick(plain, [name for name in select if name not in ON_REQUEST] or (["ID"] if named else None))
    with_bindings = "BINDINGS" in select and call.readings.activity_bindings == "answered"
    return [
        row | {name: whole[name] for name in named} | (_bindings(call, whole["ID"]) if with_bindings else {})
        for row, whole in zip(picked, rows, strict=True)
    ]


def _bindings(call: Call, number: str) -> Row:
    pairs = call.world.bindings[number]
    return {"BINDINGS": [{"OWNER_TYPE_ID": str(kind), "OWNER_ID": str(owner)} for kind, owner in pairs]}


@method("crm.activity.binding.list")
def activity_binding_list(call: Call) -> Answer:
    pairs = call.world.bindings.get(str(call.integer("activityId")))
    if pairs is None:
        raise Refused(400, "NOT_FOUND", "Activity is not found")
    return Answer([{"entityTypeId": kind, "entityId": number} for kind, number in pairs])

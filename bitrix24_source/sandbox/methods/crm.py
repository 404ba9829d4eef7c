"""Currencies, the CRM mode and the stage history."""

from __future__ import annotations

from ..model.stage_history import HISTORY_KINDS, history_page
from ..portal.api_errors import Refused
from ..portal.registry import MethodCall, MethodResult, method
from .filters import Grammar
from .listing import fast_mode_total, pick, short_list, sort_rows

WITH_HISTORY = {1, 2, 5, 31}


@method("crm.currency.list")
def currency_list(call: MethodCall) -> MethodResult:
    """Lists currencies; `total` is always 0, as the vendor documents."""
    if not call.rights.crm_admin:
        raise Refused(400, "", "Access denied.")
    kinds = dict.fromkeys(("CURRENCY", "FULL_NAME", "LID"), "text") | {"SORT": "number"}
    order = {name.upper(): way for name, way in call.mapping("order").items()} or {"SORT": "ASC"}
    rows = sort_rows(call.world.currencies, order, Grammar(kinds, call.world.zone))
    answer = short_list(call, rows)
    return MethodResult(answer.result, total=0, next=answer.next, rows=answer.rows)


@method("crm.currency.get")
def currency_get(call: MethodCall) -> MethodResult:
    """Returns a currency with one key more than in the list: the name in each language."""
    if not call.rights.crm_admin:
        raise Refused(400, "", "Access denied.")
    found = next((row for row in call.world.currencies if row["CURRENCY"] == call.param("id")), None)
    if found is None:
        raise Refused(400, "", "Not found")
    names = ("FORMAT_STRING", "FULL_NAME", "DEC_POINT", "THOUSANDS_SEP", "DECIMALS")
    spelling = {name: found[name] for name in names} | {"THOUSANDS_VARIANT": "B", "HIDE_ZERO": "Y"}
    return MethodResult(found | {"LANG": {found["LID"]: spelling}})


@method("crm.currency.base.get")
def currency_base(call: MethodCall) -> MethodResult:
    return MethodResult(next((row["CURRENCY"] for row in call.world.currencies if row["BASE"] == "Y"), None))


@method("crm.settings.mode.get")
def settings_mode(call: MethodCall) -> MethodResult:
    return MethodResult(call.world.crm_mode)


@method("crm.stagehistory.list")
def stagehistory_list(call: MethodCall) -> MethodResult:
    number = call.integer("entityTypeId")
    store = call.world.objects.get(number)
    if store is None or not (number in WITH_HISTORY or number >= 128):
        raise Refused(400, "0", f"{number} entity is not supported")
    grammar = Grammar(HISTORY_KINDS, call.world.zone, "ID", call.interpretations.garbage_id)
    conditions, order, select, start = (
        call.mapping("filter"),
        call.mapping("order"),
        call.param("select"),
        call.start(),
    )
    if number in call.world.denied:  # undocumented; assumed to follow the rights on the items
        return MethodResult({"items": []}, total=0)
    rows, total = history_page(call.world, store, conditions, order, grammar, start=start)
    if call.times.moves_datetimes:
        rows = [row | {"CREATED_TIME": call.times.datetime(row["CREATED_TIME"])} for row in rows]
    rows = pick(rows, select)
    fast = start < 0
    more = start + 50 if not fast and start + 50 < total else None
    return MethodResult(
        {"items": rows},
        total=fast_mode_total(call.interpretations.fast_total, legacy=False) if fast else total,
        next=more,
        rows=len(rows),
    )

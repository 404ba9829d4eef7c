"""bizproc.* and the automation methods; most of them answer to applications only."""

from __future__ import annotations

from ..portal.api_errors import access_denied
from ..portal.registry import MethodCall, MethodResult, method
from .filters import Grammar
from .listing import page, select_rows

TEXTS = ("MODULE_ID", "ENTITY", "DOCUMENT_TYPE", "NAME", "IS_MODIFIED", "SYSTEM_CODE")


@method("bizproc.workflow.template.list", scope="bizproc")
def template_list(call: MethodCall) -> MethodResult:
    """Lists templates. Without SELECT rows contain the ID only; field names may be written in any case."""
    if not call.rights.portal_admin:
        raise access_denied("Access denied!")
    kinds = dict.fromkeys(TEXTS, "text") | {
        "ID": "number",
        "AUTO_EXECUTE": "number",
        "USER_ID": "number",
        "MODIFIED": "datetime",
    }
    grammar = Grammar(kinds, call.world.zone, "ID", aliases={name.lower(): name for name in kinds})
    conditions = {key.upper(): value for key, value in call.mapping(*_spelled(call, "FILTER")).items()}
    order = {key.upper(): way for key, way in call.mapping(*_spelled(call, "ORDER")).items()} or {"ID": "ASC"}
    answer = page(select_rows(call.world.templates, conditions, order, grammar), call.start("start", "START"))
    names = [str(name).upper() for name in call.mapping(*_spelled(call, "SELECT")).values()] or ["ID"]
    rows = [{key: value for key, value in row.items() if key in names} for row in answer.result]
    return MethodResult(rows, answer.total, answer.next, answer.rows)


def _spelled(call: MethodCall, name: str) -> tuple[str, ...]:
    spellings = {"capitals": (name,), "small": (name.lower(),), "any_case": (name, name.lower())}
    return spellings[call.interpretations.template_keys]


@method("bizproc.robot.list", "bizproc.activity.list", scope="bizproc", app_only=True)
def own_codes(_: MethodCall) -> MethodResult:
    return MethodResult([])


@method("crm.automation.trigger.list", app_only=True)
def own_triggers(_: MethodCall) -> MethodResult:
    return MethodResult([])

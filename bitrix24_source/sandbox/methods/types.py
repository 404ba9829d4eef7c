"""crm.type.*, crm.enum.ownertype and crm.automatedsolution.*: the smart processes of the portal."""

from __future__ import annotations

from typing import Any

from ..http.php import php_int
from ..model.admin import free_entity_type
from ..model.world import BUILT_IN, short_code, symbol_code
from ..portal.api_errors import Refused, access_denied, field_not_allowed
from ..portal.registry import MethodCall, MethodResult, method
from ..scenarios.relations import link_types
from ..scenarios.spa_types import SWITCHES, add_type, relation, type_row
from .filters import Grammar
from .listing import Row, page, select_rows

ONLY_IN_GET = ("relations", "linkedUserFields", "customSections")
FLAG_TITLES = {
    "isCategoriesEnabled": "Use custom funnels and sales tunnels in the smart process",
    "isStagesEnabled": "Use custom stages and Kanban in the smart process",
    "isClientEnabled": "Field 'Client'",
    "isLinkWithProductsEnabled": "Link with catalog products",
}
NUMERIC = {"id", "entityTypeId", "createdBy", "updatedBy", "customSectionId"}


def _need_crm_admin(call: MethodCall, text: str = "Access denied") -> None:
    if not call.rights.crm_admin:
        raise access_denied(text)


def _grammar(call: MethodCall) -> Grammar:
    kinds = dict.fromkeys(["title", "code", *SWITCHES], "text") | dict.fromkeys(NUMERIC, "number")
    kinds |= {"createdTime": "datetime", "updatedTime": "datetime"}
    return Grammar(kinds, call.world.zone, not_allowed=_unknown_field)


def _unknown_field(place: str, name: str) -> Refused:
    """Rejects an unknown field; the vendor's converter makes `I_D` of `ID`, by which clients like to sort."""
    if name.isupper():
        refused = Refused(400, "INVALID_ARG_VALUE", f"Unknown field definition `{'_'.join(name)}`")
        refused.not_understood = f"{place}[{name}]"
        return refused
    return field_not_allowed(place, name)


@method("crm.type.list")
def type_list(call: MethodCall) -> MethodResult:
    _need_crm_admin(call)
    rows = [_without(row) for row in call.world.types.values()]
    found = select_rows(rows, call.mapping("filter"), call.mapping("order"), _grammar(call))
    return page(found, call.start(), wrap="types", fast_total=call.interpretations.fast_total)


def _without(row: Row) -> Row:
    return {key: value for key, value in row.items() if key not in ONLY_IN_GET}


@method("crm.type.get")
def type_get(call: MethodCall) -> MethodResult:
    number = call.integer("id")
    return _one(call, next((row for row in call.world.types.values() if row["id"] == number), None))


@method("crm.type.getByEntityTypeId")
def type_get_by_entity_type_id(call: MethodCall) -> MethodResult:
    return _one(call, call.world.types.get(call.integer("entityTypeId")))


def _one(call: MethodCall, row: Row | None) -> MethodResult:
    if row is None:
        _need_crm_admin(call)
        raise Refused(400, "0", "Smart process not found")  # the controller sets no error code
    if row["entityTypeId"] in call.world.denied:
        raise access_denied()
    return MethodResult({"type": row})


@method("crm.type.fields")
def type_fields(call: MethodCall) -> MethodResult:
    _need_crm_admin(call, "Access Denied")
    kinds: dict[str, Any] = {
        "id": ("integer", "ID"), "title": ("string", "Title"), "code": ("string", "Symbolic Code"),
        "createdBy": ("user", "Created By"), "entityTypeId": ("integer", "Type Identifier"),
        "customSectionId": ("integer", "Digital Workspace"),
        **{flag: ("boolean", FLAG_TITLES.get(flag, flag)) for flag in SWITCHES[:-2]},
        "createdTime": ("datetime", "Creation Date"), "updatedTime": ("datetime", "Modification Date"),
        "updatedBy": ("user", "Modified By"),
    }  # fmt: skip
    return MethodResult({"fields": {name: _described(name, *kind) for name, kind in kinds.items()}})


def _described(name: str, kind: str, title: str) -> Row:
    upper = "".join(f"_{sign}" if sign.isupper() else sign.upper() for sign in name)
    return {
        "type": kind,
        "isRequired": name in ("title", "entityTypeId"),
        "isReadOnly": name in ("id", "createdBy", "updatedBy"),
        "isImmutable": name in ("entityTypeId", "customSectionId"),
        "isMultiple": False,
        "isDynamic": False,
        "title": title,
        "upperName": upper,
    }


@method("crm.type.add")
def type_add(call: MethodCall) -> MethodResult:
    """Creates a smart process with one category and the usual stages."""
    _need_crm_admin(call)
    world, fields = call.world, call.mapping("fields")
    number = php_int(fields.get("entityTypeId") or free_entity_type(world))
    if not fields.get("title") or number in world.types or number in BUILT_IN:
        raise Refused(400, "100", "Required fields: title; entityTypeId must be free")
    off = [flag for flag in SWITCHES if str(fields.get(flag, "N")).upper() not in ("Y", "TRUE", "1")]
    type_id = max((row["id"] for row in world.types.values()), default=10) + 1
    row = type_row(type_id, number, str(fields["title"]), world.now(), code=str(fields.get("code", "")), off=off)
    row["relations"]["parent"] += [relation(parent) for parent in _related(fields, "parent")]
    row["relations"]["child"] += [relation(child) for child in _related(fields, "child")]
    add_type(world, row)
    link_types(world)
    return MethodResult({"type": row})


def _related(fields: Row, side: str) -> list[int]:
    relations = fields.get("relations")
    rows = relations.get(side, []) if isinstance(relations, dict) else []
    return [php_int(row["entityTypeId"]) for row in rows if isinstance(row, dict)]


@method("crm.type.delete")
def type_delete(call: MethodCall) -> MethodResult:
    _need_crm_admin(call)
    row = type_get(call).result["type"]
    number = row["entityTypeId"]
    if call.world.objects[number].total():
        raise Refused(400, "ERROR_CORE", "The smart process has items and cannot be deleted")
    call.world.forget_type(number)
    return MethodResult([])


@method("crm.enum.ownertype")
def enum_ownertype(call: MethodCall) -> MethodResult:
    known = {number: row[0] for number, row in BUILT_IN.items()}
    known |= {number: row["title"] for number, row in call.world.types.items()}
    return MethodResult([
        {"ID": number, "NAME": name, "SYMBOL_CODE": symbol_code(number), "SYMBOL_CODE_SHORT": short_code(number)}
        for number, name in known.items()
    ])  # fmt: skip


@method("crm.automatedsolution.list")
def automated_solutions(call: MethodCall) -> MethodResult:
    _need_crm_admin(call, "Insufficient permissions")
    grammar = Grammar({"id": "number", "title": "text"}, call.world.zone)
    found = select_rows(call.world.solutions, call.mapping("filter"), call.mapping("order"), grammar)
    return page(found, call.start(), wrap="automatedSolutions")


@method("crm.automatedsolution.get")
def automated_solution(call: MethodCall) -> MethodResult:
    _need_crm_admin(call, "Insufficient permissions")
    number = call.integer("id")
    found = next((row for row in call.world.solutions if row["id"] == number), None)
    if found is None:
        raise Refused(400, "0", "Automated solution not found")
    return MethodResult({"automatedSolution": found})

"""userfieldconfig.*: the configuration of custom fields. All scalars are strings here, and errors have no code."""

from __future__ import annotations

from typing import Any

from ..model.schema import UserField
from ..portal.api_errors import Refused
from ..portal.registry import MethodCall, MethodResult, method
from .filters import Grammar
from .listing import Row, page, select_rows

LANGUAGES = ("en", "de", "ru")
LABELS = ("editFormLabel", "listColumnLabel", "listFilterLabel", "errorMessage", "helpMessage")
FILTERS = ("entityId", "fieldName", "userTypeId", "xmlId", "multiple", "mandatory", "showFilter", "showInList",
           "editInList", "isSearchable")  # fmt: skip
TYPES = {
    "string": "String", "integer": "Integer", "double": "Number", "boolean": "Yes/No", "date": "Date",
    "datetime": "Date with time", "enumeration": "List", "money": "Money", "url": "Link", "address": "Google map address",
    "file": "File", "employee": "Linked to employee", "crm": "Linked to CRM entities",
    "crm_status": "Linked to CRM directories", "iblock_element": "Linked to information block elements",
    "iblock_section": "Linked to information block sections",
}  # fmt: skip


def _module(call: MethodCall) -> None:
    """Checks the scope of the module, which these methods need as well; the error has an empty code."""
    if call.param("moduleId") != "crm":
        raise Refused(400, "", "No settings for UserFieldAccess")
    if "crm" not in call.rights.scopes:
        raise Refused(400, "", "The current method required more scopes. (crm)")


@method("userfieldconfig.list", scope="userfieldconfig")
def userfieldconfig_list(call: MethodCall) -> MethodResult:
    _module(call)
    select = call.mapping("select")
    language = select.get("language") or select.get("languageId")
    rows = [_row(user_field, [str(language)] if language else []) for user_field in call.world.user_fields()]
    kinds = dict.fromkeys(FILTERS, "text") | {"id": "number", "sort": "number"}
    conditions = call.mapping("filter")
    _refuse_denied(call, conditions)
    found = select_rows(
        rows, conditions, call.mapping("order") or {"sort": "ASC", "id": "ASC"}, Grammar(kinds, call.world.zone)
    )
    answer = page(found, call.start(), wrap="fields")
    return answer if call.interpretations.enum_in_userfield_list else _without_enum(answer)


def _refuse_denied(call: MethodCall, conditions: Row) -> None:
    denied = {call.world.uf_object(number) for number in call.world.denied}
    if str(conditions.get("entityId", conditions.get("=entityId"))) in denied:
        raise Refused(400, "", "You do not have permission to view user field settings")


def _without_enum(answer: MethodResult) -> MethodResult:
    """Removes `enum`, which the vendor documents for the list but omits from the sample response."""
    for row in answer.result["fields"]:
        row.pop("enum", None)
    return answer


@method("userfieldconfig.get", scope="userfieldconfig")
def userfieldconfig_get(call: MethodCall) -> MethodResult:
    _module(call)
    number = call.integer("id")
    found = next((user_field for user_field in call.world.user_fields() if user_field.id == number), None)
    if found is None:
        raise Refused(400, "", "The user field is not found or has already been deleted")
    return MethodResult({"field": _row(found, list(LANGUAGES))})


@method("userfieldconfig.getTypes", scope="userfieldconfig")
def userfieldconfig_get_types(call: MethodCall) -> MethodResult:
    _module(call)
    return MethodResult({"types": {name: {"userTypeId": name, "description": text} for name, text in TYPES.items()}})


def _row(user_field: UserField, languages: list[str]) -> Row:
    row: Row = {
        "id": str(user_field.id),
        "entityId": user_field.entity_id,
        "fieldName": user_field.code,
        "userTypeId": user_field.user_type,
        "xmlId": user_field.xml_id,
        "sort": str(user_field.sort),
        "multiple": "Y" if user_field.multiple else "N",
        "mandatory": "Y" if user_field.mandatory else "N",
        "showFilter": "N",
        "showInList": "Y",
        "editInList": "Y",
        "isSearchable": "N",
        "settings": user_field.settings,
    }
    if languages:
        row["languageId"] = {language: language for language in languages}
        row |= {label: _label(user_field, label, languages) for label in LABELS}
    if user_field.user_type == "enumeration":
        row["enum"] = [_option(user_field, place) for place in range(len(user_field.options))]
    return row


def _label(user_field: UserField, label: str, languages: list[str]) -> Any:
    """Returns a label: without any text, the list has null and the single field a map of nulls."""
    texts = {
        language: user_field.labels.get(language, user_field.label) if label == "editFormLabel" else None
        for language in languages
    }
    return None if len(languages) == 1 and not any(texts.values()) else texts


def _option(user_field: UserField, place: int) -> Row:
    option = user_field.options[place]
    return {
        "id": str(option.id),
        "userFieldId": str(user_field.id),
        "value": option.value,
        "def": "Y" if option.is_default else "N",
        "sort": str(option.sort),
        "xmlId": option.xml_id,
    }

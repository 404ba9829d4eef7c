"""crm.category.list and crm.status.*: pipelines, stages and the other directories."""

from __future__ import annotations

from ..portal.api_errors import Refused, item_not_found, type_not_found, type_not_supported
from ..portal.registry import MethodCall, MethodResult, method
from .filters import Grammar
from .listing import Row, everything, select_rows, short_list

# Leads have no pipelines at all; by the vendor's table neither have quotes.
WITHOUT_CATEGORIES = {1, 5, 7, 8}
STATUS_FIELDS = ("ENTITY_ID", "STATUS_ID", "NAME", "NAME_INIT", "SYSTEM", "CATEGORY_ID", "COLOR", "SEMANTICS")


def _categories(call: MethodCall) -> list[Row]:
    """Returns the categories of the requested type that this user may read."""
    number = call.integer("entityTypeId")
    if number in WITHOUT_CATEGORIES:
        raise type_not_supported(number)
    if number not in call.world.objects:
        raise type_not_found()
    one_only = call.world.types.get(number, {}).get("isCategoriesEnabled") == "N"
    if one_only and call.interpretations.one_category_types == "refused":
        raise type_not_supported(number)
    return [] if number in call.world.denied else call.world.categories.get(number, [])


@method("crm.category.list")
def category_list(call: MethodCall) -> MethodResult:
    grammar = Grammar(dict.fromkeys(("name", "code", "isDefault", "isSystem"), "text") | {"id": "number", "sort": "number"},
                      call.world.zone)  # fmt: skip
    found = select_rows(_categories(call), call.mapping("filter"), call.mapping("order"), grammar)
    return short_list(call, found, wrap="categories")


@method("crm.category.get")
def category_get(call: MethodCall) -> MethodResult:
    number = call.integer("id")
    found = next((row for row in _categories(call) if row["id"] == number), None)
    if found is None:
        raise item_not_found()
    return MethodResult({"category": found})


@method("crm.status.list")
def status_list(call: MethodCall) -> MethodResult:
    """`select` is ignored, an unknown directory is an empty list, and `ENTITY_ID` must be one string."""
    conditions = call.mapping("filter", "FILTER")
    if isinstance(conditions.get("ENTITY_ID"), (list, dict)):
        raise Refused(400, "Invalid parameters.", "Filter by ENTITY_ID must be a string")
    hidden = _hidden_directories(call)
    rows = [row for row in call.world.statuses if row["ENTITY_ID"] not in hidden]
    if not conditions and call.interpretations.statuses_without_filter == "none":
        rows = []
    kinds = dict.fromkeys(STATUS_FIELDS, "text") | {"ID": "number", "SORT": "number"}
    found = select_rows(rows, conditions, call.mapping("order", "ORDER"), Grammar(kinds, call.world.zone, "ID"))
    return short_list(call, found)


def _hidden_directories(call: MethodCall) -> set[str]:
    """Returns the stage directories of types that this user may not read."""
    return {row["ID"] for row in call.world.directories if row.get("ENTITY_TYPE_ID") in call.world.denied}


@method("crm.status.entity.types")
def status_entity_types(call: MethodCall) -> MethodResult:
    return everything(row for row in call.world.directories if row.get("ENTITY_TYPE_ID") not in call.world.denied)


@method("crm.status.entity.items")
def status_entity_items(call: MethodCall) -> MethodResult:
    directory, hidden = str(call.param("entityId") or ""), _hidden_directories(call)
    rows = [row for row in call.world.statuses if row["ENTITY_ID"] == directory and directory not in hidden]
    return everything(_short(row) for row in sorted(rows, key=lambda row: int(row["SORT"])))


def _short(row: Row) -> Row:
    return {"NAME": row["NAME"], "SORT": int(row["SORT"]), "STATUS_ID": row["STATUS_ID"]}


@method("crm.status.get")
def status_get(call: MethodCall) -> MethodResult:
    number = str(call.integer("id"))
    found = next((row for row in call.world.statuses if row["ID"] == number), None)
    if found is None:
        raise Refused(400, "", "Status is not found.")
    return MethodResult(found)

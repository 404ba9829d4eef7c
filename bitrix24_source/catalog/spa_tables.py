"""The catalogue tables of smart processes, as columns and rows. Pure functions, without dlt."""

from __future__ import annotations

import re
from typing import Any

from ..rest import as_bool, as_id, as_int, as_list, is_blank
from ..schema import Column
from .model import Catalog, Row
from .table_rows import (
    CATEGORY_COLUMNS,
    FIELD_COLUMNS,
    OPTION_COLUMNS,
    STAGE_COLUMNS,
    CatalogTable,
    Rows,
    category_rows,
    columns,
    field_rows,
    option_rows,
    stage_rows,
)

_TYPE_FLAGS = (
    "isCategoriesEnabled", "isStagesEnabled", "isBeginCloseDatesEnabled", "isClientEnabled", "isUseInUserfieldEnabled",
    "isLinkWithProductsEnabled", "isMycompanyEnabled", "isDocumentsEnabled", "isSourceEnabled", "isObserversEnabled",
    "isRecyclebinEnabled", "isAutomationEnabled", "isBizProcEnabled", "isSetOpenPermissions", "isPaymentsEnabled",
    "isCountersEnabled", "isRecurringEnabled", "isInitialized",
)  # fmt: skip


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _flags(row: Row) -> dict[str, Any]:
    """Returns all documented flags, and those that a newer portal adds."""
    more = (name for name in row if re.fullmatch(r"is[A-Z][A-Za-z]*", name) and as_bool(row[name]) is not None)
    return {_snake(name): row.get(name) for name in dict.fromkeys((*_TYPE_FLAGS, *more))}


def _types(catalog: Catalog) -> Rows:
    for spa in catalog.types:
        row = spa.row
        yield {
            "entity_type_id": spa.entity_type_id,
            "id": row.get("id"),
            "title": row.get("title"),
            "code": row.get("code"),
            **_flags(row),
            "custom_section_id": row.get("customSectionId"),
            "created_time": row.get("createdTime"),
            "updated_time": row.get("updatedTime"),
            "created_by": row.get("createdBy"),
            "updated_by": row.get("updatedBy"),
            "items_table": None if spa.entity_type_id in catalog.unreadable else spa.items_table,
        }


def _relations(catalog: Catalog) -> Rows:
    for spa in catalog.types:
        for relation in ("parent", "child"):
            for row in spa.relations.get(relation, ()):
                yield {
                    "entity_type_id": spa.entity_type_id,
                    "relation": relation,
                    "related_entity_type_id": row.get("entityTypeId"),
                    "is_children_list_enabled": row.get("isChildrenListEnabled"),
                    "is_predefined": row.get("isPredefined"),
                }


def _linked_fields(catalog: Catalog) -> Rows:
    for spa in catalog.types:
        for linked_field, enabled in spa.linked_fields.items():
            yield {"entity_type_id": spa.entity_type_id, "linked_field": linked_field, "is_enabled": enabled}


def _automations(catalog: Catalog) -> Rows:
    """Returns templates of smart processes or of unknown objects. AUTO_EXECUTE: 1 create, 2 edit, 3 both."""
    for row in catalog.templates:
        type_id, is_spa = _document_type(row.get("DOCUMENT_TYPE"))
        if not is_spa:
            continue
        events = row.get("AUTO_EXECUTE")
        runs_on = as_int(events)
        yield {
            "id": row.get("ID"),
            "entity_type_id": type_id,
            "name": row.get("NAME"),
            "auto_execute_on_create": events if runs_on is None else bool(runs_on & 1),
            "auto_execute_on_update": events if runs_on is None else bool(runs_on & 2),
            "modified": row.get("MODIFIED"),
            "user_id": row.get("USER_ID"),
            "is_modified": row.get("IS_MODIFIED"),
            "system_code": row.get("SYSTEM_CODE"),
        }


def _document_type(value: Any) -> tuple[Any, bool]:
    """Returns the entityTypeId of a template, and whether it belongs, or may belong, to a smart process.

    The pages disagree: `DYNAMIC_156`, or a list whose last part is that. Any other value is returned unchanged.
    """
    last = listed[-1] if (listed := as_list(value)) else None
    if is_blank(last):
        return None, True
    match = re.fullmatch(r"DYNAMIC_([0-9]{1,18})", str(last).upper())
    if match:
        return int(match[1]), True
    return last, not (isinstance(last, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", last))


def _solutions(catalog: Catalog) -> Rows:
    for row in catalog.solutions:
        yield {"id": row.get("id"), "title": row.get("title")}


def _solution_types(catalog: Catalog) -> Rows:
    for row in catalog.solutions:
        for type_id in as_list(row.get("typeIds")):
            if as_id(type_id) is not None:
                yield {"automated_solution_id": row.get("id"), "spa_type_id": type_id}


SPA_TABLES: tuple[CatalogTable, ...] = (
    CatalogTable(
        "spa_types",
        ("entity_type_id",),
        (
            *columns(entity_type_id="bigint", id="bigint", title="text", code="text"),
            *(Column(_snake(flag), "bool") for flag in _TYPE_FLAGS),
            *columns(
                custom_section_id="bigint", created_time="timestamp", updated_time="timestamp", created_by="bigint",
                updated_by="bigint", items_table="text",
            ),
        ),
        _types,
    ),
    CatalogTable(
        "spa_type_relations",
        ("entity_type_id", "relation", "related_entity_type_id"),
        columns(
            entity_type_id="bigint", relation="text", related_entity_type_id="bigint", is_children_list_enabled="bool",
            is_predefined="bool",
        ),
        _relations,
    ),
    CatalogTable(
        "spa_type_linked_fields",
        ("entity_type_id", "linked_field"),
        columns(entity_type_id="bigint", linked_field="text", is_enabled="bool"),
        _linked_fields,
    ),
    CatalogTable(
        "spa_fields",
        ("entity_type_id", "upper_name"),
        FIELD_COLUMNS,
        lambda catalog: field_rows(catalog, catalog.types),
    ),
    CatalogTable(
        "spa_field_options",
        ("entity_type_id", "upper_name", "option_id"),
        OPTION_COLUMNS,
        lambda catalog: option_rows(catalog, catalog.types),
    ),
    CatalogTable(
        "spa_categories",
        ("entity_type_id", "id"),
        CATEGORY_COLUMNS,
        lambda catalog: category_rows(catalog.types),
    ),
    CatalogTable(
        "spa_stages",
        ("entity_id", "status_id"),
        STAGE_COLUMNS,
        lambda catalog: stage_rows(catalog.types),
    ),
    CatalogTable(
        "spa_automations",
        ("id",),
        columns(
            id="bigint", entity_type_id="bigint", name="text", auto_execute_on_create="bool",
            auto_execute_on_update="bool", modified="timestamp", user_id="bigint", is_modified="bool",
            system_code="text",
        ),
        _automations,
    ),
    CatalogTable("automated_solutions", ("id",), columns(id="bigint", title="text"), _solutions),
    CatalogTable(
        "automated_solution_types",
        ("automated_solution_id", "spa_type_id"),
        columns(automated_solution_id="bigint", spa_type_id="bigint"),
        _solution_types,
    ),
)  # fmt: skip

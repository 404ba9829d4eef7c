"""The catalogue as tables: their columns, keys, and rows made of what the portal answered. Pure, and without dlt.

Column types are dlt's data types, as plain words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .catalog import Catalog, Row, SpaType
from .cells import as_bool, as_int, as_json, as_text, as_time
from .fields import Column, ColumnType, Field, Placement, placements

Rows = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class Table:
    """One table of the catalogue."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: Callable[[Catalog], Rows]


def _columns(**types: ColumnType) -> tuple[Column, ...]:
    return tuple(Column(name, type_) for name, type_ in types.items())


# --- types ----------------------------------------------------------------------------------------------------------

_TYPE_FLAGS = (
    "isCategoriesEnabled", "isStagesEnabled", "isBeginCloseDatesEnabled", "isClientEnabled", "isUseInUserfieldEnabled",
    "isLinkWithProductsEnabled", "isMycompanyEnabled", "isDocumentsEnabled", "isSourceEnabled", "isObserversEnabled",
    "isRecyclebinEnabled", "isAutomationEnabled", "isBizProcEnabled", "isSetOpenPermissions", "isPaymentsEnabled",
    "isCountersEnabled",
)  # fmt: skip


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _flags(row: Row) -> dict[str, bool | None]:
    """All documented flags, and those that a newer portal adds."""
    more = (name for name in row if re.fullmatch(r"is[A-Z][A-Za-z]*", name) and as_bool(row[name]) is not None)
    return {_snake(name): as_bool(row.get(name)) for name in dict.fromkeys((*_TYPE_FLAGS, *more))}


def _types(catalog: Catalog) -> Rows:
    for spa in catalog.types:
        row = spa.row
        yield {
            "entity_type_id": spa.entity_type_id,
            "id": as_int(row.get("id")),
            "title": as_text(row.get("title")),
            "code": as_text(row.get("code")),
            **_flags(row),
            "custom_section_id": as_int(row.get("customSectionId")),
            "created_time": as_time(row.get("createdTime")),
            "updated_time": as_time(row.get("updatedTime")),
            "created_by": as_int(row.get("createdBy")),
            "updated_by": as_int(row.get("updatedBy")),
            "items_table": None if spa.entity_type_id in catalog.unreadable else spa.items_table,
        }


def _relations(catalog: Catalog) -> Rows:
    for spa in catalog.types:
        for relation in ("parent", "child"):
            related = {as_int(row.get("entityTypeId")): row for row in spa.relations.get(relation, ())}
            for type_id, row in related.items():
                if type_id is not None:
                    yield {
                        "entity_type_id": spa.entity_type_id,
                        "relation": relation,
                        "related_entity_type_id": type_id,
                        "is_children_list_enabled": as_bool(row.get("isChildrenListEnabled")),
                        "is_predefined": as_bool(row.get("isPredefined")),
                    }


def _linked_fields(catalog: Catalog) -> Rows:
    for spa in catalog.types:
        for linked_field, enabled in spa.linked_fields.items():
            yield {
                "entity_type_id": spa.entity_type_id,
                "linked_field": str(linked_field),
                "is_enabled": as_bool(enabled),
            }


# --- fields ---------------------------------------------------------------------------------------------------------


def _fields(catalog: Catalog) -> Rows:
    for spa, field, place in _placed(catalog):
        loaded_inline = place is not None and place.child_table is None
        yield {
            "entity_type_id": spa.entity_type_id,
            "upper_name": as_text(field.upper_name),
            "name": as_text(field.name),
            "title": as_text(field.title),
            "type": as_text(field.type),
            "is_required": field.is_required,
            "is_read_only": field.is_read_only,
            "is_immutable": field.is_immutable,
            "is_multiple": field.is_multiple,
            "is_dynamic": field.is_dynamic,
            "is_deprecated": field.is_deprecated,
            "status_type": as_text(field.status_type),
            "form_label": as_text(field.form_label),
            "settings": as_json(field.settings),
            "position": field.position,
            "column_name": place.column.name if place and loaded_inline else None,
            "column_type": place.column.sql_type if place else None,
            "child_table": place.child_table if place else None,
        }


def _options(catalog: Catalog) -> Rows:
    for spa, field, _ in _placed(catalog):
        details = catalog.options.get((spa.id or 0, field.upper_name), {})
        for position, option in enumerate({option.id: option for option in field.options}.values()):
            known = details.get(option.id, {})
            if (option_id := as_int(option.id)) is None:
                continue
            yield {
                "entity_type_id": spa.entity_type_id,
                "upper_name": as_text(field.upper_name),
                "option_id": option_id,
                "value": as_text(option.value) or "",
                "position": position,
                "sort": as_int(known.get("sort")),
                "xml_id": as_text(known.get("xmlId")),
                "is_default": as_bool(known.get("def")),
            }


def _placed(catalog: Catalog) -> Iterator[tuple[SpaType, Field, Placement | None]]:
    """Every field with its place, in the portal's order; one for each name that a table could hold."""
    for spa in catalog.types:
        fields = list({field.upper_name: field for field in spa.fields or ()}.values())
        places = placements(fields, spa.items_table)
        for field in fields:
            yield spa, field, places[field.name]


# --- categories and stages ------------------------------------------------------------------------------------------


def _categories(catalog: Catalog) -> Rows:
    for spa in catalog.types:
        for row in spa.categories:
            if (category_id := as_int(row.get("id"))) is not None:
                yield {
                    "entity_type_id": spa.entity_type_id,
                    "id": category_id,
                    "name": as_text(row.get("name")),
                    "sort": as_int(row.get("sort")),
                    "is_default": as_bool(row.get("isDefault")),
                    "code": as_text(row.get("code")),
                }


# Filled for all objects, unlike EXTRA, which SPA do not have.
# https://apidocs.bitrix24.com/tutorials/crm/how-to-get-lists/how-to-get-stages-with-semantics.html
_SEMANTICS = {"S": "success", "F": "failure"}


def _stages(catalog: Catalog) -> Rows:
    for spa in catalog.types:
        for row in spa.stages:
            directory = str(row.get("ENTITY_ID"))
            yield {
                "entity_id": directory,
                "status_id": str(row.get("STATUS_ID")),
                "entity_type_id": spa.entity_type_id,
                "category_id": as_int(directory.rpartition("_")[2]),
                "name": as_text(row.get("NAME")),
                "sort": as_int(row.get("SORT")),
                "color": as_text(row.get("COLOR")),
                "semantics": _SEMANTICS.get(str(row.get("SEMANTICS") or "").upper(), "process"),
            }


# --- automation -----------------------------------------------------------------------------------------------------


def _automations(catalog: Catalog) -> Rows:
    """Templates of smart processes, and those whose object the portal does not name. AUTO_EXECUTE: 1 create, 2 edit, 3 both."""
    for row in catalog.templates:
        type_id, is_spa = _document_type(row.get("DOCUMENT_TYPE"))
        if not is_spa or as_int(row.get("ID")) is None:
            continue
        runs_on = as_int(row.get("AUTO_EXECUTE"))
        yield {
            "id": as_int(row.get("ID")),
            "entity_type_id": type_id,
            "name": as_text(row.get("NAME")),
            "auto_execute_on_create": None if runs_on is None else bool(runs_on & 1),
            "auto_execute_on_update": None if runs_on is None else bool(runs_on & 2),
            "modified": as_time(row.get("MODIFIED")),
            "user_id": as_int(row.get("USER_ID")),
            "is_modified": as_bool(row.get("IS_MODIFIED")),
            "system_code": as_text(row.get("SYSTEM_CODE")),
        }


def _document_type(value: Any) -> tuple[int | None, bool]:
    """The entityTypeId of a template, and whether it belongs to a smart process as far as one can tell.

    The pages disagree: `DYNAMIC_156`, or a list whose last part is that.
    """
    last = value[-1] if isinstance(value, list) and value else value
    if last in (None, "", [], {}):
        return None, True
    match = re.fullmatch(r"DYNAMIC_(\d+)", str(last).upper())
    return (int(match[1]), True) if match else (None, False)


def _solutions(catalog: Catalog) -> Rows:
    for row in catalog.solutions:
        if (solution_id := as_int(row.get("id"))) is not None:
            yield {"id": solution_id, "title": as_text(row.get("title"))}


def _solution_types(catalog: Catalog) -> Rows:
    for row in catalog.solutions:
        listed = row.get("typeIds")
        ids = dict.fromkeys(as_int(type_id) for type_id in listed) if isinstance(listed, list) else {}
        for type_id in ids:
            if type_id is not None:
                yield {"automated_solution_id": as_int(row.get("id")), "spa_type_id": type_id}


# --- the tables -----------------------------------------------------------------------------------------------------

CATALOG_TABLES: tuple[Table, ...] = (
    Table(
        "spa_types",
        ("entity_type_id",),
        (
            *_columns(entity_type_id="bigint", id="bigint", title="text", code="text"),
            *(Column(_snake(flag), "bool") for flag in _TYPE_FLAGS),
            *_columns(
                custom_section_id="bigint", created_time="timestamp", updated_time="timestamp", created_by="bigint",
                updated_by="bigint", items_table="text",
            ),
        ),
        _types,
    ),
    Table(
        "spa_type_relations",
        ("entity_type_id", "relation", "related_entity_type_id"),
        _columns(
            entity_type_id="bigint", relation="text", related_entity_type_id="bigint", is_children_list_enabled="bool",
            is_predefined="bool",
        ),
        _relations,
    ),
    Table(
        "spa_type_linked_fields",
        ("entity_type_id", "linked_field"),
        _columns(entity_type_id="bigint", linked_field="text", is_enabled="bool"),
        _linked_fields,
    ),
    Table(
        "spa_fields",
        ("entity_type_id", "upper_name"),
        _columns(
            entity_type_id="bigint", upper_name="text", name="text", title="text", type="text", is_required="bool",
            is_read_only="bool", is_immutable="bool", is_multiple="bool", is_dynamic="bool", is_deprecated="bool",
            status_type="text", form_label="text", settings="json", position="bigint", column_name="text",
            column_type="text", child_table="text",
        ),
        _fields,
    ),
    Table(
        "spa_field_options",
        ("entity_type_id", "upper_name", "option_id"),
        _columns(
            entity_type_id="bigint", upper_name="text", option_id="bigint", value="text", position="bigint",
            sort="bigint", xml_id="text", is_default="bool",
        ),
        _options,
    ),
    Table(
        "spa_categories",
        ("entity_type_id", "id"),
        _columns(entity_type_id="bigint", id="bigint", name="text", sort="bigint", is_default="bool", code="text"),
        _categories,
    ),
    Table(
        "spa_stages",
        ("entity_id", "status_id"),
        _columns(
            entity_id="text", status_id="text", entity_type_id="bigint", category_id="bigint", name="text",
            sort="bigint", color="text", semantics="text",
        ),
        _stages,
    ),
    Table(
        "spa_automations",
        ("id",),
        _columns(
            id="bigint", entity_type_id="bigint", name="text", auto_execute_on_create="bool",
            auto_execute_on_update="bool", modified="timestamp", user_id="bigint", is_modified="bool",
            system_code="text",
        ),
        _automations,
    ),
    Table("automated_solutions", ("id",), _columns(id="bigint", title="text"), _solutions),
    Table(
        "automated_solution_types",
        ("automated_solution_id", "spa_type_id"),
        _columns(automated_solution_id="bigint", spa_type_id="bigint"),
        _solution_types,
    ),
)  # fmt: skip

ISSUES = Table(
    "load_issues",
    (),
    _columns(
        resource="text", entity_type_id="bigint", error="text", message="text", hint="text", occurred_at="timestamp",
        load_id="text",
    ),
    lambda catalog: (vars(issue) for issue in catalog.issues),
)  # fmt: skip

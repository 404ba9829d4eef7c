"""The catalogue as tables: their columns, keys, and rows made of what the portal answered. Pure, and without dlt.

Column types are dlt's data types, as plain words. Flags come as "Y"/"N" or as booleans, numbers as numbers or as text: here
they all become what the column says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .catalog import Catalog, Row, SpaType
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
    more = (name for name in row if re.fullmatch(r"is[A-Z][A-Za-z]*", name) and _bool(row[name]) is not None)
    return {_snake(name): _bool(row.get(name)) for name in dict.fromkeys((*_TYPE_FLAGS, *more))}


def _types(catalog: Catalog) -> Rows:
    for spa in catalog.types:
        row = spa.row
        yield {
            "entity_type_id": spa.entity_type_id,
            "id": _int(row.get("id")),
            "title": _text(row.get("title")),
            "code": _text(row.get("code")),
            **_flags(row),
            "custom_section_id": _int(row.get("customSectionId")),
            "created_time": _time(row.get("createdTime")),
            "updated_time": _time(row.get("updatedTime")),
            "created_by": _int(row.get("createdBy")),
            "updated_by": _int(row.get("updatedBy")),
            "items_table": None if spa.entity_type_id in catalog.unreadable else spa.items_table,
        }


def _relations(catalog: Catalog) -> Rows:
    for spa in catalog.types:
        for relation in ("parent", "child"):
            related = {_int(row.get("entityTypeId")): row for row in spa.relations.get(relation, ())}
            for type_id, row in related.items():
                if type_id is not None:
                    yield {
                        "entity_type_id": spa.entity_type_id,
                        "relation": relation,
                        "related_entity_type_id": type_id,
                        "is_children_list_enabled": _bool(row.get("isChildrenListEnabled")),
                        "is_predefined": _bool(row.get("isPredefined")),
                    }


def _linked_fields(catalog: Catalog) -> Rows:
    for spa in catalog.types:
        for linked_field, enabled in spa.linked_fields.items():
            yield {
                "entity_type_id": spa.entity_type_id,
                "linked_field": str(linked_field),
                "is_enabled": _bool(enabled),
            }


# --- fields ---------------------------------------------------------------------------------------------------------


def _fields(catalog: Catalog) -> Rows:
    for spa, field, place in _placed(catalog):
        loaded_inline = place is not None and place.child_table is None
        yield {
            "entity_type_id": spa.entity_type_id,
            "upper_name": _text(field.upper_name),
            "name": _text(field.name),
            "title": _text(field.title),
            "type": _text(field.type),
            "is_required": field.is_required,
            "is_read_only": field.is_read_only,
            "is_immutable": field.is_immutable,
            "is_multiple": field.is_multiple,
            "is_dynamic": field.is_dynamic,
            "is_deprecated": field.is_deprecated,
            "status_type": _text(field.status_type),
            "form_label": _text(field.form_label),
            "settings": _json(field.settings),
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
            if (option_id := _int(option.id)) is None:
                continue
            yield {
                "entity_type_id": spa.entity_type_id,
                "upper_name": _text(field.upper_name),
                "option_id": option_id,
                "value": _text(option.value) or "",
                "position": position,
                "sort": _int(known.get("sort")),
                "xml_id": _text(known.get("xmlId")),
                "is_default": _bool(known.get("def")),
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
            if (category_id := _int(row.get("id"))) is not None:
                yield {
                    "entity_type_id": spa.entity_type_id,
                    "id": category_id,
                    "name": _text(row.get("name")),
                    "sort": _int(row.get("sort")),
                    "is_default": _bool(row.get("isDefault")),
                    "code": _text(row.get("code")),
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
                "category_id": _int(directory.rpartition("_")[2]),
                "name": _text(row.get("NAME")),
                "sort": _int(row.get("SORT")),
                "color": _text(row.get("COLOR")),
                "semantics": _SEMANTICS.get(str(row.get("SEMANTICS") or "").upper(), "process"),
            }


# --- automation -----------------------------------------------------------------------------------------------------


def _automations(catalog: Catalog) -> Rows:
    """Templates of smart processes, and those whose object the portal does not name. AUTO_EXECUTE: 1 create, 2 edit, 3 both."""
    for row in catalog.templates:
        type_id, is_spa = _document_type(row.get("DOCUMENT_TYPE"))
        if not is_spa or _int(row.get("ID")) is None:
            continue
        runs_on = _int(row.get("AUTO_EXECUTE"))
        yield {
            "id": _int(row.get("ID")),
            "entity_type_id": type_id,
            "name": _text(row.get("NAME")),
            "auto_execute_on_create": None if runs_on is None else bool(runs_on & 1),
            "auto_execute_on_update": None if runs_on is None else bool(runs_on & 2),
            "modified": _time(row.get("MODIFIED")),
            "user_id": _int(row.get("USER_ID")),
            "is_modified": _bool(row.get("IS_MODIFIED")),
            "system_code": _text(row.get("SYSTEM_CODE")),
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
        if (solution_id := _int(row.get("id"))) is not None:
            yield {"id": solution_id, "title": _text(row.get("title"))}


def _solution_types(catalog: Catalog) -> Rows:
    for row in catalog.solutions:
        listed = row.get("typeIds")
        ids = dict.fromkeys(_int(type_id) for type_id in listed) if isinstance(listed, list) else {}
        for type_id in ids:
            if type_id is not None:
                yield {"automated_solution_id": _int(row.get("id")), "spa_type_id": type_id}


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


# --- values ---------------------------------------------------------------------------------------------------------


def _bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"Y": True, "N": False, "1": True, "0": False}.get(str(value).upper())


def _int(value: Any) -> int | None:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if -(2**63) <= number < 2**63 else None


def _text(value: Any) -> str | None:
    return None if value in (None, "", [], {}, False) else _storable(str(value))


def _storable(text: str) -> str:
    """Without what no database keeps: NUL, and halves of characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _json(value: Any) -> Any:
    """Settings as they came, None when empty."""
    if isinstance(value, Mapping):
        return {_storable(str(key)): _json(item) for key, item in value.items()} or None
    if isinstance(value, list):
        return [_json(item) for item in value]
    return _storable(value) if isinstance(value, str) else value


def _time(value: Any) -> datetime | None:
    """An instant in UTC; a time without a zone says nothing about an instant and is left out."""
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.astimezone(timezone.utc) if moment.tzinfo else None

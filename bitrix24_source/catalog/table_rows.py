"""Columns and rows that the catalogue tables of smart processes and of CRM objects share.

Pure, and without dlt; column types are dlt's data types as plain strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..rest import as_bool, as_int, as_json, as_text
from ..schema import Column, ColumnMapping, ColumnType, Field, RejectedValue, map_columns, with_system_types
from .crm_objects import parse_stage_directory
from .issues import Issue
from .model import Catalog, EntityType
from .rejected_cells import separate_rejected

Rows = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class CatalogTable:
    """One table of the catalogue; `child` is filled beside it, with a row for each value of a list."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: Callable[[Catalog], Rows]
    child: CatalogTable | None = None

    def convert(self, catalog: Catalog) -> tuple[list[dict[str, Any]], list[RejectedValue]]:
        """The rows, and the values that fit no column of theirs."""
        return separate_rejected(self.name, self.key, self.cells(catalog))

    def rows(self, catalog: Catalog) -> Rows:
        """The rows alone."""
        return iter(self.convert(catalog)[0])


def columns(**types: ColumnType) -> tuple[Column, ...]:
    """Columns by their names."""
    return tuple(Column(name, type_) for name, type_ in types.items())


FIELD_COLUMNS = columns(
    entity_type_id="bigint", upper_name="text", name="text", title="text", type="text", is_required="bool",
    is_read_only="bool", is_immutable="bool", is_multiple="bool", is_dynamic="bool", is_deprecated="bool",
    status_type="text", form_label="text", settings="json", position="bigint", column_name="text",
    column_type="text", child_table="text",
)  # fmt: skip
OPTION_COLUMNS = columns(
    entity_type_id="bigint", upper_name="text", option_id="bigint", value="text", position="bigint",
    sort="bigint", xml_id="text", is_default="bool",
)  # fmt: skip


def field_rows(catalog: Catalog, types: Sequence[EntityType]) -> Rows:
    for one, field, place in _fields_with_columns(catalog, types):
        loaded_inline = place is not None and place.child_table is None
        yield {
            "entity_type_id": one.entity_type_id,
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


def option_rows(catalog: Catalog, types: Sequence[EntityType]) -> Rows:
    for one, field, _ in _fields_with_columns(catalog, types):
        details = catalog.options.get((one.user_fields, field.upper_name), {})
        for position, option in enumerate({option.id: option for option in field.options}.values()):
            known = details.get(option.id, {})
            if (option_id := as_int(option.id)) is None:
                continue
            yield {
                "entity_type_id": one.entity_type_id,
                "upper_name": as_text(field.upper_name),
                "option_id": option_id,
                "value": as_text(option.value) or "",
                "position": position,
                "sort": as_int(known.get("sort")),
                "xml_id": as_text(known.get("xmlId")),
                "is_default": as_bool(known.get("def")),
            }


def _fields_with_columns(
    catalog: Catalog, types: Sequence[EntityType]
) -> Iterator[tuple[EntityType, Field, ColumnMapping | None]]:
    """Every field with its place, in the portal's order; one for each name that a table could hold."""
    for one in types:
        fields = list({field.upper_name: field for field in one.fields or ()}.values())
        typed = with_system_types(fields) if one.has_system_columns else fields
        places = map_columns(typed, one.items_table, catalog.stored)
        for field in fields:
            yield one, field, places[field.name]


CATEGORY_COLUMNS = columns(
    entity_type_id="bigint", id="bigint", name="text", sort="bigint", is_default="bool", code="text"
)
STAGE_COLUMNS = columns(
    entity_id="text", status_id="text", entity_type_id="bigint", category_id="bigint", name="text", sort="bigint",
    color="text", semantics="text",
)  # fmt: skip


def category_rows(types: Sequence[EntityType]) -> Rows:
    for one in types:
        for row in one.categories:
            if (category_id := as_int(row.get("id"))) is not None:
                yield {
                    "entity_type_id": one.entity_type_id,
                    "id": category_id,
                    "name": as_text(row.get("name")),
                    "sort": as_int(row.get("sort")),
                    "is_default": as_bool(row.get("isDefault")),
                    "code": as_text(row.get("code")),
                }


# Filled for all objects, unlike EXTRA, which SPA do not have.
# https://apidocs.bitrix24.com/tutorials/crm/how-to-get-lists/how-to-get-stages-with-semantics.html
_SEMANTICS = {"S": "success", "F": "failure"}


def stage_rows(types: Sequence[EntityType]) -> Rows:
    for one in types:
        for row in one.stages:
            directory, status = as_text(row.get("ENTITY_ID")), as_text(row.get("STATUS_ID"))
            if directory is None or status is None:
                continue
            yield {
                "entity_id": directory,
                "status_id": status,
                "entity_type_id": one.entity_type_id,
                "category_id": (parse_stage_directory(directory) or (0, None))[1],
                "name": as_text(row.get("NAME")),
                "sort": as_int(row.get("SORT")),
                "color": as_text(row.get("COLOR")),
                "semantics": stage_semantics(row),
            }


def stage_semantics(row: Any) -> str:
    """Whether a stage is on the way or an end: `process`, `success` or `failure`."""
    return _SEMANTICS.get(str(row.get("SEMANTICS") or "").upper(), "process")


ISSUES = CatalogTable(
    "load_issues",
    (),
    columns(
        resource="text", entity_type_id="bigint", error="text", message="text", hint="text", occurred_at="timestamp",
        load_id="text",
    ),
    lambda catalog: issue_dicts(catalog.issues),
)  # fmt: skip


def issue_dicts(issues: Sequence[Issue]) -> Rows:
    return (dict(vars(issue)) for issue in issues)

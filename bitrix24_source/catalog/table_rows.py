"""Columns and rows that the catalogue tables of smart processes and of CRM objects share.

Pure functions, without dlt; column types are dlt's data types as plain strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..rest import as_id
from ..schema import Column, ColumnMapping, ColumnType, Field, RejectedValue, map_columns, with_system_types
from .crm_objects import parse_stage_directory
from .issues import Issue
from .model import Catalog, EntityType
from .row_conversion import convert_rows

Rows = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class CatalogTable:
    """One table of the catalogue.

    Attributes:
        name: name of the table.
        key: columns of the primary key, which every row has.
        columns: all columns.
        cells: returns the rows, with cells as the portal writes them or as they are to be stored.
        child: child table with a row for each value of a list.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: Callable[[Catalog], Rows]
    child: CatalogTable | None = None

    def convert(self, catalog: Catalog) -> tuple[list[dict[str, Any]], list[RejectedValue]]:
        """Returns the rows, and the values that did not fit their columns."""
        return convert_rows(self.name, self.key, self.columns, self.cells(catalog), catalog.stored.limits)

    def rows(self, catalog: Catalog) -> Rows:
        """Returns the rows only."""
        return iter(self.convert(catalog)[0])


def columns(**types: ColumnType) -> tuple[Column, ...]:
    """Returns columns by name and type."""
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
    for entity, field, place in _fields_with_columns(catalog, types):
        loaded_inline = place is not None and place.child_table is None
        yield {
            "entity_type_id": entity.entity_type_id,
            "upper_name": field.upper_name,
            "name": field.name,
            "title": field.title,
            "type": field.type,
            "is_required": field.is_required,
            "is_read_only": field.is_read_only,
            "is_immutable": field.is_immutable,
            "is_multiple": field.is_multiple,
            "is_dynamic": field.is_dynamic,
            "is_deprecated": field.is_deprecated,
            "status_type": field.status_type,
            "form_label": field.form_label,
            "settings": field.settings,
            "position": field.position,
            "column_name": place.column.name if place and loaded_inline else None,
            "column_type": place.column.sql_type if place else None,
            "child_table": place.child_table if place else None,
        }


def option_rows(catalog: Catalog, types: Sequence[EntityType]) -> Rows:
    for entity, field in ((listed, field) for listed in types for field in _listed_fields(listed) if field.options):
        details = catalog.options.get((entity.user_fields, field.upper_name), {})
        for position, option in enumerate({option.id: option for option in field.options}.values()):
            known = details.get(str(as_id(option.id)), {})
            yield {
                "entity_type_id": entity.entity_type_id,
                "upper_name": field.upper_name,
                "option_id": option.id,
                "value": option.value,
                "position": position,
                "sort": known.get("sort"),
                "xml_id": known.get("xmlId"),
                "is_default": known.get("def"),
            }


def _fields_with_columns(
    catalog: Catalog, types: Sequence[EntityType]
) -> Iterator[tuple[EntityType, Field, ColumnMapping | None]]:
    """Yields every field with its columns, in the portal's order."""
    for entity in types:
        fields = _listed_fields(entity)
        typed = with_system_types(fields) if entity.has_system_columns else fields
        places = map_columns(typed, entity.items_table, catalog.stored)
        for field in fields:
            yield entity, field, places[field.name]


def _listed_fields(entity: EntityType) -> list[Field]:
    """Returns the fields with a usable name, one for each name."""
    return list({field.upper_name: field for field in entity.fields or ()}.values())


CATEGORY_COLUMNS = columns(
    entity_type_id="bigint", id="bigint", name="text", sort="bigint", is_default="bool", code="text"
)
STAGE_COLUMNS = columns(
    entity_id="text", status_id="text", entity_type_id="bigint", category_id="bigint", name="text", sort="bigint",
    color="text", semantics="text",
)  # fmt: skip


def category_rows(types: Sequence[EntityType]) -> Rows:
    for entity in types:
        for row in entity.categories:
            yield {
                "entity_type_id": entity.entity_type_id,
                "id": row.get("id"),
                "name": row.get("name"),
                "sort": row.get("sort"),
                "is_default": row.get("isDefault"),
                "code": row.get("code"),
            }


# Filled for all objects, unlike EXTRA, which SPA do not have.
# https://apidocs.bitrix24.com/tutorials/crm/how-to-get-lists/how-to-get-stages-with-semantics.html
_SEMANTICS = {"S": "success", "F": "failure"}


def stage_rows(types: Sequence[EntityType]) -> Rows:
    for entity in types:
        for row in entity.stages:
            yield {
                "entity_id": row.get("ENTITY_ID"),
                "status_id": row.get("STATUS_ID"),
                "entity_type_id": entity.entity_type_id,
                "category_id": (parse_stage_directory(str(row.get("ENTITY_ID"))) or (0, None))[1],
                "name": row.get("NAME"),
                "sort": row.get("SORT"),
                "color": row.get("COLOR"),
                "semantics": stage_semantics(row),
            }


def stage_semantics(row: Any) -> str:
    """Returns `process`, `success` or `failure`: on the way, or one of the ends."""
    return _SEMANTICS.get(str(row.get("SEMANTICS") or "").upper(), "process")


ISSUES = CatalogTable(
    "load_issues",
    (),
    columns(
        resource="text", entity_type_id="bigint", error="text", message="text", hint="text", occurred_at="timestamp",
        load_id="text",
    ),
    lambda catalog: iter(issue_rows(catalog.issues, "")),
)  # fmt: skip


def issue_rows(issues: Iterable[Issue], load_id: str) -> list[dict[str, Any]]:
    """Returns rows of `load_issues` for the load package of the issues."""
    return [{**vars(issue), "load_id": load_id} for issue in issues]

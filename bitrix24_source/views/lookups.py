"""Finds where the labels for the ids of a field are: table, key and column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from sqlglot import exp

from ..catalog import items_table
from ..schema import Field

CATALOG_TABLES: Mapping[bool, Mapping[str, str]] = MappingProxyType({
    True: {"fields": "spa_fields", "options": "spa_field_options", "categories": "spa_categories", "stages": "spa_stages"},
    False: {"fields": "crm_fields", "options": "crm_field_options", "categories": "categories", "stages": "stages"},
})  # fmt: skip
"""the tables of the catalogue, for smart processes and for the rest of CRM"""
_STAGES = frozenset({"STAGE_ID", "PREVIOUS_STAGE_ID"})
_AMOUNTS = frozenset({"OPPORTUNITY", "TAX_VALUE", "REVENUE"})
_LINKS: Mapping[str, int] = MappingProxyType(
    {"crm_lead": 1, "crm_deal": 2, "crm_contact": 3, "crm_company": 4, "crm_quote": 7}
)


@dataclass(frozen=True)
class Lookup:
    """A table in which labels are looked up by key.

    Attributes:
        table: dlt's name of the table.
        keys: the column that matches the value, and columns that the item also has, under the same name.
        label: an expression over the table's columns.
        only: values of other columns by which its rows are restricted.
        ignores_case: keys are compared regardless of case, as for stage codes.
    """

    table: str
    keys: tuple[str, ...]
    label: exp.Expression
    only: Mapping[str, Any] = field(default_factory=dict)
    ignores_case: bool = False


def column(name: str, table: str = "") -> exp.Column:
    """Returns a quoted column, optionally qualified by its table."""
    return exp.column(
        exp.to_identifier(name, quoted=True), table=exp.to_identifier(table, quoted=True) if table else None
    )


def lookups(field: Field, entity_type_id: int, *, is_spa: bool) -> tuple[Lookup, ...]:
    """Returns where a value's label is looked up, first match first; empty if the value needs no label."""
    tables = CATALOG_TABLES[is_spa]
    of_type = {"entity_type_id": entity_type_id}
    if is_stage(field):
        # Codes usually contain their pipeline; if two pipelines share one, the item's own pipeline counts.
        stage = column("name")
        return (
            Lookup(tables["stages"], ("status_id", "category_id"), stage, of_type, ignores_case=True),
            Lookup(tables["stages"], ("status_id",), stage, of_type, ignores_case=True),
        )
    if field.type == "enumeration":
        return (
            Lookup(tables["options"], ("option_id",), column("value"), {**of_type, "upper_name": field.upper_name}),
        )
    if field.type == "crm_category":
        return (Lookup(tables["categories"], ("id",), column("name"), of_type),)
    if field.type == "crm_status":
        return _directory(field)
    if field.type in {"user", "employee"}:
        return (Lookup("users", ("id",), _person()),)
    if field.type == "crm_currency":
        return (Lookup("currencies", ("currency",), column("full_name")),)
    linked = _LINKS.get(field.type) or (_parent(field) if field.type == "crm_entity" else None)
    return (_item(linked),) if linked else ()


def is_labeled(field: Field) -> bool:
    """Returns whether the field holds ids, so that the view has a column for labels and one for ids.

    This does not depend on what was loaded: a name means the same in every view.
    """
    return bool(lookups(field, 0, is_spa=True))


def is_stage(field: Field) -> bool:
    return field.type == "crm_status" and (field.upper_name in _STAGES or field.name in {"stageId", "previousStageId"})


def semantics(field: Field, entity_type_id: int, *, is_spa: bool) -> tuple[Lookup, ...]:
    """Returns where the semantics of a stage are looked up; only for the present stage, not the previous one."""
    if not is_stage(field) or field.upper_name == "PREVIOUS_STAGE_ID" or field.name == "previousStageId":
        return ()
    stages = lookups(field, entity_type_id, is_spa=is_spa)
    return tuple(replace(place, label=column("semantics")) for place in stages)


def order(field: Field, entity_type_id: int, *, is_spa: bool) -> tuple[Lookup, ...]:
    """Returns where the order of a stage or a category is looked up; only for the present stage, not the previous one."""
    if field.type == "crm_category":
        found = lookups(field, entity_type_id, is_spa=is_spa)
    else:
        found = semantics(field, entity_type_id, is_spa=is_spa)
    return tuple(replace(place, label=column("sort")) for place in found)


def is_amount(field: Field) -> bool:
    """Returns whether a field is an amount in the item's currency; money fields have a currency of their own."""
    return field.upper_name in _AMOUNTS and not field.is_dynamic


def exchange_rate() -> Lookup:
    """Returns the value of one unit of a currency in the account's; the portal gives it for a number of units."""
    units = exp.Nullif(this=exp.cast(column("amount_cnt"), "double"), expression=exp.Literal.number(0))
    quoted = exp.Div(this=exp.cast(column("amount"), "double"), expression=units)
    unit = exp.cast(exp.Literal.number(1), "double")
    is_base = column("is_base").eq(exp.true())
    return Lookup("currencies", ("currency",), exp.Case().when(is_base, unit).else_(quoted))


def _directory(field: Field) -> tuple[Lookup, ...]:
    """Returns the lookups in a directory: a custom field may hold an entry's code or id, which is not documented."""
    directory = field.status_type or field.settings.get("ENTITY_TYPE")
    if not directory:
        return ()
    only = {"entity_id": str(directory)}
    by_code = Lookup("statuses", ("status_id",), column("name"), only)
    return (by_code, Lookup("statuses", ("id",), column("name"), only)) if field.is_dynamic else (by_code,)


def _parent(field: Field) -> int | None:
    number = field.settings.get("parentEntityTypeId")
    if number is None:
        number = field.upper_name.rpartition("_")[2]
    return int(number) if str(number).isdecimal() else None


def _item(entity_type_id: int) -> Lookup:
    table = items_table(entity_type_id)
    return Lookup(table, ("id",), _person() if table == "contacts" else column("title"))


def _person() -> exp.Expression:
    """Returns first and last name, of which either may be missing; NULL without both."""
    empty = exp.Literal.string("")
    first, last = (exp.Coalesce(this=column(name), expressions=[empty.copy()]) for name in ("name", "last_name"))
    spaced = exp.DPipe(
        this=exp.DPipe(this=first, expression=exp.Literal.string(" "), safe=True), expression=last, safe=True
    )
    return exp.Nullif(this=exp.Trim(this=spaced), expression=empty)

"""Reads the parts of one entity type: flags, relations, fields, categories, stages, options.

Facts: https://apidocs.bitrix24.com/api-reference/crm/universal/index.html
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import AccessError, Bitrix24Error, PortalError
from ..rest import (
    Call,
    CallGenerator,
    CallResult,
    ListResult,
    OffsetList,
    Response,
    as_id,
    as_mapping,
    as_rows,
    as_text,
    is_blank,
    read_all,
    shown_value,
)
from ..schema import Field, fields_from_response, with_multifield
from .crm_objects import CRM_OBJECTS_BY_ID, parse_stage_directory
from .incomplete import IncompleteParts
from .issues import IssueLog
from .model import EntityType, Row

log = logging.getLogger("bitrix24_source")


# Tables with rows of each entity type, by what their rows are made from.
_SPA_FIELDS = frozenset({"spa_types", "spa_fields", "spa_field_options"})
_SPA_RELATIONS = frozenset({"spa_type_relations", "spa_type_linked_fields"})
_OBJECT_FIELDS = frozenset({"crm_fields", "crm_field_options"})
SPA_ENTITY_TABLES = _SPA_FIELDS | _SPA_RELATIONS | {"spa_categories", "spa_stages"}


_TYPE_DETAILS = "crm.type.getByEntityTypeId"


def read_entity(
    entity: EntityType,
    parts: frozenset[str],
    directories: ListResult,
    unreadable: dict[int, str],
    issues: IssueLog,
    incomplete: IncompleteParts,
) -> CallGenerator[EntityType | None]:
    """Reads one type with all its parts; returns None if it was deleted or may not be read."""
    calls = _calls_for(entity, parts)
    outcomes = yield list(calls.values())
    responses: dict[str, CallResult] = dict(zip(calls, outcomes, strict=True))
    details = responses.get("type")
    if isinstance(details, Bitrix24Error):
        is_deleted = details.code == "NOT_FOUND" or (yield from _is_deleted(entity))
        if not _accept_without_details(entity, details, unreadable, issues, incomplete, is_deleted=is_deleted):
            return None
    if isinstance(details, Response):
        entity = _with_details(entity, as_mapping(details.result).get("type"), issues, incomplete)
    if "fields" in responses:
        entity = _with_fields(entity, responses["fields"], unreadable, issues, incomplete)
    if "categories" in responses:
        categories = yield from _categories(entity, responses["categories"], directories, issues, incomplete)
        entity = replace(entity, categories=categories)
    return entity


def _calls_for(entity: EntityType, parts: frozenset[str]) -> dict[str, Call]:
    params = {"entityTypeId": entity.entity_type_id}
    built_in = CRM_OBJECTS_BY_ID.get(entity.entity_type_id)
    calls = {}
    if built_in is None and (entity.id is None or parts & {"spa_type_relations", "spa_type_linked_fields"}):
        calls["type"] = Call(_TYPE_DETAILS, params)
    if parts & (_SPA_FIELDS if built_in is None else {*_OBJECT_FIELDS, built_in.table}):
        calls["fields"] = Call("crm.item.fields", params)
    if ("spa_categories" if built_in is None else "categories") in parts and (
        built_in is None or built_in.has_categories
    ):
        calls["categories"] = _categories_of(entity).page(0)
    return calls


def _is_deleted(entity: EntityType) -> CallGenerator[bool]:
    """Checks whether the type is deleted: crm.item.fields answers a code for it, crm.type.* only a translated text.

    The method checks existence before rights, so a type that may not be read is not mistaken for a deleted one.
    """
    (outcome,) = yield [Call("crm.item.fields", {"entityTypeId": entity.entity_type_id})]
    return isinstance(outcome, Bitrix24Error) and outcome.code == "NOT_FOUND"


def _accept_without_details(
    entity: EntityType,
    error: Bitrix24Error,
    unreadable: dict[int, str],
    issues: IssueLog,
    incomplete: IncompleteParts,
    *,
    is_deleted: bool,
) -> bool:
    """Decides whether to keep a type whose crm.type.getByEntityTypeId failed, and records what it lacks."""
    if is_deleted:
        log.info("The smart process %s was deleted while the catalogue was read", entity.entity_type_id)
        return False
    if entity.id is not None:
        incomplete.add(_SPA_RELATIONS, entity.entity_type_id)
        issues.record(
            "spa_type_relations",
            error,
            f"relations of {entity.title!r} may not be read: {error.what}",
            entity_type_id=entity.entity_type_id,
        )
        return True
    unreadable[entity.entity_type_id] = entity.title
    incomplete.add(SPA_ENTITY_TABLES, entity.entity_type_id)
    issues.record(
        "spa_types",
        error,
        f"the smart process {entity.title!r} may not be read: {error.what}",
        entity_type_id=entity.entity_type_id,
    )
    return False


def _with_details(entity: EntityType, details: Any, issues: IssueLog, incomplete: IncompleteParts) -> EntityType:
    row, unusable = as_mapping(details), list[str]()
    sides = as_mapping(row.get("relations"))
    relations = {side: _usable_rows(sides.get(side), "entityTypeId", unusable) for side in ("parent", "child")}
    issues.record_unusable("spa_type_relations", _TYPE_DETAILS, unusable, entity.entity_type_id)
    maps = [("type", details, row), *((key, row.get(key), as_mapping(row.get(key))) for key in _DETAIL_MAPS)]
    unreadable = [key for key, value, mapping in maps if not mapping and not is_blank(value)]
    unreadable += [] if row else ["type"]
    lists = ((side, sides.get(side)) for side in relations)
    unreadable += [side for side, value in lists if as_rows(value) is None and not is_blank(value)]
    if unreadable:
        incomplete.add(_SPA_RELATIONS, entity.entity_type_id)
        issues.record_unreadable("spa_type_relations", _TYPE_DETAILS, unreadable[:1], entity.entity_type_id)
    linked_fields = {name: value for name, value in as_mapping(row.get("linkedUserFields")).items() if as_text(name)}
    known = entity.row if entity.id is not None else {**row, **entity.row, "id": row.get("id")}
    return replace(entity, row=known, relations=relations, linked_fields=linked_fields)


_DETAIL_MAPS = ("relations", "linkedUserFields")


def _usable_rows(value: Any, key: str, unusable: list[str]) -> list[Row]:
    """Returns the usable rows of a list in an answer; adds examples of the ids of other rows to `unusable`."""
    rows = []
    for row in as_rows(value) or ():
        if as_id(as_mapping(row).get(key)) is None:
            unusable.append(f"{key} {shown_value(row[key])}" if key in as_mapping(row) else shown_value(row))
        else:
            rows.append(row)
    return rows


def _with_fields(
    entity: EntityType, outcome: CallResult, unreadable: dict[int, str], issues: IssueLog, incomplete: IncompleteParts
) -> EntityType:
    resource = "crm_fields" if entity.is_built_in else "spa_fields"
    if isinstance(outcome, Response):
        fields = _usable_fields(entity, fields_from_response(outcome.result), resource, issues)
        if fields:
            has_contacts = entity.is_built_in and CRM_OBJECTS_BY_ID[entity.entity_type_id].has_contacts
            return replace(entity, fields=with_multifield(fields) if has_contacts else fields)
        outcome = PortalError(
            "the portal's answer has no fields",
            "crm.item.fields",
            "report it to the portal's administrator; what was loaded before stays",
        )
    unreadable[entity.entity_type_id] = entity.title
    incomplete.add(_OBJECT_FIELDS if entity.is_built_in else _SPA_FIELDS - {"spa_types"}, entity.entity_type_id)
    issues.record(
        resource,
        outcome,
        f"fields of {entity.title!r} may not be read: {outcome.what}",
        entity_type_id=entity.entity_type_id,
    )
    return entity


def _usable_fields(entity: EntityType, fields: Sequence[Field], resource: str, issues: IssueLog) -> tuple[Field, ...]:
    """Returns the fields that have a name, with the options that have an id."""
    unusable = [f"name {shown_value(field.name)}" for field in fields if not field.upper_name]
    issues.record_unusable(resource, "crm.item.fields", unusable, entity.entity_type_id)
    unusable = [
        f"ID {shown_value(option.id)}" for field in fields for option in field.options if as_id(option.id) is None
    ]
    unreadable = [f"{key} of {field.name}" for field in fields for key in field.unreadable]
    issues.record_unreadable(resource, "crm.item.fields", unreadable, entity.entity_type_id)
    options_resource = "crm_field_options" if entity.is_built_in else "spa_field_options"
    issues.record_unusable(options_resource, "crm.item.fields", unusable, entity.entity_type_id)
    return tuple(
        replace(field, options=tuple(option for option in field.options if as_id(option.id) is not None))
        for field in fields
        if field.upper_name
    )


def _categories_of(entity: EntityType) -> OffsetList:
    return OffsetList(
        "crm.category.list",
        "categories",
        ("id",),
        {"entityTypeId": entity.entity_type_id},
        whole=True,
    )


def _categories(
    entity: EntityType, first: CallResult, directories: ListResult, issues: IssueLog, incomplete: IncompleteParts
) -> CallGenerator[Sequence[Row]]:
    """Reads the categories of a type.

    A type without categories of its own still has a default one; if the method rejects the type, it is taken from the stage
    directories.
    """
    resource = "categories" if entity.is_built_in else "spa_categories"
    is_supported = isinstance(first, Response) or first.code != "ENTITY_TYPE_NOT_SUPPORTED"
    if isinstance(first, Response):
        listing = yield from read_all(_categories_of(entity), first)
        issues.record_unusable(resource, "crm.category.list", listing.unusable, entity.entity_type_id)
        if listing.error is not None or listing.unusable:
            incomplete.add({resource}, entity.entity_type_id)
        if listing.error is not None:
            issues.record(
                resource,
                listing.error,
                f"categories may be missing: {listing.error.what}",
                entity_type_id=entity.entity_type_id,
            )
        return listing.rows
    if is_supported:
        issues.record(
            resource,
            first,
            f"categories of {entity.title!r} may not be read: {first.what}",
            entity_type_id=entity.entity_type_id,
        )
    if is_supported or directories.error is not None:
        incomplete.add({resource}, entity.entity_type_id)
    return [
        {
            "id": (parse_stage_directory(str(row.get("ID"))) or (0, 0))[1],
            "name": row.get("CATEGORY_NAME"),
            "sort": row.get("CATEGORY_SORT"),
            "isDefault": row.get("IS_DEFAULT_CATEGORY"),
        }
        for row in directories.rows
        if _owner_of(row.get("ID")) == entity.entity_type_id
    ]


STATUSES = OffsetList(
    "crm.status.list",
    "",
    ("ENTITY_ID", "STATUS_ID"),
    {"order": {"ID": "ASC"}},
    whole=True,
    has_text_keys=True,
)
"""all rows of all directories, including those that crm.status.entity.types does not list; older portals answer pages"""


def stages_by_type(statuses: Sequence[Row]) -> Mapping[int, list[Row]]:
    """Returns the statuses that are stages, by the entityTypeId of their items."""
    stages: dict[int, list[Row]] = {}
    for row in statuses:
        stages.setdefault(_owner_of(row.get("ENTITY_ID")), []).append(row)
    return stages


def _owner_of(directory: Any) -> int:
    """Returns the entityTypeId of a stage directory; 0 for any other directory."""
    return (parse_stage_directory(as_text(directory) or "") or (0, None))[0]


def read_options(
    user_fields: Sequence[Row], owners: re.Pattern[str], issues: IssueLog, incomplete: IncompleteParts
) -> CallGenerator[Mapping[tuple[str, str], Mapping[str, Row]]]:
    """Reads option details by field. Whether the list contains them is not documented; if not, each field is read."""
    enumerations = {
        (owner, as_text(row.get("fieldName")) or ""): row
        for row in user_fields
        if row.get("userTypeId") == "enumeration" and owners.fullmatch(owner := as_text(row.get("entityId")) or "")
    }
    lacking = [key for key, row in enumerations.items() if as_rows(row.get("enum")) is None]
    outcomes = yield [
        Call("userfieldconfig.get", {"moduleId": "crm", "id": enumerations[key].get("id")}) for key in lacking
    ]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Bitrix24Error)]
    if failed:
        if not all(isinstance(error, AccessError) for error in failed):
            incomplete.add({"spa_field_options", "crm_field_options"})
        cost = f"sort, xml_id and is_default stay empty for the options of {len(failed)} fields"
        issues.record("spa_field_options", failed[0], f"{failed[0].what}: {cost}")
    for key, outcome in zip(lacking, outcomes, strict=True):
        if isinstance(outcome, Response):
            enumerations[key] = as_mapping(as_mapping(outcome.result).get("field"))
    unusable: list[str] = []
    details: dict[tuple[str, str], Mapping[str, Row]] = {}
    for key, row in enumerations.items():
        if as_rows(row.get("enum")) is None and (
            key not in lacking or isinstance(outcomes[lacking.index(key)], Response)
        ):
            unusable.append(f"enum of {key[1]}")
        options = _usable_rows(row.get("enum"), "id", unusable)
        details[key] = {str(as_id(option["id"])): option for option in options}
    issues.record_unusable("spa_field_options", "userfieldconfig.get", unusable)
    return details

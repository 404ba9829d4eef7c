"""Reads what one entity type is made of: flags, relations, fields, categories, stages, options.

Facts: https://apidocs.bitrix24.com/api-reference/crm/universal/index.html
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import Bitrix24Error
from ..rest import Call, CallGenerator, CallResult, OffsetList, Response, as_int, merge_generators, read_all
from ..schema import fields_from_response, with_multifield
from .crm_objects import CRM_OBJECTS_BY_ID, directory_of, parse_stage_directory
from .issues import IssueLog
from .model import EntityType, Row

log = logging.getLogger("bitrix24_source")


def read_entity(
    entity: EntityType, parts: frozenset[str], directories: Sequence[Row], unreadable: dict[int, str], issues: IssueLog
) -> CallGenerator[EntityType | None]:
    """One type with all its parts; None when it is gone or may not be read."""
    calls = _calls_for(entity, parts)
    outcomes = yield list(calls.values())
    answers: dict[str, CallResult] = dict(zip(calls, outcomes, strict=True))
    details = answers.get("type")
    if isinstance(details, Bitrix24Error) and _is_gone(entity, details, unreadable, issues):
        return None
    if isinstance(details, Response):
        entity = _with_details(entity, _as_mapping(_as_mapping(details.result).get("type")))
    if "fields" in answers:
        entity = _with_fields(entity, answers["fields"], unreadable, issues)
    own = [row for row in directories if _entity_type_of_directory(row) == entity.entity_type_id]
    if "categories" in answers:
        categories = yield from _categories(entity, answers["categories"], own, issues)
        entity = replace(entity, categories=categories)
    if _stages_wanted(entity, parts):
        stages = yield from _stages(entity, own, issues)
        entity = replace(entity, stages=stages)
    return entity


def _calls_for(entity: EntityType, parts: frozenset[str]) -> dict[str, Call]:
    asked = {"entityTypeId": entity.entity_type_id}
    built_in = CRM_OBJECTS_BY_ID.get(entity.entity_type_id)
    calls = {}
    if built_in is None and (entity.id is None or parts & {"spa_type_relations", "spa_type_linked_fields"}):
        calls["type"] = Call("crm.type.getByEntityTypeId", asked)
    if parts & (_SPA_FIELDS if built_in is None else {*_OBJECT_FIELDS, built_in.table}):
        calls["fields"] = Call("crm.item.fields", asked)
    if parts & (_SPA_CATEGORIES if built_in is None else _OBJECT_CATEGORIES) and (
        built_in is None or built_in.has_categories
    ):
        calls["categories"] = _categories_of(entity).page(0)
    return calls


def _stages_wanted(entity: EntityType, parts: frozenset[str]) -> bool:
    built_in = CRM_OBJECTS_BY_ID.get(entity.entity_type_id)
    return "spa_stages" in parts if built_in is None else "stages" in parts and bool(built_in.directory)


# What needs fields, and what needs categories, of smart processes and of CRM objects.
_SPA_FIELDS = frozenset({"spa_types", "spa_fields", "spa_field_options"})
_SPA_CATEGORIES = frozenset({"spa_categories", "spa_stages"})
_OBJECT_FIELDS = frozenset({"crm_fields", "crm_field_options"})
_OBJECT_CATEGORIES = frozenset({"categories", "stages"})


def _is_gone(entity: EntityType, error: Bitrix24Error, unreadable: dict[int, str], issues: IssueLog) -> bool:
    """Whether the type must be left out: deleted since it was listed, or hidden from this credential."""
    if error.code == "NOT_FOUND":
        log.info("The smart process %s was deleted while the catalogue was read", entity.entity_type_id)
        return True
    if entity.id is not None:
        issues.record(
            "spa_type_relations",
            error,
            f"relations of {entity.title!r} may not be read: {error.what}",
            entity_type_id=entity.entity_type_id,
        )
        return False
    unreadable[entity.entity_type_id] = entity.title
    issues.record(
        "spa_types",
        error,
        f"the smart process {entity.title!r} may not be read: {error.what}",
        entity_type_id=entity.entity_type_id,
    )
    return True


def _with_details(entity: EntityType, row: Row) -> EntityType:
    relations = {side: _as_rows(_as_mapping(row.get("relations")).get(side)) for side in ("parent", "child")}
    known = entity.row if entity.id is not None else row
    return replace(entity, row=known, relations=relations, linked_fields=_as_mapping(row.get("linkedUserFields")))


def _with_fields(entity: EntityType, outcome: CallResult, unreadable: dict[int, str], issues: IssueLog) -> EntityType:
    if isinstance(outcome, Response):
        fields = fields_from_response(outcome.result)
        has_contacts = entity.is_built_in and CRM_OBJECTS_BY_ID[entity.entity_type_id].has_contacts
        return replace(entity, fields=with_multifield(fields) if has_contacts else fields)
    unreadable[entity.entity_type_id] = entity.title
    resource = "crm_fields" if entity.is_built_in else "spa_fields"
    issues.record(
        resource,
        outcome,
        f"fields of {entity.title!r} may not be read: {outcome.what}",
        entity_type_id=entity.entity_type_id,
    )
    return entity


def _categories_of(entity: EntityType) -> OffsetList:
    return OffsetList(
        "crm.category.list", "categories", lambda row: row.get("id"), {"entityTypeId": entity.entity_type_id}
    )


def _categories(
    entity: EntityType, first: CallResult, directories: Sequence[Row], issues: IssueLog
) -> CallGenerator[Sequence[Row]]:
    """A type without funnels of its own still has one; where the method refuses it, the stage directories name it."""
    resource = "categories" if entity.is_built_in else "spa_categories"
    if isinstance(first, Response):
        listing = yield from read_all(_categories_of(entity), first)
        if listing.error is not None:
            issues.record(
                resource,
                listing.error,
                f"categories may be missing: {listing.error.what}",
                entity_type_id=entity.entity_type_id if entity else None,
            )
        return listing.rows
    if first.code != "ENTITY_TYPE_NOT_SUPPORTED":
        issues.record(
            resource,
            first,
            f"categories of {entity.title!r} may not be read: {first.what}",
            entity_type_id=entity.entity_type_id,
        )
    return [
        {
            "id": (parse_stage_directory(str(row.get("ID"))) or (0, 0))[1],
            "name": row.get("CATEGORY_NAME"),
            "sort": row.get("CATEGORY_SORT"),
            "isDefault": row.get("IS_DEFAULT_CATEGORY"),
        }
        for row in directories
    ]


def _stages(entity: EntityType, directories: Sequence[Row], issues: IssueLog) -> CallGenerator[Sequence[Row]]:
    """Of every directory that the portal or a category names; `stageId.statusType` names only one of many."""
    names = [str(row["ID"]) for row in directories]
    if entity.row.get("isStagesEnabled") != "N":
        categories = [row.get("id") for row in entity.categories]
        if entity.is_built_in and not CRM_OBJECTS_BY_ID[entity.entity_type_id].has_categories:
            categories = [0]
        names += [
            directory_of(entity.entity_type_id, number) for one in categories if (number := as_int(one)) is not None
        ]
    resource = "stages" if entity.is_built_in else "spa_stages"
    return (yield from _statuses(list(dict.fromkeys(names)), resource, issues, entity))


def read_statuses(
    directories: Sequence[Row], described: Sequence[EntityType], parts: frozenset[str], issues: IssueLog
) -> CallGenerator[list[Row]]:
    """The rows of all directories but those that the types read for themselves."""
    own = {one.entity_type_id for one in described if _stages_wanted(one, parts)}
    names = [str(row["ID"]) for row in directories if row.get("ID") and _entity_type_of_directory(row) not in own]
    return (yield from _statuses(names, "statuses", issues))


def _statuses(
    names: Sequence[str], resource: str, issues: IssueLog, entity: EntityType | None = None
) -> CallGenerator[list[Row]]:
    listings = yield from merge_generators([read_all(_statuses_of(name)) for name in names])
    rows: list[Row] = []
    for name, listing in zip(names, listings, strict=True):
        own = [row for row in listing.rows if row.get("ENTITY_ID") == name]
        if listing.error is not None:
            issues.record(
                resource,
                listing.error,
                f"rows of the directory {name} may be missing: {listing.error.what}",
                entity_type_id=entity.entity_type_id if entity else None,
            )
        elif len(own) < len(listing.rows):
            log.warning("%s: the portal answered rows of other directories than %s, left out", resource, name)
        rows += own
    return rows


def _statuses_of(directory: str) -> OffsetList:
    return OffsetList(
        "crm.status.list",
        "",
        lambda row: (row.get("ENTITY_ID"), row.get("STATUS_ID")),
        {"filter": {"ENTITY_ID": directory}, "order": {"SORT": "ASC"}},
    )


def _entity_type_of_directory(directory: Row) -> int:
    """The entityTypeId whose stages a directory holds; 0 for a directory of anything else."""
    return (parse_stage_directory(str(directory.get("ID"))) or (0, None))[0]


def read_options(
    user_fields: Sequence[Row], owners: re.Pattern[str], issues: IssueLog
) -> CallGenerator[Mapping[tuple[str, str], Mapping[str, Row]]]:
    """Option details by field. Whether the list holds them is not documented; where it does not, each field is asked."""
    enumerations = {
        (owner, str(row.get("fieldName"))): row
        for row in user_fields
        if row.get("userTypeId") == "enumeration" and owners.fullmatch(owner := str(row.get("entityId")))
    }
    lacking = [key for key, row in enumerations.items() if not isinstance(row.get("enum"), list)]
    outcomes = yield [
        Call("userfieldconfig.get", {"moduleId": "crm", "id": enumerations[key].get("id")}) for key in lacking
    ]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Bitrix24Error)]
    if failed:
        cost = f"sort, xml_id and is_default stay empty for the options of {len(failed)} fields"
        issues.record("spa_field_options", failed[0], f"{failed[0].what}: {cost}")
    for key, outcome in zip(lacking, outcomes, strict=True):
        if isinstance(outcome, Response):
            enumerations[key] = _as_mapping(_as_mapping(outcome.result).get("field"))
    return {
        key: {str(option.get("id")): option for option in _as_rows(row.get("enum"))}
        for key, row in enumerations.items()
    }


def _as_mapping(value: Any) -> Row:
    return value if isinstance(value, Mapping) else {}


def _as_rows(value: Any) -> list[Row]:
    listed = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [row for row in listed if isinstance(row, Mapping)]

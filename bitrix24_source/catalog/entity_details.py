"""Reads what one entity type is made of: flags, relations, fields, categories, stages, options.

Facts: https://apidocs.bitrix24.com/api-reference/crm/universal/index.html
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import AccessError, Bitrix24Error
from ..rest import Call, CallGenerator, CallResult, ListResult, OffsetList, Response, read_all
from ..schema import fields_from_response, with_multifield
from .crm_objects import CRM_OBJECTS_BY_ID, parse_stage_directory
from .issues import IssueLog
from .model import EntityType, Row
from .unread import UnreadParts

log = logging.getLogger("bitrix24_source")


# Tables with rows of each entity type, by what their rows are made from.
_SPA_FIELDS = frozenset({"spa_types", "spa_fields", "spa_field_options"})
_SPA_RELATIONS = frozenset({"spa_type_relations", "spa_type_linked_fields"})
_OBJECT_FIELDS = frozenset({"crm_fields", "crm_field_options"})
SPA_ENTITY_TABLES = _SPA_FIELDS | _SPA_RELATIONS | {"spa_categories", "spa_stages"}


def read_entity(
    entity: EntityType,
    parts: frozenset[str],
    directories: ListResult,
    unreadable: dict[int, str],
    issues: IssueLog,
    unread: UnreadParts,
) -> CallGenerator[EntityType | None]:
    """One type with all its parts; None when it is gone or may not be read."""
    calls = _calls_for(entity, parts)
    outcomes = yield list(calls.values())
    responses: dict[str, CallResult] = dict(zip(calls, outcomes, strict=True))
    details = responses.get("type")
    if isinstance(details, Bitrix24Error):
        gone = details.code == "NOT_FOUND" or (yield from _is_deleted(entity))
        if not _accept_without_details(entity, details, unreadable, issues, unread, is_deleted=gone):
            return None
    if isinstance(details, Response):
        entity = _with_details(entity, _as_mapping(_as_mapping(details.result).get("type")))
    if "fields" in responses:
        entity = _with_fields(entity, responses["fields"], unreadable, issues, unread)
    if "categories" in responses:
        categories = yield from _categories(entity, responses["categories"], directories, issues, unread)
        entity = replace(entity, categories=categories)
    return entity


def _calls_for(entity: EntityType, parts: frozenset[str]) -> dict[str, Call]:
    asked = {"entityTypeId": entity.entity_type_id}
    built_in = CRM_OBJECTS_BY_ID.get(entity.entity_type_id)
    calls = {}
    if built_in is None and (entity.id is None or parts & {"spa_type_relations", "spa_type_linked_fields"}):
        calls["type"] = Call("crm.type.getByEntityTypeId", asked)
    if parts & (_SPA_FIELDS if built_in is None else {*_OBJECT_FIELDS, built_in.table}):
        calls["fields"] = Call("crm.item.fields", asked)
    if ("spa_categories" if built_in is None else "categories") in parts and (
        built_in is None or built_in.has_categories
    ):
        calls["categories"] = _categories_of(entity).page(0)
    return calls


def _is_deleted(entity: EntityType) -> CallGenerator[bool]:
    """Whether the type is no more: crm.item.fields says so with a code, where crm.type.* has words in the user's language only.

    It looks for the type before it looks at rights, so that a type that may not be read is not taken for a deleted one.
    """
    (outcome,) = yield [Call("crm.item.fields", {"entityTypeId": entity.entity_type_id})]
    return isinstance(outcome, Bitrix24Error) and outcome.code == "NOT_FOUND"


def _accept_without_details(
    entity: EntityType,
    error: Bitrix24Error,
    unreadable: dict[int, str],
    issues: IssueLog,
    unread: UnreadParts,
    *,
    is_deleted: bool,
) -> bool:
    """Whether to go on with a type whose crm.type.getByEntityTypeId failed; what it lacks is recorded."""
    if is_deleted:
        log.info("The smart process %s was deleted while the catalogue was read", entity.entity_type_id)
        return False
    if entity.id is not None:
        unread.add(_SPA_RELATIONS, entity.entity_type_id)
        issues.record(
            "spa_type_relations",
            error,
            f"relations of {entity.title!r} may not be read: {error.what}",
            entity_type_id=entity.entity_type_id,
        )
        return True
    unreadable[entity.entity_type_id] = entity.title
    unread.add(SPA_ENTITY_TABLES, entity.entity_type_id)
    issues.record(
        "spa_types",
        error,
        f"the smart process {entity.title!r} may not be read: {error.what}",
        entity_type_id=entity.entity_type_id,
    )
    return False


def _with_details(entity: EntityType, row: Row) -> EntityType:
    relations = {side: _as_rows(_as_mapping(row.get("relations")).get(side)) for side in ("parent", "child")}
    known = entity.row if entity.id is not None else row
    return replace(entity, row=known, relations=relations, linked_fields=_as_mapping(row.get("linkedUserFields")))


def _with_fields(
    entity: EntityType, outcome: CallResult, unreadable: dict[int, str], issues: IssueLog, unread: UnreadParts
) -> EntityType:
    if isinstance(outcome, Response):
        fields = fields_from_response(outcome.result)
        has_contacts = entity.is_built_in and CRM_OBJECTS_BY_ID[entity.entity_type_id].has_contacts
        return replace(entity, fields=with_multifield(fields) if has_contacts else fields)
    unreadable[entity.entity_type_id] = entity.title
    resource = "crm_fields" if entity.is_built_in else "spa_fields"
    unread.add(_OBJECT_FIELDS if entity.is_built_in else _SPA_FIELDS - {"spa_types"}, entity.entity_type_id)
    issues.record(
        resource,
        outcome,
        f"fields of {entity.title!r} may not be read: {outcome.what}",
        entity_type_id=entity.entity_type_id,
    )
    return entity


def _categories_of(entity: EntityType) -> OffsetList:
    return OffsetList(
        "crm.category.list",
        "categories",
        lambda row: row.get("id"),
        {"entityTypeId": entity.entity_type_id},
        whole=True,
    )


def _categories(
    entity: EntityType, first: CallResult, directories: ListResult, issues: IssueLog, unread: UnreadParts
) -> CallGenerator[Sequence[Row]]:
    """A type without funnels of its own still has one; where the method refuses it, the stage directories name it."""
    resource = "categories" if entity.is_built_in else "spa_categories"
    is_supported = isinstance(first, Response) or first.code != "ENTITY_TYPE_NOT_SUPPORTED"
    if isinstance(first, Response):
        listing = yield from read_all(_categories_of(entity), first)
        if listing.error is not None:
            unread.add({resource}, entity.entity_type_id)
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
        unread.add({resource}, entity.entity_type_id)
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
    lambda row: (row.get("ENTITY_ID"), row.get("STATUS_ID")),
    {"order": {"ID": "ASC"}},
    whole=True,
)
"""every row of every directory, those included that crm.status.entity.types does not name; older portals answer pages"""


def stages_by_type(statuses: Sequence[Row]) -> Mapping[int, list[Row]]:
    """The statuses that are stages, by the entityTypeId of the items that go through them."""
    stages: dict[int, list[Row]] = {}
    for row in statuses:
        stages.setdefault(_owner_of(row.get("ENTITY_ID")), []).append(row)
    return stages


def _owner_of(directory: Any) -> int:
    """The entityTypeId whose stages a directory holds; 0 for a directory of anything else."""
    return (parse_stage_directory(str(directory)) or (0, None))[0]


def read_options(
    user_fields: Sequence[Row], owners: re.Pattern[str], issues: IssueLog, unread: UnreadParts
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
        if not all(isinstance(error, AccessError) for error in failed):
            unread.add({"spa_field_options", "crm_field_options"})
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

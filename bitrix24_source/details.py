"""What is one smart process made of: flags, relations, fields, categories, stages, options? `discovery` says which exist.

Facts: https://apidocs.bitrix24.com/api-reference/crm/universal/index.html
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .batching import Outcome, Reader, side_by_side
from .catalog import Issues, Row, SpaType
from .errors import Bitrix24Error
from .fields import fields_from_wire
from .paging import ListMethod, all_rows
from .wire import Answer, Call

log = logging.getLogger("bitrix24_source")


def describe(
    spa: SpaType, parts: frozenset[str], directories: Sequence[Row], unreadable: dict[int, str], issues: Issues
) -> Reader[SpaType | None]:
    """One type with all its parts; None when it is gone or may not be read."""
    calls = _calls_for(spa, parts)
    outcomes = yield list(calls.values())
    answers: dict[str, Outcome] = dict(zip(calls, outcomes, strict=True))
    details = answers.get("type")
    if isinstance(details, Bitrix24Error) and _is_gone(spa, details, unreadable, issues):
        return None
    if isinstance(details, Answer):
        spa = _with_details(spa, _map(_map(details.result).get("type")))
    if "fields" in answers:
        spa = _with_fields(spa, answers["fields"], unreadable, issues)
    if "categories" in answers:
        own = [
            row
            for row in directories
            if _DIRECTORY.fullmatch(str(row.get("ID"))) and _directory(row)[0] == spa.entity_type_id
        ]
        categories = yield from _categories(spa, answers["categories"], own, issues)
        spa = replace(spa, categories=categories)
        if "spa_stages" in parts:
            stages = yield from _stages(spa, own, issues)
            spa = replace(spa, stages=stages)
    return spa


def _calls_for(spa: SpaType, parts: frozenset[str]) -> dict[str, Call]:
    asked = {"entityTypeId": spa.entity_type_id}
    calls = {}
    if spa.id is None or parts & {"spa_type_relations", "spa_type_linked_fields"}:
        calls["type"] = Call("crm.type.getByEntityTypeId", asked)
    if parts & {"spa_types", "spa_fields", "spa_field_options"}:
        calls["fields"] = Call("crm.item.fields", asked)
    if parts & {"spa_categories", "spa_stages"}:
        calls["categories"] = _categories_of(spa).page(0)
    return calls


def _is_gone(spa: SpaType, error: Bitrix24Error, unreadable: dict[int, str], issues: Issues) -> bool:
    """Whether the type must be left out: deleted since it was listed, or hidden from this credential."""
    if error.code == "NOT_FOUND":
        log.info("The smart process %s was deleted while the catalogue was read", spa.entity_type_id)
        return True
    if spa.id is not None:
        issues.note("spa_type_relations", error, f"relations of {spa.title!r} may not be read: {error.what}", spa=spa)
        return False
    unreadable[spa.entity_type_id] = spa.title
    issues.note("spa_types", error, f"the smart process {spa.title!r} may not be read: {error.what}", spa=spa)
    return True


def _with_details(spa: SpaType, row: Row) -> SpaType:
    relations = {side: _rows(_map(row.get("relations")).get(side)) for side in ("parent", "child")}
    known = spa.row if spa.id is not None else row
    return replace(spa, row=known, relations=relations, linked_fields=_map(row.get("linkedUserFields")))


def _with_fields(spa: SpaType, outcome: Outcome, unreadable: dict[int, str], issues: Issues) -> SpaType:
    if isinstance(outcome, Answer):
        return replace(spa, fields=fields_from_wire(outcome.result))
    unreadable[spa.entity_type_id] = spa.title
    issues.note("spa_fields", outcome, f"fields of {spa.title!r} may not be read: {outcome.what}", spa=spa)
    return spa


def _categories_of(spa: SpaType) -> ListMethod:
    return ListMethod(
        "crm.category.list", "categories", lambda row: row.get("id"), {"entityTypeId": spa.entity_type_id}
    )


def _categories(spa: SpaType, first: Outcome, directories: Sequence[Row], issues: Issues) -> Reader[Sequence[Row]]:
    """A type without funnels of its own still has one; where the method refuses it, the stage directories name it."""
    if isinstance(first, Answer):
        listing = yield from all_rows(_categories_of(spa), first)
        if listing.error is not None:
            issues.note("spa_categories", listing.error, f"categories may be missing: {listing.error.what}", spa=spa)
        return listing.rows
    if first.code != "ENTITY_TYPE_NOT_SUPPORTED":
        issues.note("spa_categories", first, f"categories of {spa.title!r} may not be read: {first.what}", spa=spa)
    return [
        {
            "id": _directory(row)[1],
            "name": row.get("CATEGORY_NAME"),
            "sort": row.get("CATEGORY_SORT"),
            "isDefault": row.get("IS_DEFAULT_CATEGORY"),
        }
        for row in directories
    ]


def _stages(spa: SpaType, directories: Sequence[Row], issues: Issues) -> Reader[Sequence[Row]]:
    """Of every directory that the portal or a category names; `stageId.statusType` names only one of many."""
    names = [str(row["ID"]) for row in directories]
    if spa.row.get("isStagesEnabled") != "N":
        names += [f"DYNAMIC_{spa.entity_type_id}_STAGE_{row.get('id')}" for row in spa.categories]
    names = list(dict.fromkeys(names))
    listings = yield from side_by_side([all_rows(_statuses_of(name)) for name in names])
    stages: list[Row] = []
    for name, listing in zip(names, listings, strict=True):
        own = [row for row in listing.rows if row.get("ENTITY_ID") == name]
        if listing.error is not None:
            issues.note("spa_stages", listing.error, f"stages of {name} may be missing: {listing.error.what}", spa=spa)
        elif len(own) < len(listing.rows):
            log.warning("spa_stages: the portal answered stages of other directories than %s, left out", name)
        stages += own
    return stages


def _statuses_of(directory: str) -> ListMethod:
    return ListMethod(
        "crm.status.list",
        "",
        lambda row: (row.get("ENTITY_ID"), row.get("STATUS_ID")),
        {"filter": {"ENTITY_ID": directory}, "order": {"SORT": "ASC"}},
    )


_DIRECTORY = re.compile(r"DYNAMIC_(\d+)_STAGE_(\d+)")


def _directory(row: Row) -> tuple[int, int]:
    """The entityTypeId and category id of a stage directory, from its code."""
    match = _DIRECTORY.fullmatch(str(row.get("ID")))
    return (int(match[1]), int(match[2])) if match else (0, 0)


# --- user fields ----------------------------------------------------------------------------------------------------


def read_options(user_fields: Sequence[Row], issues: Issues) -> Reader[Mapping[tuple[int, str], Mapping[str, Row]]]:
    """Option details by field. Whether the list holds them is not documented; where it does not, each field is asked."""
    enumerations = {
        (type_id, str(row.get("fieldName"))): row
        for row in user_fields
        if row.get("userTypeId") == "enumeration" and (type_id := _spa_of(row)) is not None
    }
    lacking = [key for key, row in enumerations.items() if not isinstance(row.get("enum"), list)]
    outcomes = yield [
        Call("userfieldconfig.get", {"moduleId": "crm", "id": enumerations[key].get("id")}) for key in lacking
    ]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Bitrix24Error)]
    if failed:
        cost = f"sort, xml_id and is_default stay empty for the options of {len(failed)} fields"
        issues.note("spa_field_options", failed[0], f"{failed[0].what}: {cost}")
    for key, outcome in zip(lacking, outcomes, strict=True):
        if isinstance(outcome, Answer):
            enumerations[key] = _map(_map(outcome.result).get("field"))
    return {
        key: {str(option.get("id")): option for option in _rows(row.get("enum"))} for key, row in enumerations.items()
    }


def _spa_of(row: Row) -> int | None:
    """The type id (not the entityTypeId) in a user field's entityId, `CRM_13`."""
    match = re.fullmatch(r"CRM_(\d+)", str(row.get("entityId")))
    return int(match[1]) if match else None


def _map(value: Any) -> Row:
    return value if isinstance(value, Mapping) else {}


def _rows(value: Any) -> list[Row]:
    listed = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [row for row in listed if isinstance(row, Mapping)]

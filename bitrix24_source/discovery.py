"""How is the catalogue found out, in a dozen requests, whatever the credential may see?

Two conversations: what exists, then everything about each type; in both, all that is independent travels in the same
batches. A part that may not be read becomes an `Issue`; only what makes the catalogue impossible is raised.
Facts: https://apidocs.bitrix24.com/api-reference/crm/universal/user-defined-object-types/index.html
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .batching import Reader, together
from .catalog import Catalog, Issues, SpaType
from .client import Client
from .details import describe, read_options
from .errors import DeniedError, ScopeError
from .paging import Listing, ListMethod, all_rows
from .wire import Answer, Call

log = logging.getLogger("bitrix24_source")

TABLES = frozenset(
    {
        "spa_types",
        "spa_type_relations",
        "spa_type_linked_fields",
        "spa_fields",
        "spa_field_options",
        "spa_categories",
        "spa_stages",
        "spa_automations",
        "automated_solutions",
        "automated_solution_types",
    }
)


def read_catalog(client: Client, wanted: Iterable[str] = TABLES) -> Catalog:
    """Reads what the wanted tables need, and nothing else.

    Raises:
        ScopeError: the credential lacks `crm`, without which there is no catalogue.
        Bitrix24Error: credential, network or a limit ended the reading.
    """
    parts = frozenset(wanted)
    issues = Issues(client.clock.now)
    exists = _Existing(*together(client, _first_readers(parts)))
    types = _types(exists, issues)
    _note_missing_parts(exists, issues)
    unreadable: dict[int, str] = {}
    readers: list[Reader[Any]] = [describe(spa, parts, exists.directories.rows, unreadable, issues) for spa in types]
    readers.append(read_options(exists.user_fields.rows, issues))
    *described, options = together(client, readers)
    return Catalog(
        types=tuple(spa for spa in described if spa is not None),
        unreadable=unreadable,
        solutions=exists.solutions.rows,
        templates=exists.templates.rows,
        options=options,
        issues=tuple(issues.noted),
    )


# --- what exists ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Existing:
    """What the first conversation brought."""

    scopes: frozenset[str] | None
    types: Listing
    directories: Listing
    solutions: Listing
    templates: Listing
    user_fields: Listing


_TYPES = ListMethod("crm.type.list", "types", lambda row: row.get("id"), {"order": {"id": "ASC"}})
_OWNER_TYPES = ListMethod("crm.enum.ownertype", "", lambda row: row.get("ID"), whole=True)
_DIRECTORIES = ListMethod("crm.status.entity.types", "", lambda row: row.get("ID"), whole=True)
_SOLUTIONS = ListMethod(
    "crm.automatedsolution.list", "automatedSolutions", lambda row: row.get("id"), {"order": {"id": "ASC"}}
)
_TEMPLATE_COLUMNS = [
    "ID", "NAME", "MODULE_ID", "ENTITY", "DOCUMENT_TYPE", "AUTO_EXECUTE", "MODIFIED", "IS_MODIFIED", "USER_ID", "SYSTEM_CODE",
]  # fmt: skip
# Without a selection only ids come. The method's page writes the parameter in capitals in its table and small in its
# examples; a portal that knows one of them passes over the other.
_TEMPLATES = ListMethod(
    "bizproc.workflow.template.list",
    "",
    lambda row: row.get("ID"),
    {
        "SELECT": _TEMPLATE_COLUMNS,
        "select": _TEMPLATE_COLUMNS,
        "ORDER": {"ID": "ASC"},
        "order": {"ID": "ASC"},
    },
)
# Of all CRM objects: a filter on entityId is not documented, and one list is cheaper than one for each type.
_USER_FIELDS = ListMethod(
    "userfieldconfig.list", "fields", lambda row: row.get("id"), {"moduleId": "crm", "order": {"id": "ASC"}}
)


def _first_readers(parts: frozenset[str]) -> list[Reader[Any]]:
    def needed(listed: ListMethod, *tables: str) -> Reader[Listing]:
        return all_rows(listed) if parts.intersection(tables) else _nothing()

    return [
        _scopes(),
        _listed_types(),
        needed(_DIRECTORIES, "spa_stages", "spa_categories"),
        needed(_SOLUTIONS, "automated_solutions", "automated_solution_types"),
        needed(_TEMPLATES, "spa_automations"),
        needed(_USER_FIELDS, "spa_field_options"),
    ]


def _nothing() -> Reader[Listing]:
    yield from ()
    return Listing()


def _scopes() -> Reader[frozenset[str] | None]:
    """What the credential may use; None where the portal does not say."""
    (outcome,) = yield [Call("scope")]
    listed = isinstance(outcome, Answer) and isinstance(outcome.result, list)
    return frozenset(str(scope) for scope in outcome.result) if listed else None  # type: ignore[union-attr]  # `listed`


def _listed_types() -> Reader[Listing]:
    """Rows of crm.type.list; without administrative rights in CRM, numbers and names from crm.enum.ownertype."""
    listing = yield from all_rows(_TYPES)
    if not isinstance(listing.error, DeniedError):
        return listing
    log.info("No administrative rights in CRM: smart processes are asked for one by one")
    owners = yield from all_rows(_OWNER_TYPES)
    if owners.error is not None:
        return listing
    spas = [row for row in owners.rows if str(row.get("SYMBOL_CODE") or "").upper().startswith("DYNAMIC_")]
    return Listing([{"entityTypeId": row.get("ID"), "title": row.get("NAME")} for row in spas])


def _types(exists: _Existing, issues: Issues) -> list[SpaType]:
    error = exists.types.error
    if error is not None:
        if isinstance(error, ScopeError) or (exists.scopes is not None and "crm" not in exists.scopes):
            raise ScopeError(
                "the scope crm is missing, without which smart processes cannot be read",
                error.where,
                "add the scope crm to the webhook or application in Bitrix24",
                error.code,
            )
        if not exists.types.rows:
            raise error
        issues.note("spa_types", error, f"smart processes may be missing: {error.what}")
    types = {_int(row.get("entityTypeId")): row for row in exists.types.rows}
    return [SpaType(type_id, row) for type_id, row in sorted(types.items()) if type_id]


# Which part needs which scope, and what a table's readers miss without it.
_PARTS = (
    (
        "user_fields",
        "spa_field_options",
        "userfieldconfig",
        "sort, xml_id and is_default of spa_field_options stay empty",
    ),
    ("templates", "spa_automations", "bizproc", "spa_automations stays empty"),
    ("solutions", "automated_solutions", "crm", "automated_solutions and automated_solution_types stay empty"),
    ("directories", "spa_stages", "crm", "stages are read from the directories of readable categories only"),
)


def _note_missing_parts(exists: _Existing, issues: Issues) -> None:
    for part, resource, scope, cost in _PARTS:
        error = getattr(exists, part).error
        if error is None:
            continue
        if isinstance(error, ScopeError) or (exists.scopes is not None and scope not in exists.scopes):
            hint = f"add the scope {scope} to the webhook or application in Bitrix24"
            issues.note(resource, error, f"the scope {scope} is missing: {cost}", hint=hint)
        else:
            issues.note(resource, error, f"{error.what}: {cost}")


def _int(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0

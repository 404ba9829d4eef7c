"""Reads the catalogue of a portal in a dozen requests, as far as the credential allows.

First the lists of the portal are read, then the details of each type; independent calls share batches. A part that cannot
be read becomes an `Issue`; an error is raised only if there can be no catalogue at all.
Facts: https://apidocs.bitrix24.com/api-reference/crm/universal/user-defined-object-types/index.html
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ..errors import AccessError, DeniedError, ScopeError
from ..rest import (
    Call,
    CallGenerator,
    Client,
    ListResult,
    OffsetList,
    Response,
    as_id,
    as_int,
    as_list,
    as_text,
    gather,
    numbered_values,
    read_all,
    shown_value,
)
from .crm_objects import CRM_OBJECTS, CRM_OBJECTS_BY_ID, LEADS
from .entity_details import SPA_ENTITY_TABLES, STATUSES, read_entity, read_options, stages_by_type
from .incomplete import IncompleteParts
from .issues import IssueLog
from .model import Catalog, EntityType
from .portal_facts import PortalAnswers, portal_facts, read_portal

log = logging.getLogger("bitrix24_source")


SPA_TABLE_NAMES = frozenset(
    {
        "spa_types", "spa_type_relations", "spa_type_linked_fields", "spa_fields", "spa_field_options", "spa_categories",
        "spa_stages", "spa_automations", "automated_solutions", "automated_solution_types",
    }
)  # fmt: skip
OBJECT_TABLES = frozenset({"crm_fields", "crm_field_options", "categories", "stages"})
DICTIONARIES = frozenset({"statuses", "currencies", "users", "departments", "portal"})
_OPTION_TABLES = frozenset({"spa_field_options", "crm_field_options"})
_STATUS_TABLES = frozenset({"spa_stages", "stages", "statuses"})
SHORT_CODES = "short_codes"
"""part without a table: the codes of owner types in product rows"""
LEADS_MODE = "mode"
"""part without a table: whether the portal works with leads"""
WITHOUT_LEADS = 2
"""the answer of crm.settings.mode.get; https://apidocs.bitrix24.com/api-reference/crm/crm-settings-mode-get.html"""


def read_catalog(client: Client, wanted: Iterable[str] = SPA_TABLE_NAMES) -> Catalog:
    """Reads what the wanted tables need, and nothing else; the table of a CRM object stands for its fields.

    Raises:
        ScopeError: the credential lacks `crm`, without which there is no catalogue.
        Bitrix24Error: the credential, the network or a limit ended the read.
    """
    parts = frozenset(wanted)
    issues, incomplete = IssueLog(client.clock.now), IncompleteParts()
    inventory = _Inventory(*gather(client, _first_readers(parts)))
    entities = [*_types(inventory, issues, incomplete), *_objects(inventory, parts)]
    _note_missing_parts(inventory, parts, issues, incomplete)
    _note_unusable_values(inventory, issues)
    unreadable: dict[int, str] = {}
    readers: list[CallGenerator[Any]] = [
        read_entity(entity, parts, inventory.directories, unreadable, issues, incomplete) for entity in entities
    ]
    readers.append(read_options(inventory.user_fields.rows, _field_owners(parts), issues, incomplete))
    *described, options = gather(client, readers)
    stages = stages_by_type(inventory.statuses.rows)
    readable = [
        replace(entity, stages=stages.get(entity.entity_type_id, ())) for entity in described if entity is not None
    ]
    return Catalog(
        types=tuple(entity for entity in readable if not entity.is_built_in),
        objects=tuple(entity for entity in readable if entity.is_built_in),
        unreadable=unreadable,
        solutions=inventory.solutions.rows,
        templates=inventory.templates.rows,
        options=options,
        statuses=inventory.statuses.rows,
        users=inventory.users.rows,
        departments=inventory.departments.rows,
        currencies=inventory.currencies.rows,
        has_leads=inventory.has_leads,
        incomplete=frozenset(incomplete.tables),
        incomplete_types=incomplete.types,
        portal=portal_facts(
            client.portal, client.clock.now(), inventory.portal, inventory.types.rows, inventory.currencies.rows
        ),
        issues=tuple(issues.issues),
    )


@dataclass(frozen=True)
class _Inventory:
    """The lists of the portal, in the order of `_first_readers`."""

    scopes: frozenset[str] | None
    types: ListResult
    directories: ListResult
    statuses: ListResult
    solutions: ListResult
    templates: ListResult
    user_fields: ListResult
    owner_types: ListResult
    users: ListResult
    departments: ListResult
    currencies: ListResult
    has_leads: bool
    portal: PortalAnswers | None


_TYPES = OffsetList("crm.type.list", "types", ("entityTypeId",), {"order": {"id": "ASC"}})
_OWNER_TYPES = OffsetList("crm.enum.ownertype", "", ("ID",), whole=True)
_DIRECTORIES = OffsetList("crm.status.entity.types", "", ("ID",), whole=True, has_text_keys=True)
_SOLUTIONS = OffsetList("crm.automatedsolution.list", "automatedSolutions", ("id",), {"order": {"id": "ASC"}})
_TEMPLATE_COLUMNS = [
    "ID", "NAME", "MODULE_ID", "ENTITY", "DOCUMENT_TYPE", "AUTO_EXECUTE", "MODIFIED", "IS_MODIFIED", "USER_ID", "SYSTEM_CODE",
]  # fmt: skip
# Without a selection only ids are returned. The method's page writes the parameter in capitals in its table and in lower
# case in its examples; a portal that supports only one of them ignores the other.
_TEMPLATES = OffsetList(
    "bizproc.workflow.template.list",
    "",
    ("ID",),
    {
        "SELECT": _TEMPLATE_COLUMNS,
        "select": _TEMPLATE_COLUMNS,
        "ORDER": {"ID": "ASC"},
        "order": {"ID": "ASC"},
    },
)
# For all CRM objects: a filter on entityId is not documented, and one list is cheaper than one for each type.
_USER_FIELDS = OffsetList("userfieldconfig.list", "fields", ("id",), {"moduleId": "crm", "order": {"id": "ASC"}})
# Without ADMIN_MODE people without a department are missing; users without administrator rights get no error for it.
_USERS = OffsetList("user.get", "", ("ID",), {"sort": "ID", "order": "ASC", "ADMIN_MODE": True})
# The page calls the offset START; the portal supports only `start`, and answers the first page to anything else.
_DEPARTMENTS = OffsetList("department.get", "", ("ID",), {"sort": "ID", "order": "ASC"})
# The vendor's example has a currency twice, once as the base of all rates; `currencies` keeps that one.
_CURRENCIES = OffsetList(
    "crm.currency.list", "", ("CURRENCY",), {"order": {"sort": "asc"}}, has_text_keys=True, tie_breaker="BASE"
)


def _first_readers(parts: frozenset[str]) -> list[CallGenerator[Any]]:
    def needed(listed: OffsetList, *tables: str) -> CallGenerator[ListResult]:
        return read_all(listed) if parts.intersection(tables) else _nothing()

    return [
        _scopes(),
        _listed_types(),
        needed(_DIRECTORIES, "spa_categories", "categories"),
        needed(STATUSES, *_STATUS_TABLES),
        needed(_SOLUTIONS, "automated_solutions", "automated_solution_types"),
        needed(_TEMPLATES, "spa_automations"),
        needed(_USER_FIELDS, "spa_field_options", "crm_field_options"),
        needed(_OWNER_TYPES, SHORT_CODES),
        needed(_USERS, "users"),
        needed(_DEPARTMENTS, "departments"),
        needed(_CURRENCIES, "currencies", "portal"),
        _leads_exist(parts),
        read_portal(wanted="portal" in parts),
    ]


def _nothing() -> CallGenerator[ListResult]:
    yield from ()
    return ListResult()


def _scopes() -> CallGenerator[frozenset[str] | None]:
    """Reads the scopes of the credential; None if the portal does not list them."""
    (outcome,) = yield [Call("scope")]
    scopes = numbered_values(outcome.result) if isinstance(outcome, Response) else None
    return None if scopes is None else frozenset(map(str, scopes))


def _leads_exist(parts: frozenset[str]) -> CallGenerator[bool]:
    """Returns False if the portal reports that it works without leads."""
    if not parts & {*OBJECT_TABLES, "leads", LEADS_MODE}:
        return True
    (outcome,) = yield [Call("crm.settings.mode.get")]
    return not (isinstance(outcome, Response) and as_int(outcome.result) == WITHOUT_LEADS)


def _listed_types() -> CallGenerator[ListResult]:
    """Reads crm.type.list; without administrator rights in CRM, numbers and names from crm.enum.ownertype."""
    listing = yield from read_all(_TYPES)
    if not isinstance(listing.error, DeniedError):
        return listing
    log.info("No administrative rights in CRM: smart processes are asked for one by one")
    owners = yield from read_all(_OWNER_TYPES)
    if owners.error is not None:
        return listing
    spas = [row for row in owners.rows if (as_text(row.get("SYMBOL_CODE")) or "").upper().startswith("DYNAMIC_")]
    rows = [{"entityTypeId": row.get("ID"), "title": row.get("NAME")} for row in spas]
    return ListResult(rows, unusable=owners.unusable)


def _types(inventory: _Inventory, issues: IssueLog, incomplete: IncompleteParts) -> list[EntityType]:
    """Returns the listed smart processes in order of their numbers, without CRM objects among them."""
    error = inventory.types.error
    if error is not None:
        if isinstance(error, ScopeError) or (inventory.scopes is not None and "crm" not in inventory.scopes):
            raise ScopeError(
                "the scope crm is missing, without which smart processes cannot be read",
                error.where,
                "add the scope crm to the webhook or application in Bitrix24",
                error.code,
            )
        if not inventory.types.rows:
            raise error
        issues.record("spa_types", error, f"smart processes may be missing: {error.what}")
        incomplete.add(SPA_ENTITY_TABLES)
    types = {type_id: row for row in inventory.types.rows if (type_id := as_id(row.get("entityTypeId")))}
    if inventory.types.unusable:
        issues.record_unusable("spa_types", _TYPES.method, inventory.types.unusable)
        incomplete.add(SPA_ENTITY_TABLES)
    codes = {as_id(row.get("ID")): as_text(row.get("SYMBOL_CODE_SHORT")) for row in inventory.owner_types.rows}
    return [
        EntityType(type_id, row, short_code=codes.get(type_id) or f"T{type_id:x}")
        for type_id, row in sorted(types.items())
        if type_id not in CRM_OBJECTS_BY_ID
    ]


def _objects(inventory: _Inventory, parts: frozenset[str]) -> list[EntityType]:
    """Returns the built-in objects whose tables are wanted, without leads if the portal works without them."""
    wanted = {
        crm_object.entity_type_id: crm_object
        for crm_object in CRM_OBJECTS.values()
        if parts & {*OBJECT_TABLES, crm_object.table}
    }
    if not inventory.has_leads and LEADS in wanted:
        del wanted[LEADS]
        log.warning("leads: this portal works without them, so they are left out")
    return [EntityType(type_id, {}, short_code=crm_object.short_code) for type_id, crm_object in wanted.items()]


@dataclass(frozen=True)
class _Part:
    """A list of the inventory: the tables that it fills, its scopes (one is enough), and the effect of its absence."""

    name: str
    resource: str
    scopes: tuple[str, ...]
    cost: str
    tables: frozenset[str] = frozenset()
    """tables whose rows are unknown if the list fails, without those that only lack details"""

    @property
    def method(self) -> str:
        return _LISTS[self.name].method


_PARTS = (
    _Part(
        "user_fields", "spa_field_options", ("userfieldconfig",),
        "sort, xml_id and is_default of spa_field_options and crm_field_options stay empty",
    ),
    _Part("templates", "spa_automations", ("bizproc",), "spa_automations stays empty", frozenset({"spa_automations"})),
    _Part(
        "solutions", "automated_solutions", ("crm",),
        "automated_solutions and automated_solution_types stay empty",
        frozenset({"automated_solutions", "automated_solution_types"}),
    ),
    _Part("directories", "spa_categories", ("crm",), "categories of types without pipelines may be missing"),
    _Part("statuses", "statuses", ("crm",), "stages and statuses may be missing", _STATUS_TABLES),
    _Part("owner_types", "product_rows", ("crm",), "product rows of smart processes are asked for by computed codes"),
    _Part(
        "users", "users", ("user_basic", "user_brief", "user"), "users may be missing, and names of people with them",
        frozenset({"users"}),
    ),
    _Part("departments", "departments", ("department",), "departments may be missing", frozenset({"departments"})),
    _Part(
        "currencies", "currencies", ("crm",),
        "currencies may be missing, and amounts in the account's currency with them", frozenset({"currencies"}),
    ),
)  # fmt: skip


_LISTS = {
    "user_fields": _USER_FIELDS, "templates": _TEMPLATES, "solutions": _SOLUTIONS, "directories": _DIRECTORIES,
    "statuses": STATUSES, "owner_types": _OWNER_TYPES, "users": _USERS, "departments": _DEPARTMENTS,
    "currencies": _CURRENCIES,
}  # fmt: skip


def _note_unusable_values(inventory: _Inventory, issues: IssueLog) -> None:
    """Records unusable values in rows that are used, and in answers that are not lists."""
    type_ids = (id_ for row in inventory.solutions.rows for id_ in as_list(row.get("typeIds")))
    unusable = [f"typeIds {shown_value(id_)}" for id_ in type_ids if as_id(id_) is None]
    issues.record_unusable("automated_solution_types", _SOLUTIONS.method, unusable)
    if inventory.portal is not None and inventory.portal.is_unreadable:
        issues.record_unreadable("portal", "server.time", ["its time, and with it the zone"])


def _field_owners(parts: frozenset[str]) -> re.Pattern[str]:
    """Returns a pattern for the entityIds whose options are wanted; those of smart processes have an `id` unknown so far."""
    spas = [r"CRM_\d+"] if "spa_field_options" in parts else []
    objects = [crm_object.user_fields for crm_object in CRM_OBJECTS.values()] if "crm_field_options" in parts else []
    return re.compile("|".join([*spas, *objects]) or r"(?!)")


def _note_missing_parts(
    inventory: _Inventory, wanted: frozenset[str], issues: IssueLog, incomplete: IncompleteParts
) -> None:
    """Records one issue for each list that failed, for the first of its tables that is wanted."""
    for part in _PARTS:
        listing: ListResult = getattr(inventory, part.name)
        if part.name == "currencies" and "currencies" not in wanted:
            continue  # `portal` was loaded beside what was asked for; without them it has no base currency
        wanted_tables = sorted(part.tables & wanted)
        resource = part.resource if part.resource in wanted or not wanted_tables else wanted_tables[0]
        issues.record_unusable(resource, part.method, listing.unusable)
        error = listing.error
        if error is not None or listing.unusable:
            incomplete.add(part.tables)
        if error is None:
            continue
        if part.name == "user_fields" and not isinstance(error, AccessError):
            incomplete.add(_OPTION_TABLES)  # stored details of options are kept after a temporary failure
        lacking = inventory.scopes is not None and not inventory.scopes.intersection(part.scopes)
        if isinstance(error, ScopeError) or lacking:
            hint = f"add the scope {part.scopes[0]} to the webhook or application in Bitrix24"
            issues.record(resource, error, f"the scope {part.scopes[0]} is missing: {part.cost}", hint=hint)
        else:
            issues.record(resource, error, f"{error.what}: {part.cost}")

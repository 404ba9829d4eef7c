"""The entity types of a portal, and how a user's name for a type is resolved.

An entity type is a smart process or a built-in CRM object; both hold items and are described alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import ConfigError
from ..rest import as_id, as_text
from ..schema import NOTHING_STORED, Field, StoredColumns, is_excluded
from .crm_objects import CRM_OBJECTS, CRM_OBJECTS_BY_ID, items_table
from .issues import Issue
from .portal_facts import PortalFacts

Row = Mapping[str, Any]


@dataclass(frozen=True)
class EntityType:
    """One smart process or CRM object.

    Attributes:
        entity_type_id: its number in `crm.item.*`; not `id`, which user fields and automated solutions use.
        row: the portal's description of a smart process, with its Y/N flags; empty for a CRM object.
        relations: `parent` and `child` types, as in crm.type.get.
        linked_fields: fields of tasks and calendar that may refer to it, Y or N.
        fields: fields as in crm.item.fields; None if they may not be read or were not requested.
        categories: rows of crm.category.list.
        stages: rows of crm.status.list, of all its directories.
        short_code: ownerType of its product rows; "" if it has none.
    """

    entity_type_id: int
    row: Row
    relations: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    linked_fields: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[Field, ...] | None = None
    categories: Sequence[Row] = ()
    stages: Sequence[Row] = ()
    short_code: str = ""

    @property
    def id(self) -> int | None:
        return as_id(self.row.get("id"))

    @property
    def title(self) -> str:
        return self.items_table if self.is_built_in else as_text(self.row.get("title")) or ""

    @property
    def code(self) -> str:
        return as_text(self.row.get("code")) or ""

    @property
    def items_table(self) -> str:
        return items_table(self.entity_type_id)

    @property
    def is_built_in(self) -> bool:
        """Whether it is a CRM object that every portal has."""
        return self.entity_type_id in CRM_OBJECTS_BY_ID

    @property
    def has_system_columns(self) -> bool:
        """Whether its items have the system columns of smart processes, as invoices do."""
        return not self.is_built_in or self.entity_type_id == CRM_OBJECTS["invoices"].entity_type_id

    @property
    def user_fields(self) -> str:
        """The entityId of its user fields, which for a smart process is derived from `id`, not from its entityTypeId."""
        return CRM_OBJECTS_BY_ID[self.entity_type_id].user_fields if self.is_built_in else f"CRM_{self.id}"


@dataclass(frozen=True)
class Catalog:
    """The part of a portal's catalogue that was requested and could be read.

    Attributes:
        types: readable smart processes.
        objects: built-in CRM objects that were requested.
        unreadable: titles, by entityTypeId, of existing types whose fields and items may not be read.
        solutions: rows of crm.automatedsolution.list.
        templates: rows of bizproc.workflow.template.list.
        options: details of enumeration options by (entityId, UF name) and option id; empty without `userfieldconfig`.
        statuses: rows of crm.status.list, of all directories that were read.
        users, departments, currencies: rows of the corresponding methods.
        has_leads: False if the portal works without leads.
        stored: columns of the destination, on which the columns of fields depend.
        portal: facts about the portal itself; None if they were not requested.
        incomplete: tables whose list could not be read to its end in this run: missing rows may still exist.
        incomplete_types: by table name, the entityTypeIds whose rows could not be read in this run.
        issues: what could not be read, in words.
    """

    types: tuple[EntityType, ...] = ()
    objects: tuple[EntityType, ...] = ()
    unreadable: Mapping[int, str] = field(default_factory=dict)
    solutions: Sequence[Row] = ()
    templates: Sequence[Row] = ()
    options: Mapping[tuple[str, str], Mapping[str, Row]] = field(default_factory=dict)
    statuses: Sequence[Row] = ()
    users: Sequence[Row] = ()
    departments: Sequence[Row] = ()
    currencies: Sequence[Row] = ()
    has_leads: bool = True
    stored: StoredColumns = NOTHING_STORED
    incomplete: frozenset[str] = frozenset()
    incomplete_types: Mapping[str, frozenset[int]] = field(default_factory=dict)
    portal: PortalFacts | None = None
    issues: tuple[Issue, ...] = ()

    def is_incomplete(self, table: str, entity_type_id: int | None = None) -> bool:
        """Returns whether rows of a table, or those of one type in it, may be missing because a call failed in this run."""
        return table in self.incomplete or entity_type_id in self.incomplete_types.get(table, ())

    def with_excluded_fields(self, columns_of: Callable[[str], frozenset[str]]) -> Catalog:
        """Returns a copy in which excluded fields are flagged; `columns_of` maps a table to its excluded columns."""

        def flagged(entity: EntityType) -> EntityType:
            excluded = columns_of(entity.items_table)
            if not excluded or entity.fields is None:
                return entity
            fields = (replace(field, is_excluded=is_excluded(field.upper_name, excluded)) for field in entity.fields)
            return replace(entity, fields=tuple(fields))

        return replace(self, types=tuple(map(flagged, self.types)), objects=tuple(map(flagged, self.objects)))

    def find(self, name: int | str) -> EntityType:
        """Returns the named type: a CRM object by its table or number, a smart process as in `select`."""
        number = CRM_OBJECTS[name].entity_type_id if isinstance(name, str) and name in CRM_OBJECTS else name
        built_in = next((entity for entity in self.objects if str(entity.entity_type_id) == str(number)), None)
        return built_in or self._find_smart_process(name)

    def find_all(self, wanted: Sequence[int | str]) -> tuple[EntityType, ...]:
        """Returns the types named by entityTypeId, title or code, each once.

        Raises:
            ConfigError: a name matches no type, or several; the message lists them.
        """
        return tuple({spa.entity_type_id: spa for spa in map(self._find_smart_process, wanted)}.values())

    def _find_smart_process(self, name: int | str) -> EntityType:
        text = str(name).strip()
        found = (
            [spa for spa in self.types if str(spa.entity_type_id) == text]
            or [spa for spa in self.types if text and text in (spa.title.strip(), spa.code)]
            or [spa for spa in self.types if text and text.casefold() in (spa.title.casefold(), spa.code.casefold())]
        )
        if len(found) > 1:
            raise ConfigError(
                f"{text!r} fits {len(found)} smart processes",
                _list_types(found),
                "name the one you mean by its entityTypeId",
            )
        if not found:
            raise self._missing(text)
        if found[0].entity_type_id in self.unreadable:
            raise self._hidden(text, found[0].entity_type_id)
        return found[0]

    def _hidden(self, text: str, type_id: int) -> ConfigError:
        readable = [spa for spa in self.types if spa.entity_type_id not in self.unreadable]
        return ConfigError(
            f"the smart process {text!r} exists, and this credential may not read it",
            f"entityTypeId {type_id}; readable are {_list_types(readable)}",
            "use a webhook or application of a user who may read it",
        )

    def _missing(self, text: str) -> ConfigError:
        """Returns the error for a name that matches no type; of unreadable types, only number and title may be known."""
        for type_id, title in self.unreadable.items():
            if text.casefold() in (str(type_id), title.strip().casefold()):
                return self._hidden(text, type_id)
        names = {
            name: crm_object
            for crm_object in CRM_OBJECTS.values()
            for name in (crm_object.table, str(crm_object.entity_type_id))
        }
        if built_in := names.get(text.casefold()):
            return ConfigError(
                f"{text!r} is an object of CRM and no smart process",
                f"the resource {built_in.table}",
                f"load it with --resource {built_in.table}; it is on by default",
            )
        return ConfigError(
            f"there is no smart process {text!r}",
            f"the portal shows this credential {_list_types(self.types)}",
            "name one of these by entityTypeId, title or code",
        )


def _list_types(types: Sequence[EntityType]) -> str:
    named = [f"{spa.entity_type_id} {spa.title!r}" + (f" (code {spa.code!r})" if spa.code else "") for spa in types]
    shown = ", ".join(named[:30]) or "none"
    return shown if len(named) <= 30 else f"{shown} and {len(named) - 30} more"

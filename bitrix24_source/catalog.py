"""Which entity types does a portal have, and which of them did somebody mean? How it is found out is `discovery`'s.

An entity type is a smart process or one of the built-in CRM objects; both hold items and are described alike.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from .errors import Bitrix24Error, ConfigError
from .fields import Field
from .objects import BY_NUMBER, OBJECTS, items_table

Row = Mapping[str, Any]

log = logging.getLogger("bitrix24_source")


@dataclass(frozen=True)
class Issue:
    """Something that could not be read in a run that went on without it; one row of `load_issues`."""

    resource: str
    error: str
    message: str
    hint: str
    occurred_at: datetime
    entity_type_id: int | None = None


class Issues:
    """What could not be read, said in the log at once and kept for `load_issues`."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.noted: list[Issue] = []

    def note(
        self, resource: str, error: Bitrix24Error, message: str, *, hint: str = "", entity: EntityType | None = None
    ) -> None:
        type_id = entity.entity_type_id if entity else None
        issue = Issue(resource, error.code or type(error).__name__, message, hint or error.hint, self._now(), type_id)
        self.noted.append(issue)
        log.warning("%s: %s - %s", f"{resource}, type {type_id}" if entity else resource, issue.message, issue.hint)


@dataclass(frozen=True)
class EntityType:
    """One smart process or CRM object.

    Attributes:
        entity_type_id: its number in `crm.item.*`; not `id`, which user fields and automated solutions go by.
        row: the portal's own description of a smart process, with its Y/N flags; empty for a CRM object.
        relations: `parent` and `child` types, as crm.type.get has them.
        linked_fields: fields of tasks and calendar that may point here, Y or N.
        fields: as crm.item.fields has them; None where they may not be read or were not asked for.
        categories: rows of crm.category.list.
        stages: rows of crm.status.list, of all its directories.
        short_code: ownerType of its product rows; "" where it has none.
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
        return int(self.row["id"]) if "id" in self.row else None

    @property
    def title(self) -> str:
        return self.items_table if self.is_built_in else str(self.row.get("title") or "")

    @property
    def code(self) -> str:
        return str(self.row.get("code") or "")

    @property
    def items_table(self) -> str:
        return items_table(self.entity_type_id)

    @property
    def is_built_in(self) -> bool:
        """A CRM object that every portal has."""
        return self.entity_type_id in BY_NUMBER

    @property
    def user_fields(self) -> str:
        """The entityId of its user fields; a smart process has it from `id`, not from its entityTypeId."""
        return BY_NUMBER[self.entity_type_id].user_fields if self.is_built_in else f"CRM_{self.id}"


@dataclass(frozen=True)
class Catalog:
    """What was asked for and could be read.

    Attributes:
        types: readable smart processes.
        objects: built-in CRM objects that were asked for.
        unreadable: titles, by entityTypeId, of those that exist and whose fields and items may not be read.
        solutions: rows of crm.automatedsolution.list.
        templates: rows of bizproc.workflow.template.list.
        options: details of enumeration options by (entityId, UF name) and option id; empty without `userfieldconfig`.
        statuses: rows of crm.status.list, of all directories that were read.
        users, departments, currencies: rows of the methods of these names.
        has_leads: False where the portal runs without them.
        issues: what could not be read.
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
    issues: tuple[Issue, ...] = ()

    def without(self, columns_of: Callable[[str], frozenset[str]]) -> Catalog:
        """The same, with fields marked that nobody wants: their columns, by the table that they would be in."""

        def marked(one: EntityType) -> EntityType:
            unwanted = columns_of(one.items_table)
            if not unwanted or one.fields is None:
                return one
            fields = (replace(field, is_left_out=field.upper_name.lower() in unwanted) for field in one.fields)
            return replace(one, fields=tuple(fields))

        return replace(self, types=tuple(map(marked, self.types)), objects=tuple(map(marked, self.objects)))

    def named(self, name: int | str) -> EntityType:
        """The type that somebody named: a CRM object by its table's name or number, a smart process as in `select`."""
        number = OBJECTS[name].entity_type_id if isinstance(name, str) and name in OBJECTS else name
        built_in = next((one for one in self.objects if str(one.entity_type_id) == str(number)), None)
        return built_in or self._one(name)

    def select(self, wanted: Sequence[int | str]) -> tuple[EntityType, ...]:
        """The types that somebody named by entityTypeId, title or code, each once.

        Raises:
            ConfigError: a name fits none, or several; the message says which there are.
        """
        return tuple({spa.entity_type_id: spa for spa in map(self._one, wanted)}.values())

    def _one(self, name: int | str) -> EntityType:
        text = str(name).strip()
        found = (
            [spa for spa in self.types if str(spa.entity_type_id) == text]
            or [spa for spa in self.types if text and text in (spa.title.strip(), spa.code)]
            or [spa for spa in self.types if text and text.casefold() in (spa.title.casefold(), spa.code.casefold())]
        )
        if len(found) > 1:
            raise ConfigError(
                f"{text!r} fits {len(found)} smart processes",
                _listed(found),
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
            f"entityTypeId {type_id}; readable are {_listed(readable)}",
            "use a webhook or application of a user who may read it",
        )

    def _missing(self, text: str) -> ConfigError:
        """Of a type that may not be read, sometimes only number and title are known."""
        for type_id, title in self.unreadable.items():
            if text.casefold() in (str(type_id), title.strip().casefold()):
                return self._hidden(text, type_id)
        return ConfigError(
            f"there is no smart process {text!r}",
            f"the portal shows this credential {_listed(self.types)}",
            "name one of these by entityTypeId, title or code",
        )


def _listed(types: Sequence[EntityType]) -> str:
    named = [f"{spa.entity_type_id} {spa.title!r}" + (f" (code {spa.code!r})" if spa.code else "") for spa in types]
    shown = ", ".join(named[:30]) or "none"
    return shown if len(named) <= 30 else f"{shown} and {len(named) - 30} more"

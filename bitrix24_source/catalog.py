"""What smart processes does a portal have, and which of them did somebody mean? How it is found out is `discovery`'s."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .errors import Bitrix24Error, ConfigError
from .fields import Field

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
        self, resource: str, error: Bitrix24Error, message: str, *, hint: str = "", spa: SpaType | None = None
    ) -> None:
        type_id = spa.entity_type_id if spa else None
        issue = Issue(resource, error.code or type(error).__name__, message, hint or error.hint, self._now(), type_id)
        self.noted.append(issue)
        log.warning("%s: %s - %s", f"{resource}, type {type_id}" if spa else resource, issue.message, issue.hint)


@dataclass(frozen=True)
class SpaType:
    """One smart process.

    Attributes:
        entity_type_id: its number in `crm.item.*`; not `id`, which user fields and automated solutions go by.
        row: the portal's own description, with its Y/N flags.
        relations: `parent` and `child` types, as crm.type.get has them.
        linked_fields: fields of tasks and calendar that may point here, Y or N.
        fields: as crm.item.fields has them; None where they may not be read or were not asked for.
        categories: rows of crm.category.list.
        stages: rows of crm.status.list, of all its directories.
    """

    entity_type_id: int
    row: Row
    relations: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    linked_fields: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[Field, ...] | None = None
    categories: Sequence[Row] = ()
    stages: Sequence[Row] = ()

    @property
    def id(self) -> int | None:
        return int(self.row["id"]) if "id" in self.row else None

    @property
    def title(self) -> str:
        return str(self.row.get("title") or "")

    @property
    def code(self) -> str:
        return str(self.row.get("code") or "")

    @property
    def items_table(self) -> str:
        """Named by identifier, never by title: titles change and are not unique."""
        return f"spa_items_{self.entity_type_id}"


@dataclass(frozen=True)
class Catalog:
    """What was asked for and could be read.

    Attributes:
        types: readable smart processes.
        unreadable: titles, by entityTypeId, of those that exist and whose fields and items may not be read.
        solutions: rows of crm.automatedsolution.list.
        templates: rows of bizproc.workflow.template.list.
        options: details of enumeration options by (type id, UF name) and option id; empty without `userfieldconfig`.
        issues: what could not be read.
    """

    types: tuple[SpaType, ...] = ()
    unreadable: Mapping[int, str] = field(default_factory=dict)
    solutions: Sequence[Row] = ()
    templates: Sequence[Row] = ()
    options: Mapping[tuple[int, str], Mapping[str, Row]] = field(default_factory=dict)
    issues: tuple[Issue, ...] = ()

    def select(self, wanted: Sequence[int | str]) -> tuple[SpaType, ...]:
        """The types that somebody named by entityTypeId, title or code, each once.

        Raises:
            ConfigError: a name fits none, or several; the message says which there are.
        """
        return tuple({spa.entity_type_id: spa for spa in map(self._one, wanted)}.values())

    def _one(self, name: int | str) -> SpaType:
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


def _listed(types: Sequence[SpaType]) -> str:
    named = [f"{spa.entity_type_id} {spa.title!r}" + (f" (code {spa.code!r})" if spa.code else "") for spa in types]
    shown = ", ".join(named[:30]) or "none"
    return shown if len(named) <= 30 else f"{shown} and {len(named) - 30} more"

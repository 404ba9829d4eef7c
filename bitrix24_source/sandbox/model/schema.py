"""The fields of one CRM object: their entries in crm.item.fields, and a column that computes the value of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import timedelta, tzinfo
from typing import Any

from ..methods.filters import Grammar
from ..scenarios.deterministic import Column, constant
from .naming import user_field_name

NUMBERS = {"integer", "double", "user", "crm_category", "crm_entity", "crm_company", "crm_contact", "crm_lead"}
Row = dict[str, Any]
NOTHING = constant(None)


@dataclass(frozen=True)
class Option:
    id: int
    value: str
    xml_id: str
    is_default: bool = False
    sort: int = 100


@dataclass(frozen=True)
class UserField:
    """The configuration of one custom field, as userfieldconfig.* tells it."""

    id: int
    entity_id: str
    code: str
    user_type: str
    label: str
    labels: Mapping[str, str | None] = dataclass_field(default_factory=dict)
    multiple: bool = False
    mandatory: bool = False
    sort: int = 100
    settings: Any = dataclass_field(default_factory=list)
    options: tuple[Option, ...] = ()
    xml_id: str | None = None


@dataclass
class Field:
    """One row of crm.item.fields and the column behind it.

    Attributes:
        feature: The switch of the smart process that lists the field, "" if it is always listed.
        physical: Whether rows carry it even while its feature is off: scalar columns of the item's table do.
    """

    name: str
    type: str
    upper: str
    title: str
    column: Column = NOTHING
    multiple: bool = False
    read_only: bool = False
    required: bool = False
    extra: Mapping[str, Any] = dataclass_field(default_factory=dict)
    user_field: UserField | None = None
    feature: str = ""
    physical: bool = True

    def described(self) -> Row:
        described: Row = {
            "type": self.type,
            "isRequired": self.required,
            "isReadOnly": self.read_only,
            "isImmutable": False,
            "isMultiple": self.multiple,
            "isDynamic": self.user_field is not None,
            "title": self.title,
        }
        return described | dict(self.extra) | {"upperName": self.upper}


@dataclass
class Schema:
    """The fields of one object.

    `hidden` columns come in rows though crm.item.fields does not list them; `on_request` ones are listed but come
    only when `select` names them. `features_off` are the switches that are off: the fields behind them are not
    listed, and those of the item's table come in rows nevertheless.
    """

    entity_type_id: int
    fields: dict[str, Field] = dataclass_field(default_factory=dict)
    hidden: dict[str, Column] = dataclass_field(default_factory=dict)
    on_request: set[str] = dataclass_field(default_factory=set)
    features_off: set[str] = dataclass_field(default_factory=set)
    files: set[str] = dataclass_field(default_factory=set)
    multifields: Column | None = None
    # Grows with every change: rows cached for an earlier version are discarded.
    version: int = 0

    def add(self, *fields: Field) -> None:
        self.version += 1
        for field in fields:
            self.fields[field.name] = field
            if field.type == "file" and field.user_field is not None:
                self.files.add(field.name)

    def add_user_field(self, config: UserField, column: Column) -> Field:
        name = user_field_name(config.code, self.fields)
        settings: dict[str, Any] = {"settings": config.settings}
        labels: dict[str, Any] = {"listLabel": "", "formLabel": config.label, "filterLabel": ""}
        items = [{"ID": str(option.id), "VALUE": option.value} for option in config.options]
        extra = settings | ({"items": items} if config.user_type == "enumeration" else {}) | labels
        if config.user_type == "crm_status" and isinstance(config.settings, dict):
            extra["statusType"] = config.settings.get("ENTITY_TYPE", "")
        made = Field(name, config.user_type, config.code, config.label, column, config.multiple,
                     required=config.mandatory, extra=extra, user_field=config)  # fmt: skip
        self.add(made)
        return made

    def remove(self, code: str) -> None:
        """Takes a field away, by its code or its name."""
        self.version += 1
        for name in [name for name, field in self.fields.items() if code in (name, field.upper)]:
            del self.fields[name]
            self.files.discard(name)

    def switch(self, feature: str, *, on: bool) -> None:
        self.version += 1
        (self.features_off.discard if on else self.features_off.add)(feature)

    def listed(self) -> dict[str, Field]:
        """What crm.item.fields answers: the fields whose feature is on."""
        return {name: field for name, field in self.fields.items() if field.feature not in self.features_off}

    def is_known(self, name: str) -> bool:
        return name in self.fields or name in self.hidden or name.startswith("UF_") or name == "fm"

    def is_carried(self, name: str) -> bool:
        """Whether rows can have the column: those of features that are off stay, unless they lie outside the table."""
        field = self.fields.get(name)
        return name in self.hidden if field is None else field.physical or field.feature not in self.features_off

    def columns(self) -> dict[str, Column]:
        """Everything a row carries when nothing is selected."""
        names = (name for name in self.fields if name not in self.on_request and self.is_carried(name))
        return {name: self.fields[name].column for name in names} | self.hidden

    def every_column(self) -> list[str]:
        return [*self.fields, *self.hidden]

    def column(self, name: str) -> Column | None:
        if name in self.fields:
            return self.fields[name].column
        return self.hidden.get(name)

    def user_fields(self) -> Iterator[UserField]:
        return (field.user_field for field in self.fields.values() if field.user_field is not None)

    def kinds(self) -> dict[str, str]:
        return {name: _kind(field) for name, field in self.fields.items()} | dict.fromkeys(self.hidden, "text")

    def grammar(
        self, zone: tzinfo, *, original_names: bool, garbage_id: str, time_filter: str, shift: timedelta
    ) -> Grammar:
        kinds = self.kinds()
        aliases = {"ID": "id"}  # fast_bitrix24 and b24pysdk order by ID, and portals let them
        if original_names:
            aliases |= {field.upper: name for name, field in self.fields.items() if field.user_field is not None}
        several = [name for name, field in self.fields.items() if field.multiple]
        return Grammar(kinds, zone, "id", garbage_id, time_filter, aliases=aliases, shift=shift, several=several)


def _kind(field: Field) -> str:
    if field.type in ("date", "datetime"):
        return field.type
    if field.type == "boolean" and field.user_field is not None:
        return "bool"
    return "number" if field.type in NUMBERS else "text"

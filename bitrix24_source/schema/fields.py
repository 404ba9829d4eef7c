"""Field descriptions as `crm.item.fields` returns them, and the kind of value that each field type holds."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from ..rest import as_bool, as_mapping, as_rows, as_text, is_blank

ColumnType = Literal["bigint", "double", "text", "bool", "date", "timestamp", "decimal", "json"]
FieldKind = Literal[
    "integer", "link", "double", "text", "boolean", "date", "datetime",
    "money", "address", "file", "crm", "multifield", "unknown", "unlisted",
]  # fmt: skip
_SQL_TYPES: Mapping[ColumnType, str] = MappingProxyType({
    "bigint": "BIGINT", "double": "DOUBLE", "text": "TEXT", "bool": "BOOLEAN", "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE", "decimal": "DECIMAL(38,9)", "json": "JSON",
})  # fmt: skip
# A link is an id that is never 0: 0 means "unset". A category is not a link: 0 is the general category.
_KINDS: Mapping[str, FieldKind] = MappingProxyType({
    "integer": "integer", "crm_category": "integer",
    "user": "link", "employee": "link", "enumeration": "link", "location": "link", "iblock_element": "link",
    "iblock_section": "link", "crm_company": "link", "crm_contact": "link", "crm_lead": "link", "crm_deal": "link",
    "crm_quote": "link", "crm_entity": "link",
    "double": "double",
    "string": "text", "text": "text", "url": "text", "crm_status": "text", "crm_currency": "text",
    "boolean": "boolean", "char": "boolean", "date": "date", "datetime": "datetime",
    "money": "money", "address": "address", "file": "file", "crm": "crm", "crm_multifield": "multifield",
    "unlisted": "unlisted",
})  # fmt: skip
# searchContent is a blob of scrambled personal data; `contacts` repeats contactIds as objects.
_NEVER_LOADED = frozenset({"SEARCH_CONTENT", "CONTACTS"})


@dataclass(frozen=True)
class Column:
    """One typed column, with dlt's data type."""

    name: str
    type: ColumnType

    @property
    def sql_type(self) -> str:
        """The SQL type shown in the catalogue."""
        return _SQL_TYPES[self.type]


@dataclass(frozen=True)
class Option:
    """One option of an enumeration; its id is a string in the field list and a number in rows."""

    id: str
    value: str


@dataclass(frozen=True)
class Field:
    """One entry of `crm.item.fields`; `name` is the key in rows, `upper_name` the permanent name."""

    name: str
    upper_name: str
    type: str
    title: str = ""
    form_label: str | None = None
    is_required: bool = False
    is_read_only: bool = False
    is_immutable: bool = False
    is_multiple: bool = False
    is_dynamic: bool = False
    is_deprecated: bool = False
    status_type: str | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    options: tuple[Option, ...] = ()
    position: int = 0
    is_excluded: bool = False
    """The user has excluded it from tables."""
    is_unlisted: bool = False
    """Rows have the key, but the portal's field list does not."""
    unreadable: tuple[str, ...] = ()
    """Keys of the description with unusable values."""

    @classmethod
    def from_wire(cls, name: str, described: Any, position: int) -> Field:
        """Reads a field's description; missing or malformed keys do not make it fail."""
        description = as_mapping(described)
        title = as_text(description.get("title"))
        return cls(
            name=name,
            upper_name=as_text(description.get("upperName")) or _upper_name(name),
            type=as_text(description.get("type")) or "",
            title=title or "",
            form_label=as_text(description.get("formLabel")) or as_text(description.get("listLabel")) or title,
            is_required=_is_true(description.get("isRequired")),
            is_read_only=_is_true(description.get("isReadOnly")),
            is_immutable=_is_true(description.get("isImmutable")),
            is_multiple=_is_true(description.get("isMultiple")),
            is_dynamic=_is_true(description.get("isDynamic")),
            is_deprecated=_is_true(description.get("isDeprecated")),
            status_type=as_text(description.get("statusType")),
            settings=as_mapping(description.get("settings")),
            options=_options(description.get("items")),
            position=position,
            unreadable=_unreadable_keys(description) if isinstance(described, Mapping) else ("description",),
        )

    @property
    def kind(self) -> FieldKind:
        """The kind of values of the field's type; `unknown` for an undocumented type."""
        if self.name == "id":
            return "integer"
        if self.upper_name == "WEBFORM_ID":  # declared as an integer, but 0 means that no form created the item
            return "link"
        if self.type.startswith("rest_"):
            return "text"
        if self.type.startswith("iblock_"):
            return "link"
        return _KINDS.get(self.type, "unknown")

    @property
    def is_loaded(self) -> bool:
        """False for the fields that are never loaded."""
        return not self.is_excluded and (self.is_dynamic or self.upper_name not in _NEVER_LOADED)


def fields_from_response(result: Any) -> tuple[Field, ...]:
    """Returns the fields of a `crm.item.fields` result, in the portal's order."""
    described = as_mapping(as_mapping(result).get("fields"))
    return tuple(
        Field.from_wire(name, description, position) for position, (name, description) in enumerate(described.items())
    )


def _upper_name(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Z][a-z])", "_", name).upper()


def _is_true(value: Any) -> bool:
    return as_bool(value) is True


_READERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType({
    **dict.fromkeys(("title", "type", "upperName", "statusType", "formLabel", "listLabel"), as_text),
    **dict.fromkeys(("isRequired", "isReadOnly", "isImmutable", "isMultiple", "isDynamic", "isDeprecated"), as_bool),
    "settings": as_mapping,
    "items": as_rows,
})  # fmt: skip


def _unreadable_keys(description: Mapping[str, Any]) -> tuple[str, ...]:
    if description and description.keys().isdisjoint(_READERS):
        return ("description",)
    values = ((key, read, description.get(key)) for key, read in _READERS.items())
    return tuple(key for key, read, value in values if not is_blank(value) and read(value) in (None, {}))


def _options(items: Any) -> tuple[Option, ...]:
    """Returns an option for each entry of the list; without an id, it is empty."""
    rows = map(as_mapping, as_rows(items) or ())
    return tuple(Option(as_text(row.get("ID")) or "", as_text(row.get("VALUE")) or "") for row in rows)

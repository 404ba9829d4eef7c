"""Which columns does a Bitrix24 field become, and what are they called?

It refuses to know what a row holds: values are `values.py`'s, and tables, portals and dlt are for those above.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

ColumnType = Literal["bigint", "double", "text", "bool", "date", "timestamp", "decimal", "json"]

Kind = Literal[
    "integer", "link", "double", "text", "boolean", "date", "datetime",
    "money", "address", "file", "crm", "multifield", "unknown",
]  # fmt: skip

_SQL_TYPES: Mapping[ColumnType, str] = MappingProxyType({
    "bigint": "BIGINT", "double": "DOUBLE", "text": "TEXT", "bool": "BOOLEAN", "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE", "decimal": "DECIMAL(38,9)", "json": "JSON",
})  # fmt: skip

# A link is an id that is never 0: there 0 says "unset". A funnel is no link: category 0 is the general one.
_KINDS: Mapping[str, Kind] = MappingProxyType({
    "integer": "integer", "crm_category": "integer",
    "user": "link", "employee": "link", "enumeration": "link", "location": "link", "iblock_element": "link",
    "iblock_section": "link", "crm_company": "link", "crm_contact": "link", "crm_lead": "link", "crm_deal": "link",
    "crm_quote": "link", "crm_entity": "link",
    "double": "double",
    "string": "text", "text": "text", "url": "text", "crm_status": "text", "crm_currency": "text",
    "boolean": "boolean", "char": "boolean", "date": "date", "datetime": "datetime",
    "money": "money", "address": "address", "file": "file", "crm": "crm", "crm_multifield": "multifield",
})  # fmt: skip

_MAIN_TYPES: Mapping[Kind, ColumnType] = MappingProxyType({
    "integer": "bigint", "link": "bigint", "double": "double", "text": "text", "boolean": "bool", "date": "date",
    "datetime": "timestamp", "money": "decimal", "address": "text", "file": "bigint", "crm": "text",
    "multifield": "text", "unknown": "text",
})  # fmt: skip

_EXTRA_COLUMNS: Mapping[Kind, tuple[tuple[str, ColumnType], ...]] = MappingProxyType({
    "money": (("currency", "text"),),
    "address": (("latitude", "double"), ("longitude", "double")),
    "crm": (("entity_type_id", "bigint"), ("entity_id", "bigint")),
})  # fmt: skip
_MULTIFIELD_COLUMNS: tuple[tuple[str, ColumnType], ...] = (
    ("type_id", "text"), ("value_type", "text"), ("fm_id", "bigint"),
)  # fmt: skip

# Columns that an item table has of its own accord: no field may sit on them, but for the id itself.
RESERVED_COLUMNS = frozenset({"id", "deleted_at", "_dlt_load_id", "_dlt_id"})

# searchContent is a blob of scrambled personal data; `contacts` says in objects what contactIds says in numbers.
_NEVER_LOADED = frozenset({"SEARCH_CONTENT", "CONTACTS"})


@dataclass(frozen=True)
class Column:
    """One typed column, in dlt's words."""

    name: str
    type: ColumnType

    @property
    def sql_type(self) -> str:
        """The type as the tables' readers write it."""
        return _SQL_TYPES[self.type]


@dataclass(frozen=True)
class Option:
    """One choice of an enumeration; its id is a string on the wire and a number in the rows."""

    id: str
    value: str


@dataclass(frozen=True)
class Field:
    """One entry of `crm.item.fields`; `name` is the key of the rows, `upper_name` the name that stays."""

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
    is_left_out: bool = False
    """somebody does not want it in a table"""

    @classmethod
    def from_wire(cls, name: str, description: Mapping[str, Any], position: int) -> Field:
        """What the portal says of one field; keys that it leaves out or spells oddly are no reason to fail."""
        title = _text(description.get("title"))
        return cls(
            name=name,
            upper_name=_text(description.get("upperName")) or _upper_name(name),
            type=_text(description.get("type")) or "",
            title=title or "",
            form_label=_text(description.get("formLabel")) or _text(description.get("listLabel")) or title,
            is_required=_flag(description.get("isRequired")),
            is_read_only=_flag(description.get("isReadOnly")),
            is_immutable=_flag(description.get("isImmutable")),
            is_multiple=_flag(description.get("isMultiple")),
            is_dynamic=_flag(description.get("isDynamic")),
            is_deprecated=_flag(description.get("isDeprecated")),
            status_type=_text(description.get("statusType")),
            settings=_mapping(description.get("settings")),
            options=_options(description.get("items")),
            position=position,
        )

    @property
    def kind(self) -> Kind:
        """The family of types whose values are read alike; what nobody documented is `unknown`, and no error."""
        if self.name == "id":
            return "integer"
        if self.upper_name == "WEBFORM_ID":  # declared an integer, but 0 says that no form made the item
            return "link"
        if self.type.startswith("rest_"):
            return "text"
        if self.type.startswith("iblock_"):
            return "link"
        return _KINDS.get(self.type, "unknown")

    @property
    def is_loaded(self) -> bool:
        """False for the fields that no table has."""
        return not self.is_left_out and (self.is_dynamic or self.upper_name not in _NEVER_LOADED)


@dataclass(frozen=True)
class Placement:
    """Where a field's values go: columns of the item table, or of a child table with one row per value."""

    column: Column
    extra: tuple[Column, ...] = ()
    child_table: str | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """All the columns, the main one first."""
        return (self.column, *self.extra)


# Rows carry these without the field list naming them (crm.item.get, "utm*").
UTM_FIELDS = tuple(
    Field(name=f"utm{part}", upper_name=f"UTM_{part.upper()}", type="string")
    for part in ("Source", "Medium", "Campaign", "Content", "Term")
)

# Phones and e-mails of leads, contacts and companies; the pages disagree whether the field list has it.
MULTIFIELD = Field(name="fm", upper_name="FM", type="crm_multifield", title="FM", is_multiple=True)


def with_multifield(fields: Sequence[Field]) -> tuple[Field, ...]:
    """The fields of an object that has phones and e-mails, these among them."""
    if any(field.upper_name == MULTIFIELD.upper_name for field in fields):
        return tuple(fields)
    return (*fields, dataclasses.replace(MULTIFIELD, position=len(fields)))


def fields_from_wire(result: Any) -> tuple[Field, ...]:
    """The fields of a `crm.item.fields` result, in the portal's order; PHP writes an empty map as `[]`."""
    described = _mapping(_mapping(result).get("fields"))
    return tuple(
        Field.from_wire(name, _mapping(description), position)
        for position, (name, description) in enumerate(described.items())
    )


def placement(field: Field, items_table: str) -> Placement | None:
    """Where this field goes when no neighbour is in its way; None when it is never loaded."""
    return placements([field], items_table)[field.name]


def placements(fields: Sequence[Field], items_table: str) -> dict[str, Placement | None]:
    """Where each field goes, by wire name: the main columns first, then what is derived from them gives way.

    `UF_X_CURRENCY` beside the money field `UF_X` keeps `uf_x_currency`; the money's currency is `uf_x_currency_2`.
    Names are given in the order of `upper_name`, so that the order of the portal's answer changes nothing.
    """
    loaded = sorted((field for field in fields if field.is_loaded), key=lambda field: (field.upper_name, field.name))
    taken = set(RESERVED_COLUMNS)
    names = {
        field.name: "id" if field.name == "id" else _claim(_column_name(field.upper_name), taken) for field in loaded
    }
    placed: dict[str, Placement | None] = dict.fromkeys((field.name for field in fields), None)
    for field in loaded:
        placed[field.name] = _placement(field, names[field.name], items_table, taken)
    return placed


def _placement(field: Field, name: str, items_table: str, taken: set[str]) -> Placement:
    kind = field.kind
    main = _MAIN_TYPES[kind]
    if kind == "multifield":
        extra = tuple(Column(*column) for column in _MULTIFIELD_COLUMNS)
        return Placement(Column("value", main), extra, f"{items_table}__{name}")
    suffixes = _EXTRA_COLUMNS.get(kind, ())
    if field.is_multiple and name != "id":
        extra = tuple(Column(f"value_{suffix}", type_) for suffix, type_ in suffixes)
        return Placement(Column("value", main), extra, f"{items_table}__{name}")
    extra = tuple(Column(_claim(f"{name}_{suffix}", taken), type_) for suffix, type_ in suffixes)
    return Placement(Column(name, main), extra)


def _claim(name: str, taken: set[str]) -> str:
    candidates = (name if number == 1 else f"{name}_{number}" for number in range(1, len(taken) + 2))
    free = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(free)
    return free


def _column_name(upper_name: str) -> str:
    """The lower-case name, corrected where dlt would correct it, so that the catalogue and the table agree."""
    name = re.sub(r"[^a-z0-9_]", "_", upper_name.lower())
    name = re.sub(r"^_+|(?<=__)_+", lambda run: "_" if run.start() == 0 else "", name)
    name = re.sub(r"_+$", lambda tail: "x" * len(tail.group()), name)
    return re.sub(r"(^|__)(?=[0-9])", r"\1_", name) or "_"


def _upper_name(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Z][a-z])", "_", name).upper()


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) and value != "" else None


def _flag(value: Any) -> bool:
    return value is True or value in ("Y", "y", "1", "true") or (value == 1 and not isinstance(value, str))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else MappingProxyType({})


def _options(items: Any) -> tuple[Option, ...]:
    listed: Collection[Any] = items.values() if isinstance(items, Mapping) else items if isinstance(items, list) else ()
    return tuple(_option(item) for item in _mappings(listed) if _text(item.get("ID")) is not None)


def _option(item: Mapping[str, Any]) -> Option:
    return Option(id=_text(item["ID"]) or "", value=_text(item.get("VALUE")) or "")


def _mappings(items: Iterable[Any]) -> Iterable[Mapping[str, Any]]:
    return (item for item in items if isinstance(item, Mapping))

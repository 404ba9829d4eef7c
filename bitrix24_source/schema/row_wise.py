"""Converts the values of a column one by one, in every notation that a portal may use."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import repeat
from typing import Any

import pyarrow as pa

from ..rest import ConversionError, strip_unstorable, to_date, to_int
from . import scalars
from .arrow_types import ARROW_TYPES, TEXT
from .fields import Column, Field, FieldKind
from .redacted_json import json_text, redact_json
from .scalars import is_empty

_Cells = tuple[Any, ...]
_ANYTHING: frozenset[FieldKind] = frozenset(
    {"unknown", "unlisted"}
)  # kinds that take lists, maps and False as they are
_Conversion = tuple[_Cells, "str | None"]  # why the cells are not all of the value


def convert_each(
    field: Field, columns: Sequence[Column], values: Sequence[Any]
) -> tuple[list[pa.Array], dict[int, str]]:
    """Returns an array for each column, and the reason for each value that did not fit, by its index."""
    nothing: _Conversion = (None,) * len(columns), None
    read = functools.partial(_convert, field, CONVERTERS[field.kind], nothing)
    conversions = [nothing if value is None or value == "" else read(value) for value in values]
    reasons = {index: reason for index, (_, reason) in enumerate(conversions) if reason}
    cells = zip(*(cells for cells, _ in conversions), strict=True) if conversions else repeat(())
    typed = zip((ARROW_TYPES[column.type] for column in columns), cells, strict=False)
    return [pa.array(_storable(cells, reasons) if type_ is TEXT else cells, type_) for type_, cells in typed], reasons


def _convert(field: Field, read: Callable[[Any, Field], _Cells], nothing: _Conversion, value: Any) -> _Conversion:
    try:
        if isinstance(value, (list, dict)) and field.kind not in _ANYTHING:
            value = scalars.single_value(value)
        if is_empty(value) or (value is False and field.kind not in {"boolean", *_ANYTHING}):
            return nothing
        return read(value, field), None
    except ConversionError as unfit:
        return unfit.partial or nothing[0], unfit.reason


def _storable(cells: Sequence[Any], reasons: dict[int, str]) -> Sequence[Any]:
    """Returns the cells without NUL, which PostgreSQL rejects, and without lone surrogates, which UTF-8 cannot encode."""
    with suppress(UnicodeEncodeError):
        if b"\0" not in "".join(filter(None, cells)).encode():
            return cells
    clean = [cell and (strip_unstorable(cell) or None) for cell in cells]
    for index, (before, after) in enumerate(zip(cells, clean, strict=True)):
        if before != after:
            reasons.setdefault(index, "holds characters that databases refuse")
    return clean


def _money(value: Any, _field: Field) -> _Cells:
    amount, bar, currency = value.rpartition("|") if isinstance(value, str) else (value, "|", "")
    return (scalars.to_decimal(amount), currency or None) if bar else (scalars.to_decimal(currency), None)


def _address(value: Any, _field: Field) -> _Cells:
    text = scalars.to_text(value) or ""
    if not (parts := _LOCATED.fullmatch(text)):
        return text, None, None
    where, latitude, longitude, location_id = parts.groups()
    if not (where or latitude or longitude) and (location_id or "").strip(" 0"):
        raise ConversionError("a location's id without words or coordinates")
    return where or None, float(latitude) if latitude else None, float(longitude) if longitude else None


_DEGREES = r"([+-]?[0-9]{1,20}(?:\.[0-9]{1,40})?)?"
_LOCATED = re.compile(rf"(.*)\|{_DEGREES};{_DEGREES}(?:\|([^|]*))?", re.DOTALL)


def _file(value: Any, _field: Field) -> _Cells:
    """Returns the id only: addresses of the file can contain the token."""
    if not isinstance(value, dict):
        return (scalars.to_reference(value),)
    if not (id_ := scalars.to_reference(value.get("id") or value.get("ID") or 0)):
        raise ConversionError("a file without an id")
    return (id_,)


_OWNER_TYPES = {
    "L": 1, "D": 2, "C": 3, "CO": 4, "I": 5, "Q": 7, "RQ": 8, "O": 14, "SI": 31, "DO": 36, "SBD": 39,
    "LEAD": 1, "DEAL": 2, "CONTACT": 3, "COMPANY": 4, "INVOICE": 5, "QUOTE": 7, "REQUISITE": 8, "ORDER": 14,
    "SMART_INVOICE": 31, "SMART_DOCUMENT": 36, "SMART_B2E_DOC": 39,
}  # fmt: skip


def _crm_link(value: Any, field: Field) -> _Cells:
    """Splits a binding: `T9c_6` is item 6 of type 0x9c; a bare number has the only type that the field allows."""
    text = scalars.to_text(value) or ""
    if not text.strip(" 0"):
        return None, None, None
    if not (parts := _BOUND.fullmatch(text.strip())):
        raise ConversionError("not a type and an id", text, None, None)
    hexadecimal, code, id_ = parts.groups()
    type_ = int(hexadecimal, 16) if hexadecimal else _OWNER_TYPES.get(code) if code else _only_type(field.settings)
    if type_ is None:
        raise ConversionError("an id whose type is not known", text, None, None)
    return text, type_, int(id_) or None


_BOUND = re.compile(r"(?:(?:T([0-9a-fA-F]{1,8})|([A-Z]{1,3}))_)?([0-9]{1,18})")


def _only_type(settings: Mapping[str, Any]) -> int | None:
    types = {_owner_type(name) for name, flag in settings.items() if flag in ("Y", True)} - {None}
    return types.pop() if len(types) == 1 else None


def _owner_type(name: str) -> int | None:
    dynamic = re.fullmatch(r"DYNAMIC_([0-9]{1,9})", name)
    return int(dynamic[1]) if dynamic else _OWNER_TYPES.get(name)


def _multifield(value: Any, _field: Field) -> _Cells:
    if not isinstance(value, dict):
        return scalars.to_text(value), None, None, None
    if "value" not in value:
        raise ConversionError("no value")
    return (
        *(scalars.to_text(value.get(key)) for key in ("value", "typeId", "valueType")),
        scalars.to_reference(value.get("id") or 0),
    )


def _json(value: Any, _field: Field) -> _Cells:
    if (text := json_text(value)) is None:
        raise ConversionError("nested too deeply")
    return (redact_json(text),)


def _unlisted(value: Any, field: Field) -> _Cells:
    """Returns text unchanged, anything else as JSON."""
    (text,) = _json(value, field)
    return (json.loads(text) if isinstance(value, str) else text,)


def _single_column(read: Callable[[Any], Any]) -> Callable[[Any, Field], _Cells]:
    return lambda value, _field: (read(value),)


CONVERTERS: Mapping[FieldKind, Callable[[Any, Field], _Cells]] = {
    "integer": _single_column(to_int), "link": _single_column(scalars.to_reference), "double": _single_column(scalars.to_float),
    "text": _single_column(scalars.to_text), "boolean": _single_column(scalars.to_bool), "date": _single_column(to_date),
    "datetime": _single_column(scalars.to_timestamp_microseconds), "money": _money, "address": _address, "file": _file, "crm": _crm_link,
    "multifield": _multifield, "unknown": _json, "unlisted": _unlisted,
}  # fmt: skip

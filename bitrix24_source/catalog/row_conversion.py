"""Converts the cells of catalogue rows; a value that its column cannot hold becomes NULL, and is kept with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

from ..rest import (
    ConversionError,
    as_json,
    is_blank,
    strip_unstorable,
    to_bool,
    to_date,
    to_decimal,
    to_int,
    to_text,
    to_timestamp,
)
from ..schema import Column, ColumnType, RejectedValue, rejected_json

Row = dict[str, Any]
_FIRST_DAY, _FIRST_INSTANT = date(1970, 1, 1), datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIELD_TYPES: Mapping[ColumnType, str] = {
    "bigint": "integer", "double": "double", "text": "string", "bool": "boolean", "date": "date",
    "timestamp": "datetime", "decimal": "double", "json": "string",
}  # fmt: skip


def _storable_text(value: Any) -> str | None:
    text = to_text(value)
    stored = strip_unstorable(text) or None
    if stored != text:
        raise ConversionError("holds characters that databases refuse", stored)
    return stored


_CONVERTERS: Mapping[ColumnType, Callable[[Any], Any]] = {
    "bigint": to_int, "double": to_decimal, "text": _storable_text, "bool": to_bool, "date": to_date,
    "timestamp": to_timestamp, "decimal": to_decimal, "json": as_json,
}  # fmt: skip


def convert_rows(
    table: str,
    key: Sequence[str],
    columns: Sequence[Column],
    rows: Iterable[Row],
    limits: Mapping[ColumnType, range] = MappingProxyType({}),
) -> tuple[list[Row], list[RejectedValue]]:
    """Returns rows with converted values, one for each key, and the values that did not fit.

    Args:
        table: name of the table.
        key: its primary key, which every row has. The item's id is the first integer of it; 0 if there is none, and then
            the reason contains the key.
        columns: columns of the table. A cell without a column is a flag of a newer portal.
        rows: cells as the portal writes them, or as they are to be stored.
        limits: limits of the destination, as in `StoredColumns`.
    """
    types = {column.name: column.type for column in columns}
    converted: dict[tuple[Any, ...] | int, Row] = {}
    rejected: list[RejectedValue] = []
    for number, raw in enumerate(rows):
        row: Row = {}
        unfit: dict[str, str] = {}
        for name, value in raw.items():
            try:
                type_ = types.get(name, "bool")
                row[name] = _within(limits.get(type_), _convert(type_, value))
            except ConversionError as error:
                row[name], unfit[name] = (error.partial or (None,))[0], error.reason
        names = [row[name] for name in key]
        converted[tuple(names) if names else number] = row
        item_id = next((part for part in names if isinstance(part, int)), 0)
        for name, reason in unfit.items():
            rejected.append(
                RejectedValue(
                    table_name=table,
                    item_id=item_id,
                    column_name=name,
                    field_type=_FIELD_TYPES[types.get(name, "bool")],
                    raw_value=rejected_json(raw[name]),
                    reason=reason if item_id else f"{reason} ({', '.join(map(str, names))})",
                )
            )
    return list(converted.values()), rejected


def _convert(type_: ColumnType, value: Any) -> Any:
    if type_ == "bool" and value is False:
        return False
    return None if is_blank(value) else value if isinstance(value, date) else _CONVERTERS[type_](value)


def _within(bounds: range | None, value: Any) -> Any:
    """Returns the day or the instant, if the destination can hold it."""
    if bounds is None or value is None:
        return value
    if isinstance(value, datetime):
        place = (value - _FIRST_INSTANT) // timedelta(microseconds=1)
    else:
        place = (value - _FIRST_DAY).days
    if place not in bounds:
        raise ConversionError("beyond the days that the destination holds")
    return value

"""Values of catalogue rows that their columns cannot take: NULL there, and kept with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..rest import ConversionError, to_date, to_timestamp
from ..schema import RejectedValue, rejected_json


@dataclass(frozen=True)
class RejectedCell:
    """Stands in a row for a value that its column cannot take."""

    field_type: str
    value: Any
    reason: str


def timestamp_cell(value: Any) -> Any:
    """An instant in UTC, None for nothing, or a `RejectedCell`."""
    return _cell("datetime", to_timestamp, value)


def date_cell(value: Any) -> Any:
    """The day, None for nothing, or a `RejectedCell`."""
    return _cell("date", to_date, value)


def _cell(field_type: str, convert: Callable[[Any], Any], value: Any) -> Any:
    if value is None or value is False or value in ("", [], {}):
        return None
    try:
        return convert(value)
    except ConversionError as error:
        return RejectedCell(field_type, value, error.reason)


def separate_rejected(
    table: str, key: Sequence[str], rows: Iterable[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[RejectedValue]]:
    """The rows without rejected cells, and these as rows of `rejected_values`.

    Args:
        table: of the rows.
        key: its primary key. The item's id is the first whole number of it; 0 where there is none, and then the reason names the key.
        rows: as converted.
    """
    clean, rejected = [], []
    for row in rows:
        cells = {name: cell for name, cell in row.items() if isinstance(cell, RejectedCell)}
        clean.append({**row, **dict.fromkeys(cells)})
        for name, cell in cells.items():
            item_id = next((row[part] for part in key if isinstance(row[part], int)), 0)
            reason = cell.reason if item_id else f"{cell.reason} ({', '.join(str(row[part]) for part in key)})"
            raw = rejected_json(cell.value)
            rejected.append(RejectedValue(table, item_id, name, cell.field_type, raw, reason))
    return clean, rejected

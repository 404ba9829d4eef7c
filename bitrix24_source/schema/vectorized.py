"""Converts a column of ordinary values in one pass, and gives up at the first unusual one.

Values that it accepts are converted as by `row_wise`; a test compares the two.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .arrow_types import DATE, DECIMAL, INTEGER, TEXT, TIMESTAMP, VALID_DAYS, VALID_MICROSECONDS
from .fields import FieldKind
from .scalars import BOOLEANS


def _integer(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    if str not in types:
        return [pa.array(values, INTEGER)] if types <= {int, type(None)} else _fall_back()
    (text,) = _text(values, types)
    return [_require_match(r"^-?[0-9]{1,18}$", text).cast(INTEGER)]


def _link(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    (array,) = _integer(values, types)
    return [_without(array, 0)]


def _double(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    array = pa.array(values, pa.float64()) if types <= {int, float, type(None)} else _fall_back()
    return [array] if pc.all(pc.is_finite(array)).as_py() is not False else _fall_back()


def _text(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    array = pa.array(values, TEXT) if types <= {str, type(None)} else _fall_back()
    letters = array.buffers()[2]
    if letters and b"\0" in letters.to_pybytes():  # PostgreSQL has no such character
        _fall_back()
    return [_without(array, "")]


def _boolean(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    read = values if types <= {bool, type(None)} else list(map(BOOLEANS.__getitem__, values))
    return [pa.array(read, pa.bool_())]


def _date(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    """Converts bare dates, or instants to the nearest midnight in UTC; see `php_values.to_date`."""
    (text,) = _text(values, types)
    if pc.max(pc.utf8_length(text)).as_py() == _BARE_DATE:
        days = text.cast(DATE)
    else:
        days = pc.add(_instants(text), _HALF_A_DAY).cast(DATE)
    return [_require_range(days, pa.int32(), VALID_DAYS)]


def _datetime(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    (text,) = _text(values, types)
    return [_require_range(_instants(text), pa.int64(), VALID_MICROSECONDS)]


def _instants(text: pa.Array) -> pa.Array:
    return _require_match(_INSTANT, text).cast(TIMESTAMP)


_BARE_DATE = len("2024-06-18")
_HALF_A_DAY = pa.scalar(timedelta(hours=12))
_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$"


def _money(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    (text,) = _text(values, types)
    # Arrow would silently read exponents and long numbers modulo 2**128.
    letters = _require_match(r"^-?[0-9]{1,20}(\.[0-9]{1,9})?\|[A-Z]{3}$", text).cast(pa.binary())
    amounts, currencies = pc.binary_slice(letters, 0, -4), pc.binary_slice(letters, -3, None)
    return [amounts.cast(TEXT).cast(DECIMAL), currencies.cast(TEXT)]


def _multifield(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    if types != {dict}:
        _fall_back()
    columns = zip(*map(operator.itemgetter("value", "typeId", "valueType", "id"), values), strict=True)
    read = (_text, _text, _text, _link)
    return [array for fast, column in zip(read, columns, strict=True) for array in fast(column, set(map(type, column)))]


def _without(array: pa.Array, empty: Any) -> pa.Array:
    is_empty = pc.equal(array, empty)
    return pc.if_else(is_empty, pa.scalar(None, array.type), array) if pc.any(is_empty).as_py() else array


def _require_match(pattern: str, text: pa.Array) -> pa.Array:
    return text if pc.all(pc.match_substring_regex(text, pattern)).as_py() is not False else _fall_back()


def _require_range(array: pa.Array, integer: pa.DataType, bounds: range) -> pa.Array:
    """Checks the range: Arrow goes beyond the years 1 to 9999 of Python and the databases."""
    ends = pc.min_max(array.view(integer)).as_py()
    return array if ends["min"] is None or (ends["min"] in bounds and ends["max"] in bounds) else _fall_back()


def _fall_back() -> Any:
    raise ValueError


VECTORIZED: Mapping[FieldKind, Callable[[Sequence[Any], set[type]], list[pa.Array]]] = {
    "integer": _integer, "link": _link, "double": _double, "text": _text, "date": _date,
    "boolean": _boolean, "datetime": _datetime, "money": _money,
    "multifield": _multifield,
}  # fmt: skip

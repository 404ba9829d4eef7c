"""What do the rows of a page look like as typed Arrow columns, and which of their values fit none?

It refuses to know where rows come from and where tables go; which columns there are is for `fields.py` to say.
A column is read at one stroke by `_FAST`, which gives up at the first oddity, and then value by value by `_READ`,
which knows every spelling. What the first accepts the second reads alike; a test holds them to it.
"""

from __future__ import annotations

import functools
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from itertools import chain, repeat
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from .fields import UTM_FIELDS, Column, ColumnType, Field, Kind, Placement, placements

_ARROW: Mapping[ColumnType, pa.DataType] = {
    "bigint": pa.int64(), "double": pa.float64(), "text": pa.string(), "bool": pa.bool_(), "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"), "decimal": pa.decimal128(38, 9), "json": pa.string(),
}  # fmt: skip
_INTEGER, _TEXT, _DATE, _INSTANT, _AMOUNT = (
    _ARROW[name] for name in ("bigint", "text", "date", "timestamp", "decimal")
)

_IGNORED = frozenset({"entityTypeId", "searchContent"})  # the first names the table; the second is nobody's business
_ABSENT = object()  # where a row does not mention a list, nothing is known of it, so nothing is emptied
_RAW_LENGTH = 10_000

_FEW = 64

_Cells = tuple[Any, ...]
_Reading = tuple[_Cells, "str | None"]  # why the cells are not all of the value
_Page = Mapping[str, Sequence[Any]]


class UnusableIdError(ValueError):
    """A row that cannot be told from others: the page as a whole is not to be trusted."""


@dataclass(frozen=True)
class Rejected:
    """A value that its column lacks, wholly or in part; here it is whole, but for credentials."""

    table_name: str
    item_id: int
    column_name: str
    field_type: str
    raw_value: str
    reason: str


@dataclass(frozen=True)
class Converted:
    """One page as tables; `emptied` has the items that a child table must forget, `unlisted` the keys of no field."""

    items: pa.Table
    children: dict[str, pa.Table]
    rejected: list[Rejected]
    emptied: dict[str, list[int]]
    unlisted: frozenset[str]


class Converter:
    """Turns the pages of one item type into tables whose schemas are the same for every page."""

    def __init__(self, fields: Sequence[Field], items_table: str) -> None:
        upper_names = {field.upper_name for field in fields}
        with_utm = [*fields, *(utm for utm in UTM_FIELDS if utm.upper_name not in upper_names)]
        listed = list({field.name: field for field in with_utm}.values())
        placed = placements(listed, items_table)
        lanes = [_Lane(field, place, items_table) for field in listed if (place := placed[field.name])]
        self._known = {"id", *_IGNORED, *placed}
        self._singles = [lane for lane in lanes if not lane.placement.child_table and lane.field.name != "id"]
        self._lists = [lane for lane in lanes if lane.placement.child_table]
        single_columns = chain.from_iterable(lane.placement.columns for lane in self._singles)
        self.items_schema = _schema(["id"], [*single_columns, Column("deleted_at", "timestamp")])
        self.child_schemas = {
            lane.table: _schema(["item_id", "position"], lane.placement.columns) for lane in self._lists
        }

    def convert(self, rows: Sequence[Mapping[str, Any]]) -> Converted:
        """The page as tables. No value can make it fail; a row without an id does."""
        page = _transposed(rows, frozenset(lane.field.name for lane in self._lists))
        ids = _ids(page.get("id", [None] * len(rows)))
        rejected: list[Rejected] = []
        items = self._items(ids, page, rejected)
        children = {lane.table: self._child(lane, ids, page, rejected) for lane in self._lists}
        return Converted(
            items=items,
            children={table: child for table, (child, _) in children.items()},
            rejected=rejected,
            emptied={table: emptied for table, (_, emptied) in children.items()},
            unlisted=self._unlisted(page),
        )

    def _items(self, ids: list[int], page: _Page, rejected: list[Rejected]) -> pa.Table:
        arrays = [pa.array(ids, _INTEGER)]
        nothing = [None] * len(ids)
        for lane in self._singles:
            cells, reasons = lane.read(values := page.get(lane.field.name, nothing))
            arrays += cells
            rejected += lane.rejected(ids, values, reasons)
        return pa.Table.from_arrays([*arrays, pa.nulls(len(ids), _INSTANT)], schema=self.items_schema)

    def _child(self, lane: _Lane, ids: list[int], page: _Page, rejected: list[Rejected]) -> tuple[pa.Table, list[int]]:
        """One row per value that is not empty, and the items which said that they have none."""
        said = page.get(lane.field.name, [_ABSENT] * len(ids))
        lists = [value if type(value) is list else _as_list(value) for value in said]
        lengths = list(map(len, lists))
        values = list(chain.from_iterable(lists))
        owners = list(chain.from_iterable(map(repeat, ids, lengths)))
        positions = list(chain.from_iterable(map(range, lengths)))
        cells, reasons = lane.read(values)
        rejected += lane.rejected(owners, values, reasons)
        arrays = [pa.array(owners, _INTEGER), pa.array(positions, _INTEGER), *cells]
        table = _without_empty(pa.Table.from_arrays(arrays, schema=self.child_schemas[lane.table]), reasons)
        having = set(owners if len(table) == len(owners) else table.column("item_id").to_pylist())
        return table, [id_ for id_, value in zip(ids, said, strict=True) if id_ not in having and value is not _ABSENT]

    def _unlisted(self, page: _Page) -> frozenset[str]:
        """The keys of no field. Deals and smart processes carry an empty `fm` though they have no such thing."""
        return frozenset(key for key in page.keys() - self._known if key != "fm" or any(page[key]))


class _Lane(NamedTuple):
    """One field on its way to its columns."""

    field: Field
    placement: Placement
    items_table: str

    @property
    def table(self) -> str:
        return self.placement.child_table or self.items_table

    def read(self, values: Sequence[Any]) -> tuple[list[pa.Array], dict[int, str]]:
        """An array for each column, and for each value that did not fit, by its index, the reason."""
        types = set(map(type, values))
        if types <= {type(None)}:
            return [pa.nulls(len(values), _ARROW[column.type]) for column in self.placement.columns], {}
        if fast := _FAST.get(self.field.kind):
            with suppress(ValueError, TypeError, LookupError, OverflowError, pa.ArrowException):
                return fast(values, types), {}
            if len(values) > _FEW:
                return self._read_in_halves(values)
        return self._read_each(values)

    def _read_in_halves(self, values: Sequence[Any]) -> tuple[list[pa.Array], dict[int, str]]:
        """Oddities are few as a rule: most of the column is read at a stroke yet."""
        middle = len(values) // 2
        (before, reasons), (after, more) = self.read(values[:middle]), self.read(values[middle:])
        arrays = [pa.concat_arrays(halves) for halves in zip(before, after, strict=True)]
        return arrays, reasons | {middle + index: reason for index, reason in more.items()}

    def _read_each(self, values: Sequence[Any]) -> tuple[list[pa.Array], dict[int, str]]:
        nothing: _Reading = (None,) * len(self.placement.columns), None
        read = functools.partial(_reading, self.field, _READ[self.field.kind], nothing)
        readings = [nothing if value is None or value == "" else read(value) for value in values]
        reasons = {index: reason for index, (_, reason) in enumerate(readings) if reason}
        cells = zip(*(cells for cells, _ in readings), strict=True) if readings else repeat(())
        columns = zip((_ARROW[column.type] for column in self.placement.columns), cells, strict=False)
        return [
            pa.array(_storable(cells, reasons) if type_ is _TEXT else cells, type_) for type_, cells in columns
        ], reasons

    def rejected(self, owners: Sequence[int], values: Sequence[Any], reasons: Mapping[int, str]) -> list[Rejected]:
        column, field = self.placement.column.name, self.field
        return [
            Rejected(self.table, owners[index], column, field.type, _raw(values[index], field.kind), reason)
            for index, reason in reasons.items()
        ]


def _schema(required: Iterable[str], columns: Iterable[Column]) -> pa.Schema:
    keys = [pa.field(name, _INTEGER, nullable=False) for name in required]
    return pa.schema([*keys, *(pa.field(column.name, _ARROW[column.type]) for column in columns)])


def _transposed(rows: Sequence[Mapping[str, Any]], lists: frozenset[str]) -> _Page:
    """The values of each key. The rows of a page mostly have the same keys, and then turn at one stroke."""
    if set(map(type, rows)) != {dict} and not all(isinstance(row, Mapping) for row in rows):
        raise UnusableIdError("A row of the page is no object.")
    names = tuple(rows[0]) if rows else ()
    if set(map(len, rows)) == {len(names)}:
        with suppress(KeyError):
            return _turned(rows, names)
    blank = {name: _ABSENT if name in lists else None for name in set().union(*rows)}
    return _turned([row if len(row) == len(blank) else {**blank, **row} for row in rows], tuple(blank))


def _turned(rows: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> _Page:
    values = map(operator.itemgetter(*names, *names[:1]), rows) if names else ()  # twice the first: always a tuple
    return dict(zip(names, zip(*values, strict=True), strict=False))


def _ids(values: Sequence[Any]) -> list[int]:
    try:
        ids = [value if type(value) is int else _whole(value) for value in values]
    except _UnfitError:
        ids = [0]
    if ids and not (min(ids) > 0 and max(ids) < 2**63):
        raise UnusableIdError("A row of the page has no usable id.")
    return ids


def _as_list(value: Any) -> Sequence[Any]:
    """PHP writes a list with gaps as a map by number, and an empty one in five ways."""
    if value is _ABSENT or _is_empty(value) or value is False:
        return ()
    items = _items(value)
    return (value,) if items is None else items


def _items(value: Any) -> Sequence[Any] | None:
    if isinstance(value, dict) and value and all(str(key).isdecimal() for key in value):
        return list(value.values())
    return value if isinstance(value, list) else None


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, dict)) and not value)


def _without_empty(child: pa.Table, reasons: Mapping[int, str]) -> pa.Table:
    """A row for each value: an empty one among others is none, a rejected one is."""
    if not child.column("value").null_count:
        return child
    filled = functools.reduce(pc.or_, (column.is_valid() for column in child.columns[2:])).to_pylist()
    return child.filter(pa.array([is_filled or index in reasons for index, is_filled in enumerate(filled)]))


def _fast_integer(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    if str not in types:
        return [pa.array(values, _INTEGER)] if types <= {int, type(None)} else _odd()
    (text,) = _fast_text(values, types)
    return [_like(r"^-?[0-9]{1,18}$", text).cast(_INTEGER)]


def _fast_link(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    (array,) = _fast_integer(values, types)
    return [_without(array, 0)]


def _fast_double(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    array = pa.array(values, pa.float64()) if types <= {int, float, type(None)} else _odd()
    return [array] if pc.all(pc.is_finite(array)).as_py() is not False else _odd()


def _fast_text(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    array = pa.array(values, _TEXT) if types <= {str, type(None)} else _odd()
    letters = array.buffers()[2]
    if letters and b"\0" in letters.to_pybytes():  # PostgreSQL has no such character
        _odd()
    return [_without(array, "")]


def _fast_boolean(values: Sequence[Any], _types: set[type]) -> list[pa.Array]:
    return [pa.array(list(map(_BOOLEANS.__getitem__, values)), pa.bool_())]


def _fast_date(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    (text,) = _fast_text(values, types)
    if not pc.all(pc.is_in(pc.utf8_slice_codeunits(text, 10, 11), pa.array(["", "T", " ", None]))).as_py():
        _odd()
    return [_from_year_one(pc.utf8_slice_codeunits(text, 0, 10).cast(_DATE), pa.int32(), _DAYS)]


def _fast_datetime(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    (text,) = _fast_text(values, types)
    return [_from_year_one(text.cast(_INSTANT), pa.int64(), _MICROSECONDS)]


def _fast_money(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    if not types <= {str, type(None)}:
        _odd()
    parts = [value.rpartition("|") if value else (None, "|", None) for value in values]
    amounts, bars, currencies = zip(*parts, strict=True)
    if "" in bars:
        _odd()
    # Arrow would read exponents and long numbers modulo 2**128, without a word.
    digits = _like(r"^-?[0-9]{1,20}(\.[0-9]{1,9})?$", pa.array(amounts, _TEXT))
    return [digits.cast(_AMOUNT), *_fast_text(currencies, {str})]


def _fast_multifield(values: Sequence[Any], types: set[type]) -> list[pa.Array]:
    if types != {dict}:
        _odd()
    columns = zip(*map(operator.itemgetter("value", "typeId", "valueType", "id"), values), strict=True)
    read = (_fast_text, _fast_text, _fast_text, _fast_link)
    return [array for fast, column in zip(read, columns, strict=True) for array in fast(column, set(map(type, column)))]


def _without(array: pa.Array, empty: Any) -> pa.Array:
    is_empty = pc.equal(array, empty)
    return pc.if_else(is_empty, pa.scalar(None, array.type), array) if pc.any(is_empty).as_py() else array


def _like(pattern: str, text: pa.Array) -> pa.Array:
    return text if pc.all(pc.match_substring_regex(text, pattern)).as_py() is not False else _odd()


def _from_year_one(array: pa.Array, integer: pa.DataType, bounds: range) -> pa.Array:
    """Arrow counts beyond the calendar of Python and of the databases: from year 1 to year 9999."""
    ends = pc.min_max(array.view(integer)).as_py()
    return array if ends["min"] is None or (ends["min"] in bounds and ends["max"] in bounds) else _odd()


def _odd() -> Any:
    raise ValueError


_FAST: Mapping[Kind, Callable[[Sequence[Any], set[type]], list[pa.Array]]] = {
    "integer": _fast_integer, "link": _fast_link, "double": _fast_double, "text": _fast_text, "date": _fast_date,
    "boolean": _fast_boolean, "datetime": _fast_datetime, "money": _fast_money,
    "multifield": _fast_multifield,
}  # fmt: skip
_BOOLEANS: Mapping[Any, bool | None] = {
    "Y": True, "N": False, True: True, False: False, None: None, "": None, "y": True, "n": False, "1": True,
    "0": False, "true": True, "false": False,
}  # fmt: skip
_DAYS = range(-719_162, 2_932_897)
_MICROSECONDS = range(-719_162 * 86_400_000_000, 2_932_897 * 86_400_000_000)


class _UnfitError(ValueError):
    """A value that its columns cannot take; `cells` is what they can still take of it."""

    def __init__(self, reason: str, *cells: Any) -> None:
        super().__init__(reason)
        self.reason, self.cells = reason, cells


def _reading(field: Field, read: Callable[[Any, Field], _Cells], nothing: _Reading, value: Any) -> _Reading:
    try:
        if isinstance(value, (list, dict)) and read is not _json:
            value = _single(value)
        if _is_empty(value) or (value is False and field.kind not in {"boolean", "unknown"}):
            return nothing
        return read(value, field), None
    except _UnfitError as unfit:
        return unfit.cells or nothing[0], unfit.reason


def _single(value: Any) -> Any:
    """The one value of a list of one, however deep it lies."""
    while (items := _items(value)) is not None and len(items) == 1:
        value = items[0]
    if items:
        raise _UnfitError("several values where one is due")
    return value


def _storable(cells: Sequence[Any], reasons: dict[int, str]) -> Sequence[Any]:
    """The cells without NUL, which PostgreSQL refuses, and without half surrogate pairs, which UTF-8 has not."""
    with suppress(UnicodeEncodeError):
        if b"\0" not in "".join(filter(None, cells)).encode():
            return cells
    clean = [cell and _clean(cell) for cell in cells]
    for index, (before, after) in enumerate(zip(cells, clean, strict=True)):
        if before != after:
            reasons.setdefault(index, "holds characters that databases refuse")
    return clean


def _clean(text: str) -> str | None:
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace") or None


def _whole(value: Any) -> int:
    if isinstance(value, str) and (digits := re.fullmatch(r"\s*([+-]?[0-9]{1,40})(?:\.0*)?\s*", value)):
        value = int(digits[1])
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:  # beyond, the decoder lost digits
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _UnfitError("not a whole number")
    if not -(2**63) <= value < 2**63:
        raise _UnfitError("beyond 64 bits")
    return value


def _link(value: Any) -> int | None:
    return _whole(value) or None


def _real(value: Any) -> float:
    if isinstance(value, str) and re.fullmatch(_NUMBER, value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _UnfitError("not a number")
    with suppress(OverflowError):
        if math.isfinite(number := float(value)):
            return number
    raise _UnfitError("beyond a double's range")


_EXACT = Context(prec=38, traps=[Inexact, InvalidOperation])
_NUMBER = r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?\s*"


def _string(value: Any) -> str | None:
    if isinstance(value, str) or _is_empty(value):
        return value or None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e300 < value < 1e300:
        raise _UnfitError("neither text nor number")
    return str(value)


def _boolean(value: Any) -> bool | None:
    try:
        return _BOOLEANS[value]
    except (KeyError, TypeError):
        raise _UnfitError("neither Y nor N") from None


def _day(value: Any) -> date:
    """The day as it is written: a zone would move it."""
    if isinstance(value, str):
        iso = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ].*)?", value, re.DOTALL)
        legacy = re.fullmatch(r"([0-9]{2})\.([0-9]{2})\.([0-9]{4})(?: .*)?", value, re.DOTALL)
        parts = iso.groups() if iso else legacy.groups()[::-1] if legacy else ()
        with suppress(ValueError, TypeError):
            return date(*map(int, parts))
    raise _UnfitError("not a date")


def _microseconds(value: Any) -> int:
    with suppress(ValueError, TypeError):
        instant = int(pa.array([value], _TEXT).cast(_INSTANT)[0].value)
        if instant in _MICROSECONDS:
            return instant
    raise _UnfitError("not a date and time with its offset from UTC, in the years 1 to 9999")


def _money(value: Any, _field: Field) -> _Cells:
    amount, bar, currency = value.rpartition("|") if isinstance(value, str) else (value, "|", "")
    return (_amount(amount), currency or None) if bar else (_amount(currency), None)


def _amount(value: Any) -> Decimal | None:
    if isinstance(value, float) and not abs(value) < 2**53:
        raise _UnfitError("a decoder lost digits of this number")
    text = (_string(value) or "").strip()
    with suppress(DecimalException):
        if re.fullmatch(_NUMBER, text):
            return Decimal(text).quantize(Decimal("1e-9"), context=_EXACT)
    if text:
        raise _UnfitError("not an amount of at most 29 digits and 9 decimals")
    return None


def _address(value: Any, _field: Field) -> _Cells:
    text = _string(value) or ""
    if not (parts := _LOCATED.fullmatch(text)):
        return text, None, None
    where, latitude, longitude, location_id = parts.groups()
    if not (where or latitude or longitude) and (location_id or "").strip(" 0"):
        raise _UnfitError("a location's id without words or coordinates")
    return where or None, float(latitude) if latitude else None, float(longitude) if longitude else None


_DEGREES = r"([+-]?[0-9]{1,20}(?:\.[0-9]{1,40})?)?"
_LOCATED = re.compile(rf"(.*)\|{_DEGREES};{_DEGREES}(?:\|([^|]*))?", re.DOTALL)


def _file(value: Any, _field: Field) -> _Cells:
    """The id alone: an address of the file can carry the token."""
    if not isinstance(value, dict):
        return (_link(value),)
    if not (id_ := _link(value.get("id") or value.get("ID") or 0)):
        raise _UnfitError("a file without an id")
    return (id_,)


_OWNER_TYPES = {
    "L": 1, "D": 2, "C": 3, "CO": 4, "I": 5, "Q": 7, "RQ": 8, "O": 14, "SI": 31, "DO": 36, "SBD": 39,
    "LEAD": 1, "DEAL": 2, "CONTACT": 3, "COMPANY": 4, "INVOICE": 5, "QUOTE": 7, "REQUISITE": 8, "ORDER": 14,
    "SMART_INVOICE": 31, "SMART_DOCUMENT": 36, "SMART_B2E_DOC": 39,
}  # fmt: skip


def _binding(value: Any, field: Field) -> _Cells:
    """What was bound: `T9c_6` is item 6 of type 0x9c; a bare number is of the one type that the field allows."""
    text = _string(value) or ""
    if not text.strip(" 0"):
        return None, None, None
    if not (parts := _BOUND.fullmatch(text.strip())):
        raise _UnfitError("not a type and an id", text, None, None)
    hexadecimal, code, id_ = parts.groups()
    type_ = int(hexadecimal, 16) if hexadecimal else _OWNER_TYPES.get(code) if code else _only_type(field.settings)
    if type_ is None:
        raise _UnfitError("an id whose type is not known", text, None, None)
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
        return _string(value), None, None, None
    if "value" not in value:
        raise _UnfitError("no value")
    return (*(_string(value.get(key)) for key in ("value", "typeId", "valueType")), _link(value.get("id") or 0))


def _json(value: Any, _field: Field) -> _Cells:
    if (text := _json_text(value)) is None:
        raise _UnfitError("nested too deeply")
    return (_without_secrets(text),)


def _alone(read: Callable[[Any], Any]) -> Callable[[Any, Field], _Cells]:
    return lambda value, _field: (read(value),)


_READ: Mapping[Kind, Callable[[Any, Field], _Cells]] = {
    "integer": _alone(_whole), "link": _alone(_link), "double": _alone(_real), "text": _alone(_string),
    "boolean": _alone(_boolean), "date": _alone(_day), "datetime": _alone(_microseconds), "money": _money,
    "address": _address, "file": _file, "crm": _binding, "multifield": _multifield, "unknown": _json,
}  # fmt: skip


def _raw(value: Any, kind: Kind) -> str:
    text = _json_text(value)
    return '"(not writable)"' if text is None else _without_secrets(text, is_file=kind == "file")[:_RAW_LENGTH]


def _json_text(value: Any) -> str | None:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, default=str)
    except (RecursionError, ValueError):
        return None
    return text


def _without_secrets(text: str, *, is_file: bool = False) -> str:
    """JSON text without what opens the portal; of a file not even an address stays, for any may carry the token."""
    is_secret = False

    def shown(match: re.Match[str]) -> str:
        nonlocal is_secret
        string, colon = match[1], match[2] or ""
        hidden = (is_secret and not colon) or (is_file and _ADDRESS.search(string))
        is_secret = bool(colon and _SECRET_KEY.search(string))
        return f'"(removed)"{colon}' if hidden else _CREDENTIAL.sub("(removed)", string) + colon

    return _STRING.sub(shown, text)


_STRING = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?', re.DOTALL)
_SECRET_KEY = re.compile(r"url|\bauth(?:_id)?\b|token|secret|sessid|refresh_id|password", re.IGNORECASE)
_ADDRESS = re.compile(r"[/:=%?&\\]")
_CREDENTIAL = re.compile(
    r"(?:/|%2F)rest(?:/|%2F)(?:api(?:/|%2F))?[0-9]+(?:/|%2F)[^/%\s\"&?]+"
    r"|\b(?:auth|auth_id|code|sessid|refresh_id|client_secret|(?:access_|refresh_|application_)?token)(?:=|%3D)[^&\s\"]+",
    re.IGNORECASE,
)

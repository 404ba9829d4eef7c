"""Parses and evaluates Bitrix24 filters: operator prefixes, nested OR groups, id bounds.

A parsed condition is a function of a row reader, which returns a column by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from math import prod
from typing import Any

from ..http.php import php_int
from ..portal.api_errors import Refused, field_not_allowed

Read = Callable[[str], Any]
Condition = Callable[[Read], bool]

# Longest first: `!=%` must not be read as `!=`.
OPERATORS = ("!=%", "!%=", "!@", "!=", "!%", ">=", "<=", "=%", "%=", "><", "!", ">", "<", "=", "@", "%")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
OWN_FORMAT = re.compile(r"(\d\d)\.(\d\d)\.(\d{4}) (\d\d:\d\d:\d\d)")
OFFSET = re.compile(r"(?<=\d)(Z|[+-]\d\d:\d\d)$")
LAST = 1 << 62


@dataclass
class Grammar:
    """The fields that may be filtered, and how their values compare.

    `kinds` maps field -> "datetime", "date", "number", "bool" (a custom yes/no field: 1 or 0 only) or "text".
    `several` are the fields of more than one value, by which a filter joins another table.
    `shift` is subtracted from every datetime that a filter names: `crm.item.list` takes it for the time of the person
    who asks, and moves it by that person's zone minus the server's.
    """

    kinds: Mapping[str, str]
    zone: tzinfo
    id_field: str = "id"
    garbage_id: str = "zero"
    time_filter: str = "honoured"
    not_allowed: Callable[[str, str], Refused] = field_not_allowed
    aliases: Mapping[str, str] = field(default_factory=dict)
    shift: timedelta = timedelta()
    several: Collection[str] = ()

    def literal(self, name: str, value: Any) -> Any:
        """Converts a value in a filter to the form in which it is compared."""
        kind = self.kinds[name]
        plain = comparable(value, kind, self.zone, literal=True)
        return plain - self.shift.total_seconds() if kind == "datetime" and plain is not None else plain

    def name(self, place: str, written: str) -> str:
        name = self.aliases.get(written, written)
        if name not in self.kinds:
            raise self.not_allowed(place, written)
        return name


@dataclass
class Where:
    """A parsed filter: bounds of the id, a lower bound of `updatedTime`, and everything else."""

    low: int = -LAST
    high: int = LAST
    ids: set[int] | None = None
    updated_since: float | None = None
    # Fields of several values that the filter names, each with a test of one value.
    several: list[tuple[str, Callable[[Any], bool]]] = field(default_factory=list)
    rest: list[Condition] = field(default_factory=list)

    def admits_id(self, number: int) -> bool:
        return self.low <= number <= self.high and (self.ids is None or number in self.ids)

    def admits(self, read: Read) -> bool:
        return all(condition(read) for condition in self.rest)

    def matches(self, read: Read) -> int:
        """Returns how often the item occurs in the join with the values of its multiple fields."""
        return prod(max(1, sum(map(fits, _each(read(name))))) for name, fits in self.several)


def split_key(key: str) -> tuple[str, str]:
    for operator in OPERATORS:
        if key.startswith(operator):
            return operator, key[len(operator) :].strip()
    return "=", key.strip()


def parse(conditions: Mapping[str, Any], grammar: Grammar) -> Where:
    where = Where()
    for key, value in conditions.items():
        if key.isdigit():
            where.rest.append(_group(value, grammar))
            continue
        if key.lower() == "logic":
            continue
        operator, written = split_key(key)
        name = grammar.name("filter", written)
        if name == grammar.id_field:
            _bound(where, operator, value, grammar)
        else:
            _plain(where, operator, name, value, grammar)
    if str(conditions.get("logic", "")).upper() == "OR":
        return Where(rest=[_group(conditions, grammar)])
    return where


def _plain(where: Where, operator: str, name: str, value: Any, grammar: Grammar) -> None:
    if _time_ignored(name, value, grammar):
        return
    if grammar.kinds[name] in ("datetime", "date") and grammar.time_filter == "offset_ignored":
        value = OFFSET.sub("", str(value))
    if name == "updatedTime" and operator in (">", ">="):
        where.updated_since = grammar.literal(name, value)
    if name in grammar.several:
        fits = _condition(operator, name, value, grammar)
        where.several.append((name, lambda item: fits(lambda _: item)))
    where.rest.append(_condition(operator, name, value, grammar))


def _time_ignored(name: str, value: Any, grammar: Grammar) -> bool:
    """Returns whether the portal silently ignores this bound: users report portals that ignore ISO times."""
    if grammar.kinds[name] not in ("datetime", "date"):
        return False
    return grammar.time_filter == "ignored" or (grammar.time_filter == "iso_ignored" and "T" in str(value))


def _bound(where: Where, operator: str, value: Any, grammar: Grammar) -> None:
    values = value if isinstance(value, list) else [value]
    if grammar.garbage_id == "error" and any(not NUMBER.fullmatch(str(item).strip()) for item in values):
        raise Refused(400, "INVALID_ARG_VALUE", f"Invalid filter: value of field '{grammar.id_field}' is not a number")
    numbers = [php_int(item) for item in values] or [0]
    if operator in ("=", "@"):
        numbers = numbers if values else []
        where.ids = set(numbers) if where.ids is None else where.ids & set(numbers)
    elif operator in (">", ">="):
        where.low = max(where.low, numbers[0] + (operator == ">"))
    elif operator in ("<", "<="):
        where.high = min(where.high, numbers[0] - (operator == "<"))
    else:
        where.rest.append(_condition(operator, grammar.id_field, value, grammar))


def _group(value: Any, grammar: Grammar) -> Condition:
    """Parses the value of a numbered key: a group whose members are joined by its `logic`, AND by default."""
    members = {str(place): item for place, item in enumerate(value)} if isinstance(value, list) else value
    if not isinstance(members, Mapping):
        raise grammar.not_allowed("filter", str(value))
    parts = list(_members(members, grammar))
    joined = any if str(members.get("logic", "AND")).upper() == "OR" else all
    return lambda read: joined(part(read) for part in parts)


def _members(members: Mapping[str, Any], grammar: Grammar) -> Iterator[Condition]:
    for key, value in members.items():
        if str(key).isdigit():
            yield _group(value, grammar)
        elif str(key).lower() != "logic":
            operator, written = split_key(key)
            yield _condition(operator, grammar.name("filter", written), value, grammar)


def _condition(operator: str, name: str, value: Any, grammar: Grammar) -> Condition:
    kind = grammar.kinds[name]
    if operator in ("%", "=%", "%=", "!%", "!=%", "!%="):
        return _like(operator, name, str(value))
    if operator in ("@", "!@") or isinstance(value, list):
        return _among(operator, name, value, grammar)
    if value in (None, "") and operator in ("=", "!", "!="):
        return _empty(name, wanted=operator == "=")
    return _compared(operator, name, grammar.literal(name, value), kind, grammar.zone)


def _like(operator: str, name: str, text: str) -> Condition:
    pattern = f"%{text}%" if operator in ("%", "!%") else text
    expression = re.compile(".*".join(map(re.escape, pattern.casefold().split("%"))), re.DOTALL)
    wanted = not operator.startswith("!")
    return lambda read: any(expression.fullmatch(str(item).casefold()) for item in _each(read(name))) is wanted


def _among(operator: str, name: str, value: Any, grammar: Grammar) -> Condition:
    values = value if isinstance(value, list) else [value]
    kind, zone = grammar.kinds[name], grammar.zone
    wanted = {grammar.literal(name, item) for item in values}
    positive = not operator.startswith("!")
    return lambda read: any(comparable(item, kind, zone) in wanted for item in _each(read(name))) is positive


def _empty(name: str, *, wanted: bool) -> Condition:
    return lambda read: all(item in (None, "", False) for item in _each(read(name))) is wanted


def _compared(operator: str, name: str, bound: Any, kind: str, zone: tzinfo) -> Condition:
    test: Callable[[Any], bool] = {
        "=": lambda value: value == bound and bound is not None,
        "!": lambda value: value != bound,
        "!=": lambda value: value != bound,
        ">": lambda value: _ordered(value, bound) and value > bound,
        ">=": lambda value: _ordered(value, bound) and value >= bound,
        "<": lambda value: _ordered(value, bound) and value < bound,
        "<=": lambda value: _ordered(value, bound) and value <= bound,
    }.get(operator, lambda _: False)
    return lambda read: any(test(comparable(item, kind, zone)) for item in _each(read(name)))


def _ordered(value: Any, bound: Any) -> bool:
    """Returns whether the two can be ordered: neither is empty, and both are numbers or both texts."""
    return value is not None and bound is not None and isinstance(value, str) is isinstance(bound, str)


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) and value else [None if value == [] else value]


def comparable(value: Any, kind: str, zone: tzinfo, *, literal: bool = False) -> Any:
    """Normalises values that the portal treats as equal: 5 and "5", one instant in two zones, A and a."""
    if value is None or isinstance(value, (dict, list)):
        return None
    if kind in ("datetime", "date"):
        return to_timestamp(value, zone)
    if kind == "bool":
        # Custom yes/no fields are stored as 1 and 0; "Y" in a filter matches nothing.
        return str(value) if literal else ("1" if value in ("Y", True, 1, "1") else "0")
    if isinstance(value, bool):
        return "y" if value else "n"
    if isinstance(value, (int, float)) or NUMBER.fullmatch(value):
        return float(value)
    return str(value).casefold()


@lru_cache(maxsize=4096)
def to_timestamp(text: Any, zone: tzinfo) -> float | None:
    """Parses an ISO time (a naive one in the given zone) or `24.08.2023 13:19:39`; None for anything else."""
    written = str(text).strip().replace("Z", "+00:00")
    if (local := OWN_FORMAT.fullmatch(written)) is not None:
        day, month, year, time = local.groups()
        written = f"{year}-{month}-{day} {time}"
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()

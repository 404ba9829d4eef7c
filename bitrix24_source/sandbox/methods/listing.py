"""Filters, sorts and pages lists of rows, fifty to a page. Item tables page themselves (`items`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..portal.registry import MethodCall, MethodResult, names_of
from .filters import Grammar, comparable, parse

PAGE = 50
Row = dict[str, Any]


def select_rows(
    rows: Sequence[Row], conditions: Mapping[str, Any], order: Mapping[str, Any], grammar: Grammar
) -> list[Row]:
    where = parse(conditions, grammar)
    found = [
        row
        for row in rows
        if (grammar.id_field not in row or where.admits_id(int(row[grammar.id_field]))) and where.admits(row.get)
    ]
    return sort_rows(found, order, grammar)


def sort_rows(rows: list[Row], order: Mapping[str, Any], grammar: Grammar) -> list[Row]:
    """Sorts by each key, last one first: the sort is stable, so the first key decides."""
    for written, direction in reversed(list(order.items())):
        name = grammar.name("order", written)
        keys = {id(row): sort_key(row.get(name), grammar.kinds[name], grammar) for row in rows}
        rows = sorted(rows, key=lambda row: keys[id(row)], reverse=str(direction).upper() == "DESC")
    return rows


def sort_key(value: Any, kind: str, grammar: Grammar) -> tuple[int, float, str]:
    first = (value[0] if value else None) if isinstance(value, list) else value
    plain = comparable(first, kind, grammar.zone)
    if plain is None:
        return (0, 0.0, "")
    return (1, plain, "") if isinstance(plain, float) else (2, 0.0, str(plain))


def page(
    rows: Sequence[Any], start: int, *, wrap: str = "", size: int = PAGE, fast_total: str = "by_method"
) -> MethodResult:
    """Returns one page. `start=-1` is the fast mode: no counting, so no `next`, and `total` is 0 or missing."""
    first = max(0, start)
    cut = list(rows[first : first + size])
    result: Any = {wrap: cut} if wrap else cut
    if start < 0:
        return MethodResult(result, total=fast_mode_total(fast_total, legacy=not wrap), rows=len(cut))
    more = first + size if first + size < len(rows) else None
    return MethodResult(result, total=len(rows), next=more, rows=len(cut))


def fast_mode_total(reading: str, *, legacy: bool) -> int | None:
    """Returns `total` in the fast mode; legacy methods, whose `result` is the list of rows, answer 0."""
    return 0 if reading == "zero" or (reading == "by_method" and legacy) else None


def short_list(call: MethodCall, rows: Sequence[Any], *, wrap: str = "") -> MethodResult:
    """Returns a directory: all rows whatever `start` is, unless the portal is set to page it."""
    start = call.start()
    if call.interpretations.short_lists == "paged":
        return page(rows, start, wrap=wrap)
    return everything(rows, wrap=wrap, total=True)


def everything(rows: Iterable[Any], *, wrap: str = "", total: bool = False) -> MethodResult:
    cut = list(rows)
    return MethodResult({wrap: cut} if wrap else cut, total=len(cut) if total else None, rows=len(cut))


def pick(rows: Iterable[Row], select: Any, always: Iterable[str] = ()) -> list[Row]:
    """Returns rows with the selected columns; unknown names are ignored, `*` and no selection mean all."""
    names = names_of(select)
    if not names or "*" in names:
        return list(rows)
    wanted = {*names, *always}
    return [{key: value for key, value in row.items() if key in wanted} for row in rows]

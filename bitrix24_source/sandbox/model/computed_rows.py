"""Builds the rows of computed items, in the loop that decides how fast a million items are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..scenarios.deterministic import PERIOD, Column, Drawn
from .schema import Schema

Row = dict[str, Any]
# Clients repeat a handful of selections; each has one template per position of the period.
MOST_PLANS = 8


class RowMaker:
    """Builds rows of one schema. Drawn columns repeat after PERIOD items, so they are copied from templates."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._plans: dict[tuple[int, tuple[str, ...] | None], _Plan] = {}

    def rows(self, numbers: Sequence[int], names: Sequence[str] | None = None) -> list[Row]:
        """Returns rows with the named columns, or with all default ones; unknown names are ignored."""
        plan = self._plan(None if names is None else tuple(names))
        return [plan.row(number) for number in numbers]

    def _plan(self, names: tuple[str, ...] | None) -> _Plan:
        key = (self._schema.version, names)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            plan = self._plans[key] = _Plan(self._columns(names))
        return plan

    def _columns(self, names: tuple[str, ...] | None) -> dict[str, Column]:
        if names is None:
            return self._schema.columns()
        return {name: column for name in names if (column := self._schema.column(name)) is not None}


class _Plan:
    def __init__(self, columns: dict[str, Column]) -> None:
        self._columns = columns
        self._moving = [(name, column) for name, column in columns.items() if not isinstance(column, Drawn)]
        self._templates: dict[int, Row] = {}

    def row(self, number: int) -> Row:
        place = number % PERIOD
        template = self._templates.get(place)
        if template is None:
            template = self._templates[place] = self._template(number)
        row = template.copy()
        for name, column in self._moving:
            row[name] = column(number)
        return row

    def _template(self, number: int) -> Row:
        """Returns the drawn values, with placeholders for the others so that columns keep their order."""
        return {name: column(number) if isinstance(column, Drawn) else None for name, column in self._columns.items()}

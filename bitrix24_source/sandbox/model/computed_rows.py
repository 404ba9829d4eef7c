"""Makes the rows of computed items: the loop that a million of them pass through.

It refuses to know which items exist and which were changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bitrix24_source.sandbox.scenarios.deterministic import PERIOD, Column, Drawn

from .schema import Schema

Row = dict[str, Any]
# Clients ask for a handful of selections over and over; each keeps one template for every place of the period.
MOST_PLANS = 8


class RowMaker:
    """Rows of one schema. Drawn columns repeat after PERIOD items: they are kept in templates and copied."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._plans: dict[tuple[int, tuple[str, ...] | None], _Plan] = {}

    def rows(self, numbers: Sequence[int], names: Sequence[str] | None = None) -> list[Row]:
        """The named columns, or all that come unasked; names that do not exist are passed over."""
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
        """The drawn values, and a place for each of the others, so that the columns keep their order."""
        return {name: column(number) if isinstance(column, Drawn) else None for name, column in self._columns.items()}

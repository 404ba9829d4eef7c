"""Stores the items of one type: computed from the seed, overlaid with changes.

A page is requested by ids and column names. Rows are built only when they are read, so a million items take no more
memory than ten.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from threading import RLock
from typing import Any

from ..methods.filters import LAST, Where
from ..scenarios.deterministic import mix, salt
from .computed_rows import RowMaker
from .lifecycle import LONGEST_LIFE, Journeys, Lane, Lives
from .schema import Schema

Row = dict[str, Any]


class ItemStore:
    """`count` items whose ids start at `first` and lie `step` apart (with jitter where step > 1)."""

    def __init__(
        self,
        schema: Schema,
        lanes: Sequence[Lane],
        salted: int,
        count: int,
        lives: Lives,
        *,
        first: int = 1,
        step: int = 1,
    ) -> None:
        self.schema = schema
        self.journeys = Journeys(lanes, salted, count, self.index_of, lives)
        self.trip = self.journeys.trip
        self.lock = RLock()
        self._maker = RowMaker(schema)
        self._count, self._first, self._step = count, first, step
        self._salt = salt("ids", schema.entity_type_id, step)
        self._own: dict[int, Row] = {}  # changed and added items, whole rows
        self._own_ids: list[int] = []
        self._deleted: list[int] = []  # deleted ids of computed items, in order ...
        self._gone: set[int] = set()  # ... and the same ids as a set, for membership tests
        self._last = self.id_at(count - 1) if count else first - 1

    # -- ids -----------------------------------------------------------------------------------------------------

    @property
    def computed(self) -> int:
        return self._count

    def id_at(self, index: int) -> int:
        jitter = mix(index, self._salt) % self._step if self._step > 1 else 0
        return self._first + index * self._step + jitter

    def index_of(self, number: int) -> int:
        """Returns the position of a computed id in the order of creation; later ids get the last one."""
        return min(max(0, (number - self._first) // self._step), max(0, self._count - 1))

    def _is_computed(self, number: int) -> bool:
        index, rest = divmod(number - self._first, self._step)
        return 0 <= index < self._count and self.id_at(index) == self._first + index * self._step + rest

    def exists(self, number: int) -> bool:
        if number in self._own:
            return True
        return self._is_computed(number) and number not in self._gone

    def _window(self, low: int, high: int) -> tuple[int, int]:
        """Returns the positions of the first computed id in [low, high] and of the one after the last."""
        places = range(self._count)
        near_low = max(0, (low - self._first) // self._step - 1)
        near_high = max(0, (high - self._first) // self._step + 2)
        start = bisect_left(places, low, *self._near(near_low, near_low + 3), key=self.id_at)
        end = bisect_right(places, high, *self._near(near_high - 3, near_high), key=self.id_at)
        return start, end

    def _near(self, start: int, end: int) -> tuple[int, int]:
        return min(max(0, start), self._count), min(max(0, end), self._count)

    def _added(self) -> list[int]:
        """Returns the ids beyond the computed ones: those of added items, not those of changed ones."""
        return self._own_ids[bisect_right(self._own_ids, self._computed_last()) :]

    def _computed_last(self) -> int:
        return self.id_at(self._count - 1) if self._count else self._first - 1

    def total(self, low: int = -LAST, high: int = LAST) -> int:
        start, end = self._window(low, high)
        gone = bisect_right(self._deleted, high) - bisect_left(self._deleted, low)
        added = self._added()
        return max(0, end - start - gone) + bisect_right(added, high) - bisect_left(added, low)

    def slice(self, low: int, high: int, first: int, size: int, *, descending: bool = False) -> list[int]:
        """Returns the ids at positions first..first+size between two ids, without iterating over those before."""
        with self.lock:
            total = self.total(low, high)
            places = range(first, min(first + size, total))
            if not descending:
                return self._ids_from(low, high, first, len(places))
            return self._ids_from(low, high, total - first - len(places), len(places))[::-1]

    def _ids_from(self, low: int, high: int, place: int, size: int) -> list[int]:
        start, end = self._window(low, high)
        gone_before = bisect_left(self._deleted, low)
        index = self._skip(start, end, place, gone_before)
        found: list[int] = []
        while index < end and len(found) < size:
            number = self.id_at(index)
            if number not in self._gone:
                found.append(number)
            index += 1
        computed = end - start - (bisect_right(self._deleted, high) - gone_before)
        added = self._added()
        first = bisect_left(added, low) + max(0, place - computed)
        return found + added[first : bisect_right(added, high)][: size - len(found)]

    def _skip(self, start: int, end: int, place: int, gone_before: int) -> int:
        """Returns the position of the place-th id after `start` that is not deleted.

        Each round adds the deleted ids passed so far.
        """
        index = start + place
        while index < end:
            further = start + place + bisect_right(self._deleted, self.id_at(index)) - gone_before
            if further == index:
                break
            index = further
        return index

    def ids(self, where: Where | None = None) -> Iterator[int]:
        """All ids in ascending order; with a condition, those that meet it."""
        where = where or Where()
        for number in self._candidates(where):
            if not where.rest or where.admits(self.reader(number)):
                yield number

    def _candidates(self, where: Where) -> Iterator[int]:
        if where.ids is not None:
            yield from sorted(number for number in where.ids if where.admits_id(number) and self.exists(number))
            return
        start, end = self._window(where.low, where.high)
        if where.updated_since is not None:
            oldest = where.updated_since - LONGEST_LIFE
            start = max(start, bisect_left(range(end), oldest, key=self.journeys.created_at)) if end else start
        hidden = self._gone | self._own.keys()
        computed = (number for number in map(self.id_at, range(start, end)) if number not in hidden)
        own = self._own_ids[bisect_left(self._own_ids, where.low) : bisect_right(self._own_ids, where.high)]
        yield from heapq.merge(computed, own)

    # -- values --------------------------------------------------------------------------------------------------

    def reader(self, number: int) -> Callable[[str], Any]:
        own = self._own.get(number)
        if own is not None:
            return own.get
        return lambda name: column(number) if (column := self.schema.column(name)) is not None else None

    def row(self, number: int, names: list[str] | None = None) -> Row:
        """One item with the named columns, or with all that come unasked."""
        return self.rows([number], names)[0]

    def rows(self, numbers: list[int], names: list[str] | None = None) -> list[Row]:
        """Many items, in the order of their ids as given."""
        rows = self._maker.rows(numbers, names)
        if self._own:
            for place, number in enumerate(numbers):
                if (own := self._own.get(number)) is not None:
                    rows[place] = self._own_row(own, names)
        return rows

    def _own_row(self, own: Row, names: list[str] | None) -> Row:
        columns = self.schema.columns() if names is None else dict.fromkeys(names)
        return {name: own.get(name) for name in columns if self.schema.column(name) is not None}

    # -- changes -------------------------------------------------------------------------------------------------

    def add(self, row: Row) -> int:
        with self.lock:
            self._last += 1
            number = self._last
            empty: Row = {name: [] if field.multiple else None for name, field in self.schema.fields.items()}
            self._keep(number, {**empty, **dict.fromkeys(self.schema.hidden), **row, "id": number})
            return number

    def change(self, number: int, changes: Row) -> Row:
        with self.lock:
            row = {**self.row(number, self.schema.every_column()), **changes, "id": number}
            self._keep(number, row)
            return row

    def _keep(self, number: int, row: Row) -> None:
        if number not in self._own:
            insort(self._own_ids, number)
        self._own[number] = row

    def restore(self, number: int) -> None:
        """Undeletes a computed item, with the values that the seed gives it."""
        with self.lock:
            if number not in self._gone:
                raise KeyError(number)
            self._gone.remove(number)
            self._deleted.remove(number)

    def delete(self, number: int) -> None:
        with self.lock:
            if number in self._own:
                del self._own[number]
                self._own_ids.remove(number)
            if self._is_computed(number) and number not in self._gone:
                insort(self._deleted, number)
                self._gone.add(number)

"""Which items did somebody choose, which of their fields, and how are they to be read? Settings, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .errors import ConfigError

RANGES: Mapping[str, tuple[float, float]] = {
    "connections": (1, 100),
    "requests_per_second": (0.01, 1_000_000),
    "burst": (1, 1_000_000),
    "overlap_minutes": (0, 525_600),
    "sweep_hours": (0, 87_600),
    "sweep_runs": (0, 1_000_000),
    "max_deleted_share": (0, 1),
    "slice_rows": (0, 1_000_000_000),
    "slice_seconds": (0, 1_000_000_000),
}
"""what each number in `[sources.bitrix24]` may be, both ends included"""


def require_in_range(**settings: float) -> None:
    """Numbers are looked at before anything is done: what they would break lies far from where they were set.

    Raises:
        ConfigError: one is outside of its range, or is no number.
    """
    for name, value in settings.items():
        least, most = RANGES[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ConfigError(
                f"{name} cannot be {str(value)[:40]}",
                f"sources.bitrix24.{name}",
                f"set it to a number from {least:,} to {most:,}, or leave it out",
            )


@dataclass(frozen=True)
class SweepSchedule:
    """How often the ids of a type are compared with the destination's, to find what was deleted."""

    hours: float = 24.0
    runs: int = 0
    now: bool = False

    def __post_init__(self) -> None:
        require_in_range(sweep_hours=self.hours, sweep_runs=self.runs)


@dataclass
class Slices:
    """How much of the items one load package takes, so that a kill costs one slice and not everything.

    Attributes:
        rows: after so many no more are asked for; 0 is no limit.
        seconds: nor after so long; 0 is no limit.
        unfinished: whether the last round ended with something left.
        rounds: how many there were.
        pace, catalog: what one round learned and the next need not find out again.
        seen: ids by list, of those whose reading began in an earlier round of this run.
        settled: lists that an earlier round of this run has read to the end, or that failed and are left to the next run.
        resources: those that are selected in the source, once a round began.
        new_tables: tables that the destination did not have when this run began.
    """

    rows: int = 0
    seconds: float = 0.0
    unfinished: bool = False
    rounds: int = 0
    pace: Any = field(default=None, repr=False)
    catalog: Any = field(default=None, repr=False)
    seen: dict[Any, list[Any]] = field(default_factory=dict, repr=False)
    settled: set[Any] = field(default_factory=set)
    resources: frozenset[str] = frozenset()
    new_tables: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        require_in_range(slice_rows=self.rows, slice_seconds=self.seconds)

    def is_full(self, rows: int, seconds: float) -> bool:
        return bool((self.rows and rows >= self.rows) or (self.seconds and seconds >= self.seconds))

    def begin_round(self) -> None:
        """The first round of a run knows nothing of the run before."""
        if not self.unfinished:
            self.rounds = 0
            self.seen.clear()
            self.new_tables.clear()
            self.settled.clear()


class LeftOut:
    """What somebody does not want in the destination: resources by name, and columns as `table.column`."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        dotted = [name.partition(".") for name in names]
        self.resources = frozenset(table for table, dot, _ in dotted if not dot)
        self._columns = frozenset((table, column.lower()) for table, dot, column in dotted if dot)

    def columns_of(self, table: str) -> frozenset[str]:
        """Columns of a table; those of a field that takes several values go by the field's name, too."""
        return frozenset(column for owner, column in self._columns if owner == table)


OWN_FILTERS = frozenset({">id", "<=id", ">ID", "<=ID", ">=updatedTime", ">=UPDATED_TIME"})
"""conditions with which we page and go on; a user's would be overwritten"""


@dataclass
class ItemChoice:
    """Which items, which of their fields, and how."""

    types: Sequence[int | str] | None = None
    select: Mapping[Any, Sequence[str]] = field(default_factory=dict)
    filter: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    connections: int = 4
    max_deleted_share: float = 0.2
    overlap: timedelta = timedelta(minutes=15)
    sweep: SweepSchedule = field(default_factory=SweepSchedule)
    restart: bool = False
    personal: bool = False
    left_out: LeftOut = field(default_factory=LeftOut)
    is_whole: bool = False
    slices: Slices = field(default_factory=Slices)

    def __post_init__(self) -> None:
        require_in_range(connections=self.connections, max_deleted_share=self.max_deleted_share)
        for name, conditions in self.filter.items():
            own = sorted(OWN_FILTERS & set(conditions))
            if own:
                raise ConfigError(
                    f"the filter of {name!r} uses {', '.join(own)}, with which items are paged",
                    "sources.bitrix24.filter",
                    "bound another field, or leave it out",
                )

    def read_whole(self) -> None:
        """All items in one package, whatever was read before: for a destination that cannot keep the rows of another."""
        self.is_whole = True
        self.slices.rows, self.slices.seconds = 0, 0.0

"""What to read and how: types, fields, filters, exclusions and the reconciliation schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ..errors import ConfigError
from .session import RunSession
from .setting_ranges import validate_range
from .slice_limits import SliceLimits


@dataclass(frozen=True)
class ReconcileSchedule:
    """How often the ids of a type are compared with the destination's."""

    hours: float = 24.0
    runs: int = 0
    now: bool = False

    def __post_init__(self) -> None:
        validate_range(sweep_hours=self.hours, sweep_runs=self.runs)


class Exclusions:
    """What is not to be loaded: resources by name, and columns as `table.column`."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        dotted = [name.partition(".") for name in names]
        self.resources = frozenset(table for table, dot, _ in dotted if not dot)
        self._columns = frozenset((table, column.lower()) for table, dot, column in dotted if dot)

    def with_columns(self, columns: Mapping[str, Iterable[str]]) -> Exclusions:
        """Returns a copy that excludes further columns, by table."""
        more = Exclusions()
        more.resources = self.resources
        more._columns = self._columns | {(table, name) for table, names in columns.items() for name in names}
        return more

    def columns_of(self, table: str) -> frozenset[str]:
        """Returns the excluded columns of a table; a field with several values may also be excluded by its name."""
        return frozenset(column for owner, column in self._columns if owner == table)


OWN_FILTERS = frozenset({">id", "<=id", ">ID", "<=ID", ">=updatedTime", ">=UPDATED_TIME"})
"""conditions that paging and incremental reads use themselves, and that a user's filter must not contain"""


@dataclass
class SyncOptions:
    """Which items and fields to load, and how."""

    types: Sequence[int | str] | None = None
    select: Mapping[Any, Sequence[str]] = field(default_factory=dict)
    filter: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    connections: int = 4
    max_deleted_share: float = 0.2
    overlap: timedelta = timedelta(minutes=15)
    sweep: ReconcileSchedule = field(default_factory=ReconcileSchedule)
    full_refresh: bool = False
    personal_data: bool = False
    exclusions: Exclusions = field(default_factory=Exclusions)
    renamed_from: str = ""
    single_package: bool = False
    session: RunSession = field(default_factory=RunSession)

    def __post_init__(self) -> None:
        validate_range(connections=self.connections, max_deleted_share=self.max_deleted_share)
        for name, conditions in self.filter.items():
            own = sorted(OWN_FILTERS & set(conditions))
            if own:
                raise ConfigError(
                    f"the filter of {name!r} uses {', '.join(own)}, with which items are paged",
                    "sources.bitrix24.filter",
                    "bound another field, or leave it out",
                )

    def require_single_package(self) -> None:
        """Has everything read in one package: for a destination that cannot keep the rows of other packages."""
        self.single_package = True
        self.session.limits = SliceLimits()

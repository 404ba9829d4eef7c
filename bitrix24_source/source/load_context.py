"""The running load, for the engine: implements `sync.ports` with dlt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dlt

from ..sync import DestinationReader, State
from .capabilities import current_capabilities
from .current_load import current_collector, current_load_id, tables_dropped_by_refresh
from .destination_reader import DltDestinationReader, recreate_missing_tables


class DltLoadContext:
    """The load package that dlt is extracting; outside a pipeline, nothing is stored.

    Used for one extraction; values that dlt looks up in its configuration are read once.
    """

    def __init__(
        self,
        existing_tables: frozenset[str] | None = None,
        has_consumer: Callable[[str], bool] = lambda _resource: True,
        destination: DltDestinationReader | None = None,
        *,
        is_detached: bool = False,
    ) -> None:
        """Looks up the load.

        Args:
            existing_tables: names of the destination's tables.
            has_consumer: returns whether rows of a resource are still consumed.
            destination: reads the destination; a new reader without it.
            is_detached: states of resources are not stored.
        """
        self.load_id = current_load_id()
        self._keeps_states = bool(self.load_id) and not is_detached
        self.capabilities = current_capabilities()
        self.destination: DestinationReader = destination or DltDestinationReader()
        self._existing_tables = existing_tables
        self.tables_dropped_by_refresh: Sequence[str] = tables_dropped_by_refresh()
        self.source_state: State = dlt.current.source_state() if self._keeps_states else {}
        self._has_consumer = has_consumer
        self._states: dict[str, State] = {}
        self._collector = current_collector()

    def resource_state(self, resource: str) -> State:
        if resource not in self._states:
            self._states[resource] = dlt.current.resource_state(resource) if self._keeps_states else {}
        return self._states[resource]

    def has_consumer(self, resource: str) -> bool:
        return self._has_consumer(resource)

    def has_columns(self, table: str, columns: Sequence[str] = ()) -> bool:
        if not self.load_id or not self.capabilities.supports_merge:
            return False
        tables: Mapping[str, Any] = dlt.current.source_schema().tables
        name = self.capabilities.normalize_table(table)
        stored = tables.get(name, {}).get("columns", {})
        return name in tables and all(self.capabilities.normalize_column(column) in stored for column in columns)

    def recreate_missing_tables(self, tables: Sequence[str]) -> list[str]:
        return recreate_missing_tables(tables, self._existing_tables)

    def show_progress(self, table: str, message: str) -> None:
        if self._collector is not None:
            self._collector.update(table, 0, message=message)

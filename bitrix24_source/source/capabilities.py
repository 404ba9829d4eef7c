"""What the running load's destination can do, and how it spells names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dlt
from dlt.extract.exceptions import CurrentSourceNotAvailable

from ..schema import NOTHING_STORED, ColumnType, StoredColumns
from ..sync import Capabilities
from .current_load import current_load_id
from .dlt_internals import active_pipeline, destination_capabilities
from .hints import MERGE_STRATEGY, has_seen_data

_MAX_COLUMNS = {"postgres": 1600, "redshift": 1600, "mssql": 1024, "synapse": 1024, "fabric": 1024, "bigquery": 10_000}
"""of a table; https://www.postgresql.org/docs/current/limits.html and its like"""
_DAY = 86_400_000_000
_LIMITS: Mapping[str, Mapping[ColumnType, range]] = {
    "clickhouse": {"date": range(1 << 16), "timestamp": range(-25_567 * _DAY, 120_530 * _DAY)},
}
"""of dlt's types for dates and times; ClickHouse refuses a whole file for a day beyond them, or shows another time.
https://clickhouse.com/docs/sql-reference/data-types/date and datetime64: from 1970 to 2149, and from 1900 to 2299"""


def current_capabilities() -> Capabilities:
    """Of the destination of the running load; outside a load those of one that can do everything and has nothing."""
    naming = _naming()
    if naming is None:
        return Capabilities()
    can_merge = supports_merge()
    return Capabilities(
        can_merge,
        _max_columns(),
        StoredColumns.from_schema(dlt.current.source_schema(), _LIMITS.get(_destination_type()))
        if can_merge
        else NOTHING_STORED,
        lambda name: str(naming.normalize_tables_path(name)),
        lambda name: str(naming.normalize_path(name)),
    )


def supports_merge() -> bool:
    """Whether single rows can be replaced. Where not, as in files, a table is written anew by each run."""
    able = destination_capabilities() if current_load_id() else None
    if able is None:
        return True
    strategies = able.supported_merge_strategies or []
    if able.merge_strategies_selector:
        strategies = able.merge_strategies_selector(strategies, table_schema={})
    return MERGE_STRATEGY in strategies


def normalized_table(name: str) -> str:
    """The table as the destination has it: what is too long is shortened, with a hash."""
    naming = _naming()
    return str(naming.normalize_tables_path(name)) if naming else name


def normalized_column(name: str) -> str:
    """The same for a column."""
    naming = _naming()
    return str(naming.normalize_path(name)) if naming else name


def is_stored(table: str) -> bool:
    """Whether an earlier load has written rows of the table."""
    known: Mapping[str, Any] = dlt.current.source_schema().tables if current_load_id() else {}
    return has_seen_data(known.get(normalized_table(table), {}))


def _max_columns() -> int | None:
    return _MAX_COLUMNS.get(_destination_type())


def _destination_type() -> str:
    """The last word of dlt's name of it."""
    destination = active_pipeline().destination
    return str(destination.destination_type.rpartition(".")[2]) if destination else ""


def _naming() -> Any:
    try:
        return dlt.current.source_schema().naming if current_load_id() else None
    except CurrentSourceNotAvailable:
        return None

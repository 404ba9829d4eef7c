"""The capabilities of the running load's destination, and its spelling of names."""

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
"""maximum number of columns of a table, e.g. https://www.postgresql.org/docs/current/limits.html"""
_DAY = 86_400_000_000
_LIMITS: Mapping[str, Mapping[ColumnType, range]] = {
    "clickhouse": {"date": range(1 << 16), "timestamp": range(-25_567 * _DAY, 120_530 * _DAY)},
}
"""ranges of dates and times; for a value out of them ClickHouse rejects a whole file, or shows another time.
https://clickhouse.com/docs/sql-reference/data-types/date and datetime64: from 1970 to 2149, and from 1900 to 2299"""


def current_capabilities() -> Capabilities:
    """Returns the capabilities of the running load's destination; outside a load, of an empty one without limits."""
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
    """Returns whether single rows can be replaced; otherwise, as in files, each run rewrites a table."""
    able = destination_capabilities() if current_load_id() else None
    if able is None:
        return True
    strategies = able.supported_merge_strategies or []
    if able.merge_strategies_selector:
        strategies = able.merge_strategies_selector(strategies, table_schema={})
    return MERGE_STRATEGY in strategies


def normalized_table(name: str) -> str:
    """Returns a table's name in the destination; long names are shortened, with a hash."""
    naming = _naming()
    return str(naming.normalize_tables_path(name)) if naming else name


def normalized_column(name: str) -> str:
    """Returns a column's name in the destination."""
    naming = _naming()
    return str(naming.normalize_path(name)) if naming else name


def is_stored(table: str) -> bool:
    """Returns whether an earlier load has written rows of the table."""
    known: Mapping[str, Any] = dlt.current.source_schema().tables if current_load_id() else {}
    return has_seen_data(known.get(normalized_table(table), {}))


def _max_columns() -> int | None:
    return _MAX_COLUMNS.get(_destination_type())


def _destination_type() -> str:
    """Returns the last part of dlt's name of the destination."""
    destination = active_pipeline().destination
    return str(destination.destination_type.rpartition(".")[2]) if destination else ""


def _naming() -> Any:
    try:
        return dlt.current.source_schema().naming if current_load_id() else None
    except CurrentSourceNotAvailable:
        return None

"""What the running load's destination can do, and how it spells names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dlt
from dlt.common.configuration.container import Container
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.extract.exceptions import CurrentSourceNotAvailable

from ..schema import NOTHING_STORED, ColumnType, StoredColumns

MERGE_STRATEGY = "delete-insert"
"""the only one that replaces an item's list as a whole, and takes an item twice"""


def normalized_column(name: str) -> str:
    """The column as the destination has it: what is too long is shortened, with a hash."""
    naming = _naming()
    return str(naming.normalize_path(name)) if naming else name


def normalized_table(name: str) -> str:
    """The same for a table."""
    naming = _naming()
    return str(naming.normalize_tables_path(name)) if naming else name


def stored_columns() -> StoredColumns:
    """What the destination has, as dlt's schema knows it; nothing outside a load, or where each load writes its tables anew."""
    try:
        return (
            StoredColumns.from_schema(dlt.current.source_schema(), _LIMITS.get(_destination_type()))
            if _is_loading() and supports_merge()
            else NOTHING_STORED
        )
    except CurrentSourceNotAvailable:
        return NOTHING_STORED


_MAX_COLUMNS = {"postgres": 1600, "redshift": 1600, "mssql": 1024, "synapse": 1024, "fabric": 1024, "bigquery": 10_000}
"""of a table; https://www.postgresql.org/docs/current/limits.html and its like"""


def max_columns() -> int | None:
    """How many columns a table of the destination may have; None for no limit that anybody meets."""
    return _MAX_COLUMNS.get(_destination_type())


_DAY = 86_400_000_000
_LIMITS: Mapping[str, Mapping[ColumnType, range]] = {
    "clickhouse": {"date": range(1 << 16), "timestamp": range(-25_567 * _DAY, 120_530 * _DAY)},
}
"""of dlt's types for dates and times; ClickHouse refuses a whole file for a day beyond them, or shows another time.
https://clickhouse.com/docs/sql-reference/data-types/date and datetime64: from 1970 to 2149, and from 1900 to 2299"""


def _destination_type() -> str:
    """The last word of dlt's name of it; "" outside a load."""
    destination = dlt.current.pipeline().destination if _is_loading() else None
    return str(destination.destination_type.rpartition(".")[2]) if destination else ""


def supports_merge() -> bool:
    """Whether single rows can be replaced. Where not, as in files, a table is written anew by each run."""
    able = Container().get(DestinationCapabilitiesContext) if _is_loading() else None
    if able is None:
        return True
    strategies = able.supported_merge_strategies or []
    if able.merge_strategies_selector:
        strategies = able.merge_strategies_selector(strategies, table_schema={})
    return MERGE_STRATEGY in strategies


def write_disposition(key: str = "") -> Any:
    """How tables of items are written; with a `key`, what arrives replaces the rows of the same key.

    dlt would ask for each row of the destination whether its keys were among those that arrived. DuckDB answers that by
    sorting the whole table into hashes; asked in this form it skips what lies outside of the ids that arrived.
    """
    if not supports_merge():
        return "replace"
    scope = {"destination_scope": f"{key} IN (SELECT {key} FROM {{staging_table}})"} if key else {}  # noqa: S608 - our own names
    return {"disposition": "merge", "strategy": MERGE_STRATEGY, **scope}


def _naming() -> Any:
    try:
        return dlt.current.source_schema().naming if _is_loading() else None
    except CurrentSourceNotAvailable:
        return None


def _is_loading() -> bool:
    try:
        dlt.current.load_package_state()
    except CurrentLoadPackageStateNotAvailable:
        return False
    return True

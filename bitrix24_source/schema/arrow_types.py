"""The Arrow type of each column type, and the ranges that it can hold."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from .fields import ColumnType

ARROW_TYPES: Mapping[ColumnType, pa.DataType] = {
    "bigint": pa.int64(), "double": pa.float64(), "text": pa.string(), "bool": pa.bool_(), "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"), "decimal": pa.decimal128(38, 9), "json": pa.string(),
}  # fmt: skip
COLUMN_TYPES: Mapping[pa.DataType, ColumnType] = {arrow: name for name, arrow in ARROW_TYPES.items() if name != "json"}
INTEGER, TEXT, DATE, TIMESTAMP, DECIMAL = (
    ARROW_TYPES[name] for name in ("bigint", "text", "date", "timestamp", "decimal")
)
# The years 1 to 9999, in days and in microseconds since 1970.
VALID_DAYS = range(-719_162, 2_932_897)
VALID_MICROSECONDS = range(-719_162 * 86_400_000_000, 2_932_897 * 86_400_000_000)

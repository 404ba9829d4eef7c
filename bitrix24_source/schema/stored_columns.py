"""The columns that already exist in the destination, whose types are fixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from .fields import ColumnType


def _unchanged(name: str) -> str:
    return name


@dataclass(frozen=True)
class StoredColumns:
    """Tables of the destination with their columns, from the pipeline's schema; empty before the first load.

    Attributes:
        tables: types by column, by table, with the destination's names.
        normalize_table: returns a table's name in the destination.
        normalize_column: returns a column's name in the destination.
        limits: smaller ranges of this destination: dates in days and timestamps in microseconds since 1970.
    """

    tables: Mapping[str, Mapping[str, ColumnType]] = field(default_factory=dict)
    normalize_table: Callable[[str], str] = _unchanged
    normalize_column: Callable[[str], str] = _unchanged
    limits: Mapping[ColumnType, range] = field(default_factory=dict)

    @classmethod
    def from_schema(cls, schema: Any, limits: Mapping[ColumnType, range] | None = None) -> StoredColumns:
        """Reads a dlt schema. Columns that never had a value have no type and are ignored."""
        tables = {
            name: {
                column: cast(ColumnType, described["data_type"])
                for column, described in table.get("columns", {}).items()
                if described.get("data_type")
            }
            for name, table in schema.tables.items()
        }
        return cls(tables, schema.naming.normalize_tables_path, schema.naming.normalize_path, limits or {})

    def type_of(self, table: str, column: str) -> ColumnType | None:
        """Returns the type of a column, None if the destination does not have it."""
        return self.columns_of(table).get(self.normalize_column(column))

    def columns_of(self, table: str) -> Mapping[str, ColumnType]:
        """Returns the types of a table's columns."""
        return self.tables.get(self.normalize_table(table), {})

    def has(self, table: str, column: str, type_: ColumnType) -> bool:
        """Returns whether a column of this type can be written: it has this type, or does not exist."""
        return self.type_of(table, column) in (None, type_)

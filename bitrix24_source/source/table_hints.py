"""Turns the engine's tables into dlt items: rows, and hints with the first rows of a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import dlt

from ..sync import HARD_DELETE, TableBatch, TableSpec
from .hints import write_disposition
from .table_descriptions import TableDescriptions


class TableHints:
    """Marks the tables of one load package with their names and hints for dlt.

    Hints are attached to the first rows of a table: yielded alone they would count towards `add_limit`. The second batch
    clears the column hints, because dlt would otherwise compare them with its schema on every Arrow table. Hints belong to
    the resource that writes the table.

    Args:
        described: descriptions of tables and columns.
        supports_merge: whether the destination can replace single rows.
    """

    def __init__(self, described: TableDescriptions, *, supports_merge: bool) -> None:
        self._described = described
        self._supports_merge = supports_merge
        self._hinted: defaultdict[str, set[TableSpec]] = defaultdict(set)
        self._without_column_hints: defaultdict[str, set[TableSpec]] = defaultdict(set)

    def to_dlt(self, batch: TableBatch) -> Any:
        """Returns rows for dlt, marked with their table."""
        table = batch.table
        if table in self._without_column_hints[batch.resource]:
            return dlt.mark.with_table_name(batch.data, table.name)
        if table in self._hinted[batch.resource]:
            self._without_column_hints[batch.resource].add(table)
            nothing: Any = dlt.mark.make_hints(table_name=table.name, columns={}, additional_table_hints={})
            return dlt.mark.with_hints(batch.data, nothing, create_table_variant=True)
        self._hinted[batch.resource].add(table)
        return dlt.mark.with_hints(batch.data, self.hints(table, batch.data.schema.names), create_table_variant=True)

    def without_columns(self, table: TableSpec) -> Any:
        """Returns the hints of a table without rows and columns, for a resource that has columns of its own.

        Table variants of a resource start as copies of its columns.
        """
        return dlt.mark.with_hints([], self._hints(table, {}, ()), create_table_variant=True)

    def hints(self, table: TableSpec, names: Sequence[str]) -> Any:
        """Returns the hints of a table: how dlt merges it, and its description.

        dlt deduplicates by key although reading by id yields each row once: a package that is loaded again after a kill finds
        its first rows still in the staging table.

        Args:
            table: the table.
            names: its columns in the rows so far.
        """
        columns: dict[str, Any] = {name: {"nullable": False} for name in table.not_null}
        if self._supports_merge and table.newest_by:
            columns[table.newest_by] = {"dedup_sort": "desc"}
        if table.has_delete_markers:
            columns[HARD_DELETE.name] = {"data_type": "bool", **({"hard_delete": True} if self._supports_merge else {})}
        for name, text in self._described.of_columns(table.name, names).items():
            columns.setdefault(name, {})["description"] = text
        return self._hints(table, columns or None, names)

    def _hints(self, table: TableSpec, columns: dict[str, Any] | None, names: Sequence[str]) -> Any:
        """Returns hints; for `columns`, an empty dict clears those of the resource, None leaves them."""
        keys: dict[str, Any] = {"primary_key": list(table.primary_key)}
        if table.merge_key:
            keys["merge_key"] = list(table.merge_key)
        disposition = write_disposition(table.replaces_by, supports_merge=self._supports_merge)
        words = self._described.of_table(table.name, frozenset(names))
        return dlt.mark.make_hints(
            table_name=table.name, write_disposition=disposition, additional_table_hints=words, columns=columns, **keys
        )

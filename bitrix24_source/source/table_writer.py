"""Turns the engine's tables into what dlt takes: rows, and with the first ones of a table its hints."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import dlt

from ..sync import HARD_DELETE, TableBatch, TableSpec
from .hints import write_disposition


class TableWriter:
    """Lives as long as one load package.

    Hints travel with rows, because yielded by themselves they would count for `add_limit`; and once, because with every page
    they would cost more than the rows. A table belongs to the resource that it is written by, and so do its hints.

    Args:
        supports_merge: whether the destination can replace single rows.
    """

    def __init__(self, *, supports_merge: bool) -> None:
        self._supports_merge = supports_merge
        self._announced: defaultdict[str, set[TableSpec]] = defaultdict(set)

    def to_dlt(self, batch: TableBatch) -> Any:
        """The rows for dlt, marked with their table."""
        table = batch.table
        if table in self._announced[batch.resource]:
            return dlt.mark.with_table_name(batch.data, table.name)
        self._announced[batch.resource].add(table)
        return dlt.mark.with_hints(batch.data, self.hints(table), create_table_variant=True)

    def without_columns(self, table: TableSpec) -> Any:
        """The hints of a table without a row, for a resource that has columns of its own: a variant of it would start with these."""
        hints = self.hints(table)
        hints["columns"] = {}  # only an empty dict takes columns out again
        return dlt.mark.with_hints([], hints, create_table_variant=True)

    def hints(self, table: TableSpec) -> Any:
        """How dlt merges a table.

        dlt may rank rows to keep one of each key, although reading by id brings each once: a package that is loaded again after
        a kill finds its first rows still in the staging table.
        """
        columns: dict[str, Any] = {name: {"nullable": False} for name in table.not_null}
        if self._supports_merge and table.newest_by:
            columns[table.newest_by] = {"dedup_sort": "desc"}
        if table.has_delete_markers:
            columns[HARD_DELETE.name] = {"data_type": "bool", **({"hard_delete": True} if self._supports_merge else {})}
        described: dict[str, Any] = {"columns": columns} if columns else {}
        keys: dict[str, Any] = {"primary_key": list(table.primary_key)}
        if table.merge_key:
            keys["merge_key"] = list(table.merge_key)
        disposition = write_disposition(table.replaces_by, supports_merge=self._supports_merge)
        return dlt.mark.make_hints(table_name=table.name, write_disposition=disposition, **described, **keys)

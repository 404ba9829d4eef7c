"""The hints `description` and `references` of tables in dlt's schema.

They exist only in the schema: if they change, no table is altered and nothing is read again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import dlt

from ..catalog import Catalog, fixed_descriptions, item_descriptions, references_of
from .capabilities import is_stored, normalized_column, normalized_table
from .current_load import current_load_id, extracted_resources
from .hints import has_seen_data


class TableDescriptions:
    """Descriptions and references of all tables of a load.

    Args:
        catalog: the catalogue as read in this run.
        resource: a resource of this load; outside a load, the only one.
        types: the chosen smart processes, as accepted by `Catalog.find_all`; empty for all.
    """

    def __init__(self, catalog: Catalog, resource: str, types: Sequence[int | str] = ()) -> None:
        self._texts: defaultdict[str, dict[str, str]] = defaultdict(dict)
        texts = fixed_descriptions("", "")
        self._items_tables = {entity.items_table for entity in (*catalog.types, *catalog.objects)}
        for entity in (*catalog.types, *catalog.objects):
            texts.update(item_descriptions(entity.items_table, entity.title, entity.fields or (), catalog.stored))
        for (table, column), text in texts.items():
            self._texts[table][column] = text
        self._loaded = extracted_resources(resource)
        self._chosen = {entity.items_table for entity in catalog.find_all(types) or catalog.types}

    def of_columns(self, table: str, columns: Iterable[str]) -> dict[str, str]:
        """Returns descriptions by column, for those that have one."""
        texts = self._texts.get(table, {})
        return {name: texts[name] for name in columns if name and name in texts}

    def of_table(self, table: str, columns: AbstractSet[str]) -> dict[str, Any]:
        """Returns the table's own hints, always both: hints of a resource's second table start as a copy of the first's."""
        references = [
            {
                "referenced_table": reference.table,
                "columns": list(reference.columns),
                "referenced_columns": list(reference.referenced_columns),
            }
            for reference in references_of(table, columns)
            if self._is_there(reference.table)
        ]
        return {"description": self._texts.get(table, {}).get("", ""), "references": references}

    def update_stored(self) -> None:
        """Updates the hints of item tables that exist in the destination: without new rows they get none otherwise."""
        if not current_load_id():
            return
        schema = dlt.current.source_schema()
        for table, texts in self._texts.items():
            stored: Any = schema.tables.get(normalized_table(table), {})
            if table.partition("__")[0] not in self._items_tables or not has_seen_data(stored):
                continue
            columns = stored["columns"]
            for name, text in self.of_columns(table, texts).items():
                if column := columns.get(name) or columns.get(normalized_column(name)):
                    column["description"] = text
            stored.update(self.of_table(table, columns.keys()))

    def _is_there(self, table: str) -> bool:
        """Returns whether a table is loaded in this run or was loaded before."""
        if table in self._items_tables and table.startswith("spa_items_"):
            return ("spa_items" in self._loaded and table in self._chosen) or is_stored(table)
        return table in self._loaded or is_stored(table)

"""Records which parts of the catalogue could not be read in this run, so that their rows in the destination are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class IncompleteParts:
    """Collects tables, and single types' rows of a table, whose call failed.

    Attributes:
        tables: names of tables whose list could not be read to its end.
        types: by table name, the entityTypeIds whose rows could not be read while the others could.
    """

    def __init__(self) -> None:
        self.tables: set[str] = set()
        self._types: dict[str, set[int]] = {}

    def add(self, tables: Iterable[str], entity_type_id: int | None = None) -> None:
        """Marks tables as incomplete: as a whole, or for one type."""
        if entity_type_id is None:
            self.tables.update(tables)
            return
        for table in tables:
            self._types.setdefault(table, set()).add(entity_type_id)

    @property
    def types(self) -> Mapping[str, frozenset[int]]:
        return {table: frozenset(ids) for table, ids in self._types.items()}

"""Lets a test read, add, change and delete the items of one type, without rights and limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..portal.access import Caller
from .serialization import copy_of, dress, whole_rows
from .world import World
from .write_effects import add_item, change_item, delete_item
from .zones import PrintedTimes

Row = dict[str, Any]


class StoredItems:
    """`portal.items(177)`: a mapping of id -> item as crm.item.get returns it, with methods that change items."""

    def __init__(self, world: World, entity_type_id: int, caller: Caller, base_url: str, times: PrintedTimes) -> None:
        self._world, self._caller, self._base_url, self._times = world, caller, base_url, times
        self._store = world.objects[entity_type_id]

    def ids(self) -> list[int]:
        return list(self._store.ids())

    def get(self, item_id: int) -> Row:
        """The item as crm.item.get answers it to the webhook."""
        if not self._store.exists(item_id):
            raise KeyError(item_id)
        rows = [copy_of(row) for row in whole_rows(self._store, [item_id])]
        return dress(self._store, rows, self._caller, self._base_url, self._times)[0]

    def add(self, **fields: Any) -> int:
        return add_item(self._world, self._store, fields)

    def update(self, item_id: int, **fields: Any) -> None:
        """Changes fields; `updatedTime` becomes now unless it is given."""
        if not self._store.exists(item_id):
            raise KeyError(item_id)
        change_item(self._world, self._store, item_id, fields)

    def delete(self, item_id: int) -> None:
        if not self._store.exists(item_id):
            raise KeyError(item_id)
        delete_item(self._store, item_id)

    def restore(self, item_id: int) -> None:
        """Restores a deleted, computed item from the recycle bin, with its `updatedTime` unchanged."""
        self._store.restore(item_id)

    def __getitem__(self, item_id: int) -> Row:
        return self.get(item_id)

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, int) and self._store.exists(item_id)

    def __iter__(self) -> Iterator[int]:
        return self._store.ids()

    def __len__(self) -> int:
        return self._store.total()

"""Finds deleted items by comparing id sets, and marks them in `deleted_at`, keeping their last values.

dlt's merge replaces whole rows, so a row that is to be marked is read back from the destination first. An item that comes back
arrives like any other, and its new row has no `deleted_at`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..catalog import EntityType
from ..errors import Bitrix24Error, PortalError
from ..rest import Call, Client, call_many
from .destination_reader import DestinationReader

ALWAYS_ALLOWED_DELETES = 10
"""rows that may always go"""
Ids = Sequence[pa.Array]


def tombstones(held: DestinationReader, table: str, seen: Ids, now: datetime, max_share: float) -> Iterator[pa.Table]:
    """The rows of items that the destination has and the portal no longer shows, marked.

    Args:
        held: what the destination holds.
        table: an item table whose items were all read.
        seen: their ids.
        now: the time that `deleted_at` takes.
        max_share: of the table's living rows, at most, 0 to 1.

    Raises:
        PortalError: more would go than `max_share`: more likely a lost right than so many deletions.
    """
    living = held.active_ids(table)
    gone = living.filter(pc.invert(pc.is_in(living, value_set=_joined(seen))))
    if len(gone) > ALWAYS_ALLOWED_DELETES and len(gone) > max_share * len(living):
        raise PortalError(
            f"{len(gone):,} of {len(living):,} items are gone from the portal, which looks more like a lost right than like "
            "deletions; none was marked",
            table,
            "check the rights of the credential; if they were deleted, run once with "
            "SOURCES__BITRIX24__MAX_DELETED_SHARE=1",
        )
    for rows in held.rows(table, gone.to_pylist()) if len(gone) else ():
        marks = pa.array([now] * len(rows), pa.timestamp("us", tz="UTC"))
        yield rows.set_column(rows.schema.get_field_index("deleted_at"), "deleted_at", marks)


def restored_ids(held: DestinationReader, table: str, seen: Ids, came: Ids = ()) -> list[int]:
    """Ids that are marked in the destination and that the portal shows again, without those that came anyway."""
    return _intersection_without(held.deleted_ids(table), seen, came)


def missing_ids(held: DestinationReader, table: str, seen: Ids, came: Ids = ()) -> list[int]:
    """The same, and ids that the destination never had: a right that was given later makes an item neither new nor changed.

    A destination that cannot be read back looks empty, and nothing is missing from it.
    """
    living, marked = held.active_ids(table), held.deleted_ids(table)
    if not len(living) and not len(marked):
        return []
    return _intersection_without(_joined(seen), seen, [living, *came])


def _intersection_without(ids: Any, seen: Ids, without: Ids) -> list[int]:
    """Those of some ids that were seen, without others; in ascending order."""
    kept = pc.and_(pc.is_in(ids, value_set=_joined(seen)), pc.invert(pc.is_in(ids, value_set=_joined(without))))
    return sorted(ids.filter(kept).to_pylist())


def _joined(ids: Ids) -> pa.ChunkedArray:
    return pa.chunked_array(list(ids), pa.int64())


def confirmed_deleted_types(client: Client, absent: Sequence[EntityType]) -> list[EntityType]:
    """Those of some types that the portal says it does not have. Only its own word counts: a type may as well be hidden.

    crm.item.fields says so with a code in every language, and before it looks at rights, as crm.type.get does not.

    Raises:
        Bitrix24Error: the portal cannot be asked.
    """
    calls = [Call("crm.item.fields", {"entityTypeId": entity.entity_type_id}) for entity in absent]
    results = zip(absent, call_many(client, calls), strict=True)
    return [entity for entity, result in results if isinstance(result, Bitrix24Error) and result.code == "NOT_FOUND"]

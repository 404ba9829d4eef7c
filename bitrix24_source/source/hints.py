"""Columns and write dispositions as dlt wants them described."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..schema import Column

MERGE_STRATEGY = "delete-insert"
"""the only one that replaces an item's list as a whole, and takes an item twice"""
MERGE: Any = {"disposition": "merge", "strategy": MERGE_STRATEGY}


def column_hints(columns: Iterable[Column], texts: Mapping[str, str] | None = None) -> Any:
    """Columns as dlt wants them described.

    Args:
        columns: all of a table.
        texts: what some of them are, by name.
    """
    return {
        column.name: {
            "data_type": column.type,
            **({"timezone": True} if column.type == "timestamp" else {}),
            **({"description": texts[column.name]} if texts and column.name in texts else {}),
        }
        for column in columns
    }


def is_known(table: Mapping[str, Any]) -> bool:
    """Whether an earlier load has made a table of dlt's schema, with rows or without."""
    return bool(table.get("x-normalizer"))


def has_seen_data(table: Mapping[str, Any]) -> bool:
    """Whether an earlier load has written a table of dlt's schema."""
    return bool((table.get("x-normalizer") or {}).get("seen-data"))


def write_disposition(key: str = "", *, supports_merge: bool) -> Any:
    """How tables of items are written; with a `key`, what arrives replaces the rows of the same key.

    dlt would ask for each row of the destination whether its keys were among those that arrived. DuckDB answers that by
    sorting the whole table into hashes; asked in this form it skips what lies outside of the ids that arrived.
    """
    if not supports_merge:
        return "replace"
    scope = {"destination_scope": f"{key} IN (SELECT {key} FROM {{staging_table}})"} if key else {}  # noqa: S608 - our own names
    return {**MERGE, **scope}

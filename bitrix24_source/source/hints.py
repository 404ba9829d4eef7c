"""Columns and write dispositions as dlt hints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..schema import Column

MERGE_STRATEGY = "delete-insert"
"""the only strategy that replaces an item's list as a whole and accepts an item twice"""
MERGE: Any = {"disposition": "merge", "strategy": MERGE_STRATEGY}


def column_hints(columns: Iterable[Column], texts: Mapping[str, str] | None = None) -> Any:
    """Returns dlt hints for columns.

    Args:
        columns: all columns of a table.
        texts: descriptions by column.
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
    """Returns whether an earlier load has created a table of dlt's schema, with or without rows."""
    return bool(table.get("x-normalizer"))


def has_seen_data(table: Mapping[str, Any]) -> bool:
    """Returns whether an earlier load has written rows of a table of dlt's schema."""
    return bool((table.get("x-normalizer") or {}).get("seen-data"))


def write_disposition(key: str = "", *, supports_merge: bool) -> Any:
    """Returns the write disposition of item tables; with a `key`, new rows replace those with the same key.

    dlt would look up the key of each row of the destination among the new ones, for which DuckDB hashes the whole table. In
    this form it skips rows outside of the range of new ids.
    """
    if not supports_merge:
        return "replace"
    scope = {"destination_scope": f"{key} IN (SELECT {key} FROM {{staging_table}})"} if key else {}  # noqa: S608 - our own names
    return {**MERGE, **scope}

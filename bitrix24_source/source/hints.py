"""Columns as dlt wants them described."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..schema import Column


def column_hints(columns: Iterable[Column]) -> Any:
    """Columns as dlt wants them described."""
    return {
        column.name: {"data_type": column.type, **({"timezone": True} if column.type == "timestamp" else {})}
        for column in columns
    }

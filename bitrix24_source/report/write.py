"""Writes the report of a pipeline's destination into a file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import dlt

from ..errors import ConfigError
from .page import render_page
from .queries import MartReader, collect

DESTINATIONS = frozenset({"duckdb", "postgres"})
"""destinations, by dlt's names, that can run the report's queries"""


def write_report(
    pipeline: dlt.Pipeline,
    file: Path,
    *,
    types: Sequence[str] = (),
    people: bool = True,
    since: date | None = None,
    language: str = "",
) -> Path:
    """Writes the report of the data that the pipeline has loaded.

    Args:
        pipeline: a pipeline that has loaded a `bitrix24()` source, with its views.
        file: the file to write; an existing one is replaced atomically.
        types: entityTypeIds or titles; empty for all types.
        people: whether people are shown.
        since: only items created, and moves made, from this day on.
        language: one of `LANGUAGES`; "" for the portal's, as far as it is known.

    Returns:
        The file.

    Raises:
        ConfigError: the destination has no marts, or none that fit the arguments.
    """
    if pipeline.destination.destination_name not in DESTINATIONS:
        raise ConfigError(
            f"there is no report on {pipeline.destination.destination_name}",
            "bitrix24 report",
            "load into duckdb or postgres; the marts are views that any other tool can read",
        )
    with ExitStack() as stack:

        def connected() -> MartReader:
            client: Any = pipeline.sql_client()
            return MartReader(stack.enter_context(client))

        # PostgreSQL uses one core for most questions, DuckDB all of them.
        beside = connected() if pipeline.destination.destination_name == "postgres" else None
        data = collect(connected(), types=types, people=people, since=since, beside=beside)
    text = render_page(data, language)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(file.name + ".part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)
    return file

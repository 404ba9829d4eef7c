"""Rejects loads into tables of another source in the same dataset: dlt would mix the two, or fail half-way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import dlt
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.job_client_impl import SqlJobClientBase

from ..catalog import ISSUES
from ..errors import ConfigError
from ..sync import SPA_ITEMS
from .capabilities import normalized_table
from .current_load import current_load_id
from .dlt_internals import active_pipeline
from .hints import is_known


def require_own_tables(resources: frozenset[str]) -> None:
    """Compares the tables of this load with those that dlt has stored for the dataset's other sources.

    Costs a query as long as tables are still to be created, and nothing later.

    Args:
        resources: the resources to load; each except `spa_items` is named like its table. Another source with `load_issues`
            is this source under another name.

    Raises:
        ConfigError: another source has a table of the same name.
    """
    if not current_load_id():
        return
    known = dlt.current.source_schema().tables
    own = resources - {SPA_ITEMS, ISSUES.name}
    new = {name for name in own if not is_known(known.get(normalized_table(name), {}))}
    if not new:
        return
    pipeline = active_pipeline()
    for source, tables in _other_sources(pipeline, dlt.current.source_schema().name):
        shared = sorted(name for name in new if normalized_table(name) in tables)
        if shared and ISSUES.name not in tables:  # else it is this source under another name
            raise ConfigError(
                f"the source {source!r} has a table of the same name: {', '.join(shared)}",
                f"dataset {pipeline.dataset_name}",
                "load one of them into a dataset of its own, or leave these resources out: "
                f"leave_out = {json.dumps(shared)}",
            )


def _other_sources(pipeline: dlt.Pipeline, own: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields names and tables of other sources, of this pipeline and of all that have loaded into the dataset."""
    for name in pipeline.schema_names:
        if name != own:
            yield name, pipeline.schemas[name].tables
    with pipeline.destination_client() as client:
        if not isinstance(client, SqlJobClientBase) or not client.is_storage_initialized():
            return
        sql = client.sql_client
        table, column = (
            sql.make_qualified_table_name(client.schema.version_table_name),
            sql.escape_column_name("schema_name"),
        )
        try:
            names = sql.execute_sql(f"SELECT DISTINCT {column} FROM {table}")  # noqa: S608 - dlt's own names
        except DatabaseUndefinedRelation:
            return
        for (name,) in names or ():
            stored = client.get_stored_schema(name) if name != own else None
            if stored is not None:
                yield name, json.loads(stored.schema)["tables"]

"""Summarises a run: the rows that it wrote, the rows that each table has now, and its load packages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dlt
import orjson
import pyarrow as pa
from dlt.destinations.job_client_impl import SqlJobClientBase
from dlt.destinations.sql_client import SqlClientBase
from dlt.extract.source import DltSource

from ..catalog import ISSUES
from ..schema import DELETED_AT
from ..source import table_of
from ..sync import HARD_DELETE

Counts = Mapping[str, tuple[int, int]]
"""by table: the number of rows, and of those marked as deleted"""


@dataclass(frozen=True)
class TableSummary:
    """One table after a run, without delete markers.

    Attributes:
        rows: number of rows, without those marked as deleted; None if the destination cannot be read.
        added: difference to the number before the run; None likewise.
        written: rows that the run wrote, new or not.
        deleted: rows that the run marked as deleted.
    """

    rows: int | None = None
    added: int | None = None
    written: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class LoadSummary:
    """How a run ended.

    Attributes:
        rows: rows written by table, without child tables; `load_issues` among them.
        dataset: dataset or schema.
        tables: all tables of the dataset except child tables and dlt's own, including those that this run did not change.
        load_ids: ids of the committed load packages, in order.
        left: by table, the estimated rows of an unfinished read that are left for the next run; empty if none.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    dataset: str = ""
    tables: Mapping[str, TableSummary] = field(default_factory=dict)
    load_ids: Sequence[str] = ()
    left: Mapping[str, int] = field(default_factory=dict)

    @property
    def issues(self) -> int:
        return self.rows.get(ISSUES.name, 0)


class WrittenRows:
    """Counts the rows of each table while dlt extracts them, when delete markers can still be recognised."""

    def __init__(self) -> None:
        self.written: Counter[str] = Counter()
        self.deleted: Counter[str] = Counter()

    @property
    def rows(self) -> dict[str, int]:
        """Rows written by table, without child tables."""
        return {table: rows for table, rows in self.written.items() if "__" not in table}

    def watched(self, source: Any, resources: Collection[str] = ()) -> Any:
        """Returns a copy of the source, with the given or selected resources, whose rows are counted."""
        if not isinstance(source, DltSource):
            return source
        copy = source.with_resources(*(resources or source.selected_resources))
        for name, resource in copy.selected_resources.items():
            resource.add_map(partial(self._count, name))
        return copy

    def _count(self, resource: str, item: Any, meta: Any = None) -> Any:
        table = table_of(meta, resource)
        if isinstance(item, pa.Table):
            markers = _not_null(item, HARD_DELETE.name)  # delete markers, which dlt does not write
            deleted = _not_null(item, DELETED_AT)
            self.written[table] += len(item) - markers - deleted
            self.deleted[table] += deleted
        else:
            self.written[table] += 1
        return item


def _not_null(table: pa.Table, column: str) -> int:
    return len(table) - table.column(column).null_count if column in table.column_names else 0


class RowCounter:
    """Counts the rows of a schema's tables before and after a run. Keeps its SQL client, which takes longer than counting.

    Attributes:
        schema: dlt's name of the schema.
    """

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self._client: tuple[dlt.Pipeline, Any] | None = None

    def counts(self, pipeline: dlt.Pipeline) -> Counts | None:
        """Returns rows by table, without child tables and dlt's own; None if the destination cannot be read.

        One query: the database counts every table, and no rows are read.
        """
        tables = pipeline.schemas[self.schema].tables if self.schema in pipeline.schema_names else {}
        names = [name for name in tables if "__" not in name and not name.startswith("_dlt")]
        if not names:
            return {}
        with self._client_of(pipeline) as job_client:
            if not isinstance(job_client, SqlJobClientBase):
                return None
            stored = {name: columns for name, columns in job_client.get_storage_tables(names) if columns}
            if not stored:
                return {}
            client = job_client.sql_client
            counts = (_count(client, name, columns) for name, columns in stored.items())
            rows = client.execute_sql(" UNION ALL ".join(counts))
        return {str(name): (int(total), int(deleted)) for name, total, deleted in rows or ()}

    def _client_of(self, pipeline: dlt.Pipeline) -> Any:
        if self._client is None or self._client[0] is not pipeline:
            self._client = pipeline, pipeline.destination_client(self.schema)
        return self._client[1]


def _count(client: SqlClientBase[Any], name: str, columns: Mapping[str, Any]) -> str:
    deleted = f"count({client.escape_column_name(DELETED_AT)})" if DELETED_AT in columns else "0"
    return f"SELECT '{name}', count(*), {deleted} FROM {client.make_qualified_table_name(name)}"  # noqa: S608 - our own names


def summarize(written: WrittenRows, before: Counts | None, after: Counts | None) -> dict[str, TableSummary]:
    """Returns a summary of each table that exists or was written, in order of names."""
    tables = sorted({*(after or ()), *(name for name in written.written if "__" not in name)})
    return {name: _summary(name, written, before, after) for name in tables}


def _summary(name: str, written: WrittenRows, before: Counts | None, after: Counts | None) -> TableSummary:
    rows = added = None
    deleted = written.deleted[name]
    if after is not None:
        total, marked = after.get(name, (0, 0))
        rows = total - marked
        if before is not None:
            total_before, marked_before = before.get(name, (0, 0))
            added = rows - (total_before - marked_before)
    return TableSummary(rows, added, written.written[name], deleted)


def summary_lines(summary: LoadSummary) -> Iterator[str]:
    """Yields a text table for a person: the rows of each table now, and what the run changed."""
    yield f"{'table':<28} {'rows':>12} {'change':>10} {'written':>12} {'deleted':>10}"
    for name, table in summary.tables.items():
        rows = "" if table.rows is None else f"{table.rows:,}"
        added = f"{table.added:+,}" if table.added else ""
        deleted = f"{table.deleted:,}" if table.deleted else ""
        yield f"{name:<28} {rows:>12} {added:>10} {table.written:>12,} {deleted:>10}".rstrip()


def json_line(summary: LoadSummary, portal: str, seconds: float, requests: int) -> str:
    """Returns the result for scripts, as one line of JSON.

    Args:
        summary: summary of the run.
        portal: the portal's host.
        seconds: duration of the run.
        requests: number of HTTP requests to the portal.
    """
    result = {
        "portal": portal,
        "dataset": summary.dataset,
        "tables": {name: vars(table) for name, table in summary.tables.items()},
        "issues": summary.issues,
        "left": summary.left,
        "seconds": round(seconds, 1),
        "requests": requests,
        "load_ids": summary.load_ids,
    }
    return orjson.dumps(result).decode()

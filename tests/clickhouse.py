"""ClickHouse in this process: dlt's own destination and the real driver, on the engine that chdb embeds instead of a server.

Everything above the wire is what a server would be sent: the statements of dlt and ours, substituted by clickhouse-driver, and
answers in ClickHouse's Native format, read by the same driver. Files are inserted by clickhouse-connect's own function.
"""

# ruff: noqa: S608 - tables and columns of the tests' own

from __future__ import annotations

import re
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from types import SimpleNamespace
from typing import Any

import dlt
import pytest
from databases import DuckDB, Row

_QUERY = threading.Lock()
COMPILED = ("expressions", "aggregate_expressions", "sort_description")


def why_no_clickhouse() -> str:
    """Empty where the engine and the drivers are installed."""
    try:
        import chdb
        import clickhouse_connect
        import clickhouse_driver
    except ImportError as error:
        return f"{error.name} is not installed"
    del chdb, clickhouse_connect, clickhouse_driver
    return ""


@cache
def _session() -> Any:
    """The engine: a process has one, whose files go with the process."""
    from chdb.session import Session

    folder = tempfile.TemporaryDirectory(prefix="clickhouse")
    session = Session(folder.name)
    session.kept = folder
    # For few rows to compile a query, or to share it out, takes longer than to answer it.
    session.query(f"SET max_threads = 1, {', '.join(f'compile_{part} = 0' for part in COMPILED)}")
    return session


def ask(sql: str) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]]]:
    """Rows, and names and types of their columns.

    Raises:
        clickhouse_driver.errors.ServerException: the engine refuses the statement.
    """
    from clickhouse_driver.errors import ServerException

    try:
        with _QUERY:
            packed = bytes(_session().query(sql, "Native").bytes())
    except RuntimeError as error:
        code = re.search(r"Code: (\d+)\.", str(error))
        raise ServerException(str(error), int(code[1]) if code else 0) from None
    return _unpacked(packed)


def quoted(name: str) -> str:
    """A column's name in a statement."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unpacked(packed: bytes) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]]]:
    from clickhouse_driver.bufferedreader import CompressedBufferedReader
    from clickhouse_driver.context import Context
    from clickhouse_driver.streams.native import BlockInputStream

    context = Context()
    context.settings, context.client_settings = {}, _CLIENT_SETTINGS
    context.server_info = SimpleNamespace(used_revision=0, get_timezone=lambda: "UTC")
    chunks = iter([packed])
    reader = CompressedBufferedReader(lambda: next(chunks, b""), len(packed) or 1)
    stream = BlockInputStream(reader, context)
    rows: list[tuple[Any, ...]] = []
    columns: list[tuple[str, str]] = []
    while True:
        try:
            block = stream.read()
        except EOFError:
            return rows, columns
        columns = columns or list(block.columns_with_types)
        rows.extend(block.get_rows())


_CLIENT_SETTINGS = {
    "strings_as_bytes": False, "strings_encoding": "utf-8", "use_numpy": False, "opentelemetry_traceparent": None,
    "opentelemetry_tracestate": "", "quota_key": "", "input_format_null_as_default": False, "namedtuple_as_json": True,
    "server_side_params": False,
}  # fmt: skip


class _HttpClient:
    """What clickhouse-connect inserts files with."""

    def raw_insert(
        self, table: str, column_names: Any, insert_block: Any, fmt: str, settings: dict[str, Any], compression: str
    ) -> None:
        del column_names
        how = ", ".join(f"{name} = {value!r}" for name, value in settings.items() if not name.startswith("enable_http"))
        ask(
            f"INSERT INTO {table} FROM INFILE '{insert_block.name}' COMPRESSION '{compression}' SETTINGS {how} FORMAT {fmt}"
        )


@contextmanager
def in_process() -> Iterator[None]:
    """The two drivers speak to the embedded engine."""
    from clickhouse_driver import Client
    from clickhouse_driver.dbapi import connection

    class EngineClient(Client):  # type: ignore[misc]
        def execute(self, query: str, params: Any = None, with_column_types: bool = False, **_: Any) -> Any:
            if params is not None:
                query = self.substitute_params(query, params, self.connection.context)
            found = ask(query)
            return found if with_column_types else found[0]

        def disconnect(self) -> None:
            pass

    with pytest.MonkeyPatch.context() as drivers:
        drivers.setattr(connection, "Client", EngineClient)
        drivers.setattr("clickhouse_connect.create_client", lambda **_: nullcontext(_HttpClient()))
        yield


class ClickHouse(DuckDB):
    """A database of the engine, and a dataset in it."""

    engine = "clickhouse"

    def __init__(self) -> None:
        self.dataset = "crm"
        self._database = f"test_{uuid.uuid4().hex[:12]}"
        ask(f"CREATE DATABASE {self._database} ENGINE = Atomic")
        self.destination = dlt.destinations.clickhouse(f"clickhouse://default:x@127.0.0.1:1/{self._database}")

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """`{}.` in the SQL stands for the dataset; the values are in the statement."""
        assert not values
        return ask(sql.replace("{}.", f"{self._database}.{self.dataset}___"))[0]

    def _columns(self) -> Sequence[tuple[Any, ...]]:
        start = len(f"{self.dataset}___") + 1
        return self.query(
            f"select substring(table, {start}), name, type from system.columns where database = '{self._database}' "
            f"and startsWith(table, '{self.dataset}___') order by table, position"
        )

    def columns(self, table: str) -> list[str]:
        return [name for name in self.types().get(table, ()) if not name.startswith("_dlt")]

    def rows(self, table: str, *columns: str) -> list[Row]:
        names = columns or self.columns(table)
        listed = ", ".join(map(quoted, names))
        return [dict(zip(names, row, strict=True)) for row in self.query(f"select {listed} from {{}}.{table}")]

    def drop(self) -> None:
        ask(f"DROP DATABASE {self._database} SYNC")

"""The databases that tests load into, each looked at past dlt: a DuckDB file, or schemas of a PostgreSQL server.

The words for types and the values are DuckDB's; PostgreSQL's are translated, so that a test says once what it expects.
"""

# ruff: noqa: S608 - tables and columns of the tests' own

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
import duckdb

ENGINES = ("duckdb", "postgres")
POSTGRES = os.environ.get(
    "BITRIX24_POSTGRES", "postgresql://postgres:trusted@127.0.0.1:5432/postgres?options=-csynchronous_commit%3Doff"
)
"""a server's power failing is not what is tested, and waiting for its disk takes time"""
REQUIRED = os.environ.get("BITRIX24_REQUIRE_POSTGRES") == "1"

Row = dict[str, Any]

_IN_DUCKDB = {
    "bigint": "BIGINT", "boolean": "BOOLEAN", "character varying": "VARCHAR", "double precision": "DOUBLE", "date": "DATE",
    "jsonb": "JSON", "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
}  # fmt: skip


class DuckDB:
    """A file of its own. It stays open until it is dropped: a run opens it six times, each of which would take long."""

    engine = "duckdb"

    def __init__(self, folder: Path, dataset: str = "crm") -> None:
        self.file = folder / "warehouse.duckdb"
        self.dataset = dataset
        self.destination: Any = dlt.destinations.duckdb(str(self.file))
        self._kept = duckdb.connect(str(self.file))

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with self._kept.cursor() as cursor:
            yield cursor

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """`{}` in the SQL stands for the dataset, `?` for a value. A statement that is no question changes the database."""
        with self._cursor() as cursor:
            return list(cursor.execute(sql.replace("{}", self.dataset), values).fetchall())

    def types(self) -> dict[str, dict[str, str]]:
        """Every table with its columns and their types, dlt's own columns and tables too."""
        tables: dict[str, dict[str, str]] = {}
        for table, column, type_ in self._columns():
            tables.setdefault(table, {})[column] = type_
        return tables

    def _columns(self) -> Sequence[tuple[Any, ...]]:
        return self.query(
            "select table_name, column_name, data_type from information_schema.columns where table_schema = '{}' "
            "order by table_name, ordinal_position"
        )

    def columns(self, table: str) -> list[str]:
        """Names, without dlt's own."""
        found = self.query(
            "select column_name from information_schema.columns where table_schema = '{}' and table_name = ? "
            "order by ordinal_position",
            table,
        )
        return [name for (name,) in found if not name.startswith("_dlt")]

    def rows(self, table: str, *columns: str) -> list[Row]:
        """Rows with some columns, or with all but dlt's own."""
        names = columns or self.columns(table)
        listed = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
        found = self.query(f'select {listed} from {{}}."{table}"') if names else []
        return [dict(zip(names, row, strict=True)) for row in found]

    def copy(self, folder: Path) -> DuckDB:
        """Another one with the same content, in another folder."""
        folder.mkdir(exist_ok=True)
        self.query("checkpoint")
        shutil.copy(self.file, folder / self.file.name)
        return DuckDB(folder, self.dataset)

    def drop(self) -> None:
        """The file goes with the test's folder."""
        self._kept.close()


class PostgreSQL(DuckDB):
    """A dataset in the server of this machine, and its staging dataset."""

    engine = "postgres"

    def __init__(self) -> None:
        self.dataset = f"bitrix24_test_{uuid.uuid4().hex[:12]}"
        self.address = POSTGRES
        self._open()

    def _open(self) -> None:
        self.destination = dlt.destinations.postgres(self.address)
        self._kept = connect(self.address)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with self._kept.cursor() as cursor:
            yield cursor

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._cursor() as cursor:
            cursor.execute(sql.replace("{}", self.dataset).replace("?", "%s"), values or None)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def _columns(self) -> Sequence[tuple[Any, ...]]:
        found = self.query(
            "select table_name, column_name, data_type, numeric_precision, numeric_scale from information_schema.columns "
            "where table_schema = '{}' order by table_name, ordinal_position"
        )
        decimal = "DECIMAL({},{})".format
        return [
            (table, column, decimal(*digits) if type_ == "numeric" else _IN_DUCKDB.get(type_, type_))
            for table, column, type_, *digits in found
        ]

    def drop(self) -> None:
        with self._cursor() as cursor:
            for schema in (self.dataset, f"{self.dataset}_staging"):
                cursor.execute(f"drop schema if exists {schema} cascade")
        self._kept.close()


class CopiedPostgreSQL(PostgreSQL):
    """A dataset in a database of its own, which the server copies at once."""

    def __init__(self, template: str = "template0") -> None:
        self.dataset = "crm"
        self._name = f"bitrix24_test_{uuid.uuid4().hex[:12]}"
        self.address = urlsplit(POSTGRES)._replace(path=f"/{self._name}").geturl()
        self._on_the_server(f"create database {self._name} template {template}")
        self._open()

    def copy(self, folder: Path) -> CopiedPostgreSQL:
        del folder
        self._kept.close()  # nobody may be there meanwhile
        try:
            return CopiedPostgreSQL(self._name)
        finally:
            self._open()

    def drop(self) -> None:
        self._kept.close()
        self._on_the_server(f"drop database {self._name} with (force)")

    @staticmethod
    def _on_the_server(statement: str) -> None:
        server = connect()
        with server.cursor() as cursor:
            cursor.execute(statement)
        server.close()


def make_to_copy(engine: str, folder: Path) -> DuckDB:
    """An empty database of one of the `ENGINES` that is loaded once, and whose copies tests change."""
    return CopiedPostgreSQL() if engine == "postgres" else make(engine, folder)


def make(engine: str, folder: Path) -> DuckDB:
    """An empty database of one of the `ENGINES`, or of ClickHouse; a file in the folder, where it is one."""
    if engine == "clickhouse":
        from clickhouse import ClickHouse

        return ClickHouse()
    if engine == "postgres":
        return PostgreSQL()
    folder.mkdir(exist_ok=True)
    return DuckDB(folder)


@contextmanager
def kept_open(*files: Path) -> Iterator[None]:
    """DuckDB files that loads in this process open ten times each, which would take long; they are there from now on."""
    with ExitStack() as opened:
        for file in files:
            opened.enter_context(duckdb.connect(str(file)))
        yield


def connect(address: str = POSTGRES) -> Any:
    """The server of this machine; every statement is committed by itself, and JSON stays text.

    Raises:
        psycopg2.OperationalError: there is none.
        ImportError: there is no driver.
    """
    import psycopg2
    from psycopg2.extras import register_default_jsonb

    connection = psycopg2.connect(address, connect_timeout=3)
    connection.autocommit = True
    register_default_jsonb(connection, loads=str)
    return connection


def why_no_postgres() -> str:
    """Empty where there is a server to load into."""
    try:
        import psycopg2
    except ImportError:
        return "the driver of PostgreSQL is not installed"
    try:
        connect().close()
    except psycopg2.OperationalError as error:
        return f"no PostgreSQL for tests on 127.0.0.1:5432: {str(error).splitlines()[0]}"
    return ""

"""Creates, replaces and drops views in the destination, without disturbing their readers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dlt.destinations.exceptions import DatabaseException
from dlt.destinations.job_client_impl import SqlJobClientBase
from dlt.destinations.sql_client import SqlClientBase
from sqlglot import exp

from ..catalog import Descriptions, is_our_comment
from ..database_locks import LOCK_SECONDS, LockBudget, blocking_sessions, is_lock_timeout
from ..errors import causes
from .column_names import NameRules
from .lookups import column
from .marts import GROUPED, SQL_TYPES
from .query import StoredTables
from .revision import digest_of

INVALID_TABLE_DEFINITION = "42P16"
"""PostgreSQL's code for a view that cannot be replaced, because a column would be dropped, renamed or retyped"""
LOADS = "_dlt_loads"
"""dlt's own table of load packages, the only one of its tables that views read"""
COMMENTED = frozenset({"duckdb", "postgres", "clickhouse"})
"""dialects of databases in which comments can be written and read"""
_COMMENTS_AT_ONCE = 500
_SETTINGS = ("SET LOCAL work_mem = '64MB'", "SET LOCAL jit = off")
"""settings for large queries: by default PostgreSQL sorts on disk from four megabytes, and compiles for ten seconds what takes five"""
MARK = re.compile(r"bitrix24 (?:[0-9a-f]{16}(?: [0-9a-f]{16})?|emptied)")
_MARK_TO_COME = "bitrix24 ---------------- ----------------"
EMPTIED = "bitrix24 emptied"
"""comment on a view that had to release its table and could not be dropped"""


@dataclass(frozen=True)
class Relation:
    """A table or a view of the database.

    Attributes:
        kind: TABLE or VIEW.
        columns: their names.
    """

    kind: str
    columns: frozenset[str]


class ViewDatabase:
    """A destination with views.

    Attributes:
        stored: existing tables of dlt's schema, with their columns.
        dialect: sqlglot's name of its dialect.
    """

    def __init__(self, client: SqlJobClientBase) -> None:
        self._job_client = client
        self._client: SqlClientBase[Any] = client.sql_client
        caps = client.capabilities
        self._has_transactions = caps.supports_ddl_transactions
        self.dialect = caps.sqlglot_dialect or ""
        self._locks = LockBudget()
        self.stored = _stored(client)
        self._tables = digest_of(
            sorted((name, sorted(columns.items())) for name, columns in self.stored.tables.items())
        )

    def read(self, table: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Returns all rows of a table."""
        query = exp.select(*(column(self.stored.folded(name)) for name in columns)).from_(self.stored.table(table))
        rows = self._client.execute_sql(query.sql(self.dialect))
        return [dict(zip(columns, row, strict=True)) for row in rows or ()]

    def has(self, name: str) -> bool:
        """Returns whether a relation of this name exists."""
        return any(columns for _, columns in self._job_client.get_storage_tables([name]))

    def rows(self, query: exp.Query) -> list[tuple[Any, ...]]:
        """Returns the rows of a large query."""
        with self._client.begin_transaction() if self.dialect == "postgres" else nullcontext():
            if self.dialect == "postgres":
                for setting in _SETTINGS:
                    self._client.execute_sql(setting)
            return [tuple(row) for row in self._client.execute_sql(query.sql(self.dialect)) or ()]

    def has_tables(self, tables: Mapping[str, Mapping[str, str]]) -> set[str]:
        """Returns which of our own tables exist with the right columns.

        Args:
            tables: dlt's data types by column, by table.
        """
        found = dict(self._job_client.get_storage_tables(tables))
        return {
            name
            for name, columns in tables.items()
            if set(found[name]) == {self.stored.folded(column) for column in columns}
        }

    def create_table(self, name: str, columns: Mapping[str, str]) -> None:
        """Creates an empty table of our own; replaces one of a former release.

        Args:
            name: name of the table.
            columns: dlt's data types by column.
        """
        table = self.stored.table(name)
        typed = ", ".join(
            f"{exp.to_identifier(self.stored.folded(column), quoted=True).sql(self.dialect)} "
            f"{exp.DataType.build(SQL_TYPES[type_]).sql(self.dialect)}"
            for column, type_ in columns.items()
        )
        statements = [f"DROP TABLE IF EXISTS {self._sql(table)}", f"CREATE TABLE {self._sql(table)} ({typed})"]
        if self.dialect == "postgres":  # assumes independent columns, and would sort instead of hash
            groups, counts = ", ".join(filter(GROUPED.__contains__, columns)), self.stored.table(f"{name}_groups")
            statements.append(f"CREATE STATISTICS {self._sql(counts)} ON {groups} FROM {self._sql(table)}")
        self._execute(*statements)

    def rewrite(self, rows: Mapping[str, tuple[exp.Condition, exp.Query]]) -> None:
        """Replaces rows of our own tables in one transaction; concurrent readers see the old ones.

        Args:
            rows: by table, in this order: a condition for the old rows, and a query for the new ones.
        """
        statements = [*_SETTINGS] if self.dialect == "postgres" else []
        for name, (goes, comes) in rows.items():
            table = self._sql(self.stored.table(name))
            if self.dialect == "postgres":  # concurrent writers wait for each other, readers do not wait
                statements.append(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
            statements.append(f"DELETE FROM {table} WHERE {goes.sql(self.dialect)}")  # noqa: S608 - our own table
            statements.append(f"INSERT INTO {table} {comes.sql(self.dialect)}")
            if self.dialect == "postgres":
                statements.append(f"ANALYZE {table}")
        self._execute(*statements)

    def analyze(self) -> None:
        """Updates PostgreSQL's statistics of tables with new rows, if autovacuum has not: plans depend on them.

        Blocks neither readers nor writers.
        """
        if self.dialect != "postgres":
            return
        schema = _literal(self.stored.table("portal").db)
        stale = self._client.execute_sql(
            "SELECT c.relname FROM pg_class AS c LEFT JOIN pg_stat_all_tables AS s ON s.relid = c.oid "  # noqa: S608 - our own schema
            f"WHERE c.relnamespace = {schema}::regnamespace AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE') "
            "AND (c.reltuples < 0 OR s.n_mod_since_analyze > 1000 + 0.2 * c.reltuples)"
        )
        known = {self.stored.path(name)[-1]: name for name in self.stored.tables}
        for (name,) in stale or ():
            if name in known:
                self._execute(f"ANALYZE {self._sql(self.stored.table(known[name]))}")

    def create_or_replace(self, name: str, build: Callable[[], exp.Query], *inputs: Any) -> None:
        """Creates or replaces a view: in place if possible, which keeps grants and dependent views, else in one transaction.

        A view that cannot be replaced because of a reader is not changed: recreated, it would lose its grants.

        Args:
            name: name of the view.
            build: makes its query, which is slow; not called if the same code built the view from the same inputs.
            inputs: what the query depends on besides `stored`.
        """
        view = self.stored.table(name)
        present = self._marks.get(view.name, "").split()
        inputs_digest = digest_of(self._sql(view), self.dialect, self._tables, inputs)
        if inputs_digest in present:
            return
        text = self._written(build())
        digest = hashlib.sha256(f"{text} {self._tables}".encode("utf-8", "backslashreplace")).hexdigest()[:16]
        if digest in present:
            return  # unchanged, so readers need not wait
        mark = f"bitrix24 {inputs_digest} {digest}"
        text = text.replace(_MARK_TO_COME, mark)
        refused = False
        try:
            self._execute(f"CREATE OR REPLACE VIEW {self._sql(view)} AS {text}")
        except Exception as error:
            if not self._should_recreate(error):
                raise
            refused = True
        if refused:  # outside of the handler, so that an error has its own cause, not the first one
            self._execute(f"DROP VIEW IF EXISTS {self._sql(view)}", f"CREATE VIEW {self._sql(view)} AS {text}")
        self._marks[view.name] = mark

    def _written(self, query: exp.Query) -> str:
        """Returns the query as SQL, with a place for its mark."""
        if self.dialect in COMMENTED:
            mark = exp.Literal.string(_MARK_TO_COME)
            query.where(exp.EQ(this=mark, expression=mark.copy()), copy=False)
        return query.sql(self.dialect, copy=False)

    def drop(self, name: str) -> None:
        """Drops the view, so that its tables can be dropped.

        If a user's view depends on it, PostgreSQL cannot drop it; then it stays, without rows and without tables.
        """
        view = self.stored.table(name)
        self.__dict__.pop("_marks", None)
        try:
            self._execute(f"DROP VIEW IF EXISTS {self._sql(view)}")
        except Exception:
            if self.dialect != "postgres":
                raise
        else:
            return
        self._execute(self._emptied(view))

    def comments(self) -> Descriptions:
        """Returns all comments on tables, views and columns of the dataset."""
        schema = _literal(self.stored.table("portal").db)
        if self.dialect == "postgres":
            found = self._client.execute_sql(
                "SELECT c.relname, a.attname, d.description FROM pg_description AS d "  # noqa: S608 - our own name
                "JOIN pg_class AS c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass "
                "LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0 "
                f"WHERE c.relnamespace = {schema}::regnamespace AND c.relkind IN ('r', 'v')"
            )
        elif self.dialect == "duckdb":
            relations = " UNION ALL ".join(
                f"SELECT {name}_name, NULL, comment FROM duckdb_{name}s() "  # noqa: S608 - our own words
                f"WHERE database_name = current_database() AND schema_name = {schema}"
                for name in ("table", "view")
            )
            found = self._client.execute_sql(
                f"SELECT * FROM ({relations} UNION ALL SELECT table_name, column_name, comment FROM duckdb_columns() "  # noqa: S608 - our own schema
                f"WHERE database_name = current_database() AND schema_name = {schema}) AS c(relation, name, comment) "
                "WHERE comment IS NOT NULL"
            )
        else:
            found = []
        return {(relation, name or ""): text for relation, name, text in found or ()}

    def describe(self, descriptions: Descriptions, before: Descriptions) -> None:
        """Writes descriptions of existing relations, and restores comments of others on recreated views.

        Args:
            descriptions: texts by relation and column.
            before: result of `comments` before the views were created.
        """
        if self.dialect not in COMMENTED:
            return
        wanted = descriptions | {place: text for place, text in before.items() if not is_our_comment(text)}
        present = self.comments()
        existing = dict(self._relations())
        missing = {
            (relation, name): text
            for (relation, name), text in wanted.items()
            if relation in existing
            and (not name or name in existing[relation].columns)
            and present.get((relation, name)) != text
        }
        statements = list(self._commenting(missing, existing))
        for start in range(0, len(statements), _COMMENTS_AT_ONCE):
            self._execute_at_once(statements[start : start + _COMMENTS_AT_ONCE])

    def _relations(self) -> Iterator[tuple[str, Relation]]:
        """Yields tables and views of the dataset."""
        schema = _literal(self.stored.table("portal").db)
        kinds = self._client.execute_sql(
            "SELECT table_name, table_type FROM information_schema.tables "  # noqa: S608 - our own schema
            f"WHERE table_schema = {schema}"
        )
        columns: dict[str, set[str]] = {}
        listed = self._client.execute_sql(
            "SELECT table_name, column_name FROM information_schema.columns "  # noqa: S608 - our own schema
            f"WHERE table_schema = {schema}"
        )
        for table, name in listed or ():
            columns.setdefault(table, set()).add(name)
        for table, kind in kinds or ():
            yield table, Relation("VIEW" if kind == "VIEW" else "TABLE", frozenset(columns.get(table, ())))

    def _commenting(self, texts: Descriptions, relations: Mapping[str, Relation]) -> Iterable[str]:
        """Returns the statements that write descriptions."""
        paths = {relation: self._sql(self.stored.table(relation)) for relation in {relation for relation, _ in texts}}
        for (relation, name), text in texts.items():
            path = paths[relation]
            place = f"COLUMN {path}.{_quoted(name)}" if name else f"{relations[relation].kind} {path}"
            yield f"COMMENT ON {place} IS {_literal(' '.join(text.split()))}"

    def who_blocks(self, error: Exception) -> str:
        """Returns the sessions that blocked a failed statement; empty if it failed for another reason."""
        if not is_lock_timeout(causes(error)):
            return ""
        return blocking_sessions(self._client.execute_sql, self._client.fully_qualified_dataset_name(quote=False))

    def is_emptied(self, name: str) -> bool:
        """Returns whether `drop` could only empty the view, and it was not recreated since."""
        if self.dialect != "postgres":
            return False
        self.__dict__.pop("_marks", None)  # as it is now
        return self._marks.get(self.stored.table(name).name) == EMPTIED

    def _should_recreate(self, error: Exception) -> bool:
        """Returns whether a replacement failed because of the view's columns, not of a reader; other databases do not say."""
        if self.dialect != "postgres":
            return self._has_transactions
        cause = error.dbapi_exception if isinstance(error, DatabaseException) else error
        return getattr(cause, "pgcode", "") == INVALID_TABLE_DEFINITION

    def _execute(self, *statements: str) -> None:
        """Executes statements, in one transaction if the destination has them."""
        wait = self._locks.next_wait(LOCK_SECONDS)
        try:
            with self._client.begin_transaction() if self._has_transactions else nullcontext():
                if self.dialect == "postgres":
                    self._client.execute_sql(f"SET LOCAL lock_timeout = {int(wait * 1000)}")
                for statement in statements:
                    self._client.execute_sql(statement)
        except Exception as error:
            if is_lock_timeout(causes(error)):
                self._locks.spend(wait)
            raise

    def _execute_at_once(self, statements: Sequence[str]) -> None:
        """Executes many short statements at once, because each round trip costs more than the statement."""
        self._execute("; ".join(statements))

    @cached_property
    def _marks(self) -> dict[str, str]:
        """The marks in the queries of views: queries themselves cannot be compared, because databases rewrite them."""
        if self.dialect not in COMMENTED:
            return {}
        found = self._client.execute_sql(self._definitions())
        return {name: match[0] for name, text in found or () if (match := MARK.search(str(text)))}

    def _definitions(self) -> str:
        """Returns a query for the names and definitions of all views."""
        schema = _literal(self.stored.table("portal").db)
        if self.dialect == "postgres":
            return f"SELECT viewname, definition FROM pg_views WHERE schemaname = {schema}"  # noqa: S608 - our own name
        return (
            "SELECT view_name, sql FROM duckdb_views() WHERE database_name = current_database() "  # noqa: S608 - our own name
            f"AND schema_name = {schema}"
        )

    def _emptied(self, view: exp.Table) -> str:
        """Returns a query with the same columns and without tables."""
        found = self._client.execute_sql(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "  # noqa: S608 - our own name
            f"WHERE attrelid = {self._oid(view)} AND attnum > 0 ORDER BY attnum"
        )
        names = ((exp.to_identifier(name, quoted=True).sql("postgres"), type_) for name, type_ in found or ())
        columns = ", ".join(f"CAST(NULL AS {type_}) AS {name}" for name, type_ in names)
        return f"CREATE OR REPLACE VIEW {self._sql(view)} AS SELECT {columns} WHERE FALSE AND '{EMPTIED}' = '{EMPTIED}'"

    def _oid(self, view: exp.Table) -> str:
        return f"to_regclass({exp.Literal.string(self._sql(view)).sql('postgres')})"

    def _sql(self, view: exp.Table) -> str:
        return view.sql(self.dialect)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _stored(client: SqlJobClientBase) -> StoredTables:
    """Returns the tables that really exist: dlt's schema also has tables that were never created."""
    caps = client.capabilities
    folded = caps.casefold_identifier
    known = {
        name: table["columns"]
        for name, table in client.schema.tables.items()
        if name == LOADS or not name.startswith("_dlt")
    }
    tables = {
        table: {
            name: str(hints.get("data_type") or "text") for name, hints in known[table].items() if folded(name) in found
        }
        for table, found in client.get_storage_tables(known)
        if found
    }

    def path(table: str) -> list[str]:
        return client.sql_client.make_qualified_table_name_path(table, quote=False)

    limit = caps.max_column_identifier_length or caps.max_identifier_length
    return StoredTables(tables, path, folded, NameRules(limit, caps.sqlglot_dialect or ""))

"""Creates, replaces and drops views in the destination, without harm to those who read them."""

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
"""PostgreSQL's code for a view that would lose, rename or retype a column if it were replaced in place"""
LOADS = "_dlt_loads"
"""dlt's own table of load packages, the only one of its tables that views read"""
COMMENTED = frozenset({"duckdb", "postgres", "clickhouse"})
"""dialects whose databases take descriptions and tell what is written"""
_COMMENTS_AT_ONCE = 500
_SETTINGS = ("SET LOCAL work_mem = '64MB'", "SET LOCAL jit = off")
"""for queries over much: PostgreSQL sorts on disk from four megabytes on by itself, and compiles for ten seconds what takes five"""
MARK = re.compile(r"bitrix24 (?:[0-9a-f]{16}(?: [0-9a-f]{16})?|emptied)")
_MARK_TO_COME = "bitrix24 ---------------- ----------------"
EMPTIED = "bitrix24 emptied"
"""written on a view that had to let go of its table and could not be dropped"""


@dataclass(frozen=True)
class Relation:
    """A table or a view, as the database lists it.

    Attributes:
        kind: TABLE or VIEW.
        columns: their names.
    """

    kind: str
    columns: frozenset[str]


class ViewDatabase:
    """A destination that has views.

    Attributes:
        stored: the tables that dlt's schema knows and that exist, and their columns.
        dialect: sqlglot's name for its SQL.
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
        """All rows of a table."""
        query = exp.select(*(column(self.stored.folded(name)) for name in columns)).from_(self.stored.table(table))
        rows = self._client.execute_sql(query.sql(self.dialect))
        return [dict(zip(columns, row, strict=True)) for row in rows or ()]

    def has(self, name: str) -> bool:
        """Whether there is a view, or anything else, of this name."""
        return any(columns for _, columns in self._job_client.get_storage_tables([name]))

    def rows(self, query: exp.Query) -> list[tuple[Any, ...]]:
        """The rows of a query over much."""
        with self._client.begin_transaction() if self.dialect == "postgres" else nullcontext():
            if self.dialect == "postgres":
                for setting in _SETTINGS:
                    self._client.execute_sql(setting)
            return [tuple(row) for row in self._client.execute_sql(query.sql(self.dialect)) or ()]

    def has_tables(self, tables: Mapping[str, Mapping[str, str]]) -> set[str]:
        """Those of these tables of ours that are as they should be.

        Args:
            tables: their columns by name, and these with dlt's data types.
        """
        found = dict(self._job_client.get_storage_tables(tables))
        return {
            name
            for name, columns in tables.items()
            if set(found[name]) == {self.stored.folded(column) for column in columns}
        }

    def create_table(self, name: str, columns: Mapping[str, str]) -> None:
        """An empty table of ours, in the place of one that a former release made.

        Args:
            name: the table's.
            columns: dlt's data types by name.
        """
        table = self.stored.table(name)
        typed = ", ".join(
            f"{exp.to_identifier(self.stored.folded(column), quoted=True).sql(self.dialect)} "
            f"{exp.DataType.build(SQL_TYPES[type_]).sql(self.dialect)}"
            for column, type_ in columns.items()
        )
        statements = [f"DROP TABLE IF EXISTS {self._sql(table)}", f"CREATE TABLE {self._sql(table)} ({typed})"]
        if self.dialect == "postgres":  # which takes columns for independent, and would sort instead of counting groups
            groups, counts = ", ".join(filter(GROUPED.__contains__, columns)), self.stored.table(f"{name}_groups")
            statements.append(f"CREATE STATISTICS {self._sql(counts)} ON {groups} FROM {self._sql(table)}")
        self._execute(*statements)

    def rewrite(self, rows: Mapping[str, tuple[exp.Condition, exp.Query]]) -> None:
        """Exchanges rows of tables of ours at one stroke; who reads them meanwhile sees them as they were.

        Args:
            rows: by table, in this order: which rows go, and a query for those that come.
        """
        statements = [*_SETTINGS] if self.dialect == "postgres" else []
        for name, (goes, comes) in rows.items():
            table = self._sql(self.stored.table(name))
            if self.dialect == "postgres":  # two who do this at the same time wait for each other, readers for nobody
                statements.append(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
            statements.append(f"DELETE FROM {table} WHERE {goes.sql(self.dialect)}")  # noqa: S608 - our own table
            statements.append(f"INSERT INTO {table} {comes.sql(self.dialect)}")
            if self.dialect == "postgres":
                statements.append(f"ANALYZE {table}")
        self._execute(*statements)

    def analyze(self) -> None:
        """Lets PostgreSQL count what the load has brought, if it has not by itself: it plans by these counts.

        That locks out neither readers nor writers.
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
        """The view, in place where the database can: that keeps rights, and what stands on it. Else anew, at one stroke.

        A view that is only being read is left as it is: made anew it would lose its rights for no reason.

        Args:
            name: the view's.
            build: makes its query, which takes long; not called where the same code built the view from the same inputs.
            inputs: what the query depends on beside `stored`.
        """
        view = self.stored.table(name)
        present = self._marks.get(view.name, "").split()
        inputs_digest = digest_of(self._sql(view), self.dialect, self._tables, inputs)
        if inputs_digest in present:
            return
        text = self._written(build())
        digest = hashlib.sha256(f"{text} {self._tables}".encode("utf-8", "backslashreplace")).hexdigest()[:16]
        if digest in present:
            return  # nobody who reads the view need wait
        mark = f"bitrix24 {inputs_digest} {digest}"
        text = text.replace(_MARK_TO_COME, mark)
        refused = False
        try:
            self._execute(f"CREATE OR REPLACE VIEW {self._sql(view)} AS {text}")
        except Exception as error:
            if not self._should_recreate(error):
                raise
            refused = True
        if refused:  # outside of the handler: what is in the way now is the cause, and not the refusal before
            self._execute(f"DROP VIEW IF EXISTS {self._sql(view)}", f"CREATE VIEW {self._sql(view)} AS {text}")
        self._marks[view.name] = mark

    def _written(self, query: exp.Query) -> str:
        """The query as SQL, with a place for its mark."""
        if self.dialect in COMMENTED:
            mark = exp.Literal.string(_MARK_TO_COME)
            query.where(exp.EQ(this=mark, expression=mark.copy()), copy=False)
        return query.sql(self.dialect, copy=False)

    def drop(self, name: str) -> None:
        """Takes the view away, so that its tables can be dropped.

        Where somebody's own view stands on it PostgreSQL refuses; then it stays, without rows and without tables under it.
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
        """What is written on tables, views and columns of the dataset, by whomever."""
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
        """Writes descriptions on what exists, and back what somebody else had written before a view was made anew.

        Args:
            descriptions: by relation and column.
            before: `comments` before the views were made.
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
        """Tables and views of the dataset."""
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
        """The statements that write descriptions."""
        paths = {relation: self._sql(self.stored.table(relation)) for relation in {relation for relation, _ in texts}}
        for (relation, name), text in texts.items():
            path = paths[relation]
            place = f"COLUMN {path}.{_quoted(name)}" if name else f"{relations[relation].kind} {path}"
            yield f"COMMENT ON {place} IS {_literal(' '.join(text.split()))}"

    def who_blocks(self, error: Exception) -> str:
        """The sessions that a statement waited for in vain; empty where it failed for another reason."""
        if not is_lock_timeout(causes(error)):
            return ""
        return blocking_sessions(self._client.execute_sql, self._client.fully_qualified_dataset_name(quote=False))

    def is_emptied(self, name: str) -> bool:
        """Whether `drop` could only empty the view, and nobody filled it since."""
        if self.dialect != "postgres":
            return False
        self.__dict__.pop("_marks", None)  # as it is now
        return self._marks.get(self.stored.table(name).name) == EMPTIED

    def _should_recreate(self, error: Exception) -> bool:
        """Whether it was refused because of what it says, and not because of who reads it; others give no such reason."""
        if self.dialect != "postgres":
            return self._has_transactions
        cause = error.dbapi_exception if isinstance(error, DatabaseException) else error
        return getattr(cause, "pgcode", "") == INVALID_TABLE_DEFINITION

    def _execute(self, *statements: str) -> None:
        """All of them or none, as far as the destination goes."""
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
        """Many short statements, each of which costs more on its way than in the database."""
        self._execute("; ".join(statements))

    @cached_property
    def _marks(self) -> dict[str, str]:
        """What views bear in their queries since they were made: queries cannot be compared, databases rewrite them."""
        if self.dialect not in COMMENTED:
            return {}
        found = self._client.execute_sql(self._definitions())
        return {name: match[0] for name, text in found or () if (match := MARK.search(str(text)))}

    def _definitions(self) -> str:
        """A statement for the names and queries of all views."""
        schema = _literal(self.stored.table("portal").db)
        if self.dialect == "postgres":
            return f"SELECT viewname, definition FROM pg_views WHERE schemaname = {schema}"  # noqa: S608 - our own name
        return (
            "SELECT view_name, sql FROM duckdb_views() WHERE database_name = current_database() "  # noqa: S608 - our own name
            f"AND schema_name = {schema}"
        )

    def _emptied(self, view: exp.Table) -> str:
        """The same columns over nothing."""
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
    """What exists in truth: dlt's schema also has tables that were never made."""
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

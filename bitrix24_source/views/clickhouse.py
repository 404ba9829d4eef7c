"""Views in ClickHouse: creates and describes them there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlglot import exp

from ..catalog import Descriptions
from .clickhouse_queries import CLICKHOUSE, for_clickhouse
from .database import Relation, ViewDatabase

LIMITS: Mapping[str, int] = MappingProxyType({
    "max_query_size": 64 << 20, "max_ast_elements": 10_000_000, "max_expanded_ast_elements": 10_000_000,
})  # fmt: skip
"""settings of statements that create views: the defaults are too small for hundreds of types or columns"""
_SPECIAL = str.maketrans({";": "\\x3B", "%": "\\x25"})
"""dlt splits statements at semicolons, and its driver takes per cent signs for parameters, even in quotes"""


class ClickHouseViews(ViewDatabase):
    """A ClickHouse database, in which a dataset is a prefix of table names."""

    def create_or_replace(self, name: str, build: Callable[[], exp.Query], *inputs: Any) -> None:
        """Creates or replaces the view atomically, without waiting for readers. Arguments as in `ViewDatabase`."""
        super().create_or_replace(name, lambda: for_clickhouse(build()), *inputs)

    def comments(self) -> Descriptions:
        """Returns all comments on tables, views and columns of the dataset."""
        found = self._client.execute_sql(
            f"SELECT name, '', comment FROM system.tables WHERE {self._is_ours('name')} AND comment <> '' "  # noqa: S608 - our own names
            f"UNION ALL SELECT table, name, comment FROM system.columns WHERE {self._is_ours('table')} AND comment <> ''"
        )
        return {(relation[len(self._prefix) :], name): text for relation, name, text in found or ()}

    def _relations(self) -> Iterator[tuple[str, Relation]]:
        found = self._client.execute_sql(
            f"SELECT table, groupArray(name) FROM system.columns WHERE {self._is_ours('table')} GROUP BY table"  # noqa: S608 - our own names
        )
        for table, names in found or ():
            yield table[len(self._prefix) :], Relation("TABLE", frozenset(names))

    def _commenting(self, texts: Descriptions, relations: Mapping[str, Relation]) -> Iterable[str]:  # noqa: ARG002 - tables and views are altered alike
        """Yields one statement per relation, because each one rewrites the relation's definition."""
        changes: dict[str, list[str]] = {}
        for (relation, name), text in texts.items():
            written = _literal(" ".join(text.split()))
            change = f"COMMENT COLUMN {_identifier(name)} {written}" if name else f"MODIFY COMMENT {written}"
            changes.setdefault(relation, []).append(change)
        for relation, parts in changes.items():
            yield f"ALTER TABLE {self._sql(self.stored.table(relation))} {', '.join(parts)}"

    def _execute(self, *statements: str) -> None:
        limits = ", ".join(f"{name} = {value}" for name, value in LIMITS.items())
        for statement in statements:
            self._client.execute_sql(f"SET {limits}; {statement.translate(_SPECIAL)}")

    def _execute_at_once(self, statements: Sequence[str]) -> None:
        self._execute(*statements)

    def _definitions(self) -> str:
        return f"SELECT name, as_select FROM system.tables WHERE {self._is_ours('name')} AND engine = 'View'"  # noqa: S608 - our own names

    @property
    def _prefix(self) -> str:
        """The prefix of the dataset's tables."""
        return self.stored.table("portal").name.removesuffix("portal")

    def _is_ours(self, table: str) -> str:
        database = _literal(self.stored.table("portal").db)
        return f"database = {database} AND startsWith({table}, {_literal(self._prefix)})"


def _identifier(name: str) -> str:
    return str(exp.to_identifier(name.replace("\\", "\\\\"), quoted=True).sql(CLICKHOUSE))


def _literal(text: str) -> str:
    return str(exp.Literal.string(text).sql(CLICKHOUSE))

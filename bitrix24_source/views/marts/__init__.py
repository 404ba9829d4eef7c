"""Marts: views with the same names and columns in every portal and language, made of the loaded tables.

Each mart is a query in a `.sql` file beside this one, written in PostgreSQL's dialect and transpiled by sqlglot. The files
refer to three kinds of relations: tables of the destination, other files of this folder, and relations that are made at run
time (`existing_items`: items that are not deleted, `deleted_items`, `table_counts`). A table that was not loaded is empty, and a
missing column is NULL, so that every mart exists, with the same columns.

The stays of items in stages take databases seconds to compute. Where `facts` supports it, they are kept in two tables of our
own, with numbers, codes and times only. Labels are looked up when a mart is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

from sqlglot import exp, parse_one

from ...catalog import CRM_OBJECTS
from ...schema import DELETED_AT
from ..clickhouse_queries import CLICKHOUSE, adapted
from ..lookups import column
from ..query import StoredTables

MARTS = (
    "mart_items", "mart_stage_moves", "mart_stage_daily", "mart_owner_month", "mart_products", "mart_activities",
    "mart_load_health",
)  # fmt: skip

_TABLES: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "portal": {"host": "text", "base_currency": "text", "loaded_at": "timestamp"},
    "spa_types": {
        "entity_type_id": "bigint", "title": "text", "is_begin_close_dates_enabled": "bool",
        "is_link_with_products_enabled": "bool",
    },
    "spa_categories": {"entity_type_id": "bigint", "id": "bigint", "name": "text", "sort": "bigint"},
    "categories": {"entity_type_id": "bigint", "id": "bigint", "name": "text", "sort": "bigint"},
    "spa_stages": {
        "entity_type_id": "bigint", "category_id": "bigint", "status_id": "text", "name": "text", "sort": "bigint",
        "color": "text", "semantics": "text",
    },
    "stages": {
        "entity_type_id": "bigint", "category_id": "bigint", "status_id": "text", "name": "text", "sort": "bigint",
        "color": "text", "semantics": "text",
    },
    "users": {"id": "bigint", "name": "text", "last_name": "text"},
    "users__uf_department": {"item_id": "bigint", "position": "bigint", "value": "bigint"},
    "departments": {"id": "bigint", "name": "text"},
    "currencies": {"currency": "text", "amount": "decimal", "amount_cnt": "bigint", "is_base": "bool"},
    "statuses": {"entity_id": "text", "status_id": "text", "name": "text"},
    "companies": {"id": "bigint", "title": "text"},
    "contacts": {"id": "bigint", "name": "text", "last_name": "text"},
    "stage_history": {
        "id": "bigint", "entity_type_id": "bigint", "owner_id": "bigint", "created_time": "timestamp",
        "category_id": "bigint", "stage_id": "text", "stage_semantic_id": "text",
    },
    "product_rows": {
        "entity_type_id": "bigint", "owner_id": "bigint", "product_id": "bigint", "product_name": "text",
        "price": "double", "price_account": "double", "quantity": "double",
    },
    "activities": {
        "id": "bigint", "type_id": "bigint", "provider_id": "text", "subject": "text", "responsible_id": "bigint",
        "owner_type_id": "bigint", "owner_id": "bigint", "created": "timestamp", "deadline": "timestamp",
        "completed": "bool",
    },
    "load_issues": {"resource": "text", "entity_type_id": "bigint", "load_id": "text"},
    "rejected_values": {"table_name": "text"},
    "_dlt_loads": {"load_id": "text", "inserted_at": "timestamp", "status": "bigint"},
})  # fmt: skip
"""columns that the marts read from each table, with dlt's data types"""

_ITEM_COLUMNS: Mapping[str, str] = MappingProxyType({
    "id": "bigint", "title": "text", "category_id": "bigint", "stage_id": "text", "stage_semantic_id": "text",
    "assigned_by_id": "bigint", "company_id": "bigint", "contact_id": "bigint", "source_id": "text",
    "created_time": "timestamp", "updated_time": "timestamp", "moved_time": "timestamp", "date_closed": "timestamp",
    "closedate": "date", "opportunity": "double", "currency_id": "text", "opportunity_account": "double",
    "account_currency_id": "text",
})  # fmt: skip
"""columns that the marts read from each item table"""

FACTS: Mapping[str, str] = MappingProxyType({"stage_stays": "_mart_stage_moves", "stage_changes": "_mart_stage_daily"})
"""relations that may be kept in tables, with the names of these tables"""

FACT_COLUMNS: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "stage_stays": {
        "entity_type_id": "bigint", "item_id": "bigint", "move_id": "bigint", "category_id": "bigint", "stage_id": "text",
        "stage_semantic_id": "text", "entered_at": "timestamp", "entered_date": "date", "left_at": "timestamp",
        "left_date": "date", "next_category_id": "bigint", "next_stage_id": "text", "next_semantic_id": "text",
        "place": "bigint", "amount": "decimal",
    },
    "stage_changes": {
        "entity_type_id": "bigint", "category_id": "bigint", "stage_id": "text", "day": "date", "items": "bigint",
        "amount": "decimal",
    },
})  # fmt: skip
"""columns of these tables with dlt's data types, in the order of their queries"""

GROUPED = frozenset({"entity_type_id", "category_id", "stage_id", "next_stage_id"})
"""columns of these tables that depend on each other"""

SQL_TYPES: Mapping[str, str] = MappingProxyType(
    {"bigint": "BIGINT", "text": "TEXT", "double": "DOUBLE", "bool": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMPTZ",
     "decimal": "DECIMAL(38, 9)"}
)  # fmt: skip

_MART_OBJECTS = ("leads", "deals", "quotes", "invoices")
_COUNTED = {
    "duckdb": "SELECT UNNEST(RANGE(0, ?)) AS n",
    # PostgreSQL estimates a thousand rows for a series, and then compiles the plan for a second; for an array it estimates ten.
    "postgres": "SELECT u.n - 1 AS n FROM UNNEST(ARRAY_FILL(0, ARRAY[CAST(GREATEST(?, 0) AS INT)])) WITH ORDINALITY AS u(zero, n)",
    # It would compare every row with all numbers.
    "clickhouse": "range(toUInt64(greatest(ifNull(?, 0), 0)))",
}
"""replaces a join with `numbers` by a number of rows for each row"""
_ADDS_DAYS_TO_DATES = frozenset({"duckdb", "postgres"})
_NAMES_THE_UNIT_LAST = frozenset({"bigquery", "snowflake", "databricks"})


@dataclass(frozen=True)
class Zone:
    """The portal's time zone, as far as it is known.

    Attributes:
        name: name in the IANA database; "" if only the offset is known.
        offset_minutes: minutes east of UTC; None if nothing is known, and then days are NULL.
    """

    name: str = ""
    offset_minutes: int | None = None

    @staticmethod
    def of(zone: str | None, offset_minutes: int | None) -> Zone:
        """Returns the zone from columns of the table `portal`, in which the name may be an offset."""
        return Zone("" if not zone or zone[0] in "+-" else zone, offset_minutes)


class MartBuilder:
    """Builds the marts of one dataset.

    Args:
        stored: existing tables and their columns.
        zone: the zone in which instants are converted to days.
        has_facts: whether the tables of `FACTS` exist and are up to date.
        only: conditions by which relations are restricted, by name.
    """

    def __init__(
        self,
        stored: StoredTables,
        zone: Zone,
        *,
        has_facts: bool = False,
        only: Mapping[str, exp.Condition] = MappingProxyType({}),
    ) -> None:
        """Creates a builder, without reading anything."""
        self._stored = stored
        self._zone = zone
        self._has_facts = has_facts
        self._only = only
        self._dialect = stored.spelling.dialect
        self._functions: Mapping[str, Callable[..., exp.Expression]] = {
            "PORTAL_DAY": self._portal_day,
            "MONTH_OF": _month_of,
            "DAYS_BETWEEN": self._days_between,
            "DAY_COUNT": self._day_count,
            "ADD_DAYS": self._add_days,
            "BOUNDED": _bounded,
            "SEMANTICS": _semantics,
            "SECONDS_SINCE_1970": self._seconds_since_1970,
            "FIRST_ID": self._first_id,
        }
        self._width = 1
        self._texts: dict[str, str] = {}

    def query(self, mart: str) -> exp.Query:
        """Returns the query of one of `MARTS`, which uses tables of the destination only, no other marts."""
        return self._folded(self._file(mart))

    def changed_items(self, width: int = 1) -> exp.Query:
        """Returns a query for the items (type and id) whose kept rows differ from the loaded tables.

        With `width`, ids are ranges, given by their first id.
        """
        self._width = width
        return self._folded(self._file("changed_items"))

    def changed_types(self) -> exp.Query:
        """Returns a query for the types whose changes by day differ from the stays, and whether (0 or 1) days are of another zone."""
        return self._folded(self._file("changed_types"))

    def facts(self, relation: str) -> exp.Query:
        """Returns the query for the rows of one of `FACTS`."""
        return self._folded(self._file(relation))

    def _relation(self, name: str) -> str:
        """Returns a relation of the files, with its restriction, as SQL.

        Marts contain some relations dozens of times; as text each is built and written once.
        """
        if name == "stages_of_history":
            name = "stage_changes" if self._has_facts else "stage_history"
        if name not in self._texts:
            query = self._text(self._whole(name))
            if (condition := self._only.get(name)) is not None:
                query = self._text(exp.select("*").from_(_subquery(query, name), copy=False).where(condition))
            self._texts[name] = query
        return self._texts[name]

    def _text(self, query: exp.Query) -> str:
        """Writes a part of a mart, which nobody can adapt to the destination once it is text."""
        query = self._folded(query)
        return (adapted(query) if self._dialect == CLICKHOUSE else query).sql(self._dialect, copy=False)

    def _whole(self, name: str) -> exp.Query:
        if name == "existing_items":
            return self._items(deleted=False)
        if name == "deleted_items":
            return self._items(deleted=True)
        if name == "table_counts":
            return self._table_counts()
        if name in FACTS and self._has_facts:
            return exp.select(*map(column, FACT_COLUMNS[name])).from_(self._stored.table(FACTS[name]), copy=False)
        return self._table(name, _TABLES[name]) if name in _TABLES else self._file(name)

    def _file(self, name: str) -> exp.Query:
        query = _parsed(name).copy()
        for call in reversed(list(query.find_all(exp.Anonymous))):  # the innermost first
            call.replace(self._functions[call.name](*call.expressions))
        for join in list(query.find_all(exp.Join)):
            if join.this.name == "numbers" and self._dialect in _COUNTED:
                counted = _counted(self._dialect).copy()
                for bound in list(counted.find_all(exp.Placeholder)):
                    bound.replace(join.args["on"].expression.copy())
                join.replace(_each_number(counted, join.this.alias, query))
        for table in list(query.find_all(exp.Table)):
            table.replace(_subquery(self._relation(table.name), table.alias_or_name))
        return query

    # --- tables of the destination ----------------------------------------------------------------------------------

    def _table(self, name: str, columns: Mapping[str, str]) -> exp.Select:
        known = self._stored.tables.get(name)
        if known is None:
            return exp.select(*(self._null(name, type_) for name, type_ in columns.items())).where(exp.false())
        query = exp.select(*(self._read(known, name, type_) for name, type_ in columns.items()))
        query.from_(self._stored.table(name), copy=False)
        if DELETED_AT in known and name not in {"companies", "contacts"}:  # names of deleted ones are shown
            query.where(column(DELETED_AT).is_(exp.null()), copy=False)
        if "is_removed" in known:
            query.where(exp.not_(exp.func("COALESCE", column("is_removed"), exp.false())), copy=False)
        return query

    def _items(self, *, deleted: bool) -> exp.Query:
        shown = {"id": "bigint"} if deleted else _ITEM_COLUMNS
        queries: list[exp.Query] = []
        for table, entity_type_id in self.item_tables():
            known = self._stored.tables[table]
            if deleted and DELETED_AT not in known:
                continue
            number = exp.alias_(
                exp.cast(exp.Literal.number(entity_type_id), "BIGINT"), "entity_type_id", quoted=True, copy=False
            )
            query = exp.select(number, *(self._read(known, name, type_) for name, type_ in shown.items()))
            if not deleted:
                tells = exp.cast(exp.Literal.number(int("moved_time" in known)), "BIGINT")
                query.select(exp.alias_(tells, "tells_moves", quoted=True, copy=False), copy=False)
            query.from_(self._stored.table(table), copy=False)
            if DELETED_AT in known:
                is_alive = column(DELETED_AT).is_(exp.null())
                query.where(exp.not_(is_alive) if deleted else is_alive, copy=False)
            queries.append(query)
        if not queries:
            names = {"entity_type_id": "bigint", **shown, **({} if deleted else {"tells_moves": "bigint"})}
            return exp.select(*(self._null(name, type_) for name, type_ in names.items())).where(exp.false())
        return _union(queries)

    def item_tables(self) -> list[tuple[str, int]]:
        """Returns the item tables that the marts show, with their entityTypeId."""
        spas = ((name, match) for name in self._stored.tables if (match := re.fullmatch(r"spa_items_(\d+)", name)))
        objects = ((name, CRM_OBJECTS[name].entity_type_id) for name in _MART_OBJECTS if name in self._stored.tables)
        return [*objects, *sorted(((name, int(match[1])) for name, match in spas), key=lambda table: table[1])]

    def _table_counts(self) -> exp.Query:
        queries: list[exp.Query] = []
        for name in sorted(self._stored.tables):
            if "__" in name or name.startswith("_dlt"):
                continue
            query = exp.select(
                exp.alias_(exp.Literal.string(name), "table_name", quoted=True, copy=False),
                exp.alias_(exp.cast(exp.Count(this=exp.Star()), "BIGINT"), "rows", quoted=True),
            ).from_(self._stored.table(name))
            if DELETED_AT in self._stored.tables[name]:
                query.where(column(DELETED_AT).is_(exp.null()), copy=False)
            queries.append(query)
        if not queries:
            return exp.select(self._null("table_name", "text"), self._null("rows", "bigint")).where(exp.false())
        return _union(queries)

    def _read(self, known: Mapping[str, str], name: str, type_: str) -> exp.Expr:
        if name not in known:
            return self._null(name, type_)
        if known[name] == type_:
            return column(name)
        return exp.alias_(exp.cast(column(name), self._type(type_)), name, quoted=True, copy=False)

    def _null(self, name: str, type_: str) -> exp.Expr:
        return exp.alias_(exp.cast(exp.null(), self._type(type_)), name, quoted=True, copy=False)

    def _type(self, type_: str) -> str:
        """Returns the SQL type of dlt's columns: PostgreSQL appends tables in parallel only if column types are equal."""
        return "VARCHAR" if (type_, self._dialect) == ("text", "postgres") else SQL_TYPES[type_]

    def _folded(self, query: exp.Query) -> exp.Query:
        """Quotes identifiers, in the destination's spelling; names of its tables already are."""
        for identifier in query.find_all(exp.Identifier):
            if not isinstance(identifier.parent, exp.Table):
                identifier.set("this", self._stored.folded(identifier.name))
                identifier.set("quoted", True)
        return query

    # --- functions in the SQL of the files --------------------------------------------------------------------------

    def _portal_day(self, instant: exp.Expression) -> exp.Expression:
        if self._zone.name:
            return exp.cast(exp.AtTimeZone(this=instant, zone=exp.Literal.string(self._zone.name)), "DATE")
        if self._zone.offset_minutes is None:
            return exp.cast(exp.null(), "DATE")
        utc = exp.AtTimeZone(this=instant, zone=exp.Literal.string("UTC"))
        offset = exp.Interval(this=exp.Literal.string(str(self._zone.offset_minutes)), unit=exp.Var(this="MINUTE"))
        return exp.cast(exp.Paren(this=exp.Add(this=utc, expression=offset)), "DATE")

    def _days_between(self, start: exp.Expression, end: exp.Expression) -> exp.Expression:
        """Returns the days from one instant to another, with a fraction."""
        seconds: exp.Expression
        if self._dialect == "postgres":  # where EXTRACT gives decimals, at four times the cost
            lasted = exp.paren(exp.Sub(this=end, expression=start))
            seconds = exp.Anonymous(this="DATE_PART", expressions=[exp.Literal.string("epoch"), lasted])
        elif self._dialect == "duckdb":
            epochs = (exp.Extract(this=exp.Var(this="EPOCH"), expression=instant) for instant in (end, start))
            seconds = exp.cast(exp.paren(exp.Sub(this=next(epochs), expression=next(epochs))), "DOUBLE")
        elif self._dialect in _NAMES_THE_UNIT_LAST:
            seconds = exp.cast(exp.TimestampDiff(this=end, expression=start, unit=exp.Var(this="SECOND")), "DOUBLE")
        else:
            seconds = exp.cast(exp.DateDiff(this=end, expression=start, unit=exp.Var(this="SECOND")), "DOUBLE")
        return exp.paren(exp.Div(this=seconds, expression=exp.Literal.number("86400.0")))

    def _seconds_since_1970(self, instant: exp.Expression) -> exp.Expression:
        """Returns whole seconds since 1970; used only where the tables of `FACTS` are kept."""
        return exp.cast(exp.Anonymous(this="DATE_PART", expressions=[exp.Literal.string("epoch"), instant]), "BIGINT")

    def _first_id(self, id_: exp.Expression) -> exp.Expression:
        return first_id(id_, self._width)

    def _day_count(self, first: exp.Expression, last: exp.Expression) -> exp.Expression:
        """Returns the whole days from one day to another."""
        if self._dialect in _ADDS_DAYS_TO_DATES:
            return exp.cast(exp.paren(exp.Sub(this=last, expression=first)), "BIGINT")
        return exp.cast(exp.DateDiff(this=last, expression=first, unit=exp.Var(this="DAY")), "BIGINT")

    def _add_days(self, day: exp.Expression, count: exp.Expression) -> exp.Expression:
        if self._dialect in _ADDS_DAYS_TO_DATES:
            return exp.cast(exp.paren(exp.Add(this=day, expression=exp.cast(count, "INT"))), "DATE")
        return exp.cast(exp.DateAdd(this=day, expression=count, unit=exp.Var(this="DAY")), "DATE")


def first_id(id_: exp.Expression, width: int) -> exp.Expression:
    """Returns the first id of the range of `width` ids that contains an id."""
    if width == 1:
        return id_
    return exp.paren(
        exp.Sub(this=id_, expression=exp.Mod(this=id_.copy(), expression=exp.Literal.number(width))), copy=False
    )


def _month_of(day: exp.Expression) -> exp.Expression:
    """Returns the first day of the month."""
    return exp.cast(
        exp.func("DATE_TRUNC", exp.Literal.string("month"), exp.cast(day, "DATE"), dialect="duckdb"), "DATE"
    )


def _bounded(number: exp.Expression) -> exp.Expression:
    """Returns a double that can be multiplied without overflow or underflow, which databases reject."""
    size = exp.func("ABS", number)
    is_nothing = exp.LT(this=size, expression=exp.Literal.number("1E-100"))
    is_fit = exp.LT(this=size.copy(), expression=exp.Literal.number("1E100"))
    return exp.Case().when(is_nothing, exp.cast(exp.Literal.number(0), "DOUBLE")).when(is_fit, number.copy())


def _semantics(letter: exp.Expression) -> exp.Expression:
    """Returns the catalogue's word for Bitrix24's letter of a stage."""
    words = {"P": "process", "S": "success", "F": "failure"}
    case = exp.Case(this=letter)
    for key, word in words.items():
        case = case.when(exp.Literal.string(key), exp.Literal.string(word))
    return case


@cache
def _counted(dialect: str) -> exp.Expr:
    """Returns the numbers from 0 up to a row's own bound."""
    return parse_one(_COUNTED[dialect], read=dialect)


def _each_number(counted: exp.Expr, alias: str, query: exp.Query) -> exp.Join:
    """Joins each row with its numbers: by a lateral subquery, or in ClickHouse by an array."""
    if isinstance(counted, exp.Query):
        lateral = exp.Lateral(this=exp.Subquery(this=counted), alias=exp.TableAlias(this=exp.to_identifier(alias)))
        return exp.Join(this=lateral, kind="CROSS")
    for number in query.find_all(exp.Column):
        if number.table == alias:
            number.set("table", None)
    return exp.Join(this=exp.alias_(counted, "n"), kind="ARRAY")


@cache
def _parsed(name: str) -> exp.Query:
    """Returns a file of this folder as an expression."""
    text = (resources.files(__name__) / f"{name}.sql").read_text(encoding="utf-8")
    query = parse_one(text, read="postgres")
    for node in query.walk():
        node.comments = None
    if not isinstance(query, exp.Query):
        raise TypeError(f"{name}.sql is no query")
    return query


def _union(queries: Sequence[exp.Query]) -> exp.Query:
    """Returns UNION ALL as a balanced tree: a chain of hundreds would be too deep for parsers."""
    if len(queries) == 1:
        return queries[0]
    half = len(queries) // 2
    return exp.Union(this=_union(queries[:half]), expression=_union(queries[half:]), distinct=False)


def _subquery(query: str, alias: str) -> exp.Table:
    return exp.Table(this=exp.Var(this=f"({query})"), alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))

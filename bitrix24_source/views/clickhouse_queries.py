"""Queries in ClickHouse's dialect.

The queries are the same for all databases, but ClickHouse interprets some of them differently - a join without a match gives 0
and '', an aggregate of no rows is not NULL, days end in 2149, decimals are truncated, not rounded - and has functions of its
own for zones, windows and lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sqlglot import exp

CLICKHOUSE = "clickhouse"
"""sqlglot's name of the dialect"""
_SETTINGS: Mapping[str, int] = MappingProxyType({
    "join_use_nulls": 1,  # a label that is not found is NULL
    "prefer_column_name_to_alias": 1,  # a field may have the title of a column
})  # fmt: skip
_DAY = exp.DataType.build("Nullable(Date32)", dialect=CLICKHOUSE)
_INSTANT = exp.DataType.build("Nullable(DateTime64(6, 'UTC'))", dialect=CLICKHOUSE)
_LIST = exp.condition(
    "CASE WHEN COUNT(text) = 0 THEN NULL ELSE arrayStringConcat(arrayMap(pair -> tupleElement(pair, 2), "
    "arraySort(groupArrayIf(tuple(place, assumeNotNull(text)), text IS NOT NULL))), mark) END",
    dialect=CLICKHOUSE,
)


def for_clickhouse(query: exp.Query) -> exp.Query:
    """Returns the query of a view, adapted to ClickHouse; the argument is not changed."""
    query = adapted(query.copy())
    for part in query.selects:
        truth = part.unalias()
        if isinstance(truth, (exp.Predicate, exp.Connector, exp.Not)):
            truth.replace(exp.cast(truth.copy(), "boolean"))
    settings = [
        exp.EQ(this=exp.column(name), expression=exp.Literal.number(value)) for name, value in _SETTINGS.items()
    ]
    query.set("settings", settings)
    return query


def adapted(query: exp.Query) -> exp.Query:
    """Rewrites what ClickHouse interprets otherwise, in place; what is text in the query already has to be adapted."""
    for select in query.find_all(exp.Select):
        select.set("expressions", [_named(part) for part in select.expressions])
        if not select.args.get("group"):
            for part in select.expressions:
                _keep_nulls(part)
    for kind, rewritten in _REWRITTEN.items():
        for node in reversed(list(query.find_all(kind))):  # the innermost first
            node.replace(rewritten(node))
    for identifier in query.find_all(exp.Identifier):
        identifier.set("this", identifier.name.replace("\\", "\\\\"))
    return query


def _call(name: str, *arguments: exp.Expression) -> exp.Anonymous:
    """Returns a call of a function by its case-sensitive name in ClickHouse."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def _named(part: exp.Expr) -> exp.Expr:
    """Gives a column its usual name: ClickHouse names it `a.id` if two tables have an id."""
    return exp.alias_(part, part.name, quoted=True) if isinstance(part, exp.Column) else part


def _keep_nulls(part: exp.Expression) -> None:
    """Makes the maximum of no rows NULL."""
    for kind, function in ((exp.Min, "minOrNull"), (exp.Max, "maxOrNull")):
        for node in list(part.find_all(kind)):
            if not isinstance(node.parent, exp.Window):
                node.replace(_call(function, node.this))


def _type(node: exp.Expression) -> exp.Expression:
    """Returns the type with the same range as in other databases."""
    if node.this == exp.DataType.Type.DATE:
        return _DAY.copy()
    return _INSTANT.copy() if node.this == exp.DataType.Type.TIMESTAMPTZ else node


def _cast(node: exp.Expression) -> exp.Expression:
    """Converts doubles to decimals by their digits: ClickHouse truncates them, so that 0.29 would become 0.28."""
    to = node.args["to"]
    if not to.is_type("decimal") or isinstance(node.this, (exp.Null, exp.Literal, exp.Cast)):
        return node
    scale = to.expressions[-1].this.copy()
    rounded = exp.Round(this=node.this.copy(), decimals=scale)
    is_exact = exp.LT(this=exp.Abs(this=node.this.copy()), expression=exp.Literal.number("1E9"))
    number = exp.Case().when(is_exact, rounded).else_(node.this)
    return exp.cast(exp.cast(number, "text"), to)


def _zoned(node: exp.Expression) -> exp.Expression:
    return _call("toTimeZone", node.this, node.args["zone"])


def _now(_: exp.Expression) -> exp.Expression:
    return _call("now64", exp.Literal.number(6), exp.Literal.string("UTC"))


def _difference(node: exp.Expression) -> exp.Expression:
    """Returns a difference of times: seconds with a fraction, whole days."""
    if node.args["unit"].name != "SECOND":
        return node
    microseconds = _call("dateDiff", exp.Literal.string("microsecond"), node.expression, node.this)
    return exp.Div(this=microseconds, expression=exp.Literal.number(1_000_000))


def _first_of_month(node: exp.Expression) -> exp.Expression:
    """Returns the first of the month in the type of the day; ClickHouse's own function ends in 2149."""
    back = exp.Sub(this=exp.Literal.number(1), expression=_call("toDayOfMonth", node.this.copy()))
    return _call("addDays", node.this, back)


def _window(node: exp.Expression) -> exp.Expression:
    """Returns a replacement for LEAD, which only recent releases have; it is NULL for the last row."""
    if isinstance(node.this, exp.Lead):
        node.set("this", _call("leadInFrame", _call("toNullable", node.this.this)))
        bounds = {"start": "UNBOUNDED", "start_side": "PRECEDING", "end": "UNBOUNDED", "end_side": "FOLLOWING"}
        node.set("spec", exp.WindowSpec(kind="ROWS", **bounds))
    return node


def _list(node: exp.Expression) -> exp.Expr:
    """Returns the texts of a group in order; NULL if there are none."""
    ordered = node.this
    parts = {"text": ordered.this, "place": ordered.expressions[0].this, "mark": node.args["separator"]}
    text = _LIST.copy()
    for place in list(text.find_all(exp.Column)):
        if place.name in parts:
            place.replace(parts[place.name].copy())
    return text


_REWRITTEN: Mapping[type[exp.Expression], Callable[[exp.Expression], exp.Expr]] = MappingProxyType({
    exp.GroupConcat: _list,
    exp.Window: _window,
    exp.Cast: _cast,
    exp.DateDiff: _difference,
    exp.DateTrunc: _first_of_month,
    exp.TimestampTrunc: _first_of_month,
    exp.AtTimeZone: _zoned,
    exp.CurrentTimestamp: _now,
    exp.DataType: _type,
})  # fmt: skip

"""SQL expressions that write values as text, the same in every database."""

from __future__ import annotations

from sqlglot import exp

from .lookups import column

WHOLE = exp.Literal.number("1E15")
"""limit below which a double without a fraction is written as an integer"""


def cast_to_text(value: exp.Expression, type_: str, dialect: str) -> exp.Expression:
    """Returns a value as text that is the same in every database: times in UTC, no insignificant zeros."""
    if type_ == "text":
        return value
    if type_ == "timestamp" and dialect != "bigquery":  # where a time has no other zone
        value = exp.AtTimeZone(this=value, zone=exp.Literal.string("UTC"))
    text = exp.cast(value, "text")
    if type_ == "double":
        is_whole = exp.and_(
            value.eq(exp.Floor(this=value.copy())), exp.LT(this=exp.Abs(this=value.copy()), expression=WHOLE.copy())
        )
        return exp.Case().when(is_whole, exp.cast(exp.cast(value.copy(), "bigint"), "text")).else_(text)
    if type_ == "decimal" or (type_ == "timestamp" and dialect == "clickhouse"):
        zeros = exp.Trim(this=text.copy(), expression=exp.Literal.string("0"), position="TRAILING")
        point = exp.Trim(this=zeros, expression=exp.Literal.string("."), position="TRAILING")
        return exp.Case().when(text.copy().like("%.%"), point).else_(text)
    return text


def with_currency(amount: exp.Expression) -> exp.Expression:
    """Returns an amount and its currency in one text; only the amount if it has no currency."""
    currency = exp.DPipe(this=exp.Literal.string(" "), expression=column("value_currency", "c"), safe=True)
    unit = exp.Coalesce(this=currency, expressions=[exp.Literal.string("")])
    return exp.DPipe(this=amount, expression=unit, safe=True)

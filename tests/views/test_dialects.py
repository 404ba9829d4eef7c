"""The SQL of a view is valid in the dialects of destinations for which nobody here has an account, as far as a parser tells."""

from __future__ import annotations

import dlt
import pytest
import sqlglot
from sqlglot import exp

from bitrix24_source.schema.fields import Field
from bitrix24_source.views.column_names import NameRules
from bitrix24_source.views.query import LabeledView, StoredTables

FIELDS = [
    Field("id", "ID", "integer", "ID"),
    Field("stageId", "STAGE_ID", "crm_status", "Стадия, этап"),
    Field("assignedById", "ASSIGNED_BY_ID", "user", "Assigned (to)"),
    Field("opportunity", "OPPORTUNITY", "double", "Amount"),
    Field("currencyId", "CURRENCY_ID", "crm_currency", "Currency"),
    Field("observers", "OBSERVERS", "user", "Observers", is_multiple=True),
    Field("ufDates", "UF_DATES", "datetime", "When", is_multiple=True, is_dynamic=True),
]
TABLES = {
    "deals": {"id": "bigint", "stage_id": "text", "assigned_by_id": "bigint", "opportunity": "double", "currency_id": "text",
              "deleted_at": "timestamp"},
    "deals__observers": {"item_id": "bigint", "position": "bigint", "value": "bigint"},
    "deals__uf_dates": {"item_id": "bigint", "position": "bigint", "value": "timestamp"},
    "stages": {"entity_type_id": "bigint", "status_id": "text", "name": "text", "semantics": "text"},
    "users": {"id": "bigint", "name": "text", "last_name": "text"},
    "currencies": {"currency": "text", "amount_cnt": "bigint", "amount": "decimal", "is_base": "bool", "full_name": "text"},
}  # fmt: skip


@pytest.fixture(params=["bigquery", "snowflake", "databricks", "redshift", "mssql", "synapse", "athena"])
def written(request):
    """The query for one destination, and its capabilities as dlt knows them."""
    caps = getattr(dlt.destinations, request.param)().capabilities()
    limit = caps.max_column_identifier_length or caps.max_identifier_length
    folded = caps.casefold_identifier
    stored = StoredTables(TABLES, lambda name: ["crm", folded(name)], folded, NameRules(limit, caps.sqlglot_dialect))
    return LabeledView(stored, "deals", 2, FIELDS, is_spa=False).select(), caps


def test_queries_can_be_read_back(written):
    """What is written in a dialect is read back by its parser, with all columns under valid names."""
    query, caps = written
    sql = query.sql(caps.sqlglot_dialect)
    names = sqlglot.parse_one(sql, dialect=caps.sqlglot_dialect).named_selects

    assert len(names) == 12
    assert all(len(name.encode()) <= caps.max_column_identifier_length for name in names)
    if caps.sqlglot_dialect in {"bigquery", "athena"}:
        assert not any(char in name for name in names for char in "(),.")


def test_columns_are_named_as_the_destination_keeps_them(written):
    """Snowflake keeps identifiers in upper case, others in lower; the view's own names are as they were titled."""
    query, caps = written
    columns = {column.name for column in query.find_all(exp.Column)}

    assert caps.casefold_identifier("stage_id") in columns
    assert "Amount" in query.named_selects


def test_redshift_orders_a_list_within_its_group():
    """sqlglot's own spelling of an ordered list is none that Redshift takes."""
    caps = dlt.destinations.redshift().capabilities()
    stored = StoredTables(TABLES, lambda name: ["crm", name], str, NameRules(127, caps.sqlglot_dialect))
    sql = LabeledView(stored, "deals", 2, FIELDS, is_spa=False).select().sql("redshift")

    assert "', ') WITHIN GROUP (ORDER BY" in sql

"""What tables and columns are said to be."""

from __future__ import annotations

from bitrix24_source.catalog import ISSUES, SPA_TABLES, crm_catalog_tables, fixed_descriptions
from bitrix24_source.schema import HISTORY_FIELDS, PRODUCT_ROW_FIELDS, activity_fields
from bitrix24_source.sync.fixed_tables import BINDING_SCHEMA
from bitrix24_source.sync.rejected_values import REJECTED_SCHEMA


def test_every_column_that_a_table_can_have_says_what_it_is():
    """Those of a table without rows too, and those that are only loaded when somebody asks for them."""
    tables = {
        **{listed.name: listed.columns for table in (*SPA_TABLES, *crm_catalog_tables(personal=True)) for listed in (table, table.child) if listed},
        "load_issues": ISSUES.columns, "stage_history": HISTORY_FIELDS, "product_rows": PRODUCT_ROW_FIELDS,
        "activities": activity_fields(personal=True), "activity_bindings": BINDING_SCHEMA, "rejected_values": REJECTED_SCHEMA,
    }  # fmt: skip
    described = fixed_descriptions("+03:00", "RUB")
    missing = {(table, column.name) for table, columns in tables.items() for column in columns} - described.keys()

    assert set() == missing
    assert (
        "price of one unit, with discount and tax, in RUB · Bitrix24 priceAccount"
        == described["product_rows", "price_account"]
    )

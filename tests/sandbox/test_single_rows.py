"""What a list shows can be asked for alone."""

from __future__ import annotations

import pytest

NOT_FOUND = {
    "crm.activity.get": ("", "Activity is not found."),
    "crm.currency.get": ("", "Not found"),
    "crm.item.productrow.get": ("NOT_FOUND", "Item not found"),
    "crm.category.get": ("NOT_FOUND", "Element not found"),
}


def test_a_single_row_is_that_of_the_list(portal, ask):
    """An activity, a currency, a category, and product rows, computed or edited; some have a key more than in the list."""
    portal.set_product_rows(2, 5, {"productName": "Edited"})
    owned = {"=ownerType": "D", "=ownerId": [1, 2, 3, 4, 5]}
    rows = ask("crm.item.productrow.list", filter=owned)["result"]["productRows"]
    assert {"Edited"} < {row["productName"] for row in rows}
    for row in rows:
        alone = ask("crm.item.productrow.get", id=row["id"])["result"]["productRow"]
        assert alone == row | {"taxName": "20%" if row["taxRate"] else "No VAT"}
    for row in ask("crm.activity.list", order={"ID": "ASC"})["result"][:3]:
        assert ask("crm.activity.get", id=row["ID"])["result"] == row
    for row in ask("crm.currency.list")["result"]:
        alone = ask("crm.currency.get", id=row["CURRENCY"])["result"]
        assert alone == row | {"LANG": alone["LANG"]}
    for row in ask("crm.category.list", entityTypeId=177)["result"]["categories"]:
        assert ask("crm.category.get", entityTypeId=177, id=row["id"])["result"] == {"category": row}


@pytest.mark.parametrize("method", NOT_FOUND)
def test_what_is_not_there(ask, method):
    """Each method refuses it in the vendor's words."""
    answer = ask(method, id=999999, entityTypeId=177)

    assert (400, *NOT_FOUND[method]) == (answer["status"], answer["error"], answer["error_description"])


def test_single_rows_follow_the_rights_on_their_items(portal, ask):
    """What hangs on a type that may not be read cannot be asked for by its own number."""
    row = next(row for row in portal.world.activities if row["OWNER_TYPE_ID"] == "2")
    (product, *_) = ask("crm.item.productrow.list", filter={"=ownerType": "D", "=ownerId": [1, 2, 3]})["result"][
        "productRows"
    ]
    portal.deny_type(2)

    assert ask("crm.activity.get", id=row["ID"])["error_description"] == "Access denied."
    assert ask("crm.item.productrow.get", id=product["id"])["error"] == "ACCESS_DENIED"
    assert ask("crm.category.get", entityTypeId=2, id=0)["error"] == "NOT_FOUND"


def test_activities_describe_their_fields(ask):
    """crm.activity.fields names every column of the list, and what comes on request only."""
    fields = ask("crm.activity.fields")["result"]
    (row, *_) = ask("crm.activity.list", select=["*", "COMMUNICATIONS", "FILES"])["result"]

    assert set(row) <= set(fields)
    assert {name for name, field in fields.items() if field["isMultiple"]} == {"BINDINGS", "COMMUNICATIONS", "FILES"}

"""Features of a smart process that are switched off and on: what is listed, and what rows keep."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import LASTING, UNLISTED, Ask

SWITCHES = {
    "isBeginCloseDatesEnabled": {"begindate", "closedate"},
    "isClientEnabled": {"companyId", "contactId", "contactIds", "contacts"},
    "isObserversEnabled": {"observers"},
    "isStagesEnabled": {"movedTime", "movedBy", "stageId", "previousStageId"},
    "isSourceEnabled": {"sourceId", "sourceDescription"},
    "isLinkWithProductsEnabled": {"currencyId", "isManualOpportunity", "opportunity", "taxValue"},
    "isMycompanyEnabled": {"mycompanyId"},
}
TYPE = 177


def fields(ask: Ask) -> set[str]:
    return set(ask("crm.item.fields", entityTypeId=TYPE)["result"]["fields"])


def row(ask: Ask) -> dict[str, Any]:
    found: dict[str, Any] = ask("crm.item.list", entityTypeId=TYPE)["result"]["items"][6]
    return found


@pytest.mark.parametrize("switch", SWITCHES)
def test_columns_outlive_their_feature(portal, ask, switch):
    """Off: the fields are not listed, and rows keep their values in all that are columns of the item's table."""
    listed, before = fields(ask), row(ask)
    portal.switch_feature(TYPE, switch, on=False)
    after = row(ask)

    assert listed - fields(ask) == SWITCHES[switch]
    assert before.keys() - after.keys() == SWITCHES[switch] - LASTING - {"contacts"}
    assert all(after[name] == before[name] for name in after)
    assert ask("crm.type.getByEntityTypeId", entityTypeId=TYPE)["result"]["type"][switch] == "N"
    portal.switch_feature(TYPE, switch, on=True)
    assert (fields(ask), row(ask)) == (listed, before)


def test_an_item_changed_while_a_feature_is_off_keeps_its_columns(portal, ask):
    """A change copies all that the item held, so that nothing is lost when the feature comes back."""
    before = row(ask)
    for switch in SWITCHES:
        portal.switch_feature(TYPE, switch, on=False)
    portal.items(TYPE).update(before["id"], title="Renamed")
    for switch in SWITCHES:
        portal.switch_feature(TYPE, switch, on=True)

    assert {**row(ask), "updatedTime": "", "updatedBy": 0} == {
        **before, "title": "Renamed", "updatedTime": "", "updatedBy": 0,
    }  # fmt: skip


def test_rows_of_a_type_without_features_have_the_defaults_of_the_table(portal, ask):
    """Begin is the day of creation, end a week later; there is no key of the stage, and the previous one is empty."""
    number = portal.add_type("Bare", items=3, off=SWITCHES)["entityTypeId"]
    item = ask("crm.item.list", entityTypeId=number)["result"]["items"][0]

    assert item.keys() >= LASTING | UNLISTED
    assert item.keys().isdisjoint({"stageId", "contactIds", "observers"})
    assert (item["begindate"], item["closedate"]) == ("2023-01-09T03:00:00+03:00", "2023-01-16T03:00:00+03:00")
    assert (item["previousStageId"], item["movedTime"], item["companyId"]) == ("", None, 0)
    assert isinstance(item["movedBy"], int)


def test_stages_that_are_switched_on_later_exist(portal, ask):
    """Every item stands in the first stage, whose directory is there and enabled."""
    number = portal.add_type("Bare", items=3, off=SWITCHES)["entityTypeId"]
    portal.switch_feature(number, "isStagesEnabled", on=True)
    stages = {item["stageId"] for item in ask("crm.item.list", entityTypeId=number)["result"]["items"]}
    directories = [row for row in ask("crm.status.entity.types")["result"] if row.get("ENTITY_TYPE_ID") == number]
    known = ask("crm.status.list", filter={"ENTITY_ID": directories[0]["ID"]})["result"]

    assert directories[0]["IS_ENABLED"] is True
    assert stages == {known[0]["STATUS_ID"]}


def test_amounts_in_the_accounts_currency(portal, ask):
    """They follow the amount by the rate of its currency, whether or not products are on."""
    portal.items(TYPE).update(5, opportunity=100, currencyId="USD", taxValue=20)
    item = portal.items(TYPE)[5]

    assert (item["opportunityAccount"], item["taxValueAccount"], item["accountCurrencyId"]) == (9050.0, 1810.0, "RUB")
    assert "opportunityAccount" not in fields(ask)


def test_an_unknown_switch_is_an_error(portal):
    """A typing error in a test is told."""
    with pytest.raises(ValueError, match="isClientEnabled"):
        portal.switch_feature(TYPE, "isClientsEnabled", on=False)

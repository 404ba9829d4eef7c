"""Departments, directories, categories, currencies and people: what is paged, and who is shown."""

from __future__ import annotations

import pytest


def test_departments_hear_start_in_small_letters_only(portal, ask):
    """START, as the vendor's table spells it, answers the first page again."""
    portal.world.departments += [{"ID": str(100 + n), "NAME": f"D{n}", "SORT": 500, "PARENT": "1"} for n in range(60)]

    assert len(ask("department.get")["result"]) == 50
    assert len(ask("department.get", start=50)["result"]) == 19
    assert ask("department.get", START=50)["result"] == ask("department.get")["result"]


@pytest.mark.parametrize("start", [0, 50, -1])
def test_dictionaries_come_whole(portal, ask, start):
    """Statuses, categories and currencies are answered at once, with their number, whatever `start` says."""
    statuses = ask("crm.status.list", start=start)
    categories = ask("crm.category.list", entityTypeId=177, start=start)

    assert len(statuses["result"]) == statuses["total"] == len(portal.world.statuses) > 50
    assert "next" not in statuses
    assert len(categories["result"]["categories"]) == categories["total"] == 2
    assert len(ask("crm.currency.list", start=start)["result"]) == 4


def test_older_portals_page_dictionaries(portal, ask):
    """As a switch: pages of fifty with `next`."""
    portal.interpretations.short_lists = "paged"
    first = ask("crm.status.list")

    assert (len(first["result"]), first["next"]) == (50, 50)
    assert len(ask("crm.status.list", start=100)["result"]) == len(portal.world.statuses) - 100


def test_some_directories_have_statuses_and_no_name(ask):
    """crm.status.list answers directories that crm.status.entity.types does not list."""
    named = {row["ID"] for row in ask("crm.status.entity.types")["result"]}
    found = {row["ENTITY_ID"] for row in ask("crm.status.list")["result"]}

    assert found - named == {"DEAL_STATE", "EVENT_TYPE", "INVOICE_STATUS"}


def test_plain_directories_have_the_shapes_of_real_ones(ask):
    """Colours are "#" or null, semantics "" or null, the category "0" or null; EXTRA is there for stages only."""
    rows = ask("crm.status.list", filter={"ENTITY_ID": "SOURCE"})["result"]

    assert {row["COLOR"] for row in rows} == {"#", None}
    assert {row["SEMANTICS"] for row in rows} == {"", None}
    assert {row["CATEGORY_ID"] for row in rows} == {"0", None}
    with_extra = {row["ENTITY_ID"] for row in ask("crm.status.list")["result"] if "EXTRA" in row}
    assert with_extra == {"STATUS", "DEAL_STAGE", "DEAL_STAGE_1", "QUOTE_STATUS"}


def test_people_without_a_department_need_admin_mode(portal, ask):
    """Only extranet users of the owner's groups are shown without it; who is no administrator cannot ask for it."""
    usual = {row["ID"] for row in ask("user.get")["result"]}
    everybody = {row["ID"] for row in ask("user.get", ADMIN_MODE=True)["result"]}

    assert "16" in usual
    assert everybody - usual == {"17", "18"}
    assert {row["ID"] for row in ask("user.get", ADMIN_MODE="true")["result"]} == everybody
    portal.set_admin(portal=False)
    assert {row["ID"] for row in ask("user.get", ADMIN_MODE=True)["result"]} == usual


def test_everybody_is_a_real_user(ask):
    """The filter IS_REAL_USER is understood, in any case of FILTER."""
    assert len(ask("user.get", filter={"IS_REAL_USER": "Y"})["result"]) == 16
    assert ask("user.get", Filter={"IS_REAL_USER": "N"})["result"] == []


def test_the_current_user_has_naive_times(ask):
    """Two formats without a zone, where user.get has empty objects."""
    mine, listed = ask("user.current")["result"], ask("user.get")["result"][0]

    assert (mine["TIMESTAMP_X"], mine["LAST_ACTIVITY_DATE"]) == ("01.07.2025 12:00:00", "2025-07-01 12:00:00")
    assert (listed["TIMESTAMP_X"], listed["LAST_ACTIVITY_DATE"]) == ({}, {})


def test_categories_have_five_keys(ask):
    """Smart processes have no more; deals have origins on all but the default one."""
    spa = ask("crm.category.list", entityTypeId=177)["result"]["categories"]
    deals = ask("crm.category.list", entityTypeId=2)["result"]["categories"]

    assert {frozenset(row) for row in spa} == {frozenset({"id", "name", "sort", "entityTypeId", "isDefault"})}
    assert [("originId" in row) for row in deals] == [row["isDefault"] == "N" for row in deals]

"""How much is asked of the portal: sixty types in fifteen requests, and only for what is wanted."""

from __future__ import annotations

from collections import Counter

import pytest

from bitrix24_source.sandbox import Portal

MOST_REQUESTS = 15


@pytest.fixture
def sixty(clock, many_types):
    """Sixty types, two pipelines each, more enumerations than a page holds."""
    portal = Portal(scenario="demo", items=60, clock=clock)
    many_types(portal, 60, pipelines=2, enumerations=({}, {"multiple": True}))
    return portal


def asked(portal):
    """How often each method was asked for, inside batches and outside."""
    single = [seen.method for seen in portal.requests if seen.method != "batch"]
    return Counter([*single, *(name for seen in portal.requests for name in seen.commands)])


def test_sixty_types_take_fifteen_requests_at_most(catalog_reading, sixty):
    """A whole catalogue of 60 types costs at most 15 HTTP requests, and nothing of it is missing."""
    crm = catalog_reading(portal=sixty)
    crm.run()

    taken = len(sixty.requests)
    assert taken <= MOST_REQUESTS, f"{taken} requests: {[(seen.method, len(seen.commands)) for seen in sixty.requests]}"
    assert 60 == len(crm.rows("spa_types"))
    assert {row["entityTypeId"] for row in sixty.types()} == {row["entity_type_id"] for row in crm.rows("spa_fields")}
    assert sum(len(sixty.world.categories[row["entityTypeId"]]) for row in sixty.types()) == len(
        crm.rows("spa_categories")
    )
    assert [] == crm.issues()


def test_sixty_types_without_administrative_rights_cost_no_more(catalog_reading, sixty):
    """Types found through crm.enum.ownertype, one of them denied, fit the same budget."""
    sixty.set_admin(crm=False, portal=False)
    sixty.deny_type(1110 + 12)
    crm = catalog_reading(portal=sixty)
    crm.run()

    taken = len(sixty.requests)
    assert taken <= MOST_REQUESTS, f"{taken} requests: {[(seen.method, len(seen.commands)) for seen in sixty.requests]}"
    assert 59 == len(crm.rows("spa_types"))


def test_no_batch_is_longer_than_fifty(catalog_reading, sixty):
    """Bitrix24 refuses more than 50 commands in one batch."""
    catalog_reading(portal=sixty).run()

    assert max(len(seen.commands) for seen in sixty.requests) <= 50


def test_types_beyond_the_first_page_are_there(catalog_reading, sixty):
    """crm.type.list gives 50 rows a page: the second page is read too, once."""
    crm = catalog_reading(portal=sixty)
    crm.run("spa_types")

    assert 2 == asked(sixty)["crm.type.list"]
    assert {row["title"] for row in sixty.types()} == {row["title"] for row in crm.rows("spa_types")}


def test_stages_beyond_the_first_page_are_there(catalog_reading, portal):
    """A directory of 70 stages is paged, and comes whole."""
    template = next(row for row in portal.world.statuses if row["ENTITY_ID"] == "DYNAMIC_177_STAGE_9")
    portal.world.statuses += [
        {**template, "ID": str(9000 + place), "STATUS_ID": f"DT177_9:X{place}", "SORT": str(1000 + place)}
        for place in range(70)
    ]
    crm = catalog_reading()
    crm.run("spa_stages")

    found = {row["status_id"] for row in crm.rows("spa_stages") if row["category_id"] == 9}
    assert {f"DT177_9:X{place}" for place in range(70)} < found


ALWAYS = {"scope", "crm.type.list", "server.time", "profile", "crm.currency.list"}  # the last three for `portal`
NEEDED = {
    "spa_types": {"crm.item.fields"},  # only they say whether the items may be read, which items_table tells
    "spa_type_relations": {"crm.type.getByEntityTypeId"},
    "spa_type_linked_fields": {"crm.type.getByEntityTypeId"},
    "spa_fields": {"crm.item.fields"},
    "spa_field_options": {"crm.item.fields", "userfieldconfig.list", "userfieldconfig.get"},
    "spa_categories": {"crm.category.list", "crm.status.entity.types"},
    "spa_stages": {"crm.status.list"},
    "spa_automations": {"bizproc.workflow.template.list"},
    "automated_solutions": {"crm.automatedsolution.list"},
    "automated_solution_types": {"crm.automatedsolution.list"},
}


@pytest.mark.parametrize("table", NEEDED)
def test_one_resource_asks_only_for_what_it_needs(catalog_reading, portal, table):
    """`with_resources` spares the portal the rest, and the rows are those of a whole run."""
    some, whole = catalog_reading(), catalog_reading()
    some.run(table)
    needed = set(asked(portal))
    whole.run()

    assert NEEDED[table] | ALWAYS == needed
    assert whole.rows(table) == some.rows(table)


def test_the_catalogue_is_read_once_for_all_resources(catalog_reading, portal):
    """Ten resources share one reading: no type is asked for its fields twice."""
    catalog_reading().run()

    assert 6 == asked(portal)["crm.item.fields"]
    assert 1 == asked(portal)["crm.type.list"]


def test_everything_travels_in_batches(catalog_reading, portal):
    """No call goes alone where others wait beside it."""
    catalog_reading().run()

    assert {"batch"} == {seen.method for seen in portal.requests}
    assert {"POST"} == {seen.http_method for seen in portal.requests}

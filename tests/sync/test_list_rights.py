"""Lists as real portals give them: rights of product rows, short pages under filters, types that are deleted or hidden."""

from __future__ import annotations

import pytest

from bitrix24_source import bitrix24
from bitrix24_source.sandbox import Portal

HOUR = 3600


@pytest.fixture
def demo(clock) -> Portal:
    return Portal(scenario="demo", items=120, clock=clock)


def calls_of(crm, method: str) -> list[str]:
    commands = [command for body in crm.adapter.bodies for command in body.get("cmd", {}).values()]
    return [command for command in commands if command.startswith(method)]


def test_product_rows_without_administrative_rights(demo, memory_job):
    """Where lists of owners are judged by item 1, which may not be read, single owners are asked for, and all rows come."""
    admin = memory_job(demo)
    admin.run("product_rows", spa_types=[177])
    expected = {
        (row["entity_type_id"], row["owner_id"], row["id"])
        for row in admin.rows("product_rows")
        if (row["entity_type_id"], row["owner_id"]) != (2, 1)
    }
    demo.set_admin(crm=False)
    demo.hide_items(2, [1])

    crm = memory_job(demo)
    crm.run("product_rows", spa_types=[177])

    assert {(row["entity_type_id"], row["owner_id"], row["id"]) for row in crm.rows("product_rows")} == expected
    assert crm.issues() == []


def test_bindings_are_loaded_on_demand_only(crm, portal):
    """They cost a call an activity, which is spent only where somebody asks; the owner of an activity is always there."""
    crm.run_all()

    assert calls_of(crm, "crm.activity.binding.list") == []
    assert len(portal.world.activities) == len(crm.rows("activities"))
    assert all(row["owner_id"] and row["owner_type_id"] for row in crm.rows("activities"))


def test_bindings_that_somebody_asks_for(demo):
    """By an argument beside everything else, or as a resource."""
    by_argument, by_name = (
        bitrix24(credentials=demo.credentials(demo.base_url)["webhook"], activity_bindings=asked)
        for asked in (True, False)
    )

    assert by_argument.resources["activity_bindings"].selected
    assert by_name.with_resources("activity_bindings").resources["activity_bindings"].selected


@pytest.mark.parametrize("connections", [1, 4])
def test_short_pages_under_a_filter_are_no_end(demo, reader, connections):
    """An item that fits a filter by several values makes a page short, the first one, too: every item that fits comes."""
    items = demo.items(177)
    fitting = [id_ for id_ in items.ids() if items[id_]["contactIds"]]
    crm = reader(demo)

    crm.run([177], filter={177: {"@contactIds": list(range(1, 301))}}, connections=connections)

    assert crm.ids(177) == fitting


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_deleted_type_is_known_in_every_language(clock, portal_with, memory_job, language):
    """Its rows are marked when the portal has no such type any more."""
    crm = memory_job(portal_with({177: 20, 1030: 20}, language=language))
    crm.run()
    clock.advance(HOUR)
    crm.portal.delete_type(177)
    crm.run()

    assert len(crm.marked(177)) == 20
    assert crm.marked(1030) == {}
    assert crm.issues() == []


def test_a_type_that_became_invisible_is_not_deleted(clock, portal_with, memory_job):
    """A credential that lost its right to a type says nothing about the type's items."""
    crm = memory_job(portal_with({177: 20, 1030: 20}))
    crm.run()
    clock.advance(HOUR)
    crm.portal.deny_type(177)
    crm.run()

    assert crm.marked(177) == {}

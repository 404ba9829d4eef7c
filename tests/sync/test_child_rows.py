"""Rows that belong to items heal at a sweep: the portal reports no changes of them, so that their numbers are compared."""

from __future__ import annotations

from bitrix24_source.sandbox import Fault

DAY = 24 * 3600
OF_ITEMS = ("deals", "invoices", "product_rows")


def commands(crm, method):
    """Commands of a method that the latest run has sent."""
    sent = [command for body in crm.adapter.bodies for command in body.get("cmd", {}).values()]
    return [command for command in sent if command.startswith(f"{method}?")]


def requests_with(crm, method):
    """The commands of each request of the latest run that sends some of a method."""
    sent = [list(body.get("cmd", {}).values()) for body in crm.adapter.bodies]
    return [commands for commands in sent if any(command.startswith(f"{method}?") for command in commands)]


def products(crm):
    return sorted((row["entity_type_id"], row["owner_id"], row["id"]) for row in crm.rows("product_rows"))


def test_a_comparison_of_product_rows_is_one_request(crm, clock):
    """Rows of hundreds of owners are counted by one call, all types in one request; equal tables are not read again."""
    crm.run(*OF_ITEMS)
    clock.advance(2 * DAY)
    crm.run(*OF_ITEMS)
    counted = commands(crm, "crm.item.productrow.list")

    assert counted
    assert all("start=0" in command for command in counted)
    assert len(requests_with(crm, "crm.item.productrow.list")) == 1


def test_a_user_without_lists_of_owners(crm, clock):
    """Whom the portal judges by one item, single owners are counted for; what differs heals."""
    crm.portal.set_admin(crm=False)
    crm.portal.hide_items(2, [1])
    crm.run("product_rows")
    before = products(crm)
    rows = crm.destination.tables["product_rows"]
    for key in [key for key in rows if key[0] == 2]:
        del rows[key]
    clock.advance(2 * DAY)
    crm.run("product_rows")

    assert products(crm) == before
    assert crm.issues() == []


def test_a_comparison_that_fails_is_made_by_the_next_run(crm, clock):
    """What cannot be counted in one run is counted in the next."""
    crm.run("product_rows")
    before = products(crm)
    crm.destination.tables["product_rows"].clear()
    clock.advance(2 * DAY)
    crm.portal.faults.add(Fault("crm.item.productrow.list", where="command", error="ERROR_CORE", status=400))
    crm.run("product_rows")
    crm.portal.faults.clear()
    clock.advance(3600)
    crm.run("product_rows")

    assert products(crm) == before


def test_counts_of_stage_history_cost_no_request(clock, portal_with, memory_job):
    """They travel with what a sweep asks at its beginning."""
    crm = memory_job(portal_with(dict.fromkeys(range(1030, 1060, 2), 5)))
    crm.run("spa_items", "stage_history")
    crm.portal.clock.advance(2 * DAY)
    crm.run("spa_items", "stage_history")
    counts = [sum("start=0" in command for command in sent) for sent in requests_with(crm, "crm.stagehistory.list")]
    lengths = [len(sent) for sent in requests_with(crm, "crm.stagehistory.list")]

    assert sum(counts) >= 15
    assert all(count < length for count, length in zip(counts, lengths, strict=True) if count)

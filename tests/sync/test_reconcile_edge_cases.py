"""Runs to which a portal says what is not to be believed, or that want more of it than its time budget gives."""

from __future__ import annotations

import pytest

from bitrix24_source.sandbox import Fault

SELECT = {177: ["title"], 1030: ["title"]}


def test_a_sweep_to_which_a_page_comes_empty(portal_with, memory_job):
    """Ids that the last run has read do not go because of one empty answer: nothing is marked."""
    portal = portal_with({1030: 8, 177: 0}, scripted=True)
    crm = memory_job(portal)
    crm.run(select=SELECT)
    struck = []

    def say(command, result):
        is_sweep = "entityTypeId=1030" in command and "filter[%3Eid]=0&select[0]=id&select[1]=updatedTime" in command
        if is_sweep and "select[2]" not in command and not struck:
            struck.append(command)
            return {"items": []}
        return result

    portal.say = say
    crm.run(select=SELECT, sweep=True)

    assert struck
    assert [] == list(crm.marked(1030))


def test_what_came_back_is_read_when_the_budget_is_nearly_used_up(portal_with, memory_job):
    """Sixty items are restored while another list is long, and the budget runs low just then: the run waits, and ends."""
    portal = portal_with({1030: 200, 177: 8_000}, scripted=True)
    crm = memory_job(portal)
    crm.run(select=SELECT)
    for id_ in range(1, 61):
        portal.items(1030).delete(id_)
    crm.run(select=SELECT, sweep=True, max_deleted_share=1.0)
    marked = len(list(crm.marked(1030)))
    for id_ in range(1, 61):
        portal.items(1030).restore(id_)
    charged = []

    def hear(command):
        if "%40id" in command and not charged:
            charged.append(command)
            portal.limits.charge("webhook", "crm.item.list", 210)
        return command

    portal.hear = hear
    crm.run(select=SELECT, sweep=True)

    assert 60 == marked
    assert charged
    assert [] == list(crm.marked(1030))
    assert list(range(1, 201)) == crm.ids(1030)


def test_one_source_runs_again_after_it_was_left_early(portal_with, warehouse):
    """What was on its way when nobody wanted more rows is not waited for by the next run."""
    portal = portal_with({177: 8_000, 1030: 0})
    crm = warehouse(portal)
    source = crm.source(select=SELECT).with_resources("spa_items")
    source.resources["spa_items"].add_limit(2)
    crm.pipeline.extract(source)
    portal.limits.charge("webhook", "crm.item.list", 210)
    crm.pipeline.extract(source)

    assert portal.clock.monotonic() < 700


@pytest.mark.parametrize(("type_", "table"), [(177, "spa_items_177"), (2, "deals")])
def test_not_found_is_no_proof_that_a_type_is_gone(portal_with, memory_job, type_, table):
    """A portal that has a type, and answers that there is no such thing: the type is listed."""
    portal = portal_with({177: 30})
    fault = Fault("crm.item.list", "error", where="command", status=400, error="NOT_FOUND", times=None)
    fault.when = lambda asked: asked.get("entityTypeId") == str(type_)
    portal.faults.add(fault)
    crm = memory_job(portal)
    crm.run("spa_items", "deals")

    assert [f"{table} could not be read to the end"] == [message.split(":")[0] for message in crm.issues()]


def test_a_type_that_is_deleted_while_it_is_read(portal_with, memory_job):
    """Where the portal says itself that it has no such type any more, that is nobody's failure."""
    portal = portal_with({177: 30, 1030: 30})
    crm = memory_job(portal)

    def delete(number):
        if number == 3:
            portal.world.types.pop(1030, None)

    crm.before = delete
    crm.run()

    assert 1030 not in portal.world.types
    assert [] == crm.issues()

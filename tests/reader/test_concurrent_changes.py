"""People work in the portal while it is read: nothing that was there all along is lost, nothing comes twice."""

from __future__ import annotations

import random

import pytest

from bitrix24_source.sandbox import Portal


def require_complete(done, before, after):
    """Every item that lived from the first request to the last, and each once."""
    lost = (set(before) & set(after)) - set(done.ids())

    assert set() == lost
    assert [] == done.twice()
    assert {177: None} == done.ended


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("id_step", [1, 3])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
def test_adding_and_deleting_between_requests(clock, recording_adapter, read_items, seed, id_step, connections):
    """Between any two requests some items go, from everywhere, and some come."""
    portal, dice = Portal("bench", items=7000, id_step=id_step, clock=clock), random.Random(seed)
    items, way = portal.items(177), recording_adapter(portal)
    before = items.ids()

    def work(_number):
        for id_ in dice.sample(items.ids(), 40):
            items.delete(id_)
        for _ in range(dice.randrange(60)):
            items.add(title="new")

    way.before = work
    done = read_items(way, connections=connections)

    require_complete(done, before, items.ids())


def test_deleting_what_was_just_read(clock, recording_adapter, read_items):
    """Rows that vanish behind the reader would shift pages by offset; pages by id do not notice."""
    portal = Portal("bench", items=3000, clock=clock)
    items, way = portal.items(177), recording_adapter(portal)
    before = items.ids()

    def delete_the_oldest(_number):
        for id_ in items.ids()[:150]:
            items.delete(id_)

    way.before = delete_the_oldest
    done = read_items(way, connections=1)

    require_complete(done, before, items.ids())


def test_the_end_is_deleted_while_it_is_looked_for(clock, recording_adapter, read_items):
    """The newest item, by which the end is known, is gone when the reader gets there."""
    portal = Portal("bench", items=1000, clock=clock)
    items, way = portal.items(177), recording_adapter(portal)
    before = items.ids()

    def delete_the_newest(number):
        if number >= 2:
            for id_ in items.ids()[-30:]:
                items.delete(id_)

    way.before = delete_the_newest
    done = read_items(way)

    require_complete(done, before, items.ids())


def test_everything_is_deleted_meanwhile(clock, recording_adapter, read_items):
    """A list that becomes empty between two pages is at its end, and no error."""
    portal = Portal("bench", items=400, clock=clock)
    items, way = portal.items(177), recording_adapter(portal)

    def delete_all(number):
        if number == 2:
            for id_ in items.ids():
                items.delete(id_)

    way.before = delete_all
    done = read_items(way)

    assert list(range(1, 51)) == done.ids()
    assert {177: None} == done.ended


def test_items_that_come_at_the_end(clock, recording_adapter, read_items):
    """A busy portal adds items for as long as one reads: the reading ends all the same, with all that was there before."""
    portal = Portal("bench", items=500, clock=clock)
    items, way = portal.items(177), recording_adapter(portal)
    before = items.ids()
    way.before = lambda _number: [items.add(title="new") for _ in range(200)]
    done = read_items(way)

    require_complete(done, before, items.ids())
    assert len(portal.requests) < 50


def test_the_type_is_deleted_while_it_is_read(portal_with, memory_job):
    """A smart process that goes away during the load is no error; the others are complete."""
    crm = memory_job(portal_with({177: 3000, 1030: 120}))

    def delete_the_type(_number):
        if crm.adapter.lists() and 177 in {type_["entityTypeId"] for type_ in crm.portal.types()}:
            crm.portal.delete_type(177)

    crm.before = delete_the_type
    crm.run()

    assert [] == crm.issues()
    assert crm.portal.items(1030).ids() == crm.ids(1030)

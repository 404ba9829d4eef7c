"""Every item once, in few requests, whatever the number of items and however far apart their ids lie."""

from __future__ import annotations

import random

import pytest

from bitrix24_source.sandbox import Portal

COUNTS = [0, 1, 49, 50, 51, 99, 100, 2499, 2500, 2501, 10_000]


def most_requests(rows):
    return rows / 2500 * 1.1 + 12


def most_wasted(commands):
    return max(1, 0.03 * commands)


def require_economy(way, rows):
    """The bounds that hold for one big type."""
    commands = len(way.asked)

    assert len(way.portal.requests) <= most_requests(rows), "requests"
    assert way.wasted() <= most_wasted(commands), f"{way.wasted()} of {commands} commands brought nothing new"


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("id_step", [1, pytest.param(3, marks=pytest.mark.slow), 7])
@pytest.mark.parametrize("items", COUNTS)
def test_every_item_once(clock, recording_adapter, read_items, items, id_step, connections):
    """The ids are the portal's, each once, at the cost that is promised; at the borders of pages and batches too."""
    way = recording_adapter(Portal("bench", items=items, id_step=id_step, clock=clock))
    done = read_items(way, connections=connections)

    assert way.portal.items(177).ids() == done.ids()
    assert {177: None} == done.ended
    assert {"-1"} == {asked.params["start"] for asked in way.asked}, "the portal had to count"
    require_economy(way, items)


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_gaps_at_random(clock, recording_adapter, read_items, share, connections):
    """Where people have deleted here and there, no estimate is exact; nothing is lost by that, and little wasted."""
    portal, dice = Portal("bench", items=6000, clock=clock), random.Random(share)
    items = portal.items(177)
    for id_ in items.ids():
        if dice.random() < share:
            items.delete(id_)
    way = recording_adapter(portal)
    done = read_items(way, connections=connections)

    assert items.ids() == done.ids()
    require_economy(way, len(items))


HOLES = {
    "a hole in the middle": lambda id_: 0.3 < id_ / 4000 < 0.7,
    "only the ends are left": lambda id_: 0.03 < id_ / 4000 < 0.98,
    "dense, then sparse": lambda id_: id_ > 400 and id_ % 10,
    "sparse, then dense": lambda id_: id_ < 2000 and id_ % 10,
    "whole pages are gone": lambda id_: id_ // 300 % 3 == 1,
    "the newest are gone": lambda id_: id_ > 2000,
    "the oldest are gone": lambda id_: id_ < 2000,
}


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("hole", HOLES)
def test_ids_that_lie_unevenly(clock, recording_adapter, read_items, hole, connections):
    """Mass deletions and imports leave holes that no estimate foresees: every item comes once nevertheless.

    What was asked beyond the end is at most the rest of one batch for each stretch that is read on its own.
    """
    portal = Portal("bench", items=4000, clock=clock)
    items = portal.items(177)
    for id_ in filter(HOLES[hole], items.ids()):
        items.delete(id_)
    way = recording_adapter(portal)
    done = read_items(way, connections=connections)

    assert items.ids() == done.ids()
    assert len(way.portal.requests) <= most_requests(len(items))
    assert way.wasted() <= 50 * connections


@pytest.mark.parametrize("id_step", [pytest.param(1, marks=pytest.mark.slow), 7])
def test_a_long_list(clock, recording_adapter, read_items, id_step):
    """A long list is read in several places at once, within the same bounds, and no request is longer than 50 commands."""
    way = recording_adapter(Portal("bench", items=50_000, id_step=id_step, clock=clock))
    done = read_items(way, select=("id",))

    assert way.portal.items(177).ids() == done.ids()
    assert 50 == max(len(seen.commands) for seen in way.portal.requests)
    require_economy(way, 50_000)


def test_rows_are_whole(clock, recording_adapter, read_items):
    """Nothing happens to rows on the way: what is yielded is what crm.item.get answers."""
    portal = Portal("bench", items=120, clock=clock)
    done = read_items(recording_adapter(portal), select=())
    items = portal.items(177)
    fields = {"id", "title", "createdTime", "ufCrm13_1739432000"}

    assert {id_: {name: items[id_][name] for name in fields} for id_ in items} == {
        row["id"]: {name: row[name] for name in fields} for row in done.rows[177]
    }


def test_small_types_share_requests(portal_with, recording_adapter, read_items):
    """Two hundred small types cost far fewer requests than there are types: their pages travel together."""
    counts = {1030 + 2 * number: number % 60 for number in range(200)}
    way = recording_adapter(portal_with(counts))
    done = read_items(way, counts)

    assert counts == {type_: len(done.ids(type_)) for type_ in counts}
    assert dict.fromkeys(counts) == done.ended
    assert len(way.portal.requests) <= 15


def test_one_connection_is_one_request_at_a_time(clock, recording_adapter, read_items):
    """`connections=1` is the polite setting: the next request begins when the one before it is answered."""
    under_way, most = [0], []

    class Counting(type(recording_adapter(Portal("empty", clock=clock)))):
        def send(self, *args, **kwargs):
            under_way[0] += 1
            most.append(under_way[0])
            try:
                return super().send(*args, **kwargs)
            finally:
                under_way[0] -= 1

    done = read_items(Counting(Portal("bench", items=12_000, clock=clock)), connections=1)

    assert 12_000 == len(done.ids())
    assert 1 == max(most)


def test_what_is_left_is_told(clock, recording_adapter, read_items):
    """Progress knows how many rows are still to come: it falls to 0 and is about right in between."""
    done = read_items(recording_adapter(Portal("bench", items=30_000, id_step=3, clock=clock)), connections=1)

    assert 0 == done.left[-1]
    assert max(done.left) == pytest.approx(27_500, rel=0.05)  # nothing is known before the first long request


def test_loads_of_every_size(portal_with, memory_job):
    """The tables hold the portal's ids, each once, from a type without items to one of 2,501; in one load."""
    counts = dict(zip(range(1030, 1052, 2), (*COUNTS[:7], 2501), strict=False))
    crm = memory_job(portal_with(counts))
    crm.run()

    assert counts == {type_: len(crm.ids(type_)) for type_ in counts}
    assert {type_: crm.portal.items(type_).ids() for type_ in counts} == {type_: crm.ids(type_) for type_ in counts}
    assert [] == crm.issues()


def test_a_second_load_changes_nothing(portal_with, memory_job):
    """Items are merged by id: the same portal read again gives the same rows, not more."""
    crm = memory_job(portal_with({177: 130}))
    crm.run()
    before = crm.rows("spa_items_177")
    crm.run()

    assert before == crm.rows("spa_items_177")

"""What becomes of `rejected_values` from run to run: a row is there as long as its value does not fit, and no longer."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from bitrix24_source.sandbox import Clock, Portal
from bitrix24_source.source import destination_reader
from bitrix24_source.sync.session import RunSession
from bitrix24_source.sync.slice_limits import SliceLimits

HOUR = 3600
BOTH = ("spa_items", "deals")


SIZE = {2: "ufCrm_SIZE", 177: "ufCrm13Size"}
MANY = "ufCrm13Many"


def odd_portal(clock):
    """Items and deals, some of which hold what does not fit: SIZE, one value, and MANY, several."""
    portal = Portal(scenario="demo", items=60, clock=clock)
    assert SIZE == {type_: portal.add_field(type_, "SIZE", "integer", "Size", pool=[1]) for type_ in SIZE}
    assert portal.add_field(177, "MANY", "integer", "Many", multiple=True, pool=[[1]]) == MANY
    for type_, name in SIZE.items():
        for id_ in portal.items(type_).ids()[:3]:
            portal.items(type_).update(id_, **{name: f"odd {id_}"})
    return portal


@pytest.fixture
def new(clock, job):
    """A job that has not run."""
    return job(odd_portal(clock))


@pytest.fixture(scope="module")
def loaded(job_once):
    return job_once(odd_portal(Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))), *BOTH, spa_types=[177])


@pytest.fixture
def crm(clock, loaded, job_copy):
    """A job that has run once."""
    return job_copy(loaded, odd_portal(clock))


def load(crm, *resources, refresh=False, **more):
    """One run of these resources, by default of both."""
    crm.run(*(resources or BOTH), spa_types=[177], refresh=refresh, full_refresh=refresh, **more)


def rejected(crm, table="spa_items_177"):
    """Items of a table, and of its lists, with a rejected value, as often as there are rows."""
    return [
        item
        for name, item in sorted(crm.query("select table_name, item_id from {}.rejected_values"))
        if name.partition("__")[0] == table
    ]


def odd(crm, type_=177):
    """Items whose value does not fit."""
    return crm.portal.items(type_).ids()[:3]


# --- a full refresh -------------------------------------------------------------------------------------------------


def test_a_refresh_of_one_resource_keeps_what_others_rejected(new):
    """The table belongs to no resource: the deals' rows stay when the items start over, whoever made the table."""
    crm = new
    load(crm, "deals")
    load(crm, "spa_items")
    load(crm, "spa_items", refresh=True)
    assert (odd(crm, 2), odd(crm)) == (rejected(crm, "deals"), rejected(crm))

    load(crm, "deals", refresh=True, slices=RunSession(SliceLimits(rows=150)))
    assert (odd(crm, 2), odd(crm)) == (rejected(crm, "deals"), rejected(crm))


def test_a_refresh_forgets_what_is_not_rejected_any_more(crm, clock):
    """Rows of items that are gone or were mended go with the table in which they were."""
    gone, mended, still = odd(crm)
    clock.advance(HOUR)
    crm.portal.items(177).delete(gone)
    crm.portal.items(177).update(mended, **{SIZE[177]: 5})
    load(crm, "spa_items", refresh=True)

    assert [still] == rejected(crm)
    assert 3 == len(rejected(crm, "deals"))


def test_a_refresh_on_a_new_machine_keeps_them_too(crm):
    """What the destination has is known from the destination."""
    crm.lose_folder()
    load(crm, "spa_items", refresh=True)

    assert (odd(crm, 2), odd(crm)) == (rejected(crm, "deals"), rejected(crm))


def test_a_refresh_keeps_the_history_of_issues(new):
    """`load_issues` tells what earlier runs went without, whatever starts over."""
    crm = new
    crm.portal.deny_type(1030)
    crm.run(*BOTH)
    before = crm.issues()
    crm.run("deals", refresh=True, full_refresh=True)

    assert before
    assert before == crm.issues()[: len(before)]


# --- what was mended ------------------------------------------------------------------------------------------------


@pytest.mark.all_databases
def test_a_mended_value_is_no_longer_among_the_rejected(crm, clock):
    """Corrected in the portal, it loses its row; what is rejected in the same run has one, what did not change keeps it."""
    mended, changed, _ = odd(crm)
    new = crm.portal.items(177).ids()[-1]
    clock.advance(HOUR)
    crm.portal.items(177).update(mended, **{SIZE[177]: 5})
    crm.portal.items(177).update(changed, **{SIZE[177]: "odd, too"})
    crm.portal.items(177).update(new, **{SIZE[177]: "odd at last"})
    load(crm)

    assert sorted([*odd(crm)[1:], new]) == rejected(crm)
    assert [('"odd, too"',)] == crm.query(
        "select raw_value from {}.rejected_values where item_id = ? and table_name = 'spa_items_177'", changed
    )
    assert odd(crm, 2) == rejected(crm, "deals")
    assert {None} == {removed for (removed,) in crm.query("select is_removed from {}.rejected_values")}

    clock.advance(HOUR)
    for id_ in (*odd(crm), new):
        crm.portal.items(177).update(id_, **{SIZE[177]: 5})
    load(crm)
    assert [] == rejected(crm)


@pytest.mark.all_databases
def test_a_mended_list_is_no_longer_among_the_rejected(crm, clock):
    """The same for one of several values: the list's row goes, the item's other one stays."""
    item = odd(crm)[0]
    clock.advance(HOUR)
    crm.portal.items(177).update(item, **{MANY: [1, "odd", 3]})
    load(crm)
    assert [item, item] == [id_ for id_ in rejected(crm) if id_ == item]

    clock.advance(HOUR)
    crm.portal.items(177).update(item, **{MANY: [1, 2, 3]})
    load(crm)
    assert odd(crm) == rejected(crm)


def test_an_item_that_is_deleted_keeps_its_rejected_values(crm, clock):
    """Its row stays, marked, and its value is in no column: it is still to be found."""
    before = odd(crm)
    clock.advance(HOUR)
    crm.portal.items(177).delete(before[0])
    load(crm, sweep=True)

    assert before[0] in crm.marked()
    assert before == rejected(crm)


def test_where_nothing_was_rejected_nothing_is_looked_up(portal_with, job, clock, monkeypatch):
    """A portal in order costs no question to the destination, and no column."""
    crm = job(portal_with({177: 20}))
    crm.run()
    asked = []
    ask = destination_reader._Table.columns
    monkeypatch.setattr(
        destination_reader._Table, "columns", lambda table, *query: asked.append(table.name) or ask(table, *query)
    )
    clock.advance(HOUR)
    crm.portal.items(177).update(1, title="changed")
    crm.run()
    crm.run(refresh=True, full_refresh=True)

    assert not [name for name in asked if "rejected_values" in name]
    assert "is_removed" not in crm.database.columns("rejected_values")

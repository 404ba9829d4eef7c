"""What becomes of `rejected_values` from run to run: a row is there as long as its value does not fit, and no longer."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from fixtures.item_warehouse import PLAIN

from bitrix24_source.sandbox import Clock, Portal
from bitrix24_source.source import destination_reader
from bitrix24_source.sync.session import RunSession
from bitrix24_source.sync.slice_limits import SliceLimits

HOUR = 3600
BOTH = ("spa_items", "deals")


SIZE = {2: "ufCrm_SIZE", 177: "ufCrm11Size"}
MANY = "ufCrm11Many"
CHOSEN = {"select": {"deals": ["title", SIZE[2]]}}


def odd_portal(clock):
    """Items and deals, some of which hold what does not fit: SIZE, one value, and MANY, several. A type may not be read."""
    portal = Portal("empty", clock=clock)
    for id_ in portal.items(2).ids()[60:]:
        portal.items(2).delete(id_)
    for number, items in ((177, 12), (1030, 1)):
        portal.add_type(f"Process {number}", entity_type_id=number, items=items, off=PLAIN)
    assert SIZE == {type_: portal.add_field(type_, "SIZE", "integer", "Size", pool=[1]) for type_ in SIZE}
    assert portal.add_field(177, "MANY", "integer", "Many", multiple=True, pool=[[1]]) == MANY
    for type_, name in SIZE.items():
        for id_ in portal.items(type_).ids()[:4]:
            portal.items(type_).update(id_, **{name: f"odd {id_}"})
    portal.deny_type(1030)
    return portal


@pytest.fixture(scope="module")
def loaded(job_once):
    return job_once(odd_portal(Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))), *BOTH, **CHOSEN)


@pytest.fixture
def crm(clock, loaded, copy_of):
    """A job that has loaded both, an hour ago."""
    copied = copy_of(loaded, odd_portal(clock))
    clock.advance(HOUR)
    return copied


def rejected(crm, table="spa_items_177"):
    """Items of a table, and of its lists, with a rejected value, as often as there are rows."""
    return [
        item
        for name, item in sorted(crm.query("select table_name, item_id from {}.rejected_values"))
        if name.partition("__")[0] == table
    ]


def odd(crm, type_=177):
    """Items whose value does not fit."""
    return crm.portal.items(type_).ids()[:4]


# --- a full refresh -------------------------------------------------------------------------------------------------


def test_a_refresh_of_one_resource(crm):
    """It forgets rows of its items that are gone or were mended, and keeps what others rejected, and the history of issues.

    The table belongs to no resource: rows of the deals stay when the items start over, on a new machine, which knows from the
    destination what it has; and theirs when the deals do, in slices.
    """
    deals, (gone, mended, *still), issues = odd(crm, 2), odd(crm), crm.issues()
    assert (deals, odd(crm)) == (rejected(crm, "deals"), rejected(crm))
    assert issues
    crm.portal.items(177).delete(gone)
    crm.portal.items(177).update(mended, **{SIZE[177]: 5})
    crm.lose_folder()
    crm.run("spa_items", refresh=True, full_refresh=True, **CHOSEN)
    assert (deals, still) == (rejected(crm, "deals"), rejected(crm))

    slices = RunSession(SliceLimits(rows=35))
    crm.run("deals", refresh=True, full_refresh=True, slices=slices, **CHOSEN)
    assert slices.slice_count > 1
    assert (deals, still) == (rejected(crm, "deals"), rejected(crm))
    assert issues == crm.issues()[: len(issues)]


# --- what was mended ------------------------------------------------------------------------------------------------


@pytest.mark.all_databases(slow=True)
def test_a_mended_value_is_no_longer_among_the_rejected(crm, clock):
    """Corrected in the portal, it loses its row; what is rejected in the same run has one, what did not change keeps it.

    The same for one of several values: the list's row goes, the item's other one stays. The row of an item that is deleted stays:
    its value is in no column, and is still to be found.
    """
    deleted, mended, changed, listed = odd(crm)
    items, new = crm.portal.items(177), crm.portal.items(177).ids()[-1]
    items.delete(deleted)
    items.update(mended, **{SIZE[177]: 5})
    items.update(changed, **{SIZE[177]: "odd, too"})
    items.update(listed, **{MANY: [1, "odd", 3]})
    items.update(new, **{SIZE[177]: "odd at last"})
    crm.run(*BOTH, sweep=True, **CHOSEN)

    assert [deleted] == list(crm.marked())
    assert [deleted, changed, listed, listed, new] == sorted(rejected(crm))
    assert [('"odd, too"',)] == crm.query(
        "select raw_value from {}.rejected_values where item_id = ? and table_name = 'spa_items_177'", changed
    )
    assert odd(crm, 2) == rejected(crm, "deals")
    assert {None} == {removed for (removed,) in crm.query("select is_removed from {}.rejected_values")}

    clock.advance(HOUR)
    items.update(listed, **{MANY: [1, 2, 3]})
    for id_ in (changed, new):
        items.update(id_, **{SIZE[177]: 5})
    crm.run(*BOTH, **CHOSEN)
    assert [deleted, listed] == rejected(crm)


# --- nothing was rejected -------------------------------------------------------------------------------------------


def test_where_nothing_was_rejected_nothing_is_looked_up(small_job, clock, monkeypatch):
    """A portal in order costs no question to the destination, and no column."""
    crm, asked = small_job, []
    ask = destination_reader._Table.columns
    monkeypatch.setattr(
        destination_reader._Table, "columns", lambda table, *query: asked.append(table.name) or ask(table, *query)
    )
    clock.advance(HOUR)
    crm.portal.items(177).update(1, title="changed")
    crm.run(refresh=True, full_refresh=True)

    assert not [name for name in asked if "rejected_values" in name]
    assert "is_removed" not in crm.database.columns("rejected_values")

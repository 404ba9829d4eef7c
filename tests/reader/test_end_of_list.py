"""What is not to be believed at once: an empty page where items are known to be, a page that never comes, a stretch unmeasured."""

from __future__ import annotations

import pytest
from fixtures.item_warehouse import read_ranges

from bitrix24_source.reader.events import ListEnd
from bitrix24_source.reader.id_ranges import IdRange
from bitrix24_source.reader.list_queries import ListQuery
from bitrix24_source.rest.transport import PortalTimeoutError
from bitrix24_source.sandbox import Fault


def once_empty(portal, mark):
    """The first answer to a command with this mark says that there is nothing."""
    struck = []

    def say(command, result):
        if mark in command and not struck:
            struck.append(command)
            return {"items": []}
        return result

    portal.say = say
    return struck


def test_the_look_for_the_newest_id_finds_nothing(portal_with, recording_adapter, read_items):
    """Behind a full page there may be more, whatever one answer says: all items come."""
    portal = portal_with({177: 3000}, scripted=True)
    struck = once_empty(portal, "DESC")
    done = read_items(recording_adapter(portal))

    assert struck
    assert {177: None} == done.ended
    assert portal.items(177).ids() == done.ids()


def test_fifty_items_and_no_more(portal_with, recording_adapter, read_items):
    """A full page that is the last one is the end, at the cost of one look."""
    portal = portal_with({177: 50})
    done = read_items(recording_adapter(portal))

    assert portal.items(177).ids() == done.ids()
    assert [1, 1] == [len(seen.commands) for seen in portal.requests]


def test_an_empty_first_page_where_items_are_known_to_be(portal_with, recording_adapter):
    """An earlier run has seen ids: what ends before them is looked at again, and believed the second time."""
    portal = portal_with({177: 8}, scripted=True)
    once_empty(portal, "filter[%3Eid]=0")
    items = ListQuery(177, select=("id",))
    came = list(read_ranges(recording_adapter(portal).client(), [IdRange(items, checkpoint_max_id=8)]))
    for id_ in portal.items(177).ids():
        portal.items(177).delete(id_)
    rest = IdRange(items, checkpoint_max_id=8)
    nothing = list(read_ranges(recording_adapter(portal).client(), [rest]))

    assert [8, None] == [getattr(what, "rows", None) and len(what.rows) for what in came]
    assert [ListEnd(rest)] == nothing


def test_a_stretch_that_was_not_measured_before_the_run_ended(portal_with, recording_adapter):
    """What a run has left after its first page is measured by the next one, and not read page by page."""
    portal = portal_with({177: 10_000})
    rest = IdRange.from_stored(ListQuery(177, select=("title",)), [50, None, None, 1.0, False])
    rows = [
        row for what in read_ranges(recording_adapter(portal).client(), [rest]) for row in getattr(what, "rows", ())
    ]

    assert portal.items(177).ids()[50:] == sorted(row["id"] for row in rows)
    assert len(portal.requests) <= 10


@pytest.mark.parametrize("connections", [1, 4])
def test_a_page_that_never_comes(clock, portal_with, recording_adapter, read_items, connections):
    """Its list has failed as a whole and is named; the others are read to their end."""
    portal = portal_with({177: 3000, 1030: 60, 1032: 60})
    portal.faults.add(Fault("batch", "hang", times=None, when=lambda asked: "entityTypeId=1030" in str(asked["cmd"])))
    done = read_items(recording_adapter(portal), types=(1030, 177, 1032), connections=connections)

    assert isinstance(done.ended.pop(1030), PortalTimeoutError)
    assert {177: None, 1032: None} == done.ended
    assert portal.items(177).ids() == done.ids()


def test_a_portal_that_is_silent(portal_with, recording_adapter, read_items):
    """When nobody's pages come it is the portal's fault, and not waited for list by list."""
    types = range(1030, 1050, 2)
    portal = portal_with(dict.fromkeys(types, 10))
    portal.faults.add(Fault("batch", "hang", times=None))

    with pytest.raises(PortalTimeoutError):
        read_items(recording_adapter(portal), types=types, connections=1)
    assert len(portal.requests) < 100

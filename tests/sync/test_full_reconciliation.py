"""The sweep proves the table: whatever went wrong before, its living rows are the portal's afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest

DAY = 24 * 3600


@pytest.fixture
def crm(clock, portal_with, reader):
    """A portal of 120 items that was read once."""
    read = reader(portal_with({177: 120}))
    read.run()
    clock.advance(2 * DAY)
    return read


@pytest.mark.parametrize("damage", ["emptied", "some rows gone", "older values", "rows of nobody", "marks of nobody"])
def test_a_damaged_table_heals(crm, damage):
    """Rows that were deleted, changed, invented or marked by hand or by a restored backup are the portal's again."""
    rows = crm.tables[177]
    if damage == "emptied":
        rows.clear()
    elif damage == "some rows gone":
        for id_ in (3, 60, 120):
            del rows[id_]
    elif damage == "older values":
        for id_ in (3, 60, 120):
            rows[id_] |= {"title": "old", "updated_time": rows[id_]["updated_time"] - timedelta(days=30)}
    elif damage == "rows of nobody":
        rows[500] = {**rows[1], "id": 500}
    else:
        for id_ in (3, 60, 120):
            rows[id_] |= {"deleted_at": rows[id_]["updated_time"]}
    crm.run()

    assert crm.differs() == []
    assert crm.issues() == []


def test_a_cursor_that_is_too_far(crm, clock):
    """Changes that a cursor has passed over are found by their time of change."""
    crm.portal.items(177).update(9, title="changed")
    crm.state["types"]["177"]["cursor"] = (clock.now() + timedelta(minutes=1)).isoformat()
    clock.advance(DAY)
    crm.run()

    assert crm.differs() == []


def test_a_hidden_item_that_changed_meanwhile(crm, clock):
    """It is marked when it goes out of sight, and as the portal has it when it comes back."""
    crm.portal.set_admin(crm=False)
    crm.portal.hide_items(177, [5, 6])
    crm.run()
    marked = set(crm.marked())
    crm.portal.items(177).update(5, title="changed in hiding")
    clock.advance(2 * DAY)
    crm.run()
    crm.portal.set_admin(crm=True)
    clock.advance(2 * DAY)
    crm.run()

    assert marked == {5, 6}
    assert crm.differs() == []


def test_nothing_is_read_again_where_nothing_differs(crm, clock):
    """A sweep of an equal table reads ids and writes no row."""
    assert crm.run() == {}
    clock.advance(2 * DAY)
    assert crm.run() == {}


def test_an_item_that_leaves_a_filter_is_marked(clock, portal_with, reader):
    """What no longer fits a configured filter is marked like what is gone; what fits again comes back."""
    crm = reader(portal_with({177: 60}))
    items = crm.portal.items(177)
    for id_ in range(1, 41):
        items.update(id_, title="chosen")
    choice = {"filter": {177: {"title": "chosen"}}}
    crm.run(**choice)
    items.update(7, title="other")
    clock.advance(2 * DAY)
    crm.run(**choice)
    left = set(crm.marked())
    items.update(7, title="chosen")
    clock.advance(2 * DAY)
    crm.run(**choice)

    assert left == {7}
    assert crm.ids() == list(range(1, 41))


def test_a_type_made_anew(crm, clock):
    """Under the number of a deleted type it is read whole, and what the old one had besides is marked."""
    crm.portal.add_type("Made between", entity_type_id=1030, items=0)
    crm.portal.delete_type(177)
    crm.portal.add_type("Made anew", entity_type_id=177, items=20)
    clock.advance(3600)
    crm.run()

    assert crm.differs() == []
    assert len(crm.ids()) == 20


def test_a_field_that_comes_into_sight_is_read_for_all(crm, clock):
    """All items are read once when a column is new, and never again for its sake."""
    crm.portal.add_field(177, "NEW", "string", "New field")
    clock.advance(3600)
    first, second = crm.run(), None
    clock.advance(3600)
    second = crm.run()

    assert first == {177: 120}
    assert second == {}


def test_a_field_that_is_left_out_and_let_in_again(crm, clock):
    """What `leave_out` let go of is read for all items when it is let in again."""
    state = crm.state["types"]["177"]
    state["columns"] = state["columns"][1:]
    clock.advance(3600)

    assert crm.run() == {177: 120}
    assert crm.run() == {}


def test_a_key_that_only_rows_know(crm, clock):
    """It is filled for all items once rows begin to have it, and nothing is read again for it later."""
    crm.portal.switch_feature(177, "isClientEnabled", on=True)
    state = crm.state["types"]["177"]
    state["unlisted"] = []
    clock.advance(3600)
    first = crm.run()
    clock.advance(3600)

    assert first[177] >= 120
    assert crm.run() == {}


@pytest.mark.parametrize(("items", "hidden", "is_said"), [(8, 8, True), (40, 9, True), (100, 10, False), (8, 2, False)])
def test_more_rows_than_usual_are_said(clock, portal_with, reader, items, hidden, is_said):
    """A whole list, or a great part of a small one, is marked and said; a few rows go without a word."""
    crm = reader(portal_with({177: items}))
    crm.run()
    crm.portal.set_admin(crm=False)
    crm.portal.hide_items(177, range(1, hidden + 1))
    clock.advance(2 * DAY)
    crm.run()

    assert set(crm.marked()) == set(range(1, hidden + 1))
    assert [f"{hidden} of {items} items are gone" in message for message in crm.issues()] == [True] * is_said


def test_a_list_that_comes_back_soon(clock, portal_with, reader):
    """After an unusual loss the next runs look again: a right that is given back within hours brings the rows back."""
    crm = reader(portal_with({177: 8}))
    crm.run()
    crm.portal.set_admin(crm=False)
    crm.portal.hide_items(177, range(1, 9))
    clock.advance(2 * DAY)
    for _ in range(3):
        crm.run()
        clock.advance(3600)
    crm.portal.set_admin(crm=True)
    crm.run()

    assert crm.differs() == []
    assert len(crm.issues()) == 1

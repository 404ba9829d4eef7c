"""Another user may see other items: the first run of each list by another user marks nothing as deleted, and says what is out of sight."""

from __future__ import annotations

import pytest
from fixtures.another_user import credential_of

from bitrix24_source.sandbox import Fault
from bitrix24_source.sync.options import ReconcileSchedule
from bitrix24_source.sync.session import RunSession
from bitrix24_source.sync.slice_limits import SliceLimits

HOUR = 3600
NOW = ReconcileSchedule(now=True)
GONE = set(range(1, 21))
SAID = "{}: the credential's user is another one, who does not see 20 of 120 items; none was marked"


@pytest.fixture
def crm(clock, portal_with, reader):
    """Two lists that were read once by the user 1; twenty items of each are gone since."""
    read = reader(portal_with({177: 120, 1030: 120}))
    read.run()
    for entity_type_id in (177, 1030):
        for id_ in GONE:
            read.portal.items(entity_type_id).delete(id_)
    clock.advance(HOUR)
    return read


def run_as_another(crm, **arguments):
    with credential_of("77"):
        crm.run(**arguments)
    crm.clock.advance(HOUR)


def is_of_1030(params):
    return str(params["entityTypeId"]) == "1030"


def test_another_user_marks_nothing_at_first(crm):
    """A run by another user marks nothing and says what it does not see; the next run marks it."""
    run_as_another(crm)
    first, said = {*crm.marked(177), *crm.marked(1030)}, list(crm.issues())
    run_as_another(crm)

    assert first == set()
    assert said == [SAID.format("spa_items_177"), SAID.format("spa_items_1030")]
    assert set(crm.marked(177)) == set(crm.marked(1030)) == GONE


def test_a_list_that_fails_in_the_first_run_of_another_user(crm):
    """It is spared in the run in which it is read again."""
    crm.portal.faults.add(Fault("crm.item.list", where="command", times=None, when=is_of_1030))
    run_as_another(crm)
    crm.portal.faults.clear()
    crm.noted.clear()
    run_as_another(crm, max_deleted_share=1.0)
    second, said = set(crm.marked(1030)), list(crm.issues())
    run_as_another(crm)

    assert (second, said) == (set(), [SAID.format("spa_items_1030")])
    assert set(crm.marked(177)) == set(crm.marked(1030)) == GONE


def test_a_list_that_another_user_reads_later(crm):
    """It is spared in the first run in which another user reads it, however many runs he has made of other lists."""
    run_as_another(crm, types=[177])
    run_as_another(crm, types=[177])
    crm.noted.clear()
    run_as_another(crm, max_deleted_share=1.0)

    assert set(crm.marked(177)) == GONE
    assert (set(crm.marked(1030)), crm.issues()) == (set(), [SAID.format("spa_items_1030")])


@pytest.mark.parametrize("choice", [{"filter": {177: {">=id": 1}}}, {"full_refresh": True}])
def test_another_user_beside_another_reason_to_read_everything(crm, choice):
    """Nothing is marked in a full read by another user either; the next run marks."""
    run_as_another(crm, max_deleted_share=1.0, **choice)
    first = set(crm.marked())
    run_as_another(crm, **choice)

    assert first == set()
    assert set(crm.marked()) == GONE


def test_another_user_in_slices(crm):
    """Nothing is marked in any slice of a run whose user changed; the next run marks."""
    crm.portal.add_field(177, "NEW", "string", "New field")
    run_as_another(crm, slices=RunSession(SliceLimits(rows=50)))
    first = set(crm.marked())
    run_as_another(crm)

    assert first == set()
    assert set(crm.marked()) == GONE


def test_a_full_read_that_another_user_finishes(crm):
    """The first user's part of a list is spared when another user reads the rest of it."""
    crm.portal.add_type("Long", entity_type_id=1040, items=120)
    crm.run(slices=RunSession(SliceLimits(rows=60)), killed_after=1)
    crm.portal.set_admin(crm=False)
    crm.portal.hide_items(1040, range(1, 31))
    crm.clock.advance(HOUR)
    run_as_another(crm, max_deleted_share=1.0)

    assert 30 < len(crm.items(1040))
    assert crm.marked(1040) == {}


@pytest.mark.parametrize("user", ["1", ""])
def test_a_state_that_names_the_user_once_for_all_lists(crm, user):
    """As pre-releases of 0.2.0 stored it, it counts; in a state of 0.1.0 nobody is named, and nobody is another."""
    for stored in crm.state["types"].values():
        stored.pop("user")
    crm.states[""]["loaded_from"] = {"version": 1, "portal": "", "user": user, "load_id": ""}
    run_as_another(crm, max_deleted_share=1.0, types=[177], sweep=NOW)
    run_as_another(crm, max_deleted_share=1.0, types=[1030], sweep=NOW)

    assert set(crm.marked(177)) == set(crm.marked(1030)) == (set() if user else GONE)
    assert len(crm.issues()) == (2 if user else 0)

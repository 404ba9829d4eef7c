"""Whole loads into a destination of dictionaries: slices, deletions, rows that belong to items, and portals that are lost."""

from __future__ import annotations

import pytest

from bitrix24_source.sandbox import Fault
from bitrix24_source.sandbox.methods.products import product_rows
from bitrix24_source.sync import ReconcileSchedule, RunSession, SliceLimits

DAY = 24 * 3600
EVERYTHING = (
    "spa_items",
    "deals",
    "leads",
    "invoices",
    "quotes",
    "stage_history",
    "product_rows",
    "activities",
    "activity_bindings",
)


@pytest.fixture
def company(portal):
    return portal


def copy_of(crm):
    return {name: dict(rows) for name, rows in crm.destination.tables.items() if name != "rejected_values"}


def product_keys(crm):
    return sorted(crm.destination.tables["product_rows"])


def products_of(portal):
    return sorted(
        (type_, id_, row["id"])
        for type_, store in portal.world.objects.items()
        for id_ in store.ids()
        for row in product_rows(portal.world, type_, id_)
    )


def test_everything_twice_is_the_same(company, clock, reader):
    """A run without changes writes no row into any table."""
    crm = reader(company, resources=EVERYTHING)
    crm.run()
    before = copy_of(crm)
    clock.advance(3600)
    crm.run()

    assert copy_of(crm) == before
    assert crm.issues() == []


@pytest.mark.parametrize("rows", [pytest.param(25, marks=pytest.mark.slow), 90])
def test_slices_of_any_size_fill_the_same_tables(company, reader, rows):
    """A first load that is cut anywhere ends with the tables of one that is not."""
    whole, sliced = (reader(company, resources=EVERYTHING) for _ in range(2))
    whole.run()
    sliced.run(slices=(slices := RunSession(SliceLimits(rows=rows))))

    assert slices.slice_count > 3
    assert copy_of(sliced) == copy_of(whole)


def test_a_kill_between_two_slices(clock, portal_with, reader):
    """The next run goes on where the last committed slice ended; what went meanwhile is marked by a read of all ids."""
    crm = reader(portal_with({177: 400}))
    crm.run(slices=RunSession(SliceLimits(rows=150)), killed_after=1)
    half = len(crm.ids())
    crm.portal.items(177).delete(3)
    clock.advance(3600)
    crm.run(slices=RunSession(SliceLimits(rows=1_000)))

    assert 0 < half < 400
    assert crm.differs() == []
    assert set(crm.marked()) == {3}


@pytest.mark.parametrize("killed_after", [None, 1])
def test_another_filter_in_slices(clock, portal_with, reader, killed_after):
    """Items that a new filter lets go of are marked, however many: also where the read was cut, or killed in between."""
    crm = reader(portal_with({177: 300}))
    crm.run()
    clock.advance(3600)
    crm.run(slices=RunSession(SliceLimits(rows=50)), killed_after=killed_after, filter={177: {">=id": 201}})
    if killed_after:
        clock.advance(3600)
        crm.run(slices=RunSession(SliceLimits(rows=50)), filter={177: {">=id": 201}})

    assert crm.issues() == []
    assert set(crm.marked()) == set(range(1, 201))


def test_all_product_rows_come_with_their_items(company, reader):
    """Of every type that has products, each row once, also of more than are written at once."""
    for owner in company.items(2).ids()[:8]:
        company.set_product_rows(2, owner, *({"productName": str(number)} for number in range(300)))
    crm = reader(company, resources=("deals", "product_rows"))
    crm.run()

    assert product_keys(crm) == [
        key for key in products_of(company) if key[0] in {type_ for type_, *_ in product_keys(crm)}
    ]
    assert {1, 2, 7, 31} <= {type_ for type_, *_ in product_keys(crm)}


def empty(rows, keys):
    rows.clear()


def drop_every_third(rows, keys):
    for key in keys[::3]:
        del rows[key]


def drop_those_of_an_item(rows, keys):
    for key in [key for key in keys if key[:2] == keys[0][:2]]:
        del rows[key]


def replace_by_older_ones(rows, keys):
    for type_, owner, id_ in keys[::5]:
        rows[type_, owner, id_ - 1] = {**rows.pop((type_, owner, id_)), "id": id_ - 1}


def add_one_of_nobody(rows, keys):
    type_, owner, _ = keys[0]
    id_ = max(id_ for *_, id_ in keys) + 1
    rows[type_, owner, id_] = {**rows[keys[0]], "id": id_}


@pytest.mark.parametrize(
    "resources", [("product_rows",), ("deals", "product_rows"), pytest.param(EVERYTHING, marks=pytest.mark.slow)]
)
def test_damaged_product_rows_heal(company, clock, reader, resources):
    """At the next sweep after each damage, whether their items are read with them or not."""
    crm = reader(company, resources=resources)
    crm.run()
    before = product_keys(crm)
    for damage in (empty, drop_every_third, drop_those_of_an_item, replace_by_older_ones, add_one_of_nobody):
        damage(crm.destination.tables["product_rows"], before)
        assert product_keys(crm) != before
        clock.advance(2 * DAY)
        crm.run()

        assert product_keys(crm) == before, damage.__name__
        assert crm.issues() == []


def test_a_comparison_that_failed_is_made_by_the_next_run(company, clock, reader):
    """Product rows that could not be counted at the sweep are counted by the next run, though their items are not due again."""
    crm = reader(company, resources=("deals", "product_rows"))
    crm.run()
    rows = crm.destination.tables["product_rows"]
    before = set(rows)
    for key in sorted(key for key in before if key[0] == 2)[::3]:
        del rows[key]
    clock.advance(2 * DAY)
    company.faults.add(Fault("crm.item.productrow.list", where="command", times=None))
    crm.run()
    company.faults.clear()
    damaged = set(rows)
    clock.advance(3600)
    crm.run()

    assert damaged < before
    assert set(rows) == before


def test_a_parent_that_is_gone_hides_no_others(company, reader):
    """Where a list of parents is answered with "not found", each of them is asked for by itself."""
    crm = reader(company, resources=("product_rows",))
    company.faults.add(Fault("crm.item.productrow.list", where="command", error="NOT_FOUND", status=400))
    crm.run()
    rows, issues = product_keys(crm), crm.issues()
    whole = reader(company, resources=("product_rows",))
    whole.run()

    assert rows == product_keys(whole)
    assert issues == []


def test_rows_of_an_item_that_lost_them_all(company, clock, reader):
    """The next run removes them with the item's change."""
    crm = reader(company, resources=("deals", "product_rows"))
    crm.run()
    _, owner, _ = next(key for key in product_keys(crm) if key[0] == 2)
    company.set_product_rows(2, owner)
    company.items(2).update(owner, title="Without products")
    clock.advance(3600)
    crm.run()

    assert [key for key in product_keys(crm) if key[:2] == (2, owner)] == []


def test_activities_without_bindings_are_asked_for(company, clock, reader):
    """An activity is bound to something: one without a binding in the destination lacks them all. It is asked for once."""
    crm = reader(company, resources=("activities", "activity_bindings"))
    crm.run()
    bindings = crm.destination.tables["activity_bindings"]
    before = dict(bindings)
    for key in [key for key in bindings if key[0] % 2]:
        del bindings[key]
    clock.advance(2 * DAY)
    crm.run()
    healed = dict(bindings)
    clock.advance(2 * DAY)
    crm.run()

    assert healed == before
    assert crm.adapter.parameters("crm.activity.binding.list") == []


def test_moves_that_somebody_deleted_come_back(company, clock, reader):
    """Stage history of which the destination has fewer rows than the portal is read anew; else none is."""
    crm = reader(company, resources=("stage_history",))
    crm.run()
    clock.advance(2 * DAY)
    crm.run()
    quiet = sum("crm.stagehistory.list" in str(body) for body in crm.adapter.bodies)
    history = crm.destination.tables["stage_history"]
    before = set(history)
    for key in sorted(before)[::7]:
        del history[key]
    clock.advance(2 * DAY)
    crm.run()

    assert set(history) == before
    assert quiet <= 2


def test_a_portal_that_is_lost_keeps_what_came(clock, portal_with, reader):
    """What was read is stored, what was not is named, and the next run reads it."""
    crm = reader(portal_with({177: 200, 1030: 200}))
    crm.portal.faults.add(Fault("*", kind="http", status=503, nth=4, times=None))
    crm.run()
    crm.portal.faults.clear()
    said = list(crm.issues())
    clock.advance(3600)
    crm.run()

    assert said
    assert crm.differs(177, 1030) == []


def test_a_resource_without_a_consumer_is_not_remembered(clock, portal_with, reader):
    """What nobody took is read again."""
    crm = reader(portal_with({177: 20}))
    crm.wanted = lambda _resource: False
    crm.run()
    crm.destination.tables.clear()
    crm.wanted = lambda _resource: True
    clock.advance(3600)

    assert crm.run() == {177: 20}


def test_changes_without_a_consumer_come_with_the_next_run(clock, portal_with, reader):
    """A run whose rows nobody took leaves the checkpoint where it was."""
    crm = reader(portal_with({177: 20}))
    crm.run()
    clock.advance(3600)
    crm.portal.items(177).update(7, title="Changed")
    crm.wanted = lambda _resource: False
    crm.run()
    clock.advance(3600)
    crm.wanted = lambda _resource: True
    crm.run()

    assert "Changed" == crm.items()[7]["title"]


def test_what_was_read_as_changed_is_not_read_again_for_the_comparison(clock, portal_with, reader):
    """A reconciliation finds that a new and a changed item differ from the table, and both have come already."""
    crm = reader(portal_with({177: 20}))
    crm.run()
    clock.advance(3600)
    crm.portal.items(177).update(7, title="Changed")
    new = crm.portal.items(177).add(title="New")

    assert {177: 2} == crm.run(sweep=ReconcileSchedule(now=True))
    assert ["Changed", "New"] == [crm.items()[id_]["title"] for id_ in (7, new)]


def test_a_first_load_of_product_rows_needs_no_comparison(company, clock, reader):
    """All of them were read: the next run asks for the rows of items that changed, and nothing else."""
    crm = reader(company, resources=("product_rows",))
    crm.run()
    company.items(2).update(1, title="Changed")
    clock.advance(3600)
    crm.run()
    sent = [command for body in crm.adapter.bodies for command in body.get("cmd", {}).values()]

    assert len([command for command in sent if command.startswith("crm.item.productrow.list")]) == 1


def test_slices_end_where_nobody_takes_a_list(portal_with, reader):
    """A list that nobody takes needs no further slice: none would get any further. The others are read to their end."""
    crm = reader(portal_with({177: 120}), resources=("spa_items", "activities"))
    for number in range(1, 131):
        crm.portal.put_activity(number, [(177, 1)])
    crm.wanted = lambda resource: resource != "activities"
    slices = RunSession(SliceLimits(rows=50))
    crm.run(slices=slices, killed_after=12)

    assert not slices.unfinished
    assert len(crm.ids()) == 120


def test_a_new_field_while_the_portal_goes_away(clock, portal_with, reader):
    """Rows with a field that cannot be looked up are loaded without it; the next run reads it for all items."""
    crm = reader(portal_with({177: 20, 1030: 20}))
    crm.run()
    clock.advance(3600)

    def add_field(number):
        if number == 3:  # the field list has been read, the rows have not
            name = crm.portal.add_field(177, "NEW", "integer", "New field")
            crm.portal.items(177).update(3, **{name: 5, "title": "Changed"})
            crm.portal.faults.add(Fault("crm.item.fields", kind="http", status=503, times=None))

    crm.before = add_field
    crm.run()
    first = crm.items()[3]
    crm.portal.faults.clear()
    clock.advance(3600)
    crm.run()
    column = next(name for name in crm.items()[3] if name.endswith("new"))

    assert (first["title"], column in first) == ("Changed", False)
    assert crm.items()[3][column] == 5
    assert crm.differs(177, 1030) == []


def test_a_key_that_no_list_explains_while_the_portal_goes_away(clock, portal_with, reader):
    """The next run reads the same rows again: in no list is there anything by which it would know of the key."""
    crm = reader(portal_with({177: 20}, scripted=True))
    crm.run()
    clock.advance(3600)
    crm.portal.items(177).update(3, title="Changed")
    clock.advance(2 * DAY)  # more than runs read twice in any case

    def say(command, result):
        if command.startswith("crm.item.list"):
            result["items"] = [{**item, **({"oddWord": "odd"} if item["id"] == 3 else {})} for item in result["items"]]
        return result

    def lose_the_list(number):
        if number == 3:  # the field list has been read, the rows have not
            crm.portal.faults.add(Fault("crm.item.fields", kind="http", status=503, times=None))

    crm.portal.say = say
    crm.before = lose_the_list
    crm.run()
    first = dict(crm.items()[3])
    crm.portal.faults.clear()
    clock.advance(3600)
    crm.run()
    clock.advance(3600)
    crm.run()

    assert (first["title"], "odd_word" in first) == ("Changed", False)
    assert crm.items()[3]["odd_word"] == "odd"
    assert crm.differs() == []
    assert crm.run() == {}
    assert ["without oddWord" in message for message in crm.issues()] == [True]


def test_a_first_load_goes_on_without_a_key_that_cannot_be_looked_up(clock, portal_with, reader):
    """It is read to its end in the slices of one run; `load_issues` says which key some of its rows lack."""
    crm = reader(portal_with({177: 300}, scripted=True))

    def say(command, result):
        if command.startswith("crm.item.list"):
            result["items"] = [{**item, "oddWord": "odd"} for item in result["items"]]
        return result

    def refuse_the_list(number):
        if number == 3:  # the field list has been read, the rows have not
            crm.portal.faults.add(Fault("crm.item.fields", status=403, error="ACCESS_DENIED", times=1))

    crm.portal.say = say
    crm.before = refuse_the_list
    crm.run(slices=RunSession(SliceLimits(rows=100)))
    first = len(crm.ids()), crm.issues()
    clock.advance(2 * DAY)

    assert first[0] == 300
    assert first[1]
    assert all("was loaded without oddWord" in message for message in first[1])
    assert crm.run() == {}

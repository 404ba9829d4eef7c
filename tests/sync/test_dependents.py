"""What happens to items: stage history grows, product rows and bindings are read again with their owners, activities come and go."""

from __future__ import annotations

import dlt
import pytest

from bitrix24_source import bitrix24
from bitrix24_source.sandbox import Fault
from bitrix24_source.sandbox.methods.products import product_rows
from bitrix24_source.sync.session import RunSession
from bitrix24_source.sync.slice_limits import SliceLimits

HOUR = 3600
DAY = 24 * HOUR
TITLES_ALONE = {"select": {"deals": ["title"], "quotes": ["title"], 177: ["title"]}}
"""where it is not items that are looked at: without their lists there are fewer tables"""
PLAIN = ("isClientEnabled", "isObserversEnabled", "isSourceEnabled", "isMycompanyEnabled", "isBeginCloseDatesEnabled")


def commands(crm):
    """What the latest run has sent, command by command."""
    return [command for body in crm.adapter.bodies for command in body.get("cmd", {}).values()]


def asked(crm, method):
    """How many commands of a method the latest run has sent."""
    return sum(command.partition("?")[0] == method for command in commands(crm))


# --- stage history --------------------------------------------------------------------------------------------------


def history_of(ask_portal, type_):
    """All moves of one type's items, by id."""
    rows, after = {}, 0
    while page := ask_portal(
        "crm.stagehistory.list", entityTypeId=type_, filter={">ID": after}, order={"ID": "ASC"}, start=-1
    )["items"]:
        rows |= {row["ID"]: row for row in page}
        after = max(rows)
    return rows


@pytest.fixture
def ask_portal(client):
    """Asks the portal itself."""
    return lambda method, **params: client.call(method, params).result


def test_history_has_every_move_of_every_type(crm, ask_portal):
    """Rows by type and id, of smart processes, leads, deals and invoices; leads spell their stages differently."""
    crm.run("stage_history")
    rows = {(row["entity_type_id"], row["id"]): row for row in crm.rows("stage_history")}

    said = {(type_, id_): row for type_ in (1, 2, 31, 177, 1036) for id_, row in history_of(ask_portal, type_).items()}
    assert said.keys() == {key for key in rows if key[0] in (1, 2, 31, 177, 1036)}
    for key, row in said.items():
        stage = row.get("STAGE_ID", row.get("STATUS_ID"))
        assert (row["OWNER_ID"], row["TYPE_ID"], stage) == tuple(
            rows[key][name] for name in ("owner_id", "type_id", "stage_id")
        )
    assert "deleted_at" not in next(iter(rows.values()))


def test_later_runs_read_only_new_moves(crm, portal, clock):
    """One move is one row, and the history is not read again."""
    crm.run("stage_history")
    clock.advance(DAY)
    portal.items(2).update(3, stageId="WON")
    loaded = crm.run("stage_history")
    (row,) = [row for row in crm.rows("stage_history") if row["created_time"] == clock.now()]

    assert 1 == loaded.rows["stage_history"]
    assert (2, 3, "WON", "S") == tuple(
        row[name] for name in ("entity_type_id", "owner_id", "stage_id", "stage_semantic_id")
    )
    assert 2 * 9 == asked(crm, "crm.stagehistory.list"), "one for each type, and one to count its rows after a day"


def test_a_portal_without_history_of_smart_processes(crm, portal):
    """Where the method refuses a type, that type is listed, and the others come."""
    refused = Fault(
        "crm.stagehistory.list", where="command", error="ENTITY_TYPE_NOT_SUPPORTED", status=400, times=None,
        when=lambda params: str(params.get("entityTypeId")) == "177",
    )  # fmt: skip
    portal.faults.add(refused)
    crm.run("stage_history")

    assert {("stage_history", 177)} == {(row["resource"], row["entity_type_id"]) for row in crm.rows("load_issues")}
    assert {1, 2, 31, 1036} <= {row["entity_type_id"] for row in crm.rows("stage_history")}


# --- product rows ---------------------------------------------------------------------------------------------------


def products(crm):
    return {(row["entity_type_id"], row["owner_id"], row["id"]): row for row in crm.rows("product_rows")}


def told_products(portal):
    rows = {}
    for type_ in (1, 2, 7, 31, *portal.world.types):
        for owner in portal.items(type_).ids():
            rows |= {(type_, owner, row["id"]): row for row in product_rows(portal.world, type_, owner)}
    return rows


def test_product_rows_of_all_owners(crm, portal):
    """Every row of leads, deals, quotes, invoices and of the smart processes that have products, once."""
    crm.run("spa_items", "deals", "leads", "quotes", "invoices", "product_rows")
    rows, said = products(crm), told_products(portal)

    assert said.keys() == rows.keys()
    for key, row in said.items():
        loaded = rows[key]
        assert (row["productName"], row["price"], row["quantity"], row["taxRate"]) == tuple(
            loaded[name] for name in ("product_name", "price", "quantity", "tax_rate")
        )
        assert loaded["product_id"] == (row["productId"] or None)


def edit_products(portal):
    """One deal has other rows, one has none any more."""
    portal.set_product_rows(2, 1, {"productName": "A", "price": 5.5}, {"productName": "B"})
    portal.set_product_rows(2, 2)
    for owner in (1, 2):
        portal.items(2).update(owner, title="Changed")


def test_rows_of_others_are_not_asked_for(crm, portal, clock):
    """Of all owners, only those that changed are asked for their rows."""
    crm.run("deals", "product_rows")
    clock.advance(HOUR)
    edit_products(portal)
    crm.run("deals", "product_rows")

    assert 1 == asked(crm, "crm.item.productrow.list")


def test_product_rows_alone_find_their_owners(crm, portal, clock):
    """Without the owners' own resources, ids of the owners are read for them, and later only those that changed."""
    crm.run("product_rows")
    assert told_products(portal).keys() == products(crm).keys()
    clock.advance(HOUR)
    portal.set_product_rows(31, 4, {"productName": "Late"})
    portal.items(31).update(4, title="Changed")
    crm.run("product_rows")

    assert ["Late"] == [row["product_name"] for key, row in products(crm).items() if key[:2] == (31, 4)]
    assert 1 == asked(crm, "crm.item.productrow.list")


def test_product_rows_that_are_wanted_later_are_all_read(crm, portal):
    """Deals were loaded before: the rows of all of them come all the same, not only those of later changes."""
    crm.run("deals")
    crm.run("deals", "product_rows")

    assert {key for key in told_products(portal) if key[0] == 2} <= products(crm).keys()


def test_product_rows_that_failed_are_read_again(crm, portal, clock):
    """A failure is listed; the next run reads what it missed although the owners have not changed since."""
    crm.run("deals", "product_rows")
    clock.advance(HOUR)
    portal.set_product_rows(2, 1, {"productName": "A"})
    portal.items(2).update(1, title="Changed")
    for where in ("command", "outer"):
        portal.faults.add(Fault("crm.item.productrow.list", where=where, error="ACCESS_DENIED", status=400))
    crm.run("deals", "product_rows")
    (issue,) = crm.rows("load_issues")
    assert ("product_rows", 2) == (issue["resource"], issue["entity_type_id"])
    clock.advance(HOUR)
    crm.run("deals", "product_rows")

    assert ["A"] == [row["product_name"] for key, row in products(crm).items() if key[:2] == (2, 1)]


def test_a_portal_that_answers_the_rows_of_others(crm, portal, monkeypatch):
    """Rows of owners that nobody asked for are not taken for those of the asked ones: the type is listed."""
    from bitrix24_source.sandbox.methods import products

    own = products._numbers
    monkeypatch.setattr(products, "_numbers", lambda value: [number + 1000 for number in own(value)])
    monkeypatch.setattr(
        products,
        "select_rows",
        lambda rows, *_: [dict(row) for row in rows] or [{"id": 1, "ownerId": 5555, "ownerType": "D"}],
    )
    crm.run("product_rows", "deals")

    assert any("ignores whose rows were asked for" in message for message in crm.issues())


def test_slices_take_product_rows_along(crm, portal):
    """A long first load in slices ends with the same product rows as one that was loaded at once."""
    slices = RunSession(SliceLimits(rows=25))
    crm.run("deals", "product_rows", slices=slices)

    assert slices.slice_count > 2
    assert {key for key in told_products(portal) if key[0] == 2} <= products(crm).keys()
    assert len(portal.items(2)) == len(crm.rows("deals"))


# --- activities -----------------------------------------------------------------------------------------------------


def bindings(crm):
    return {
        tuple(row[name] for name in ("activity_id", "entity_type_id", "entity_id"))
        for row in crm.rows("activity_bindings")
    }


def told_bindings(portal):
    return {(int(number), *pair) for number, pairs in portal.world.bindings.items() for pair in pairs}


def test_activities_come_once_with_all_they_are_bound_to(crm, portal):
    """One row for each activity, whatever it is bound to; a binding is a row; the year 9999 is no deadline."""
    crm.run("activities", "activity_bindings")
    rows = {row["id"]: row for row in crm.rows("activities")}
    said = {int(row["ID"]): row for row in portal.world.activities}

    assert said.keys() == rows.keys()
    assert told_bindings(portal) == bindings(crm)
    assert len(bindings(crm)) > len(rows), "some are bound to two items"
    assert {id_ for id_, row in said.items() if row["DEADLINE"].startswith("9999")} == {
        id_ for id_, row in rows.items() if row["deadline"] is None
    }
    assert {(row["SUBJECT"], row["COMPLETED"] == "Y", int(row["RESPONSIBLE_ID"])) for row in said.values()} == {
        (row["subject"], row["completed"], row["responsible_id"]) for row in rows.values()
    }


def edit_activities(portal):
    """One that hangs on something else, one that is new and one that is gone; the numbers of the first and the last."""
    first, second = (int(row["ID"]) for row in portal.world.activities[:2])
    portal.put_activity(first, [(3, 4)], SUBJECT="Changed")
    portal.put_activity(9001, [(2, 1), (4, 2)], SUBJECT="New", RESPONSIBLE_ID="3", AUTHOR_ID="3", EDITOR_ID="3")
    portal.delete_activity(second)
    return first, second


def moves(crm):
    return {(row["entity_type_id"], row["id"]) for row in crm.rows("stage_history")}


@pytest.mark.all_databases
def test_changes_reach_the_database(loaded, portal, clock):
    """Rows of owners that changed are replaced: edited ones, fewer, none.

    Of activities the next run brings changes and what is new, with their bindings as they are now; a sweep marks what is gone.
    It also brings back what somebody has deleted from the database: product rows, bindings, moves.
    """
    resources, chosen = ("deals", "product_rows", "activities", "activity_bindings", "stage_history"), TITLES_ALONE
    loaded.run(*resources, **chosen)
    history, had = moves(loaded), bindings(loaded)
    loaded.execute("delete from {}.product_rows")
    loaded.execute("delete from {}.activity_bindings where activity_id % 3 = 0")
    loaded.execute("delete from {}.stage_history where entity_type_id = 2 and id % 3 = 0")
    assert bindings(loaded) < had
    assert moves(loaded) < history
    clock.advance(DAY)
    edit_products(portal)
    first, second = edit_activities(portal)
    summary = loaded.run(*resources, **chosen, sweep=True)

    found = products(loaded)
    assert ["A", "B"] == [row["product_name"] for key, row in sorted(found.items()) if key[:2] == (2, 1)]
    assert [] == [key for key in found if key[:2] == (2, 2)]
    assert told_products(portal).keys() == found.keys()
    rows = {row["id"]: row for row in loaded.rows("activities")}

    assert ("Changed", "New") == (rows[first]["subject"], rows[9001]["subject"])
    assert [second] == [id_ for id_, row in rows.items() if row["deleted_at"]]
    assert told_bindings(portal) <= bindings(loaded)
    assert {(first, 3, 4)} == {binding for binding in bindings(loaded) if binding[0] == first}
    assert 2 == summary.rows["activities"], "the one that is gone is counted by itself"
    assert history == moves(loaded)
    damaged = {activity for activity, *_ in had if activity % 3 == 0}
    told = {int(params["activityId"]) for params in loaded.adapter.parameters("crm.activity.binding.list")}
    assert told - {second} == (damaged | {first, 9001}) - {second}, "no other activity is asked for again"
    assert [] == loaded.issues()


@pytest.mark.parametrize("resources", [("activities", "activity_bindings"), ("activity_bindings",)])
def test_bindings_that_come_with_activities_are_not_asked_for(crm, portal, clock, resources):
    """Where the list answers BINDINGS, all of them are there without a question for each activity, in later runs too."""
    portal.interpretations.activity_bindings = "answered"
    crm.run(*resources)
    assert told_bindings(portal) == bindings(crm)
    assert 0 == asked(crm, "crm.activity.binding.list")
    clock.advance(DAY)
    first, _ = edit_activities(portal)
    crm.run(*resources)

    assert told_bindings(portal) <= bindings(crm)
    assert {(first, 3, 4)} == {binding for binding in bindings(crm) if binding[0] == first}
    assert 0 == asked(crm, "crm.activity.binding.list")
    assert [] == crm.issues()


@pytest.mark.parametrize("answer", ["absent", "refused", "repeated"])
def test_bindings_that_do_not_come_with_activities_are_asked_for(crm, portal, clock, answer):
    """Left out, refused, or a row for each binding: activities come once, and their bindings are asked for, changed ones again."""
    portal.interpretations.activity_bindings = answer
    crm.run("activities", "activity_bindings")
    assert told_bindings(portal) == bindings(crm)
    assert {int(row["ID"]) for row in portal.world.activities} == {row["id"] for row in crm.rows("activities")}
    assert len(portal.world.activities) == asked(crm, "crm.activity.binding.list")
    clock.advance(DAY)
    first, _ = edit_activities(portal)
    crm.run("activities", "activity_bindings", sweep=True)

    assert told_bindings(portal) <= bindings(crm)
    assert {(first, 3, 4)} == {binding for binding in bindings(crm) if binding[0] == first}
    assert ["Changed", "New"] == sorted(row["subject"] for row in crm.rows("activities") if row["id"] in (first, 9001))
    assert 2 == asked(crm, "crm.activity.binding.list")
    assert [] == crm.issues()


def test_a_filter_on_their_changes_that_is_not_kept_is_found_out(crm, portal, clock):
    """Also by a portal that refuses to be asked for bindings: all activities are read, and load_issues says so."""
    portal.interpretations.activity_bindings = "refused"
    crm.run("activities", "activity_bindings")
    portal.interpretations.time_filter = "ignored"
    clock.advance(DAY)
    first, _ = edit_activities(portal)
    crm.run("activities", "activity_bindings")

    assert "Changed" in {row["subject"] for row in crm.rows("activities") if row["id"] == first}
    assert any("filter on LAST_UPDATED cannot be relied on" in message for message in crm.issues())


def test_bindings_are_named_only_where_they_are_wanted(crm, portal, clock):
    """Activities alone are asked for without them, ids of a sweep too; and wanting them later reads no activity again."""
    crm.run("activities")
    assert not any("BINDINGS" in command for command in commands(crm))
    clock.advance(DAY)
    loaded = crm.run("activities", "activity_bindings", sweep=True)

    assert not loaded.rows.get("activities")
    assert told_bindings(portal) == bindings(crm)
    all_ids = "crm.activity.list?order[ID]=ASC&start=-1&filter[%3EID]=0&select[0]=ID"
    assert {f"{all_ids}&select[1]=LAST_UPDATED", f"{all_ids}&select[1]=BINDINGS"} <= set(commands(crm)), (
        "those of the sweep, and those of the owners"
    )


def test_an_activity_that_does_not_say_what_it_is_bound_to(crm, portal):
    """Pairs that are no pairs, and no pairs at all, are not believed: for these activities the portal is asked."""
    from bitrix24_source.reader.list_queries import bindings_in

    told = {
        "ID": "7",
        "BINDINGS": {"1": {"OWNER_TYPE_ID": "2", "OWNER_ID": "5"}, "4": {"entityTypeId": 3, "entityId": 6}},
    }
    assert [(2, 5), (3, 6)] == [(int(row["entityTypeId"]), int(row["entityId"])) for row in bindings_in(told)]
    for odd in ([], None, "D_5", ["D_5"], [{"OWNER_TYPE_ID": "2"}], [{"OWNER_TYPE_ID": "2", "OWNER_ID": "x"}]):
        assert [] == bindings_in({"ID": "7", "BINDINGS": odd})


def test_an_activity_that_goes_between_list_and_bindings(crm, portal, clock):
    """Its bindings cannot be asked for any more; that is no failure of the others."""
    crm.run("activities", "activity_bindings")
    clock.advance(DAY)
    first, second = (int(row["ID"]) for row in portal.world.activities[:2])
    portal.put_activity(first, [(3, 5)])
    portal.put_activity(second, [(3, 6)])
    portal.world.bindings.pop(str(second))
    crm.run("activities", "activity_bindings")

    assert [] == crm.issues()
    assert (first, 3, 5) in bindings(crm)


# --- all together ---------------------------------------------------------------------------------------------------


def test_a_run_without_changes_costs_few_requests(crm, clock, portal):
    """Everything that is on by default, twenty smart processes among it: at most 25 requests, and no item is written."""
    while len(portal.types()) < 20:
        portal.add_type(f"Process {len(portal.types())}", items=30, off=PLAIN)
    crm.run_all()
    clock.advance(DAY / 2)
    before = len(portal.requests)
    loaded = crm.run_all()

    taken = portal.requests[before:]
    assert len(taken) <= 25, f"{len(taken)} requests: {[(seen.method, len(seen.commands)) for seen in taken]}"
    assert 0 == loaded.issues
    lists = (
        "spa_items_",
        "deals",
        "leads",
        "contacts",
        "companies",
        "quotes",
        "invoices",
        "stage_history",
        "product_rows",
        "activities",
    )
    assert {} == {table: rows for table, rows in loaded.rows.items() if table.startswith(lists) and rows}


def test_resources_share_one_reading_however_dlt_asks_them(loaded, portal, monkeypatch):
    """Where dlt takes its resources one after the other, and not in turn: every table is whole, and read once."""
    monkeypatch.setenv("EXTRACT__NEXT_ITEM_MODE", "fifo")
    loaded.run("users", "spa_items", "deals", "product_rows", "activities", spa_types=[177], **TITLES_ALONE)

    for table, type_ in (("deals", 2), ("spa_items_177", 177)):
        assert len(portal.items(type_)) == len(loaded.rows(table)), table
    assert len(portal.world.activities) == len(loaded.rows("activities"))
    assert {key for key in told_products(portal) if key[0] in (2, 177)} <= products(loaded).keys()
    assert len(portal.requests) < 40


def test_one_resource_may_end_early(threads_left, loaded, portal):
    """`add_limit` on one resource takes nothing from the others, and leaves no thread behind.

    What it did not take comes with the next run, which marks nothing as deleted.
    """
    pipeline = dlt.pipeline(
        "limited", pipelines_dir=str(loaded.folder), destination=loaded.database.destination, dataset_name="crm"
    )
    credentials = portal.credentials(portal.base_url)["webhook"]

    def source(*resources):
        made = bitrix24(credentials=credentials, client=loaded.connect(), **TITLES_ALONE)
        return made.with_resources(*resources)

    limited = source("deals", "quotes")
    limited.resources["deals"].add_limit(1)
    pipeline.run(limited)
    first = len(loaded.rows("deals"))
    assert [] == threads_left()
    assert 40 == len(loaded.rows("quotes"))
    pipeline.run(source("deals"))

    assert 0 < first < len(portal.items(2))
    assert [(len(portal.items(2)), 0)] == loaded.query("select count(*), count(deleted_at) from {}.deals")

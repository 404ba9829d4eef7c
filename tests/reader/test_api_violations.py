"""Portals that do not do as the documents say: what they ignore is found out, named and stopped, never loaded as if it were all."""

from __future__ import annotations

import pytest

from bitrix24_source.sandbox import Portal

COUNTS = {177: 320, 1030: 7, 1032: 130, 1034: 0}
IGNORED = ["filter[>id]", "order[id]", "order[id] backwards", "filter[>id] taken for filter[>=id]"]


@pytest.fixture
def scripted_portal(portal_with):
    """A portal of four types that may be told to mishear."""
    return portal_with(COUNTS, scripted=True)


def reverse_the_order(portal, of):
    """Whatever order is asked for, the newest items come first; without an order the oldest do."""

    def hear(command):
        return command.replace("order[id]=ASC", "order[id]=DESC") if f"entityTypeId={of}&" in command else command

    portal.hear = hear


def include_the_bound(portal, of):
    """A page begins with the last row of the page before it."""

    def hear(command):
        return command.replace("[%3Eid]", "[%3E%3Did]") if f"entityTypeId={of}&" in command else command

    portal.hear = hear


def ignore(portal, parameter):
    if parameter == "filter[>id] taken for filter[>=id]":
        include_the_bound(portal, of=177)
    elif parameter == "order[id] backwards":
        reverse_the_order(portal, of=177)
    else:
        portal.ignore(parameter, of=177)


@pytest.mark.parametrize("ignored", IGNORED)
def test_what_is_ignored_is_named(scripted_portal, recording_adapter, read_items, ignored):
    """A list whose pages repeat or run backwards ends with an error that says so; no row comes twice, the others are whole."""
    ignore(scripted_portal, ignored)
    done = read_items(recording_adapter(scripted_portal), COUNTS)

    assert [177] == [type_ for type_, error in done.ended.items() if error]
    assert "ignores the filter or the order on id" in str(done.ended[177])
    assert [] == done.twice()
    assert {type_: scripted_portal.items(type_).ids() for type_ in (1030, 1032, 1034)} == {
        type_: done.ids(type_) for type_ in (1030, 1032, 1034)
    }
    assert len(scripted_portal.requests) < 12, "it goes on asking a portal that does not listen"


def test_a_portal_that_ignores_the_upper_bound(clock, recording_adapter, read_items, portal_with):
    """Without `<=id` the stretches of a long list run into each other: that is noticed, and no row comes twice."""
    portal = portal_with({177: 30_000, 1030: 60}, scripted=True)
    portal.ignore("filter[<=id]", of=177)
    done = read_items(recording_adapter(portal), (177, 1030), connections=4)

    assert "ignores the filter or the order on id" in str(done.ended[177])
    assert [] == done.twice()
    assert portal.items(1030).ids() == done.ids(1030)


@pytest.mark.parametrize("ignored", IGNORED)
def test_a_load_from_a_portal_that_ignores(scripted_portal, memory_job, ignored):
    """In the tables: one issue with the type and a hint, the other types complete."""
    ignore(scripted_portal, ignored)
    crm = memory_job(scripted_portal)
    crm.run()
    (issue,) = crm.rows("load_issues")

    assert ("spa_items", 177) == (issue["resource"], issue["entity_type_id"])
    assert "spa_items_177 could not be read to the end" in issue["message"]
    assert issue["hint"]
    assert {1030: 7, 1032: 130, 1034: 0} == {type_: len(crm.ids(type_)) for type_ in (1030, 1032, 1034)}


def test_nothing_is_marked_as_deleted_when_reading_stopped(scripted_portal, memory_job):
    """A type that was not read to its end says nothing of what is gone: what an earlier run loaded stays as it is."""
    crm = memory_job(scripted_portal)
    crm.run()
    ignore(scripted_portal, "filter[>id]")
    crm.run(full_refresh=True, sweep=True)

    assert 1 == len(crm.issues())
    assert 320 == len(crm.ids(177))
    assert {} == crm.marked(177)


@pytest.mark.parametrize("garbage", ["zero", "error"])
@pytest.mark.parametrize("connections", [1, 4])
def test_references_that_are_not_filled_in(portal_with, recording_adapter, read_items, garbage, connections):
    """Every item is read even if `$result[...]` is not resolved, whatever the portal makes of the text."""
    portal = portal_with({177: 2700, 1030: 60}, scripted=True)
    portal.hear = lambda command: command.replace("$result[", "$other[")
    portal.interpretations.garbage_id = garbage
    done = read_items(recording_adapter(portal), (177, 1030), connections)

    assert {177: None, 1030: None} == done.ended
    assert portal.items(177).ids() == done.ids(177)
    assert portal.items(1030).ids() == done.ids(1030)


def test_without_references_pages_still_travel_together(portal_with, recording_adapter, read_items):
    """A portal that fills in nothing is read by ids side by side: far fewer requests than pages."""
    portal = portal_with({177: 10_000}, scripted=True)
    portal.hear = lambda command: command.replace("$result[", "$other[")
    way = recording_adapter(portal)
    done = read_items(way)

    assert portal.items(177).ids() == done.ids()
    assert len(portal.requests) <= 60


def test_garbage_after_the_end_is_no_page(clock, recording_adapter, read_items):
    """Where an unresolved reference is 0 to the portal, the first page comes again after the last: it is not taken in."""
    portal = Portal("bench", items=1000, clock=clock)
    for id_ in range(200, 950):  # so that an estimate goes beyond the end
        portal.items(177).delete(id_)
    way = recording_adapter(portal)
    done = read_items(way)

    assert any(asked.ids and asked.ids[0] == 1 for asked in way.asked[2:]), "the portal did not repeat its first page"
    assert portal.items(177).ids() == done.ids()


@pytest.mark.parametrize("rows", [0, 1, 30, 49])
@pytest.mark.parametrize("connections", [1, 4])
def test_pages_that_are_cut_short(portal_with, recording_adapter, read_items, rows, connections):
    """A page that is empty or short is the end only where no later item is known to exist: else another look makes sure."""
    portal, pages = portal_with({177: 4000}, scripted=True), []

    def say(command, result):
        if "order[id]=ASC" in command:
            pages.append(command)
            if len(pages) in (5, 6, 20, 50):
                result["items"] = result["items"][:rows]
        return result

    portal.say = say
    done = read_items(recording_adapter(portal), connections=connections)

    assert portal.items(177).ids() == done.ids()
    assert {177: None} == done.ended


def as_map(command, result):
    """PHP's list with gaps."""
    if command.startswith("crm.item.list"):
        result["items"] = {str(2 * place): item for place, item in enumerate(result["items"])}
    return result


def with_text_ids(command, result):
    if command.startswith("crm.item.list"):
        result["items"] = [{**item, "id": str(item["id"])} for item in result["items"]]
    return result


@pytest.mark.parametrize("say", [as_map, with_text_ids])
def test_other_spellings_of_a_page(portal_with, recording_adapter, read_items, say):
    """A page may be a map, and ids may be text: it is read to its end all the same."""
    portal = portal_with({177: 2600}, scripted=True)
    portal.say = say
    done = read_items(recording_adapter(portal))

    assert portal.items(177).ids() == done.ids()
    assert {177: None} == done.ended


@pytest.mark.parametrize("say", [as_map, with_text_ids])
def test_other_spellings_of_a_page_are_loaded(portal_with, memory_job, say):
    """The same in the table: ids are numbers there."""
    portal = portal_with({177: 160}, scripted=True)
    portal.say = say
    crm = memory_job(portal)
    crm.run()

    assert portal.items(177).ids() == crm.ids()


NO_PAGES = {
    "nothing": None,
    "a list": [],
    "a text": "Access to the requested resource is closed",
    "no items": {"total": 5},
}


@pytest.mark.parametrize("result", NO_PAGES)
def test_an_answer_that_is_no_page(portal_with, recording_adapter, read_items, result):
    """A result without a list of items is no empty list: the type is named, not loaded as if it had no items."""
    portal = portal_with({177: 60, 1030: 60}, scripted=True)
    portal.say = lambda command, page: NO_PAGES[result] if "entityTypeId=177&" in command else page
    done = read_items(recording_adapter(portal), (177, 1030))

    assert done.ended[177] is not None
    assert portal.items(1030).ids() == done.ids(1030)


@pytest.mark.parametrize("id_", [None, "", 0, -5, "abc", 7.5, True, 2**63, [], {}])
def test_rows_without_a_usable_id(portal_with, recording_adapter, read_items, id_):
    """A page of rows that cannot be told apart is not trusted: the type is named."""
    portal = portal_with({177: 60, 1030: 60}, scripted=True)

    def say(command, result):
        if "entityTypeId=177&" in command:
            result["items"] = [{**item, "id": id_} for item in result["items"]]
        return result

    portal.say = say
    done = read_items(recording_adapter(portal), (177, 1030))

    assert "a whole page of items without a usable id" in str(done.ended[177])
    assert [] == done.ids(177)
    assert portal.items(1030).ids() == done.ids(1030)


def test_a_page_with_one_broken_row(portal_with, recording_adapter, read_items):
    """A row that is no object among others that are is passed over and counted; the others come."""
    portal = portal_with({177: 60, 1030: 60}, scripted=True)

    def say(command, result):
        if "entityTypeId=177&" in command:
            result["items"] = ["broken" if item["id"] == 20 else item for item in result["items"]]
        return result

    portal.say = say
    done = read_items(recording_adapter(portal), (177, 1030))

    assert {177: None, 1030: None} == done.ended
    assert [id_ for id_ in portal.items(177).ids() if id_ != 20] == done.ids()
    assert 1 == done.unusable[177].count

"""Commands and requests that fail: done again, or the type is named as a whole. Never a silent gap."""

from __future__ import annotations

import random

import pytest

from bitrix24_source.errors import Bitrix24Error
from bitrix24_source.sandbox import Fault, Portal

COUNTS = {177: 3000, 1030: 120, 1032: 0, 1034: 51}
# With one connection and 3,000 dense rows: the first page, the look for the newest, a chain of 40 and one of 19.
PLACES = {"the first page": 1, "the look for the newest": 2, "the first link": 3, "a link in the middle": 20, "the last link": 42}  # fmt: skip
PASSING = {
    "QUERY_LIMIT_EXCEEDED": {"kind": "QUERY_LIMIT_EXCEEDED"},
    "OPERATION_TIME_LIMIT": {"kind": "OPERATION_TIME_LIMIT"},
    "INTERNAL_SERVER_ERROR": {"kind": "error", "error": "INTERNAL_SERVER_ERROR"},
    "an unknown code": {"kind": "error", "error": "SOMETHING_NEW"},
}
DENIED = {"kind": "error", "status": 403, "error": "ACCESS_DENIED", "description": "Access denied"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("error", PASSING)
def test_one_command_fails(clock, recording_adapter, read_items, place, error):
    """A command that fails once, anywhere in a chain, costs a pause and no row."""
    portal = Portal("bench", items=3000, clock=clock)
    fault = Fault("crm.item.list", where="command", nth=PLACES[place], **PASSING[error])
    portal.faults.add(fault)
    done = read_items(recording_adapter(portal), connections=1)

    assert 1 == fault.struck
    require_all_or_named(portal, done)
    if error != "an unknown code":
        assert {177: None} == done.ended


def require_all_or_named(portal, done, entity_type_id=177):
    """Everything, each once; or the list is over with an error that says why, and holds nothing twice."""
    assert [] == done.twice()
    assert entity_type_id in done.ended
    if done.ended[entity_type_id] is None:
        assert portal.items(entity_type_id).ids() == done.ids(entity_type_id)
    else:
        assert isinstance(done.ended[entity_type_id], Bitrix24Error)


@pytest.mark.parametrize("place", PLACES)
def test_one_command_is_denied(clock, recording_adapter, read_items, place):
    """A denial is no passing error: in the first link the type ends there and is named, later the page is asked once more."""
    portal = Portal("bench", items=3000, clock=clock)
    portal.faults.add(Fault("crm.item.list", where="command", nth=PLACES[place], **DENIED))
    done = read_items(recording_adapter(portal), connections=1)

    require_all_or_named(portal, done)
    assert ("link" in place and place != "the first link") == (done.ended[177] is None)


@pytest.mark.parametrize("place", PLACES)
def test_one_command_is_left_unanswered(portal_with, recording_adapter, read_items, place):
    """A command that appears neither among the results nor among the errors is asked again."""
    portal = portal_with({177: 3000}, scripted=True)
    said = []

    def say(command, result):
        said.append(command)
        return portal.UNANSWERED if len(said) == PLACES[place] else result

    portal.say = say
    done = read_items(recording_adapter(portal), connections=1)

    assert portal.items(177).ids() == done.ids()
    assert {177: None} == done.ended


@pytest.mark.parametrize("connections", [1, 4])
def test_one_command_in_five_fails(portal_with, recording_adapter, read_items, connections):
    """A portal under strain: many commands of many chains fail once, and everything is there in the end."""
    portal = portal_with(COUNTS, scripted=True)
    dice = random.Random(connections)
    portal.say = lambda _command, result: portal.UNANSWERED if dice.random() < 0.2 else result
    done = read_items(recording_adapter(portal), COUNTS, connections)

    assert dict.fromkeys(COUNTS) == done.ended
    assert {type_: portal.items(type_).ids() for type_ in COUNTS} == {type_: done.ids(type_) for type_ in COUNTS}


@pytest.mark.parametrize("first", [1, 2, 3, 20])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "error": "INTERNAL_SERVER_ERROR"},
        {"kind": "error", "error": "ERROR_CORE", "description": "Mysql query error"},
        DENIED,
    ],
    ids=["INTERNAL_SERVER_ERROR", "ERROR_CORE", "ACCESS_DENIED"],
)
def test_a_type_fails_for_good(portal_with, recording_adapter, read_items, fault, first):
    """From its first page on, or from the middle of it, one type fails for good: it is named, and the others are complete."""
    portal = portal_with(COUNTS)
    portal.faults.add(
        Fault(
            "crm.item.list", where="command", nth=first, times=None, when=lambda p: p["entityTypeId"] == "177", **fault
        )
    )
    done = read_items(recording_adapter(portal), COUNTS)
    others = [1030, 1032, 1034]

    assert isinstance(done.ended[177], Bitrix24Error)
    assert "entityTypeId 177" in str(done.ended[177]) or "crm.item.list" in str(done.ended[177])
    assert dict.fromkeys(others) == {type_: done.ended[type_] for type_ in others}
    assert {type_: portal.items(type_).ids() for type_ in others} == {type_: done.ids(type_) for type_ in others}
    assert [] == done.twice()
    assert len(portal.requests) < 60, "asked in vain too often"


@pytest.mark.parametrize("kind", ["hang", "reset", "truncate", "empty", "invalid_utf8", "OVERLOAD_LIMIT"])
@pytest.mark.parametrize("nth", [1, 3])
def test_a_whole_request_fails(clock, recording_adapter, read_items, kind, nth):
    """What a network does to one request is done again; what is refused for good ends the reading with its reason."""
    portal = Portal("bench", items=3000, clock=clock)
    portal.faults.add(Fault("batch", kind=kind, nth=nth))
    if kind == "OVERLOAD_LIMIT":
        with pytest.raises(Bitrix24Error, match=r"(?i)overload"):
            read_items(recording_adapter(portal))
        return
    done = read_items(recording_adapter(portal))

    assert {177: None} == done.ended
    assert portal.items(177).ids() == done.ids()


def commands(portal):
    return [len(seen.commands) for seen in portal.requests]


def test_batches_that_time_out_shrink(clock, recording_adapter, read_items):
    """A portal that never finishes more than ten pages in time is asked for fewer, without asking for many over and over."""
    portal = Portal("bench", items=6000, clock=clock)
    portal.faults.add(Fault("batch", kind="hang", times=None, when=lambda params: len(params["cmd"]) > 10))
    done = read_items(recording_adapter(portal), connections=1)

    assert portal.items(177).ids() == done.ids()
    assert sum(size > 10 for size in commands(portal)) <= 6
    assert len(portal.requests) < 40


def test_batches_grow_again(clock, recording_adapter, read_items):
    """One bad moment does not make the rest of a long load slow: the batches are full again in the end."""
    portal = Portal("bench", items=30_000, clock=clock)
    portal.faults.add(Fault("batch", kind="hang", nth=4, times=2))
    done = read_items(recording_adapter(portal), connections=1)

    assert portal.items(177).ids() == done.ids()
    assert min(commands(portal)[5:8]) <= 25
    assert 45 <= max(commands(portal)[-8:])


def test_a_portal_that_turns_slow_is_cut_off(clock, recording_adapter, read_items):
    """After 60 s the cloud's gateway answers with a page of its own: fewer pages are asked for, and nothing is lost."""
    portal = Portal("bench", items=6000, clock=clock, latency=(0.01, 0.0))
    way = recording_adapter(portal)

    def turn_slow(number):
        portal.costs.latency = (3.0, 0.0) if number >= 3 else (0.01, 0.0)

    way.before = turn_slow
    portal.limits.operating_seconds = None
    done = read_items(way, connections=1)

    assert portal.items(177).ids() == done.ids()
    assert {177: None} == done.ended


def test_a_single_page_that_never_comes(portal_with, recording_adapter, read_items):
    """When not even one page is finished in time, the reading ends with the reason instead of trying for ever."""
    portal = portal_with(COUNTS)
    portal.faults.add(Fault("batch", kind="hang", times=None))

    with pytest.raises(Bitrix24Error):
        read_items(recording_adapter(portal), COUNTS)
    assert len(portal.requests) < 30


@pytest.mark.parametrize("nth", [1, 3, 20])
def test_a_token_expires_between_two_commands(clock, recording_adapter, read_items, nth):
    """With oauth2, a token that dies in the middle of a batch is renewed once, and the rest is asked again."""
    portal = Portal("bench", items=3000, clock=clock)
    portal.faults.add(Fault("crm.item.list", where="command", kind="expired_token", nth=nth))
    done = read_items(recording_adapter(portal), connections=4, auth="oauth2")

    assert portal.items(177).ids() == done.ids()
    assert {177: None} == done.ended


def test_the_webhook_dies_meanwhile(clock, recording_adapter, read_items):
    """A credential that is taken away ends the reading with an error: no list is called complete."""
    portal = Portal("bench", items=30_000, clock=clock)
    way = recording_adapter(portal)
    way.before = lambda number: portal.expire_webhook() if number == 4 else None

    with pytest.raises(Bitrix24Error):
        read_items(way)


# --- in the tables --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [1, 10])
def test_a_load_with_a_type_that_fails(portal_with, memory_job, first):
    """The type is listed with its reason, with what was loaded of it, and nothing of it is marked as deleted."""
    crm = memory_job(portal_with({**COUNTS, 177: 900}))
    crm.run()
    crm.portal.faults.add(
        Fault("crm.item.list", where="command", nth=first, times=None, when=lambda p: p["entityTypeId"] == "177",
              error="INTERNAL_SERVER_ERROR")
    )  # fmt: skip
    crm.portal.items(1030).add(title="new")
    crm.run(full_refresh=True)
    (issue,) = crm.noted

    assert ("spa_items", 177, "INTERNAL_SERVER_ERROR") == (issue.resource, issue.entity_type_id, issue.error)
    assert "items were loaded" in issue.message
    assert (900, {}) == (len(crm.ids()), crm.marked())
    assert 121 == len(crm.ids(1030))


def test_a_type_that_is_denied_between_catalogue_and_items(portal_with, memory_job):
    """A right that is taken away during the load is listed; the others are complete."""
    crm = memory_job(portal_with(COUNTS))

    def deny(_number):
        if any(seen.commands.count("crm.item.fields") for seen in crm.portal.requests):
            crm.portal.deny_type(177)

    crm.before = deny
    crm.run()
    (issue,) = crm.rows("load_issues")

    assert (177, "ACCESS_DENIED") == (issue["entity_type_id"], issue["error"])
    assert "may not be read" in issue["message"]
    assert crm.portal.items(1030).ids() == crm.ids(1030)

"""The reader's threads: in order, a little ahead of the caller, and never in the way of the end."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from bitrix24_source.errors import CredentialError, UnavailableError
from bitrix24_source.reader import IdRange, ListEnd, ListQuery, PageBatch, PageReader
from bitrix24_source.sandbox import Fault


@dataclass(frozen=True)
class Task:
    range: IdRange
    name: str = ""


def tasks(*types):
    return [Task(IdRange(ListQuery(type_, select=("title",))), str(type_)) for type_ in types]


def our_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("bitrix24-reader")]


@pytest.mark.parametrize("connections", [1, 3])
def test_one_reader_reads_again_and_again(portal_with, recording_adapter, connections):
    """Its threads stay for the next read, and end with it."""
    portal = portal_with({177: 320, 1030: 60})
    with PageReader(recording_adapter(portal).client(), connections) as reader:
        first = list(reader.read(tasks(177)))
        threads = our_threads()
        second = list(reader.read(tasks(1030, 177)))

        assert connections == len(threads)
        assert set(threads) == set(our_threads())
    assert [] == our_threads()
    assert portal.items(177).ids() == sorted(row["id"] for event in first[:-1] for row in event.rows)
    assert {"177", "1030"} == {event.task.name for event in second if isinstance(event, ListEnd)}


def test_events_carry_their_task(portal_with, recording_adapter):
    """The object that was passed in, whatever it is."""
    (wanted,) = tasks(177)
    with PageReader(recording_adapter(portal_with({177: 10})).client()) as reader:
        events = list(reader.read([wanted]))

    assert all(event.task is wanted for event in events)


def test_reads_do_not_overlap(portal_with, recording_adapter):
    """Two reads at once would wait for one time budget."""
    with PageReader(recording_adapter(portal_with({177: 5000})).client()) as reader:
        events = reader.read(tasks(177))
        next(events)
        with pytest.raises(RuntimeError, match="once at a time"):
            next(reader.read(tasks(177)))
        events.close()


def test_who_leaves_early_may_read_again(portal_with, recording_adapter):
    """What was under way for nobody is dropped, and not handed to the next read."""
    portal = portal_with({177: 20_000, 1030: 60})
    with PageReader(recording_adapter(portal).client(), 4) as reader:
        events = reader.read(tasks(177))
        next(events)
        events.close()
        later = list(reader.read(tasks(1030)))

    assert {"1030"} == {event.task.name for event in later}
    assert portal.items(1030).ids() == sorted(row["id"] for event in later[:-1] for row in event.rows)


def test_the_reader_does_not_run_away(portal_with, recording_adapter):
    """A caller that is busy is waited for: a bounded number of requests goes on ahead of it."""
    portal = portal_with({177: 100_000})
    with PageReader(recording_adapter(portal).client(), 2) as reader:
        events = reader.read(tasks(177))
        next(events)
        with reader._changed:
            full = reader._changed.wait_for(
                lambda: len(reader._results) >= 2 and not reader._scheduler.is_awaiting_response, 30
            )
        asked = len(portal.requests)
        events.close()

    assert full
    assert asked <= 8


def test_threads_rest_while_the_caller_works(portal_with, recording_adapter, monkeypatch):
    """Once everything has come, no thread wakes the others: in turns without end, they would take the processor from the caller."""
    portal, wakes = portal_with({177: 10}), []
    with PageReader(recording_adapter(portal).client(), 4) as reader:
        events = reader.read(tasks(177))
        next(events)
        with reader._changed, monkeypatch.context() as patch:
            patch.setattr(reader._changed, "notify_all", lambda: wakes.append(1))
            step = reader._step_of(reader._scheduler)
        events.close()

    assert step is None
    assert wakes == []


def test_stop_leaves_the_rest(portal_with, recording_adapter):
    """After `stop` what is under way still comes, and no task has an end that was not reached."""
    portal, stop = portal_with({177: 50_000}), threading.Event()
    with PageReader(recording_adapter(portal).client(), 2) as reader:
        events = []
        for event in reader.read(tasks(177), stop=stop):
            events.append(event)
            stop.set()

    assert not any(isinstance(event, ListEnd) for event in events)
    assert 0 < sum(len(event.rows) for event in events) < 50_000
    assert events[-1].remaining


def test_a_lost_portal_ends_every_open_task(portal_with, recording_adapter):
    """With the error that tells why, after what came; and those of later reads at once."""
    portal = portal_with({177: 5000, 1030: 60})
    portal.faults.add(Fault("batch", "reset", nth=3, times=None))
    with PageReader(recording_adapter(portal).client(), 1) as reader:
        events = list(reader.read(tasks(177, 1030)))
        requests = len(portal.requests)
        later = list(reader.read(tasks(1030)))

        assert isinstance(reader.lost, UnavailableError)
        assert ["1030"] == [event.task.name for event in later]
        assert reader.lost is later[0].error
    assert requests == len(portal.requests)
    assert any(isinstance(event, PageBatch) for event in events)
    ends = {event.task.name: event.error for event in events if isinstance(event, ListEnd)}
    assert {"177", "1030"} == set(ends)
    assert reader.lost is ends["177"]


def test_a_refused_credential_is_raised(portal_with, recording_adapter):
    """It concerns all lists alike, and the caller hears of it as an exception."""
    portal = portal_with({177: 5000})
    portal.faults.add(Fault("batch", error="INVALID_CREDENTIALS", status=401, nth=2, times=None))
    with PageReader(recording_adapter(portal).client(), 2) as reader, pytest.raises(CredentialError):
        list(reader.read(tasks(177)))
    assert [] == our_threads()


def test_a_request_that_hangs_holds_nobody_back(portal_with, recording_adapter):
    """Closing waits for a grace only; the thread is a daemon."""
    way, may_end, is_sent = recording_adapter(portal_with({177: 10})), threading.Event(), threading.Event()

    def hang(_number):
        is_sent.set()
        may_end.wait(30)

    way.before = hang
    reader = PageReader(way.client(), 1)
    refusals = []

    def call():
        try:
            list(reader.read(tasks(177)))
        except RuntimeError as error:
            refusals.append(str(error))

    caller = threading.Thread(target=call)
    caller.start()
    assert is_sent.wait(10)
    reader.close()

    (hanging,) = [thread for thread in our_threads() if thread.is_alive()]
    assert hanging.daemon
    may_end.set()
    caller.join(10)
    hanging.join(10)
    assert ["The reader was closed while it read."] == refusals

"""What the scheduler asks for and makes of responses: plain data, a clock that stands still, no thread and no portal."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import pytest

from bitrix24_source.errors import (
    DeniedError,
    ExpiredTokenError,
    OperatingLimitError,
    UnavailableError,
    exhausted,
)
from bitrix24_source.reader.batch_sizing import FIRST_BATCH, BatchSizer
from bitrix24_source.reader.events import ListEnd, PageBatch
from bitrix24_source.reader.id_ranges import IdRange
from bitrix24_source.reader.list_queries import ListQuery
from bitrix24_source.reader.scheduler import MAX_SILENT_LISTS, ReadScheduler
from bitrix24_source.rest import PortalTimeoutError, Response, RetryPolicy, TimeBudget
from bitrix24_source.sandbox import Clock


@dataclass(frozen=True)
class Task:
    """What a caller passes in."""

    range: IdRange
    name: str = ""


@pytest.fixture
def scheduler_of(clock: Clock):
    """A scheduler of tasks; `seconds` of its clock are the test's."""
    policy = RetryPolicy()

    def make(*tasks, connections=1, **more):
        sizer = BatchSizer(TimeBudget(clock), clock, ("batch", "crm.item.list"))
        return ReadScheduler(
            tasks, sizer, now=clock.monotonic, connections=connections,
            decide=lambda error, state, _methods: policy.decide(error, state, now=clock.monotonic()), **more,
        )  # fmt: skip

    return make


def task(type_=177, name="", **range_):
    return Task(IdRange(ListQuery(type_), **range_), name)


def page(ids):
    return Response({"items": [{"id": id_} for id_ in ids]})


def answered(request, ids):
    """Results of a portal that has these ids."""
    results, last = [], {}
    for number, call in enumerate(request.calls):
        if call.params["order"]["id"] == "DESC":
            results.append(page(sorted(ids, reverse=True)[:50]))
            continue
        bounds = call.params["filter"]
        after = bounds[">id"] if isinstance(bounds[">id"], int) else last[number - 1]
        upper = bounds.get("<=id", 10**9)
        start = bisect_right(ids, after)
        shown = [id_ for id_ in ids[start : start + 50] if id_ <= upper]
        last[number] = shown[-1] if shown else 10**9
        results.append(page(shown))
    return results


def read(scheduler, ids):
    """All events, with one request under way at a time."""
    events = []
    while not scheduler.is_finished:
        request = scheduler.next_request()
        assert request is not None
        events += scheduler.on_response(request, answered(request, ids), 0.1)
    return events


def test_a_list_that_fits_a_page(scheduler_of):
    """One request, its rows, its end; both carry the task that was passed in."""
    wanted = task()
    scheduler = scheduler_of(wanted)
    batch, end = read(scheduler, range(1, 8))

    assert isinstance(batch, PageBatch)
    assert wanted is batch.task
    assert (list(range(1, 8)), 0, []) == ([row["id"] for row in batch.rows], batch.rows_left, batch.remaining)
    assert ListEnd(wanted) == end


@pytest.mark.parametrize("count", [49, 50, 51, 499, 500, 501, 6_001])
def test_every_row_comes_once(scheduler_of, count):
    """Whatever the number of rows, and the end comes last."""
    *batches, end = read(scheduler_of(task()), range(1, count + 1))

    assert list(range(1, count + 1)) == sorted(row["id"] for batch in batches for row in batch.rows)
    assert isinstance(end, ListEnd)


def test_a_probe_comes_after_the_first_full_page(scheduler_of):
    """One page is asked for while nothing is known, then the highest id, then a chain of as many pages as may be."""
    scheduler = scheduler_of(task())
    asked = []
    for _ in range(3):
        request = scheduler.next_request()
        asked.append((len(request.probes), request.pages))
        scheduler.on_response(request, answered(request, range(1, 10_001)), 0.1)

    assert [(0, 1), (1, 0)] == asked[:2]
    assert asked[2][1] >= FIRST_BATCH


def test_connections_bound_what_is_under_way(scheduler_of):
    """No request is made beyond them; each response makes room for one."""
    scheduler = scheduler_of(*(task(type_) for type_ in range(1030, 1090, 2)), connections=2)
    first, second = scheduler.next_request(), scheduler.next_request()

    assert scheduler.next_request() is None
    assert not scheduler.is_finished
    scheduler.on_response(first, answered(first, [1]), 0.1)
    assert scheduler.next_request() is not None
    assert second.calls


def test_a_long_range_is_shared_among_connections(scheduler_of):
    """Parts belong to their task: its end comes once, after all of them, and `remaining` has each."""
    wanted, ids = task(), range(1, 40_001)
    scheduler = scheduler_of(wanted, connections=4)
    for _ in range(2):
        request = scheduler.next_request()
        scheduler.on_response(request, answered(request, ids), 0.1)
    requests = [scheduler.next_request() for _ in range(4)]
    events = [event for request in requests for event in scheduler.on_response(request, answered(request, ids), 0.1)]

    assert all(requests)
    assert {id(wanted)} == {id(event.task) for event in events}
    assert 4 == len(events[0].remaining)
    assert 1 == sum(isinstance(event, ListEnd) for event in read(scheduler, ids))


def test_stopping_leaves_tasks_open(scheduler_of):
    """Nothing more is asked; what is under way still counts, and what is left can be read later."""
    scheduler = scheduler_of(task())
    request = scheduler.next_request()
    scheduler.stop()

    assert scheduler.next_request() is None
    assert not scheduler.is_finished
    (batch,) = scheduler.on_response(request, answered(request, range(1, 1001)), 0.1)
    assert scheduler.is_finished
    assert [50] == [after for after, *_ in batch.remaining]


def test_enough_rows(scheduler_of):
    """After so many rows nothing more is asked."""
    events = read(scheduler_of(task(), max_rows=120), range(1, 10_001))

    assert 120 <= sum(len(event.rows) for event in events) < 250
    assert not any(isinstance(event, ListEnd) for event in events)


def test_a_passing_error_costs_a_pause(scheduler_of, clock):
    """Nothing is asked before the pause is over, and then the same again."""
    scheduler = scheduler_of(task())
    request = scheduler.next_request()
    assert [] == scheduler.on_response(request, [UnavailableError("down")], 0.1)

    assert scheduler.next_request() is None
    seconds, _ = scheduler.pause()
    clock.advance(seconds)
    assert request.calls == scheduler.next_request().calls


@pytest.mark.parametrize("error", [UnavailableError("down"), OperatingLimitError("used up")])
def test_what_does_not_pass_ends_the_list(scheduler_of, clock, error):
    """After as many attempts as the policy allows, all tasks of the list end with the error; other lists go on."""
    query = ListQuery(177)
    failing = [Task(IdRange(query, upper=100), "low"), Task(IdRange(query, after=100), "high")]
    scheduler = scheduler_of(*failing, task(1030, "sound"))
    ends = {}
    for _ in range(2000):
        if scheduler.is_finished:
            break
        if (request := scheduler.next_request()) is None:
            clock.advance(max(1.0, scheduler.pause()[0]))
            continue
        sound = answered(request, [1, 2])
        results = [
            error if call.params["entityTypeId"] == 177 else result
            for call, result in zip(request.calls, sound, strict=True)
        ]
        events = scheduler.on_response(request, results, 0.1)
        ends |= {event.task.name: event.error for event in events if isinstance(event, ListEnd)}

    assert {"low": error, "high": error, "sound": None} == ends


def test_a_refusal_ends_the_list_at_once(scheduler_of):
    """What nobody can cure by asking again is not asked again."""
    wanted = task()
    scheduler = scheduler_of(wanted)
    error = DeniedError("no")

    assert [ListEnd(wanted, error)] == scheduler.on_response(scheduler.next_request(), [error], 0.1)
    assert scheduler.is_finished


def test_a_token_that_expires_again_and_again(scheduler_of):
    """That is no list's fault: it ends the read."""
    scheduler = scheduler_of(task())
    for _ in range(RetryPolicy().token_refreshes):
        scheduler.on_response(scheduler.next_request(), [ExpiredTokenError("expired")], 0.1)

    with pytest.raises(ExpiredTokenError):
        scheduler.on_response(scheduler.next_request(), [ExpiredTokenError("expired")], 0.1)


def test_a_request_that_times_out_is_asked_for_in_smaller_ones(scheduler_of):
    """The same ranges, fewer at once."""
    scheduler = scheduler_of(*(task(type_) for type_ in range(1030, 1090, 2)))
    request = scheduler.next_request()
    scheduler.on_timeout(request)
    smaller = scheduler.next_request()

    assert 0 < len(smaller.calls) <= len(request.calls) // 2
    assert len(read_rest(scheduler, smaller)) == 30


def read_rest(scheduler, request):
    """The ends of all tasks of a portal with one item in each list."""
    ends = scheduler.on_response(request, answered(request, [1]), 0.1)
    return [event for event in (*ends, *read(scheduler, [1])) if isinstance(event, ListEnd)]


def test_a_silent_portal(scheduler_of):
    """Single pages of several lists that time out in a row are the portal's fault."""
    scheduler = scheduler_of(*(task(type_) for type_ in range(1030, 1090, 2)))
    scheduler.on_timeout(scheduler.next_request())
    while len((request := scheduler.next_request()).calls) > 1:
        scheduler.on_timeout(request)
    late = [exhausted(PortalTimeoutError("late"))]
    for _ in range(MAX_SILENT_LISTS - 1):
        assert isinstance(scheduler.on_response(request, late, 0.0)[0], ListEnd)
        request = scheduler.next_request()

    with pytest.raises(PortalTimeoutError):
        scheduler.on_response(request, late, 0.0)


def test_rows_that_come_after_their_list_failed(scheduler_of):
    """They are not handed on, for nothing comes after an end."""
    query = ListQuery(177)
    tasks = [Task(IdRange(query, upper=100), "low"), Task(IdRange(query, after=100), "high")]
    scheduler = scheduler_of(*tasks, connections=2)
    request = scheduler.next_request()
    results = answered(request, range(1, 200))
    events = scheduler.on_response(request, [DeniedError("no"), *results[1:]], 0.1)

    assert ["low", "high"] == [event.task.name for event in events if isinstance(event, ListEnd)]
    assert not any(isinstance(event, PageBatch) for event in events)

"""A bad network and a bad day, in the middle of a load: it ends complete, or the type is listed; never short and silent."""

from __future__ import annotations

import itertools
import re
from datetime import timedelta

import pytest
import requests

from bitrix24_source.sandbox import Fault

COUNTS = {177: 400, 1030: 30}
REFUSED = "HTTPSConnectionPool: Max retries exceeded (Caused by NewConnectionError('[Errno 111] Connection refused'))"
NO_NAME = "HTTPSConnectionPool: Max retries exceeded (Caused by NameResolutionError('getaddrinfo failed'))"


def reads_items(params) -> bool:
    return "crm.item.list" in str(params.get("cmd"))


def answers(kind, **more):
    """The portal spoils its answers to requests for items, from the nth on, so many times."""

    def order(job, nth: int, times: int | None) -> None:
        job.portal.faults.add(Fault("batch", kind, nth=nth, times=times, when=reads_items, **more))

    return order


def commands(kind, **more):
    """It spoils single commands of such a request."""

    def order(job, nth: int, times: int | None) -> None:
        job.portal.faults.add(Fault("crm.item.list", kind, nth=2 * nth - 1, times=times, where="command", **more))

    return order


def network(error, text):
    """Nothing reaches the portal, from the nth request for items on."""

    def order(job, nth: int, times: int | None) -> None:
        left = itertools.count() if times is None else iter(range(times))

        def before(_number: int) -> None:
            if job.adapter.item_requests >= nth and next(left, None) is not None:
                raise error(text)

        job.before = before

    return order


SITUATIONS = {
    "connection refused": network(requests.ConnectionError, REFUSED),
    "DNS gone": network(requests.ConnectionError, NO_NAME),
    "reset before": answers("reset"),
    "reset in the headers": answers("reset", at="headers"),
    "reset in the body": answers("reset", at="body"),
    "read timeout": answers("hang"),
    "slow": answers("slow", seconds=100),
    "truncated": answers("truncate"),
    "invalid UTF-8": answers("invalid_utf8"),
    "empty body": answers("empty"),
    "web page": answers("http", status=200),
    "error under 200": answers("error", error="INTERNAL_SERVER_ERROR", status=200),
    "500": answers("error", error="ERROR_UNEXPECTED_ANSWER", status=500),
    "502": answers("http", status=502),
    "503 page": answers("http", status=503),
    "503 too many requests": answers("QUERY_LIMIT_EXCEEDED"),
    "504": answers("http", status=504),
    "429": answers("OPERATION_TIME_LIMIT"),
    "503 in commands": commands("QUERY_LIMIT_EXCEEDED"),
    "429 in commands": commands("OPERATION_TIME_LIMIT"),
    "500 in commands": commands("error"),
}
LASTING = {
    "503 blocked by hand": answers("OVERLOAD_LIMIT"),
    "redirect to http": answers("redirect", location="http://demo.bitrix24.test/rest/1/x/batch"),
    "redirect to a foreign host": answers("redirect", location="https://evil.example.net/rest/1/x/batch"),
    "redirect to nowhere": answers("redirect", location=""),
}


ONE_OF_EACH_KIND = {
    "connection refused", "reset in the body", "read timeout", "truncated", "web page", "500", "504", "429",
    "503 in commands", "503 blocked by hand", "redirect to a foreign host",
}  # fmt: skip
"""refused, cut off, late, unreadable, each way of saying no; `make chaos` runs the others too"""


@pytest.mark.parametrize(
    "situation",
    [
        pytest.param(name, marks=[] if name in ONE_OF_EACH_KIND else pytest.mark.slow)
        for name in (*SITUATIONS, *LASTING)
    ],
)
def test_a_bad_day(memory_job, situation):
    """It stays from the middle of a load on: each type that is not whole is listed, and nothing is marked as deleted. In the
    next run it happens once more and passes: that costs time and nothing else.
    """
    job = memory_job(COUNTS)
    order = {**SITUATIONS, **LASTING}[situation]
    order(job, 2, None)
    loaded = job.run()
    short = {type_ for type_, items in COUNTS.items() if len(job.items(type_)) < items}
    listed = {issue["entity_type_id"] for issue in job.rows("load_issues")}
    marked = job.marked(177)
    job.portal.faults.clear()
    if situation in SITUATIONS:
        order(job, 1, 1)
    again = job.run()

    assert loaded.issues == len(listed) > 0
    assert short
    assert short <= listed
    assert marked == {}
    assert again.issues == 0
    assert job.differs(*COUNTS) == []


def test_a_bad_day_in_a_database(scheduled_job):
    """The same with dlt: what was read before the portal was lost is committed, with the issues, and the next run is whole."""
    job = scheduled_job({177: 400}, keep_open=True)
    SITUATIONS["truncated"](job, 2, None)
    loaded = job.run()
    committed = job.committed()
    listed = {type_ for type_, _ in job.issues()}
    job.portal.faults.clear()

    assert 0 < committed < 400
    assert loaded.issues == len(listed) > 0
    assert job.run().issues == 0
    assert job.differs() == []


def test_the_portal_moves(memory_job, caplog):
    """To another host of Bitrix24's, in the middle of the load: it is followed, and said once."""
    job = memory_job(COUNTS)
    job.before = lambda number: job.portal.move_to("https://renamed.bitrix24.eu") if number == 5 else None

    assert job.run().issues == 0
    assert job.differs(*COUNTS) == []
    assert caplog.text.count("has moved to renamed.bitrix24.eu") == 1


@pytest.mark.parametrize("hours", [-30, 30])
def test_the_portals_clock_jumps(memory_job, hours):
    """Between two requests of a load, and in the next run back again: what is written in between is not missed."""
    job = memory_job(COUNTS)
    clock = job.portal.clock

    def jump(number: int) -> None:
        if number == 6:
            clock.set(clock.now() + timedelta(hours=hours))

    job.before = jump
    first = job.run()
    job.portal.items(177).update(7, title="written by the wrong clock")
    clock.set(clock.now() - timedelta(hours=hours) + timedelta(minutes=30))
    job.portal.items(177).update(8, title="written by the right one")
    job.run()

    assert first.issues == 0
    assert job.differs(*COUNTS) == []


def test_long_waits_are_announced(memory_job, caplog):
    """What is waited for, and until when, where a wait is longer than a few seconds."""
    job = memory_job(COUNTS)
    SITUATIONS["429 in commands"](job, 2, 1)
    SITUATIONS["connection refused"](job, 2, 8)
    before = job.portal.clock.now()
    job.run()
    waited = (job.portal.clock.now() - before).total_seconds()
    said = [(int(seconds), reason) for seconds, reason in re.findall(r"\((\d+) s\): (.*)|for", caplog.text) if seconds]

    assert any("refused the connection" in reason for _, reason in said)
    assert any("time budget" in reason for _, reason in said)
    assert sum(seconds for seconds, _ in said) > 0.9 * (waited - 15)

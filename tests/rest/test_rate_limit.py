"""How many requests go out, when, and how long we wait for the portal: on clocks that no test waits for."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitrix24_source.rest.client import Client, ClientSettings
from bitrix24_source.rest.protocol import TimeUsage
from bitrix24_source.rest.rate_limit import LeakyBucket, shared_bucket
from bitrix24_source.rest.time_budget import TimeBudget
from bitrix24_source.sandbox import Clock
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

NOON = datetime(2025, 7, 1, 12, tzinfo=timezone.utc)


class StandingClock(Clock):
    """Time stands still even for sleepers, so that what threads are told to wait can be compared."""

    def sleep(self, seconds: float) -> None:
        pass


# --- the bucket -----------------------------------------------------------------------------------------------------


@given(
    capacity=st.integers(1, 60),
    leak=st.floats(0.1, 10),
    gaps=st.lists(st.one_of(st.just(0.0), st.floats(0, 40)), min_size=1, max_size=150),
)
def test_no_window_lets_too_many_through(capacity, leak, gaps):
    """In no window of t seconds do more than capacity + leak * t requests leave, whatever the pace at which they come."""
    clock = Clock(NOON)
    bucket = LeakyBucket(capacity, leak, clock)
    left: list[float] = []
    for gap in gaps:
        clock.advance(gap)
        bucket.acquire()
        left.append(clock.monotonic())

    for (i, begin), (j, end) in itertools.combinations(enumerate(left), 2):
        assert j - i + 1 <= capacity + leak * (end - begin) + 1e-6


@given(st.lists(st.floats(0, 5), min_size=1, max_size=120))
def test_no_slower_than_the_portal_allows(gaps):
    """Nobody waits longer than it takes to leak one request: the speed of the portal is used, save a tenth of its room."""
    clock = Clock(NOON)
    bucket = LeakyBucket(50, 2, clock)
    waits = []
    for gap in gaps:
        clock.advance(gap)
        waits.append(bucket.acquire())

    assert not any(waits[:45])
    assert all(wait <= 0.5 + 1e-9 for wait in waits)


def test_the_portals_own_bucket_never_overflows(portal, client):
    """Three hundred calls at full speed: the portal refuses none of them."""
    for _ in range(300):
        client.call("server.time")

    assert portal.limits.refused == 0
    assert len(portal.requests) == 300


def test_threads_share_one_queue():
    """Twenty threads get distinct places: the first 45 at once, everybody else half a second after another."""
    bucket, start = LeakyBucket(50, 2, StandingClock(NOON)), threading.Barrier(20)

    def ten_calls(_: int) -> list[float]:
        start.wait()
        return [bucket.acquire() for _ in range(10)]

    with ThreadPoolExecutor(20) as pool:
        waits = sorted(itertools.chain.from_iterable(pool.map(ten_calls, range(20))))

    assert waits == [0.0] * 45 + [step / 2 for step in range(1, 156)]


def test_bucket_leaks_while_nobody_asks():
    """After a pause there is room again, and never more than the bucket holds."""
    clock = Clock(NOON)
    bucket = LeakyBucket(50, 2, clock)
    for _ in range(45):
        bucket.acquire()

    clock.advance(5)
    after_a_pause = [bucket.acquire() for _ in range(11)]
    clock.advance(1e6)
    after_a_week = [bucket.acquire() for _ in range(46)]

    assert after_a_pause == [0.0] * 10 + [0.5]
    assert after_a_week == [0.0] * 45 + [0.5]


def test_overflow_fills_our_bucket_too():
    """When the portal says that it is full, the next request waits until one has leaked."""
    bucket = LeakyBucket(50, 2, StandingClock(NOON))
    bucket.fill()

    assert bucket.acquire() == 0.5


def test_overflow_keeps_the_queue():
    """A refusal never shortens the wait of those who already stand in line."""
    bucket = LeakyBucket(50, 2, StandingClock(NOON))
    for _ in range(60):
        bucket.acquire()
    bucket.fill()

    assert bucket.acquire() == 8.0


@pytest.mark.parametrize(("capacity", "leak"), [(0, 2), (0.5, 2), (50, 0), (50, -1)])
def test_a_bucket_that_lets_nothing_through_is_refused(capacity, leak):
    """A bucket without room or without a leak would wait for ever."""
    with pytest.raises(ValueError, match="bucket"):
        LeakyBucket(capacity, leak)


def test_bucket_for_one():
    """The smallest bucket still lets one request through at once."""
    bucket = LeakyBucket(1, 2, StandingClock(NOON))

    assert [bucket.acquire(), bucket.acquire()] == [0.0, 0.5]


# --- one bucket for each portal --------------------------------------------------------------------------------------


def client_of(url: str, **settings: float) -> Client:
    return Client(
        auth_from_credentials(Bitrix24Credentials(auth="webhook", webhook_url=url)), ClientSettings(**settings)
    )


def test_clients_of_one_portal_share_a_bucket():
    """Two clients in one process count together where the portal does: by its host, however it is spelled."""
    first = client_of("https://shared.example.com/rest/1/aaa/")
    second = client_of("https://Shared.Example.COM/rest/2/bbb/")
    elsewhere = client_of("https://other.example.com/rest/1/aaa/")

    assert first._bucket is second._bucket
    assert first._bucket is not elsewhere._bucket


@pytest.mark.parametrize("strict_first", [True, False])
def test_the_stricter_setting_counts(strict_first):
    """Whoever comes first: of two settings for one portal, the stricter capacity and the slower leak hold."""
    portal = f"strict-{strict_first}.example.com"
    settings = [{"capacity": 10, "leak_per_second": 5}, {"capacity": 50, "leak_per_second": 2}]
    for setting in settings if strict_first else settings[::-1]:
        bucket = shared_bucket(portal, **setting)

    assert (bucket._usable, bucket._leak_per_second) == (9, 2)


def test_clients_are_made_at_once():
    """Thirty threads that connect to one portal at the same moment get one bucket."""
    start = threading.Barrier(30)

    def connect(_: int) -> LeakyBucket:
        start.wait()
        return shared_bucket("at-once.example.com", 50, 2)

    with ThreadPoolExecutor(30) as pool:
        assert len({id(bucket) for bucket in pool.map(connect, range(30))}) == 1


# --- time budgets -----------------------------------------------------------------------------------------------------

AT = int(NOON.timestamp())


@pytest.mark.parametrize(
    ("seconds", "told", "noted"),
    [
        (90, AT + 90, {}),
        (90, AT + 90, {"crm.item.list": TimeUsage(479, AT + 300)}),
        (300, None, {"crm.item.list": TimeUsage(479, AT + 300)}),
        (300, None, {"crm.item.list": TimeUsage(479, AT + 300), "batch": TimeUsage(3, AT + 500)}),
        (60, None, {"profile": TimeUsage(479, AT + 300)}),
        (60, None, {"crm.item.list": TimeUsage(479, None)}),
        (60, None, {}),
        (60, AT - 5, {}),
        (60, AT, {}),
        (60, AT + 86_400, {}),
    ],
)
def test_seconds_until_reset(seconds, told, noted):
    """The moment in the refusal counts, then the fullest budget known, then a minute; a past or absurd one is not believed."""
    budget = TimeBudget(Clock(NOON))
    for method, operating in noted.items():
        budget.update(method, operating)

    assert seconds == budget.seconds_until_reset(["batch", "crm.item.list"], told)


def test_level_of_a_budget():
    """What a method last reported is its level, and silence changes nothing."""
    budget = TimeBudget(Clock(NOON))
    budget.update("crm.item.list", TimeUsage(12.5, None))
    budget.update("crm.item.list", None)

    assert budget.level("crm.item.list") == 12.5
    assert budget.level("profile") == 0.0

"""The retry policy: what is tried again, when, and for how long. Plain data; nothing is sent or waited for."""

from __future__ import annotations

import copy

import pytest

from bitrix24_source.errors import (
    Action,
    Bitrix24Error,
    CredentialError,
    DeniedError,
    ExpiredTokenError,
    OperatingLimitError,
    PortalError,
    UnavailableError,
    exhausted,
)
from bitrix24_source.rest.retry import RetryPolicy, RetryState
from bitrix24_source.rest.transport import OversizedResponseError, PortalTimeoutError

POLICY = RetryPolicy()
DOWN = UnavailableError("down")
LIMITED = OperatingLimitError("the budget is used up")
EXPIRED = ExpiredTokenError("expired")


def retries(error, now=lambda _state: 0.0, **more):
    """All retries until the policy gives up, at most a thousand."""
    state, found = RetryState(), []
    while len(found) < 1000 and (retry := POLICY.decide(error, state, now=now(state), **more)) is not None:
        found.append(retry)
        state = retry.state
    return found


@pytest.mark.parametrize("error", [PortalError("no"), DeniedError("no"), CredentialError("no"), Bitrix24Error("no")])
def test_what_does_not_pass(error):
    """A refusal is final at once."""
    assert POLICY.decide(error, RetryState(), now=0.0) is None


@pytest.mark.parametrize("jitter", [0.0, 0.3, 1.0])
def test_pauses_grow_within_bounds(jitter):
    """Each pause lies in the upper half of its step; steps double from half a second to thirty and stay there."""
    steps = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]

    assert [step * (0.5 + jitter / 2) for step in steps] == [retry.after for retry in retries(DOWN, jitter=jitter)]


def test_attempts_end():
    """Ten in all, however little time they took."""
    assert POLICY.attempts - 1 == len(retries(DOWN))


def test_an_address_that_never_answered():
    """Three attempts: it may just be wrong."""
    assert 2 == len(retries(DOWN, answered=False))


@pytest.mark.parametrize(("now", "is_tried"), [(119.0, True), (120.0, False)])
def test_seconds_end(now, is_tried):
    """Two minutes after the first attempt the second one is the last."""
    state = RetryState(started=0.0, attempts=1)

    assert is_tried == (POLICY.decide(DOWN, state, now=now) is not None)


def test_waiting_for_a_budget_is_no_sign_of_a_bad_network():
    """It takes no attempts, and its time does not count."""
    waited = POLICY.decide(LIMITED, RetryState(attempts=8), now=0.0, reset_in=600.0)

    assert 600 < waited.after < 601
    assert 8 == waited.state.attempts
    assert POLICY.decide(DOWN, waited.state, now=waited.after + 100) is not None
    assert POLICY.decide(DOWN, waited.state, now=waited.after + 130) is None


def test_a_budget_is_waited_for_half_an_hour():
    """As long as thirty minutes are not over, and then no more."""
    waits = retries(LIMITED, reset_in=60.0)

    assert 1800 <= sum(retry.after for retry in waits) < 1870


def test_a_token_is_refreshed_three_times():
    """At once, and then no more: one that expires as soon as it is issued will not get better."""
    assert [0.0, 0.0, 0.0] == [retry.after for retry in retries(EXPIRED)]


def test_bounds_are_kept_apart():
    """Refreshed tokens take nothing from the attempts, nor these from the budget."""
    state = RetryState()
    for error in (EXPIRED, DOWN, LIMITED, EXPIRED, DOWN, EXPIRED):
        state = POLICY.decide(error, state, now=0.0, reset_in=60.0).state

    assert (2, 3, 3) == (state.attempts, state.refreshes, state.pauses)
    assert 60 < state.waited < 61
    assert POLICY.decide(EXPIRED, state, now=0.0) is None
    assert POLICY.decide(DOWN, state, now=0.0) is not None


def test_decisions_change_nothing():
    """The same question has the same answer."""
    policy, state = RetryPolicy(), RetryState()
    before = copy.copy(state)

    assert policy.decide(DOWN, state, now=1.0) == policy.decide(DOWN, state, now=1.0)
    assert before == state


@pytest.mark.parametrize(
    "error", [DOWN, LIMITED, EXPIRED, PortalTimeoutError("late", "there"), OversizedResponseError(5, "x")]
)
def test_an_exhausted_error(error):
    """It is the same to a reader and to `except`, final for the policy, and leaves the original as it was."""
    error.reset_at, error.is_reply = 7, True
    action = error.action
    final = exhausted(error)

    assert (type(error), str(error), error.code, 7, True) == (
        type(final), str(final), final.code, final.reset_at, final.is_reply,
    )  # fmt: skip
    assert (Action.FAIL, action) == (final.action, error.action)
    assert POLICY.decide(final, RetryState(), now=0.0) is None
    assert "ask somebody" in str(exhausted(error, "ask somebody"))

"""Decides whether a call that failed is sent again, and when. Pure: keeps no time, waits for nothing, sends nothing."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from ..errors import Action, Bitrix24Error


@dataclass(frozen=True)
class RetryState:
    """What a call has been through.

    Attributes:
        started: when it was sent first, in seconds of the caller's monotonic clock.
        attempts: failures that a pause may cure.
        pauses: how many pauses there were; each is longer than the one before it.
        refreshes: how often its token was refreshed.
        waited: seconds that it was told to wait for a time budget, which are no sign of a bad network.
    """

    started: float = 0.0
    attempts: int = 0
    pauses: int = 0
    refreshes: int = 0
    waited: float = 0.0


@dataclass(frozen=True)
class Retry:
    """The call is sent again after some seconds."""

    after: float
    state: RetryState


@dataclass
class RetryPolicy:
    """How long to go on trying before a person hears of it.

    Attributes:
        seconds: in all, for what may pass soon (network, 5xx, request limit).
        attempts: at most, whatever time they took.
        attempts_before_first_answer: attempts while the portal has never answered: a wrong address should not cost minutes.
        token_refreshes: of one call, in all: a token that expires as soon as it is issued will not get better.
        operating_seconds: in all, for a method's used-up time budget.
        shortest: the first pause, seconds; each is twice the one before it.
        longest: no pause is longer, seconds.
        rng: draws where in its upper half a pause ends, so that clients do not return at once.
    """

    seconds: float = 120.0
    attempts: int = 10
    attempts_before_first_answer: int = 3
    token_refreshes: int = 3
    operating_seconds: float = 1800.0
    shortest: float = 0.5
    longest: float = 30.0
    rng: random.Random = field(default_factory=random.Random, repr=False)

    def decide(
        self,
        error: Bitrix24Error,
        state: RetryState,
        *,
        now: float,
        answered: bool = True,
        reset_in: float = 0.0,
        jitter: float = 1.0,
    ) -> Retry | None:
        """When a call that failed is sent again; None where it is not.

        Args:
            error: what it failed with; its action says what may help.
            state: what it has been through before.
            now: seconds, by the clock of `state.started`.
            answered: the portal has answered before, or with this error. An address that never did may just be wrong.
            reset_in: seconds until the time budget is free again.
            jitter: from 0 to 1: where in its upper half the pause ends.
        """
        step = min(self.longest, self.shortest * 2.0 ** min(state.pauses, 60))
        pause = step * (0.5 + jitter / 2)
        if error.action is Action.REFRESH_TOKEN and state.refreshes < self.token_refreshes:
            return Retry(0.0, replace(state, refreshes=state.refreshes + 1))
        if error.action is Action.WAIT_FOR_BUDGET and state.waited < self.operating_seconds:
            after = reset_in + pause / 10
            return Retry(after, replace(state, pauses=state.pauses + 1, waited=state.waited + after))
        if error.action is Action.RETRY and self._may_try_again(state, now, answered=answered):
            return Retry(pause, replace(state, pauses=state.pauses + 1, attempts=state.attempts + 1))
        return None

    def _may_try_again(self, state: RetryState, now: float, *, answered: bool) -> bool:
        attempts = state.attempts + 1
        if not answered:
            return attempts < self.attempts_before_first_answer
        return attempts < self.attempts and now - state.started - state.waited < self.seconds

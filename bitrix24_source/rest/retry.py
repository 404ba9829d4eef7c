"""Decides whether and when a failed call is sent again. Pure functions: no clock, no waiting, no requests."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from ..errors import Action, Bitrix24Error


@dataclass(frozen=True)
class RetryState:
    """The history of a call.

    Attributes:
        started: when it was first sent, in seconds of the caller's monotonic clock.
        attempts: number of temporary failures.
        pauses: number of pauses, each longer than the one before it.
        refreshes: how often its token was refreshed.
        waited: seconds of waiting for a time budget, which do not count as network problems.
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
    """How long to retry before an error is raised.

    Attributes:
        seconds: total time for temporary errors (network, 5xx, request limit).
        attempts: maximum number of attempts, whatever time they took.
        attempts_before_first_answer: attempts while the portal has never answered: a wrong address should not cost minutes.
        token_refreshes: maximum refreshes for one call: a token that expires as soon as it is issued will not get better.
        operating_seconds: total time of waiting for a method's time budget.
        shortest: the first pause in seconds; each is twice the one before it.
        longest: maximum length of a pause in seconds.
        rng: draws the end of a pause in its upper half, so that clients do not all return at the same time.
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
        """Returns when a failed call is sent again; None if it is not.

        Args:
            error: the error; its action says what may help.
            state: the history of the call.
            now: the present time, by the clock of `state.started`.
            answered: the portal has ever answered; otherwise its address may be wrong.
            reset_in: seconds until the time budget is free again.
            jitter: from 0 to 1: the end of the pause in its upper half.
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

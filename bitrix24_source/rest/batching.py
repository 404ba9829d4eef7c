"""Sends many calls in few requests, and returns one result or error for each call."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from ..errors import Action, Bitrix24Error, ConfigError, CredentialError, UnavailableError
from .batch_codec import decode_batch, encode_batch
from .client import Client
from .protocol import BATCH_SIZE, Call, Response
from .transport import OversizedResponseError, PortalTimeoutError

T = TypeVar("T")
log = logging.getLogger("bitrix24_source")


CallResult = Response | Bitrix24Error
CallGenerator = Generator[Sequence[Call], Sequence[CallResult], T]
"""Asks by yielding calls, is sent their outcomes in the same order, and returns what it read."""


def gather(client: Client, readers: Sequence[CallGenerator[T]]) -> list[T]:
    """Runs generators side by side: the next calls of all of them travel in the same batches."""
    conversation = merge_generators(readers)
    outcomes: Any = None
    while True:
        try:
            calls = conversation.send(outcomes)
        except StopIteration as end:
            return list(end.value)
        outcomes = call_many(client, calls)


def merge_generators(readers: Sequence[CallGenerator[T]]) -> CallGenerator[list[T]]:
    """Many readers as one."""
    results: dict[int, T] = {}
    asked = _advance({i: (reader, None) for i, reader in enumerate(readers)}, results)
    while asked:
        outcomes = iter((yield [call for calls in asked.values() for call in calls]))
        answers = {i: [next(outcomes) for _ in calls] for i, calls in asked.items()}
        asked = _advance({i: (readers[i], answers[i]) for i in asked}, results)
    return [results[i] for i in range(len(readers))]


def _advance(readers: dict[int, tuple[CallGenerator[T], Any]], results: dict[int, T]) -> dict[int, Sequence[Call]]:
    asked: dict[int, Sequence[Call]] = {}
    for i, (reader, answers) in readers.items():
        try:
            asked[i] = reader.send(answers)
        except StopIteration as end:
            results[i] = end.value
    return asked


def call_many(client: Client, calls: Sequence[Call]) -> list[CallResult]:
    """One outcome for each call, in order: its answer, or the error that it failed with.

    Fifty travel in one request. Raises only what concerns all calls alike: the credential, the network, a limit that
    does not end.
    """
    outcomes: list[CallResult] = []
    for start in range(0, len(calls), BATCH_SIZE):
        outcomes += _send_until_resolved(client, calls[start : start + BATCH_SIZE])
    return outcomes


def _send_until_resolved(client: Client, calls: Sequence[Call]) -> list[CallResult]:
    """Sends until every call has its outcome; only those that failed for a passing reason are sent again."""
    outcomes: dict[int, CallResult] = {}
    retry_policy, started = client.settings.retry_policy, client.clock.monotonic()
    renewals = retry_policy.token_refreshes
    attempt, budget_left = 0, retry_policy.operating_seconds
    for pause in retry_policy.backoff():
        open_ = [i for i in range(len(calls)) if i not in outcomes]
        token = client.auth.token()
        outcomes |= dict(zip(open_, _send_or_split(client, [calls[i] for i in open_]), strict=True))
        passing = _retryable(client, outcomes, token, may_renew=renewals > 0)
        renewals -= any(error.action is Action.REFRESH_TOKEN for error in passing.values())
        is_limited = any(error.action is Action.WAIT_FOR_BUDGET for error in passing.values())
        attempt += not is_limited
        is_late = attempt >= retry_policy.attempts or client.clock.monotonic() - started >= retry_policy.seconds
        if not passing or (budget_left <= 0 if is_limited else is_late):
            break
        waited = _pause(client, passing, calls, pause)
        if is_limited:
            budget_left -= waited
            started += waited  # what a limit takes is no sign of a bad network
        outcomes = {i: outcome for i, outcome in outcomes.items() if i not in passing}
    return [outcomes[i] for i in range(len(calls))]


def _retryable(
    client: Client, outcomes: dict[int, CallResult], token: str | None, *, may_renew: bool
) -> dict[int, Bitrix24Error]:
    """The errors that another try may cure. `token` is what the commands were signed with: it is renewed once for all."""
    errors = {i: outcome for i, outcome in outcomes.items() if isinstance(outcome, Bitrix24Error)}
    expired = any(error.action is Action.REFRESH_TOKEN for error in errors.values())
    renewed = expired and may_renew and client.refresh_auth(token)
    for error in errors.values():
        if isinstance(error, CredentialError) and not (renewed and error.action is Action.REFRESH_TOKEN):
            raise client.with_credential_hint(error)
    return {i: error for i, error in errors.items() if error.action is not Action.FAIL}


def _pause(client: Client, passing: dict[int, Bitrix24Error], calls: Sequence[Call], pause: float) -> float:
    """Waits, and says for how long."""
    waits = {i: client.pause_before_retry(error, [calls[i].method], pause) for i, error in passing.items()}
    longest = max(waits, key=waits.__getitem__)
    if passing[longest].action is Action.REFRESH_TOKEN:
        return 0.0
    client.wait(waits[longest], passing[longest])
    return waits[longest]


def _send_or_split(client: Client, calls: Sequence[Call]) -> list[CallResult]:
    """One request, or two halves of it where the portal cannot finish it in its 60 seconds."""
    if len(calls) == 1:
        return [_send_single(client, calls[0])]
    try:
        return send_batch(client, calls)[0]
    except PortalTimeoutError:
        log.info("%s did not finish a batch of %d in time, or within bounds: trying halves", client.portal, len(calls))
    middle = len(calls) // 2
    return [*_send_or_split(client, calls[:middle]), *_send_or_split(client, calls[middle:])]


def send_batch(client: Client, calls: Sequence[Call]) -> tuple[list[CallResult], float]:
    """One request of at most fifty calls: what came of each, and the seconds that the answer took.

    None is sent again, so that calls may refer to others: the call at position n is `$result[cn]` to those after it.

    Raises:
        TimedOutError: the portal did not finish in time; fewer calls might.
    """
    answer = client.send(encode_batch(calls), commands=[call.method for call in calls], raise_on_timeout=len(calls) > 1)
    outcomes: list[CallResult] = []
    for call, outcome in zip(calls, decode_batch(calls, answer, client.where, client.redact), strict=True):
        if isinstance(outcome, Response):
            client.budget.update(call.method, outcome.operating)
        outcomes.append(outcome or _unanswered(client, call))
    return outcomes, answer.seconds


def _send_single(client: Client, call: Call) -> CallResult:
    try:
        return client.call(call.method, call.params)
    except (CredentialError, ConfigError):
        raise
    except Bitrix24Error as error:
        is_network = isinstance(error, UnavailableError) and not error.is_reply
        if is_network and not isinstance(error, OversizedResponseError):  # and not this call
            raise
        error.action = Action.FAIL  # the client has tried whatever could help
        return error


def _unanswered(client: Client, call: Call) -> Bitrix24Error:
    return UnavailableError(
        "the portal left this command of a batch unanswered", client.where(call.method), "try again later"
    )

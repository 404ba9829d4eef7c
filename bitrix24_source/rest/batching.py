"""Sends many calls in few requests, and returns one result or error for each call."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ..errors import Action, Bitrix24Error, ConfigError, CredentialError, UnavailableError, exhausted
from .batch_codec import decode_batch, encode_batch
from .client import Client
from .protocol import BATCH_SIZE, Call, Response
from .retry import Retry, RetryState
from .transport import OversizedResponseError, PortalTimeoutError

T = TypeVar("T")
log = logging.getLogger("bitrix24_source")


CallResult = Response | Bitrix24Error
CallGenerator = Generator[Sequence[Call], Sequence[CallResult], T]
"""Asks by yielding calls, is sent their outcomes in the same order, and returns what it read."""


def gather(client: Client, readers: Sequence[CallGenerator[T]]) -> list[T]:
    """Runs generators concurrently: the next calls of all of them are sent in the same batches."""
    conversation = merge_generators(readers)
    outcomes: Any = None
    while True:
        try:
            calls = conversation.send(outcomes)
        except StopIteration as end:
            return list(end.value)
        outcomes = call_many(client, calls)


def merge_generators(readers: Sequence[CallGenerator[T]]) -> CallGenerator[list[T]]:
    """Merges several generators into one."""
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
    """Returns one outcome for each call, in order: its answer, or the error with which it failed.

    Up to fifty calls are sent in one request. Raises only errors that concern all calls: the credential, the network, a
    limit that does not end.
    """
    outcomes: list[CallResult] = []
    for start in range(0, len(calls), BATCH_SIZE):
        outcomes += _send_until_resolved(client, calls[start : start + BATCH_SIZE])
    return outcomes


def _send_until_resolved(client: Client, calls: Sequence[Call]) -> list[CallResult]:
    """Sends until every call has its result; only calls with temporary errors are sent again."""
    results: dict[int, CallResult] = {}
    states = dict.fromkeys(range(len(calls)), RetryState(client.clock.monotonic()))
    while states:
        token = client.auth.token()
        results |= dict(zip(states, _send_or_split(client, [calls[i] for i in states]), strict=True))
        failures = {i: result for i in states if isinstance(result := results[i], Bitrix24Error)}
        decisions = {i: client.decide_retry(error, states[i], [calls[i].method]) for i, error in failures.items()}
        retries = {i: retry for i, retry in decisions.items() if retry is not None}
        _refresh_once_for_all(client, failures, retries, token)
        seconds = _wait_for_the_slowest(client, failures, retries)
        states = {
            i: replace(
                retry.state, started=retry.state.started + seconds - retry.after
            )  # a wait for others is no failure
            for i, retry in retries.items()
        }
    return [results[i] for i in range(len(calls))]


def _refresh_once_for_all(
    client: Client, failures: dict[int, Bitrix24Error], retries: dict[int, Retry], token: str | None
) -> None:
    """Refreshes a token that expired between two commands; `token` is the one that they were sent with.

    Raises:
        CredentialError: the credential is rejected for another reason, or there is no other token.
    """
    expired = [i for i, error in failures.items() if error.action is Action.REFRESH_TOKEN]
    is_refreshed = bool(expired) and all(i in retries for i in expired) and client.refresh_auth(token)
    for i, error in failures.items():
        if isinstance(error, CredentialError) and not (is_refreshed and i in expired):
            raise client.with_credential_hint(error)


def _wait_for_the_slowest(client: Client, failures: dict[int, Bitrix24Error], retries: dict[int, Retry]) -> float:
    """Waits until all calls may be sent again; returns the seconds waited."""
    slowest = max(retries, key=lambda i: retries[i].after, default=None)
    if slowest is None or not retries[slowest].after:
        return 0.0
    client.wait(retries[slowest].after, failures[slowest])
    return retries[slowest].after


def _send_or_split(client: Client, calls: Sequence[Call]) -> list[CallResult]:
    """Sends one request, or two halves of it if the portal cannot finish it in its 60 seconds."""
    if len(calls) == 1:
        return [_send_single(client, calls[0])]
    try:
        return send_batch(client, calls)[0]
    except PortalTimeoutError:
        log.info("%s did not finish a batch of %d in time, or within bounds: trying halves", client.portal, len(calls))
    middle = len(calls) // 2
    return [*_send_or_split(client, calls[:middle]), *_send_or_split(client, calls[middle:])]


def send_batch(client: Client, calls: Sequence[Call]) -> tuple[list[CallResult], float]:
    """Sends one request of at most fifty calls; returns their outcomes, and the seconds that the answer took.

    Calls are not sent again, so they may refer to others: `$result[cn]` is the result of the call at position n.

    Raises:
        PortalTimeoutError: the portal did not finish in time; fewer calls might.
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
        return exhausted(error)  # the client has already retried


def _unanswered(client: Client, call: Call) -> Bitrix24Error:
    return UnavailableError(
        "the portal left this command of a batch unanswered", client.where(call.method), "try again later"
    )

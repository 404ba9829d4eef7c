"""Reads all rows of many lists by id, each once, over a few connections.

Rows are handed on as the portal wrote them. A list that cannot be read to its end ends with the reason, never silently.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from functools import partial
from itertools import chain, groupby
from typing import Any

from ..errors import Action, Bitrix24Error, CredentialError, UnavailableError
from ..rest import BATCH_SIZE, PAGE_SIZE, CallResult, Client, PortalTimeoutError, Response, send_batch
from .batch_sizing import BatchSizer
from .events import ListEnd, PageBatch
from .id_ranges import IdRange, consume_pages, max_id_in
from .list_queries import METHODS, ListQuery
from .process_tuning import limit_malloc_retention, relaxed_gc
from .request_builder import BatchRequest
from .unusable_rows import UnusableRows
from .worker_pool import GRACE_SECONDS, prefetch, start_thread

log = logging.getLogger("bitrix24_source")


MIN_ROWS_TO_SPLIT = BATCH_SIZE * PAGE_SIZE
"""rows"""
MAX_SILENT_LISTS = 3
"""of which single pages do not come in time, one list after the other: then it is the portal that is silent"""
MAX_COALESCED = 2
"""that are handed over as one when they are there already: what follows costs much the same for few rows as for many"""


def read_lists(
    client: Client,
    what: Sequence[ListQuery | IdRange],
    connections: int = 4,
    enough: threading.Event | None = None,
    batch_sizer: BatchSizer | None = None,
    most: int = 0,
) -> Iterator[PageBatch | ListEnd]:
    """Every item of some lists, or of stretches of them; one `Ended` for each list, after its last rows.

    Requests go on in the background while the caller works on what came, a few batches ahead of it. Once `enough` is set,
    or `most` rows have come, nothing more is asked; what is under way still comes, and lists that are not finished have no
    `Ended`. A `batch_sizer` that was used before knows the portal's speed.

    Raises:
        Bitrix24Error: what concerns all lists alike: credential, network, a limit that does not end.
    """
    ranges = [one if isinstance(one, IdRange) else IdRange(one) for one in what]
    limit_malloc_retention()
    reading = _ReadScheduler(client, ranges, max(1, connections), enough or threading.Event(), batch_sizer, most)
    try:
        with relaxed_gc():
            for came in prefetch(reading.run, max(2, connections), MAX_COALESCED):
                yield from _joined(came)
    finally:
        client.stop_decoder()


def _joined(came: Sequence[PageBatch | ListEnd]) -> Iterator[PageBatch | ListEnd]:
    """The same, neighbours of one list as one."""
    for items, neighbours in groupby(came, lambda what: what.items if isinstance(what, PageBatch) else None):
        if items is None:
            yield from neighbours
        else:
            *_, last = those = [what for what in neighbours if isinstance(what, PageBatch)]
            rows = list(chain.from_iterable(batch.rows for batch in those))
            yield replace(last, rows=rows, unusable=sum((batch.unusable for batch in those), UnusableRows()))


def new_batch_sizer(client: Client) -> BatchSizer:
    """A pace for reading items from a portal that nothing is known of yet."""
    return BatchSizer(client.budget, client.clock, ("batch", *METHODS))


class _ReadScheduler:
    """What is still to be read. Lives in one thread; only `_send` runs in others."""

    def __init__(
        self, client: Client, ranges: Sequence[IdRange], connections: int, enough: threading.Event, batch_sizer: BatchSizer | None,
        most: int,
    ) -> None:  # fmt: skip
        self._client = client
        self._enough = enough
        self._rows_wanted = most or math.inf
        self._connections = connections
        self._batch_sizer = batch_sizer or new_batch_sizer(client)
        self._pending = deque(ranges)
        self._awaiting_probe: deque[IdRange] = deque()
        """ranges behind a full first page, whose newest id is not known yet"""
        self._open: dict[ListQuery, dict[IdRange, None]] = {id_range.items: {} for id_range in ranges}
        """what is left of each list, in order"""
        for id_range in ranges:
            self._open[id_range.items][id_range] = None
        self._failures: defaultdict[IdRange, Counter[Action]] = defaultdict(Counter)
        self._silent: set[ListQuery] = set()
        """lists of which single pages did not come in time, since anything came"""
        self._longest_chain = BATCH_SIZE
        self._quiet_until = 0.0
        self._running: dict[Future[tuple[list[CallResult], float] | None], BatchRequest] = {}

    def run(self, gone: Future[None]) -> Iterator[PageBatch | ListEnd]:
        try:
            while (self._pending or self._awaiting_probe or self._running) and not gone.done():
                if not self._enough.is_set():
                    self._dispatch()
                elif not self._running:
                    return
                if not self._running:
                    self._wait_for_portal()
                    continue
                yield from self._arrived(gone)
        finally:
            wait(self._running, GRACE_SECONDS)

    def _arrived(self, gone: Future[None]) -> Iterator[PageBatch | ListEnd]:
        """What the next answers bring. Nothing here keeps their rows while those after them are waited for."""
        signs: set[Future[Any]] = {gone, *self._running}
        done = wait(signs, return_when=FIRST_COMPLETED).done - {gone}
        signs.clear()
        while done:
            future = done.pop()
            yield from self._on_response(self._running.pop(future), future.result())

    # --- asking -------------------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        if self._client.clock.monotonic() < self._quiet_until:
            return
        while len(self._running) < self._connections and (self._pending or self._awaiting_probe):
            under_way = sum(len(request.calls) for request in self._running.values())
            capacity = min(self._batch_sizer.capacity(under_way), self._pages_wanted())
            if capacity < 1:
                return
            request = self._next_request(min(capacity, self._share()))
            self._batch_sizer.on_send()
            self._running[start_thread(partial(self._send, request))] = request

    def _pages_wanted(self) -> int:
        """Pages until there are enough, besides those under way."""
        if self._rows_wanted == math.inf:
            return BATCH_SIZE
        under_way = sum(links for request in self._running.values() for _, links in request.chains)
        return math.ceil(self._rows_wanted / PAGE_SIZE) - under_way

    def _share(self) -> int:
        """Pages for one of the idle connections: few that take long are not asked for in one request while others are idle."""
        wanted = len(self._awaiting_probe) + sum(
            id_range.pages_wanted(self._longest_chain) for id_range in self._pending
        )
        share = math.ceil(wanted / (self._connections - len(self._running)))
        return max(share, self._batch_sizer.min_batch())

    def _next_request(self, capacity: int) -> BatchRequest:
        request = BatchRequest(self._batch_sizer, capacity, self._client.auth.token())
        while self._awaiting_probe and request.add_probe(self._awaiting_probe[0]):
            self._awaiting_probe.popleft()
        while self._pending and request.add_pages(self._pending[0], self._longest_chain):
            self._pending.popleft()
        return request

    def _send(self, request: BatchRequest) -> tuple[list[CallResult], float] | None:
        """What came of the commands, and the seconds that it took; None when they were too many for the portal's time."""
        try:
            return send_batch(self._client, request.calls)
        except PortalTimeoutError as error:
            if len(request.calls) > 1:
                return None
            error.action = Action.FAIL  # the client has tried whatever could help
            return [error], 0.0

    def _wait_for_portal(self) -> None:
        seconds = max(self._quiet_until - self._client.clock.monotonic(), 0.0)
        if not seconds:
            seconds = self._batch_sizer.seconds_to_wait()
            reason = UnavailableError("the portal's time budget for reading items is nearly used up")
            self._client.wait(seconds, reason)
        else:
            self._client.clock.sleep(seconds)

    # --- taking in ----------------------------------------------------------------------------------------------------

    def _on_response(
        self, request: BatchRequest, came: tuple[list[CallResult], float] | None
    ) -> Iterator[PageBatch | ListEnd]:
        if came is None:
            self._batch_sizer.on_timeout(request.kinds)
            self._awaiting_probe.extend(request.probes)
            self._pending.extend(id_range for id_range, _ in request.chains)
            return
        outcomes, seconds = came
        if not isinstance(outcomes[0], PortalTimeoutError):
            durations = [outcome.duration if isinstance(outcome, Response) else 0.0 for outcome in outcomes]
            self._batch_sizer.on_response(request.kinds, durations, seconds)
        self._detect_unresponsive_portal(request, outcomes)
        self._refresh_auth(request, outcomes)
        left = iter(outcomes)
        for id_range in request.probes:
            yield from self._on_probe(id_range, next(left))
        for id_range, links in request.chains:
            yield from self._on_pages(id_range, [next(left) for _ in range(links)])

    def _detect_unresponsive_portal(self, request: BatchRequest, outcomes: Sequence[CallResult]) -> None:
        """A page that never comes is its list's misfortune; where no other comes either, the portal is gone."""
        first = outcomes[0]
        if not isinstance(first, PortalTimeoutError):
            self._silent.clear()
            return
        self._silent |= {id_range.items for id_range in (*request.probes, *(one for one, _ in request.chains))}
        if len(self._silent) >= MAX_SILENT_LISTS:
            raise first

    def _refresh_auth(self, request: BatchRequest, outcomes: Sequence[CallResult]) -> None:
        """A token that expired between two commands of a batch is renewed once for all of them."""
        expired = [error for error in outcomes if isinstance(error, CredentialError)]
        if expired and not (expired[0].action is Action.REFRESH_TOKEN and self._client.refresh_auth(request.token)):
            raise expired[0]

    def _on_probe(self, id_range: IdRange, outcome: CallResult) -> Iterator[PageBatch | ListEnd]:
        """The newest id bounds the estimate, and lets a long list be read in several places at once."""
        if id_range not in self._open[id_range.items]:
            return  # its list has failed meanwhile
        newest = max_id_in(id_range.items, outcome)
        if isinstance(newest, Bitrix24Error):
            yield from self._retry_or_give_up(id_range, newest, self._awaiting_probe)
            return
        if newest < id_range.after:  # not to be believed where more has come already
            self._pending.append(id_range)
            return
        id_range.goal = newest if id_range.upper is None else min(newest, id_range.upper)
        if id_range.goal > id_range.after:
            self._requeue(id_range)
            return
        self._open[id_range.items].pop(id_range)
        if not self._open[id_range.items]:
            yield ListEnd(id_range.items)

    def _on_pages(self, id_range: IdRange, outcomes: Sequence[CallResult]) -> Iterator[PageBatch | ListEnd]:
        open_ = self._open[id_range.items]
        if id_range not in open_:
            return  # its list has failed meanwhile
        was_first = id_range.goal is None
        progress = consume_pages(id_range, outcomes, self._client.redact)
        if progress.reference_not_resolved and self._longest_chain > 1:
            self._longest_chain = 1
            log.info("%s does not fill in references within a batch: reading in windows", self._client.portal)
        if progress.pages:
            self._failures.pop(id_range, None)
        if progress.finished:
            open_.pop(id_range)
        self._count(len(progress.rows))
        if progress.rows or progress.unusable:
            left = int(sum(part.rows_left() for part in open_))
            yield PageBatch(
                id_range.items, progress.rows, left, [part.to_stored() for part in open_], progress.unusable
            )
        if progress.finished:
            if not open_:
                yield ListEnd(id_range.items)
        elif progress.error is not None:
            yield from self._retry_or_give_up(id_range, progress.error, self._pending)
        elif was_first:
            self._awaiting_probe.append(id_range)
        else:
            self._requeue(id_range)

    def _count(self, rows: int) -> None:
        self._rows_wanted -= rows
        if self._rows_wanted <= 0:
            self._enough.set()

    def _requeue(self, id_range: IdRange) -> None:
        """Back into the queue, in parts where connections are free and the stretch is long."""
        worth = MIN_ROWS_TO_SPLIT if self._longest_chain > 1 else PAGE_SIZE
        most = self._connections if self._longest_chain > 1 else BATCH_SIZE
        free = most - len(self._running) - len(self._pending) - len(self._awaiting_probe)
        parts = id_range.split(min(free, int(id_range.rows_left() // worth)))
        open_ = self._open[id_range.items]
        open_.pop(id_range)
        open_.update(dict.fromkeys(parts))
        self._pending.extend(parts)

    def _back_off(self, seconds: float, error: Bitrix24Error) -> None:
        """Nothing more is asked for some time. What fails for the same reason meanwhile is no news."""
        until = self._client.clock.monotonic() + seconds
        if until > self._quiet_until + 1:
            self._client.log_wait(seconds, error)
        self._quiet_until = max(self._quiet_until, until)

    def _retry_or_give_up(
        self, id_range: IdRange, error: Bitrix24Error, retry: deque[IdRange]
    ) -> Iterator[PageBatch | ListEnd]:
        """Again after a pause where that may help; else the list is given up as a whole."""
        self._failures[id_range][error.action] += 1
        failures = self._failures[id_range][error.action]
        retry_policy = self._client.settings.retry_policy
        most = {Action.FAIL: 0, Action.WAIT_FOR_BUDGET: int(retry_policy.operating_seconds / 60)}.get(
            error.action, retry_policy.attempts
        )
        if failures <= most:
            pause = min(retry_policy.longest, retry_policy.shortest * 2.0**failures)
            pause = self._client.pause_before_retry(error, ("batch", id_range.items.method), pause)
            self._back_off(pause, error)
            retry.append(id_range)
            return
        dropped = self._open[id_range.items]
        self._pending = deque(part for part in self._pending if part not in dropped)
        self._awaiting_probe = deque(part for part in self._awaiting_probe if part not in dropped)
        dropped.clear()
        yield ListEnd(id_range.items, error)

"""Decides what to ask for next, and evaluates responses.

Sends nothing, does not wait, and is not thread-safe; `PageReader` guards it. A list that cannot be read to its end ends with
an error, never silently.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ..errors import Bitrix24Error, CredentialError, UnavailableError
from ..redaction import redact
from ..rest import BATCH_SIZE, PAGE_SIZE, CallResult, PortalTimeoutError, Response, Retry, RetryState
from .batch_sizing import BatchSizer
from .events import ListEnd, PageBatch, RangeTask
from .id_ranges import IdRange, consume_pages, max_id_in
from .list_queries import ListQuery
from .request_builder import BatchRequest

log = logging.getLogger("bitrix24_source")

Event = PageBatch | ListEnd
Decide = Callable[[Bitrix24Error, RetryState, Sequence[str]], Retry | None]
"""decides when calls of some methods are sent again"""

MIN_ROWS_TO_SPLIT = BATCH_SIZE * PAGE_SIZE
"""number of rows left from which a range is worth a connection of its own"""
MAX_SILENT_LISTS = 3
"""number of lists, one after the other, whose single pages time out until the portal counts as unresponsive"""


class ReadScheduler:
    """Schedules the reads of some tasks.

    Tasks whose ranges share one `ListQuery` object are one list: if it fails, all of them end.
    """

    def __init__(
        self,
        tasks: Sequence[RangeTask],
        sizer: BatchSizer,
        *,
        now: Callable[[], float],
        decide: Decide,
        connections: int = 1,
        max_rows: int = 0,
        redact: Callable[[str], str] = redact,
        log_wait: Callable[[float, Bitrix24Error], None] = lambda _seconds, _error: None,
    ) -> None:
        """Creates a scheduler.

        Args:
            tasks: what to read; each range once.
            sizer: decides how many pages a request may ask for.
            now: returns seconds of a monotonic clock.
            decide: decides when a failed call is sent again.
            connections: maximum number of concurrent requests.
            max_rows: number of rows after which no more are asked for; 0 is no limit.
            redact: removes credentials from text that the portal sent.
            log_wait: called with the length of pauses and their reason.
        """
        self._sizer = sizer
        self._now = now
        self._decide = decide
        self._connections = connections
        self._rows_wanted = max_rows or math.inf
        self._redact = redact
        self._log_wait = log_wait
        self._pending = deque(task.range for task in tasks)
        self._awaiting_probe: deque[IdRange] = deque()
        """ranges after a full first page, whose highest id is not known yet"""
        self._open: dict[ListQuery, dict[IdRange, RangeTask]] = {}
        """the remaining ranges of each list, in order"""
        for task in tasks:
            self._open.setdefault(task.range.query, {})[task.range] = task
        self._retries: dict[IdRange, RetryState] = {}
        self._silent: set[ListQuery] = set()
        """lists whose single pages timed out since the last rows"""
        self._longest_chain = BATCH_SIZE
        self._quiet_until = -math.inf
        self._under_way: dict[BatchRequest, None] = {}
        self._is_stopped = False

    @property
    def is_finished(self) -> bool:
        """Nothing is in flight, and nothing more will be sent."""
        return not self._under_way and (self._is_stopped or not (self._pending or self._awaiting_probe))

    @property
    def is_awaiting_response(self) -> bool:
        return bool(self._under_way)

    @property
    def open_tasks(self) -> list[RangeTask]:
        """Returns tasks that have not ended, in order."""
        return _unique(task for ranges in self._open.values() for task in ranges.values())

    def stop(self) -> None:
        """Sends nothing more; unfinished tasks get no `ListEnd`."""
        self._is_stopped = True

    # --- requests -----------------------------------------------------------------------------------------------------

    def next_request(self) -> BatchRequest | None:
        """Returns the next request; None if nothing can be sent before a response arrives or a pause ends."""
        if self._is_stopped or self._now() < self._quiet_until or len(self._under_way) >= self._connections:
            return None
        if not (self._pending or self._awaiting_probe):
            return None
        capacity = min(
            self._sizer.capacity(sum(len(request.calls) for request in self._under_way)), self._pages_wanted()
        )
        if capacity < 1:
            return None
        request = self._fill(BatchRequest(self._sizer, min(capacity, self._share())))
        self._sizer.on_send()
        self._under_way[request] = None
        return request

    def pause(self) -> tuple[float, Bitrix24Error | None]:
        """Returns the seconds to wait if nothing is in flight and nothing may be sent, and the reason if not yet logged."""
        seconds = self._quiet_until - self._now()
        if seconds > 0:
            return seconds, None
        reason = UnavailableError("the portal's time budget for reading items is nearly used up")
        return self._sizer.seconds_to_wait(), reason

    def _pages_wanted(self) -> int:
        """Returns the number of pages until `max_rows`, besides those in flight."""
        if self._rows_wanted == math.inf:
            return BATCH_SIZE
        return math.ceil(self._rows_wanted / PAGE_SIZE) - sum(request.pages for request in self._under_way)

    def _share(self) -> int:
        """Returns the pages for one connection: slow pages are distributed over idle connections."""
        wanted = len(self._awaiting_probe)
        wanted += sum(id_range.pages_wanted(self._longest_chain) for id_range in self._pending)
        share = math.ceil(wanted / (self._connections - len(self._under_way)))
        return max(share, self._sizer.min_batch())

    def _fill(self, request: BatchRequest) -> BatchRequest:
        while self._awaiting_probe and request.add_probe(self._awaiting_probe[0]):
            self._awaiting_probe.popleft()
        while self._pending and request.add_pages(self._pending[0], self._longest_chain):
            self._pending.popleft()
        return request

    # --- responses ----------------------------------------------------------------------------------------------------

    def on_timeout(self, request: BatchRequest) -> None:
        """Registers a time-out of a request with several commands; smaller ones will ask for the same."""
        del self._under_way[request]
        self._sizer.on_timeout(request.cost_keys)
        self._awaiting_probe.extend(request.probes)
        self._pending.extend(id_range for id_range, _ in request.chains)

    def on_failure(self, request: BatchRequest) -> None:
        """Registers a failed request whose error ends the read."""
        del self._under_way[request]

    def on_response(self, request: BatchRequest, results: Sequence[CallResult], seconds: float) -> list[Event]:
        """Evaluates a response; returns its rows and the ends of tasks.

        Args:
            request: the request from `next_request`.
            results: results of its calls, in order.
            seconds: duration of the response.

        Raises:
            PortalTimeoutError: pages of several lists timed out, one after the other.
            CredentialError: the token expired repeatedly.
        """
        del self._under_way[request]
        if not isinstance(results[0], PortalTimeoutError):
            durations = [result.duration if isinstance(result, Response) else 0.0 for result in results]
            self._sizer.on_response(request.cost_keys, durations, seconds)
        self._detect_unresponsive_portal(request, results[0])
        left = iter(results)
        events: list[Event] = []
        for id_range in request.probes:
            events += self._on_probe(id_range, next(left))
        for id_range, pages in request.chains:
            events += self._on_pages(id_range, [next(left) for _ in range(pages)])
        return events

    def _detect_unresponsive_portal(self, request: BatchRequest, first: CallResult) -> None:
        """A timed-out page fails its list. If several lists in a row time out, the portal is unreachable."""
        if not isinstance(first, PortalTimeoutError):
            self._silent.clear()
            return
        self._silent.update(id_range.query for id_range in request.ranges)
        if len(self._silent) >= MAX_SILENT_LISTS:
            raise first

    def _on_probe(self, id_range: IdRange, result: CallResult) -> Iterator[Event]:
        """Evaluates the highest id, which bounds the estimate and allows a long list to be read in several places at once."""
        if id_range not in self._open[id_range.query]:
            return  # its list has failed meanwhile
        max_id = max_id_in(id_range.query, result)
        if isinstance(max_id, Bitrix24Error):
            yield from self._retry_or_give_up(id_range, max_id, self._awaiting_probe)
        elif max_id < id_range.after:  # not credible: higher ids were read already
            self._pending.append(id_range)
        else:
            id_range.known_max_id = max_id if id_range.upper is None else min(max_id, id_range.upper)
            if id_range.known_max_id > id_range.after:
                self._requeue(id_range)
            else:
                yield from self._close(id_range)

    def _on_pages(self, id_range: IdRange, results: Sequence[CallResult]) -> Iterator[Event]:
        ranges = self._open[id_range.query]
        if id_range not in ranges:
            return  # its list has failed meanwhile
        was_first, task = id_range.known_max_id is None, ranges[id_range]
        chain = consume_pages(id_range, results, self._redact)
        if chain.reference_not_resolved and self._longest_chain > 1:
            self._longest_chain = 1
            log.info("The portal does not fill in references within a batch: lists are read in windows")
        if chain.pages:
            self._retries.pop(id_range, None)
        self._rows_wanted -= len(chain.rows)
        self._is_stopped = self._is_stopped or self._rows_wanted <= 0
        if chain.rows or chain.unusable:
            left = [
                part for part, owner in ranges.items() if owner is task and not (chain.finished and part is id_range)
            ]
            rows_left = int(sum(part.rows_left() for part in left))
            yield PageBatch(task, chain.rows, rows_left, [part.to_stored() for part in left], chain.unusable)
        if chain.finished:
            yield from self._close(id_range)
        elif chain.error is not None:
            yield from self._retry_or_give_up(id_range, chain.error, self._pending)
        elif was_first:
            self._awaiting_probe.append(id_range)
        else:
            self._requeue(id_range)

    def _close(self, id_range: IdRange) -> Iterator[Event]:
        """Ends a range, and its task if it was the last one."""
        ranges = self._open[id_range.query]
        task = ranges.pop(id_range)
        if not any(owner is task for owner in ranges.values()):
            yield ListEnd(task)

    def _requeue(self, id_range: IdRange) -> None:
        """Puts a range back into the queue; splits a long one if connections are free."""
        min_rows = MIN_ROWS_TO_SPLIT if self._longest_chain > 1 else PAGE_SIZE
        most = self._connections if self._longest_chain > 1 else BATCH_SIZE
        free = most - len(self._under_way) - len(self._pending) - len(self._awaiting_probe)
        parts = id_range.split(min(free, int(id_range.rows_left() // min_rows)))
        ranges = self._open[id_range.query]
        ranges.update(dict.fromkeys(parts, ranges.pop(id_range)))
        self._pending.extend(parts)

    def _retry_or_give_up(self, id_range: IdRange, error: Bitrix24Error, queue: deque[IdRange]) -> Iterator[Event]:
        """Retries a range after a pause if that may help; otherwise the whole list fails.

        Only attempts count, not time: a range may have waited for its turn among others.
        """
        state = replace(self._retries.get(id_range, RetryState()), started=self._now())
        retry = self._decide(error, state, ("batch", id_range.query.method))
        if retry is not None:
            self._retries[id_range] = retry.state
            self._back_off(retry.after, error)
            queue.append(id_range)
            return
        if isinstance(error, CredentialError):
            raise error
        failed = self._open[id_range.query]
        self._pending = deque(part for part in self._pending if part not in failed)
        self._awaiting_probe = deque(part for part in self._awaiting_probe if part not in failed)
        tasks = _unique(failed.values())
        failed.clear()
        yield from (ListEnd(task, error) for task in tasks)

    def _back_off(self, seconds: float, error: Bitrix24Error) -> None:
        """Pauses all requests; failures for the same reason meanwhile are not logged again."""
        until = self._now() + seconds
        if until > self._quiet_until + 1:
            self._log_wait(seconds, error)
        self._quiet_until = max(self._quiet_until, until)


def _unique(tasks: Iterable[RangeTask]) -> list[RangeTask]:
    """Removes duplicates by identity: tasks need not be hashable."""
    return list({id(task): task for task in tasks}.values())

"""Reads lists by id over a few connections, each in a thread of its own.

The threads take their next request from a `ReadScheduler` and append results to a bounded queue, both under one `Condition`.
Only requests and pauses happen outside of it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from types import TracebackType

from ..errors import STOPS_READING, Action, Bitrix24Error, CredentialError, exhausted
from ..rest import CallResult, Client, PortalTimeoutError, send_batch
from .batch_sizing import BatchSizer
from .events import ListEnd, PageBatch, RangeTask
from .list_queries import METHODS
from .request_builder import BatchRequest
from .scheduler import Event, ReadScheduler
from .unusable_rows import UnusableRows

GRACE_SECONDS = 2.0
"""time that requests in flight have to finish when their answers are no longer needed"""
MAX_COALESCED = 2
"""number of available batches that are yielded as one: a table costs about the same for few rows as for many"""


def new_batch_sizer(client: Client) -> BatchSizer:
    """Returns a batch sizer for a portal whose speed is unknown."""
    return BatchSizer(client.budget, client.clock, ("batch", *METHODS))


class PageReader:
    """Reads lists by id over `connections` threads, which run until the reader is closed.

    Example:
        with PageReader(client) as reader:
            for event in reader.read([IdRange(ListQuery(177))]):
                ...

    Attributes:
        lost: why the portal can no longer be called; None as long as it can.
    """

    def __init__(self, client: Client, connections: int = 4, sizer: BatchSizer | None = None) -> None:
        """Creates a reader without starting threads.

        Args:
            client: sends the requests.
            connections: number of concurrent requests.
            sizer: a sizer that has learned the portal's speed from an earlier reader.
        """
        self._client = client
        self._connections = max(1, connections)
        self._capacity = max(2, connections)
        self._sizer = sizer or new_batch_sizer(client)
        self._changed = threading.Condition()
        self._scheduler: ReadScheduler | None = None
        self._stop: threading.Event | None = None
        self._results: deque[Event] = deque()
        self._error: BaseException | None = None
        self._is_pausing = False
        self._is_closed = False
        self._workers: list[threading.Thread] = []
        self.lost: Bitrix24Error | None = None

    def __enter__(self) -> PageReader:  # noqa: PYI034 - `Self` needs Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the threads; one whose request hangs is abandoned, and does not keep the process alive."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        deadline = GRACE_SECONDS
        for worker in self._workers:
            worker.join(deadline)
            deadline = 0.1 if worker.is_alive() else deadline
        self._client.stop_decoder()

    def read(
        self, tasks: Sequence[RangeTask], *, stop: threading.Event | None = None, max_rows: int = 0
    ) -> Iterator[PageBatch | ListEnd]:
        """Yields the rows of some tasks, and one `ListEnd` for each task after its last rows.

        Requests continue in the background, a few batches ahead of the caller. If the portal stops answering, all open tasks
        end with that error, and so do those of later calls.

        Args:
            tasks: what to read. Tasks whose ranges share one `ListQuery` object are one list: if it fails, all of them end.
            stop: once it is set, no more requests are sent. Requests in flight are still processed; unfinished tasks have no
                `ListEnd`.
            max_rows: number of rows after which no more requests are sent either; 0 is no limit.

        Raises:
            Bitrix24Error: the credential is rejected.
            RuntimeError: another read is in progress.
        """
        if self.lost is not None:
            yield from (ListEnd(task, self.lost) for task in tasks)
            return
        scheduler = ReadScheduler(
            tasks,
            self._sizer,
            now=self._client.clock.monotonic,
            decide=self._client.decide_retry,
            connections=self._connections,
            max_rows=max_rows,
            redact=self._client.redact,
            log_wait=self._client.log_wait,
        )
        self._begin(scheduler, stop)
        try:
            while events := self._next_events(scheduler):
                yield from _joined(events)
                events.clear()  # releases the rows while waiting for the next ones
            if self._error is not None:
                yield from self._ends_of_lost_portal(scheduler, self._error)
        finally:
            self._end(scheduler)

    # --- the caller's side --------------------------------------------------------------------------------------------

    def _begin(self, scheduler: ReadScheduler, stop: threading.Event | None) -> None:
        with self._changed:
            if self._scheduler is not None or self._is_closed:
                raise RuntimeError("A reader reads once at a time, and not after it was closed.")
            self._scheduler, self._stop, self._error = scheduler, stop, None
            self._changed.notify_all()
        while len(self._workers) < self._connections:
            name = f"bitrix24-reader-{len(self._workers) + 1}"
            worker = threading.Thread(target=self._work, name=name, daemon=True)  # Ctrl-C must not wait for a request
            self._workers.append(worker)
            worker.start()

    def _next_events(self, scheduler: ReadScheduler) -> list[Event]:
        """Returns the next few events; none at the end of the read."""
        with self._changed:
            while not self._results:
                self._stop_if_wanted(scheduler)
                if self._error is not None or scheduler.is_finished:
                    return []
                if self._is_closed:
                    raise RuntimeError("The reader was closed while it read.")
                self._changed.wait(1.0)  # with an end: a wait without one cannot be interrupted everywhere
            events = [self._results.popleft() for _ in range(min(MAX_COALESCED, len(self._results)))]
            self._changed.notify_all()
            return events

    def _ends_of_lost_portal(self, scheduler: ReadScheduler, error: BaseException) -> Iterator[ListEnd]:
        if not isinstance(error, STOPS_READING):
            raise error
        self.lost = error
        yield from (ListEnd(task, error) for task in scheduler.open_tasks)

    def _end(self, scheduler: ReadScheduler) -> None:
        """Waits a limited time for requests in flight to finish."""
        with self._changed:
            scheduler.stop()
            self._results.clear()
            self._changed.wait_for(lambda: not scheduler.is_awaiting_response, GRACE_SECONDS)
            self._scheduler, self._stop = None, None
            self._results.clear()

    # --- the threads' side --------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (step := self._next_step()) is not None:
            step.take(self)
            del step

    def _next_step(self) -> _Request | _Pause | None:
        """Returns what a thread does next; waits until there is something to do, and returns None at the end."""
        with self._changed:
            while not self._is_closed:
                try:
                    step = self._step_of(self._scheduler) if self._scheduler is not None else None
                except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
                    self._error, step = error, None
                if step is not None:
                    return step
                self._changed.wait()
            return None

    def _step_of(self, scheduler: ReadScheduler) -> _Request | _Pause | None:
        self._stop_if_wanted(scheduler)
        if self._error is not None or len(self._results) >= self._capacity:
            return None
        if (request := scheduler.next_request()) is not None:
            return _Request(scheduler, request)
        # A thread without work notifies none: threads that wake each other would spin until the caller is ready.
        if not scheduler.is_finished and not scheduler.is_awaiting_response and not self._is_pausing:
            self._is_pausing = True
            return _Pause(*scheduler.pause())
        return None

    def _stop_if_wanted(self, scheduler: ReadScheduler) -> None:
        if self._stop is not None and self._stop.is_set():
            scheduler.stop()

    def send(self, scheduler: ReadScheduler, request: BatchRequest) -> None:
        """Sends a request and passes its result on."""
        try:
            response = self._response(request)
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            with self._changed:
                scheduler.on_failure(request)
                self._fail(scheduler, error)
            return
        with self._changed:
            try:
                if response is None:
                    scheduler.on_timeout(request)
                else:
                    events = scheduler.on_response(request, *response)
                    self._results.extend(events if scheduler is self._scheduler else ())
            except BaseException as error:  # noqa: BLE001 - as above
                self._fail(scheduler, error)
            self._changed.notify_all()

    def pause(self, seconds: float, reason: Bitrix24Error | None) -> None:
        """Waits for the portal on behalf of all threads."""
        try:
            if reason is not None:
                self._client.log_wait(seconds, reason)
            self._client.clock.sleep(seconds)
        finally:
            with self._changed:
                self._is_pausing = False
                self._changed.notify_all()

    def _fail(self, scheduler: ReadScheduler, error: BaseException) -> None:
        if scheduler is self._scheduler:
            self._error = self._error or error
        self._changed.notify_all()

    def _response(self, request: BatchRequest) -> tuple[list[CallResult], float] | None:
        """Returns the results and the duration of a request; None if it timed out and can be split."""
        token = self._client.auth.token()
        try:
            results, seconds = send_batch(self._client, request.calls)
        except PortalTimeoutError as error:
            return ([exhausted(error)], 0.0) if len(request.calls) == 1 else None
        refused = next((result for result in results if isinstance(result, CredentialError)), None)
        if refused is not None and not (refused.action is Action.REFRESH_TOKEN and self._client.refresh_auth(token)):
            raise self._client.with_credential_hint(refused)
        return results, seconds


@dataclass(frozen=True)
class _Request:
    scheduler: ReadScheduler
    request: BatchRequest

    def take(self, reader: PageReader) -> None:
        reader.send(self.scheduler, self.request)


@dataclass(frozen=True)
class _Pause:
    seconds: float
    reason: Bitrix24Error | None

    def take(self, reader: PageReader) -> None:
        reader.pause(self.seconds, self.reason)


def _joined(events: Sequence[Event]) -> Iterator[Event]:
    """Yields the events with adjacent batches of one task merged."""
    for task_id, neighbours in groupby(events, lambda event: id(event.task) if isinstance(event, PageBatch) else None):
        if task_id is None:
            yield from neighbours
            continue
        *_, last = batches = [event for event in neighbours if isinstance(event, PageBatch)]
        rows = list(chain.from_iterable(batch.rows for batch in batches))
        yield replace(last, rows=rows, unusable=sum((batch.unusable for batch in batches), UnusableRows()))

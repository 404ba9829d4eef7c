"""Reads tasks over the connections of a load. If the portal stops answering, all tasks end; the rows read are kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from types import TracebackType

from ..errors import Bitrix24Error, PortalError
from ..reader import IdRange, ListEnd, PageBatch, PageReader, new_batch_sizer
from ..rest import Client, Clock
from .plan import ReadTask
from .session import RunSession

TaskEvent = tuple[ReadTask, PageBatch | ListEnd]


class SliceStop:
    """Ends a slice when it is full or its time is over; requests in flight are still processed."""

    def __init__(self, session: RunSession, clock: Clock, tasks: Sequence[ReadTask]) -> None:
        self.event = threading.Event()
        self._session = session
        self._clock = clock
        self._started = clock.monotonic()
        self._rows = 0
        self._left = {task: sum(int(id_range.rows_left()) for id_range in task.ranges) for task in tasks}

    @property
    def max_rows(self) -> int:
        """The rows that the slice may take; 0 is no limit."""
        return self._session.limits.rows_of(self._session.slice_count)

    def count(self, task: ReadTask, rows: int, rows_left: int) -> None:
        """Registers rows of a full read, and the estimated rest of it."""
        self._rows += rows
        self._left[task] = rows_left
        seconds = self._clock.monotonic() - self._started
        if self._session.is_full(self._rows, seconds, sum(self._left.values())):
            self.event.set()

    def minutes_for(self, rows: int) -> float:
        """Returns the minutes that so many rows take, at the rate of this slice; 0 while it is unknown."""
        seconds = self._clock.monotonic() - self._started
        return rows * seconds / self._rows / 60 if self._rows else 0.0


class TaskReader:
    """Reads from the portal for one load; a context manager, whose threads end with it."""

    def __init__(self, client: Client, session: RunSession, connections: int, lost: Bitrix24Error | None) -> None:
        session.batch_sizer = session.batch_sizer or new_batch_sizer(client)
        self._pages = PageReader(client, connections, session.batch_sizer)
        self._lost = lost

    def __enter__(self) -> TaskReader:  # noqa: PYI034 - `Self` needs Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pages.close()

    @property
    def lost(self) -> Bitrix24Error | None:
        """Why the portal is not called any more in this load; None as long as it is."""
        return self._lost or self._pages.lost

    def lose(self, error: Bitrix24Error) -> None:
        """Ends all requests of this load, because the portal no longer answers."""
        self._lost = error

    def read(self, tasks: Sequence[ReadTask], stop: SliceStop | None = None) -> Iterator[TaskEvent]:
        """Yields the rows of all tasks and the end of each; after a stop, unfinished tasks have no end.

        A list that cannot be read with its extra fields is read again without them, after the first read has ended: both
        would wait for the same batch sizer.
        """
        originals = {task: task for task in tasks}
        while tasks:
            again: list[ReadTask] = []
            for task, event in self._events(tasks, stop):
                if isinstance(event, ListEnd) and isinstance(event.error, PortalError) and task.query.extra_select:
                    plain = _without_extra_select(task)
                    originals[plain] = originals[task]
                    again.append(plain)
                else:
                    yield originals[task], event
            tasks = again

    def _events(self, tasks: Sequence[ReadTask], stop: SliceStop | None) -> Iterator[TaskEvent]:
        """Yields batches with the rest of all ranges of their task, and one end for each task, with its first error."""
        if self.lost is not None:
            yield from ((task, ListEnd(task, self.lost)) for task in tasks)
            return
        parts = [_TaskRange(task, id_range) for task in tasks for id_range in task.ranges]
        latest: dict[ReadTask, dict[_TaskRange, PageBatch]] = {task: {} for task in tasks}
        for part in parts:
            unread = [part.range.to_stored()]
            latest[part.task][part] = PageBatch(part, (), int(part.range.rows_left()), unread)
        signal, max_rows = (stop.event, stop.max_rows) if stop is not None else (None, 0)
        for event in self._pages.read(parts, stop=signal, max_rows=max_rows):
            task = event.task.task
            batches = latest.get(task)
            if batches is None:  # the task ended with an error
                continue
            if isinstance(event, PageBatch):
                batches[event.task] = replace(event, rows=())
                remaining = list(chain.from_iterable(batch.remaining for batch in batches.values()))
                rows_left = sum(batch.rows_left for batch in batches.values())
                yield task, replace(event, task=task, remaining=remaining, rows_left=rows_left)
            else:
                del batches[event.task]
                if event.error is not None or not batches:
                    del latest[task]
                    yield task, ListEnd(task, event.error)
            del event  # its rows are not kept while the next ones are waited for


@dataclass(frozen=True, eq=False)
class _TaskRange:
    """One id range of a task, as the reader takes them."""

    task: ReadTask
    range: IdRange


def _without_extra_select(task: ReadTask) -> ReadTask:
    plain = replace(task.query, extra_select=())
    return replace(task, query=plain, ranges=tuple(replace(id_range, query=plain) for id_range in task.ranges))

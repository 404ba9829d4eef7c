"""Reads tasks over the connections of a load. A portal that does not come back ends them all, and what came is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..errors import Bitrix24Error, PortalError
from ..reader import ListEnd, PageBatch, new_batch_sizer, read_lists
from ..rest import Client, Clock
from .plan import UNREACHABLE, ReadTask
from .session import RunSession

TaskEvent = tuple[ReadTask, PageBatch | ListEnd]


class SliceStop:
    """Ends a slice when it is full or its time is over; what is under way still comes."""

    def __init__(self, session: RunSession, clock: Clock) -> None:
        self.event = threading.Event()
        self._session = session
        self._clock = clock
        self._started = clock.monotonic()
        self._rows = 0

    @property
    def max_rows(self) -> int:
        """That the slice takes; 0 is no limit."""
        return self._session.slice_rows

    def count(self, rows: int) -> None:
        """Rows of a full read have come."""
        self._rows += rows
        if self._session.is_full(self._rows, self._clock.monotonic() - self._started):
            self.event.set()

    def minutes_for(self, rows: int) -> float:
        """How long so many more rows take, by what came in this slice; 0 while that is not known."""
        seconds = self._clock.monotonic() - self._started
        return rows * seconds / self._rows / 60 if self._rows else 0.0


class TaskReader:
    """The way to the portal for all reads of a load.

    Attributes:
        lost: why the portal cannot be asked any further in this load; None as long as it can.
    """

    def __init__(self, client: Client, session: RunSession, connections: int, lost: Bitrix24Error | None) -> None:
        self.lost = lost
        self._client = client
        self._session = session
        self._connections = connections

    def lose(self, error: Bitrix24Error) -> None:
        """The portal does not answer any more: nothing else is asked for in this load."""
        self.lost = error

    def read(self, tasks: Sequence[ReadTask], stop: SliceStop | None = None) -> Iterator[TaskEvent]:
        """Rows of all tasks and the end of each; after a stop, tasks that are not finished have no end.

        A list that cannot be read with what is selected besides, is read without it afterwards: not within the first read, for
        both would wait for one batch sizer.
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
        session = self._session
        session.batch_sizer = session.batch_sizer or new_batch_sizer(self._client)
        open_ = {task.query: task for task in tasks}
        by_query = dict(open_)
        try:
            if self.lost is None:
                ranges = [id_range for task in tasks for id_range in task.ranges]
                signal, most = (stop.event, stop.max_rows) if stop is not None else (None, 0)
                events = read_lists(self._client, ranges, self._connections, signal, session.batch_sizer, most)
                for event in events:
                    if isinstance(event, ListEnd):
                        open_.pop(event.items, None)
                    yield by_query[event.items], event
        except UNREACHABLE as error:
            self.lose(error)
        if self.lost is not None:
            yield from ((task, ListEnd(query, self.lost)) for query, task in open_.items())


def _without_extra_select(task: ReadTask) -> ReadTask:
    plain = replace(task.query, extra_select=())
    return replace(task, query=plain, ranges=tuple(replace(id_range, items=plain) for id_range in task.ranges))

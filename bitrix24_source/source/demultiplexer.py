"""Splits one stream into one stream per consumer.

dlt iterates over its resources one after the other, while a single sync feeds them all. A consumer with nothing queued yields
`None`, so that the others can drain their queues first.

A load that ends early discards consumers that were never started. Closing a generator that has not started runs none of its code,
so each one holds a `Consumer`, whose finalisation is noticed.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

Rows = Generator[tuple[str, Any], None, None]
"""Yields the name of a consumer and an item for it."""


class Consumer:
    """Represents a consumer of rows; it ends when nothing refers to this object any more."""


class Demultiplexer:
    """Yields one stream's rows to each consumer; queues stay short, because a consumer without rows waits for the others.

    The stream is closed when the last consumer has ended, even if it never asked for a row.
    """

    def __init__(self, consumers: Mapping[str, Consumer | None], make: Callable[[Demultiplexer], Rows]) -> None:
        """Makes the stream.

        Args:
            consumers: consumers by name; None for one whose end is noticed only after it has started.
            make: makes the stream for this demultiplexer.
        """
        self._waiting: dict[str, deque[Any]] = {name: deque() for name in consumers}
        self._gone: set[str] = set()
        self._stream = make(self)
        self._taken = 0
        self._advancing = threading.RLock()
        own = weakref.ref(self)
        for name, consumer in consumers.items():
            if consumer is not None:
                weakref.finalize(consumer, _leave, own, name).atexit = False

    def has_consumer(self, name: str) -> bool:
        """Returns whether a consumer still takes rows."""
        return name in self._waiting and name not in self._gone

    def stream_for(self, name: str) -> Iterator[Any]:
        """Yields the items of one consumer, or None if the others should be asked first, which dlt ignores.

        If no other consumer took anything meanwhile (dlt can exhaust one resource after the other), it advances the stream.
        """
        own, taken = self._waiting[name], -1
        try:
            while True:
                if own:
                    self._taken += 1
                    yield own.popleft()
                elif taken != self._taken and any(self._waiting.values()):
                    taken = self._taken
                    yield None
                elif not self._advance() and not own:  # another thread may have queued an item meanwhile
                    return
        finally:
            self.leave(name)

    def leave(self, name: str) -> None:
        """Removes a consumer that takes no more rows."""
        self._waiting[name].clear()
        self._gone.add(name)
        if len(self._gone) == len(self._waiting):
            self._stream.close()

    def _advance(self) -> bool:
        """Advances the stream by one item; locks, because with `parallelize()` dlt calls from several threads."""
        with self._advancing:
            return self._step()

    def _step(self) -> bool:
        item = next(self._stream, None)
        if item is None:
            return False
        name, rows = item
        if self.has_consumer(name):
            self._waiting[name].append(rows)
        return True


def _leave(demultiplexer: weakref.ref[Demultiplexer], name: str) -> None:
    if (found := demultiplexer()) is not None:
        found.leave(name)

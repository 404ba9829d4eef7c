"""Splits one stream into one stream per consumer.

dlt asks its resources one after the other, while a single sync serves them all. A consumer with nothing queued yields `None`,
so that the others can drain their queues first.

A load that ends early lets go of consumers that it has never asked. Closing a generator that has not begun runs nothing of it, so
that each holds a `Consumer`, whose end is noticed.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

Rows = Generator[tuple[str, Any], None, None]
"""A consumer's name, and something for it."""


class Consumer:
    """Stands for whoever takes rows, as long as something refers to it."""


class Demultiplexer:
    """Yields one stream's rows consumer by consumer; few are queued, because whoever has none waits for the others to take theirs.

    The stream is closed when the last consumer is gone, whether or not it has ever asked for something.
    """

    def __init__(self, consumers: Mapping[str, Consumer | None], make: Callable[[Demultiplexer], Rows]) -> None:
        """Makes the stream.

        Args:
            consumers: by name; None for one whose end is not noticed before it has begun.
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
        """Whether somebody still takes what comes under a name."""
        return name in self._waiting and name not in self._gone

    def stream_for(self, name: str) -> Iterator[Any]:
        """What comes for one consumer. None stands for "ask the others first"; dlt passes over it.

        Where nobody else took anything meanwhile (dlt can be told to exhaust one resource after the other), it goes on.
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
                elif not self._advance() and not own:  # another thread may have put something there meanwhile
                    return
        finally:
            self.leave(name)

    def leave(self, name: str) -> None:
        """A consumer takes nothing any more."""
        self._waiting[name].clear()
        self._gone.add(name)
        if len(self._gone) == len(self._waiting):
            self._stream.close()

    def _advance(self) -> bool:
        """One step of the stream. With `parallelize()` dlt asks from several threads, and a generator has room for one."""
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

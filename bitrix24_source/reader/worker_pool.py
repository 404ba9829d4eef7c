"""Runs work in daemon threads beside the caller, without holding the process back at its end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


GRACE_SECONDS = 2.0
"""that work under way has to end when nobody wants it any more"""


def start_thread(work: Callable[[], T]) -> Future[T]:
    """Work in a thread of its own."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            done.set_exception(error)
        else:
            done.set_result(result)

    threading.Thread(target=run, name="bitrix24-request", daemon=True).start()
    return done


def prefetch(made: Callable[[Future[None]], Iterator[T]], most: int, at_once: int = 1) -> Iterator[list[T]]:
    """What an iterator makes in a thread of its own, at most so many steps ahead.

    Args:
        made: makes the iterator. The future that it is given is done when nobody wants more.
        most: steps.
        at_once: how many of the steps that are there already come together. None is waited for so that it may.
    """
    arrived: queue.Queue[T | _End] = queue.Queue(maxsize=most)
    gone: Future[None] = Future()
    thread = threading.Thread(target=_conduct, args=(made, arrived, gone), name="bitrix24-items", daemon=True)
    thread.start()
    try:
        end = None
        while end is None:
            came: list[T] = []
            while not came or (len(came) < at_once and not arrived.empty()):
                what = arrived.get()
                if isinstance(what, _End):
                    end = what
                    break
                came.append(what)
            if came:
                yield came
        if end.error is not None:
            raise end.error
    finally:
        gone.set_result(None)
        thread.join(2 * GRACE_SECONDS)


@dataclass(frozen=True)
class _End:
    """Nothing comes after this."""

    error: BaseException | None = None


def _conduct(made: Callable[[Future[None]], Iterator[Any]], arrived: queue.Queue[Any], gone: Future[None]) -> None:
    end = _End()
    try:
        for what in made(gone):
            _hand_over(what, arrived, gone)
    except BaseException as error:  # noqa: BLE001 - whatever ends the thread is for the caller to see
        end = _End(error)
    _hand_over(end, arrived, gone)


def _hand_over(what: Any, arrived: queue.Queue[Any], gone: Future[None]) -> None:
    """Waits for capacity, as long as there is somebody who makes some."""
    while not gone.done():
        try:
            arrived.put(what, timeout=0.1)
        except queue.Full:
            continue
        return

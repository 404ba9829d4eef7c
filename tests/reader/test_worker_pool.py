"""Work beside the caller: in order, a little ahead, together where it is there already, and never in the way of the end."""

from __future__ import annotations

import threading

import pytest

from bitrix24_source.reader.worker_pool import prefetch


def test_steps_that_are_there_come_together():
    """What was made while the caller was busy comes at once, up to the number asked for, and in order."""
    all_made = threading.Event()

    def made(_gone):
        yield from range(5)
        all_made.set()
        yield 5

    steps = prefetch(made, most=9, at_once=2)
    first = next(steps)
    assert all_made.wait(5)

    rest = list(steps)
    assert len(rest[0]) == 2
    assert [one for some in (first, *rest) for one in some] == [0, 1, 2, 3, 4, 5]


def test_nothing_is_waited_for_to_come_together():
    """A step comes by itself as long as the next one is not made."""
    may_go_on = threading.Event()

    def made(_gone):
        yield 0
        may_go_on.wait(5)
        yield 1

    steps = prefetch(made, most=9, at_once=9)

    assert next(steps) == [0]
    may_go_on.set()
    assert next(steps) == [1]


def test_an_error_comes_after_what_was_made_before_it():
    """Whatever ends the work ends the caller's loop too, and no step is lost on the way."""

    def made(_gone):
        yield 0
        raise ValueError("enough")

    steps = prefetch(made, most=9, at_once=9)

    assert next(steps) == [0]
    with pytest.raises(ValueError, match="enough"):
        next(steps)


def test_who_leaves_early_ends_the_work():
    """Nobody makes steps for a caller that is gone."""
    told = threading.Event()

    def made(gone):
        while not gone.done():
            yield 0
        told.set()

    steps = prefetch(made, most=2)
    next(steps)
    steps.close()

    assert told.wait(5)

"""The garbage collector belongs to the whole process: borrowed while rows stream, and given back."""

from __future__ import annotations

import gc

import pytest

from bitrix24_source.reader.process_tuning import RELAXED_THRESHOLD, relaxed_gc


@pytest.fixture(autouse=True)
def usual():
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_is_given_back():
    """After the last of several overlapping streams the collector is as it was before the first."""
    first, second = relaxed_gc(), relaxed_gc()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)

    assert RELAXED_THRESHOLD[0] == gc.get_threshold()[0]

    second.__exit__(None, None, None)

    assert gc.get_threshold() == (700, 10, 10)


def test_is_given_back_by_a_stream_that_is_left_early():
    """A generator that is closed in the middle gives the collector back."""

    def stream():
        with relaxed_gc():
            yield 1
            yield 2

    rows = stream()
    next(rows)
    rows.close()

    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("threshold", [(0, 10, 10), (2 * RELAXED_THRESHOLD[0], 10, 10)])
def test_nobody_collects_more_often(threshold):
    """A process that never collects, or more seldom than we would, goes on as it likes."""
    gc.set_threshold(*threshold)
    with relaxed_gc():
        assert gc.get_threshold() == threshold

    assert gc.get_threshold() == threshold


def test_somebody_else_has_the_last_word():
    """What others set meanwhile stays."""
    with relaxed_gc():
        gc.set_threshold(5000, 5, 5)

    assert gc.get_threshold() == (5000, 5, 5)

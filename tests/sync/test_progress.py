"""How far a stream has got decides what is stored: nothing of a read that failed, ranges of one that was cut, else a cursor."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from fixtures.plans import FILTER, NOW, READ, START, items

from bitrix24_source.reader import PageBatch
from bitrix24_source.sync.checkpoint import Checkpoint
from bitrix24_source.sync.options import ReconcileSchedule, SyncOptions
from bitrix24_source.sync.plan import StreamPlan, plan_stream
from bitrix24_source.sync.progress import StreamProgress
from bitrix24_source.sync.streams import ReadMode


def opened(checkpoint, **options):
    plan = plan_stream(StreamPlan(items(), checkpoint), FILTER, START, SyncOptions(**options))
    progress = StreamProgress(plan)
    return progress, {task.mode: task for task in plan.tasks}


def rows_of(*ids):
    return [{"id": id_, "updatedTime": "2025-07-01T12:00:00+03:00"} for id_ in ids]


def page(task, *ids, left=()):
    return PageBatch(task.query, rows_of(*ids), remaining=list(left))


def test_the_cursor_is_when_the_read_began():
    """After every task was read to its end, however long that took."""
    progress, tasks = opened(READ)
    for task in tasks.values():
        assert progress.checkpoint == progress.plan.checkpoint
        progress.observe(task, page(task, 119 if task.mode is ReadMode.UPDATED else 125))
        progress.close(task, START)

    assert progress.checkpoint.cursor == NOW.isoformat()
    assert progress.checkpoint.high_water_id == 125
    assert progress.checkpoint.runs_since == READ.runs_since + 1
    assert not progress.needs_another_slice


def test_a_failure_stores_nothing_new():
    """The next load asks for the same again."""
    progress, tasks = opened(READ)
    progress.observe(tasks[ReadMode.CREATED], page(tasks[ReadMode.CREATED], 125))
    progress.close(tasks[ReadMode.CREATED], START)
    progress.fail()
    progress.close(tasks[ReadMode.UPDATED], START)

    assert progress.checkpoint == progress.plan.checkpoint
    assert not progress.is_complete


def test_a_full_read_that_is_cut_keeps_its_ranges():
    """With the time when it began; the next slice goes on with it."""
    progress, tasks = opened(Checkpoint())
    task = tasks[ReadMode.FULL]
    left = [[2, None, 500, 1.0, True]]
    progress.observe(task, page(task, 1, 2, left=left))

    assert progress.checkpoint.remaining_ranges == tuple(left)
    assert progress.checkpoint.has_unfinished_full_read
    assert progress.checkpoint.high_water_id == 2
    assert progress.checkpoint.cursor == ""
    assert progress.needs_another_slice


def test_ids_are_collected_with_their_times():
    """Rows that were read whole are on their way, and need not be read again."""
    progress, tasks = opened(READ, sweep=ReconcileSchedule(now=True))
    progress.observe(tasks[ReadMode.IDS], page(tasks[ReadMode.IDS], 1, 2, 3))
    progress.observe(tasks[ReadMode.UPDATED], page(tasks[ReadMode.UPDATED], 2))

    assert [ids.to_pylist() for ids in progress.seen.ids] == [[1, 2, 3]]
    assert [len(times) for times in progress.seen.times] == [3]
    assert [ids.to_pylist() for ids in progress.seen.fetched] == [[2]]
    assert progress.rows == 1


def test_starting_over_empties_the_cursor():
    """Everything is read by the next slice."""
    progress, tasks = opened(READ)
    for task in tasks.values():
        progress.close(task, START)
    progress.start_over("rows are missing")

    assert progress.checkpoint.cursor == ""
    assert progress.needs_another_slice


def test_plans_and_checkpoints_do_not_change():
    """Only the progress does, by its methods."""
    progress, _ = opened(READ)

    with pytest.raises(FrozenInstanceError):
        progress.plan.checkpoint.cursor = ""
    with pytest.raises(FrozenInstanceError):
        progress.plan.tasks = ()

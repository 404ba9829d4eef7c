"""What a stream reads follows from its checkpoint, the schedule and what the portal understands; nothing is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from fixtures.plans import FILTER, NOW, READ, START, items

from bitrix24_source.reader import HistoryQuery
from bitrix24_source.sync.checkpoint import Checkpoint
from bitrix24_source.sync.fixed_tables import history_table
from bitrix24_source.sync.options import ReconcileSchedule, SyncOptions
from bitrix24_source.sync.plan import StreamPlan, plan_stream
from bitrix24_source.sync.ports import Capabilities
from bitrix24_source.sync.session import RunSession
from bitrix24_source.sync.streams import ReadMode, Stream


def modes(plan):
    return [task.mode for task in plan.tasks]


def planned(stream, checkpoint, *, time_filter=FILTER, start=START, **options):
    return plan_stream(StreamPlan(stream, checkpoint), time_filter, start, SyncOptions(**options))


def test_the_first_load_reads_everything():
    """From the first id on; the ids that it sees are compared."""
    plan = planned(items(), Checkpoint())

    assert modes(plan) == [ReadMode.FULL]
    assert plan.checkpoint.full_read_started == NOW.isoformat()
    assert plan.reconciles


def test_a_later_load_reads_what_is_new_and_what_changed():
    """New rows have higher ids; changed ones are asked for by time, with an overlap, and up to the highest known id."""
    plan = planned(items(), READ, overlap=timedelta(minutes=15))
    created, updated = plan.tasks

    assert (created.mode, created.ranges[0].after, created.ranges[0].upper) == (ReadMode.CREATED, 120, None)
    assert (updated.mode, updated.ranges[0].after, updated.ranges[0].upper) == (ReadMode.UPDATED, 0, 120)
    assert updated.query.filter == {">=updatedTime": (NOW - timedelta(hours=1, minutes=15)).isoformat()}
    assert not plan.reconciles


@pytest.mark.parametrize("schedule", [ReconcileSchedule(hours=1), ReconcileSchedule(now=True), ReconcileSchedule(0, 1)])
def test_ids_are_read_when_they_are_due(schedule):
    """With their times of change, and nothing else of the rows."""
    plan = planned(items(), READ, sweep=schedule)

    assert modes(plan) == [ReadMode.CREATED, ReadMode.UPDATED, ReadMode.IDS]
    assert plan.tasks[2].query.select == ("id", "updatedTime")
    assert plan.reconciles


def test_another_user_is_a_reason_to_compare():
    """He may see other items."""
    assert planned(items(), replace(READ, user="1"), start=replace(START, user="77")).reconciles


def test_without_a_filter_on_times_everything_is_read():
    """Where the portal does not keep the filter, changes cannot be asked for."""
    assert modes(planned(items(), READ, time_filter=None)) == [ReadMode.FULL]


def test_rows_without_times_are_read_whole():
    """A type whose rows do not say when they changed."""
    assert modes(planned(items(has_time=False), READ)) == [ReadMode.FULL]


def test_rows_that_never_change_are_read_by_id_only():
    """Stage history has no time of change, and no ids to compare."""
    stream = Stream("stage_history", HistoryQuery(177), history_table(177, Capabilities()))

    assert modes(planned(stream, READ, sweep=ReconcileSchedule(now=True))) == [ReadMode.CREATED]


@pytest.mark.parametrize("is_seen", [False, True])
def test_an_unfinished_full_read_goes_on(is_seen):
    """At the ranges that are left. Who has not seen the ids before cannot say what is gone, unless the same run has."""
    session = RunSession()
    stream = items()
    if is_seen:
        session.seen_keys(stream.key)
    unfinished = Checkpoint(
        full_read_started="2025-06-30T12:00:00+03:00", remaining_ranges=([50, None, 120, 1.0, True],)
    )
    plan = planned(stream, unfinished, session=session)
    (task,) = plan.tasks

    assert (task.mode, task.ranges[0].after) == (ReadMode.FULL, 50)
    assert plan.checkpoint.full_read_started == "2025-06-30T12:00:00+03:00"
    assert (plan.is_resumed, plan.reconciles) == (not is_seen, is_seen)


def test_a_clock_that_was_set_back_widens_the_overlap():
    """By as much as it lost: what changed since then may look older than the cursor."""
    lost = replace(START, clock_skew=-119.5)
    (_, updated) = planned(items(), READ, start=lost, overlap=timedelta()).tasks

    assert updated.query.filter == {">=updatedTime": (NOW - timedelta(hours=1, minutes=2)).isoformat()}

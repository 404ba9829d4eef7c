"""Killed at any moment, with or without its working folder: the next run goes on by itself, and nothing is there twice."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

TOTAL = 2040
COUNTS = {177: 2000, 1030: 40}
"""four slices"""

MOMENTS = [("request", 12), ("Extract", 9), ("Normalize", 2), ("job", 2), ("job", 22), ("mark", 1)]


@pytest.mark.parametrize(("moment", "nth"), MOMENTS)
def test_the_next_run_goes_on(scheduled_job, killed_job, moment, nth):
    """SIGKILL, then one more run: the tables equal the portal, and no more is read than what was not committed."""
    job = scheduled_job(COUNTS)
    killed_job(job, moment, nth)
    committed = job.committed()
    loaded = job.run()

    assert loaded.issues == 0
    assert job.differs() == []
    assert job.adapter.rows <= TOTAL - committed


@pytest.mark.parametrize(("moment", "nth"), [("Extract", 9), ("mark", 1), ("package", 1)])
def test_only_the_destination_is_left(scheduled_job, killed_job, moment, nth):
    """The working folder is lost with the process: what the destination knows to be complete is not read again."""
    job = scheduled_job(COUNTS)
    killed_job(job, moment, nth)
    job.lose_working_folder()
    complete = job.query("select count(*) from crm._dlt_loads") if job.committed() else [(0,)]
    loaded = job.run()

    assert loaded.issues == 0
    assert job.differs() == []
    assert (job.adapter.rows < TOTAL) == bool(complete[0][0])


def test_what_went_while_nobody_looked(scheduled_job, killed_job):
    """Items that were deleted and changed between the two halves of a first load are marked and read by the second run."""
    job = scheduled_job(COUNTS)
    killed_job(job, "mark", 1)
    items = job.portal.items(177)
    items.delete(3)
    items.update(4, title="changed meanwhile")
    items.add(title="new")
    job.portal.clock.advance(3600)
    job.run()

    assert job.query("select id, title is not null from crm.spa_items_177 where deleted_at is not null") == [(3, True)]
    assert job.query("select title from crm.spa_items_177 where id in (4, 2001) order by id") == [
        ("changed meanwhile",),
        ("new",),
    ]
    assert job.differs() == []


def test_killed_again_and_again(scheduled_job, killed_job):
    """Whatever each run was doing when it was killed, slice by slice the load comes to its end."""
    job = scheduled_job(COUNTS)
    seen = []
    for moment, nth in [("job", 2), ("Extract", 3)]:
        killed_job(job, moment, nth)
        seen.append(job.committed())
    job.run()

    assert sorted(seen) == seen
    assert job.differs() == []

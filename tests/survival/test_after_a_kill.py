"""What a run that follows a killed one does otherwise."""

from __future__ import annotations

from bitrix24_source.sync.slice_limits import ROWS_OF_ONE_REQUEST, SliceLimits


def test_slices_begin_small_after_a_kill(scheduled_job, killed_job):
    """By the rows of one request, doubling, so that a job that lives for seconds gets on; after a whole run no longer."""
    job = scheduled_job({177: 200})
    killed_job(job, "request", 5)
    first_rows = []
    for _ in range(2):
        job.run()
        first_rows.append(job.slices.limits.first_rows)

    assert [ROWS_OF_ONE_REQUEST, 0] == first_rows
    assert job.differs() == []


def test_small_slices_grow():
    """Each takes twice as many rows, up to slice_rows."""
    limits = SliceLimits(rows=20_000, seconds=300.0, first_seconds=3.0).after_a_kill()

    assert [2_500, 5_000, 10_000, 20_000, 20_000] == [limits.rows_of(number) for number in range(5)]
    assert limits.is_reached(4, rows=20_000, seconds=1.0, rows_left=1)

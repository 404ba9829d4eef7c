"""What a run that follows a killed one does otherwise."""

from __future__ import annotations

from bitrix24_source.sync.session import FIRST_ROWS, RunSession


def test_slices_begin_small_after_a_kill(scheduled_job, killed_job):
    """By the rows of one request, doubling, so that a job that lives for seconds gets on; after a whole run no longer."""
    job = scheduled_job({177: 200})
    killed_job(job, "request", 5)
    first_rows = []
    for _ in range(2):
        job.run()
        first_rows.append(job.slices.first_rows)

    assert [FIRST_ROWS, 0] == first_rows
    assert job.differs() == []


def test_small_slices_grow():
    """Each takes twice as many rows, up to slice_rows."""
    session = RunSession(rows=20_000, seconds=300.0, first_seconds=3.0)
    session.begin_small()
    sizes = []
    for number in range(5):
        session.slices = number
        sizes.append(session.slice_rows)

    assert [2_500, 5_000, 10_000, 20_000, 20_000] == sizes
    assert session.is_full(20_000, 1.0, rows_left=1)

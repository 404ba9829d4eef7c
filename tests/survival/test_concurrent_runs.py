"""Two runs of one pipeline, and a person at Ctrl-C: whoever waits says so, and nobody waits for what hangs."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from dlt.common.runtime.collector import NullCollector

from bitrix24_source.app.pipeline_lock import pipeline_lock
from bitrix24_source.errors import UnavailableError
from bitrix24_source.sandbox import Fault, Portal, SandboxServer

pytestmark = pytest.mark.slow

COUNTS = {177: 2000, 1030: 40}
STOPPED = 130
SECONDS = 10.0
"""that Ctrl-C may take, on a machine that has much to do"""


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """A portal that takes its time for a page, by the clock of the wall."""
    portal = Portal(scenario="empty", latency=(0.02, 0.0))
    portal.limits.capacity = None
    portal.add_type("Process 177", entity_type_id=177, items=2500)
    with SandboxServer(portal) as server:
        yield server


def wait_until(seen, seconds: float = 30.0) -> None:
    """Returns as soon as something is seen of another process."""
    ends_at = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < ends_at, "it was never seen"
        time.sleep(0.01)


# --- two runs of one pipeline ---------------------------------------------------------------------------------------


def test_the_second_run_waits(server, command, tmp_path):
    """Two commands started at once: both load, one after the other, and the second says that it waits."""
    shell = command(server)
    first = shell.start()
    wait_until(lambda: server.portal.requests)
    code, said = shell.run()
    _, first_said = first.communicate(timeout=60)

    assert (first.returncode, first_said) == (0, "")
    assert code == 0
    waits = (
        r"Another run of the pipeline 'bitrix24' is going on: waiting for its end, up to 600 s \(working folder .*\)\n"
    )
    assert re.fullmatch(waits, said)


def test_the_second_run_does_not_wait_for_ever(scheduled_job):
    """After its retry_policy a run says which other one is in the way and where; nothing is asked of the portal."""
    job = scheduled_job()
    with (
        pipeline_lock("crm", str(job.pipelines)),
        pytest.raises(
            UnavailableError, match=r"another run of the pipeline 'crm' .* working folder .*/crm - let it end"
        ),
    ):
        job.run(wait_seconds=0.05)

    assert job.adapter.requests == 0
    assert job.run().issues == 0


def test_runs_of_two_pipelines_do_not_wait(scheduled_job):
    """Another pipeline's folder is no reason to wait."""
    job = scheduled_job()
    with pipeline_lock("another", str(job.pipelines)):
        assert job.run().rows["spa_items_177"] == 500


def test_two_runs_in_one_process(scheduled_job):
    """Threads of one process wait for each other as processes do."""
    job, other_is_in, may_go = scheduled_job(), threading.Event(), threading.Event()

    def hold() -> None:
        with pipeline_lock("crm", str(job.pipelines)):
            other_is_in.set()
            may_go.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    other_is_in.wait()
    threading.Timer(0.2, may_go.set).start()

    assert job.run(wait_seconds=30).rows["spa_items_177"] == 500
    holder.join()


def test_a_killed_run_holds_nobody_off(scheduled_job, killed_job):
    """The lock dies with its process: nothing has to be removed by hand."""
    job = scheduled_job(COUNTS)
    killed_job(job, "job", 2)

    assert (job.pipelines / "crm.lock").exists()
    assert job.run().issues == 0


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------


def interrupted(server: SandboxServer, command, seen) -> tuple[int, str, float]:
    """Exit code, words and seconds of a load that somebody stops as soon as something is seen."""
    load = command(server).start()
    wait_until(seen)
    started = time.monotonic()
    load.send_signal(signal.SIGINT)
    _, said = load.communicate(timeout=60)
    return load.returncode, said, time.monotonic() - started


@pytest.mark.parametrize(
    "fault", [Fault("batch", "hang", nth=4, times=None), Fault("*", "hang", times=None)], ids=["items", "first"]
)
def test_ctrl_c_while_a_request_hangs(server, command, fault):
    """A portal that answers nothing any more holds nobody: one line, and exit code 130."""
    server.portal.faults.add(fault)
    code, said, seconds = interrupted(server, command, lambda: fault.struck)

    assert (code, said) == (STOPPED, "bitrix24: stopped - what was committed stays - run again to continue\n")
    assert seconds < SECONDS


def test_ctrl_c_during_a_long_wait(server, command):
    """Nor does a time budget that is waited out."""
    fault = Fault("crm.item.list", "OPERATION_TIME_LIMIT", where="command", nth=12, times=None)
    server.portal.faults.add(fault)
    code, said, seconds = interrupted(server, command, lambda: fault.struck)

    assert code == STOPPED
    assert seconds < SECONDS
    assert "Traceback" not in said


class Impatient(NullCollector):
    """A person who looks at the progress and presses Ctrl-C as soon as something is being loaded."""

    def _start(self, step: str) -> None:
        self.step = step

    def update(self, *args, **kwargs) -> None:
        if self.step.startswith("Load"):
            raise KeyboardInterrupt


def test_ctrl_c_while_an_old_package_is_loaded(scheduled_job, killed_job, caplog):
    """What an earlier run has left is kept for the next one: it is not taken for a bad package, and no run follows."""
    job = scheduled_job(COUNTS)
    killed_job(job, "job", 2)
    with pytest.raises(KeyboardInterrupt):
        job.run(progress=Impatient())

    assert job.adapter.requests == 0
    assert job.run().issues == 0
    assert job.differs() == []
    assert "dropped" not in caplog.text

"""A full disk, a locked database, a damaged folder, a package that no database takes: a sentence, and then a run that goes on."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bitrix24_source.errors import ConfigError
from bitrix24_source.sandbox import SandboxServer

pytestmark = pytest.mark.slow

COUNTS = {177: 2000, 1030: 40}
HOLDER = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def server(portal) -> Iterator[SandboxServer]:
    """The demo portal over real HTTP."""
    with SandboxServer(portal) as server:
        yield server


@pytest.fixture
def lock():
    """lock(file): another program opens a DuckDB file; the returned function ends it."""
    opened = []

    def hold(file):
        other = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        opened.append(other)
        assert other.stdout.readline() == b"held\n"

        def release() -> None:
            other.communicate()

        return release

    yield hold
    for other in opened:
        other.kill()
        other.communicate()


def test_locked_in_the_middle(scheduled_job, lock):
    """A person opens the database while a slice is read: the run says so, and the next one loads what it had read."""
    job, released = scheduled_job(COUNTS), []

    def somebody_looks(number: int) -> None:
        if number == 7:
            released.append(lock(job.database))

    job.before = somebody_looks
    with pytest.raises(ConfigError, match=r'locked by another program - file ".*items\.duckdb" - close the program'):
        job.run()
    released[0]()
    left = 2040 - job.committed()
    job.run()

    assert job.differs() == []
    assert 0 < job.adapter.rows <= left


def test_a_locked_database_costs_no_request(scheduled_job, lock, killed_job):
    """With a package waiting, too: it is kept for the next run, and the portal is not asked."""
    job = scheduled_job(COUNTS)
    killed_job(job, "job", 2)
    release = lock(job.database)
    with pytest.raises(ConfigError, match="locked by another program"):
        job.run()
    release()

    assert job.adapter.requests == 0
    assert job.run().issues == 0
    assert job.differs() == []


FULL = """
import resource, sys
from bitrix24_source.app.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
main()
"""


@pytest.mark.parametrize("kilobytes", [20, 200])
def test_a_full_disk(server, command, kilobytes):
    """Whichever file does not fit - a package, the database: one sentence, and with room again the next run is whole."""
    shell = command(server)
    code, said = shell.run(python=("-c", FULL, str(kilobytes * 1024)))

    assert code == 1
    assert "Traceback" not in said
    assert re.fullmatch(
        r"bitrix24: there is no room left to write \(.*\) - (.* - )?make room for .*, then run again.*",
        said.splitlines()[-1],
    )
    assert shell.run() == (0, "")


def test_a_database_that_did_not_fit_at_all(server, command, tmp_path):
    """DuckDB cannot open a file that it could not even begin: the sentence says to delete it, and then all is well."""
    shell = command(server)
    first = shell.run(python=("-c", FULL, "1024"))
    second = shell.run()
    (file,) = tmp_path.glob("*.duckdb")
    file.unlink()

    assert (first[0], second[0]) == (1, 1)
    assert re.fullmatch(r"bitrix24: there is no room left to write .*\n", first[1])
    assert re.fullmatch(
        r"bitrix24: the DuckDB file is cut off, as a full disk leaves it .* - delete the file, .*\n", second[1]
    )
    assert shell.run() == (0, "")


# --- what an earlier run has left -----------------------------------------------------------------------------------


def damage_parquet(job) -> None:
    """The files of jobs of which nobody knows whether they are done: dlt would not miss those of finished ones."""
    for known in job.working_folder.glob("load/normalized/*/.pending_transitions"):
        shutil.rmtree(known)
    files = [*job.working_folder.glob("load/normalized/*/started_jobs/*.parquet")]
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:100])


def damage_state(job) -> None:
    (job.working_folder / "state.json").write_text('{"cut off')


def damage_schema(job) -> None:
    for file in job.working_folder.glob("schemas/*.json"):
        file.write_text("")


def damage_package_schema(job) -> None:
    for file in job.working_folder.glob("load/normalized/*/schema.json"):
        file.write_text('{"cut off')


def damage_version(job) -> None:
    (job.working_folder / "load" / ".version").write_text("")


DAMAGES = [damage_parquet, damage_state, damage_schema, damage_package_schema, damage_version]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_working_folder(scheduled_job, killed_job, damage, caplog):
    """A file of the working folder is cut off, as by a power failure: it is said, given up, and read again."""
    job = scheduled_job(COUNTS)
    killed_job(job, "job", 1)
    damage(job)
    loaded = job.run()

    assert "dropped, to be read again" in caplog.text
    assert loaded.issues == 0
    assert job.differs() == []


def test_a_poisoned_package(scheduled_job, killed_job):
    """A column that the database cannot convert: each run says so, and the first one after it is mended is whole."""
    job = scheduled_job(COUNTS)
    killed_job(job, "Normalize", 30)
    job.query("alter table crm.spa_items_177 rename title to kept; alter table crm.spa_items_177 add title integer")
    said = []
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            job.run()
        said.append(str(caught.value))
    job.query("alter table crm.spa_items_177 drop title; alter table crm.spa_items_177 rename kept to title")
    loaded = job.run()

    assert all(
        re.match(r"the destination refused the load \(.*Could not convert string .*\)", line) for line in said
    ), said
    assert loaded.issues == 0
    assert job.differs() == []

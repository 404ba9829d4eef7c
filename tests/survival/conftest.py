"""What the tests of bad jobs share: a job, the portal that it loads, and ways to hurt either.

Fixtures to ask for, beside those of the whole suite:

    scheduled_job  scheduled_job({177: 500}, auth="oauth2"): a portal with so many items, and the job that loads it into a DuckDB file
    memory_job     the same without dlt and database, as fixtures/jobs.py has it: for what a load makes of a bad portal
    killed_job     killed_job(scheduled_job, "Load", 3): the same job in a process of its own, killed when that step counts for the third time
    command        command(server): the console command against a portal on loopback, as a process to wait for or to hurt
"""

# ruff: noqa: S608 - tables of the tests' own

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
import requests
from fixtures.jobs import MemoryJob, MemoryLoad
from processes import snippet

from bitrix24_source import bitrix24
from bitrix24_source.app import LoadSummary, run_load
from bitrix24_source.rest.client import Client, ClientSettings
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter, SandboxServer, query_to_params
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials
from bitrix24_source.sync.session import RunSession
from bitrix24_source.sync.slice_limits import SliceLimits

SLICE = 600
PLAIN = ("isClientEnabled", "isSourceEnabled", "isMycompanyEnabled", "isBeginCloseDatesEnabled")
"""switches that are off: fewer tables load faster, and a list of observers is enough of a child table"""


class RecordingAdapter(SandboxAdapter):
    """The way to a portal, one request at a time. `before` is called with the number of each, from 0, and may raise."""

    def __init__(self, portal: Portal, before: Callable[[int], None]) -> None:
        super().__init__(portal)
        self.before = before
        self.requests = 0
        self.item_requests = 0
        self.rows = 0
        """of items, whole ones"""
        self._one_at_a_time = threading.RLock()

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        with self._one_at_a_time:
            number, self.requests = self.requests, self.requests + 1
            self.item_requests += b"crm.item.list" in (request.body or b"")
            self.before(number)
            return super().send(request, *args, **kwargs)

    def _response(self, reply: Any, request: Any, **kwargs: Any) -> requests.Response:
        self.rows += sum(_whole_rows(request.body, reply.body))
        return super()._response(reply, request, **kwargs)


def _whole_rows(asked: Any, answered: bytes) -> Iterator[int]:
    try:
        commands, answer = json.loads(asked or b"{}").get("cmd", {}), json.loads(answered)["result"]["result"]
    except (ValueError, TypeError, KeyError):
        return
    for key, command in commands.items():
        method, _, query = command.partition("?")
        page = answer.get(key) if isinstance(answer, dict) else None
        if method == "crm.item.list" and "select" not in query_to_params(query) and isinstance(page, dict):
            yield len(page.get("items", ()))


@dataclass
class ScheduledJob:
    """A job and its portal. `before` is for the next run alone, as `RecordingAdapter` has it; `adapter` is that of the last one."""

    portal: Portal
    folder: Path
    auth: str = "webhook"
    settings: ClientSettings | None = None
    given: dict[str, Any] = field(default_factory=dict)
    views: bool = False
    before: Callable[[int], None] = lambda _number: None
    adapter: RecordingAdapter = field(init=False, repr=False)
    slices: RunSession = field(init=False, repr=False)
    _kept: Any = None

    def __post_init__(self) -> None:
        self._first = self.portal.credentials(self.portal.base_url)[self.auth]

    @property
    def credentials(self) -> dict[str, Any]:
        """What stands in the configuration: the first refresh token, however many there were since."""
        return {**self._first, "token_file": str(self.folder / "pair.json"), **self.given}

    def client(self) -> Client:
        self.adapter = RecordingAdapter(self.portal, self.before)
        self.before = lambda _number: None
        session = requests.Session()
        session.mount("https://", self.adapter)
        auth = auth_from_credentials(Bitrix24Credentials(**self.credentials))
        return Client(auth, self.settings, clock=self.portal.clock, session=session)

    def run(
        self,
        *resources: str,
        slice_rows: int = SLICE,
        wait_seconds: float = 0.0,
        progress: Any = None,
        **arguments: Any,
    ) -> LoadSummary:
        """One run of these resources, by default of the items alone."""
        slices = self.slices = RunSession(SliceLimits(slice_rows))
        given = {"connections": 1, **arguments}
        source = bitrix24(credentials=self.credentials, client=self.client(), slices=slices, **given)
        return run_load(
            source, pipeline_name="crm", destination=dlt.destinations.duckdb(str(self.database)), dataset="crm",
            resources=resources or ("spa_items",), pipelines_dir=str(self.pipelines), slices=slices,
            wait_seconds=wait_seconds, progress=progress, views=self.views,
        )  # fmt: skip

    def run_as_configured(self, *resources: str, progress: Any, views: bool) -> LoadSummary:
        """A run of these resources, by default of everything, that finds its credentials where a scheduler puts them."""
        return run_load(
            bitrix24(client=self.client()), pipeline_name="crm", destination=dlt.destinations.duckdb(str(self.database)),
            dataset="crm", resources=resources, pipelines_dir=str(self.pipelines), progress=progress, views=views,
        )  # fmt: skip

    @property
    def types(self) -> list[int]:
        return [int(spa["entityTypeId"]) for spa in self.portal.types()]

    @property
    def database(self) -> Path:
        return self.folder / "items.duckdb"

    @property
    def pipelines(self) -> Path:
        return self.folder / "pipelines"

    @property
    def working_folder(self) -> Path:
        return self.pipelines / "crm"

    def keep_open(self) -> None:
        """Its database, where no other process needs it: a run opens it six times, each of which takes long."""
        self._kept = duckdb.connect(str(self.database))

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()

    def lose_working_folder(self) -> None:
        shutil.rmtree(self.pipelines)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.database)) as connection:
            return connection.execute(sql).fetchall()

    def committed(self) -> int:
        """Rows in all item tables."""
        try:
            tables = [
                name
                for (name,) in self.query("select table_name from information_schema.tables where table_schema = 'crm'")
            ]
            named = [name for name in tables if name.startswith("spa_items_") and "__" not in name]
            return sum(self.query(f"select count(*) from crm.{name}")[0][0] for name in named)
        except duckdb.Error:
            return 0

    def issues(self) -> list[tuple[int | None, str]]:
        """Type and message of everything that was listed as missing."""
        return self.query("select entity_type_id, message from crm.load_issues order by occurred_at")

    def differs(self) -> list[str]:
        """What the tables say otherwise than the portal does: ids, values, lists, deleted_at."""
        return [line for type_ in self.types for line in self._differs(type_)]

    def _differs(self, entity_type_id: int) -> list[str]:
        portal, table = self.portal.items(entity_type_id), f"crm.spa_items_{entity_type_id}"
        rows = self.query(f"select id, title, updated_time, stage_id, deleted_at is null from {table} order by id")
        lists: dict[int, list[int]] = {}
        for item_id, value in self.query(f"select item_id, value from {table}__observers order by item_id, position"):
            lists.setdefault(item_id, []).append(value)
        told = {id_: _told(portal[id_]) for id_ in portal.ids()}
        living = [(id_, (title, time, stage, lists.get(id_, []))) for id_, title, time, stage, lives in rows if lives]
        held = dict(living)
        wrong = [f"{id_} is there twice" for (id_, *_), (next_, *_) in itertools.pairwise(rows) if id_ == next_]
        wrong += [f"{id_} is missing" for id_ in told.keys() - held.keys()]
        wrong += [f"{id_} is not marked as deleted" for id_ in held.keys() - told.keys()]
        wrong += [
            f"{id_} is {held[id_]}, not {told[id_]}" for id_ in told.keys() & held.keys() if held[id_] != told[id_]
        ]
        return wrong


def _told(item: Mapping[str, Any]) -> tuple[Any, ...]:
    return item["title"], datetime.fromisoformat(item["updatedTime"]), item["stageId"], item["observers"]


def make_portal(counts: Mapping[int, int], clock: Clock | None = None, **more: Any) -> Portal:
    """A portal whose smart processes have so many items."""
    portal = Portal(scenario="empty", clock=clock, **more)
    for entity_type_id, count in counts.items():
        portal.add_type(f"Process {entity_type_id}", entity_type_id=entity_type_id, items=count, off=PLAIN)
    return portal


@pytest.fixture
def scheduled_job(clock: Clock, tmp_path: Path) -> Iterator[Callable[..., ScheduledJob]]:
    """Makes jobs, each with a folder and a database of its own."""
    made: list[ScheduledJob] = []

    def make(counts: Mapping[int, int] | None = None, *, keep_open: bool = False, **more: Any) -> ScheduledJob:
        folder = tmp_path / f"job{len(made)}"
        folder.mkdir()
        made.append(ScheduledJob(make_portal(counts or {177: 500, 1030: 60}, clock), folder, **more))
        if keep_open:
            made[-1].keep_open()
        return made[-1]

    yield make
    for job in made:
        job.close()


@dataclass
class StarvedJob(MemoryJob):
    """A memory job that speaks to the portal over one connection."""

    def run(self, *resources: str, **arguments: Any) -> MemoryLoad:
        return super().run(*resources, connections=1, **arguments)


@pytest.fixture
def memory_job(clock: Clock, tmp_path: Path) -> Callable[..., StarvedJob]:
    """Makes jobs; those of an application keep their tokens in a file each."""
    number = itertools.count()

    def make(counts: Mapping[int, int], *, auth: str = "webhook", **given: Any) -> StarvedJob:
        portal = make_portal(counts, clock)
        kept = {"token_file": str(tmp_path / f"pair{next(number)}.json")} if auth == "oauth2" else {}
        first = portal.credentials(portal.base_url)[auth]  # the configuration has the first refresh token for ever
        return StarvedJob(portal, clock, auth=auth, given={**first, **kept, **given})

    return make


# --- processes that end early ---------------------------------------------------------------------------------------

VICTIM = """
import json, os, signal, sys
from datetime import datetime, timezone

import dlt, requests
from dlt.common.runtime.collector import NullCollector
from dlt.common.storages.load_package import PackageStorage
from dlt.destinations.impl.duckdb.duck import DuckDbClient

from bitrix24_source import bitrix24
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials
from bitrix24_source.sync.session import RunSession
from bitrix24_source.sync.slice_limits import SliceLimits
from bitrix24_source.rest.client import Client
from bitrix24_source.app.run import run_load
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter

counts, off, credentials, folder, moment, nth, rows = json.loads({told!r})
left = nth

def count():
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

class Deadly(NullCollector):
    def _start(self, step):
        self.now = step.split()[0]

    def update(self, *args, **kwargs):
        if self.now == moment:
            count()

def deadly(owner, name):
    whole = getattr(owner, name)
    def counted(*args, **kwargs):
        count()
        return whole(*args, **kwargs)
    setattr(owner, name, counted)

if moment == "job":      # the destination has committed it, and the package does not know yet
    deadly(PackageStorage, "complete_job")
if moment == "mark":     # all jobs are done, and the destination does not know yet that the load is complete
    deadly(DuckDbClient, "complete_load")
if moment == "package":  # the destination knows, and the package is still in its place
    deadly(PackageStorage, "complete_loading_package")
if moment == "request":
    deadly(SandboxAdapter, "send")

clock = Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))
portal = Portal(scenario="empty", clock=clock)
for entity_type_id, items in counts.items():
    portal.add_type(f"Process {{entity_type_id}}", entity_type_id=int(entity_type_id), items=items, off=off)
session = requests.Session()
session.mount("https://", SandboxAdapter(portal))
client = Client(auth_from_credentials(Bitrix24Credentials(**credentials)), clock=clock, session=session)
slices = RunSession(SliceLimits(rows))
run_load(
    bitrix24(credentials=credentials, client=client, slices=slices, connections=1), pipeline_name="crm",
    destination=dlt.destinations.duckdb(f"{{folder}}/items.duckdb"), dataset="crm", resources=("spa_items",),
    pipelines_dir=f"{{folder}}/pipelines", slices=slices, progress=Deadly(), views=False,
)
"""


@pytest.fixture(scope="session")
def killed_states(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Path]:
    """What a first run leaves that is killed at a moment, for all tests that begin there."""
    return {"folder": tmp_path_factory.mktemp("killed")}


@pytest.fixture
def killed_job(killed_states: dict[Any, Path]) -> Callable[..., None]:
    """Runs the job against a portal of the same kind, up to the moment at which it is killed."""

    def run_and_die(scheduled_job: ScheduledJob, moment: str, nth: int) -> None:
        counts = {type_: len(scheduled_job.portal.items(type_)) for type_ in scheduled_job.types}
        key = json.dumps([counts, scheduled_job.auth, moment, nth])
        is_first = not any(scheduled_job.folder.iterdir())
        if is_first:  # in the same place in each test: a working folder knows where its database is
            scheduled_job.folder = killed_states["folder"] / scheduled_job.folder.name
            shutil.rmtree(scheduled_job.folder, ignore_errors=True)
            if key in killed_states:
                shutil.copytree(killed_states[key], scheduled_job.folder)
                return
            scheduled_job.folder.mkdir()
        told = json.dumps([counts, PLAIN, scheduled_job.credentials, str(scheduled_job.folder), moment, nth, SLICE])
        died = snippet(VICTIM.format(told=told), environment={**os.environ, "PYTHONWARNINGS": "ignore"})
        assert died.code == -9, died.err
        if is_first:
            killed_states[key] = killed_states["folder"] / str(len(killed_states))
            shutil.copytree(scheduled_job.folder, killed_states[key])

    return run_and_die


@dataclass
class Command:
    """The console command, as a shell or a scheduler starts it."""

    server: SandboxServer
    folder: Path
    auth: str = "webhook"

    def start(
        self, *options: str, python: Sequence[str] = ("-m", "bitrix24_source.app.cli"), **environment: str
    ) -> subprocess.Popen[str]:
        given = {
            f"SOURCES__BITRIX24__CREDENTIALS__{key.upper()}": value
            for key, value in self.server.credentials()[self.auth].items()
        }
        return subprocess.Popen(
            [sys.executable, *python, "load", "--progress", "none", *options],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore", **given, **environment},
        )  # fmt: skip

    def run(self, *options: str, **more: Any) -> tuple[int, str]:
        """Exit code, and what was said on stderr."""
        process = self.start(*options, **more)
        _, said = process.communicate(timeout=60)
        return process.returncode, said


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Command]:
    """Commands that share this test's folder."""

    def make(server: SandboxServer, auth: str = "webhook") -> Command:
        return Command(server, tmp_path, auth)

    return make

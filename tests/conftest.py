"""What every test stands on: a portal in this process, a clock that only tests move, and no way out of this machine.

Fixtures to ask for:

    clock      a Clock that stands still until somebody sleeps on it
    portal     the demo portal with 200 items, on that clock
    session    a requests session in which that portal and its token server are mounted, without a socket
    connect    makes a Client of that portal: connect(), connect("oauth2"), connect("api_key", settings=..., store=...)
    client     connect() by webhook
    database   makes empty databases: database(). A test marked `all_databases` runs twice, with DuckDB and with PostgreSQL;
               one marked `all_databases(slow=True)`, whose SQL is dlt's alone, with PostgreSQL where slow tests run
    postgres   an empty dataset in PostgreSQL; skips, or in CI fails, where there is no server, as tests marked `all_databases` do
    threads_left  names of this package's threads that the test has left behind: threads_left()
    engine     which of the two this test runs with, "duckdb" or "postgres"; made `database` and everything loaded with it

Two more work for everybody without being asked for: `isolated_environment` gives each test its own folders and an environment
without configuration; `no_network` lets nothing out but to loopback, and is a list of the addresses connected to.

`fixtures/` holds what several folders share; a folder's own fixtures are in its conftest.py.
"""

from __future__ import annotations

import gc
import ipaddress
import itertools
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from databases import ENGINES, REQUIRED, DuckDB, PostgreSQL, make, why_no_postgres
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs import PluggableRunContext
from dlt.common.configuration.specs.config_providers_context import ConfigProvidersContainer
from dlt.common.pipeline import PipelineContext
from dlt.common.runtime.run_context import RunContext

from bitrix24_source.rest.client import Client, ClientSettings
from bitrix24_source.rest.token_store import TokenStore
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

TESTS = Path(__file__).parent
_GC_THRESHOLDS = 100_000, 20, 100
"""nearly as seldom as the command collects garbage: with Python's own it takes a tenth of the time"""
Connect = Callable[..., Client]

pytest_plugins = [
    "fixtures.copies",
    "fixtures.item_warehouse",
    "fixtures.jobs",
    "fixtures.catalog_warehouse",
    "fixtures.commands",
    "loaded_portal",
]

# Where tests may be told of a real portal and of the vendor's examples.
_KEPT = {"BITRIX24_SAMPLES", "BITRIX24_WEBHOOK_URL", "BITRIX24_POSTGRES", "BITRIX24_REQUIRE_POSTGRES"}
_REQUESTS_READS = {"CURL_CA_BUNDLE", "NETRC", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"}


@pytest.fixture
def clock() -> Clock:
    """Noon of a day in July 2025, until somebody sleeps on it or advances it."""
    return Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))


@pytest.fixture
def portal(clock: Clock) -> Portal:
    """The believable company, small."""
    return Portal(scenario="demo", items=200, clock=clock)


@pytest.fixture
def session(portal: Portal) -> Iterator[requests.Session]:
    """Everything under https:// is the portal, whatever the host: a renamed one and the token server too."""
    with requests.Session() as session:
        session.mount("https://", SandboxAdapter(portal))
        yield session


@pytest.fixture
def connect(portal: Portal, session: requests.Session, clock: Clock) -> Connect:
    """Makes clients of `portal`; keywords beside `settings` and `store` replace single credentials."""

    def make(
        auth: str = "webhook",
        *,
        settings: ClientSettings | None = None,
        store: TokenStore | None = None,
        **changed: Any,
    ) -> Client:
        ready: dict[str, Any] = {**portal.credentials(portal.base_url)[auth], **changed}
        return Client(
            auth_from_credentials(Bitrix24Credentials(**ready), store), settings, clock=clock, session=session
        )

    return make


@pytest.fixture
def client(connect: Connect) -> Client:
    """Speaks to `portal` by webhook, on `clock`."""
    return connect()


@pytest.fixture
def threads_left() -> Callable[[], list[str]]:
    """threads_left(): names of this package's threads that began since the test did, and are still there."""
    before = set(threading.enumerate())

    def names() -> list[str]:
        gc.collect()  # dlt closes an iterator that was broken off when it is collected
        began = (thread.name for thread in threading.enumerate() if thread not in before)
        return sorted(name for name in began if name.startswith("bitrix24") and name != "bitrix24-sandbox")

    return names


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than there are cores: tests also wait, for a database's disk and for the processes that they start."""
    from xdist.plugin import pytest_xdist_auto_num_workers as number_of_cores

    return int(number_of_cores(config)) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of one file run in one process, where what they share is loaded once; files in the order of collection.

    So do files that share a load.
    """
    from xdist.scheduler import LoadFileScheduling

    class ByLoad(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return next((files[0] for files in SHARING_A_LOAD if file.endswith(files)), file)

    config.option.loadscopereorder = False  # by numbers of tests: those that take longest would come last, and alone
    return ByLoad(config, log)


def pytest_configure() -> None:
    """Ctrl-C works in the processes that tests start, also where a shell has started all this in the background.

    Nothing reports to dlt's makers. Of dlt itself nothing is replaced: the suite runs the dlt that users have.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # also for what is loaded once, outside any test
    gc.set_threshold(*_GC_THRESHOLDS)


SHARING_A_LOAD = (
    ("views/test_marts.py", "views/test_mart_facts.py", "views/test_superset_bundle.py",
     "report/test_page.py", "report/test_example_queries.py", "report/test_odd_portals.py", "destinations/test_postgresql.py",
     "docs/test_reference.py"),
    ("sync/test_item_tables.py", "sync/test_item_values.py"),
    ("views/test_view_contents.py", "views/test_view_updates.py"),
    ("catalog/test_changes.py", "catalog/test_spa_tables.py"),
)  # fmt: skip
"""files of tests that look at what was loaded once for all of them"""
LONG_FIRST = ("survival", "app", "views", "report", "docs", "sync", "catalog", "destinations")
"""folders of tests; those that take longest would otherwise come last, and alone"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that two processes end together."""
    places = {folder: place for place, folder in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: places.get(item.path.relative_to(TESTS).parts[0], len(places)))


def pytest_collection_finish() -> None:
    """What tests import is no garbage: looking for it there, again and again, would take a twentieth of the time."""
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that load run with DuckDB; those marked `all_databases` with PostgreSQL too, or do so where slow tests run."""
    marker = metafunc.definition.get_closest_marker("all_databases")
    if "engine" in metafunc.fixturenames:
        marks = [pytest.mark.slow] if marker and marker.kwargs.get("slow") else []
        others = [pytest.param(engine, marks=marks) for engine in ENGINES[1:]] if marker else []
        metafunc.parametrize("engine", [*ENGINES[:1], *others], indirect=True, scope="session")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """Where PostgreSQL is wanted and not there, the test is skipped with a word; or fails, where it must be there."""
    chosen = str(getattr(request, "param", ENGINES[0]))
    if chosen == "postgres":
        _need_postgres()
    return chosen


def _need_postgres() -> None:
    if reason := why_no_postgres():
        (pytest.fail if REQUIRED else pytest.skip)(reason)


@pytest.fixture(scope="session")
def postgres_engine() -> str:
    """For what is about that database alone: skips, or fails, where there is none."""
    _need_postgres()
    return "postgres"


@pytest.fixture
def postgres(postgres_engine: str) -> Iterator[PostgreSQL]:
    """An empty dataset in PostgreSQL, for what is about that database alone."""
    made = PostgreSQL()
    yield made
    made.drop()


@pytest.fixture
def database(engine: str, tmp_path: Path) -> Iterator[Callable[..., DuckDB]]:
    """Each one is empty, and gone after the test."""
    number = itertools.count()
    made: list[DuckDB] = []

    def empty(folder: Path | None = None) -> DuckDB:
        made.append(make(engine, folder or tmp_path / f"database{next(number)}"))
        return made[-1]

    yield empty
    for store in made:
        store.drop()


@pytest.fixture(autouse=True)
def isolated_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Own folders, and no configuration from outside: neither dlt's nor ours, no proxy, no certificates, no ~/.netrc."""
    for name in os.environ:
        if _configures(name):
            monkeypatch.delenv(name)
    for name, folder in {"HOME": "home", "DLT_DATA_DIR": "dlt", "DLT_PROJECT_DIR": ".", "DLT_LOCAL_DIR": "."}.items():
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.chdir(tmp_path)
    gc.set_threshold(*_GC_THRESHOLDS)  # a command that ran in this process has its own
    context = RunContext(str(tmp_path))
    context._global_dir = str(tmp_path / "home")  # root's would be one for the whole machine
    current = Container()[PluggableRunContext]  # until the next test has its own: going back in between takes long
    # dlt initializes what else a context has when a pipeline asks for it; two thirds of the tests have none
    current.context, current.providers = context, ConfigProvidersContainer(context.initial_providers())
    yield
    Container()[PipelineContext].deactivate()


def _configures(name: str) -> bool:
    if name in _KEPT:
        return False
    ours = name.startswith(("BITRIX24_", "DLT_", "XDG_")) or "__" in name
    return ours or name in _REQUESTS_READS or name.lower().endswith("_proxy")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses connected to. Any but loopback fails the test; a name that cannot exist is simply not found."""
    connected: list[Any] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family != getattr(socket, "AF_UNIX", None) and not _is_here(address[0]):
            pytest.fail(f"This test tried to reach {address}: tests stay on this machine.")
        connected.append(address)
        connect(self, address)

    def look_up_here(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host or "")
        if name.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if name and not _is_here(name):
            pytest.fail(f"This test tried to look up {name}: tests stay on this machine.")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)
    return connected


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""What the end-to-end tests share: a portal loaded into a real database, and ways to read it back.

Fixtures to ask for, beside those of the whole suite:

    warehouse   makes a Warehouse: warehouse(), warehouse(portal=other)
    loaded      a Warehouse of a demo portal after one run of the catalogue; one for all tests of a file, to look at only
    ask         asks the portal itself, past the connector: ask("crm.item.fields", entityTypeId=177)
    many_types  fills a portal up to so many smart processes
    server      the portal behind a socket on loopback
    bitrix24    runs the console command in a process of its own: bitrix24("load", credentials={...})
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dlt
import pytest
import requests
from databases import DuckDB, make
from dlt.common.runtime.run_context import RunContext, switched_run_context
from processes import Done, command

from bitrix24_source import bitrix24 as bitrix24_source
from bitrix24_source.rest.client import Client
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter, SandboxServer
from bitrix24_source.sandbox.scenarios.spa_types import add_type, type_row
from bitrix24_source.sandbox.scenarios.user_fields import add_user_field
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

Row = dict[str, Any]

CATALOGUE = (
    "spa_types", "spa_type_relations", "spa_type_linked_fields", "spa_fields", "spa_field_options", "spa_categories",
    "spa_stages", "spa_automations", "automated_solutions", "automated_solution_types",
)  # fmt: skip


@dataclass
class Warehouse:
    """A portal, and a database that it is loaded into."""

    portal: Portal
    clock: Clock
    database: DuckDB
    pipeline: dlt.Pipeline

    def client(self) -> Client:
        session = requests.Session()
        session.mount("https://", SandboxAdapter(self.portal))
        credentials = Bitrix24Credentials(**self.portal.credentials(self.portal.base_url)["webhook"])
        return Client(auth_from_credentials(credentials), clock=self.clock, session=session)

    def source(self, **arguments: Any) -> Any:
        credentials = self.portal.credentials(self.portal.base_url)["webhook"]
        return bitrix24_source(credentials=credentials, client=self.client(), **arguments)

    def run(self, *resources: str) -> Any:
        """One run of the catalogue, or of some resources; returns dlt's load info."""
        return self.pipeline.run(self.source().with_resources(*(resources or CATALOGUE)))

    def rows(self, table: str, *columns: str) -> list[Row]:
        """Rows past dlt, without its own columns unless asked for; sorted to be compared."""
        return in_order(self.database.rows(table, *columns))

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """`{}` in the SQL stands for the dataset, `?` for a value."""
        return self.database.query(sql, *values)

    def column_types(self, table: str) -> dict[str, str]:
        """In DuckDB's words, whatever the database."""
        return {name: type_ for name, type_ in self.database.types()[table].items() if not name.startswith("_dlt")}

    def issues(self) -> list[Row]:
        return self.rows("load_issues")


def in_order(rows: Any) -> list[Row]:
    """Rows in an order that only depends on what they hold."""
    return sorted(rows, key=lambda row: json.dumps(row, default=str, sort_keys=True))


def make_warehouse(folder: Path, portal: Portal, clock: Clock, database: DuckDB) -> Warehouse:
    """A pipeline in a folder of its own."""
    pipeline = dlt.pipeline(
        folder.name,
        pipelines_dir=str(folder / "pipelines"),
        destination=database.destination,
        dataset_name=database.dataset,
    )
    return Warehouse(portal, clock, database, pipeline)


@pytest.fixture
def warehouse(portal: Portal, clock: Clock, tmp_path: Path, database: Callable[[], DuckDB]) -> Callable[..., Warehouse]:
    """Makes warehouses, each with a pipeline and a database of its own."""
    number = itertools.count()

    def made(portal: Portal = portal) -> Warehouse:
        return make_warehouse(tmp_path / f"warehouse{next(number)}", portal, clock, database())

    return made


@pytest.fixture(scope="module")
def load_once(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[Callable[..., Warehouse]]:
    """Loads the catalogue of a portal for all tests of a file that only look."""
    made: list[Warehouse] = []

    def load(portal: Portal) -> Warehouse:
        folder = tmp_path_factory.mktemp("loaded")
        with switched_run_context(RunContext(str(folder))):
            made.append(make_warehouse(folder, portal, portal.clock, make(engine, folder)))
            made[-1].run()
        return made[-1]

    yield load
    for one in made:
        one.database.drop()


@pytest.fixture(scope="module")
def loaded(load_once: Callable[..., Warehouse]) -> Warehouse:
    """A demo portal of its own after one run of the catalogue; for tests that only look."""
    clock = Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))
    return load_once(Portal(scenario="demo", items=200, clock=clock))


@pytest.fixture
def ask(portal: Portal) -> Callable[..., Any]:
    """Asks a portal with nothing of the connector in between; what it was asked is not counted."""

    def asking(method: str, of: Portal = portal, **params: Any) -> Any:
        counted = len(of.requests)
        headers = {"Content-Type": "application/json"}
        reply = of.handle("POST", of.webhook_path + method, headers=headers, body=json.dumps(params).encode())
        del of.requests[counted:]
        of.clock.advance(1)  # and leaves the portal's request limit as it was
        return json.loads(reply.body)

    return asking


@pytest.fixture
def many_types() -> Callable[..., None]:
    """Fills a portal with smart processes, each with pipelines and fields of its own."""

    def fill(
        portal: Portal, count: int, *, pipelines: int = 1, enumerations: Sequence[Mapping[str, Any]] = ({},)
    ) -> None:
        from bitrix24_source.sandbox.scenarios.stages import SPA_STAGES

        while len(portal.types()) < count:
            number = 1100 + 2 * len(portal.types())
            row = type_row(number - 1000, number, f"Process {number}", "2025-01-09T09:00:00+03:00", code=f"P{number}")
            own = [(number * 10 + place, f"Pipeline {place}", SPA_STAGES) for place in range(pipelines)]
            add_type(portal.world, row, categories=own)
            for place, more in enumerate(enumerations):
                given = {"options": ["Low", "High"], **more}
                add_user_field(portal.world, number, f"GRADE{place}", "enumeration", f"Grade {place}", **given)

    return fill


@pytest.fixture
def server(portal: Portal) -> Iterator[SandboxServer]:
    """The portal over real HTTP."""
    with SandboxServer(portal) as server:
        yield server


def environment(credentials: Mapping[str, str] | None, **more: str) -> dict[str, str]:
    """The cleaned environment of this test, with credentials as dlt looks for them."""
    keys = {f"SOURCES__BITRIX24__CREDENTIALS__{key.upper()}": value for key, value in (credentials or {}).items()}
    return {**os.environ, "PYTHONWARNINGS": "ignore", **keys, **more}


@pytest.fixture
def bitrix24() -> Callable[..., Done]:
    """Runs the console command as a person's shell does, in this test's own folder."""

    def run(*arguments: str, credentials: Mapping[str, str] | None = None, **more: str) -> Done:
        return command(*arguments, environment=environment(credentials, **more))

    return run

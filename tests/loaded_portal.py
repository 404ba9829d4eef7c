"""The demo portal after one run of everything but some lists, in either database, beside its own state to count answers from.

Fixtures to ask for:

    whole_portal    whole_portal("duckdb"): loaded once for all tests that only look
    own_portal      a copy of it for the tests of one file, which may change its tables
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import databases
import dlt
import pytest
import requests
from dlt.common.runtime.run_context import RunContext, switched_run_context

from bitrix24_source import bitrix24
from bitrix24_source.app.run import run_load
from bitrix24_source.report import sql_of
from bitrix24_source.rest.client import Client
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

NOW = datetime(2025, 7, 1, 12, tzinfo=timezone.utc)
"""when the portal is loaded, by its own clock"""
MORE_OF_A_KIND = [
    *(f"{table}.observers" for table in ("leads", "contacts", "companies", "invoices")),
    *(f"{table}.contact_ids" for table in ("leads", "quotes", "invoices")),
    *(f"spa_items_{number}.observers" for number in (1030, 1032, 1034, 1036, 1038)),
    *(f"spa_items_{number}.contact_ids" for number in (1030, 1034, 1036, 1038)),
]
"""lists that are not loaded: those of deals and of one smart process have tables of the same kind"""


class LoadedPortal:
    """A portal after one run of everything, its tables, and its state."""

    def __init__(self, portal, database, pipelines_dir):
        self.portal, self.world, self.database, self.pipelines_dir = portal, portal.world, database, pipelines_dir

    def pipeline(self):
        """The pipeline that loaded it."""
        return dlt.attach("reports", self.pipelines_dir, destination=self.database.destination)

    def copy(self, folder):
        """The same tables once more; the portal is the same."""
        pipelines_dir = shutil.copytree(self.pipelines_dir, folder / "pipelines")
        return LoadedPortal(self.portal, self.database.copy(folder), str(pipelines_dir))

    def ask(self, sql):
        """Rows of a query as dictionaries; tables without a schema are the dataset's."""
        schema = f"set search_path = '{self.database.dataset}'"
        with self.database._cursor() as cursor:
            cursor.execute(schema if self.database.engine == "postgres" else f"use {self.database.dataset}")
            cursor.execute(sql)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def report(self, name):
        """Rows of one of the report's queries."""
        return self.ask(sql_of(name))

    def items(self, type_):
        items = self.portal.items(type_)
        return [items[id_] for id_ in items.ids()]

    def semantics(self, type_):
        """What each stage of a type means, by its code."""
        stages = (stage for lane in self.world.lanes(type_) for stage in lane.stages)
        return {stage.code: stage.semantics for stage in stages}

    def moves(self):
        """The stage history of all types: type, owner, category, stage, meaning, time."""
        for type_ in (1, 2, 31, *self.world.types):
            store = self.world.objects[type_]
            for owner in store.ids():
                trip = store.trip(owner)
                for event in trip.events:
                    if event.stage:
                        at = datetime.fromtimestamp(event.at, timezone.utc)
                        yield type_, owner, trip.category_id, event.stage.code, event.stage.semantics, at

    def rate(self, currency):
        return {row["CURRENCY"]: float(row["AMOUNT"]) / int(row["AMOUNT_CNT"]) for row in self.world.currencies}.get(
            currency
        )

    def person(self, number):
        return next((f"{row['NAME']} {row['LAST_NAME']}" for row in self.world.users if row["ID"] == str(number)), "")


@pytest.fixture(scope="session")
def whole_portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], LoadedPortal]]:
    """Loads it into one of the `databases.ENGINES` when it is first asked for."""
    made: dict[str, LoadedPortal] = {}

    def loaded(engine: str) -> LoadedPortal:
        if engine not in made:
            made[engine] = _load(engine, tmp_path_factory.mktemp("whole"))
        return made[engine]

    yield loaded
    for portal in made.values():
        portal.database.drop()


@pytest.fixture(scope="module")
def own_portal(
    whole_portal: Callable[[str], LoadedPortal], engine: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LoadedPortal]:
    copied = whole_portal(engine).copy(tmp_path_factory.mktemp("own"))
    yield copied
    copied.database.drop()


def _load(engine: str, folder: Path) -> LoadedPortal:
    clock = Clock(NOW)
    portal, database = Portal("demo", items=300, clock=clock), databases.make_to_copy(engine, folder)
    session = requests.Session()
    session.mount("https://", SandboxAdapter(portal))
    credentials = portal.credentials(portal.base_url)["webhook"]
    client = Client(auth_from_credentials(Bitrix24Credentials(**credentials)), clock=clock, session=session)
    pipelines_dir = str(folder / "pipelines")
    with switched_run_context(RunContext(str(folder))):
        run_load(
            bitrix24(credentials=credentials, client=client, leave_out=MORE_OF_A_KIND), pipeline_name="reports",
            destination=database.destination, dataset=database.dataset, pipelines_dir=pipelines_dir,
        )  # fmt: skip
    return LoadedPortal(portal, database, pipelines_dir)

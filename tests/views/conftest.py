"""What the tests of the labelled views share: small portals in either database, and tables that are lent to them.

Fixtures to ask for, beside those of the end-to-end tests:

    requests_portal     a portal with one smart process, 177, of six items
    warehouse_in        makes a Warehouse: warehouse_in("duckdb", portal), warehouse_in("postgres", portal)
    warehouse           requests_portal in each of the two databases in turn; nothing is loaded yet
    loaded_warehouse    the same after one load with its views: a copy of what was loaded once
    in_postgres         that of PostgreSQL alone
"""

# ruff: noqa: S608 - our own names

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import databases
import dlt
import pytest
import requests
from dlt.common.runtime.run_context import RunContext, switched_run_context

from bitrix24_source import bitrix24, create_views
from bitrix24_source.rest.client import Client
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

TABLE = 177
NOON = datetime(2025, 7, 1, 12, tzinfo=timezone.utc)
"""when what is copied was loaded; the clock of each test begins then"""

SMART_PROCESSES = (
    "spa_types", "spa_fields", "spa_field_options", "spa_categories", "spa_stages", "spa_items",
)  # fmt: skip
"""what is loaded unless a test says otherwise; the rest is lent, so that each test says what its words are"""

Row = dict[str, Any]

# The columns of tables that are lent, as far as labels go, for rows that leave some out.
SHAPES: dict[str, dict[str, str]] = {
    "users": {"id": "bigint", "name": "text", "last_name": "text", "second_name": "text"},
    "statuses": {"id": "bigint", "entity_id": "text", "status_id": "text", "name": "text"},
    "currencies": {"currency": "text", "amount_cnt": "bigint", "amount": "decimal", "is_base": "bool", "full_name": "text"},
    "companies": {"id": "bigint", "title": "text", "deleted_at": "timestamp"},
    "contacts": {"id": "bigint", "name": "text", "last_name": "text", "deleted_at": "timestamp"},
    "contacts__fm": {"item_id": "bigint", "position": "bigint", "type_id": "text", "value_type": "text", "value": "text"},
    "deals": {"id": "bigint", "stage_id": "text", "category_id": "bigint", "contact_id": "bigint", "deleted_at": "timestamp"},
    "categories": {"entity_type_id": "bigint", "id": "bigint", "name": "text"},
    "stages": {"entity_type_id": "bigint", "entity_id": "text", "status_id": "text", "category_id": "bigint", "name": "text",
               "semantics": "text"},
    "crm_fields": {"entity_type_id": "bigint", "upper_name": "text", "name": "text", "type": "text", "title": "text",
                   "form_label": "text", "status_type": "text", "settings": "json", "position": "bigint",
                   "is_multiple": "bool", "is_dynamic": "bool"},
}  # fmt: skip


@dataclass
class Warehouse:
    """A portal, and a database that it is loaded into."""

    pipeline: dlt.Pipeline
    portal: Portal
    store: databases.DuckDB

    @property
    def items(self) -> Any:
        return self.portal.items(TABLE)

    def source(self, *resources: str, **arguments: Any) -> Any:
        session = requests.Session()
        session.mount("https://", SandboxAdapter(self.portal))
        credentials = self.portal.credentials(self.portal.base_url)["webhook"]
        client = Client(
            auth_from_credentials(Bitrix24Credentials(**credentials)), clock=self.portal.clock, session=session
        )
        source = bitrix24(credentials=credentials, client=client, **arguments)
        return source.with_resources(*(resources or SMART_PROCESSES))

    def run(self, *resources: str, **arguments: Any) -> None:
        """One run of the source without what follows it."""
        self.pipeline.run(self.source(*resources, **arguments))

    def load(self, *resources: str, **arguments: Any) -> None:
        """One run of the source, and the views after it; there is nothing to complain about."""
        self.run(*resources, **arguments)
        assert [] == create_views(self.pipeline)

    def load_rows(self, **tables: list[Row]) -> None:
        """Tables that the source does not load, in the shape that it would give them."""
        resources = [
            dlt.resource(
                rows, name=name, write_disposition="replace",
                columns={column: {"data_type": type_} for column, type_ in SHAPES[name].items()},
            )
            for name, rows in tables.items()
        ]  # fmt: skip
        self.pipeline.run(dlt.source(lambda: resources, name="bitrix24")())

    def view(self, name: str = f"spa_items_{TABLE}_labeled") -> list[Row]:
        """The rows of a view, in the order of ids."""
        with self.pipeline.sql_client() as client, client.execute_query(f"SELECT * FROM {name}") as cursor:
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return sorted(rows, key=lambda row: row.get("ID") or row["id"])

    def execute(self, sql: str) -> Any:
        """Somebody else's statement in this dataset."""
        with self.pipeline.sql_client() as client:
            return client.execute_sql(sql)

    @property
    def database(self) -> str:
        return self.pipeline.destination.destination_name


@pytest.fixture
def requests_portal(clock: Clock) -> Portal:
    return make_requests_portal(clock)


def make_requests_portal(clock: Clock, items: int = 6, off: Sequence[str] = ("isClientEnabled",)) -> Portal:
    """Clients would be a table more in each load; observers are one."""
    portal = Portal(scenario="empty", clock=clock)
    portal.add_type("Requests", entity_type_id=TABLE, items=items, off=off)
    return portal


@pytest.fixture
def warehouse_in(tmp_path: Path) -> Iterator[Callable[..., Warehouse]]:
    """Makes warehouses, each with a pipeline and a database of its own: warehouse_in("postgres", portal)."""
    number = itertools.count()
    made: list[databases.DuckDB] = []

    def make(kind: str, portal: Portal, destination: Any = None) -> Warehouse:
        if kind == "postgres" and (reason := databases.why_no_postgres()):
            (pytest.fail if databases.REQUIRED else pytest.skip)(reason)
        folder = tmp_path / f"warehouse{next(number)}"
        made.append(databases.make(kind, folder))
        pipeline = dlt.pipeline(
            folder.name,
            pipelines_dir=str(folder / "pipelines"),
            destination=destination or made[-1].destination,
            dataset_name=made[-1].dataset,
        )
        return Warehouse(pipeline, portal, made[-1])

    yield make
    for store in made:
        store.drop()


@pytest.fixture(scope="session")
def loaded_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Warehouse]]:
    """The portal after one load with its views, to be copied."""
    made: dict[str, Warehouse] = {}

    def loaded(kind: str) -> Warehouse:
        if kind not in made:
            folder = tmp_path_factory.mktemp("requests")
            with switched_run_context(RunContext(str(folder))):
                made[kind] = open_warehouse(kind, make_requests_portal(Clock(NOON)), folder)
                made[kind].load()
        return made[kind]

    yield loaded
    for warehouse in made.values():
        warehouse.store.drop()


def open_warehouse(kind: str, portal: Portal, folder: Path) -> Warehouse:
    """A warehouse that is loaded once, and whose copies tests change."""
    if kind == "postgres" and (reason := databases.why_no_postgres()):
        (pytest.fail if databases.REQUIRED else pytest.skip)(reason)
    store = databases.make_to_copy(kind, folder)
    where = {"pipelines_dir": str(folder / "pipelines"), "dataset_name": store.dataset}
    return Warehouse(dlt.pipeline("requests", destination=store.destination, **where), portal, store)


def copy_of(original: Warehouse, portal: Portal, folder: Path) -> Warehouse:
    """The same tables and working folder once more, beside a portal that is as the first one was."""
    store = original.store.copy(folder)
    pipelines_dir = shutil.copytree(original.pipeline.pipelines_dir, folder / "pipelines")
    return Warehouse(dlt.attach("requests", str(pipelines_dir), destination=store.destination), portal, store)


@pytest.fixture
def copy_in(
    loaded_once: Callable[[str], Warehouse], requests_portal: Portal, tmp_path: Path
) -> Iterator[Callable[[str], Warehouse]]:
    made: list[databases.DuckDB] = []

    def copied(kind: str) -> Warehouse:
        warehouse = copy_of(loaded_once(kind), requests_portal, tmp_path)
        made.append(warehouse.store)
        return warehouse

    yield copied
    for store in made:
        store.drop()


@pytest.fixture(params=databases.ENGINES)
def loaded_warehouse(request: pytest.FixtureRequest, copy_in: Callable[[str], Warehouse]) -> Warehouse:
    return copy_in(request.param)


@pytest.fixture
def in_postgres(copy_in: Callable[[str], Warehouse]) -> Warehouse:
    return copy_in("postgres")


@pytest.fixture(params=databases.ENGINES)
def warehouse(
    request: pytest.FixtureRequest, requests_portal: Portal, warehouse_in: Callable[..., Warehouse]
) -> Warehouse:
    return warehouse_in(request.param, requests_portal)

"""`bitrix24 load --dry-run`: what a load would read, without loading."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import duckdb
import pytest
import requests

from bitrix24_source import bitrix24 as bitrix24_source
from bitrix24_source.app import run_load
from bitrix24_source.app.dry_run import plan_lines, plan_load
from bitrix24_source.errors import ConfigError
from bitrix24_source.rest.client import Client
from bitrix24_source.sandbox import Fault, Portal, SandboxAdapter
from bitrix24_source.source import Bitrix24Credentials, configured_slices, working_folders
from bitrix24_source.source.credentials import auth_from_credentials
from bitrix24_source.sync.options import SyncOptions


@pytest.fixture
def plan(portal, connect):
    """A plan of some resources, by options of the source."""

    def make(*resources, **options):
        client, slices = connect(), configured_slices()
        credentials = portal.credentials(portal.base_url)["webhook"]
        source = bitrix24_source(credentials=credentials, client=client, slices=slices, **options)
        target = {"pipeline_name": "planned", "destination": "duckdb", "dataset": "crm"}
        return plan_load(source, client, slices, resources=resources, **target)

    return make


def test_the_command_says_the_portals_numbers_in_one_line_and_writes_nothing(bitrix24, server, portal):
    """Items are those of the portal; neither the DuckDB file nor dlt's working folder exists afterwards."""
    done = bitrix24("load", "--dry-run", "--json", credentials=server.credentials()["webhook"])

    assert (0, 1) == (done.code, len(done.out.splitlines())), done.err
    said = json.loads(done.out)
    items = {
        planned["table"]: planned["items"] for planned in said["lists"] if planned["resource"] in ("spa_items", "deals")
    }
    types = [planned["entity_type_id"] for planned in said["lists"] if planned["resource"] == "spa_items"]
    assert types
    assert items == {
        "deals": len(portal.items(2).ids()),
        **{f"spa_items_{n}": len(portal.items(n).ids()) for n in types},
    }
    assert "activity_bindings" not in {planned["resource"] for planned in said["lists"]}
    assert ("duckdb", "bitrix24") == (said["target"]["destination"], said["target"]["dataset"])
    assert str(Path("bitrix24_data.duckdb").resolve()) == str(Path(said["target"]["location"]).resolve())
    assert not list(Path().rglob("*.duckdb"))
    assert not (Path(working_folders()) / "bitrix24").exists()


def test_the_configuration_and_the_command_line_choose(bitrix24, server):
    """`spa_types`, `filter` and `leave_out` of the environment count as in a load, and so does --resource."""
    credentials = server.credentials()["webhook"]
    chosen = {"SOURCES__BITRIX24__SPA_TYPES": "[177]", "SOURCES__BITRIX24__FILTER": '{"deals": {"@id": [1, 2, 3]}}'}
    left_out = {"SOURCES__BITRIX24__LEAVE_OUT": '["activities"]'}
    few = bitrix24(
        "load",
        "--dry-run",
        "--json",
        "--resource",
        "spa_items",
        "--resource",
        "deals",
        credentials=credentials,
        **chosen,
    )
    rest = bitrix24("load", "--dry-run", credentials=credentials, **left_out)

    assert {"spa_items_177", "deals"} == {planned["table"] for planned in json.loads(few.out)["lists"]}, few.err
    assert [3] == [planned["items"] for planned in json.loads(few.out)["lists"] if planned["table"] == "deals"]
    assert rest.out.startswith("Would load portal "), rest.err
    assert "activities" not in {line.split()[0] for line in rest.out.splitlines()}


def test_bindings_cost_a_call_for_each_activity(plan):
    """A request for fifty calls, of the activities' pages and one of each activity; and the last one of each connection."""
    activities, bindings = plan("activities"), plan("activity_bindings")
    number = activities.lists[0].items
    pages = ceil(number / 50) + 1

    assert number > 50
    assert (number, "owners") == (bindings.lists[0].items, bindings.lists[0].counts)
    last_requests = min(SyncOptions().connections, number // 10) - pages // 10
    assert ceil((pages + number) / 50) - ceil(pages / 50) + last_requests == bindings.requests - activities.requests


def test_a_list_that_cannot_be_counted_is_unknown(plan, portal):
    """Then requests and minutes are lower bounds, and the plan says so instead of counting nothing."""
    portal.faults.add(Fault("crm.activity.list", error="ACCESS_DENIED", status=403, times=None))
    refused = plan("activities")
    lines = list(plan_lines(refused))

    assert (None, False) == (refused.lists[0].items, refused.is_complete)
    assert any(line.split()[:2] == ["activities", "unknown"] for line in lines)
    assert any("at least" in line for line in lines)


SELECTED = {2: ["title"], 177: ["title"], 1030: ["title"]}
"""few columns: how many rows there are is what a plan counts"""


@dataclass
class Rehearsal:
    """A portal that is planned and loaded alternately, on the portal's clock."""

    portal: Portal
    resources: Sequence[str]

    def _source(self, slices):
        session = requests.Session()
        session.mount("https://", SandboxAdapter(self.portal))
        credentials = self.portal.credentials(self.portal.base_url)["webhook"]
        client = Client(
            auth_from_credentials(Bitrix24Credentials(**credentials)), clock=self.portal.clock, session=session
        )
        source = bitrix24_source(
            credentials=credentials, client=client, slices=slices, select=SELECTED, connections=1
        )  # a clock for one
        return source, client

    def plan(self):
        slices = configured_slices()
        source, client = self._source(slices)
        target = {"pipeline_name": "bitrix24", "destination": "duckdb", "dataset": "bitrix24"}
        return plan_load(source, client, slices, resources=self.resources, **target)

    def load(self, slices, **limits):
        source, self.client = self._source(slices)
        return run_load(source, resources=self.resources, slices=slices, views=False, **limits)

    def fingerprint(self):
        """Of the DuckDB file's content and of the working folder."""
        with duckdb.connect("bitrix24_data.duckdb", read_only=True) as database:
            tables = database.sql("select table_name from information_schema.tables").fetchall()
            rows = {name: database.sql(f"select count(*) from bitrix24.{name}").fetchall() for (name,) in tables}  # noqa: S608
        folder = Path(working_folders()) / "bitrix24"
        return rows, {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def load_and_plan(portal):
    """Deals of the demo portal."""
    return Rehearsal(portal, ["deals"])


def test_the_estimate_is_near_what_the_load_takes(clock):
    """A first load and one of changes: requests within a factor of two, minutes within a factor of three of what they then take.

    Between them a plan reads the state in the destination, and leaves file, working folder and state as they are.
    """
    portal = Portal("demo", items=200, clock=clock)
    portal.costs.latency = (0.1, 0.0)

    for number in set(portal.world.types) - {177, 1030}:
        portal.delete_type(number)
    rehearsal = Rehearsal(portal, ["spa_items", "deals", "activities", "stage_history", "product_rows"])

    def measure():
        plan, began = rehearsal.plan(), clock.monotonic()
        rehearsal.load(configured_slices())
        seconds, real = clock.monotonic() - began, rehearsal.client.requests
        assert real / 2 <= plan.requests <= 2 * real, (plan.requests, real)
        assert seconds / 60 / 3 - 0.1 <= plan.minutes <= 3 * seconds / 60 + 0.1, (plan.minutes, seconds / 60)
        return {planned.table: planned for planned in plan.lists}

    first = measure()
    clock.advance(3600)
    deals = portal.items(2)
    for id_ in deals.ids()[:120]:
        deals.update(id_, title="changed")
    before = rehearsal.fingerprint()
    rehearsal.plan()
    assert before == rehearsal.fingerprint(), "a plan changes something"
    second = measure()

    assert {"first"} == {planned.load for planned in first.values()}
    assert {"changes"} == {planned.load for planned in second.values()}
    assert (len(deals.ids()), 120) == (first["deals"].reads, second["deals"].reads)
    assert 0 == second["spa_items_177"].reads


def test_a_destination_that_cannot_be_asked_is_said(load_and_plan):
    """Then a first load is assumed, and the plan says why."""
    Path("bitrix24_data.duckdb").write_bytes(b"no database")
    plan = load_and_plan.plan()

    assert "first" == plan.lists[0].load
    assert plan.issues[0].startswith("what was loaded before, so that a first load of all lists is assumed: ")


def test_a_session_without_a_source_cannot_be_planned(portal, connect):
    """The source must have been made with the slices that are planned."""
    source = bitrix24_source(credentials=portal.credentials(portal.base_url)["webhook"], client=connect())

    with pytest.raises(ConfigError, match=r"pass them to bitrix24\(slices=\.\.\.\), too"):
        plan_load(source, connect(), configured_slices(), pipeline_name="planned", destination="duckdb", dataset="crm")

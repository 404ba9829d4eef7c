"""`bitrix24 load --dry-run`: what a load would read, without loading."""

# ruff: noqa: SIM300 - the expected value comes first

from __future__ import annotations

import json
from math import ceil
from pathlib import Path

import pytest

from bitrix24_source import bitrix24 as bitrix24_source
from bitrix24_source.app.dry_run import plan_lines, plan_load
from bitrix24_source.sandbox import Fault
from bitrix24_source.source import configured_slices, working_folders


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
    """Requests are one for fifty calls: with bindings those of the activities' pages and one for each activity."""
    activities, bindings = plan("activities"), plan("activity_bindings")
    number = activities.lists[0].items
    pages = ceil(number / 50) + 1

    assert number > 50
    assert (number, "owners") == (bindings.lists[0].items, bindings.lists[0].counts)
    assert ceil((pages + number) / 50) - ceil(pages / 50) == bindings.requests - activities.requests


def test_a_list_that_cannot_be_counted_is_unknown(plan, portal):
    """Then requests and minutes are lower bounds, and the plan says so instead of counting nothing."""
    portal.faults.add(Fault("crm.activity.list", error="ACCESS_DENIED", status=403, times=None))
    refused = plan("activities")
    lines = list(plan_lines(refused))

    assert (None, False) == (refused.lists[0].items, refused.is_complete)
    assert any(line.split()[:2] == ["activities", "unknown"] for line in lines)
    assert any("at least" in line for line in lines)

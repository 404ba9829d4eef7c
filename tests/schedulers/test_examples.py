"""The example jobs, imported by the real schedulers with the network cut, and the Dagster one run.

Airflow and Dagster are in an environment of their own (`make schedulers`); elsewhere their tests are skipped with a word.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import dlt
import pytest
import yaml

from bitrix24_source.sandbox import Portal, SandboxServer

JOBS = Path(__file__).parents[2] / "pipelines"
ELSEWHERE = "is not installed here: `make schedulers` runs this test"


@pytest.fixture
def cut(monkeypatch):
    """No socket connects and no name is looked up, whatever the address; what was tried."""
    tried = []

    def refuse(*args, **kwargs):
        tried.append(args)
        raise OSError("the network is cut")

    for owner, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "getaddrinfo")):
        monkeypatch.setattr(owner, name, refuse)
    return tried


def job(name):
    """The example as a scheduler imports it: by its path."""
    spec = importlib.util.spec_from_file_location(name, JOBS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def configure(monkeypatch, webhook_url):
    monkeypatch.setenv("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")  # where Airflow lives in the same environment
    monkeypatch.setenv("SOURCES__BITRIX24__CREDENTIALS__AUTH", "webhook")
    monkeypatch.setenv("SOURCES__BITRIX24__CREDENTIALS__WEBHOOK_URL", webhook_url)


# --- Dagster --------------------------------------------------------------------------------------------------------


@pytest.fixture
def dagster():
    return pytest.importorskip("dagster_dlt", reason=f"dagster-dlt {ELSEWHERE}") and pytest.importorskip("dagster")


@pytest.mark.filterwarnings("ignore")
def test_dagster_imports_the_assets_without_the_network(dagster, cut, monkeypatch):
    """An asset for each resource in one group and pool, a schedule, and a check of what was left out."""
    configure(monkeypatch, "https://portal.example.com/rest/1/abcdefgh/")
    example = job("dagster_assets")
    names = {key.to_user_string().removeprefix("dlt_bitrix24_") for key in example.bitrix24_assets.keys}
    dagster.Definitions.validate_loadable(example.defs)

    assert {"spa_types", "spa_fields", "spa_items", "load_issues"} <= names
    assert ("bitrix24", {"bitrix24"}) == (
        example.bitrix24_assets.op.pool,
        set(example.bitrix24_assets.group_names_by_key.values()),
    )
    assert ["0 */2 * * *"] == [schedule.cron_schedule for schedule in example.defs.schedules]
    assert [] == cut


@pytest.mark.filterwarnings("ignore")
def test_dagster_loads_the_assets(dagster, monkeypatch, tmp_path):
    """Two runs in one process load the portal; the check passes, and warns in the second, when a scope is missing."""
    make = dlt.pipeline
    duckdb = dlt.destinations.duckdb(str(tmp_path / "warehouse.duckdb"))
    monkeypatch.setattr(dlt, "pipeline", lambda name, **more: make(name, **{**more, "destination": duckdb}))
    with SandboxServer(Portal(scenario="demo", items=60)) as server:
        configure(monkeypatch, server.webhook_url)
        example = job("dagster_assets")
        all_of_it, loader = (
            [example.bitrix24_assets, example.nothing_left_out],
            {"loader": example.DagsterDltResource()},
        )
        with dagster.DagsterInstance.ephemeral() as instance:
            loads = [dagster.materialize(all_of_it, instance=instance, resources=loader)]
            server.portal.set_scopes({"crm"})
            loads.append(dagster.materialize(all_of_it, instance=instance, resources=loader))
    loaded = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in loads[0].get_asset_materialization_events()
    }

    assert [True, True] == [load.success for load in loads]
    assert [[True], [False]] == [[check.passed for check in load.get_asset_check_evaluations()] for load in loads]
    assert 6 == loaded["dlt_bitrix24_spa_types"]["rows_loaded"].value


# --- Airflow --------------------------------------------------------------------------------------------------------

PARSE = """
import socket, sys, importlib.util
tried = []
def refuse(*args, **kwargs):
    tried.append(args)
    raise OSError("the network is cut")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
spec = importlib.util.spec_from_file_location("airflow_dag", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
dag = module.load_bitrix24()
tasks = {name: (task.retries, sorted(task.downstream_task_ids)) for name, task in dag.task_dict.items()}
print("PARSED", [dag.dag_id, dag.max_active_runs, dag.catchup, tasks, tried])
"""


@pytest.mark.skipif(not importlib.util.find_spec("airflow"), reason=f"apache-airflow {ELSEWHERE}")
def test_airflow_parses_the_dag_without_the_network(tmp_path):
    """One run at a time, a load that is tried again, and a task that tells; nobody needs the credentials to parse it.

    In a process of its own: Airflow configures logging, and dlt's helper the environment.
    """
    own = {
        "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL", "PYTHONWARNINGS": "ignore",
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",  # they are in Airflow's database, of which this test makes none
    }  # fmt: skip
    inherited = {name: value for name, value in os.environ.items() if name != "RUNTIME__DLTHUB_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(JOBS / "airflow_dag.py")],
        env={**inherited, **own}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    parsed = [line for line in done.stdout.splitlines() if line.startswith("PARSED")]
    tasks = {"bitrix24.bitrix24": (2, ["nothing_left_out"]), "nothing_left_out": (0, [])}

    assert [f"PARSED {['load_bitrix24', 1, False, tasks, []]}"] == parsed, done.stderr[-2000:]


# --- GitHub Actions -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workflow():
    return yaml.load((JOBS / "github_actions.yml").read_text(), yaml.BaseLoader)  # noqa: S506 - ours, and `on` stays a word


def test_the_workflow_is_one_at_a_time_and_holds_no_secret(workflow):
    """It runs on a schedule, never twice at once, with rights to read only, and secrets as environment variables."""
    environment = workflow["jobs"]["load"]["env"]

    assert {"schedule", "workflow_dispatch"} == set(workflow["on"])
    assert "false" == workflow["concurrency"]["cancel-in-progress"]
    assert {"contents": "read"} == workflow["permissions"]
    secret = {name for name, value in environment.items() if value.startswith("${{ secrets.")}
    assert {"SOURCES__BITRIX24__CREDENTIALS__WEBHOOK_URL", "DESTINATION__POSTGRES__CREDENTIALS"} == secret


@pytest.mark.parametrize(("ended", "told"), [(0, 0), (1, 1), (3, 0), (130, 130)])
def test_the_workflow_warns_of_what_was_left_out(workflow, tmp_path, ended, told):
    """Exit code 3 is a warning on the run's page, since the load is there; any other but 0 fails it."""
    command = tmp_path / "bitrix24"
    command.write_text(f"#!/bin/sh\nexit {ended}\n")
    command.chmod(0o755)
    step = workflow["jobs"]["load"]["steps"][-1]["run"]
    done = subprocess.run(
        ["bash", "-e", "-c", step], env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert told == done.returncode
    assert (ended == 3) == done.stdout.startswith("::warning::")

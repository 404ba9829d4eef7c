"""Airflow: loads a portal every two hours with dlt's helper, and tells in a task of its own when something was left out.

Put this file and the folder .dlt into the DAGs folder, and on the workers `pip install "dlt-source-bitrix24[postgres]"`. Credentials
are looked up when a task runs, in its environment, .dlt/secrets.toml, or the Airflow Variable `dlt_secrets_toml`. For Airflow 3;
in Airflow 2 `dag` and `task` come from airflow.decorators, and `Variable` from airflow.models.

One run at a time, and retries, are Airflow's business here. Nothing that a run leaves on a worker is needed by the next one: the
helper gives each a new folder, and dlt takes its state from the destination. The tokens of oauth2 would be lost with such a
folder, hence the store. The first load of a big portal is best done by `bitrix24 load --destination postgres`, which commits slices
of it: pipeline and dataset are the same, and this job goes on from there. Another portal is another copy of this, with
`bitrix24(portal="emea")` and the names `bitrix24_emea`.
"""

import json
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from typing import Any

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")  # dlt's helper would report each parsing of this file

import dlt
from airflow.sdk import Variable, dag, task
from dlt.helpers.airflow_helper import PipelineTasksGroup

from bitrix24_source import TokenPair, bitrix24


class VariableTokenStore:
    """The OAuth token pair in an Airflow Variable, which Airflow encrypts; its name keeps it out of logs and pages."""

    name = "bitrix24_token"

    def lock(self) -> AbstractContextManager[None]:
        return nullcontext()  # max_active_runs=1

    def load(self) -> TokenPair | None:
        kept = Variable.get(self.name, default=None)
        return TokenPair(**json.loads(kept)) if kept else None

    def prepare(self) -> None:
        """Writes what is there already, so that a database that takes nothing is met before a token is given away."""
        Variable.set(self.name, json.dumps(asdict(self.load() or TokenPair("", "", "none"))))

    def save(self, pair: TokenPair) -> None:
        Variable.set(self.name, json.dumps(asdict(pair)))


def source() -> Any:
    return bitrix24(token_store=VariableTokenStore())


@dag(
    schedule="0 */2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
)
def load_bitrix24() -> None:
    group = PipelineTasksGroup("bitrix24")  # before the pipeline, whose folder it names
    pipeline = dlt.pipeline("bitrix24", destination="postgres", dataset_name="bitrix24")
    (load,) = group.add_run(pipeline, source)  # as a whole: its resources share what they learn of the portal

    @task(retries=0)
    def nothing_left_out() -> None:
        """Fails where the command's exit code would be 3: the rest is loaded, and loading again would not help."""
        with pipeline.drop().sql_client() as client:  # drop: its folder belonged to the task before
            newest = "SELECT max(load_id) FROM _dlt_loads"
            rows = client.execute_sql(f"SELECT message, hint FROM load_issues WHERE load_id IN ({newest})")  # noqa: S608
        if rows:
            raise RuntimeError(f"{len(rows)} things could not be loaded: {rows}")

    load >> nothing_left_out()


load_bitrix24()

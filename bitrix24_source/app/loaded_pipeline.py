"""Finds the pipeline that an earlier run on this machine has loaded."""

from __future__ import annotations

from pathlib import Path

import dlt
from dlt.pipeline.exceptions import CannotRestorePipelineException

from ..errors import ConfigError
from ..source import configured_pipeline, data_location, local_destination, pipeline_name, working_folders
from .recovery import noted_destination

SANDBOX_PIPELINE = "bitrix24_sandbox"
SANDBOX_FILE = "bitrix24_sandbox.duckdb"
SANDBOX_DATASET = "bitrix24"
"""the dataset in the sandbox's own file"""


def loaded_pipeline(portal: str | None = None, *, sandbox: bool = False) -> dlt.Pipeline:
    """Returns the pipeline of a portal with the destination and dataset of its last load.

    Without a working folder on this machine, they are the configured ones; for the sandbox, its own file.

    Args:
        portal: one of several portals, by the name of its section.
        sandbox: use the data of `bitrix24 load --sandbox`.

    Raises:
        ConfigError: the DuckDB file does not exist; opening it would create it.
    """
    name = SANDBOX_PIPELINE if sandbox else pipeline_name(portal)
    destination, dataset = _sandbox_place() if sandbox else _last_place(name)
    chosen = local_destination(destination, name, SANDBOX_FILE if sandbox else f"{name}_data.duckdb")
    pipeline: dlt.Pipeline = dlt.pipeline(name, destination=chosen, dataset_name=dataset)
    file = data_location(pipeline) if destination == "duckdb" else ""
    if file and not Path(file).is_file():
        command = "bitrix24 load --sandbox" if sandbox else "bitrix24 load"
        raise ConfigError(
            f"nothing was loaded into {file}", "bitrix24 report", f"run {command} first, in the same folder"
        )
    return pipeline


def _sandbox_place() -> tuple[str, str]:
    """Returns destination and dataset of the sandbox's last load, else its own file: the configured ones are a portal's."""
    if (Path(working_folders()) / SANDBOX_PIPELINE).is_dir():
        last = dlt.attach(SANDBOX_PIPELINE)
        if noted := noted_destination(last):
            return noted, last.dataset_name
    return "duckdb", SANDBOX_DATASET


def _last_place(name: str) -> tuple[str, str]:
    """Returns destination and dataset of a pipeline's last load, or the configured ones."""
    try:
        last = dlt.attach(name)
    except CannotRestorePipelineException:
        configured = configured_pipeline(name)
        return configured.destination or "duckdb", configured.dataset or name
    return last.destination.destination_name, last.dataset_name

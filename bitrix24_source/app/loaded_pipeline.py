"""Finds what an earlier run of this machine has loaded."""

from __future__ import annotations

import dlt
from dlt.pipeline.exceptions import CannotRestorePipelineException

from ..source import configured_pipeline, local_destination, pipeline_name

SANDBOX_PIPELINE = "bitrix24_sandbox"
SANDBOX_FILE = "bitrix24_sandbox.duckdb"


def loaded_pipeline(portal: str | None = None, *, sandbox: bool = False) -> dlt.Pipeline:
    """The pipeline of a portal with the destination and the dataset of its last load.

    Where this machine keeps no working folder of it, they are those that the configuration names.

    Args:
        portal: one of several, by the name of its section.
        sandbox: what `bitrix24 load --sandbox` has loaded, in place of a portal's data.
    """
    name = SANDBOX_PIPELINE if sandbox else pipeline_name(portal)
    try:
        last = dlt.attach(name)
        destination, dataset = last.destination.destination_name, last.dataset_name
    except CannotRestorePipelineException:
        configured = configured_pipeline(name)
        destination, dataset = configured.destination or "duckdb", configured.dataset or name
    chosen = local_destination(destination, name, SANDBOX_FILE if sandbox else f"{name}_data.duckdb")
    pipeline: dlt.Pipeline = dlt.pipeline(name, destination=chosen, dataset_name=dataset)
    return pipeline

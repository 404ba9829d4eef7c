"""The load package that dlt is extracting right now."""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.extract.exceptions import CurrentSourceNotAvailable

from .dlt_internals import active_pipeline, dropped_tables_in, parent_resource


def current_load_id() -> str:
    """The load package that is being extracted; empty outside a pipeline."""
    try:
        return str(dlt.current.load_package_state()["load_id"])
    except CurrentLoadPackageStateNotAvailable:
        return ""


def current_collector() -> Any:
    """Where the progress of the current load is shown; None outside a pipeline.

    To be asked once and kept: in another thread dlt knows of no pipeline, and would make a new one.
    """
    return active_pipeline().collector if current_load_id() else None


def extracted_resources(name: str) -> frozenset[str]:
    """The resources that this load reads, parents of selected transformers too; outside a pipeline the one of this name."""
    try:
        return frozenset(resource.name for resource in dlt.current.source().resources.extracted)
    except CurrentSourceNotAvailable:
        return frozenset({name})


def selected_resources(name: str) -> frozenset[str]:
    """The resources whose rows this load writes; outside a pipeline the one of this name."""
    try:
        return frozenset(dlt.current.source().selected_resources)
    except CurrentSourceNotAvailable:
        return frozenset({name})


def resources_of_transformers() -> frozenset[str]:
    """The resources that transformers of this load take their rows from."""
    try:
        selected = dlt.current.source().resources.selected.values()
    except CurrentSourceNotAvailable:
        return frozenset()
    parents = map(parent_resource, selected)
    return frozenset(name for name in parents if name is not None)


def dropped_tables() -> list[str]:
    """The tables that a refresh drops before this load."""
    return dropped_tables_in(dlt.current.load_package_state()["state"]) if current_load_id() else []

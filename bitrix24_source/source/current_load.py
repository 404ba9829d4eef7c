"""The load package that dlt is extracting right now."""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.extract.exceptions import CurrentSourceNotAvailable

from .dlt_internals import active_pipeline, dropped_tables_in, parent_resource


def current_load_id() -> str:
    """Returns the id of the load package that is being extracted; empty outside a pipeline."""
    try:
        return str(dlt.current.load_package_state()["load_id"])
    except CurrentLoadPackageStateNotAvailable:
        return ""


def current_collector() -> Any:
    """Returns the collector that shows the progress of the current load; None outside a pipeline.

    Call it once and keep the result: in another thread dlt has no active pipeline, and would create a new one.
    """
    return active_pipeline().collector if current_load_id() else None


def extracted_resources(name: str) -> frozenset[str]:
    """Returns the resources that this load reads, including parents of transformers; outside a pipeline only `name`."""
    try:
        return frozenset(resource.name for resource in dlt.current.source().resources.extracted)
    except CurrentSourceNotAvailable:
        return frozenset({name})


def selected_resources(name: str) -> frozenset[str]:
    """Returns the resources whose rows this load writes; outside a pipeline only `name`."""
    try:
        return frozenset(dlt.current.source().selected_resources)
    except CurrentSourceNotAvailable:
        return frozenset({name})


def resources_of_transformers() -> frozenset[str]:
    """Returns the resources that feed transformers of this load."""
    try:
        selected = dlt.current.source().resources.selected.values()
    except CurrentSourceNotAvailable:
        return frozenset()
    parents = map(parent_resource, selected)
    return frozenset(name for name in parents if name is not None)


def tables_dropped_by_refresh() -> list[str]:
    """Returns the tables that a refresh drops before this load."""
    return dropped_tables_in(dlt.current.load_package_state()["state"]) if current_load_id() else []

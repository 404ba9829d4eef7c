"""Plans what a source would read, without a load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..catalog import Issue, IssueLog, read_catalog
from ..errors import ConfigError
from ..rest import Client
from ..sync import RunSession, SyncPlan, preview, select_streams
from .catalog_resources import needed_tables


@dataclass(frozen=True)
class PlannedStreams:
    """What some resources of a source would read.

    Attributes:
        plan: the plan of their lists.
        connections: how many requests the source sends at once.
        issues: parts of the catalogue that cannot be read.
    """

    plan: SyncPlan
    connections: int
    issues: Sequence[Issue]


def planned_streams(
    client: Client, slices: RunSession, selected: frozenset[str], state: Mapping[str, Any]
) -> PlannedStreams:
    """Plans what some resources of a source would read, by the source's options and the state of its last load.

    Reads the catalogue as a load does, but no lists, and does not access the destination.

    Args:
        client: client of the portal.
        slices: the session with which the source was made; it has the source's options.
        selected: names of resources.
        state: the source's state as dlt stores it; empty before the first load. Not changed.

    Raises:
        ConfigError: a chosen type or field does not exist, or no source was made with the session.
    """
    options = slices.options
    if options is None:
        raise ConfigError("there is no source with these slices", "slices", "pass them to bitrix24(slices=...), too")
    catalog = read_catalog(client, needed_tables(selected))
    catalog.find_all(options.types or ())
    catalog = catalog.with_excluded_fields(options.exclusions.columns_of)
    streams = list(select_streams(catalog, client, options, selected))
    issues = IssueLog(client.clock.now)
    plan = preview(client, streams, state, options, issues)
    return PlannedStreams(plan, options.connections, (*catalog.issues, *issues.issues))

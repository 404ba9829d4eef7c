"""What a source would read, found out without a load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ..catalog import Issue, IssueLog, read_catalog
from ..rest import Client
from ..sync import PlannedRead, RunSession, Stream, SyncOptions, planned_reads, select_streams
from .catalog_resources import needed_tables


@dataclass(frozen=True)
class PlannedStreams:
    """What some resources of a source would read.

    Attributes:
        streams: their lists, with the checkpoints of the last load.
        reads: what would be asked for of these.
        issues: what of the catalogue cannot be read.
    """

    streams: Sequence[Stream]
    reads: Sequence[PlannedRead]
    issues: Sequence[Issue]


def planned_streams(
    client: Client, slices: RunSession, selected: frozenset[str], state: Mapping[str, Any]
) -> PlannedStreams:
    """What some resources of a source read, by the source's own options and the state of its last load.

    Reads the catalogue as a load does; no list is read, and no destination is asked.

    Args:
        client: of the portal.
        slices: those that the source was made with; they hold its options.
        selected: names of resources.
        state: the source's, as dlt keeps it; empty before the first load. It stays as it is.

    Raises:
        ConfigError: a type or a field that was chosen does not exist.
    """
    options: SyncOptions = slices.options
    catalog = read_catalog(client, needed_tables(selected))
    catalog.find_all(options.types or ())
    catalog = catalog.with_excluded_fields(options.left_out.columns_of)
    streams = list(select_streams(catalog, client, options, selected))
    copy: dict[str, Any] = deepcopy(dict(state))
    resources: dict[str, Any] = copy.get("resources", {})
    issues = IssueLog(client.clock.now)
    reads = (
        planned_reads(client, streams, lambda name: resources.get(name, {}), copy, options, issues) if streams else []
    )
    return PlannedStreams(streams, reads, (*catalog.issues, *issues.issues))

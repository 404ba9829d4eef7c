"""What a source would read, told without a load."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalog import Issue, read_catalog
from ..rest import Client
from ..sync import RunSession, Stream, SyncOptions, select_streams
from .catalog_resources import needed_tables


def planned_streams(
    client: Client, slices: RunSession, selected: frozenset[str]
) -> tuple[list[Stream], Sequence[Issue]]:
    """The streams that some resources of a source read, by the source's own options, and what of the catalogue cannot be read.

    Reads the catalogue as a load does; no list is read, and no destination is asked.

    Args:
        client: of the portal.
        slices: those that the source was made with; they hold its options.
        selected: names of resources.

    Raises:
        ConfigError: a type or a field that was chosen does not exist.
    """
    options: SyncOptions = slices.options
    catalog = read_catalog(client, needed_tables(selected))
    catalog.find_all(options.types or ())
    catalog = catalog.with_excluded_fields(options.left_out.columns_of)
    return list(select_streams(catalog, client, options, selected)), catalog.issues

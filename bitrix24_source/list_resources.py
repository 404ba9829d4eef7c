"""The lists that are read by id, as dlt resources: items of all types, and what happens to them.

dlt asks its resources in turn, and the portal is asked best for everything at once: fifty calls travel in one request, over a
few connections. So one round reads for all resources of a load, and each takes what is its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dlt
from dlt.extract import DltResource

from .capabilities import can_merge
from .catalog import Issues
from .choice import ItemChoice
from .client import Client
from .extraction import CatalogReader, current_load_id, hints, issue_rows, selected_resources
from .freeing import free_now
from .item_tables import MERGE, rejected_table
from .mended import Mended
from .rounds import Round
from .selection import LISTS, readings
from .tables import ISSUES
from .turns import Stream, Turns


def list_resources(reader: CatalogReader, client: Client, choice: ItemChoice) -> Iterator[DltResource]:
    """A resource for the items of all smart processes, one for each CRM object, and one for each list beside them."""
    shared = _SharedRound(reader, client, choice)
    return (_resource(name, shared) for name in LISTS)


def _resource(name: str, shared: _SharedRound) -> DltResource:
    def rows() -> Iterator[Any]:
        yield from shared.turns(name).of(name)

    return dlt.resource(rows, name=name, write_disposition=MERGE)


class _SharedRound:
    """One round for all resources of a load package."""

    def __init__(self, reader: CatalogReader, client: Client, choice: ItemChoice) -> None:
        self._reader = reader
        self._client = client
        self._choice = choice
        self._latest: tuple[str, Turns] | None = None

    def turns(self, name: str) -> Turns:
        """Those of this load, or of one resource that somebody looks at without a pipeline."""
        load_id = current_load_id()
        if self._latest is None or not load_id or self._latest[0] != load_id:
            names = [one for one in LISTS if one in selected_resources(name)]
            self._latest = load_id, Turns(names, lambda turns: self._made(names, turns))
        return self._latest[1]

    def _made(self, names: list[str], turns: Turns) -> Stream:
        if not can_merge():
            self._choice.read_whole()
        catalog = self._reader.catalog(names[0])
        issues = Issues(self._client.clock.now)
        states = {name: dlt.current.resource_state(name) if current_load_id() else {} for name in names}
        self._choice.slices.resources = frozenset(names)
        lists = list(readings(catalog, self._client, self._choice, frozenset(names)))
        mended = Mended(one.table.name for one in lists if one.table is not None and one.is_swept)
        yield from ((names[0], rows) for rows in mended.of_dropped())
        one_round = Round(self._client, lists, states.__getitem__, self._choice, issues)
        for name, made in one_round.made(catalog, turns.is_taken):
            yield name, made
            yield from ((name, rows) for rows in mended.by(made))
        free_now()
        some = next((name for name in names if turns.is_taken(name)), names[0])
        yield some, rejected_table([], self._client.clock.now())
        if issues.noted:
            made = dlt.mark.make_hints(
                table_name=ISSUES.name, columns=hints(ISSUES.columns), write_disposition="append"
            )
            yield some, dlt.mark.with_hints(issue_rows(issues.noted), made, create_table_variant=True)

"""Starts a load: matches the pipeline's state with the destination, and rejects tables of another portal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from urllib.parse import urlsplit

import dlt

from ..errors import ConfigError
from ..rest import Client, is_loopback
from ..sync import Provenance
from .current_load import current_load_id
from .destination_reader import DestinationState, DltDestinationReader
from .dlt_internals import active_pipeline, states_of_sources

log = logging.getLogger("bitrix24_source")


def begin_load(client: Client, destination: DltDestinationReader, renamed_from: str = "") -> DestinationState:
    """Matches the pipeline's state with the destination, and rejects tables of another portal.

    If the destination lacks the load with which the state was stored (it was restored, or the pipeline loads into several
    datasets alternately), its own state is used, whose checkpoints match its tables.

    Args:
        client: has already called the portal, so that a renamed portal has redirected it to its new address.
        destination: reads the destination.
        renamed_from: a former host of the portal.

    Raises:
        ConfigError: the pipeline or the dataset belongs to another portal.
    """
    if not current_load_id():
        return DestinationState()
    state = dlt.current.source_state()
    stored = Provenance.from_state(state)
    destination_state = destination.destination_state(stored.load_id)
    hosts = {host_of(client.auth.rest_url), host_of(f"https://{client.portal}"), renamed_from}
    for name, portal in {"": stored.portal, **destination_state.portals}.items():
        if portal and portal not in hosts:
            _refuse(portal, client, f"the pipeline {name!r}" if name else "this pipeline")
    for name, portal in _portals_of_other_sources():
        if portal not in hosts:
            _refuse(portal, client, f"the source {name!r}")
    if destination_state.has_load is False:
        log.info(
            "the destination does not have the last load of this pipeline: continuing from the state of the destination"
        )
        state.clear()
        state.update(destination_state.state)
    user = Provenance.from_state(state).user
    Provenance(host_of(f"https://{client.portal}"), user, current_load_id()).to_state(state)
    return destination_state


def _portals_of_other_sources() -> Iterator[tuple[str, str]]:
    """Yields names and portals of this pipeline's other sources, including one that this run has just extracted."""
    for name, state in states_of_sources().items():
        portal = Provenance.from_state(state).portal
        if portal and name != dlt.current.source_schema().name:
            yield name, portal


def host_of(url: str) -> str:
    """Returns the host by which a portal is identified, without the port on this machine, which changes with every start."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return host if is_loopback(host) else parts.netloc


def _refuse(portal: str, client: Client, owner: str) -> None:
    here = host_of(f"https://{client.portal}")
    raise ConfigError(
        f"the credentials are of the portal {here}, and {owner} has loaded the portal {portal} into these tables",
        f"dataset {active_pipeline().dataset_name}",
        f"load {here} with a pipeline and into a dataset of its own; if {portal} was renamed to {here}, run once with "
        f"SOURCES__BITRIX24__RENAMED_FROM={portal}",
    )

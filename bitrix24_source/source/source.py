"""The dlt source: one resource for each catalogue table, and resources for the lists that are read by id.

Importing this module and calling `bitrix24()` make no network call: schedulers do both whenever they parse their jobs. The portal
is called when the first row is requested.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Annotated, Any

import dlt
from dlt.common.configuration import with_config
from dlt.common.configuration.specs.base_configuration import NotResolved
from dlt.extract import DltResource
from dlt.extract.source import DltSource

from ..catalog import ISSUES, SPA_TABLES, crm_catalog_tables
from ..errors import ConfigError
from ..rest import Client, ClientSettings
from ..sync import Exclusions, ReconcileSchedule, RunSession, SliceLimits, SyncOptions, validate_range
from .arguments import as_conditions, as_names, as_selection
from .catalog_resources import CatalogReader, catalog_resource, issues_resource
from .configuration_report import require_known_setting_names
from .credentials import Bitrix24Credentials, auth_from_credentials
from .dlt_internals import source_factory
from .item_resources import item_resources
from .portals import for_named_portals, with_known_credentials

PORTAL = "portal"


FIRST_SLICE_SECONDS = 4.0
"""duration of the first slice: the work that a job killed in its first seconds loses

A list that is read within this time is one package. Shorter slices cost more on a slow portal, whose connections are idle
while a slice ends.
"""

COSTLY_RESOURCES = frozenset({"activity_bindings"})
"""resources that are loaded on demand only"""


class Bitrix24Source(DltSource):
    """A source in which `load_issues` and `portal` are always selected.

    What could not be loaded, and when the portal was loaded, is part of every result. `portal` can be left out.
    """

    def with_resources(self, *resource_names: str) -> DltSource:
        portal = [PORTAL] if PORTAL in self.selected_resources else []
        return super().with_resources(*dict.fromkeys((*resource_names, *portal, ISSUES.name)))


@for_named_portals
@source_factory(Bitrix24Source, name="bitrix24", section="bitrix24", max_table_nesting=0)
def bitrix24(
    credentials: Bitrix24Credentials = dlt.secrets.value,
    spa_types: Any = None,
    select: Any = None,
    filter: Any = None,  # noqa: A002 - the word that Bitrix24 and its readers use
    connections: int = 4,
    requests_per_second: float = 2.0,
    burst: int = 50,
    max_response_mb: float = 64.0,
    overlap_minutes: float = 15.0,
    sweep_hours: float = 24.0,
    sweep_runs: int = 0,
    sweep: bool = False,
    full_refresh: bool = False,
    max_deleted_share: float = 0.2,
    personal_data: bool = False,
    leave_out: Any = None,
    activity_bindings: bool = False,
    renamed_from: str = "",
    slices: Any = None,
    portal: Annotated[str | None, NotResolved()] = None,  # noqa: ARG001 - for_named_portals acts on it
    token_store: Any = None,
    client: Any = None,
) -> Iterator[DltResource]:
    """Loads a Bitrix24 portal (smart processes and CRM) as typed tables.

    Args:
        credentials: `Bitrix24Credentials`, a dict with its keys, or nothing to read `[sources.bitrix24.credentials]`.
        spa_types: items of some smart processes only, by entityTypeId, title or code. The catalogue stays whole.
        select: fields to load, by smart process or CRM table, e.g. {177: ["title", "stageId"]}; other types load all.
        filter: items to load, by smart process or CRM table, as in crm.item.list: {177: {">=createdTime": "2026-01-01"}}.
        connections: concurrent requests; 1 is gentlest on the portal.
        requests_per_second: the rate at which the portal's request bucket leaks; 5 on the Enterprise plan.
        burst: the capacity of the bucket in requests; 250 on the Enterprise plan.
        max_response_mb: maximum size of one response, decompressed; no memory is allocated for more.
        overlap_minutes: changes are read again from this long before the last run, in case clocks differ.
        sweep_hours: hours between two reconciliations (comparing all ids with the destination's); 0 for never.
        sweep_runs: the same in runs; 0 for never.
        sweep: reconcile in this run.
        full_refresh: read everything that this run reads from the start, whatever was read before.
        max_deleted_share: share of a table's rows that one run may mark as deleted; more looks like a lost permission.
        personal_data: also load personal data that reports rarely need, such as texts of activities, phone numbers of users.
        leave_out: resources (`activities`) and columns (`contacts.birthdate`) that are not loaded.
        activity_bindings: also load all bindings of activities besides their owner, which takes one call per activity.
        renamed_from: the former host of a renamed portal, for one run: tables of another portal are otherwise rejected.
        slices: the `RunSession` from `configured_slices()`, which commits a long first load in slices; without it, everything
            is one package. `bitrix24 load` uses it.
        portal: name of one of several portals, whose settings and credentials are in `[sources.bitrix24.<portal>]`. Give each
            a pipeline and a dataset of its own, by convention `bitrix24_<portal>`; portals.py says why.
        token_store: your own `TokenStore` for oauth2, where files do not persist.
        client: a ready `Client` to use instead of one made from the credentials.

    Returns:
        A source with one resource per catalogue table, CRM object and related list, `spa_items` for the items of all smart
        processes, and `load_issues`.

    Raises:
        ConfigError: credentials or settings are invalid; the message names them.
    """
    validate_range(overlap_minutes=overlap_minutes)
    client = client or connect(credentials, requests_per_second, burst, max_response_mb, token_store)
    options = SyncOptions(
        types=as_names(spa_types, "spa_types"),
        select=as_selection(select),
        filter=as_conditions(filter),
        connections=connections,
        max_deleted_share=max_deleted_share,
        overlap=timedelta(minutes=overlap_minutes),
        sweep=ReconcileSchedule(sweep_hours, sweep_runs, sweep),
        full_refresh=full_refresh,
        personal_data=personal_data,
        exclusions=Exclusions([str(name) for name in as_names(leave_out, "leave_out") or ()]),
        renamed_from=renamed_from,
        session=slices or RunSession(),
    )
    options.session.options = options
    tables = (*SPA_TABLES, *crm_catalog_tables(personal=personal_data))
    reader = CatalogReader(client, options, tables)
    resources = [
        *(catalog_resource(table, reader, options.exclusions) for table in tables),
        *item_resources(reader, client, options),
    ]
    yield from _apply_exclusions(resources, options.exclusions, frozenset() if activity_bindings else COSTLY_RESOURCES)
    yield issues_resource(reader)


@with_known_credentials
@with_config(sections=("sources", "bitrix24"), section_arg_name="portal")
def connect(
    credentials: Bitrix24Credentials = dlt.secrets.value,
    requests_per_second: float = 2.0,
    burst: int = 50,
    max_response_mb: float = 64.0,
    token_store: Any = None,
    portal: Annotated[str | None, NotResolved()] = None,  # noqa: ARG001 - names the section
) -> Client:
    """Returns a client for the configured portal, without a pipeline. Arguments as in `bitrix24`; makes no call."""
    validate_range(requests_per_second=requests_per_second, burst=burst, max_response_mb=max_response_mb)
    settings = ClientSettings(
        burst,
        requests_per_second,
        tuple(credentials.allowed_hosts or ()),
        max_response_bytes=int(max_response_mb * (1 << 20)),
    )
    return Client(auth_from_credentials(credentials, token_store), settings)


@with_config(sections=("sources", "bitrix24"), section_arg_name="portal")
def configured_slices(
    slice_rows: int = 100_000,
    slice_seconds: float = 300.0,
    portal: Annotated[str | None, NotResolved()] = None,  # noqa: ARG001 - names the section
) -> RunSession:
    """Returns a session that commits a long first load in slices, as configured in `[sources.bitrix24]`.

    A killed run loses at most one slice.
    """
    return RunSession(SliceLimits(slice_rows, slice_seconds, first_seconds=FIRST_SLICE_SECONDS))


def require_known_settings(portal: str | None = None) -> None:
    """Rejects misspelt settings in `[sources.bitrix24]` and in the portal's section.

    Raises:
        ConfigError: a key or a variable is not a setting, but resembles one.
    """
    functions: Iterable[Any] = (bitrix24, connect, configured_slices)
    known = frozenset(name for function in functions for name in inspect.signature(function).parameters)
    for section in ("sources.bitrix24", *([f"sources.bitrix24.{portal}"] if portal else [])):
        require_known_setting_names(section, known)


def _apply_exclusions(
    resources: list[DltResource], exclusions: Exclusions, on_demand: frozenset[str]
) -> list[DltResource]:
    """Returns all resources, with those deselected that are excluded or loaded on demand only."""
    unknown = sorted(exclusions.resources - {resource.name for resource in resources})
    if unknown:
        raise ConfigError(
            f"leave_out names unknown resources: {', '.join(unknown)}",
            "sources.bitrix24.leave_out",
            "name resources, or columns as table.column",
        )
    for resource in resources:
        resource.selected = resource.name not in exclusions.resources | on_demand
    return resources

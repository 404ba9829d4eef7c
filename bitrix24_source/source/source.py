"""The dlt source: one resource for each catalogue table, and resources for the lists that are read by id.

Importing this module and calling `bitrix24()` make no network call: schedulers do both whenever they parse their jobs. The portal
is asked when the first row is wanted.
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
from .item_resources import list_resources
from .portals import for_named_portals, with_known_credentials

PORTAL = "portal"


FIRST_SLICE_SECONDS = 4.0
"""what a job loses that is killed in its first seconds; a list that is read within them is one package

Shorter ones cost a slow portal's connections more: they have nothing to do while a slice ends.
"""

COSTLY_RESOURCES = frozenset({"activity_bindings"})
"""that are loaded on demand only"""


class Bitrix24Source(DltSource):
    """A source in which `load_issues` and `portal` are selected with whatever else is.

    What could not be loaded is part of every answer, and so is when it was given. `portal` can be left out.
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
    """Bitrix24's smart processes as typed tables.

    Args:
        credentials: `Bitrix24Credentials`, a dict with its keys, or nothing to read `[sources.bitrix24.credentials]`.
        spa_types: items of some smart processes only, by entityTypeId, title or code. The catalogue stays whole.
        select: fields to load by smart process, e.g. {177: ["title", "stageId"]}; types that are not named load all.
        filter: items to load by smart process, in crm.item.list's own form, e.g. {177: {">=createdTime": "2026-01-01"}}.
        connections: requests under way at once; 1 is the most polite.
        requests_per_second: what leaks out of the portal's request bucket; 5 on the Enterprise plan.
        burst: requests that the bucket takes at once; 250 on the Enterprise plan.
        max_response_mb: how large one answer of the portal may be, unpacked; memory for more is never taken.
        overlap_minutes: changes are read again from so long before the last run, for clocks that differ.
        sweep_hours: how often all ids are compared with the destination's, to find what was deleted; 0 for never.
        sweep_runs: the same in runs; 0 for never.
        sweep: compare them in this run.
        full_refresh: read everything that this run reads from the start, whatever was read before.
        max_deleted_share: of a table's rows that may be marked as deleted in one run; more is taken for a lost right.
        personal_data: also what reports seldom need of people: texts of activities and e-mails, telephone numbers of users.
        leave_out: what should not be loaded: resources (`activities`), or columns of tables (`contacts.birthdate`).
        activity_bindings: also what activities are bound to besides their owner, for which the portal needs a call an activity.
        renamed_from: a former host of the portal, once after it was renamed: tables of another portal are refused.
        slices: `Slices` of a long first reading; `bitrix24 load` uses it, a plain `pipeline.run()` loads everything at once.
        portal: name of one of several portals, whose settings and credentials are in `[sources.bitrix24.<portal>]`. Load each
            with a pipeline and into a dataset of its own, `bitrix24_<portal>` by custom; portals.py says why.
        token_store: a `TokenStore` of your own for oauth2, where files do not survive.
        client: a ready `Client` to use instead of one made from the credentials.

    Returns:
        A source with a resource for each table of the catalogue, `spa_items` for the items of all types, and `load_issues`.

    Raises:
        ConfigError: credentials or settings that cannot work, named in one sentence.
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
        restart=full_refresh,
        personal=personal_data,
        left_out=Exclusions([str(name) for name in as_names(leave_out, "leave_out") or ()]),
        renamed_from=renamed_from,
        session=slices or RunSession(),
    )
    options.session.options = options
    tables = (*SPA_TABLES, *crm_catalog_tables(personal=personal_data))
    reader = CatalogReader(client, options, tables)
    resources = [
        *(catalog_resource(table, reader, options.left_out) for table in tables),
        *list_resources(reader, client, options),
    ]
    yield from _apply_exclusions(resources, options.left_out, frozenset() if activity_bindings else COSTLY_RESOURCES)
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
    """A client for the configured portal, without a pipeline. Arguments as in `bitrix24`; makes no call."""
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
    """Slices of a long first reading, as `[sources.bitrix24]` has them; a kill costs at most one."""
    return RunSession(SliceLimits(slice_rows, slice_seconds, first_seconds=FIRST_SLICE_SECONDS))


def require_known_settings(portal: str | None = None) -> None:
    """Refuses settings of `[sources.bitrix24]`, and of a portal's section, whose names are misspelt.

    Raises:
        ConfigError: a key or a variable is no setting and looks like one.
    """
    functions: Iterable[Any] = (bitrix24, connect, configured_slices)
    known = frozenset(name for function in functions for name in inspect.signature(function).parameters)
    for section in ("sources.bitrix24", *([f"sources.bitrix24.{portal}"] if portal else [])):
        require_known_setting_names(section, known)


def _apply_exclusions(
    resources: list[DltResource], left_out: Exclusions, on_demand: frozenset[str]
) -> list[DltResource]:
    """All of them; those that are left out, or loaded on demand only, are not selected."""
    unknown = sorted(left_out.resources - {resource.name for resource in resources})
    if unknown:
        raise ConfigError(
            f"leave_out names what is no resource: {', '.join(unknown)}",
            "sources.bitrix24.leave_out",
            "name resources, or columns as table.column",
        )
    for resource in resources:
        resource.selected = resource.name not in left_out.resources | on_demand
    return resources

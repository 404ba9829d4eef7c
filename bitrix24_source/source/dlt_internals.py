"""Every use of dlt that its documentation does not promise, each with the version that it was checked with.

A new release of dlt that changes one of them breaks this file and `tests/source/test_dlt_internals.py`, and nothing else.
All were checked with dlt 1.31.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import dlt
from dlt.common.configuration import inject_section
from dlt.common.configuration.container import Container
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.configuration.providers import CONFIG_TOML, SECRETS_TOML, CustomLoaderDocProvider
from dlt.common.configuration.specs import ConfigSectionContext
from dlt.common.configuration.specs.base_configuration import is_hint_not_resolvable, is_secret_hint
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.destination import Destination, DestinationCapabilitiesContext
from dlt.common.pipeline import PipelineContext, get_dlt_pipelines_dir, pipeline_state
from dlt.common.runtime.run_context import RunContext, active
from dlt.common.storages.configuration import WithLocalFiles
from dlt.destinations.job_client_impl import SqlJobClientBase
from dlt.extract.reference import SourceFactory
from dlt.extract.source import DltSource

P = ParamSpec("P")
S = TypeVar("S", bound=DltSource)


@contextmanager
def fallback_configuration(document: Mapping[str, Any]) -> Iterator[None]:
    """Values that count where no file, environment variable or argument says anything else.

    `dlt.config.register_provider` cannot be undone; here the providers of the run context are a list (dlt 1.31.0).
    """
    providers = Container()[PluggableRunContext].providers.providers
    fallback = CustomLoaderDocProvider("defaults of bitrix24", lambda: dict(document))
    providers.append(fallback)  # asked last
    try:
        yield
    finally:
        providers.remove(fallback)


def active_pipeline() -> dlt.Pipeline:
    """The pipeline that is extracting.

    `dlt.current.pipeline()` is the same, and reads the whole configuration whenever it is asked: 8 ms, fifteen times a load
    (dlt 1.31.0).
    """
    pipeline: Any = Container()[PipelineContext].pipeline()
    return pipeline  # type: ignore[no-any-return]


def destination_capabilities() -> DestinationCapabilitiesContext | None:
    """Those of the destination of the pipeline that is extracting, or None (dlt 1.31.0)."""
    return Container().get(DestinationCapabilitiesContext)


def source_factory(source_class: type[S], **hints: Any) -> Callable[[Callable[P, Any]], SourceFactory[P, S]]:
    """`dlt.source` for a source class of one's own; the argument `_impl_cls` is not documented (dlt 1.31.0)."""
    decorate: Callable[[Callable[P, Any]], SourceFactory[P, S]] = dlt.source(_impl_cls=source_class, **hints)
    return decorate


def local_destination(destination: Any, pipeline_name: str, default_file: str) -> Any:
    """The destination, whose relative paths begin in the folder of this run.

    dlt keeps the folder of a pipeline's first run in `_local.initial_cwd` of its state and puts relative paths below it, unless
    the destination was given `local_dir`; and it prefers `legacy_db_path` over both (`WithLocalFiles.make_location`, dlt 1.31.0).

    Args:
        destination: dlt's name of a destination, or a destination object.
        pipeline_name: whose section of the configuration counts.
        default_file: the DuckDB file where the configuration names none.
    """
    chosen: Any = Destination.from_reference(destination)
    if not issubclass(chosen.spec, WithLocalFiles):
        return chosen
    parameters = chosen.config_params
    if parameters.get("local_dir") is None:
        parameters["local_dir"] = str(Path(active().local_dir).absolute())
        parameters["legacy_db_path"] = ""
    if chosen.destination_name == "duckdb" and not parameters.get("credentials"):
        with inject_section(ConfigSectionContext(pipeline_name=pipeline_name)):
            configured = chosen.configuration(chosen.spec(), accept_partial=True)
        if not getattr(configured.credentials, "database", None):
            parameters["credentials"] = default_file
    return chosen


@contextmanager
def fixed_destination_settings(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Looks the destination's settings up once for a whole run, but for its credentials.

    dlt looks them up for each client that it makes, three for each table of a package. What stands in `config_params` is not looked
    up (`Destination.configuration`, dlt 1.31.0). Destinations that are no databases stay as they are, and so does the staging area,
    which dlt passes with each client.
    """
    destination: Any = pipeline.destination
    config: Any = pipeline.destination_client().config
    before = dict(destination.config_params)
    if issubclass(destination.client_class, SqlJobClientBase):
        fixed = {
            name: getattr(config, name)
            for name, hint in destination.spec.get_resolvable_fields().items()
            if not is_hint_not_resolvable(hint)
            and name != "credentials"
            and not is_secret_hint(hint)
            and not (pipeline.staging and name == "staging_config")
        }
        destination.config_params.update({**fixed, **before})
    try:
        yield
    finally:
        destination.config_params.clear()
        destination.config_params.update(before)


def data_location(pipeline: dlt.Pipeline) -> str:
    """The file, or host and database, that a pipeline loads into; empty where the destination does not say (dlt 1.31.0)."""
    config: Any = pipeline.destination_client().config
    try:
        return str(config.data_location() or "")
    except Exception:  # noqa: BLE001 - some configurations have no location, and each says so in its own way
        return ""


def working_folders() -> str:
    """Where dlt keeps the folders of all pipelines: below DLT_DATA_DIR; without it `/var/dlt` for root, `~/.dlt` for others."""
    return get_dlt_pipelines_dir()


def data_folder() -> str:
    """Dlt's folder for what outlives a run."""
    return active().data_dir


def settings_folder() -> str:
    """The folder of `config.toml` and `secrets.toml`, as an absolute path."""
    return str(Path(active().settings_dir).absolute())


def configuration_files() -> list[str]:
    """Every file that dlt reads configuration from, whether or not it exists, secrets first."""
    try:
        context: Any = active()
    except ConfigurationException:  # one of the files cannot be read
        context = RunContext(None)
    folders = dict.fromkeys(str(Path(folder).absolute()) for folder in (context.settings_dir, context.global_dir))
    return [str(Path(folder) / name) for name in (SECRETS_TOML, CONFIG_TOML) for folder in folders]


def table_of(meta: Any, default: str) -> str:
    """The table that an item is for, out of what `dlt.mark` puts around it (`TableNameMeta`, `HintsMeta`, dlt 1.31.0)."""
    hints = getattr(meta, "hints", None) or {}
    return str(getattr(meta, "table_name", None) or hints.get("table_name") or default)


def parent_resource(resource: Any) -> str | None:
    """Name of the resource that a transformer takes its rows from; `_pipe` is private (dlt 1.31.0)."""
    parent = resource._pipe.parent  # noqa: SLF001
    return None if parent is None else str(parent.name)


def dropped_tables_in(package_state: Mapping[str, Any]) -> list[str]:
    """Tables that a refresh drops before a load, out of the state of its package (`dropped_tables`, dlt 1.31.0)."""
    return [str(table["name"]) for table in package_state.get("dropped_tables", ())]


def states_of_sources() -> Mapping[str, Any]:
    """The states of all sources of the pipeline that is extracting; `dlt.current` knows that of one source only (dlt 1.31.0)."""
    state, _ = pipeline_state(Container())
    return state.get("sources", {})


ANOTHER_DESTINATION = " state differs from destination"
"""in what dlt logs of a working folder that was last used with another destination (`Pipeline` restoring its state, dlt 1.31.0)"""


def share_tables(pipeline: dlt.Pipeline, schema: str, tables: tuple[str, ...]) -> None:
    """Keeps tables out of a refresh: dlt drops the tables whose `resource` in the stored schema is refreshed (dlt 1.31.0)."""
    stored = pipeline.schemas[schema].tables if schema in pipeline.schema_names else {}
    for name in tables:
        if name in stored:
            stored[name]["resource"] = "shared"  # until the next resource that writes into it


def override_credentials(pipeline: dlt.Pipeline, credentials: Any) -> None:
    """Has all later connections of a pipeline use these credentials: the destination's own arguments win (dlt 1.31.0)."""
    pipeline.destination.config_params["credentials"] = credentials


def override_capability(pipeline: dlt.Pipeline, name: str, value: Any) -> None:
    """Sets what dlt takes the destination to be capable of, as an argument of the destination would (dlt 1.31.0)."""
    pipeline.destination.caps_params[name] = value

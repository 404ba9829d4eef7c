"""One scheduled run: lock, destination check, load in slices, views, summary.

The destination is tried before the portal is asked for anything: a locked database should not cost a whole extraction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import dlt
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import CustomLoaderDocProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.exceptions import DltException

from ..catalog import ISSUES, IssueLog, issue_dicts
from ..errors import Bitrix24Error
from ..source import check_destination, column_hints
from ..sync import REJECTED_TABLE, RunSession
from ..views import create_views, drop_views, tables_with_views
from .error_messages import to_user_error, was_interrupted
from .pipeline_lock import WAIT_SECONDS, pipeline_lock
from .recovery import load_pending_packages, open_pipeline


@dataclass(frozen=True)
class LoadSummary:
    """How a run ended: rows written by table (child tables left out), and how many things were left out."""

    rows: Mapping[str, int] = field(default_factory=dict)
    dataset: str = ""

    @property
    def issues(self) -> int:
        return self.rows.get(ISSUES.name, 0)


def run_load(
    source: Any,
    *,
    pipeline_name: str = "bitrix24",
    destination: Any = "duckdb",
    dataset: str = "bitrix24",
    resources: Sequence[str] = (),
    full_refresh: bool = False,
    progress: Any = None,
    pipelines_dir: str | None = None,
    slices: RunSession | None = None,
    views: bool = True,
    wait_seconds: float = WAIT_SECONDS,
) -> LoadSummary:
    """Loads a `bitrix24()` source and says what came of it.

    Args:
        source: what to load.
        pipeline_name: dlt's name for the state and working directory; one for each portal.
        destination: dlt's name of the destination, or one of its destination objects.
        dataset: dataset or schema.
        resources: names of resources; empty for all.
        full_refresh: drop the tables and the state of these resources first.
        progress: a dlt collector.
        pipelines_dir: dlt's working directory, where it should not be the usual one.
        slices: those that the source was made with; each is committed by itself, until nothing is left.
        views: create the labelled views, or bring them up to date, at the end; else they are left as they are, and those
            that a full refresh has to drop come back.
        wait_seconds: for another run of the same pipeline to end.

    Raises:
        Bitrix24Error: nothing usable; one sentence that says what to do.
        KeyboardInterrupt: somebody stopped it. What was committed stays, and the next run goes on from there.
    """
    elsewhere: Any = {"pipelines_dir": pipelines_dir} if pipelines_dir else {}

    refresh: Any = "drop_resources" if full_refresh else None
    chosen = _destination(destination, pipeline_name, dataset)

    def make() -> dlt.Pipeline:
        pipeline: dlt.Pipeline = dlt.pipeline(
            pipeline_name,
            destination=chosen,
            dataset_name=dataset,
            progress=progress,
            **elsewhere,
        )
        return pipeline

    failure: BaseException
    try:
        with pipeline_lock(pipeline_name, pipelines_dir, wait_seconds) as folder, _defaults_for_duckdb() as defaults:
            pipeline = open_pipeline(make, folder)
            check_destination(pipeline)
            pipeline = load_pending_packages(pipeline)
            chosen_source = source.with_resources(*resources) if resources else source
            with _views_dropped(pipeline, source.name) if full_refresh else nullcontext(set[str]()) as dropped:
                if full_refresh:
                    _detach_shared_tables(pipeline, source.name)
                pipeline.run(chosen_source, refresh=refresh)
                rows = _row_counts(pipeline)
                while slices and slices.unfinished:
                    if _name_of(pipeline.destination) == "duckdb":
                        defaults["load"] = {"workers": 1}  # each table gives its memory back before the next one
                    pipeline.run(source.with_resources(*slices.resources))
                    rows.update(_row_counts(pipeline))
            if views or dropped:
                problems = create_views(pipeline, source.name, None if views else dropped)
                rows.update(_append_issues(pipeline, source, problems))  # += would drop zeros
            return LoadSummary(rows, dataset)
    except Bitrix24Error:
        raise
    except (DltException, OSError) as error:
        interrupted = was_interrupted(error)
        failure = KeyboardInterrupt() if interrupted else to_user_error(error, _name_of(destination))
    raise failure


@contextmanager
def _views_dropped(pipeline: dlt.Pipeline, schema: str) -> Iterator[set[str]]:
    """Views go first, PostgreSQL drops no table that one stands on; they are back at once where the load fails.

    Yields the tables whose views there were.
    """
    tables = tables_with_views(pipeline, schema)
    drop_views(pipeline, schema)
    try:
        yield tables
    except BaseException:
        create_views(pipeline, schema, tables)
        raise


def _detach_shared_tables(pipeline: dlt.Pipeline, schema: str) -> None:
    """A refresh drops what belongs to its resources; these tables hold rows of others, too, and of earlier runs.

    What they hold of the tables that are dropped is taken out by the load itself.
    """
    tables = pipeline.schemas[schema].tables if schema in pipeline.schema_names else {}
    for name in (REJECTED_TABLE, ISSUES.name):
        if name in tables:
            tables[name]["resource"] = "shared"  # until the next resource that writes into it


def _append_issues(pipeline: dlt.Pipeline, source: Any, problems: Sequence[Bitrix24Error]) -> Counter[str]:
    """Problems with views as rows of `load_issues`: the load that they came after is in the destination."""
    if not problems:
        return Counter()
    issues = IssueLog(lambda: datetime.now(timezone.utc))
    for problem in problems:
        issues.record("views", problem, problem.what, hint=problem.hint)
    rows = [{**row, "load_id": _load_id(pipeline)} for row in issue_dicts(issues.issues)]
    pipeline.run(
        rows,
        table_name=ISSUES.name,
        columns=column_hints(ISSUES.columns),
        write_disposition="append",
        schema=source.schema,
    )
    return Counter({ISSUES.name: len(rows)})


def _load_id(pipeline: dlt.Pipeline) -> str:
    info = pipeline.last_trace.last_load_info if pipeline.last_trace else None
    return info.loads_ids[-1] if info and info.loads_ids else ""


def _name_of(destination: Any) -> str:
    return str(getattr(destination, "destination_name", destination))


def _destination(name: Any, pipeline_name: str, dataset: str) -> Any:
    """The destination; a DuckDB file that nobody named gets another name than the dataset, or DuckDB mixes them up."""
    named = any(dlt.secrets.get(f"{section}.credentials") for section in ("destination.duckdb", "destination"))
    if name != "duckdb" or named or pipeline_name != dataset:
        return name
    return dlt.destinations.duckdb(f"{pipeline_name}_data.duckdb")


@contextmanager
def _defaults_for_duckdb() -> Iterator[dict[str, Any]]:
    """What counts where the configuration says nothing else; yields it, to be added to for the slices of a long load.

    DuckDB shares work between threads by 122,880 rows, which a slice does not have: its other threads only spin meanwhile, and
    took as much of the processor as the one that works. Where tables are loaded side by side, what one took is given back
    only when all are done: a third more memory.
    """
    defaults: dict[str, Any] = {"destination": {"duckdb": {"credentials": {"global_config": {"threads": 1}}}}}
    providers = Container()[PluggableRunContext].providers.providers
    ours = CustomLoaderDocProvider("defaults of bitrix24", lambda: defaults)
    providers.append(ours)  # asked last
    try:
        yield defaults
    finally:
        providers.remove(ours)


def _row_counts(pipeline: dlt.Pipeline) -> Counter[str]:
    info = pipeline.last_trace.last_normalize_info if pipeline.last_trace else None
    counts = info.row_counts if info else {}
    shown = (table for table in counts if "__" not in table and not table.startswith("_dlt"))
    return Counter({table: counts[table] for table in shown})

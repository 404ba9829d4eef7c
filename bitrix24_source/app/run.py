"""One scheduled run: lock, destination check, load in slices, views, summary.

The destination is checked before the portal is called, so that a locked database does not cost a whole extraction.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

import dlt
from dlt.common.exceptions import DltException

from ..catalog import ISSUES, IssueLog, issue_rows
from ..database_locks import is_lock_timeout
from ..errors import Bitrix24Error, ConfigError, UnavailableError, causes, root_message
from ..source import (
    check_destination,
    column_hints,
    data_location,
    fallback_configuration,
    fixed_destination_settings,
    local_destination,
    share_tables,
)
from ..sync import REJECTED_TABLE, RunSession
from ..views import create_views, drop_views, tables_with_views
from .error_messages import to_user_error, was_interrupted
from .load_locks import load_beside_locks, load_past_locks, lock_error
from .pipeline_lock import WAIT_SECONDS, pipeline_lock
from .recovery import forget_other_destination, load_pending_packages, noted_run, open_pipeline
from .summary import Counts, LoadSummary, RowCounter, WrittenRows, summarize

log = logging.getLogger("bitrix24_source")

DEFAULTS: Mapping[str, Any] = {
    # DuckDB shares work between threads by 122,880 rows, which a slice does not have: its other threads only spin meanwhile, and
    # took as much of the processor as the one that works.
    "destination": {"duckdb": {"credentials": {"global_config": {"threads": 1}}}},
    # Merged rows need not be kept a second time, neither in the destination nor in the working folder.
    "load": {"truncate_staging_dataset": True, "delete_completed_jobs": True},
    # Files that only pass through: to compress them takes half as long again as a whole load into PostgreSQL.
    "normalize": {"data_writer": {"disable_compression": True}},
}
"""dlt's settings for a run, unless configured otherwise"""


@dataclass(frozen=True)
class LoadTarget:
    """Where a run loads to.

    Attributes:
        destination: dlt's name of the destination.
        location: file, or host and database; empty if unknown.
        dataset: dataset or schema.
    """

    destination: str
    location: str
    dataset: str


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
    max_minutes: float | None = None,
    on_start: Callable[[LoadTarget], None] = lambda _target: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> LoadSummary:
    """Loads a `bitrix24()` source and returns a summary.

    Args:
        source: the source.
        pipeline_name: dlt's name for the state and working directory; one for each portal.
        destination: dlt's name of the destination, or one of its destination objects.
        dataset: dataset or schema.
        resources: names of resources; empty for all.
        full_refresh: drop the tables and the state of these resources first.
        progress: a dlt collector.
        pipelines_dir: dlt's working directory, if not the default one.
        slices: the session with which the source was made; slices are committed one by one, until nothing is left.
        views: create or update the views at the end; otherwise they are not changed, and only those that a full refresh has
            to drop are recreated.
        wait_seconds: how long to wait for another run of the same pipeline.
        max_minutes: after this time no further slice is started, and the current one reads no more of a full read: the run ends
            between two commits, for jobs with a time limit. What is left is in the summary and in `load_issues`, and the next
            run continues there. Needs `slices`; changes since the last run are always read.
        monotonic: the clock for `max_minutes`, in seconds.
        on_start: called with the target before the destination or the portal is accessed.

    Raises:
        Bitrix24Error: nothing could be loaded; the message says in one sentence what to do.
        KeyboardInterrupt: the run was stopped. What was committed stays, and the next run continues there.
    """
    note_time_left = _time_limit(slices, max_minutes, monotonic)

    def make() -> dlt.Pipeline:
        return make_pipeline(pipeline_name, destination, dataset, progress, pipelines_dir)

    failure: BaseException
    try:
        with pipeline_lock(pipeline_name, pipelines_dir, wait_seconds) as folder, fallback_configuration(DEFAULTS):
            pipeline = open_pipeline(make, folder)
            with fixed_destination_settings(pipeline):
                target = load_target(pipeline)
                on_start(target)
                check_destination(pipeline)
                pipeline = forget_other_destination(pipeline, target.location)
                with noted_run(pipeline) as was_killed:
                    if slices and was_killed:
                        slices.limits = slices.limits.after_a_kill()
                    return _load(
                        pipeline, source, resources, slices, note_time_left, views=views, full_refresh=full_refresh
                    )
    except Bitrix24Error:
        raise
    except (DltException, OSError) as error:
        interrupted = was_interrupted(error)
        failure = KeyboardInterrupt() if interrupted else to_user_error(error, _name_of(destination))
        if is_lock_timeout(causes(error)):
            failure = lock_error(pipeline)
    raise failure


def _load(
    pipeline: dlt.Pipeline,
    source: Any,
    resources: Sequence[str],
    slices: RunSession | None,
    note_time_left: Callable[[], bool],
    *,
    views: bool,
    full_refresh: bool,
) -> LoadSummary:
    """Does everything between the lock and the summary of a run; arguments as in `run_load`."""
    refresh: Any = "drop_resources" if full_refresh else None
    counter = RowCounter(source.name)
    before = _counted(pipeline, counter)
    pipeline = load_pending_packages(pipeline)
    watch = WrittenRows()
    load_ids: list[str] = []
    with _views_dropped(pipeline, source.name) if full_refresh else nullcontext(set[str]()) as dropped:
        if full_refresh:
            # These tables also hold rows of other resources and of earlier runs. The load itself removes their rows
            # about dropped tables.
            share_tables(pipeline, source.name, (REJECTED_TABLE, ISSUES.name))
        note_time_left()
        packages = partial(_packages, source, watch, resources, slices, note_time_left, refresh)
        pipeline = load_beside_locks(pipeline, packages, slices, load_ids, start_over=not full_refresh)
    if views or dropped:
        problems = create_views(pipeline, source.name, None if views else dropped)
        load_ids += _append_issues(pipeline, source, "views", problems, watch)
    left = dict(slices.rows_left) if slices and slices.unfinished else {}
    load_ids += _append_issues(pipeline, source, "", [_unfinished(*item) for item in left.items()], watch)
    tables = summarize(watch, before, _counted(pipeline, counter))
    return LoadSummary(watch.rows, pipeline.dataset_name, tables, tuple(load_ids), left)


def _packages(
    source: Any,
    watch: WrittenRows,
    resources: Sequence[str],
    slices: RunSession | None,
    note_time_left: Callable[[], bool],
    refresh: Any,
    pipeline: dlt.Pipeline,
) -> Iterator[list[str]]:
    """Loads package by package until nothing is left; yields the load ids of each after its commit."""
    yield _run(pipeline, watch.watched(source, resources), refresh=refresh)
    while slices and slices.unfinished and note_time_left():
        data = watch.watched(source, slices.resources)
        yield _run(pipeline, data, is_slice=True)


def make_pipeline(
    pipeline_name: str, destination: Any, dataset: str, progress: Any, pipelines_dir: str | None
) -> dlt.Pipeline:
    """Returns the pipeline of a run, whose paths are relative to the current folder. dlt creates its working folder."""
    elsewhere: Any = {"pipelines_dir": pipelines_dir} if pipelines_dir else {}
    pipeline: dlt.Pipeline = dlt.pipeline(
        pipeline_name,
        destination=local_destination(destination, pipeline_name, f"{pipeline_name}_data.duckdb"),
        dataset_name=dataset,
        progress=progress,
        **elsewhere,
    )
    return pipeline


def load_target(pipeline: dlt.Pipeline) -> LoadTarget:
    """Returns where a pipeline loads to, without opening it."""
    return LoadTarget(_name_of(pipeline.destination), data_location(pipeline), pipeline.dataset_name)


def _time_limit(
    slices: RunSession | None, max_minutes: float | None, monotonic: Callable[[], float]
) -> Callable[[], bool]:
    """Returns a function that says whether another slice may start, and sets the session's remaining seconds.

    Raises:
        ConfigError: there is a time limit, but no slices.
    """
    if max_minutes is None:
        return lambda: True
    if slices is None:
        raise ConfigError(
            "a time limit needs slices to end between", "max_minutes", "pass configured_slices() to source and run"
        )
    ends_at = monotonic() + max_minutes * 60

    def note_time_left() -> bool:
        slices.seconds_left = max(0.0, ends_at - monotonic())
        return slices.seconds_left > 0

    return note_time_left


def _run(pipeline: dlt.Pipeline, data: Any, *, refresh: Any = None, is_slice: bool = False) -> list[str]:
    """Extracts, normalizes and loads one package; returns the ids of the committed loads."""
    if is_slice:
        pipeline.refresh = None  # a configured refresh is done once per run, by the first slice
    # Of a long load DuckDB takes one table after the other: each gives its memory back before the next one.
    with _one_table_at_a_time() if is_slice and _name_of(pipeline.destination) == "duckdb" else nullcontext():
        info = load_past_locks(pipeline, lambda: pipeline.run(data, refresh=refresh))
    return list(info.loads_ids) if info else []


def _one_table_at_a_time() -> AbstractContextManager[None]:
    """Has dlt load tables one by one: in parallel, memory is released only when all are done, a third more."""
    return fallback_configuration({"load": {"workers": 1}})


def _counted(pipeline: dlt.Pipeline, counter: RowCounter) -> Counts | None:
    """Returns rows by table; None if the role that loads may not read."""
    try:
        if counter.schema not in pipeline.schema_names:
            pipeline.sync_destination()
        return counter.counts(pipeline)
    except (DltException, NotImplementedError) as error:
        log.warning("The tables' rows cannot be counted: %s", root_message(list(causes(error))))
        return None


@contextmanager
def _views_dropped(pipeline: dlt.Pipeline, schema: str) -> Iterator[set[str]]:
    """Drops the views before a full refresh, because PostgreSQL drops no table that a view uses; restores them on errors.

    Yields the tables that had views.

    Raises:
        UnavailableError: a reader has locked one of the views, so nothing can be dropped; they are unchanged.
    """
    tables = tables_with_views(pipeline, schema)
    locked = next((problem for problem in drop_views(pipeline, schema) if isinstance(problem, UnavailableError)), None)
    if locked:
        create_views(pipeline, schema, tables)
        raise locked
    try:
        yield tables
    except BaseException:
        create_views(pipeline, schema, tables)
        raise


def _append_issues(
    pipeline: dlt.Pipeline, source: Any, resource: str, problems: Sequence[Bitrix24Error], watch: WrittenRows
) -> list[str]:
    """Loads problems that occur after a load as rows of `load_issues`, for `resource` or the one that each names."""
    if not problems:
        return []
    issues = IssueLog(lambda: datetime.now(timezone.utc))
    for problem in problems:
        issues.record(resource or problem.where, problem, problem.what, hint=problem.hint)
    rows = issue_rows(issues.issues, _load_id(pipeline))
    info = pipeline.run(
        rows,
        table_name=ISSUES.name,
        columns=column_hints(ISSUES.columns),
        write_disposition="append",
        schema=source.schema,
    )
    watch.written[ISSUES.name] += len(rows)
    return list(info.loads_ids)


def _unfinished(table: str, rows: int) -> Bitrix24Error:
    left = f"about {rows:,} rows are left, " if rows else ""
    problem = f"{table} is not read to the end: {left}the time limit of this run was reached"
    return UnavailableError(problem, table, "run again to continue from there")


def _load_id(pipeline: dlt.Pipeline) -> str:
    info = pipeline.last_trace.last_load_info if pipeline.last_trace else None
    return info.loads_ids[-1] if info and info.loads_ids else ""


def _name_of(destination: Any) -> str:
    return str(getattr(destination, "destination_name", destination))

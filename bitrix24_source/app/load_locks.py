"""Loads while readers' transactions lock tables in PostgreSQL: waits for a limited time, then loads the rest.

dlt alters all tables of a package before it loads the first row, in one transaction: a package is loaded whole or not at all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import dlt
from dlt.pipeline.exceptions import PipelineStepFailed

from ..database_locks import LOCK_SECONDS, blocking_sessions, is_lock_timeout
from ..errors import Bitrix24Error, UnavailableError, causes
from ..sync import RunSession

log = logging.getLogger("bitrix24_source")

LOCK_RETRIES = 3
"""how often a package is retried if a reader's transaction locks one of its tables"""


def load_past_locks(pipeline: dlt.Pipeline, run: Callable[[], Any], sleep: Callable[[float], None] = time.sleep) -> Any:
    """Calls `run`, and loads the package again if a table could not be locked, so that readers have time to finish.

    Args:
        pipeline: the pipeline; its package stays pending if it cannot be loaded.
        run: extracts and loads; returns dlt's `LoadInfo`.
        sleep: waits a number of seconds.

    Raises:
        PipelineStepFailed: another error, or the table is still locked; the next run loads the package.
    """
    for _ in range(LOCK_RETRIES):
        try:
            return run()
        except PipelineStepFailed as error:
            if not is_lock_timeout(causes(error)) or not pipeline.has_pending_data:
                raise
            log.warning("A table is locked by somebody who reads it; the load is tried again")
        sleep(LOCK_SECONDS)
        run = pipeline.load
    return run()


def load_beside_locks(
    pipeline: dlt.Pipeline,
    packages: Callable[[dlt.Pipeline], Iterator[list[str]]],
    slices: RunSession | None,
    load_ids: list[str],
    *,
    start_over: bool,
) -> dlt.Pipeline:
    """Loads all packages; changes that need a locked table are left for the next run, and the rest is loaded.

    Locked tables are found before anything is read. A reader that comes later blocks a package as a whole: it is given up, the
    state is restored from the destination, as after a lost working folder, and the rows are read again without the columns
    that need the lock.

    Returns:
        The pipeline to continue with.
    """
    try:
        for ids in packages(pipeline):
            load_ids += ids
    except PipelineStepFailed as error:
        if not start_over or not is_lock_timeout(causes(error)):
            raise
    else:
        return pipeline
    log.warning(
        "What was read cannot be loaded (%s): it is read again, without what needs that lock", _holders(pipeline)
    )
    pipeline = pipeline.drop()
    if slices:
        slices.unfinished = False  # as in a new run
    for ids in packages(pipeline):
        load_ids += ids
    return pipeline


def lock_error(pipeline: dlt.Pipeline) -> Bitrix24Error:
    """Returns an error that names the sessions blocking a load into PostgreSQL; the package waits in the working folder."""
    return UnavailableError(
        "the load waits for a lock on its tables that somebody's transaction holds",
        f"destination {pipeline.destination.destination_name}, {_holders(pipeline)}",
        f"end that transaction, then run again: what was read waits in {pipeline.working_dir}, and the next run loads it",
    )


def _holders(pipeline: dlt.Pipeline) -> str:
    """Returns the sessions that hold locks on the pipeline's tables, in words."""
    with pipeline.sql_client() as client:
        return blocking_sessions(client.execute_sql, client.fully_qualified_dataset_name(quote=False))

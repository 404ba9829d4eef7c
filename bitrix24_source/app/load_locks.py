"""Loads beside readers whose transactions hold tables in PostgreSQL: waits a bounded time, then goes on with the rest.

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
"""how often a package is tried again whose tables somebody reads in a transaction"""


def load_past_locks(pipeline: dlt.Pipeline, run: Callable[[], Any], sleep: Callable[[float], None] = time.sleep) -> Any:
    """Runs, and loads the package again where a table could not be locked: those who read it get time to finish.

    Args:
        pipeline: whose package stays pending where it cannot be loaded.
        run: extracts and loads; returns dlt's `LoadInfo`.
        sleep: waits so many seconds.

    Raises:
        PipelineStepFailed: another error, or the lock is still not to be had; the next run loads the package.
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
    """Loads all packages; where a lock is not to be had, what needs it is left for the next run, and the rest is loaded.

    What needs a lock is found out before anything is read. A reader who came later stops a package that dlt loads whole or not
    at all: it is given up, the state is taken from the destination, as after a lost working folder, and what was in it is read
    again without the columns that are waiting.

    Returns:
        The pipeline to go on with.
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
    """Says who is in the way of a load into PostgreSQL; what was extracted waits in the working folder."""
    return UnavailableError(
        "the load waits for a lock on its tables that somebody's transaction holds",
        f"destination {pipeline.destination.destination_name}, {_holders(pipeline)}",
        f"end that transaction, then run again: what was read waits in {pipeline.working_dir}, and the next run loads it",
    )


def _holders(pipeline: dlt.Pipeline) -> str:
    """The sessions that hold locks on the pipeline's tables, in words."""
    with pipeline.sql_client() as client:
        return blocking_sessions(client.execute_sql, client.fully_qualified_dataset_name(quote=False))

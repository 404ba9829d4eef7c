"""Opens a pipeline's working folder and loads the packages that an interrupted run left there.

dlt extracts nothing new while an old package waits.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dlt
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination.exceptions import UnknownDestinationModule
from dlt.common.exceptions import DltException
from dlt.destinations.exceptions import DestinationConnectionError
from dlt.pipeline.exceptions import PipelineStepFailed

from ..database_locks import is_lock_timeout
from ..errors import causes, root_message
from .error_messages import was_interrupted
from .load_locks import load_past_locks

log = logging.getLogger("bitrix24_source")


def open_pipeline(make: Callable[[], dlt.Pipeline], folder: Path) -> dlt.Pipeline:
    """Returns the pipeline; discards a working folder that cannot be read: the destination has the state as well."""
    try:
        pipeline = make()
        _ = pipeline.has_pending_data
    except (ConfigurationException, UnknownDestinationModule):
        raise
    except (DltException, ValueError, LookupError, OSError) as error:
        _say_dropped("The working folder of an earlier run cannot be read", folder, error)
        shutil.rmtree(folder, ignore_errors=True)
        return make()
    return pipeline


def load_pending_packages(pipeline: dlt.Pipeline) -> dlt.Pipeline:
    """Loads the packages that an interrupted run has left.

    A package that cannot be loaded must not block all later runs: the working folder is discarded, the state is restored
    from the destination, and the rows of the package are read again.

    Raises:
        DltException: the destination cannot be reached; the package stays for the next run.
    """
    if not pipeline.has_pending_data:
        return pipeline
    try:
        load_past_locks(pipeline, pipeline.run)
    except PipelineStepFailed as error:
        chain = list(causes(error))
        passing = is_lock_timeout(chain) or any(isinstance(cause, DestinationConnectionError) for cause in chain)
        if passing or was_interrupted(error):
            raise
        _say_dropped("A package of an earlier run could not be loaded", pipeline.working_dir, error)
        return pipeline.drop()
    return pipeline


_LOCATION = "bitrix24_location"
"""key in dlt's local state: the destination with which the working folder was last used"""


def forget_other_destination(pipeline: dlt.Pipeline, location: str) -> dlt.Pipeline:
    """Discards the working folder if it was last used with another destination, file, host or dataset.

    Otherwise cursors and packages of that destination would be used for this one; dlt only compares versions of the state.
    The state is then read from this destination, as in a new container.

    Args:
        pipeline: the pipeline of this run.
        location: the file, or host and database, into which it loads.
    """
    if pipeline.dev_mode:  # each run has a dataset and a state of its own
        return pipeline
    place = f"{pipeline.destination.destination_name}|{location}|{pipeline.dataset_name}"
    try:
        known = pipeline.get_local_state_val(_LOCATION)
    except KeyError:
        known = place if pipeline.first_run else ""
    if known != place:
        log.info("The working folder was last used with another destination, and is emptied (%s)", pipeline.working_dir)
        pipeline = pipeline.drop()
    pipeline.set_local_state_val(_LOCATION, place)
    return pipeline


def noted_destination(pipeline: dlt.Pipeline) -> str:
    """Returns dlt's name of the destination with which the working folder was last used; "" if unknown."""
    try:
        return str(pipeline.get_local_state_val(_LOCATION)).partition("|")[0]
    except KeyError:
        return ""


_UNDER_WAY = "bitrix24_run_under_way"
"""key in dlt's local state: true while a run is in progress, and after a run that was killed"""


@contextmanager
def noted_run(pipeline: dlt.Pipeline) -> Iterator[bool]:
    """Marks the working folder while a run is in progress; yields whether the previous run was killed."""
    try:
        was_killed = bool(pipeline.get_local_state_val(_UNDER_WAY))
    except KeyError:
        was_killed = False
    pipeline.set_local_state_val(_UNDER_WAY, value=True)
    try:
        yield was_killed
    finally:
        with suppress(OSError):  # the folder may have been removed, or the disk be full
            pipeline.set_local_state_val(_UNDER_WAY, value=False)


def _say_dropped(problem: str, folder: Path | str, error: Exception) -> None:
    reason = root_message(list(causes(error)))
    log.warning("%s and is dropped, to be read again: %s (working folder %s)", problem, reason, folder)

"""Is the working folder ours alone, and what did a run that was cut off leave in it?

dlt keeps state and packages of a pipeline in a folder, has no lock of its own for it, and loads nothing new while an old
package waits there. It refuses to know what is loaded.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dlt
import filelock
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination.exceptions import UnknownDestinationModule
from dlt.common.exceptions import DltException
from dlt.common.pipeline import get_dlt_pipelines_dir
from dlt.destinations.exceptions import DestinationConnectionError
from dlt.pipeline.exceptions import PipelineStepFailed

from .errors import Bitrix24Error, ConfigError, UnavailableError
from .failures import brief, causes, was_interrupted

log = logging.getLogger("bitrix24_source")

WAIT_SECONDS = 600.0
"""that a run waits for another one of the same pipeline"""


@contextlib.contextmanager
def only_run(pipeline_name: str, pipelines_dir: str | None, wait_seconds: float = WAIT_SECONDS) -> Iterator[Path]:
    """Holds the pipeline's working folder, and gives its path; another run of the same pipeline waits, and says so.

    The lock lies beside the folder, and the operating system lets go of it when its process dies, however it dies.

    Raises:
        UnavailableError: the other run has not ended in time.
        ConfigError: there is no place for a working folder.
    """
    folder = Path(pipelines_dir or get_dlt_pipelines_dir()) / pipeline_name
    lock = filelock.FileLock(f"{folder}.lock", mode=0o600)
    failure: Bitrix24Error | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _acquire(lock, pipeline_name, wait_seconds)
    except filelock.Timeout:
        failure = UnavailableError(
            f"another run of the pipeline {pipeline_name!r} is still going on",
            f"working folder {folder}",
            "let it end, or stop it; runs that should go on side by side need a pipeline name each",
        )
    except OSError as error:
        failure = ConfigError(
            f"the working folder cannot be written ({error.strerror or type(error).__name__})",
            str(folder),
            "make it writable, or name another place in the environment variable DLT_DATA_DIR",
        )
    if failure:
        raise failure
    try:
        yield folder
    finally:
        lock.release()


def _acquire(lock: filelock.BaseFileLock, pipeline_name: str, wait_seconds: float) -> None:
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        log.warning(
            "Another run of the pipeline %r is going on: waiting for its end, up to %.0f s", pipeline_name, wait_seconds
        )
        lock.acquire(timeout=wait_seconds, poll_interval=0.2)


def opened(make: Callable[[], dlt.Pipeline], folder: Path) -> dlt.Pipeline:
    """The pipeline. A working folder that cannot be read is given up: the destination has the state as well."""
    try:
        pipeline = make()
        _ = pipeline.has_pending_data
    except (ConfigurationException, UnknownDestinationModule):
        raise
    except (DltException, ValueError, LookupError, OSError) as error:
        _say_dropped("The working folder of an earlier run cannot be read", error)
        shutil.rmtree(folder, ignore_errors=True)
        return make()
    return pipeline


def with_nothing_pending(pipeline: dlt.Pipeline) -> dlt.Pipeline:
    """Loads what a run that was cut off has left. What cannot be loaded must not block all later runs: then the working
    folder is given up, the state is taken from the destination, and what was in the package is read again.

    Raises:
        DltException: the destination cannot be reached; the package stays for the next run.
    """
    if not pipeline.has_pending_data:
        return pipeline
    try:
        pipeline.run()
    except PipelineStepFailed as error:
        passing = any(isinstance(cause, DestinationConnectionError) for cause in causes(error))
        if passing or was_interrupted(error):
            raise
        _say_dropped("A package of an earlier run could not be loaded", error)
        return pipeline.drop()
    return pipeline


def _say_dropped(what: str, error: Exception) -> None:
    log.warning("%s and is dropped, to be read again: %s", what, brief(list(causes(error))))

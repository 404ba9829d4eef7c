"""Lets one run at a time use a pipeline's working folder; dlt has no lock of its own for it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import filelock

from ..errors import Bitrix24Error, ConfigError, UnavailableError
from ..source import working_folders

log = logging.getLogger("bitrix24_source")


WAIT_SECONDS = 600.0
"""how long a run waits for another one of the same pipeline"""


@contextlib.contextmanager
def pipeline_lock(pipeline_name: str, pipelines_dir: str | None, wait_seconds: float = WAIT_SECONDS) -> Iterator[Path]:
    """Locks the pipeline's working folder and yields its path; another run of the same pipeline waits, and logs it.

    The lock file is beside the folder; the operating system releases it when the process ends, in whatever way.

    Raises:
        UnavailableError: the other run has not ended in time.
        ConfigError: the working folder cannot be created.
    """
    folder = Path(pipelines_dir or working_folders()) / pipeline_name
    lock = filelock.FileLock(f"{folder}.lock", mode=0o600)
    failure: Bitrix24Error | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _acquire(lock, folder, wait_seconds)
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


def _acquire(lock: filelock.BaseFileLock, folder: Path, wait_seconds: float) -> None:
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        log.warning(
            "Another run of the pipeline %r is going on: waiting for its end, up to %.0f s (working folder %s)",
            folder.name,
            wait_seconds,
            folder,
        )
        lock.acquire(timeout=wait_seconds, poll_interval=0.2)

"""Opens a pipeline's working folder and loads the packages that an interrupted run left there.

dlt extracts nothing new while an old package waits.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import dlt
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination.exceptions import UnknownDestinationModule
from dlt.common.exceptions import DltException
from dlt.destinations.exceptions import DestinationConnectionError
from dlt.pipeline.exceptions import PipelineStepFailed

from ..errors import causes, root_message
from .error_messages import was_interrupted

log = logging.getLogger("bitrix24_source")


def open_pipeline(make: Callable[[], dlt.Pipeline], folder: Path) -> dlt.Pipeline:
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


def load_pending_packages(pipeline: dlt.Pipeline) -> dlt.Pipeline:
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
    log.warning("%s and is dropped, to be read again: %s", what, root_message(list(causes(error))))

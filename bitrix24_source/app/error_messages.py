"""Turns errors of dlt, databases and this machine into one sentence for a person.

dlt wraps an error several times; the innermost message states the problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlt.common.configuration.exceptions import ConfigFieldMissingException, ConfigurationException, LookupTraces
from dlt.common.destination.exceptions import DestinationException, UnknownDestinationModule
from dlt.common.exceptions import MissingDependencyException
from dlt.destinations.exceptions import DatabaseException, DestinationConnectionError
from dlt.pipeline.exceptions import PipelineStepFailed

from ..errors import Bitrix24Error, ConfigError, causes, root_message
from ..source import files_and_variable, working_folders

_FULL = ("No space left on device", "not enough space on the disk", "Disk quota exceeded", "File too large")
"""parts of the messages of operating systems, databases and Arrow about a full disk"""
_LOCKED = ("Could not set lock on file", "because it is being used by another process")
"""DuckDB's messages about a file that another program has open"""
_CUT_OFF = "Could not read enough bytes from file"
"""DuckDB's message about a truncated file"""

_INSUFFICIENT_PRIVILEGE = "42501"
"""PostgreSQL's code for a privilege that the role lacks"""


def to_user_error(error: BaseException, destination: str) -> Bitrix24Error:
    """Returns an error of dlt or this machine as one sentence; the cause itself if it is a `Bitrix24Error`."""
    chain = list(causes(error))
    for cause in chain:
        if isinstance(cause, Bitrix24Error):
            return cause
    text = root_message(chain)
    whole = " ".join(map(str, chain))
    step = next((cause.step for cause in chain if isinstance(cause, PipelineStepFailed)), "")
    where = f"step {step}" if step else ""
    if any(words in whole for words in _FULL):
        return ConfigError(
            f"there is no room left to write ({text})",
            where,
            f"make room for the destination and for dlt's working folders in {working_folders()}, then run again: nothing "
            "needs to be repaired",
        )
    if any(isinstance(cause, UnknownDestinationModule) for cause in chain):
        return ConfigError(
            f"there is no destination {destination!r}", "--destination", "e.g. duckdb, postgres, bigquery"
        )
    if any(words in whole for words in _LOCKED):
        return ConfigError(
            "the DuckDB file is locked by another program",
            _locked_file(whole),
            "close the program that has it open (a SQL client, a notebook, another run), then run again",
        )
    if _CUT_OFF in whole:
        return ConfigError(
            f"the DuckDB file is cut off, as a full disk leaves it ({text})",
            f"destination {destination}",
            "delete the file, or put a copy of it back, then run again: what it lacks is read anew",
        )
    if any(isinstance(cause, DestinationConnectionError) for cause in chain):
        return ConfigError(
            f"the destination cannot be reached ({text})",
            f"destination {destination}",
            f"check its address and credentials: DESTINATION__{destination.upper()}__CREDENTIALS or .dlt/secrets.toml",
        )
    if any(isinstance(cause, (ImportError, MissingDependencyException, ConfigurationException)) for cause in chain):
        return _missing_setup(chain, text, destination)
    if any(isinstance(cause, (DatabaseException, DestinationException)) for cause in chain):
        return _refused(chain, text, destination)
    return Bitrix24Error(f"the load failed ({text})", where, "run again; if it stays, report it")


def _refused(chain: Sequence[BaseException], text: str, destination: str) -> ConfigError:
    if any(getattr(cause, "pgcode", None) == _INSUFFICIENT_PRIVILEGE for cause in chain):
        return ConfigError(
            f"the database role lacks a right ({text})",
            f"destination {destination}",
            "grant it CREATE on the database, or give it the schemas <dataset> and <dataset>_staging to own, then run again",
        )
    return ConfigError(
        f"the destination refused the load ({text})",
        f"destination {destination}",
        "mend it and run again, or load everything anew with bitrix24 load --full-refresh",
    )


def _missing_setup(chain: Sequence[BaseException], text: str, destination: str) -> ConfigError:
    if any(isinstance(cause, (ImportError, MissingDependencyException)) for cause in chain):
        return ConfigError(
            f"the destination's driver is not installed ({text})",
            f"destination {destination}",
            f'pip install "dlt[{destination}]"',
        )
    missing = [
        key for cause in chain if isinstance(cause, ConfigFieldMissingException) for key in _missing_keys(cause.traces)
    ]
    section = f"destination.{destination}.credentials"
    if missing:
        keys = ", ".join(dict.fromkeys(missing))
        return ConfigError(
            f"the configuration is not complete ({keys} missing)",
            f"destination {destination}",
            f"set {keys} below [{section}], or in the address DESTINATION__{destination.upper()}__CREDENTIALS; looked in "
            f"{files_and_variable(f'{section}.{missing[0]}')}",
        )
    return ConfigError(
        f"the configuration is not complete ({text})",
        f"destination {destination}",
        f"add [{section}] to .dlt/secrets.toml, or set DESTINATION__{destination.upper()}__CREDENTIALS",
    )


def _missing_keys(traces: Mapping[str, Any]) -> Iterator[str]:
    """Yields the innermost missing keys: for incomplete credentials, dlt reports "credentials" and, below, the parts."""
    for key, found in traces.items():
        nested = [trace.traces for trace in found if isinstance(trace, LookupTraces)]
        if nested:
            yield from (name for inner in nested for name in _missing_keys(inner))
        else:
            yield key


def was_interrupted(error: BaseException) -> bool:
    """Returns whether Ctrl-C was pressed, which dlt reports as a failed step."""
    return any(isinstance(cause, KeyboardInterrupt) for cause in causes(error))


def _locked_file(text: str) -> str:
    start = text.find('file "')
    return text[start : text.find('"', start + 6) + 1] if start >= 0 else "the database file"

"""One scheduled run: is the destination free, what is asked of the portal, and how did it end?

It knows dlt's pipelines and nothing of Bitrix24's wire. The destination is tried before the portal is asked for anything: a
locked database should not cost a whole extraction.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dlt
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination.exceptions import DestinationException, UnknownDestinationModule
from dlt.common.exceptions import DltException
from dlt.destinations.exceptions import DatabaseException, DestinationConnectionError
from dlt.pipeline.exceptions import PipelineStepFailed

from .choice import Slices
from .destination import require_free
from .errors import Bitrix24Error, ConfigError
from .rounds import RESOURCE as ITEMS
from .tables import ISSUES
from .transport import redacted

log = logging.getLogger("bitrix24_source")


@dataclass(frozen=True)
class Loaded:
    """How a run ended: rows written by table (child tables left out), and how many things were left out."""

    rows: Mapping[str, int] = field(default_factory=dict)
    dataset: str = ""

    @property
    def issues(self) -> int:
        return self.rows.get(ISSUES.name, 0)


def run(
    source: Any,
    *,
    pipeline_name: str = "bitrix24",
    destination: Any = "duckdb",
    dataset: str = "bitrix24",
    resources: Sequence[str] = (),
    full_refresh: bool = False,
    progress: Any = None,
    pipelines_dir: str | None = None,
    slices: Slices | None = None,
) -> Loaded:
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

    Raises:
        Bitrix24Error: nothing usable; one sentence that says what to do.
    """
    failure: Bitrix24Error
    try:
        elsewhere: Any = {"pipelines_dir": pipelines_dir} if pipelines_dir else {}
        pipeline = dlt.pipeline(
            pipeline_name,
            destination=_destination(destination, pipeline_name, dataset),
            dataset_name=dataset,
            progress=progress,
            **elsewhere,
        )
        require_free(pipeline)
        pipeline = _with_nothing_pending(pipeline)
        if resources:
            source = source.with_resources(*resources)
        again: Any = "drop_resources" if full_refresh else None
        pipeline.run(source, refresh=again)
        rows = _row_counts(pipeline)
        while slices and slices.unfinished:
            pipeline.run(source.with_resources(ITEMS))
            rows += _row_counts(pipeline)
        return Loaded(rows, dataset)
    except Bitrix24Error:
        raise
    except DltException as error:
        failure = explained(error, getattr(destination, "destination_name", destination))
    raise failure


def _destination(name: Any, pipeline_name: str, dataset: str) -> Any:
    """The destination; a DuckDB file that nobody named gets another name than the dataset, or DuckDB mixes them up."""
    named = any(dlt.secrets.get(f"{section}.credentials") for section in ("destination.duckdb", "destination"))
    if name != "duckdb" or named or pipeline_name != dataset:
        return name
    return dlt.destinations.duckdb(f"{pipeline_name}_data.duckdb")


def _with_nothing_pending(pipeline: dlt.Pipeline) -> dlt.Pipeline:
    """Loads what a run that was cut off has left. What cannot be loaded must not block all later runs: then the working
    folder is given up, the state is taken from the destination, and what was in the package is read again.
    """
    if not pipeline.has_pending_data:
        return pipeline
    try:
        pipeline.run()
    except PipelineStepFailed as error:
        reason = _brief(list(_causes(error)))
        log.warning("A package of an earlier run could not be loaded and is dropped, to be read again: %s", reason)
        return pipeline.drop()
    return pipeline


def _row_counts(pipeline: dlt.Pipeline) -> Counter[str]:
    info = pipeline.last_trace.last_normalize_info if pipeline.last_trace else None
    counts = info.row_counts if info else {}
    shown = (table for table in counts if "__" not in table and not table.startswith("_dlt"))
    return Counter({table: counts[table] for table in shown})


def explained(error: BaseException, destination: str) -> Bitrix24Error:
    """One sentence for an error of dlt; ours where one of ours is the cause."""
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, Bitrix24Error):
            return cause
    text = _brief(chain)
    if any(isinstance(cause, UnknownDestinationModule) for cause in chain):
        return ConfigError(
            f"there is no destination {destination!r}", "--destination", "e.g. duckdb, postgres, bigquery"
        )
    if "Could not set lock on file" in text or "because it is being used by another process" in text:
        return ConfigError(
            "the DuckDB file is locked by another program",
            _locked_file(text),
            "close the program that has it open (a SQL client, a notebook, another run), then run again",
        )
    if any(isinstance(cause, DestinationConnectionError) for cause in chain):
        return ConfigError(
            f"the destination cannot be reached ({text})",
            f"destination {destination}",
            f"check its address and credentials: DESTINATION__{destination.upper()}__CREDENTIALS or .dlt/secrets.toml",
        )
    if any(isinstance(cause, ConfigurationException) for cause in chain):
        return ConfigError(
            f"the configuration is not complete ({text})", f"destination {destination}", "see .dlt/example.secrets.toml"
        )
    if any(isinstance(cause, (DatabaseException, DestinationException)) for cause in chain):
        return ConfigError(
            f"the destination refused the load ({text})", f"destination {destination}", "run again when mended"
        )
    step = next((cause.step for cause in chain if isinstance(cause, PipelineStepFailed)), "")
    return Bitrix24Error(
        f"the load failed ({text})", f"step {step}" if step else "", "run again; if it stays, report it"
    )


def _causes(error: BaseException | None) -> Any:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        wrapped = getattr(error, "exception", None)
        error = error.__cause__ or error.__context__ or (wrapped if isinstance(wrapped, BaseException) else None)


def _brief(chain: Sequence[BaseException]) -> str:
    """The innermost message, in one line: outer ones repeat it at length."""
    said = next((cause for cause in reversed(chain) if str(cause)), chain[-1])
    return redacted(" ".join(f"{type(said).__name__}: {said}".split()))[:400]


def _locked_file(text: str) -> str:
    start = text.find('file "')
    return text[start : text.find('"', start + 6) + 1] if start >= 0 else "the database file"

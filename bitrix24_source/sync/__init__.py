"""Decides what to read, what it means for the destination, and what to remember for the next run."""

from .dependents import DependentStream
from .engine import SyncRun
from .options import Exclusions, ReconcileSchedule, SyncOptions
from .ports import TIMESTAMP, Capabilities, ChildCounts, DestinationReader, LoadContext, State, StoredKeys
from .preview import PlannedRead, planned_reads
from .provenance import PROVENANCE, Provenance
from .rejected_values import REJECTED, REJECTED_KEYS_SCHEMA, REJECTED_TABLE, ResolvedRejections, rejections
from .selection import ITEM_RESOURCES, select_streams
from .session import RunSession
from .setting_ranges import validate_range
from .streams import Stream
from .table_batches import HARD_DELETE, TableBatch, TableSpec

__all__ = [
    "HARD_DELETE",
    "ITEM_RESOURCES",
    "PROVENANCE",
    "REJECTED",
    "REJECTED_KEYS_SCHEMA",
    "REJECTED_TABLE",
    "TIMESTAMP",
    "Capabilities",
    "ChildCounts",
    "DependentStream",
    "DestinationReader",
    "Exclusions",
    "LoadContext",
    "PlannedRead",
    "Provenance",
    "ReconcileSchedule",
    "ResolvedRejections",
    "RunSession",
    "State",
    "StoredKeys",
    "Stream",
    "SyncOptions",
    "SyncRun",
    "TableBatch",
    "TableSpec",
    "planned_reads",
    "rejections",
    "select_streams",
    "validate_range",
]

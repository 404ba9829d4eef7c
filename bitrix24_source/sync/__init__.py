"""Decides what to read, what it means for the destination, and what to remember for the next run."""

from .engine import sync
from .options import Exclusions, ReconcileSchedule, SyncOptions
from .plan import StreamPlan, SyncPlan
from .ports import (
    TIMESTAMP,
    VALUE_COUNTS,
    Capabilities,
    DependentCounts,
    DestinationReader,
    LoadContext,
    State,
    StoredKeys,
)
from .preview import bounded_queries, preview
from .provenance import PROVENANCE, Provenance
from .rejected_values import REJECTED, REJECTED_KEYS_SCHEMA, REJECTED_TABLE, ResolvedRejections, rejections
from .selection import ITEM_RESOURCES, SPA_ITEMS, fixed_table_fields, select_streams
from .session import RunSession
from .setting_ranges import validate_range
from .slice_limits import SliceLimits
from .streams import DependentStream, ReadMode, Stream
from .table_batches import HARD_DELETE, TableBatch, TableSpec

__all__ = [
    "HARD_DELETE",
    "ITEM_RESOURCES",
    "PROVENANCE",
    "REJECTED",
    "REJECTED_KEYS_SCHEMA",
    "REJECTED_TABLE",
    "SPA_ITEMS",
    "TIMESTAMP",
    "VALUE_COUNTS",
    "Capabilities",
    "DependentCounts",
    "DependentStream",
    "DestinationReader",
    "Exclusions",
    "LoadContext",
    "Provenance",
    "ReadMode",
    "ReconcileSchedule",
    "ResolvedRejections",
    "RunSession",
    "SliceLimits",
    "State",
    "StoredKeys",
    "Stream",
    "StreamPlan",
    "SyncOptions",
    "SyncPlan",
    "TableBatch",
    "TableSpec",
    "bounded_queries",
    "fixed_table_fields",
    "preview",
    "rejections",
    "select_streams",
    "sync",
    "validate_range",
]

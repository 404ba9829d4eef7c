"""Decides what to read, what it means for the destination, and what to remember for the next run."""

from .capabilities import normalized_column, normalized_table, stored_columns, supports_merge
from .current_load import (
    current_collector,
    current_load_id,
    extracted_resources,
    resources_of_transformers,
    selected_resources,
)
from .dependents import DependentStream
from .destination_reader import Bookkeeping, recreate_dropped_tables
from .engine import SyncRun, TableStream
from .item_tables import MERGE, REJECTED_TABLE, rejections
from .options import Exclusions, ReconcileSchedule, SyncOptions
from .preview import PlannedRead, planned_reads
from .provenance import begin_load
from .rejected_values import ResolvedRejections
from .selection import ITEM_RESOURCES, select_streams
from .session import RunSession
from .setting_ranges import validate_range
from .streams import Stream

__all__ = [
    "ITEM_RESOURCES",
    "MERGE",
    "REJECTED_TABLE",
    "Bookkeeping",
    "DependentStream",
    "Exclusions",
    "PlannedRead",
    "ReconcileSchedule",
    "ResolvedRejections",
    "RunSession",
    "Stream",
    "SyncOptions",
    "SyncRun",
    "TableStream",
    "begin_load",
    "current_collector",
    "current_load_id",
    "extracted_resources",
    "normalized_column",
    "normalized_table",
    "planned_reads",
    "recreate_dropped_tables",
    "rejections",
    "resources_of_transformers",
    "select_streams",
    "selected_resources",
    "stored_columns",
    "supports_merge",
    "validate_range",
]

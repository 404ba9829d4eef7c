"""Reads all rows of many lists by id, each once, over a few connections."""

from .batch_sizing import REQUEST_SECONDS, BatchSizer
from .events import ListEnd, PageBatch
from .id_ranges import IdRange, StoredRange
from .list_queries import (
    ActivityQuery,
    BindingQuery,
    ChildQuery,
    HistoryQuery,
    ListQuery,
    ProductRowQuery,
    Row,
    bindings_in,
)
from .process_tuning import release_arrow_memory
from .scheduler import new_batch_sizer, read_lists
from .unusable_rows import UnusableRows

__all__ = [
    "REQUEST_SECONDS",
    "ActivityQuery",
    "BatchSizer",
    "BindingQuery",
    "ChildQuery",
    "HistoryQuery",
    "IdRange",
    "ListEnd",
    "ListQuery",
    "PageBatch",
    "ProductRowQuery",
    "Row",
    "StoredRange",
    "UnusableRows",
    "bindings_in",
    "new_batch_sizer",
    "read_lists",
    "release_arrow_memory",
]

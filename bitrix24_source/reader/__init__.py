"""Reads all rows of many lists by id, each once, over a few connections."""

from .batch_sizing import REQUEST_SECONDS, BatchSizer
from .events import ListEnd, PageBatch, RangeTask
from .id_ranges import IdRange, StoredRange
from .list_queries import (
    ActivityQuery,
    BindingQuery,
    DependentQuery,
    HistoryQuery,
    ListQuery,
    ProductRowQuery,
    Row,
    bindings_in,
)
from .page_reader import PageReader, new_batch_sizer
from .unusable_rows import UnusableRows

__all__ = [
    "REQUEST_SECONDS",
    "ActivityQuery",
    "BatchSizer",
    "BindingQuery",
    "DependentQuery",
    "HistoryQuery",
    "IdRange",
    "ListEnd",
    "ListQuery",
    "PageBatch",
    "PageReader",
    "ProductRowQuery",
    "RangeTask",
    "Row",
    "StoredRange",
    "UnusableRows",
    "bindings_in",
    "new_batch_sizer",
]

"""Maps Bitrix24 fields to typed columns and rows to Arrow tables, and keeps what does not fit."""

from .arrow_types import ARROW_TYPES, COLUMN_TYPES
from .columns import DELETED_AT, NOTHING_STORED, ColumnMapping, map_columns, unlisted_field
from .converter import ConvertedPage, Converter, RejectedValue
from .fields import Column, ColumnType, Field, Option, fields_from_response
from .fixed_fields import (
    HISTORY_FIELDS,
    PRODUCT_ROW_FIELDS,
    activity_fields,
    history_row_mapper,
    map_activity_row,
    product_row_mapper,
)
from .redacted_json import rejected_json
from .stored_columns import StoredColumns
from .system_fields import (
    MULTIFIELD,
    SPA_FIELDS,
    UTM_FIELDS,
    is_excluded,
    is_excluded_key,
    squash,
    with_multifield,
    with_system_fields,
    with_system_types,
)

__all__ = [
    "ARROW_TYPES",
    "COLUMN_TYPES",
    "DELETED_AT",
    "HISTORY_FIELDS",
    "MULTIFIELD",
    "NOTHING_STORED",
    "PRODUCT_ROW_FIELDS",
    "SPA_FIELDS",
    "UTM_FIELDS",
    "Column",
    "ColumnMapping",
    "ColumnType",
    "ConvertedPage",
    "Converter",
    "Field",
    "Option",
    "RejectedValue",
    "StoredColumns",
    "activity_fields",
    "fields_from_response",
    "history_row_mapper",
    "is_excluded",
    "is_excluded_key",
    "map_activity_row",
    "map_columns",
    "product_row_mapper",
    "rejected_json",
    "squash",
    "unlisted_field",
    "with_multifield",
    "with_system_fields",
    "with_system_types",
]

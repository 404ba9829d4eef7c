"""Maps Bitrix24 fields to typed columns and rows to Arrow tables, and keeps what does not fit."""

from .arrow_types import ARROW_TYPES, COLUMN_TYPES
from .columns import ColumnMapping, map_columns
from .converter import ConvertedPage, Converter, RejectedValue
from .fields import MULTIFIELD, UTM_FIELDS, Column, ColumnType, Field, Option, fields_from_response, with_multifield
from .fixed_fields import HISTORY_FIELDS, PRODUCT_ROW_FIELDS, activity_fields, activity_row, history_mapper, product_row

__all__ = [
    "ARROW_TYPES",
    "COLUMN_TYPES",
    "HISTORY_FIELDS",
    "MULTIFIELD",
    "PRODUCT_ROW_FIELDS",
    "UTM_FIELDS",
    "Column",
    "ColumnMapping",
    "ColumnType",
    "ConvertedPage",
    "Converter",
    "Field",
    "Option",
    "RejectedValue",
    "activity_fields",
    "activity_row",
    "fields_from_response",
    "history_mapper",
    "map_columns",
    "product_row",
    "with_multifield",
]

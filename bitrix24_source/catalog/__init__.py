"""Discovers what a portal contains, as objects and as rows of the catalogue tables."""

from .crm_objects import CRM_OBJECTS, CRM_OBJECTS_BY_ID, LEADS, items_table
from .crm_tables import crm_catalog_tables
from .descriptions import Descriptions, fixed_descriptions, is_our_comment, item_descriptions, view_descriptions
from .discovery import DICTIONARIES, LEADS_MODE, OBJECT_TABLES, SHORT_CODES, SPA_TABLE_NAMES, read_catalog
from .issues import Issue, IssueLog
from .model import Catalog, EntityType
from .references import Reference, references_of
from .spa_tables import SPA_TABLES
from .table_rows import FIELD_COLUMNS, ISSUES, CatalogTable, issue_rows

__all__ = [
    "CRM_OBJECTS",
    "CRM_OBJECTS_BY_ID",
    "DICTIONARIES",
    "FIELD_COLUMNS",
    "ISSUES",
    "LEADS",
    "LEADS_MODE",
    "OBJECT_TABLES",
    "SHORT_CODES",
    "SPA_TABLES",
    "SPA_TABLE_NAMES",
    "Catalog",
    "CatalogTable",
    "Descriptions",
    "EntityType",
    "Issue",
    "IssueLog",
    "Reference",
    "crm_catalog_tables",
    "fixed_descriptions",
    "is_our_comment",
    "issue_rows",
    "item_descriptions",
    "items_table",
    "read_catalog",
    "references_of",
    "view_descriptions",
]

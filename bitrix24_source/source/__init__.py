"""The dlt source: credentials, portals, resources and hints."""

from .credentials import Bitrix24Credentials, _portal, _required
from .destination import check_destination
from .hints import column_hints
from .portals import pipeline_name, portal_credentials
from .source import bitrix24, configured_slices, connect

__all__ = [
    "Bitrix24Credentials",
    "_portal",
    "_required",
    "bitrix24",
    "check_destination",
    "column_hints",
    "configured_slices",
    "connect",
    "pipeline_name",
    "portal_credentials",
]

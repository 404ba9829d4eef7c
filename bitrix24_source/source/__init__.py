"""The dlt source: credentials, portals, resources and hints."""

from .configuration_report import files_and_variable, unreadable_file
from .credentials import Bitrix24Credentials
from .destination import check_destination
from .dlt_internals import (
    ANOTHER_DESTINATION,
    configuration_files,
    data_location,
    fallback_configuration,
    fixed_destination_settings,
    local_destination,
    settings_folder,
    share_tables,
    table_of,
    working_folders,
)
from .hints import column_hints
from .planned_streams import PlannedStreams, planned_streams
from .portals import configured_pipeline, pipeline_name, portal_credentials
from .source import bitrix24, configured_slices, connect, require_known_settings

__all__ = [
    "ANOTHER_DESTINATION",
    "Bitrix24Credentials",
    "PlannedStreams",
    "bitrix24",
    "check_destination",
    "column_hints",
    "configuration_files",
    "configured_pipeline",
    "configured_slices",
    "connect",
    "data_location",
    "fallback_configuration",
    "files_and_variable",
    "fixed_destination_settings",
    "local_destination",
    "pipeline_name",
    "planned_streams",
    "portal_credentials",
    "require_known_settings",
    "settings_folder",
    "share_tables",
    "table_of",
    "unreadable_file",
    "working_folders",
]

"""Calls the REST API of one portal: authentication, limits, retries, batches, offset lists."""

from .auth import Auth, OAuth2, StaticAuth
from .batching import CallGenerator, CallResult, call_many, gather, merge_generators, send_batch
from .client import Client, ClientSettings
from .clock import Clock
from .offset_pagination import ListResult, OffsetList, read_all, shown_value
from .php_values import (
    ConversionError,
    as_bool,
    as_date,
    as_id,
    as_int,
    as_json,
    as_list,
    as_local_time,
    as_mapping,
    as_rows,
    as_text,
    as_timestamp,
    is_blank,
    numbered_values,
    strip_unstorable,
    to_bool,
    to_date,
    to_decimal,
    to_int,
    to_microseconds,
    to_text,
    to_timestamp,
)
from .protocol import BATCH_SIZE, PAGE_SIZE, Call, Response
from .redirects import is_loopback
from .retry import Retry, RetryPolicy, RetryState
from .time_budget import TimeBudget
from .token_store import FileTokenStore, TokenPair, TokenStore, fingerprint
from .transport import PortalTimeoutError

__all__ = [
    "BATCH_SIZE",
    "PAGE_SIZE",
    "Auth",
    "Call",
    "CallGenerator",
    "CallResult",
    "Client",
    "ClientSettings",
    "Clock",
    "ConversionError",
    "FileTokenStore",
    "ListResult",
    "OAuth2",
    "OffsetList",
    "PortalTimeoutError",
    "Response",
    "Retry",
    "RetryPolicy",
    "RetryState",
    "StaticAuth",
    "TimeBudget",
    "TokenPair",
    "TokenStore",
    "as_bool",
    "as_date",
    "as_id",
    "as_int",
    "as_json",
    "as_list",
    "as_local_time",
    "as_mapping",
    "as_rows",
    "as_text",
    "as_timestamp",
    "call_many",
    "fingerprint",
    "gather",
    "is_blank",
    "is_loopback",
    "merge_generators",
    "numbered_values",
    "read_all",
    "send_batch",
    "shown_value",
    "strip_unstorable",
    "to_bool",
    "to_date",
    "to_decimal",
    "to_int",
    "to_microseconds",
    "to_text",
    "to_timestamp",
]

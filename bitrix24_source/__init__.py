"""Bitrix24 smart processes and CRM as typed tables: a dlt source.

Packages, lowest layer first; each imports only from those listed before it (`ARCHITECTURE.md` has a picture):

    rest       calls the REST API of one portal
    schema     maps fields to typed columns and rows to Arrow tables
    catalog    discovers what a portal contains
    reader     reads all rows of many lists by id
    sync       decides what to read, what it means for the destination, and what to remember
    views      creates labelled SQL views, and marts with stable names
    source     the dlt source
    report     makes a page of charts from the marts
    app        one scheduled run, and the command line

`sandbox` is a portal on this machine to try things with; it shares no code with the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import Bitrix24Error
    from .rest import FileTokenStore, TokenPair, TokenStore
    from .source import Bitrix24Credentials, bitrix24
    from .views import create_views, drop_views

__version__ = "0.2.0"

__all__ = [
    "Bitrix24Credentials",
    "Bitrix24Error",
    "FileTokenStore",
    "TokenPair",
    "TokenStore",
    "__version__",
    "bitrix24",
    "create_views",
    "drop_views",
]

_HOMES = {
    "Bitrix24Credentials": "source",
    "Bitrix24Error": "errors",
    "FileTokenStore": "rest",
    "TokenPair": "rest",
    "TokenStore": "rest",
    "bitrix24": "source",
    "create_views": "views",
    "drop_views": "views",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that the sandbox and `--help` do not wait for dlt."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

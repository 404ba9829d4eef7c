"""One scheduled run, and the command line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .run import run_load
    from .summary import LoadSummary

__all__ = ["LoadSummary", "run_load"]

_HOMES = {"LoadSummary": ".summary", "run_load": ".run"}


def __getattr__(name: str) -> Any:
    """Imports dlt when a name is first used, so that `bitrix24 --help` and the sandbox do not wait for it."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""One scheduled run, and the command line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .run import LoadSummary, run_load

__all__ = ["LoadSummary", "run_load"]


def __getattr__(name: str) -> Any:
    """Loads dlt with the first use of a name: `bitrix24 --help` and the sandbox do not wait for it."""
    if name in __all__:
        return getattr(import_module(".run", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

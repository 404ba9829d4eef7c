"""Identifies the code that has written a view."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .. import __version__

_PACKAGES = ("catalog", "schema", "views")
"""packages on whose code the SQL of a view depends"""
_SUFFIXES = (".py", ".sql", ".json")
_ROOT = Path(__file__).parents[1]


def digest_of(*inputs: Any) -> str:
    """Returns sixteen hexadecimal digits that change with the inputs (by their `repr`) and with the code."""
    return hashlib.sha256(repr((code_revision(), inputs)).encode("utf-8", "backslashreplace")).hexdigest()[:16]


@cache
def code_revision() -> str:
    """Returns a hash of the code that writes views, including sqlglot's version; computed once per process."""
    content = hashlib.sha256(f"{__version__} {version('sqlglot')}".encode())
    for package in _PACKAGES:
        for file in sorted((_ROOT / package).rglob("*.*")):
            if file.suffix in _SUFFIXES:
                content.update(file.relative_to(_ROOT).as_posix().encode())
                content.update(file.read_bytes())
    return content.hexdigest()

"""Tells whether the code that writes views is the one that wrote a view."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .. import __version__

_PACKAGES = ("catalog", "schema", "views")
"""whose code the SQL of a view depends on"""
_SUFFIXES = (".py", ".sql", ".json")
_ROOT = Path(__file__).parents[1]


def digest_of(*inputs: Any) -> str:
    """Sixteen hexadecimal digits that are the same as long as the inputs, told by `repr`, and the code are."""
    return hashlib.sha256(repr((code_revision(), inputs)).encode("utf-8", "backslashreplace")).hexdigest()[:16]


@cache
def code_revision() -> str:
    """A hash of the code that writes views, sqlglot's release included; read once per process."""
    content = hashlib.sha256(f"{__version__} {version('sqlglot')}".encode())
    for package in _PACKAGES:
        for file in sorted((_ROOT / package).rglob("*.*")):
            if file.suffix in _SUFFIXES:
                content.update(file.relative_to(_ROOT).as_posix().encode())
                content.update(file.read_bytes())
    return content.hexdigest()

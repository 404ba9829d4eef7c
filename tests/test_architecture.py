"""The river flows one way: who may import whom, who may say dlt or requests, and how long a file may grow."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import bitrix24_source

PACKAGE = Path(bitrix24_source.__file__).parent
RANKS = re.findall(r"^    (\w+) {2,}\S", bitrix24_source.__doc__ or "", re.MULTILINE)
FILES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def imports(path: Path) -> set[str]:
    """Modules that a file imports anywhere in it; our own ones with a leading dot."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            modules = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {"." * node.level + module for module in modules}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return found


def test_map_names_every_file() -> None:
    """The map in the package's docstring and the files on disk are the same."""
    assert sorted(RANKS) == FILES


@pytest.mark.parametrize("name", FILES)
def test_imports_only_look_up_the_map(name: str) -> None:
    """A file imports only files that stand above it in the map."""
    above = set(RANKS[: RANKS.index(name)]) | {"sandbox"}
    ours = {module.lstrip(".").split(".")[0] for module in imports(PACKAGE / f"{name}.py") if module.startswith(".")}

    assert set() == ours - above


def test_sandbox_shares_nothing_with_the_rest() -> None:
    """What client and sandbox shared, both could get wrong alike."""
    for path in (PACKAGE / "sandbox").rglob("*.py"):
        ours = {module for module in imports(path) if module.startswith("..") or "bitrix24_source" in module}
        outside = {module for module in ours if not module.startswith("bitrix24_source.sandbox")}

        assert set() == outside, path.name


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("requests", {"transport", "client"}),
        ("sqlglot", {"view_labels", "view_sql", "view_texts", "views"}),
        (
            "dlt",
            {
                "auth",
                "destination",
                "deletions",
                "extraction",
                "item_tables",
                "record_tables",
                "rounds",
                "list_resources",
                "mended",
                "portals",
            }
            | {"source", "failures", "capabilities", "leftovers", "views", "labels", "run", "cli"},
        ),
    ],
)
def test_libraries_stay_where_they_belong(library: str, allowed: set[str]) -> None:
    """Only the transport speaks HTTP, only the views SQL as expressions, and only the last stations speak dlt."""
    users = {name for name in FILES if any(m.split(".")[0] == library for m in imports(PACKAGE / f"{name}.py"))}

    assert users <= allowed


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_short(path: Path) -> None:
    """A file of more than 340 lines holds two ideas."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 340

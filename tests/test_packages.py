"""Packages have faces that others use, and a folder of tests each."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import bitrix24_source

ROOT = Path(bitrix24_source.__file__).parent
TESTS = Path(__file__).parent
PACKAGES = sorted(path.name for path in ROOT.iterdir() if (path / "__init__.py").exists() and path.name != "sandbox")
BEYOND_PACKAGES = {"api_contract", "destinations", "docs", "project", "schedulers", "survival"}
"""folders of tests that are about more than one package; `fixtures` holds no tests"""
INNER = {"rest.php_values"}
"""modules that are a face themselves"""


@pytest.mark.parametrize("package", PACKAGES)
def test_a_face_names_all_that_it_offers(package: str) -> None:
    """Every public name of a package's `__init__` is in `__all__`, and exists."""
    tree = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    face = import_module(f"bitrix24_source.{package}")

    assert set(face.__all__) == imported - {"annotations", "import_module", "TYPE_CHECKING", "Any"}
    assert [name for name in face.__all__ if not hasattr(face, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_other_packages_are_used_by_their_faces(package: str) -> None:
    """`from ..rest import Client`, never `from ..rest.client import Client`."""
    for path in (ROOT / package).glob("*.py"):
        imports = [
            node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)
        ]
        outside = {node.module or "" for node in imports if node.level == 2}
        past = {name for name in outside if "." in name and name not in INNER and not name.startswith("sandbox")}

        assert set() == past, path.name


def test_each_package_has_a_folder_of_tests() -> None:
    """`tests/<package>` for every package, and no folder whose subject is not known."""
    folders = {path.parent.relative_to(TESTS).parts[0] for path in TESTS.glob("*/**/test_*.py")}

    assert folders == {*PACKAGES, "sandbox", *BEYOND_PACKAGES}

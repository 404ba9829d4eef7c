"""`make test-pythons`: which interpreters it finds, and what it makes of those that do not work."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

interpreter = runpy.run_path(str(Path(__file__).parents[2] / ".ci" / "test_pythons.py"))["interpreter"]
THIS = f"3.{sys.version_info.minor}"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any Python on its PATH, whose pyenv is in the folder `pyenv`."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/nowhere")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


def install(path: Path, says: str, code: int = 0) -> str:
    """A program that answers with a version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {says}\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


def test_this_python_is_found(machine: Path) -> None:
    """The Python that runs the script needs to be nowhere else."""
    assert interpreter(THIS) == sys.executable


def test_pyenvs_newest_patch_is_found(machine: Path) -> None:
    """Of several patch levels in pyenv the newest is taken, by number and not by name."""
    install(machine / "pyenv" / "versions" / "3.9.2" / "bin" / "python", "3.9")
    newest = install(machine / "pyenv" / "versions" / "3.9.18" / "bin" / "python", "3.9")

    assert interpreter("3.9") == newest


def test_a_shim_that_does_not_start_is_passed_over(machine: Path) -> None:
    """pyenv's shim on the PATH fails for a version that is not activated; the interpreter behind it is used."""
    install(machine / "bin" / "python3.9", "", code=127)
    behind = install(machine / "pyenv" / "versions" / "3.9.18" / "bin" / "python", "3.9")

    assert interpreter("3.9") == behind


def test_a_missing_version_is_none(machine: Path) -> None:
    """A program by the right name and of another version does not count."""
    install(machine / "bin" / "python3.9", "3.8")

    assert interpreter("3.9") is None

"""The project's own papers: versions agree, the public names are there, and no secret is kept in the tree."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import yaml

import bitrix24_source

ROOT = Path(__file__).parents[2]


def test_changelog_begins_with_the_version() -> None:
    """The newest version in CHANGELOG.md is `__version__`, of which the distribution's is made."""
    (newest, *_) = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert bitrix24_source.__version__ == newest
    assert version("dlt-source-bitrix24") == newest


def test_supported_pythons_agree() -> None:
    """Classifiers, the workflow's matrix and `make test-pythons` name the same versions of Python."""
    project = (ROOT / "pyproject.toml").read_text()
    supported = re.findall(r"Programming Language :: Python :: (3\.\d+)", project)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    versions = runpy.run_path(str(ROOT / ".ci" / "test_pythons.py"))["VERSIONS"]

    assert supported == workflow["jobs"]["tests"]["strategy"]["matrix"]["python"] == list(versions)
    assert f'requires-python = ">={supported[0]},<3.{int(supported[-1][2:]) + 1}"' in project


def test_workflow_and_hooks_use_targets_that_exist() -> None:
    """Each `make` target in the workflows and in the pre-commit hooks is one of the Makefile's, and so are the fast tests."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    workflow, nightly = ((ROOT / ".github" / "workflows" / name).read_text() for name in ("ci.yml", "nightly.yml"))
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    used = set(re.findall(r"(?:run|entry): make ([a-z-]+)", workflow + nightly + hooks))
    used |= set(yaml.safe_load(workflow)["jobs"]["lint"]["strategy"]["matrix"]["target"])
    (fast,) = re.findall(r"^FAST \?= (.*)$", makefile, re.MULTILINE)

    assert {"test", "lint", "types", "docs", "chaos"} <= used <= targets
    assert [path for path in fast.split() if not (ROOT / path).exists()] == []


def test_public_names_can_be_imported() -> None:
    """Everything in __all__ is there."""
    assert [name for name in bitrix24_source.__all__ if not hasattr(bitrix24_source, name)] == []


def test_importing_the_package_is_light() -> None:
    """`import bitrix24_source` loads neither dlt nor pyarrow: `bitrix24 --help` and the sandbox need not wait."""
    heavy = "import sys, bitrix24_source; print([m for m in ('dlt', 'pyarrow', 'duckdb') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_locked_versions_keep_the_known_bounds() -> None:
    """What is locked keeps clear of the releases that break dlt 1.31's reading side."""
    locked = dict(
        re.findall(r"^([a-z0-9-]+)==([0-9.]+)", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE)
    )

    assert numbers(locked["sqlglot"]) < (30, 22)
    assert (1, 4) <= numbers(locked["duckdb"]) < (2,)
    assert (1, 31) <= numbers(locked["dlt"]) < (2,)


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def test_secrets_file_is_ignored_by_git() -> None:
    """The file that the README has people write their webhook into cannot be committed by accident."""
    done = subprocess.run(["git", "check-ignore", ".dlt/secrets.toml"], cwd=ROOT, capture_output=True, check=False)

    assert done.returncode == 0 or not (ROOT / ".git").exists()


def test_example_secrets_hold_no_secret() -> None:
    """The example's credentials are placeholders."""
    example = (ROOT / ".dlt" / "example.secrets.toml").read_text()

    assert {"1/code"} == set(re.findall(r"/rest/(\w+/\w+)/", example)) | set(
        re.findall(r'api_key = "(\w+/\w+)"', example)
    )


def test_the_report_can_be_read_as_code() -> None:
    """The page's script and style have lines as short as Python's; Prettier with a width of 120 writes them so."""
    assets = ROOT / "bitrix24_source" / "report" / "assets"
    long = [
        f"{name}:{number}"
        for name in ("page.js", "page.css", "template.html")
        for number, line in enumerate((assets / name).read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 120
    ]

    assert long == []

"""The documentation as a site, and the size of what a first visit reads."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .pages import ROOT


@pytest.mark.skipif(find_spec("material") is None, reason="MkDocs Material is not installed")
def test_the_site_builds_strictly(tmp_path: Path) -> None:
    """MkDocs builds every page without a warning: no broken link, no page that the navigation lacks."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert pages <= {page.stem for page in tmp_path.glob("*.html")}


def test_the_site_fetches_nothing_from_elsewhere(tmp_path: Path) -> None:
    """No page loads a font, a script or a style from another host."""
    pytest.importorskip("material")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    loaded = {
        address
        for page in tmp_path.glob("*.html")
        for address in re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?://[^\"\s>]+)", page.read_text())
    }

    assert loaded == set()


def test_the_readme_is_short() -> None:
    """At most 8 kB: what is longer than a first visit takes belongs into `docs/`."""
    assert (ROOT / "README.md").stat().st_size <= 8192

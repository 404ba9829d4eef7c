"""The documentation as a site, and the size of what a first visit reads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .pages import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the pages, built without a warning."""
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_builds_strictly(site: Path) -> None:
    """MkDocs builds every page without a warning: no broken link, no page that the navigation lacks."""
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert pages <= {page.stem for page in site.glob("*.html")}


def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    """No page loads a font, a script or a style from another host."""
    loaded = {
        address
        for page in site.glob("*.html")
        for address in re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?://[^\"\s>]+)", page.read_text())
    }

    assert loaded == set()


def test_the_readme_is_short() -> None:
    """At most 8 kB: what is longer than a first visit takes belongs into `docs/`."""
    assert (ROOT / "README.md").stat().st_size <= 8192

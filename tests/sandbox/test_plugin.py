"""The pytest plugin and its page: fixtures for other people's tests, and snippets that run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PLUGIN = "bitrix24_source.sandbox.pytest_plugin"


def run_tests(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """The tests of another project, in a process of their own that has this plugin alone."""
    (folder / "test_client.py").write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", PLUGIN, "-p", "no:cacheprovider"]
    environment = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": "", "HOME": str(folder)}
    return subprocess.run(
        [*command, "test_client.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: re.sub(r"\W+", "_", text.split("\n\n")[-1][:40]))
def test_snippets_of_the_page_run(tmp_path, snippet):
    """Tests in the page pass under pytest with the plugin alone; other snippets run to their end."""
    if "def test_" in snippet:
        done = run_tests(tmp_path, snippet)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 passed" in done.stdout
    else:
        exec(compile(snippet, "docs/sandbox.md", "exec"), {})  # noqa: S102 - our own page


def test_the_page_has_snippets_of_both_kinds():
    """A page without them would prove nothing."""
    assert sum("def test_" in snippet for snippet in SNIPPETS) >= 2
    assert len(SNIPPETS) >= 5


def test_each_test_has_a_portal_of_its_own(tmp_path):
    """What one test does to its portal no other sees; markers of class and function add up; the clock stands still."""
    done = run_tests(
        tmp_path,
        """
import pytest

@pytest.mark.bitrix24(items=60, seed=2)
class TestOne:
    def test_first(self, bitrix24_portal):
        bitrix24_portal.items(177).delete(1)
        assert bitrix24_portal.clock.now().isoformat() == "2025-07-01T09:00:00+00:00"

    def test_second(self, bitrix24_portal):
        assert 1 in bitrix24_portal.items(177)

    @pytest.mark.bitrix24(scenario="empty")
    def test_third(self, bitrix24_portal, bitrix24_session):
        url = bitrix24_portal.webhook_url + "crm.type.list"
        answers = [bitrix24_session.post(url).json() for _ in range(120)]
        assert [answer["total"] for answer in answers] == [0] * 120
""",
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_a_wrong_argument_of_the_marker_is_an_error(tmp_path):
    """A misspelled argument does not pass in silence."""
    source = "import pytest\n\n@pytest.mark.bitrix24(itmes=1)\ndef test_it(bitrix24_portal):\n    pass\n"
    done = run_tests(tmp_path, source)

    assert done.returncode != 0
    assert "itmes" in done.stdout


def test_the_plugin_loads_nothing_before_it_is_used():
    """Whoever has the package installed and tests something else does not wait for a portal."""
    code = f"import sys, pytest; before = set(sys.modules); import {PLUGIN}; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["['bitrix24_source',", "'bitrix24_source.sandbox',", f"'{PLUGIN}']"]


def test_the_plugin_is_entered():
    """The package's metadata names it, so that pytest finds it."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert f'[project.entry-points.pytest11]\nbitrix24_sandbox = "{PLUGIN}"' in project

"""Ctrl-C at any moment is exit code 130 and one line, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tomlkit
from fixtures.commands import environment
from processes import snippet

INTERRUPTED = """
import sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
sys.argv = ["bitrix24", "sandbox", "--port", "0"]
from bitrix24_source.__main__ import main
main()
"""


@pytest.mark.parametrize("name", ["click", "bitrix24_source.app.cli", "bitrix24_source.sandbox"])
def test_it_is_one_line_while_something_is_imported(name):
    """Pressed while the command line itself, what it stands on, or what a command needs is imported."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(name=name)], capture_output=True, text=True, check=False
    )

    assert (130, "", "bitrix24: stopped") == (done.returncode, done.stdout, done.stderr.strip())


def test_the_console_script_is_that_entry():
    """What `pip` writes into the shell's path imports the guarded module alone."""
    project = tomlkit.parse((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert {"bitrix24": "bitrix24_source.__main__:main"} == project["scripts"]


def test_the_entry_imports_nothing_that_takes_time():
    """Neither the command line nor any other package has been imported when the guarded block begins."""
    code = "import sys, bitrix24_source.__main__; print(*sorted({name.partition('.')[0] for name in sys.modules} & {'click', 'dlt', 'orjson', 'requests'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stdout.strip()), done.stderr


def test_the_package_is_a_command():
    """`python -m bitrix24_source` is the console script."""
    done = snippet(
        "import runpy, sys; sys.argv = ['bitrix24', '--version']; runpy.run_module('bitrix24_source', run_name='__main__', alter_sys=True)",
        environment=environment(None),
    )

    assert (0, True) == (done.code, done.out.startswith("bitrix24, version ")), done.err

"""The short version of `make chaos`: one seed, so that it works whenever somebody needs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CHAOS = Path(__file__).parent / "chaos" / "chaos.py"
TABLES = ("--resource", "spa_types", "--resource", "spa_items")
"""those that are compared; `make chaos` loads all others beside them"""


def test_chaos():
    """Kills, a lost working folder, faults and writers: the tables equal the portal, and it is told what was survived."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(CHAOS), "--seed", "136", "--bouts", "1", *TABLES],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tables equal to the portal after each of 1 bouts, seeds 136 to 136." in done.stdout
    assert re.search(r"Survived [1-9]\d* kills", done.stdout)

"""The short version of `make chaos`: one seed, so that it works whenever somebody needs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CHAOS = Path(__file__).parents[2] / "chaos" / "chaos.py"


def test_chaos():
    """Two bouts of kills, faults and writers: the tables equal the portal after each, and it is told what was survived."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(CHAOS), "--seed", "5", "--bouts", "2"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tables equal to the portal after each of 2 bouts, seeds 5 to 5." in done.stdout
    assert re.search(r"Survived [1-9]\d* kills", done.stdout)

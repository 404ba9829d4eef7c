"""`make audit`: a vulnerability fails it, a database that nobody can ask does not, and nothing passes unasked."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

verdict = runpy.run_path(str(Path(__file__).parents[2] / ".ci" / "audit.py"))["verdict"]

SOUND = {"name": "sound", "version": "1.0", "vulns": []}
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found on PyPI and could not be audited: unknown (1.0)"}
BROKEN = {"name": "broken", "version": "2.0", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["2.1"], "aliases": []}]}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND, SOUND], 0, "audit: no known vulnerability in 2 packages"),
        ([SOUND, UNKNOWN], 0, "audit: no known vulnerability in 1 packages, 1 could not be looked up"),
        ([SOUND, BROKEN, UNKNOWN], 1, "broken 2.0: PYSEC-2026-1, fixed in 2.1"),
        (
            [UNKNOWN, UNKNOWN],
            0,
            "audit skipped: the package index that is configured here has no vulnerability database",
        ),
    ],
)
def test_every_package_counts(packages, code, said):
    """Found is found, whatever else could not be looked up; and nothing looked up is not `no vulnerability`."""
    ended, lines = verdict(json.dumps({"dependencies": packages}), "")

    assert (code, said) == (ended, lines[0])


@pytest.mark.parametrize(
    ("said", "code", "told"),
    [
        ("ERROR:pip_audit._cli: Could not connect to PyPI's vulnerability feed", 0, "audit skipped: ERROR"),
        ("Traceback ...\npip_audit._service.interface.ServiceError: 503", 0, "audit skipped: pip_audit"),
        ("usage: pip-audit\nerror: unrecognized arguments", 1, "audit failed: error: unrecognized"),
        ("", 1, "audit failed: pip-audit said nothing"),
    ],
)
def test_no_answer_is_told(said, code, told):
    """Without the network it is skipped with the reason; anything else that pip-audit trips over fails."""
    ended, lines = verdict("", said)

    assert code == ended
    assert lines[0].startswith(told)

"""Has anything that is installed here a known vulnerability? `make audit`: fails where it has, skips where nobody can tell.

pip-audit ends with 0 also where the index has no vulnerability database and it could look up nothing: hence its answer is read
package by package.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

COMMAND = (
    "-m",
    "pip_audit",
    "--local",
    "--skip-editable",
    "--progress-spinner",
    "off",
    "--timeout",
    "10",
    "--format",
    "json",
)
UNREACHED = ("vulnerability feed", "ServiceError", "requests.exceptions", "urllib3.exceptions")
"""how pip-audit says that its database did not answer"""


def verdict(answer: str, said: str) -> tuple[int, list[str]]:
    """Exit code and what to print, for what pip-audit wrote and what it said on stderr."""
    if not answer:
        reason = said.strip().splitlines()[-1] if said.strip() else "pip-audit said nothing"
        is_unreached = any(sign in said for sign in UNREACHED)
        return int(not is_unreached), [f"audit {'skipped' if is_unreached else 'failed'}: {reason}"]
    packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    asked = [package for package in packages if "skip_reason" not in package]
    found = [f"{one['name']} {one['version']}: {_told(bug)}" for one in asked for bug in one["vulns"]]
    if found:
        return 1, [*found, f"audit failed: {len(found)} known vulnerabilities"]
    if not asked:
        return 0, ["audit skipped: the package index that is configured here has no vulnerability database"]
    unknown = f", {len(packages) - len(asked)} could not be looked up" if len(asked) < len(packages) else ""
    return 0, [f"audit: no known vulnerability in {len(asked)} packages{unknown}"]


def _told(bug: dict[str, Any]) -> str:
    return f"{bug['id']}, fixed in {', '.join(bug['fix_versions']) or 'no version yet'}"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "audit.json"
        done = subprocess.run(
            [sys.executable, *COMMAND, "--output", str(file)], capture_output=True, text=True, check=False
        )
        code, lines = verdict(file.read_text() if file.exists() else "", done.stderr)
    print("\n".join(lines))
    sys.exit(code)


if __name__ == "__main__":
    main()

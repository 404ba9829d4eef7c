"""Starts the portal and the contenders, each in a process of its own, and brings home what they measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

HERE = Path(__file__).parent
LONGEST_SECONDS = 3600


class Failed(Exception):  # noqa: N818 - a result like others
    """A contender did not load all rows."""


@dataclass(frozen=True)
class Account:
    """What the portal says it was asked."""

    requests: int
    pages: int
    refused: int
    megabytes: float
    seconds: float
    cpu: float


@dataclass(frozen=True)
class Measured:
    """One contender, one round."""

    rows: int
    wall: float
    cpu: float
    peak_mb: float
    portal: Account


class Portal:
    """A bench portal in its own process, as a context manager."""

    def __init__(
        self, folder: Path, items: int, *, limited: bool = False, page_ms: float = 0.0, row_ms: float = 0.0
    ) -> None:
        self.items = items
        self.limited = limited
        self.authority = folder / "authority.pem"
        options = ["--items", str(items), "--authority", str(self.authority)]
        options += ["--limited"] if limited else []
        options += ["--page-ms", str(page_ms), "--row-ms", str(row_ms)]
        self._process = subprocess.Popen(
            [sys.executable, HERE / "portal.py", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        self.webhook_url = self._heard()["webhook_url"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None  # noqa: S101 - we asked for a pipe
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def reset(self) -> None:
        self._ask("reset")

    def account(self) -> Account:
        return Account(**self._ask("account"))

    def _ask(self, word: str) -> Any:
        assert self._process.stdin is not None  # noqa: S101 - we asked for a pipe
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        return self._heard()

    def _heard(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101 - we asked for a pipe
        line = self._process.stdout.readline()
        if not line:
            raise Failed("the portal's process ended early")
        return json.loads(line)


def contend(name: str, portal: Portal, folder: Path) -> Measured:
    """Runs one contender in an empty folder with an empty dlt home, so that no run knows of another.

    Raises:
        Failed: it ended with an error, or its database does not hold every item once.
    """
    with tempfile.TemporaryDirectory(dir=folder) as home:
        command = [sys.executable, HERE / "contender.py", name, "--webhook-url", portal.webhook_url]
        command += ["--database", str(Path(home) / "bench.duckdb"), *(["--limited"] if portal.limited else [])]
        portal.reset()
        try:
            done = subprocess.run(
                command, cwd=home, env=_environment(Path(home), portal.authority), capture_output=True, text=True,
                timeout=LONGEST_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failed(f"{name} was not ready after {LONGEST_SECONDS} s") from None
        account = portal.account()
    if done.returncode:
        raise Failed(f"{name} failed: {_last_line(done.stderr)}")
    measured = json.loads(done.stdout.splitlines()[-1])
    if not measured["rows"] == measured.pop("ids") == portal.items:
        raise Failed(f"{name} loaded {measured['rows']:,} of {portal.items:,} rows")
    return Measured(portal=account, **measured)


def _environment(home: Path, authority: Path) -> dict[str, str]:
    """No settings but these, and no way out over a proxy."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "TMPDIR")}
    return kept | {
        "HOME": str(home),
        "DLT_DATA_DIR": str(home / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "REQUESTS_CA_BUNDLE": str(authority),
        "SSL_CERT_FILE": str(authority),
    }


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "without a word"

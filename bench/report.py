"""The benchmark's words and tables, as Markdown that can be pasted into the README."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median

from process import Measured

PACKAGES = (
    "dlt-source-bitrix24", "dlt", "duckdb", "pyarrow", "orjson", "requests", "fast-bitrix24", "aiohttp", "b24pysdk",
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What was to be reached, and whether it was."""

    name: str
    measured: str
    wanted: str
    held: bool


def say(text: str) -> None:
    print(text, flush=True)


def head(arguments: Sequence[str]) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return "\n".join(
        [
            "# Benchmark",
            "",
            f"- `{shlex.join(['python', 'bench/run.py', *arguments])}`, {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
            f"- Python {platform.python_version()}, {versions}",
            f"- {platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores, load before: {load}",
            "- sandbox portal in its own process, over https; 45 columns of which two multiple; into a new DuckDB file",
            "- seconds: from the first call to the last row in the database; medians; peers with parquet load files",
            "- portal s: what the portal bills, 1 ms a page and 0.01 ms a row unless stated; CPU: seconds of a core",
            "",
        ]
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )


def measured_table(rounds: dict[str, list[Measured]]) -> str:
    columns = ("", "seconds", "rows/s", "requests", "pages", "refused", "portal s", "portal CPU", "own CPU", "peak MB")
    lines = [_row(columns), _row(["---", *["---:"] * (len(columns) - 1)])]
    lines += [_row(_cells(name, measured)) for name, measured in rounds.items() if measured]
    return "\n".join([*lines, ""])


def _cells(name: str, measured: list[Measured]) -> list[str]:
    wall = median(run.wall for run in measured)
    asked = measured[0].portal
    return [
        name,
        f"{wall:.2f}",
        f"{measured[0].rows / wall:,.0f}",
        f"{asked.requests:,}",
        f"{asked.pages:,}",
        f"{asked.refused:,}",
        f"{median(run.portal.seconds for run in measured):.2f}",
        f"{median(run.portal.cpu for run in measured):.2f}",
        f"{median(run.cpu for run in measured):.2f}",
        f"{max(run.peak_mb for run in measured):.0f}",
    ]


def ratio_text(ratios: Sequence[float]) -> str:
    """The median, and how far the rounds lie apart."""
    spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"{median(ratios):.2f}{spread}"


def target_table(targets: Sequence[Target]) -> str:
    if not targets:
        return ""
    rows = [(target.name, target.measured, target.wanted, "yes" if target.held else "**no**") for target in targets]
    return "\n".join(
        ["## Ratios and targets\n", _row(("", "measured", "target", "held")), _row(["---"] * 4), *map(_row, rows), ""]
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

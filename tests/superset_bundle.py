"""The YAML of the Superset dashboard, and the SQL that it has of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

BUNDLE = Path(__file__).parents[1] / "tools" / "superset" / "bundle"


def read(folder: str) -> list[dict[str, Any]]:
    """All files of a folder of the bundle."""
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((BUNDLE / folder).rglob("*.yaml"))]


def metric_queries() -> Iterator[tuple[str, str]]:
    """Each mart, and a query for all metrics that the bundle defines on it."""
    for dataset in read("datasets"):
        expressions = ", ".join(metric["expression"] for metric in dataset["metrics"])
        yield dataset["table_name"], expressions

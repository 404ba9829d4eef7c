"""The YAML of the Superset dashboard, and the SQL that it has of its own."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

BUNDLE = Path(__file__).parents[1] / "tools" / "superset" / "bundle"


@cache
def read(folder: str) -> list[dict[str, Any]]:
    """All files of a folder of the bundle, to look at only."""
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((BUNDLE / folder).rglob("*.yaml"))]


def metric_queries() -> Iterator[tuple[str, str]]:
    """Each mart, and a query for all metrics that the bundle defines on it."""
    for dataset in read("datasets"):
        expressions = ", ".join(metric["expression"] for metric in dataset["metrics"])
        yield dataset["table_name"], expressions


GRAINS = {
    "P1D": {"clickhouse": "toStartOfDay(toDateTime({}))", "": "DATE_TRUNC('DAY', {})"},
    "P1M": {"clickhouse": "toStartOfMonth(toDateTime({}))", "": "DATE_TRUNC('MONTH', {})"},
}
"""what Superset makes of a chart's grain of time, by database"""
OPERATORS = {"==": "{} = '{}'", "IS TRUE": "{} IS TRUE", "TEMPORAL_RANGE": ""}


def chart_queries(engine: str) -> Iterator[tuple[str, str]]:
    """Each chart, and the query that Superset makes of it before anybody chooses a filter; `{}.` stands for the dataset."""
    datasets = {dataset["uuid"]: dataset for dataset in read("datasets")}
    for chart in read("charts"):
        dataset, params = datasets[chart["dataset_uuid"]], chart["params"]
        metrics = {metric["metric_name"]: metric["expression"] for metric in dataset["metrics"]}
        groups = list(params.get("groupby", ()))
        if axis := params.get("x_axis"):
            grains = GRAINS.get(params.get("time_grain_sqla", ""), {})
            groups.insert(0, grains.get(engine, grains.get("", "{}")).format(axis))
        shown = [metrics[name] for name in (*params.get("metrics", ()), *filter(None, [params.get("metric")]))]
        where = [
            OPERATORS[wanted["operator"]].format(wanted["subject"], wanted["comparator"])
            for wanted in params["adhoc_filters"]
            if OPERATORS[wanted["operator"]]
        ]
        order = metrics[params.get("timeseries_limit_metric") or params.get("metric") or params["metrics"][0]]
        yield (
            chart["slice_name"],
            f"SELECT {', '.join([*groups, *shown])} FROM {{}}.{dataset['table_name']}"
            + (f" WHERE {' AND '.join(where)}" if where else "")
            + (f" GROUP BY {', '.join(groups)} ORDER BY {order} DESC" if groups else "")
            + f" LIMIT {params.get('row_limit', 50000)}",
        )

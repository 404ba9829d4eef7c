"""The Superset dashboard fits the marts as they are; `make superset` shows the same against a real Superset."""

# ruff: noqa: S608 - numbers and names of our own

from __future__ import annotations

import zipfile

import pytest
import superset_bundle
import yaml

from bitrix24_source.views.marts import MARTS


@pytest.fixture(scope="module")
def loaded(whole_portal, engine):
    """To look at only."""
    return whole_portal(engine)


@pytest.mark.all_databases
def test_datasets_have_the_columns_of_the_marts(loaded):
    """Every mart is a dataset, with its columns in their order, and the metrics defined on it can be asked for."""
    datasets = {dataset["table_name"]: dataset for dataset in superset_bundle.read("datasets")}

    assert set(MARTS) == set(datasets)
    for mart, dataset in datasets.items():
        assert loaded.database.columns(mart) == [column["column_name"] for column in dataset["columns"]]
    for mart, metrics in superset_bundle.metric_queries():
        assert 1 == len(loaded.database.query(f"SELECT {metrics} FROM {{}}.{mart}"))


@pytest.mark.all_databases
def test_every_chart_has_something_to_show(loaded):
    """The query that Superset makes of each chart is one that the database answers, with rows."""
    queries = dict(superset_bundle.chart_queries(loaded.database.engine))

    assert len(superset_bundle.read("charts")) == len(queries)
    for name, sql in queries.items():
        assert loaded.database.query(sql), name


def test_charts_name_columns_and_metrics_that_there_are():
    """Charts, filters and the layout refer to datasets, columns and charts of the bundle."""
    datasets = {dataset["uuid"]: dataset for dataset in superset_bundle.read("datasets")}
    charts = {chart["uuid"]: chart for chart in superset_bundle.read("charts")}
    (dashboard,) = superset_bundle.read("dashboards")
    for chart in charts.values():
        dataset, params = datasets[chart["dataset_uuid"]], chart["params"]
        columns = {column["column_name"] for column in dataset["columns"]}
        metrics = {metric["metric_name"] for metric in dataset["metrics"]}
        limit = params.get("timeseries_limit_metric")
        assert {*params.get("groupby", ()), *filter(None, [params.get("x_axis")])} <= columns, chart["slice_name"]
        assert {*params.get("metrics", ()), *filter(None, [params.get("metric"), limit])} <= metrics, chart[
            "slice_name"
        ]
        assert {wanted["subject"] for wanted in params["adhoc_filters"]} <= columns, chart["slice_name"]
    for chosen in dashboard["metadata"]["native_filter_configuration"]:
        for target in filter(None, chosen["targets"]):
            columns = {column["column_name"] for column in datasets[target["datasetUuid"]]["columns"]}
            assert target["column"]["name"] in columns
    parts = [part for part in dashboard["position"].values() if isinstance(part, dict)]
    placed = [part["meta"]["uuid"] for part in parts if part["type"] == "CHART"]
    assert sorted(charts) == sorted(placed)


def test_the_zip_is_for_the_database_that_was_named(tmp_path, monkeypatch):
    """The ZIP holds all files in one folder, with the address and the schema that were given."""
    monkeypatch.syspath_prepend(str(superset_bundle.BUNDLE.parent))
    from bundle import write_bundle

    made = write_bundle(tmp_path / "bundle.zip", "postgresql://dashboards@db.example/warehouse", "crm")
    with zipfile.ZipFile(made) as bundle:
        names = bundle.namelist()
        texts = [yaml.safe_load(bundle.read(name)) for name in names]

    assert {"bitrix24_dashboard"} == {name.partition("/")[0] for name in names}
    assert len(names) == len(list(superset_bundle.BUNDLE.rglob("*.yaml")))
    assert ["postgresql://dashboards@db.example/warehouse"] == [
        text["sqlalchemy_uri"] for text in texts if "sqlalchemy_uri" in text
    ]
    assert {"crm"} == {text["schema"] for text in texts if "table_name" in text}

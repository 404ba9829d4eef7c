"""What dlt does not promise and this package relies on: each test fails when a release of dlt changes one of them."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from pathlib import Path

import dlt
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import CustomLoaderDocProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from bitrix24_source.source.dlt_internals import (
    ANOTHER_DESTINATION,
    active_pipeline,
    configuration_files,
    data_location,
    dropped_tables_in,
    fallback_configuration,
    fixed_destination_settings,
    local_destination,
    parent_resource,
    settings_folder,
    table_of,
    working_folders,
)


def test_what_dlt_logs_of_another_destination():
    """The command leaves this message out, and knows it by these words."""
    assert ANOTHER_DESTINATION in inspect.getsource(dlt.Pipeline)


def test_fallbacks_count_last_and_only_inside(monkeypatch):
    """Values of `fallback_configuration` are found, give way to the environment, and are gone afterwards."""
    with fallback_configuration({"load": {"workers": 7}}):
        assert 7 == dlt.config["load.workers"]
        monkeypatch.setenv("LOAD__WORKERS", "3")
        assert 3 == int(dlt.config["load.workers"])
    monkeypatch.delenv("LOAD__WORKERS")

    assert dlt.config.get("load.workers") is None


def test_settings_of_the_destination_are_looked_up_once(tmp_path, monkeypatch):
    """Inside they are those of the beginning, whatever the environment says later, and nothing is asked for; outside all is as before."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREATE_INDEXES", "true")
    destination = dlt.destinations.duckdb(str(tmp_path / "warehouse.duckdb"))
    pipeline = dlt.pipeline("settings", destination=destination, dataset_name="crm")
    asked: list[str] = []
    before = dict(destination.config_params)

    def settings():
        config = pipeline.destination_client(schema_name="settings").config
        return config.create_indexes, config.dataset_name, config.credentials.database

    pipeline.run([{"id": 1}], table_name="rows")
    with fixed_destination_settings(pipeline), noted_lookups(asked):
        monkeypatch.setenv("DESTINATION__DUCKDB__CREATE_INDEXES", "false")
        inside = settings()
        looked_up = [key for key in asked if key in destination.spec.get_resolvable_fields()]

    assert (True, "crm", str(tmp_path / "warehouse.duckdb")) == inside
    assert [] == looked_up
    assert (False, "crm", str(tmp_path / "warehouse.duckdb")) == settings()
    assert before == destination.config_params


def test_no_credential_is_among_the_settings(monkeypatch):
    """A destination shows its settings to whoever prints it: what it was not given as an argument is no secret."""
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", "postgresql://loader:s3cret@127.0.0.1:5432/crm")
    destination = dlt.destinations.postgres()
    pipeline = dlt.pipeline("secrets", destination=destination, dataset_name="crm")
    with fixed_destination_settings(pipeline):
        assert "create_indexes" in destination.config_params
        assert "s3cret" not in f"{destination!r} {destination.config_params}"
        assert "s3cret" == pipeline.destination_client().config.credentials.password


def test_settings_of_files_are_left_alone(tmp_path):
    """A destination that is no database is configured as dlt does it."""
    destination = dlt.destinations.filesystem(str(tmp_path / "lake"))
    pipeline = dlt.pipeline("files", destination=destination, dataset_name="crm")
    before = dict(destination.config_params)
    with fixed_destination_settings(pipeline):
        assert before == destination.config_params


@contextmanager
def noted_lookups(asked):
    """The keys that dlt's configuration is asked for."""

    class Noting(CustomLoaderDocProvider):
        def get_value(self, key, *args, **kwargs):
            asked.append(key)
            return super().get_value(key, *args, **kwargs)

    providers = Container()[PluggableRunContext].providers.providers
    noting = Noting("notes", lambda: {"noted": True})
    providers.append(noting)
    yield
    providers.remove(noting)


def test_a_relative_file_begins_in_the_folder_of_this_run(tmp_path, monkeypatch):
    """dlt keeps the first run's folder in its state; a destination with `local_dir` does not follow it."""
    files = []
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv("DLT_LOCAL_DIR", str(tmp_path / folder))
        chosen = local_destination("duckdb", "one", "default.duckdb")
        pipeline = dlt.pipeline("one", destination=chosen, dataset_name="crm")
        pipeline.run([{"id": 1}], table_name="rows")
        files.append(data_location(pipeline))

    assert [str(tmp_path / folder / "default.duckdb") for folder in ("first", "second")] == files
    assert all(Path(file).is_file() for file in files)


def test_tables_are_named_by_marks():
    """The table's name is found in what `dlt.mark` puts around rows."""
    hints = dlt.mark.make_hints(table_name="hinted")

    assert "named" == table_of(dlt.mark.with_table_name([], "named").meta, "other")
    assert "hinted" == table_of(dlt.mark.with_hints([], hints, create_table_variant=True).meta, "other")
    assert "other" == table_of(None, "other")


def test_places_are_those_that_dlt_uses(tmp_path, monkeypatch):
    """The folders that messages name."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "data"))

    assert str(tmp_path / ".dlt") == settings_folder()
    assert [str(tmp_path / ".dlt" / "secrets.toml"), str(tmp_path / "home" / "secrets.toml")] == configuration_files()[
        :2
    ]
    assert working_folders().startswith(str(tmp_path / "data"))


def test_a_transformer_knows_its_parent():
    """The resource that a transformer takes its rows from is found; a plain resource has none."""
    rows = dlt.resource([{"id": 1}], name="rows")
    doubled = rows | dlt.transformer(lambda item: item, name="doubled")

    assert parent_resource(doubled) == "rows"
    assert parent_resource(rows) is None


def test_the_pipeline_that_extracts_is_active(database):
    """A resource finds the very pipeline that dlt names."""
    found = []

    @dlt.resource(name="rows")
    def rows():
        found.append((active_pipeline(), dlt.current.pipeline()))
        yield {"id": 1}

    pipeline = dlt.pipeline("extracting", destination=database().destination, dataset_name="crm")
    pipeline.extract(rows())

    assert found == [(pipeline, pipeline)]


def test_dropped_tables_are_in_the_state_of_the_package(database):
    """While a refresh is extracted, the tables that it drops are named."""
    found = []

    @dlt.resource(name="rows")
    def rows():
        found.append(dropped_tables_in(dlt.current.load_package_state()["state"]))
        yield {"id": 1}

    pipeline = dlt.pipeline("refreshed", destination=database().destination, dataset_name="crm")
    pipeline.run(rows())
    pipeline.run(rows(), refresh="drop_resources")

    assert found == [[], ["rows"]]

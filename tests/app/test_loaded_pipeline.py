"""Which pipeline a command takes that only looks at what was loaded."""

from __future__ import annotations

import duckdb
import pytest

from bitrix24_source.app.loaded_pipeline import loaded_pipeline
from bitrix24_source.errors import ConfigError


def test_the_sandbox_is_never_looked_for_where_a_portal_is(tmp_path, monkeypatch):
    """Without a working folder it is the sandbox's own file, whatever destination and dataset are configured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.setenv("DESTINATION_NAME", "postgres")
    monkeypatch.setenv("DATASET_NAME", "crm")
    with pytest.raises(ConfigError, match=r"nothing was loaded into .*bitrix24_sandbox\.duckdb.*load --sandbox"):
        loaded_pipeline(sandbox=True)
    duckdb.connect(str(tmp_path / "bitrix24_sandbox.duckdb")).close()
    pipeline = loaded_pipeline(sandbox=True)

    assert (pipeline.destination.destination_name, pipeline.dataset_name) == ("duckdb", "bitrix24")

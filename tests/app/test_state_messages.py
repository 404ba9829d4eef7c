"""Messages about dlt's working folder and its lock name the folder: for root, as in a container, it is not in the home."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import dlt
import filelock
import pytest
from dlt.common.runtime.run_context import RunContext, switched_run_context

from bitrix24_source.app.error_messages import to_user_error
from bitrix24_source.app.pipeline_lock import pipeline_lock
from bitrix24_source.app.recovery import forget_other_destination, load_pending_packages, open_pipeline
from bitrix24_source.errors import UnavailableError
from bitrix24_source.source import data_location, working_folders


def make_pipeline(file="first.duckdb"):
    return dlt.pipeline("crm", destination=dlt.destinations.duckdb(file), dataset_name="bitrix24_crm")


@pytest.fixture
def folder():
    """The working folder of the pipeline."""
    return Path(working_folders()) / "crm"


def test_the_folder_of_root_is_var_dlt(monkeypatch, tmp_path):
    """Without DLT_DATA_DIR dlt keeps state below `/var/dlt` as root, and below the home otherwise."""
    monkeypatch.delenv("DLT_DATA_DIR")
    folders = []
    for user in (0, 1000):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        with switched_run_context(RunContext(str(tmp_path))):
            folders.append(working_folders())

    assert ["/var/dlt/pipelines", str(Path.home() / ".dlt" / "pipelines")] == folders


def test_a_lock_that_is_held_is_named_before_and_after_the_wait(folder, caplog):
    """Whoever waits reads where the lock lies, and so does whoever has waited in vain."""
    folder.parent.mkdir(parents=True)
    with filelock.FileLock(f"{folder}.lock"), pytest.raises(UnavailableError) as caught:  # noqa: SIM117
        with pipeline_lock("crm", None, wait_seconds=0.01):
            pass

    assert f"working folder {folder}" in str(caught.value)
    assert f"working folder {folder}" in caplog.text


def test_a_working_folder_that_cannot_be_read_is_named(folder, caplog):
    """It is given up, and the log says which one."""
    make_pipeline()
    (folder / "state.json").write_text("{", encoding="utf-8")
    open_pipeline(make_pipeline, folder)

    assert "cannot be read and is dropped, to be read again: " in caplog.text
    assert f"(working folder {folder})" in caplog.text


def test_a_package_that_cannot_be_loaded_is_named(folder, caplog):
    """A package that lacks a file is given up, and the log says where it was."""
    pipeline = make_pipeline()
    pipeline.run([{"id": 0}], table_name="orders")
    pipeline.extract([{"id": 1}], table_name="orders")
    pipeline.normalize()
    (schema,) = folder.glob("load/normalized/*/schema.json")
    schema.unlink()
    load_pending_packages(pipeline)

    assert "A package of an earlier run could not be loaded and is dropped" in caplog.text
    assert f"(working folder {folder})" in caplog.text


def test_a_working_folder_of_another_destination_is_named(folder, caplog):
    """It is emptied before it is used for this one, which the log says."""
    caplog.set_level(logging.INFO)
    for pipeline in (make_pipeline(), make_pipeline("second.duckdb")):
        forget_other_destination(pipeline, data_location(pipeline))

    assert f"used with another destination, and is emptied ({folder})" in caplog.text


def test_a_full_disk_is_said_with_the_folders_that_fill_it(folder):
    """What a load extracts waits in dlt's folder: in a container it may be that one which is full."""
    error = to_user_error(OSError(28, "No space left on device"), "duckdb")

    assert f"dlt's working folders in {folder.parent}" in error.hint

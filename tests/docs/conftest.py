"""Somebody who has followed the documentation: a folder, a portal behind the configured webhook, and what was loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import processes
import pytest

from bitrix24_source.sandbox import Portal, SandboxServer

from .pages import DATABASE


def environment(folder: Path, **more: str) -> dict[str, str]:
    """This process's own, without anything that configures dlt or the source."""
    inherited = {name: value for name, value in os.environ.items() if "__" not in name and not name.startswith("DLT_")}
    own = {"DLT_DATA_DIR": str(folder / "dlt"), "RUNTIME__DLTHUB_TELEMETRY": "false", "COLUMNS": "200"}
    return {**inherited, **own, **more}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands are started."""
    return tmp_path_factory.mktemp("docs")


@pytest.fixture(scope="session")
def portal(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody whose webhook leads to a small portal."""
    portal = Portal(scenario="demo", items=100)
    portal.limits.leak_per_second = 1000  # nobody else starts one job right after the other: they would have to wait
    with SandboxServer(portal) as server:
        yield environment(
            folder,
            SOURCES__BITRIX24__CREDENTIALS__AUTH="webhook",
            SOURCES__BITRIX24__CREDENTIALS__WEBHOOK_URL=server.webhook_url,
            SOURCES__BITRIX24__EMEA__CREDENTIALS__AUTH="webhook",
            SOURCES__BITRIX24__EMEA__CREDENTIALS__WEBHOOK_URL=server.webhook_url,
        )


@pytest.fixture(scope="session")
def sandbox_file(folder: Path) -> Path:
    """The DuckDB file that `bitrix24 load --sandbox` makes."""
    done = processes.command("load", "--sandbox", folder=folder, environment=environment(folder))
    assert done.code == 0, done.err
    return folder / DATABASE

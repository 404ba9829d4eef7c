"""Somebody who has followed the documentation: a folder, a portal behind the configured webhook, and what was loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import kept_open
from fixtures.commands import command_here

from bitrix24_source.sandbox import Portal, SandboxServer
from bitrix24_source.sandbox.scenarios import builder

from .pages import environment, few_tables, load_sandbox, tables_in


@pytest.fixture(scope="module", autouse=True)
def small_sandbox() -> Iterator[None]:
    """The commands' own sandbox has few items; `sandbox_file`, of which the pages quote answers, has all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "DEMO_ITEMS", 300)
        patch.setattr(builder, "DEMO_COUNTS", builder.COUNTS)
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the commands are started."""
    folder = tmp_path_factory.mktemp("docs")
    with kept_open(*(folder / f"bitrix24_{name}.duckdb" for name in ("data", "sandbox"))):
        yield folder


@pytest.fixture(scope="session")
def portal(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody whose webhook leads to a small portal."""
    portal = Portal(scenario="demo", items=20)
    portal.limits.leak_per_second = 1000  # nobody else starts one job right after the other: they would have to wait
    with SandboxServer(portal) as server:
        yield environment(
            folder,
            **few_tables("companies", "currencies", "users", "spa_field_options", "spa_categories", "spa_stages"),
            SOURCES__BITRIX24__CREDENTIALS__AUTH="webhook",
            SOURCES__BITRIX24__CREDENTIALS__WEBHOOK_URL=server.webhook_url,
            SOURCES__BITRIX24__EMEA__CREDENTIALS__AUTH="webhook",
            SOURCES__BITRIX24__EMEA__CREDENTIALS__WEBHOOK_URL=server.webhook_url,
        )


@pytest.fixture(scope="session")
def loaded(folder: Path, portal: dict[str, str]) -> None:
    """The folder after the loads that come before a report."""
    for arguments, database in (
        (("load",), "bitrix24_data.duckdb"),
        (("load", "--sandbox"), "bitrix24_sandbox.duckdb"),
    ):
        if not tables_in(folder / database):
            assert command_here(*arguments, folder=folder, environment=portal).code == 0


@pytest.fixture(scope="session")
def sandbox_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The DuckDB file that the queries of the pages are asked of, in a folder of its own; snippets load into files beside it."""
    file = load_sandbox(tmp_path_factory.mktemp("sandbox"))
    with kept_open(*(file.parent / name for name in ("bitrix24_data.duckdb", "deal_batches.duckdb"))):
        yield file

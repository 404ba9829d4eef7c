"""The pages that list things - settings, options, tables, messages - list all that there are, and nothing else."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from dlt.common.configuration.specs import RuntimeConfiguration
from dlt.common.data_writers.buffered import BufferedDataWriter
from dlt.common.storages import LoadStorageConfiguration
from dlt.destinations.impl.clickhouse.configuration import ClickHouseCredentials
from dlt.load.configuration import LoaderConfiguration
from dlt.pipeline.configuration import PipelineConfiguration
from loaded_portal import LoadedPortal

import bitrix24_source
from bitrix24_source import Bitrix24Credentials, bitrix24
from bitrix24_source.app.cli import cli
from bitrix24_source.source import configured_slices

from .pages import PAGES, ROOT, Block, blocks

DOCS = ROOT / "docs"
OBJECTS = {"credentials", "slices", "portal", "token_store", "client"}
"""arguments of `bitrix24()` that are no settings"""


def rows(markdown: str) -> list[list[str]]:
    """Cells of all table rows whose first cell is code."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line[:3] == "| `"
    ]


def settings() -> dict[str, Any]:
    """Each setting with its default."""
    arguments = [
        *inspect.signature(bitrix24).parameters.values(),
        *inspect.signature(configured_slices).parameters.values(),
    ]
    return {argument.name: argument.default for argument in arguments if argument.name not in OBJECTS}


def credentials() -> dict[str, Any]:
    """Each key of the credentials with its default."""
    return {name: getattr(Bitrix24Credentials, name) for name in Bitrix24Credentials.get_resolvable_fields()}


def documented(section: str) -> dict[str, tuple[str, str]]:
    """Default and variable of each key in the tables of `docs/configuration.md` whose variable has this prefix."""
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    found = {
        cells[0].strip("`"): (cells[1].strip("`"), cells[-1].strip("`")) for cells in rows(page) if len(cells) == 4
    }
    prefix = re.compile(rf"{section}__[A-Z0-9]+(_[A-Z0-9]+)*")
    return {key: value for key, value in found.items() if prefix.fullmatch(value[1])}


@pytest.mark.parametrize(
    ("section", "known"),
    [
        ("SOURCES__BITRIX24", settings()),
        ("SOURCES__BITRIX24__CREDENTIALS", {k: v for k, v in credentials().items() if k != "section"}),
    ],
)
def test_each_setting_is_documented(section: str, known: dict[str, Any]) -> None:
    """Key, default and variable of every setting, and of nothing else."""
    page = documented(section)

    assert set(page) == set(known)
    for key, (default, variable) in page.items():
        assert variable == f"{section}__{key.upper()}"
        written = str(known[key]).lower() if isinstance(known[key], bool) else str(known[key])
        assert default == written or known[key] in (None, ""), key


def known_keys() -> dict[str, set[str]]:
    """What may stand in each section of a configuration file."""
    return {
        "runtime": set(RuntimeConfiguration.get_resolvable_fields()),
        "load": {*LoaderConfiguration.get_resolvable_fields(), *LoadStorageConfiguration.get_resolvable_fields()},
        "normalize.data_writer": set(BufferedDataWriter.BufferedDataWriterConfiguration.get_resolvable_fields()),
        "pipelines.bitrix24": set(PipelineConfiguration.get_resolvable_fields()),
        "destination.duckdb": {"credentials"},
        "destination.clickhouse.credentials": set(ClickHouseCredentials.get_resolvable_fields()),
        "destination.postgres.credentials": {"host", "port", "database", "username", "password"},
        "sources.bitrix24": set(settings()),
        "sources.bitrix24.credentials": set(credentials()),
    }


FILES = [Block(path, "toml", path.read_text(), "", (0, 0)) for path in sorted((ROOT / ".dlt").glob("*.toml"))]


@pytest.mark.parametrize("toml", [*blocks("toml"), *FILES], ids=lambda block: block.name)
def test_examples_of_configuration_have_known_keys(toml: Block) -> None:
    """Every key in an example of configuration is a setting, those in comments included."""
    commented = re.compile(r"^# ?(?=\[[\w.]+\]$|\w+ = )", re.MULTILINE)
    repeated = re.compile(r"^(\w+) = .*\n(?=(?:.*\n)*?\1 = )", re.MULTILINE)
    document = tomlkit.parse(repeated.sub("", commented.sub("", toml.text)))
    known = known_keys()
    found = list(sections(document.unwrap()))

    assert found
    for section, keys in found:
        general = re.sub(r"^sources\.bitrix24\.emea\b", "sources.bitrix24", section)
        assert set(keys) <= known[general], section


def sections(table: dict[str, Any], path: str = "") -> list[tuple[str, list[str]]]:
    """Each section with its keys; `select` and `filter` are settings whose values are tables."""
    inner = {key: value for key, value in table.items() if isinstance(value, dict) and key not in ("select", "filter")}
    own = [key for key in table if key not in inner]
    here = [(path, own)] if own else []
    return here + [name for key, value in inner.items() for name in sections(value, f"{path}.{key}".strip("."))]


def test_each_option_is_documented() -> None:
    """`docs/cli.md` has a section for every command, and in it every option, and nothing else."""
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    parts = re.split(r"^## `bitrix24 ([a-z-]+)`\n", page, flags=re.MULTILINE)[1:]
    documented = dict(zip(parts[::2], parts[1::2], strict=True))

    assert set(documented) == set(cli.commands)
    for name, section in documented.items():
        options = {option for parameter in cli.commands[name].params for option in parameter.opts if option[:2] == "--"}
        assert {re.findall(r"--[a-z-]+", cells[0])[0] for cells in rows(section)} == options, name


def test_each_table_is_documented(whole_portal: Callable[[str], LoadedPortal]) -> None:
    """`docs/tables.md` names every table that a load makes, and no other."""
    page = (DOCS / "tables.md").read_text(encoding="utf-8")
    listed = {name for cells in rows(page) for name in re.findall(r"`([^`]+)`", cells[0])}
    listed -= {name for name in listed if name.startswith("<c>")}
    found = whole_portal("duckdb").database.query(
        "select table_name from information_schema.tables where table_schema = '{}' and table_type = 'BASE TABLE'"
    )
    made = {re.sub(r"^(spa_items_)\d+(__)?.*", r"\1<entityTypeId>\2", name) for (name,) in found}
    made = {f"{name}<column>" if name.endswith("__") else name for name in made}
    fields_of_items = re.compile(r"(leads|deals|contacts|companies|quotes|invoices)__\w+")
    credentials = {"auth": "webhook", "webhook_url": "https://portal.invalid/rest/1/code/"}
    usual = bitrix24(credentials=credentials).selected_resources.keys()
    on_demand = bitrix24(credentials=credentials, activity_bindings=True).selected_resources.keys() - usual

    assert {"activity_bindings"} == on_demand
    assert {name for name in made if not fields_of_items.fullmatch(name)} | on_demand == listed


def test_each_mart_is_documented(whole_portal: Callable[[str], LoadedPortal]) -> None:
    """`docs/marts.md` lists every mart with exactly its columns."""
    page = (DOCS / "marts.md").read_text(encoding="utf-8")
    found = whole_portal("duckdb").database.query(
        "select table_name, string_agg(column_name, ', ' order by ordinal_position) from information_schema.columns "
        "where table_schema = '{}' and starts_with(table_name, 'mart_') group by table_name"
    )

    assert {cells[0].strip("`"): cells[2] for cells in rows(page)} == dict(found)


def test_each_explained_message_exists() -> None:
    """Every message in `docs/troubleshooting.md` is one that the code can say."""
    package = Path(bitrix24_source.__file__).parent
    said = " ".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py") if "sandbox" not in path.parts)
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    messages = [message for cells in rows(page) for message in re.findall(r"`([^`]+)`", cells[0])]
    parts = [part.strip() for message in messages for part in re.split(r"\.\.\.|\bcrm\b|\b2\b", message)]

    assert len(messages) > 20
    assert [part for part in parts if part and part not in said] == []


LINKS = [
    (page.name, link)
    for page in (*PAGES[:1], *sorted(ROOT.glob("*.md")))
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    if "://" not in link
]


@pytest.mark.parametrize(("page", "link"), sorted(set(LINKS)))
def test_links_between_files_lead_somewhere(page: str, link: str) -> None:
    """Links of the README and its neighbours; those of `docs/` are checked by the strict build."""
    assert (ROOT / link.partition("#")[0]).exists(), page

"""The README is run: its commands, snippets, questions and answers, and the messages that it explains."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import processes
import pytest

from bitrix24_source.sandbox import Portal, SandboxServer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, their indentation removed."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", README, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def environment(folder: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if "__" not in name and not name.startswith("DLT_")}
    own = {"DLT_DATA_DIR": str(folder / "dlt"), "RUNTIME__DLTHUB_TELEMETRY": "false", "COLUMNS": "200"}
    return {**inherited, **own, **more}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.fixture(scope="module")
def portal(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody who has followed the README, with a small portal behind the webhook."""
    portal = Portal(scenario="demo", items=100)
    portal.limits.leak_per_second = 1000  # one job after the other is what nobody does: it would have to wait
    with SandboxServer(portal) as server:
        yield environment(
            folder,
            SOURCES__BITRIX24__CREDENTIALS__AUTH="webhook",
            SOURCES__BITRIX24__CREDENTIALS__WEBHOOK_URL=server.webhook_url,
            SOURCES__BITRIX24__EMEA__CREDENTIALS__AUTH="webhook",
            SOURCES__BITRIX24__EMEA__CREDENTIALS__WEBHOOK_URL=server.webhook_url,
        )


@pytest.fixture(scope="module")
def demo(folder: Path) -> str:
    """What `make demo` prints."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "pipelines" / "demo.py")],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_demo_prints_what_the_readme_shows(demo: str) -> None:
    """Every table and count of the README's demo output is in the real one."""
    shown = [line for line in blocks("text")[0].splitlines() if re.search(r"^  \w+ +[0-9,]+$", line)]

    assert len(shown) > 10
    assert [line for line in shown if line not in demo.splitlines()] == []


@pytest.mark.parametrize("number", range(3))
def test_questions_have_the_answers_that_the_readme_gives(number: int, demo: str, folder: Path) -> None:
    """A question's SQL, asked of the demo's tables, answers what stands below it."""
    assert "Tables" in demo
    question, answer = re.findall(r"^```sql\n((?:(?!```).)*?)^```\n\n(\|.*?)\n\n", README, re.MULTILINE | re.DOTALL)[
        number
    ]
    with duckdb.connect(str(folder / "bitrix24_demo.duckdb"), read_only=True) as database:
        relation = database.sql(question)
        rows = [relation.columns, *relation.fetchall()]

    assert markdown(answer) == [["" if cell is None else str(cell).lower() for cell in row] for row in rows]


def markdown(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if not re.fullmatch(r"[|\-: ]+", line)]
    return [[cell.strip().lower() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("snippet", blocks("python"), ids=lambda text: text.strip().splitlines()[-1][:40])
def test_python_snippets_run(snippet: str, folder: Path, portal: dict[str, str]) -> None:
    """Each Python snippet runs as it stands, for somebody with credentials in the environment."""
    done = processes.snippet(snippet, folder=folder, environment=portal)

    assert (done.code, done.err) == (0, "")


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("bitrix24 ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command: str, folder: Path, portal: dict[str, str]) -> None:
    """Each command runs as it stands, and ends with 0."""
    done = processes.command(*command.split()[1:], folder=folder, environment=portal)

    assert done.code == 0, done.err


def test_check_prints_the_topics_that_the_readme_shows(folder: Path, portal: dict[str, str]) -> None:
    """`bitrix24 check` answers the topics of the example, in its order."""
    done = processes.command("check", folder=folder, environment=portal)
    (example,) = [block for block in blocks("text") if block.startswith("portal ")]

    assert [line[:10] for line in example.splitlines()] == [line[:10] for line in done.out.splitlines()]


def test_secrets_example_is_read_by_the_selector(folder: Path) -> None:
    """The TOML of step 3, put where the README says, is what a load uses: it fails only for the made-up host."""
    here = folder / "third_step"
    (here / ".dlt").mkdir(parents=True)
    toml = blocks("toml")[0]
    (here / ".dlt" / "secrets.toml").write_text(toml.replace("portal.bitrix24.com", "portal.invalid"))
    done = processes.command("check", folder=here, environment=environment(here))

    assert done.code == 1
    assert "host name was not found" in done.err
    assert "portal.invalid" in done.err


def test_options_in_the_table_of_commands_exist() -> None:
    """Every option that the README names for a command is one of that command's."""
    rows = re.findall(r"^\| `bitrix24 ([a-z-]+)([^`]*)`", README, re.MULTILINE)
    from bitrix24_source.app.cli import cli

    assert {"check", "spa-info", "load", "sandbox"} == {name for name, _ in rows}
    for name, options in rows:
        known = {option for parameter in cli.commands[name].params for option in parameter.opts}

        assert set(re.findall(r"--[a-z-]+", options)) <= known


def test_json_example_has_the_documents_keys(folder: Path, portal: dict[str, str]) -> None:
    """The example document and a real one have the same keys, level by level (flags and settings are open sets)."""
    done = processes.command("spa-info", "--json", folder=folder, environment=portal)
    example = json.loads(blocks("json")[0])
    real = json.loads(done.out)
    real["issues"] = example["issues"]

    assert keys(example) == keys(real)


def keys(value: Any, path: str = "") -> set[str]:
    if path.endswith((".flags", ".settings")):
        return {path}
    if isinstance(value, dict):
        return {path}.union(*(keys(item, f"{path}.{key}") for key, item in value.items()))
    if isinstance(value, list):
        return {path}.union(*(keys(item, f"{path}[]") for item in value))
    return {path}


def test_messages_in_troubleshooting_exist() -> None:
    """Every message that the README explains is one that the code can say."""
    said = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "bitrix24_source").rglob("*.py"))
    section = README[README.index("## Troubleshooting") : README.index("## How fast")]
    messages = re.findall(r"`([^`]+)`", "\n".join(line.split("|")[1] for line in section.splitlines() if "`" in line))

    assert len(messages) > 12
    missing = [part for message in messages for part in parts(message) if part not in said]
    assert missing == []


def parts(message: str) -> list[str]:
    return [part.strip() for part in re.split(r"\.\.\.|\bcrm\b|\b2\b", message) if part.strip()]

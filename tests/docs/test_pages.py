"""Everything that the README and the pages in `docs/` show is run: commands, snippets, queries, and the answers below them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fixtures.commands import command_here, snippet_here

from bitrix24_source.app.cli import cli

from .pages import DATABASE, PAGES, ROOT, Block, as_table, as_text, blocks, environment, few_tables, tables_in

PROJECT_PAGES = tuple(ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md"))
LINES = [
    (block.page.stem, line)
    for block in blocks("sh", "bat", pages=(*PAGES, *PROJECT_PAGES))
    for line in block.text.splitlines()
    if line
]
COMMANDS = sorted(
    dict.fromkeys(line for _, line in LINES if re.match(r"bitrix24 (?!sandbox)", line)),
    key=lambda line: line.startswith("bitrix24 report"),  # after the loads that it needs
)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command: str, folder: Path, portal: dict[str, str], request: pytest.FixtureRequest) -> None:
    """Each command runs as it stands, and ends with 0."""
    if command.startswith("bitrix24 report"):
        request.getfixturevalue("loaded")
    done = command_here(*command.split()[1:], folder=folder, environment=portal)

    assert done.code == 0, done.err
    assert "--sandbox" not in command or tables_in(folder / DATABASE)


MAKE_TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
EXTRAS = set(re.findall(r"^([a-z]+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
OTHER_COMMANDS = (
    r"python3 -m venv \.venv|\. \.venv/bin/activate|py -m venv \.venv|\.venv\\Scripts\\activate",
    r"git (tag|push) .*",
    r"pip install \.",
)


@pytest.mark.parametrize(("page", "line"), [(page, line) for page, line in LINES if line not in COMMANDS])
def test_other_commands_name_what_there_is(page: str, line: str) -> None:
    """Targets, extras and files in all other lines exist, and no line goes unchecked."""
    if found := re.fullmatch(r"make ([a-z-]+)", line):
        assert found[1] in MAKE_TARGETS
    elif found := re.fullmatch(r'pip install "\.\[([a-z]+)\]"', line):
        assert found[1] in EXTRAS
    elif line.startswith("bitrix24 sandbox"):  # serves until Ctrl-C
        assert cli.commands["sandbox"].make_context("sandbox", line.split()[2:])
    elif found := re.fullmatch(r"(?:cp|copy) (\S+) \S+", line):
        assert (ROOT / found[1].replace("\\", "/")).exists()
    elif found := re.fullmatch(r"BITRIX24_WEBHOOK_URL=\S+ \.venv/bin/python -m pytest -q (\S+)", line):
        assert (ROOT / found[1]).exists()
    else:
        assert any(re.fullmatch(pattern, line) for pattern in OTHER_COMMANDS), f"{page}: nothing checks this line"


SNIPPETS = [block for block in blocks("python") if block.page.stem != "sandbox"]
"""those of the sandbox's page are tests themselves, which tests/sandbox/test_plugin.py runs"""


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda block: block.name)
def test_python_snippets_run(snippet: Block, portal: dict[str, str], sandbox_file: Path) -> None:
    """Each snippet runs as it stands, for somebody with credentials, and prints what stands below it."""
    done = snippet_here(snippet.text, folder=sandbox_file.parent, environment=portal)

    assert (done.code, done.err) == (0, "")
    assert snippet.answer in ("", as_text(done.out))


@pytest.mark.parametrize("query", blocks("sql"), ids=lambda block: block.name)
def test_queries_run(query: Block, portal: dict[str, str], sandbox_file: Path) -> None:
    """Each query runs on the sandbox's tables, and answers what stands below it."""
    if "read_parquet(" in query.text:
        (writer,) = [block for block in blocks("python", pages=(query.page,)) if "crm_files" in block.text]
        if not (sandbox_file.parent / "crm_files").exists():
            assert snippet_here(writer.text, folder=sandbox_file.parent, environment=portal).code == 0
    with duckdb.connect(str(sandbox_file), read_only=True) as database:
        database.execute(f"SET file_search_path = '{sandbox_file.parent}'")
        answer = as_table(database.sql(query.text))

    assert query.answer in ("", answer)


def test_check_prints_the_topics_that_the_quickstart_shows(folder: Path, portal: dict[str, str]) -> None:
    """`bitrix24 check` answers the topics of the example, in its order."""
    done = command_here("check", folder=folder, environment=portal)
    (example,) = [block.text for block in blocks("text") if block.text.startswith("portal ")]

    assert [line[:10] for line in example.splitlines()] == [line[:10] for line in done.out.splitlines()]


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md", "docs/authentication.md"])
def test_secrets_examples_are_read(page: str, tmp_path: Path) -> None:
    """The first TOML of a page, saved as it says, is what the command uses: it fails only for the made-up host."""
    toml = blocks("toml", pages=(ROOT / page,))[0].text
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text(toml.replace("portal.bitrix24.com", "portal.invalid"))
    done = command_here("check", folder=tmp_path, environment=environment(tmp_path))

    assert done.code == 1
    assert "host name was not found" in done.err
    assert "portal.invalid" in done.err


def test_json_example_has_the_documents_keys(folder: Path, portal: dict[str, str]) -> None:
    """The example document and a real one have the same keys, level by level (flags and settings are open sets)."""
    done = command_here("spa-info", "--json", folder=folder, environment=portal)
    (example,) = [json.loads(block.text) for block in blocks("json")]
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


DEMO_LACKS = (
    "companies.contact_ids", "companies.fm", "companies.observers", "deals", "spa_categories", "spa_field_options", "users",
)  # fmt: skip


def test_the_demo_shows_every_table(folder: Path) -> None:
    """What `make demo` starts ends with 0 and prints each table with its rows, a query's answer and what to do next."""
    program = f"import runpy; runpy.run_path({str(ROOT / 'pipelines' / 'demo.py')!r}, run_name='__main__')"
    done = snippet_here(program, folder=folder, environment=environment(folder, **few_tables(*DEMO_LACKS)))
    assert done.code == 0, done.err
    counts = tables_in(folder / "bitrix24_demo.duckdb")
    shown = dict(re.findall(r"^  (\w+) +([0-9,]+)$", done.out, re.MULTILINE))

    assert {name: f"{count:,}" for name, count in counts.items()} == shown
    assert "bitrix24 load" in done.out[done.out.index("Next") :]

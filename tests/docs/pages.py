"""What the README and the pages in `docs/` show: fenced blocks, each with what stands directly below it.

Run as a script, it writes the answers below queries and snippets anew:

    python tests/docs/pages.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dlt
import duckdb
import requests
from dlt.common.runtime.run_context import RunContext, switched_run_context

from bitrix24_source import bitrix24
from bitrix24_source.app.run import run_load
from bitrix24_source.rest.client import Client
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter
from bitrix24_source.sandbox.scenarios import builder
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
DATABASE = "bitrix24_sandbox.duckdb"
ITEMS = builder.DEMO_ITEMS
DAY = datetime(2026, 11, 27, 9, tzinfo=timezone.utc)
"""on which the answers were written: the sandbox's past ends the day before it starts"""
LEFT_OUT = (
    "leads", "contacts", "quotes", "invoices", "stage_history", "product_rows", "activities", "departments", "crm_fields",
    "crm_field_options", "statuses", "categories", "stages", "automated_solutions", "automated_solution_types", "spa_automations",
    "spa_type_relations", "spa_type_linked_fields", "deals.contact_ids", "deals.observers", "spa_items_177.contact_ids",
    "spa_items_177.observers", "spa_items_177.uf_crm_13_1739433003", "spa_items_1030.contact_ids", "spa_items_1030.observers",
)  # fmt: skip


def few_tables(*left_out: str) -> dict[str, str]:
    """Settings with which a whole load takes little time."""
    return {
        "SOURCES__BITRIX24__SPA_TYPES": "[177]",
        "SOURCES__BITRIX24__LEAVE_OUT": json.dumps([*LEFT_OUT, *left_out]),
        "SOURCES__BITRIX24__SLICE_ROWS": "0",
    }


ASKED_FOR = (
    "spa_types", "spa_fields", "spa_field_options", "spa_categories", "spa_stages", "spa_automations", "spa_items", "stage_history",
    "users", "currencies",
)  # fmt: skip
ASKED_TYPES = (177, 1030, 1036)
NOT_ASKED_FOR = [f"spa_items_{number}.{field}" for number in ASKED_TYPES for field in ("contact_ids", "observers")]
"""what the queries of the pages are about, and what they are not about; the rest of the sandbox takes long to load"""

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```\n", re.MULTILINE | re.DOTALL)
_ANSWER = re.compile(r"\n(?P<answer>@answer\n|(?:\|[^\n]*\n)+|```text\n.*?^```\n)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: the file.
        language: the word after the fence.
        text: what is in it, its indentation removed.
        answer: the table or the block of text directly below it, empty without one.
        answer_at: where that begins and ends in the page.
    """

    page: Path
    language: str
    text: str
    answer: str
    answer_at: tuple[int, int]

    @property
    def name(self) -> str:
        """A name for a test: the page, and the last line."""
        return f"{self.page.stem}: {self.text.strip().splitlines()[-1][:50]}"


def blocks(*languages: str, pages: tuple[Path, ...] = PAGES) -> list[Block]:
    """The blocks of some languages, in the order of the pages."""
    return [block for page in pages for block in _blocks_of(page) if block.language in languages]


def _blocks_of(page: Path) -> Iterator[Block]:
    content = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(content):
        below = _ANSWER.match(content, found.end())
        answer, place = (below["answer"], below.span("answer")) if below else ("", (found.end(), found.end()))
        yield Block(page, found["language"], textwrap.dedent(found["text"]), answer, place)


def as_table(relation: Any) -> str:
    """The result of a query as a Markdown table."""
    rows = [["" if cell is None else str(cell) for cell in row] for row in relation.fetchall()]
    lines = [relation.columns, ["---"] * len(relation.columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_text(output: str) -> str:
    """What a program printed as a block."""
    return f"```text\n{output.rstrip()}\n```\n"


def environment(folder: Path, **more: str) -> dict[str, str]:
    """This process's own, without anything that configures dlt or the source."""
    inherited = {name: value for name, value in os.environ.items() if "__" not in name and not name.startswith("DLT_")}
    own = {"DLT_DATA_DIR": str(folder / "dlt"), "RUNTIME__DLTHUB_TELEMETRY": "false", "COLUMNS": "200"}
    return {**inherited, **own, **more}


def tables_in(file: Path) -> dict[str, int]:
    """Tables that the documented loads have made in a DuckDB file, with their rows; dlt's own and the facts are left out."""
    with duckdb.connect(str(file)) as database:
        names = database.sql(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'bitrix24' "
            "AND table_type = 'BASE TABLE' AND NOT starts_with(table_name, '_')"
        ).fetchall()
        return {name: len(database.table(f'bitrix24."{name}"')) for (name,) in names}


def load_sandbox(folder: Path) -> Path:
    """The file that `bitrix24 load --sandbox` would have made in the folder on that day, as far as the pages ask it."""
    clock = Clock(DAY)
    portal = Portal(scenario="demo", seed=1, items=ITEMS, clock=clock)
    portal.limits.capacity = None
    session = requests.Session()
    session.mount("https://", SandboxAdapter(portal))
    credentials = portal.credentials(portal.base_url)["webhook"]
    client = Client(auth_from_credentials(Bitrix24Credentials(**credentials)), clock=clock, session=session)
    with (
        switched_run_context(RunContext(str(folder))),
        duckdb.connect(str(folder / DATABASE)),
    ):  # open for all of the load
        run_load(
            bitrix24(credentials=credentials, client=client, spa_types=ASKED_TYPES, leave_out=NOT_ASKED_FOR),
            resources=ASKED_FOR,
            destination=dlt.destinations.duckdb(str(folder / DATABASE)),
            dataset="bitrix24",
            pipelines_dir=str(folder / "pipelines"),
        )
    return folder / DATABASE


def main() -> None:
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    with (
        tempfile.TemporaryDirectory() as folder,
        duckdb.connect(str(load_sandbox(Path(folder))), read_only=True) as database,
    ):
        for page in PAGES:
            content = page.read_text(encoding="utf-8")
            for block in reversed([*_blocks_of(page)]):
                if not block.answer or block.language not in ("sql", "python"):
                    continue
                start, end = block.answer_at
                content = content[:start] + _answer_to(block, folder, database) + content[end:]
            page.write_text(content, encoding="utf-8")


def _answer_to(block: Block, folder: str, database: Any) -> str:
    if block.language == "sql":
        return as_table(database.sql(block.text))
    done = subprocess.run([sys.executable, "-c", block.text], cwd=folder, capture_output=True, check=True)
    return as_text(done.stdout.decode())


if __name__ == "__main__":
    main()

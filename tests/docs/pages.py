"""What the README and the pages in `docs/` show: fenced blocks, each with what stands directly below it.

Run as a script, it writes the answers below queries and snippets anew, from a folder in which `bitrix24 load --sandbox` was run:

    python tests/docs/pages.py FOLDER
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
DATABASE = "bitrix24_sandbox.duckdb"

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```\n", re.MULTILINE | re.DOTALL)
_ANSWER = re.compile(r"\n(?P<answer>@answer\n|(?:\|.*\n)+|```text\n.*?^```\n)", re.MULTILINE | re.DOTALL)


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


def main() -> None:
    folder = Path(sys.argv[1])
    with duckdb.connect(str(folder / DATABASE), read_only=True) as database:
        for page in PAGES:
            content = page.read_text(encoding="utf-8")
            for block in reversed([*_blocks_of(page)]):
                if not block.answer or block.language not in ("sql", "python"):
                    continue
                if block.language == "sql":
                    answer = as_table(database.sql(block.text))
                else:
                    command = [sys.executable, "-c", block.text]
                    done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
                    answer = as_text(done.stdout.decode())
                start, end = block.answer_at
                content = content[:start] + answer + content[end:]
            page.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()

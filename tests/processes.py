"""Processes that need not wait for Python and dlt to start: a first one has both ready, and does nothing but fork.

What runs has its own environment, folder, output and end, as if a shell had started it.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 600
"""that a process may take; a machine that does other work besides takes many times as long as a quiet one"""


@dataclass(frozen=True)
class Done:
    """How a process ended."""

    code: int
    out: str
    err: str


def command(*arguments: str, folder: Path | str = ".", environment: Mapping[str, str]) -> Done:
    """`bitrix24` with these arguments."""
    return _run(folder, environment, arguments=arguments)


def snippet(code: str, *, folder: Path | str = ".", environment: Mapping[str, str]) -> Done:
    """A program."""
    return _run(folder, environment, code=code)


def _run(folder: Path | str, environment: Mapping[str, str], **what: Any) -> Done:
    with tempfile.TemporaryDirectory() as said:
        out, err = Path(said) / "out", Path(said) / "err"
        where = {"folder": str(Path(folder).resolve()), "environment": dict(environment), "files": [str(out), str(err)]}
        first = _first()
        print(json.dumps({**where, **what}), file=first.stdin, flush=True)
        code = int(first.stdout.readline())
        return Done(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


@functools.cache
def _first() -> Any:
    """Ends with the tests."""
    first = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(_end, first)
    return first


def _end(first: subprocess.Popen[str]) -> None:
    first.communicate()


# --- in the process that forks --------------------------------------------------------------------------------------


def fork_for_each_line() -> None:
    """Each line says what to run; the answer is how it ended. DuckDB has threads, which no fork survives: it is left out."""
    import psycopg2  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import bitrix24_source.app.run
    import bitrix24_source.source  # noqa: F401

    gc.freeze()  # nothing of it is garbage: looking there at the end of each process would take long
    while line := sys.stdin.readline():
        child = os.fork()
        if not child:
            return run(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201 - the answer
    return None


def run(folder: str, environment: dict[str, str], files: list[str], arguments: list[str] = (), code: str = "") -> None:
    """In the child, of which nothing is left then that the first process has of its own."""
    signal.alarm(SECONDS)
    for number, file in enumerate((os.devnull, *files)):
        opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    if environment.get("PYTHONWARNINGS") == "ignore":
        warnings.simplefilter("ignore")
    os.chdir(folder)
    sys.path[0] = ""
    if code:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - it is the test's own
    else:
        sys.argv = ["bitrix24", *arguments]
        runpy.run_module("bitrix24_source.app.cli", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    fork_for_each_line()

"""Loads that are killed, starved and lied to, and after each bout of it the tables compared with the portal.

A portal on loopback, in which people work; loads of it in processes of their own, killed at moments of every kind; spoiled
answers, expired tokens, lost working folders. Then one load in peace, and the comparison: ids, values, `deleted_at`. The same
seed makes the same plan; what the clock of the machine decides differs from run to run.

    python tests/survival/chaos/chaos.py                      for seven minutes, seeds from 1 on
    python tests/survival/chaos/chaos.py --seed 7 --bouts 3   one seed alone
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from compare import differences
from moments import AT_ANY_TIME, MOMENTS, wait_for
from scene import Scene

BOUTS_OF_A_SEED = 4
LONGEST_LOAD = 120.0
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SECONDS_TO_END = 20.0
"""that a load may take after Ctrl-C; the database may have to finish a statement"""


class Wrong(Exception):  # noqa: N818 - what this test is looking for
    """A load did what it must not do."""


class Loads:
    """Loads of one scene into one folder, one after the other."""

    def __init__(self, scene: Scene, folder: Path, resources: Sequence[str] = ()) -> None:
        self.scene, self.folder = scene, folder
        self._chosen = [option for name in resources for option in ("--resource", name)]
        self.kills: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()
        self.lost_folders = 0
        self.authorised_again = 0
        self.method = scene.rng.choice(["webhook", "oauth2", "oauth2", "api_key"])
        self.slice_rows = max(50, len(scene.portal.items(177)) // scene.rng.choice([1, 3, 8]))
        self._credentials = scene.server.credentials()[self.method]
        self._log = folder / "stderr.txt"
        self._killed_lately = False

    @property
    def working_folder(self) -> Path:
        return self.folder / "dlt" / "pipelines" / "bitrix24"

    @property
    def database(self) -> Path:
        return self.folder / "bitrix24_data.duckdb"

    def killed(self, moment: str) -> str:
        """A load that is ended by a signal; says how it came."""
        rng = self.scene.rng
        how = rng.choice(SIGNALS)
        load = self._start()
        try:
            if not wait_for(moment, self.working_folder, self.scene, lambda: load.poll() is not None, rng):
                self._check(load)
                return f"done before it was {moment}"
            load.send_signal(how)
            started = time.monotonic()
            load.wait(SECONDS_TO_END if how == signal.SIGINT else LONGEST_LOAD)
        except subprocess.TimeoutExpired:
            raise Wrong(f"{how.name} {moment}: still there after {time.monotonic() - started:.0f} s") from None
        finally:
            load.kill()
            load.wait()
        self.kills[f"{how.name} {moment}"] += 1
        self._killed_lately = True
        lost = rng.random() < 0.2
        if lost:
            shutil.rmtree(self.folder / "dlt" / "pipelines", ignore_errors=True)
            self.lost_folders += 1
        return f"{how.name} {moment}" + (", folder lost" if lost else "")

    def finished(self, *options: str) -> int:
        """A load that is left alone; its exit code."""
        load = self._start(*options)
        try:
            load.wait(LONGEST_LOAD)
        except subprocess.TimeoutExpired:
            load.kill()
            raise Wrong(f"a load did not end within {LONGEST_LOAD:.0f} s:\n{self._said()}") from None
        return self._check(load)

    def in_peace(self) -> None:
        """A load that must succeed. A pair of tokens that died with the process is authorised anew, and counted."""
        code = self.finished("--sweep")
        if code == 1 and "invalid_grant" in self._said() and self._killed_lately:
            self._credentials = {**self._credentials, "refresh_token": self.scene.portal.access.issue().refresh_token}
            self.authorised_again += 1
            code = self.finished("--sweep")
        if code != 0:
            raise Wrong(f"a load in peace ended with {code}:\n{self._said()}")
        self._killed_lately = False

    def leaked(self) -> list[str]:
        """Files that hold a secret; the token file may."""
        secrets = [secret.encode() for secret in self.scene.portal.access.secrets()]
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        holding = [path for path in files if any(secret in path.read_bytes() for secret in secrets)]
        return [str(path) for path in holding if path.parent != self.folder / "dlt" / "bitrix24"]

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        settings = {
            **{f"SOURCES__BITRIX24__CREDENTIALS__{key.upper()}": value for key, value in self._credentials.items()},
            "SOURCES__BITRIX24__SLICE_ROWS": str(self.slice_rows),
            "SOURCES__BITRIX24__OVERLAP_MINUTES": "1",
            "SOURCES__BITRIX24__MAX_DELETED_SHARE": "1",  # a small table may lose half of its rows
            "SOURCES__BITRIX24__REQUESTS_PER_SECOND": "200",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "DLT_DATA_DIR": str(self.folder / "dlt"),
            "DLT_PROJECT_DIR": str(self.folder),
            "DESTINATION__DUCKDB__CREDENTIALS": str(self.database),
        }
        command = [
            sys.executable,
            "-m",
            "bitrix24_source.app.cli",
            "load",
            "--progress",
            "none",
            *self._chosen,
            *options,
        ]
        with self._log.open("ab") as log:
            self._log_begins = log.tell()
            return subprocess.Popen(
                command, env={**os.environ, **settings}, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=log
            )

    def last_words(self) -> str:
        return self._said().strip().rpartition("\n")[2]

    def _said(self) -> str:
        return self._log.read_bytes()[self._log_begins :].decode(errors="replace")

    def _check(self, load: subprocess.Popen[bytes]) -> int:
        said = self._said()
        if load.returncode not in (0, 1, 3) or "Traceback" in said:
            raise Wrong(f"a load ended with {load.returncode}:\n{said}")
        if load.returncode and not re.search(r"^bitrix24: ", said, re.MULTILINE):
            raise Wrong(f"a load ended with {load.returncode} and said nothing:\n{said}")
        self.codes[load.returncode] += 1
        return load.returncode


def bout(scene: Scene, loads: Loads) -> str:
    """Some loads that are killed, one under fire, one in peace; raises `Wrong` unless the tables then equal the portal."""
    story = []
    with scene.working():
        for _ in range(scene.rng.choice([0, 1, 2, 2, 3, 4])):
            scene.order_faults()
            story.append(loads.killed(scene.rng.choice([AT_ANY_TIME, *MOMENTS])))
        scene.order_faults()
        code = loads.finished()
        story.append(f"exit {code}" + (f" ({loads.last_words()[:100]}...)" if code == 1 else ""))
    scene.clear_faults()
    loads.in_peace()
    wrong = differences(loads.database, scene) + [f"{path} holds a secret" for path in loads.leaked()]
    if wrong:
        raise Wrong("\n".join([*wrong[:20], f"... {len(wrong)} in all"]))
    return "; ".join(story)


def one_seed(seed: int, bouts: int, folder: Path, ends_at: float, resources: Sequence[str]) -> tuple[Scene, Loads, int]:
    """Bouts of one scene, as long as there is time."""
    scene = Scene(seed)
    try:
        loads = Loads(scene, folder, resources)
        print(f"seed {seed}: {loads.method}, slices of {loads.slice_rows} rows", flush=True)
        for number in range(bouts):
            if number and time.monotonic() > ends_at:
                return scene, loads, number
            if number:
                scene.change_the_setup()
            print(f"  {bout(scene, loads)}; equal", flush=True)
        return scene, loads, bouts
    finally:
        scene.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seed", type=int, help="this one alone")
    options.add_argument("--bouts", type=int, default=BOUTS_OF_A_SEED, help="for each seed")
    options.add_argument("--minutes", type=float, default=7.0, help="after which no new bout begins")
    options.add_argument(
        "--resource", action="append", default=[], help="to load instead of everything; may be repeated"
    )
    chosen = options.parse_args()
    ends_at = time.monotonic() + chosen.minutes * 60
    kills, codes, did, equal, lost, again = Counter[str](), Counter[int](), Counter[str](), 0, 0, 0
    seed = chosen.seed or 1
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"bitrix24-chaos-{seed}-"))
        try:
            scene, loads, bouts = one_seed(seed, chosen.bouts, folder, ends_at, chosen.resource)
        except Wrong as wrong:
            sys.exit(f"WRONG with seed {seed}; everything is in {folder}\n{wrong}")
        shutil.rmtree(folder)
        kills, codes, did = kills + loads.kills, codes + loads.codes, did + scene.did
        equal, lost, again = equal + bouts, lost + loads.lost_folders, again + loads.authorised_again
        if chosen.seed or time.monotonic() > ends_at:
            break
        seed += 1
    print(f"\nTables equal to the portal after each of {equal} bouts, seeds {chosen.seed or 1} to {seed}.")
    print(
        f"Survived {kills.total()} kills, {lost} lost working folders, "
        + ", ".join(f"{n} {what}" for what, n in did.items())
    )
    print("Kills: " + ", ".join(f"{n} {what}" for what, n in sorted(kills.items())))
    print(
        "Loads that ended by themselves, by exit code: "
        + ", ".join(f"{n} x {code}" for code, n in sorted(codes.items()))
    )
    if again:
        print(f"Authorised again, because a process was killed between the token server and its file: {again}")


if __name__ == "__main__":
    main()

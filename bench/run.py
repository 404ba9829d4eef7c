"""How fast is this connector beside others, and beside what is possible at all? `make bench` prints the answer as Markdown.

Everybody reads the same sandbox portal, in one run, in rounds: each contender once a round, in a fresh process, so that
whatever else loads the machine loads them alike. Ratios are taken round by round. Slowness is a result and no failure.

Only the standard library is imported here: a child inherits its parent's peak memory on Linux.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import databases
from process import Failed, Measured, Portal, contend
from report import Target, head, measured_table, ratio_text, say, target_table

OURS, FLOOR = "ours", "floor"
PEERS = ("fast_bitrix24 + dlt", "b24pysdk + dlt", "dlt rest_api")
CONNECTIONS = 4
"""the connector's default"""

PAGE_MS, ROW_MS, PAGE = 40.0, 0.5, 50
MILLION = 1_000_000


def main() -> int:
    options = _options()
    say(head(sys.argv[1:]))
    targets: list[Target] = []
    broken = False
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for section in options.sections:
            try:
                targets += SECTIONS[section](options, Path(folder))
            except Failed as failure:
                say(f"**{failure}**\n")
                broken = True
    say(target_table(targets))
    return 1 if broken else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3, help="rounds; medians are shown")
    parser.add_argument("--limited-rows", type=int, default=10_000, help="with the portal's limits on")
    parser.add_argument("--slow-rows", type=int, default=20_000, help="against a portal that needs time for each row")
    parser.add_argument("--million", action="store_true", help="also a million rows, for the memory that it takes")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="NAME")
    others = [*PEERS, FLOOR]
    parser.add_argument("--against", nargs="*", choices=others, default=others, metavar="NAME")
    options = parser.parse_args()
    options.contenders = [OURS, *options.against]
    return options


# --- sections -------------------------------------------------------------------------------------------------------


def _speed(options: argparse.Namespace, folder: Path) -> Iterator[Target]:
    say(f"## {options.rows:,} rows, the portal's limits off\n")
    say("Speed is measured here, and not politeness: clients that pace themselves are told that they need not.\n")
    with Portal(folder, options.rows) as portal:
        rounds = _rounds(portal, options.contenders, options.repeat, folder)
    say(measured_table(rounds))
    yield from _against_peers(rounds)
    if rounds.get(FLOOR):
        walls = [ours.wall / floor.wall for ours, floor in zip(rounds[OURS], rounds[FLOOR], strict=True)]
        yield Target("wall time against the floor", ratio_text(walls), "<= 1.5", median(walls) <= 1.5)
    yield _peak(f"peak memory at {options.rows:,} rows", rounds[OURS], 450)


def _against_peers(rounds: dict[str, list[Measured]]) -> Iterator[Target]:
    ours, peers = rounds[OURS], {name: rounds[name] for name in PEERS if rounds.get(name)}
    if not peers:
        return
    best = min(peers, key=lambda name: median(run.wall for run in peers[name]))
    speeds = [peer.wall / own.wall for peer, own in zip(peers[best], ours, strict=True)]
    yield Target(f"rows/s against the best peer ({best})", ratio_text(speeds), ">= 4", median(speeds) >= 4)
    requests, fewest = ours[0].portal.requests, min(peer[0].portal.requests for peer in peers.values())
    yield Target("requests, best peer's", f"{requests:,}, {fewest:,}", "fewer", requests < fewest)
    seconds = median(run.portal.seconds for run in ours)
    least = min(median(run.portal.seconds for run in peer) for peer in peers.values())
    yield Target("portal seconds, best peer's", f"{seconds:.2f}, {least:.2f}", "fewer", seconds < least)


def _limited(options: argparse.Namespace, folder: Path) -> Iterator[Target]:
    say(f"## {options.limited_rows:,} rows, the documented limits on\n")
    say("A bucket of 50 requests that loses 2 a second, and 480 seconds of each method in ten minutes. One round.\n")
    with Portal(folder, options.limited_rows, limited=True) as portal:
        contenders = [name for name in options.contenders if name != FLOOR]
        rounds = _rounds(portal, contenders, 1, folder)
    say(measured_table(rounds))
    refused = rounds[OURS][0].portal.refused
    yield Target("requests refused by a limit", f"{refused}", "0", refused == 0)


def _slow(options: argparse.Namespace, folder: Path) -> Iterator[Target]:
    say(f"## {options.slow_rows:,} rows from a portal that needs {PAGE_MS:g} ms a page and {ROW_MS:g} ms a row\n")
    with Portal(folder, options.slow_rows, page_ms=PAGE_MS, row_ms=ROW_MS) as portal:
        rounds = _rounds(portal, [OURS], options.repeat, folder)
    say(measured_table(rounds))
    ratios = [run.wall / (run.portal.seconds / CONNECTIONS) for run in rounds[OURS]]
    name = f"wall time against portal time / {CONNECTIONS} connections"
    yield Target(name, ratio_text(ratios), "<= 1.25", median(ratios) <= 1.25)


def _memory(options: argparse.Namespace, folder: Path) -> Iterator[Target]:
    if not options.million:
        return
    say(f"## {MILLION:,} rows, for the memory that they take\n")
    peaks = {}
    for rows in (options.rows, MILLION):
        with Portal(folder, rows) as portal:
            rounds = _rounds(portal, [OURS], 1, folder)
        say(measured_table(rounds))
        peaks[rows] = rounds[OURS][0].peak_mb
    ratio = peaks[MILLION] / peaks[options.rows]
    yield Target(f"peak memory, {MILLION:,} rows against {options.rows:,}", f"{ratio:.2f}", "<= 1.3", ratio <= 1.3)


SECTIONS = {"speed": _speed, "limits": _limited, "slow": _slow, "memory": _memory, "databases": databases.section}


def _peak(name: str, measured: list[Measured], most: int) -> Target:
    peak = max(run.peak_mb for run in measured)
    return Target(name, f"{peak:.0f} MB", f"<= {most} MB", peak <= most)


def _rounds(portal: Portal, contenders: list[str], repeat: int, folder: Path) -> dict[str, list[Measured]]:
    """A peer that fails is out of the race and named; ours or the floor failing ends the section."""
    rounds: dict[str, list[Measured]] = {name: [] for name in contenders}
    for _ in range(repeat):
        for name in list(rounds):
            try:
                rounds[name].append(contend(name, portal, folder))
            except Failed as failure:
                if name in (OURS, FLOOR):
                    raise
                say(f"{failure}\n")
                del rounds[name]
    return rounds


if __name__ == "__main__":
    sys.exit(main())

"""Runs with a time limit, their result for machines, and what reaches a terminal."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace

import pytest
from fixtures.commands import environment

from bitrix24_source import bitrix24 as bitrix24_source
from bitrix24_source.app.cli import _SafeFormatter
from bitrix24_source.app.run import run_load
from bitrix24_source.errors import ConfigError
from bitrix24_source.sandbox import Portal, SandboxServer
from bitrix24_source.source import configured_slices
from bitrix24_source.sync.session import RunSession
from bitrix24_source.sync.slice_limits import SliceLimits


@pytest.fixture
def load(portal, connect):
    """One run of deals and leads in slices of so many rows; `monotonic` gives the seconds."""

    def run(slices, **limits):
        credentials = portal.credentials(portal.base_url)["webhook"]
        source = bitrix24_source(credentials=credentials, client=connect(), slices=slices)
        return run_load(source, resources=["deals"], slices=slices, views=False, **limits)

    return run


def test_a_time_limit_ends_between_two_commits_and_the_next_run_goes_on(load, portal):
    """What is left is in the summary and in load_issues; what was read is not read again."""
    moments = iter([0, 0, 61] + [61] * 100)
    first = load(RunSession(SliceLimits(rows=50)), max_minutes=1, monotonic=lambda: next(moments))
    second = load(RunSession())

    assert 0 < first.rows["deals"] < len(portal.items(2).ids())
    assert {"deals"} == first.left.keys()
    assert 1 == first.issues
    assert (len(portal.items(2).ids()), {}) == (second.tables["deals"].rows, second.left)
    assert second.rows["deals"] <= len(portal.items(2).ids()) - first.rows["deals"]


def test_a_run_within_its_time_is_whole(load, portal):
    """A limit that is not reached changes nothing."""
    summary = load(RunSession(SliceLimits(rows=200)), max_minutes=1, monotonic=lambda: 0.0)

    assert ({}, 0, len(portal.items(2).ids())) == (summary.left, summary.issues, summary.tables["deals"].rows)


def test_a_time_limit_needs_slices(load):
    """Without them there is nothing to end between: one sentence before anything is done."""
    with pytest.raises(ConfigError, match="a time limit needs slices to end between"):
        run_load(
            bitrix24_source(credentials={"auth": "webhook", "webhook_url": "https://a.bitrix24.com/rest/1/abc/"}),
            max_minutes=1,
        )


def test_slices_begin_short_and_grow():
    """As `load` makes them: the first takes four seconds, each after it twice as long, up to slice_seconds."""
    limits = configured_slices(slice_seconds=20.0).limits

    assert [4.0, 8.0, 16.0, 20.0, 20.0] == [limits.seconds_of(number) for number in range(5)]
    assert 20.0 == SliceLimits(seconds=20.0).seconds_of(0)
    assert 0.0 == SliceLimits(seconds=0.0, first_seconds=3.0).seconds_of(0)


def test_a_short_slice_takes_the_little_that_is_left():
    """Half as much again as it has; not of a full-sized slice, nor beyond slice_rows, nor beyond the run's time."""
    short = RunSession(SliceLimits(rows=100_000, seconds=300.0, first_seconds=3.0))
    full = replace(short, slices=20)

    assert (False, False, True) == (
        short.is_full(1_000, 2.9, 50_000), short.is_full(1_000, 3.0, 500), short.is_full(1_000, 3.0, 501)
    )  # fmt: skip
    assert (False, True) == (full.is_full(1_000, 299.0, 1), full.is_full(1_000, 300.0, 1))
    assert short.is_full(100_000, 1.0, 1)
    assert replace(short, seconds_left=2.0).is_full(1_000, 2.0, 1)


@pytest.mark.parametrize(
    ("rows", "seconds", "slices"),
    [
        (0, 0.0, 1), (1_000, 0.0, 1), (1_000, 4.0, 1), (1_000, 5.9, 1), (1_000, 6.1, 2), (1_000, 4.0 + 8.0 * 1.5, 2),
        (250_000, 0.0, 3), (1_000_000, 40.0, 10), (10_000, 3_000.0, 16),
    ],
)  # fmt: skip
def test_how_many_slices_a_run_will_take(rows, seconds, slices):
    """By rows and by time, whichever ends a slice first."""
    assert slices == configured_slices().limits.expected_slices(rows, seconds)
    assert 1 == SliceLimits().expected_slices(rows, seconds)


def test_the_result_for_machines_is_one_line(bitrix24, server):
    """`load --json`: nothing else on stdout; portal, tables, issues, seconds, requests and load ids."""
    done = bitrix24(
        "load",
        "--json",
        "--progress",
        "none",
        "--no-views",
        "--resource",
        "spa_types",
        credentials=server.credentials()["webhook"],
    )
    result = json.loads(done.out)

    assert (0, 1) == (done.code, len(done.out.splitlines()))
    assert {"portal", "dataset", "tables", "issues", "left", "seconds", "requests", "load_ids"} == result.keys()
    assert {"rows": 6, "added": 6, "written": 6, "deleted": 0} == result["tables"]["spa_types"]
    assert (server.base_url.removeprefix("http://"), 0, {}) == (result["portal"], result["issues"], result["left"])
    assert result["requests"] == len(server.portal.requests) > 0
    assert result["load_ids"]


@pytest.mark.parametrize("encoding", ["cp866", pytest.param("cp1252", marks=pytest.mark.slow)])
def test_output_is_utf8_wherever_it_goes(encoding):
    """A redirected output on Windows has the machine's code page; ours is UTF-8, read here as bytes."""
    portal = Portal("empty")
    portal.add_type("Закупка оборудования €", entity_type_id=177)
    with SandboxServer(portal) as server:
        given = environment(server.credentials()["webhook"], PYTHONIOENCODING=encoding)
        command = [sys.executable, "-m", "bitrix24_source.app.cli", "spa-info"]
        done = subprocess.run(command, capture_output=True, check=False, env=given)

    assert (0, b"") == (done.returncode, done.stderr)
    assert "Закупка оборудования €".encode() in done.stdout


def test_nothing_that_a_portal_says_is_obeyed_by_a_terminal(bitrix24):
    """Escape sequences, marks of direction and line ends in a title are spelled out."""
    portal = Portal("empty")
    portal.add_type("A\x1b[2J\u202eB\nbitrix24: forged", entity_type_id=177)
    with SandboxServer(portal) as server:
        done = bitrix24("spa-info", credentials=server.credentials()["webhook"])

    assert 0 == done.code
    assert not {"\x1b", "\u202e"} & set(done.out)
    assert "\nbitrix24: forged" not in done.out


def test_a_log_line_cannot_be_forged():
    """What is logged stays one line."""
    record = logging.LogRecord("bitrix24_source", logging.WARNING, "", 0, "type %s", ("A\n\x1b[31mERROR forged",), None)
    said = _SafeFormatter("%(message)s").format(record)

    assert not {"\n", "\x1b"} & set(said)
    assert "ERROR forged" in said

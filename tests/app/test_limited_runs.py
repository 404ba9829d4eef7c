"""Runs with a time limit, their result for machines, and what reaches a terminal."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest
from fixtures.commands import environment

from bitrix24_source import bitrix24 as bitrix24_source
from bitrix24_source.app.cli import _SafeFormatter
from bitrix24_source.app.run import run_load
from bitrix24_source.errors import ConfigError
from bitrix24_source.sandbox import Portal, SandboxServer
from bitrix24_source.source import configured_slices
from bitrix24_source.sync.session import RunSession


@pytest.fixture
def load(portal, connect):
    """One run of deals and leads in slices of so many rows; `monotonic` gives the seconds."""

    def run(slices, **limits):
        credentials = portal.credentials(portal.base_url)["webhook"]
        source = bitrix24_source(credentials=credentials, client=connect(), slices=slices)
        return run_load(source, resources=["deals"], slices=slices, **limits)

    return run


def test_a_time_limit_ends_between_two_commits_and_the_next_run_goes_on(load, portal):
    """What is left is in the summary and in load_issues; what was read is not read again."""
    moments = iter([0, 0, 61] + [61] * 100)
    first = load(RunSession(rows=50), max_minutes=1, monotonic=lambda: next(moments))
    second = load(RunSession())

    assert 0 < first.rows["deals"] < len(portal.items(2).ids())
    assert {"deals"} == first.left.keys()
    assert 1 == first.issues
    assert (len(portal.items(2).ids()), {}) == (second.tables["deals"].rows, second.left)
    assert second.rows["deals"] <= len(portal.items(2).ids()) - first.rows["deals"]


def test_a_run_within_its_time_is_whole(load, portal):
    """A limit that is not reached changes nothing."""
    summary = load(RunSession(rows=50), max_minutes=1, monotonic=lambda: 0.0)

    assert ({}, 0, len(portal.items(2).ids())) == (summary.left, summary.issues, summary.tables["deals"].rows)


def test_a_time_limit_needs_slices(load):
    """Without them there is nothing to end between: one sentence before anything is done."""
    with pytest.raises(ConfigError, match="a time limit needs slices to end between"):
        run_load(
            bitrix24_source(credentials={"auth": "webhook", "webhook_url": "https://a.bitrix24.com/rest/1/abc/"}),
            max_minutes=1,
        )


def test_slices_begin_small_and_grow():
    """As `load` makes them: the first is one request's worth, each after it twice as many, up to slice_rows."""
    session = configured_slices(slice_rows=20_000)
    sizes = []
    for number in range(6):
        session.slices = number
        sizes.append(session.slice_rows)

    assert [2_500, 5_000, 10_000, 20_000, 20_000, 20_000] == sizes
    assert 100 == RunSession(rows=100).slice_rows
    assert 0 == RunSession(rows=0, first_rows=10).slice_rows


def test_the_result_for_machines_is_one_line(bitrix24, server):
    """`load --json`: nothing else on stdout; portal, tables, issues, seconds, requests and load ids."""
    done = bitrix24(
        "load", "--json", "--progress", "none", "--resource", "spa_types", credentials=server.credentials()["webhook"]
    )
    result = json.loads(done.out)

    assert (0, 1) == (done.code, len(done.out.splitlines()))
    assert {"portal", "dataset", "tables", "issues", "left", "seconds", "requests", "load_ids"} == result.keys()
    assert {"rows": 6, "added": 6, "written": 6, "deleted": 0} == result["tables"]["spa_types"]
    assert (server.base_url.removeprefix("http://"), 0, {}) == (result["portal"], result["issues"], result["left"])
    assert result["requests"] == len(server.portal.requests) > 0
    assert result["load_ids"]


@pytest.mark.parametrize("encoding", ["cp1252", "cp866"])
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

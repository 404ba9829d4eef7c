"""Runs with a time limit, their result for machines, and what reaches a terminal."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace

import dlt
import pytest
import requests
from dlt.common.runtime.run_context import RunContext, switched_run_context
from dlt.load.load import Load
from fixtures.item_warehouse import PLAIN

from bitrix24_source import bitrix24 as bitrix24_source
from bitrix24_source.app.cli import _SafeFormatter
from bitrix24_source.app.dry_run import plan_load
from bitrix24_source.app.run import DEFAULTS, make_pipeline, run_load
from bitrix24_source.errors import ConfigError
from bitrix24_source.rest.client import Client
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter, SandboxServer
from bitrix24_source.source import Bitrix24Credentials, configured_slices, fallback_configuration
from bitrix24_source.source.credentials import auth_from_credentials
from bitrix24_source.sync.session import RunSession
from bitrix24_source.sync.slice_limits import SliceLimits

ITEMS = 100


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A run that its time limit ends, a plan of what is left, and a run within its time; and how many tables dlt took
    at once, with how many threads of DuckDB.
    """
    clock = Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))
    portal = Portal("empty", clock=clock)
    portal.add_type("Requests", entity_type_id=177, items=ITEMS, off=PLAIN)
    folder = tmp_path_factory.mktemp("limited")
    file = dlt.destinations.duckdb(str(folder / "limited.duckdb"))
    to = {"pipeline_name": "limited", "destination": file, "dataset": "crm", "resources": ["spa_items"]}
    moments, workers, threads, load_of_dlt = iter([0, 0, 61] + [61] * 100), [], [], Load.run

    def source(slices):
        session = requests.Session()
        session.mount("https://", SandboxAdapter(portal))
        credentials = portal.credentials(portal.base_url)["webhook"]
        client = Client(auth_from_credentials(Bitrix24Credentials(**credentials)), clock=clock, session=session)
        chosen = {"slices": slices, "select": {177: ["title"]}}
        return bitrix24_source(credentials=credentials, client=client, **chosen), client

    def load(monotonic):
        slices = RunSession(SliceLimits(rows=50))
        return run_load(source(slices)[0], slices=slices, views=False, max_minutes=1, monotonic=monotonic, **to)

    def seen(self, pool):
        workers.append(self.config.workers)
        threads.extend(threads_of(dlt.current.pipeline()))
        return load_of_dlt(self, pool)

    with switched_run_context(RunContext(str(folder))), pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
        first = load(lambda: next(moments))
        slices = configured_slices()
        plan = plan_load(*source(slices), slices, **to)
        patch.setattr(Load, "run", seen)
        second = load(lambda: 0.0)
    return SimpleNamespace(first=first, plan=plan, second=second, workers=workers, threads=threads)


def threads_of(pipeline):
    """How many threads DuckDB has for a pipeline."""
    with pipeline.destination_client() as client:
        return client.sql_client.execute_sql("select current_setting('threads')")


def test_a_time_limit_ends_between_two_commits_and_the_next_run_goes_on(limited):
    """What is left is in the summary and in load_issues; what was read is not read again."""
    first, second = limited.first, limited.second

    assert 0 < first.rows["spa_items_177"] < ITEMS
    assert {"spa_items_177"} == first.left.keys()
    assert 1 == first.issues
    assert second.rows["spa_items_177"] <= ITEMS - first.rows["spa_items_177"]


def test_a_run_within_its_time_is_whole(limited):
    """A limit that is not reached changes nothing."""
    second = limited.second

    assert ({}, 0, ITEMS) == (second.left, second.issues, second.tables["spa_items_177"].rows)


def test_a_load_that_was_cut_off_has_a_rest(limited):
    """What it has read is not read again, and the plan counts what is left."""
    (items,) = limited.plan.lists

    assert "rest" == items.load
    assert items.items - limited.first.rows["spa_items_177"] == items.reads


def test_duckdb_takes_one_table_after_the_other_in_long_loads(limited):
    """From the second slice on: what a table takes of memory is given back before the next one; short loads go side by side."""
    first, *later = limited.workers

    assert first > 1
    assert {1} == set(later)


def test_duckdb_works_in_one_thread(limited, tmp_path, monkeypatch):
    """Others would only spin beside it; who configures more has more, and what others load is not touched."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG", '{"threads": 3}')
    with fallback_configuration(DEFAULTS):
        file = dlt.destinations.duckdb(str(tmp_path / "threads.duckdb"))
        configured = threads_of(make_pipeline("other", file, "crm", None, str(tmp_path)))
    monkeypatch.undo()

    assert ({(1,)}, [(3,)]) == (set(limited.threads), configured)
    assert dlt.config.get("destination.duckdb.credentials.global_config") is None


def test_a_time_limit_needs_slices():
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
    full = replace(short, slice_count=20)

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


@pytest.mark.parametrize("encoding", ["cp866", "cp1252"])
def test_output_is_utf8_wherever_it_goes(bitrix24, encoding):
    """A redirected output on Windows has the machine's code page; ours is UTF-8, as which it is read here."""
    portal = Portal("empty")
    portal.add_type("Закупка оборудования €", entity_type_id=177)
    with SandboxServer(portal) as server:
        done = bitrix24("spa-info", credentials=server.credentials()["webhook"], PYTHONIOENCODING=encoding)

    assert (0, "") == (done.code, done.err)
    assert "Закупка оборудования €" in done.out


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

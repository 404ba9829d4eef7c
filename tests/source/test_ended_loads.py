"""A load that ends early leaves nothing at work: the reader's threads end with it, and not when the source is forgotten."""

from __future__ import annotations

import dlt
import pytest

from bitrix24_source import bitrix24
from bitrix24_source.sandbox import Portal

LISTS = ("spa_items", "deals", "stage_history", "activities")


@pytest.fixture
def portal(clock):
    return Portal("demo", items=20, clock=clock)


@pytest.fixture
def source(threads_left, portal, client):
    credentials = portal.credentials(portal.base_url)["webhook"]
    return bitrix24(credentials=credentials, client=client, spa_types=[177]).with_resources(*LISTS)


@pytest.fixture
def pipeline(tmp_path):
    return dlt.pipeline(
        "ended", pipelines_dir=str(tmp_path), destination=dlt.destinations.duckdb(str(tmp_path / "a.db"))
    )


@pytest.mark.parametrize("mode", ["fifo", "round_robin"])
@pytest.mark.parametrize("failing", ["spa_items", "stage_history"])
def test_a_load_that_fails_at_its_first_row(threads_left, source, pipeline, monkeypatch, failing, mode):
    """Whichever list fails: the others are gone with it, those, too, that dlt has never asked for a row."""
    monkeypatch.setenv("EXTRACT__NEXT_ITEM_MODE", mode)
    alive = []

    def fail(_row):
        alive.extend(threads_left())
        raise RuntimeError("somebody's step failed")

    source.resources[failing].add_map(fail)
    with pytest.raises(Exception, match="somebody's step failed"):
        pipeline.extract(source)

    assert alive
    assert threads_left() == []


@pytest.mark.parametrize("mode", ["fifo", "round_robin"])
def test_a_limit_for_all_lists(threads_left, source, pipeline, monkeypatch, mode):
    """`add_limit` ends each list after a row or two; then nobody reads."""
    monkeypatch.setenv("EXTRACT__NEXT_ITEM_MODE", mode)
    pipeline.extract(source.add_limit(1))

    assert threads_left() == []

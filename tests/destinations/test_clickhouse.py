"""ClickHouse, by its own engine: dlt's tables and merges, our views and marts hold and say what they do in DuckDB."""

# ruff: noqa: S608 - numbers of our own

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timezone

import clickhouse
import pytest
from clickhouse import ClickHouse
from databases import DuckDB

from bitrix24_source import create_views
from bitrix24_source.sandbox import Portal
from bitrix24_source.views.marts import MARTS

pytestmark = pytest.mark.skipif(bool(clickhouse.why_no_clickhouse()), reason=clickhouse.why_no_clickhouse())

OF_THE_RUN = {"load_id", "loaded_at", "age_hours", "occurred_at"}
"""columns that differ between two runs"""
FIRST, LAST = date(1970, 1, 1), date(2149, 6, 6)
"""days that dlt's type for dates holds"""


class Pair:
    """A portal that is loaded into DuckDB and into ClickHouse."""

    def __init__(self, portal, load, pipeline, folder):
        self.portal, self._load = portal, load
        folder.mkdir()
        self.databases = self.duck, self.house = DuckDB(folder), ClickHouse()
        self.pipelines = [pipeline(one.destination, one.dataset) for one in self.databases]

    def run(self, **arguments):
        for pipeline in self.pipelines:
            self._load(self.portal, pipeline, **arguments)

    def create_views(self):
        assert [[], []] == [create_views(pipeline) for pipeline in self.pipelines]

    def differences(self, *relations):
        """Relations whose columns or rows differ, all tables where none is named."""
        wrong = []
        for relation in relations or [name for name in self.duck.types() if not name.startswith("_")]:
            ours, theirs = (database.columns(relation) for database in self.databases)
            if set(ours) != set(theirs):
                wrong.append((relation, set(ours) ^ set(theirs)))
                continue
            names = [name for name in ours if name not in OF_THE_RUN]
            found = [rows_of(database, relation, names) for database in self.databases]
            if found[0] != found[1]:
                wrong.append(
                    (relation, list((found[0] - found[1]).items())[:2], list((found[1] - found[0]).items())[:2])
                )
        return wrong


def rows_of(database, relation, names):
    """How often each row is there; numbers to nine digits."""
    return Counter(tuple(map(comparable, row.values())) for row in database.rows(relation, *names))


def comparable(value):
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc)
    return f"{value:.9g}" if isinstance(value, float) else value


@pytest.fixture(scope="module", autouse=True)
def engine_in_process():
    with clickhouse.in_process():
        yield


@pytest.fixture
def pair(load, pipeline, tmp_path):
    """Makes pairs."""
    made = []

    def make(portal):
        made.append(Pair(portal, load, pipeline, tmp_path / f"pair{len(made)}"))
        return made[-1]

    yield make
    for database in (database for one in made for database in one.databases):
        database.drop()


def test_everything_of_a_portal(clock, pair):
    """Every table, every labelled view and every mart of the believable portal has the rows that it has in DuckDB.

    After a first load, and after a merge of what changed, a deletion that is marked, and one that was taken back.
    """
    portal = Portal(scenario="demo", items=60, clock=clock)
    both = pair(portal)
    both.run()
    both.create_views()
    views = [name for name in both.duck.types() if name.endswith("_labeled")]

    assert len(views) > 10
    assert [] == both.differences()
    assert [] == both.differences(*MARTS, *views)

    deals = portal.items(2)
    gone, changed, *_ = deals.ids()
    deals.delete(gone)
    deals.update(changed, title="Changed", observers=[], stageId="WON")
    clock.advance(3600)
    both.run(sweep=True)
    both.create_views()
    assert [(1,)] == both.house.query("select count(deleted_at) from {}.deals")
    assert [("Changed",)] == both.house.query(f"select title from {{}}.deals where id = {changed}")
    assert [] == both.differences()
    assert [] == both.differences(*MARTS, *views)

    deals.restore(gone)
    clock.advance(3600)
    both.run(sweep=True)
    assert [(0,)] == both.house.query("select count(deleted_at) from {}.deals")
    assert [] == both.differences()
    assert [] == both.differences("mart_items", "deals_labeled")

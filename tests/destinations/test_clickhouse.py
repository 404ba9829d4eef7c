"""ClickHouse, by its own engine: dlt's tables and merges, our views and marts hold and say what they do in DuckDB."""

# ruff: noqa: S608 - numbers of our own

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timezone
from decimal import Decimal
from types import SimpleNamespace

import clickhouse
import pytest
import superset_bundle
from clickhouse import ClickHouse, ask
from databases import DuckDB
from dlt.common.runtime.run_context import switched_run_context
from sqlglot import parse_one

from bitrix24_source import create_views, drop_views
from bitrix24_source.sandbox import Clock, Portal
from bitrix24_source.schema.fields import Field
from bitrix24_source.views.clickhouse import LIMITS
from bitrix24_source.views.clickhouse_queries import for_clickhouse
from bitrix24_source.views.column_names import NameRules
from bitrix24_source.views.marts import MARTS, MartBuilder, Zone
from bitrix24_source.views.query import LabeledView, StoredTables

from .conftest import ITEMS, make_awkward_portal

pytestmark = pytest.mark.skipif(bool(clickhouse.why_no_clickhouse()), reason=clickhouse.why_no_clickhouse())

OF_THE_RUN = {"load_id", "loaded_at", "age_hours", "occurred_at"}
"""columns that differ between two runs"""


class Pair:
    """A portal that is loaded into DuckDB and into ClickHouse."""

    def __init__(self, portal, load, pipeline, folder):
        self.portal, self._load = portal, load
        self.databases = self.duck, self.house = DuckDB(folder), ClickHouse()
        self.pipelines = [pipeline(database.destination, database.dataset) for database in self.databases]

    def run(self, **arguments):
        for pipeline in self.pipelines:
            with switched_run_context(pipeline.run_context):
                self._load(self.portal, pipeline, **arguments)

    def run_house(self, **arguments):
        self._load(self.portal, self.pipelines[1], **arguments)

    def create_views(self):
        assert [[], []] == [create_views(pipeline) for pipeline in self.pipelines]

    def differences(self, *relations):
        """Relations whose columns or rows differ; tables, labelled views and marts where none is named."""
        wrong = []
        types = [database.types() for database in self.databases]
        for relation in relations or [name for name in types[0] if not name.startswith("_")]:
            ours, theirs = (
                [name for name in known.get(relation, ()) if not name.startswith("_dlt")] for known in types
            )
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

    def charts(self):
        """What each chart of the Superset dashboard shows, from either database; where it shows the first few, of all."""
        queries = [dict(superset_bundle.chart_queries(database.engine)) for database in self.databases]
        for chart in queries[0]:
            answers = [
                database.query(sql[chart].rpartition(" LIMIT ")[0])
                for database, sql in zip(self.databases, queries, strict=True)
            ]
            width = -1 if chart == "Load health" else None  # its last column is the age of the load
            yield chart, [Counter(tuple(map(figure, row[:width])) for row in rows) for rows in answers]


def rows_of(database, relation, names):
    """How often each row is there; numbers to nine digits. Of days, which are many, words are compared for the last hundred."""
    if relation == "mart_stage_daily":
        last = f"select {', '.join(names)} from {{}}.{relation} where day > '2025-03-23'"
        figures = f"select entity_type_id, category_id, stage_id, day, items, amount_base from {{}}.{relation}"
        rows = database.query(last) + database.query(figures)
    else:
        rows = [row.values() for row in database.rows(relation, *names)]
    return Counter(tuple(map(comparable, row)) for row in rows)


def comparable(value):
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc)
    return f"{value:.9g}" if isinstance(value, float) else value


def figure(value):
    """As a chart shows it: days without a time, numbers of whatever type."""
    if isinstance(value, date):
        return f"{value:%Y-%m-%d}"
    return f"{value:.9g}" if isinstance(value, (int, float, Decimal)) else value


@pytest.fixture(scope="module", autouse=True)
def engine_in_process():
    with clickhouse.in_process():
        yield


@pytest.fixture(scope="module")
def pair(load, pipeline, tmp_path_factory):
    """Makes pairs."""
    made = []

    def make(portal):
        made.append(Pair(portal, load, pipeline, tmp_path_factory.mktemp("pair")))
        return made[-1]

    yield make
    for database in (database for both in made for database in both.databases):
        database.drop()


SPA_TYPES = [177]
LEFT_OUT = [
    "automated_solutions", "automated_solution_types", "companies.contact_ids", "companies.fm", "companies.observers",
    "contacts.company_ids", "contacts.fm", "contacts.observers", "crm_field_options", "deals.contact_ids", "departments", "invoices",
    "leads.contact_ids", "leads.fm", "leads.observers", "quotes", "spa_automations", "spa_type_linked_fields", "spa_type_relations",
    "users.uf_department",
]  # fmt: skip
"""tables of which there is another of the same kind"""
CRM_TYPES, FEW = (1, 2, 3, 4), 40
"""leads, deals, contacts and companies, and how many of each"""
FEW_LISTS = ("isClientEnabled", "isObserversEnabled")
KINDS = (("enumeration", "one"), ("datetime", "one"), ("enumeration", "more"), ("crm", "more"), ("employee", "more"))
"""fields whose values views show in a way of their own, and that the believable portal's process has not"""
NASTY = ("item", "a;b", "100%", "%s %(x)s", "back\\slash", 'quo"te', "l0", "tick`s", "имя")
"""titles, some of which are names or words of the view's own SQL, or of the driver's"""


@pytest.fixture(scope="module")
def everything(pair):
    """The believable portal after one load of all of it but for what is like the rest, with views.

    Its smart process has fields with such titles, and an item whose stage and person are not to be found.
    """
    portal = Portal(scenario="demo", items=30, clock=Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc)))
    portal.switch_feature(177, "isClientEnabled", on=False)
    for type_ in CRM_TYPES:
        for id_ in portal.items(type_).ids()[FEW:]:
            portal.items(type_).delete(id_)
    for kind, values in KINDS:
        options = ["Low", "High", "None"] if kind == "enumeration" else []
        portal.add_field(
            177, f"{kind}_{values}".upper(), kind, f"{kind}, {values}", multiple=values == "more", options=options
        )
    names = [portal.add_field(177, f"F{n}", "string", title, pool=[title]) for n, title in enumerate(NASTY)]
    many = portal.add_field(177, "MANY", "string", "Many; of 100%", multiple=True, pool=[None])
    items = portal.items(177)
    items.update(items.ids()[0], **{many: ["b", "a;", "50%"], names[0]: None})
    items.update(items.ids()[1], assignedById=4711, stageId="DT177_9:NONE")
    for id_, amount in zip(portal.items(2).ids()[2:], (0.29, 0.57, 1.15, 4.35, 1.005), strict=False):
        portal.items(2).update(id_, opportunity=amount)  # whose nearest doubles are less
    both = pair(portal)
    both.run(spa_types=SPA_TYPES, leave_out=LEFT_OUT)
    both.create_views()
    return both


def test_everything_of_a_portal(everything):
    """Every table, labelled view and mart has the rows that it has in DuckDB."""
    relations = everything.duck.types().keys()

    assert set(MARTS) < relations
    assert 5 == len([name for name in relations if name.endswith("_labeled")])
    assert [] == everything.differences()


def test_the_dashboard_shows_the_same(everything):
    """Every metric can be asked for, and every chart of the Superset dashboard shows what it shows of DuckDB."""
    for mart, metrics in superset_bundle.metric_queries():
        assert 1 == len(everything.house.query(f"select {metrics} from {{}}.{mart}"))
    for chart, answers in everything.charts():
        assert answers[0] == answers[1], chart


def test_titles_of_every_kind_are_columns(everything):
    """Whatever a title holds, the column has it and the field's values; what is looked up in vain is NULL, not empty."""
    first, second, *_ = sorted(everything.house.rows("spa_items_177_labeled"), key=lambda row: row["ID"])

    assert [None, *NASTY[1:]] == [first[title] for title in NASTY]
    assert "b, a;, 50%" == first["Many; of 100%"]
    assert (None, 4711) == (second["Assigned to"], second["Assigned to ID"])
    assert (None, "DT177_9:NONE") == (second["Stage"], second["Stage ID"])


def test_nulls_do_not_depend_on_who_reads(everything):
    """A reader whose own settings are ClickHouse's defaults, and one who has set the contrary, get NULL for what is not found."""
    where = "{}.spa_items_177_labeled where `Assigned to ID` = 4711"
    for settings in ("", " settings join_use_nulls = 0", " settings join_use_nulls = 1"):
        assert [(None,)] == everything.house.query(f"select `Assigned to` from {where}{settings}")
    assert [(1,)] == everything.house.query(f"select count() from {where} and `Assigned to` is null")


@pytest.fixture(scope="module")
def changed(everything):
    """After a second load, of a deal that has changed and one that is deleted: that one, and what there was of it before."""
    deals = everything.portal.items(2)
    gone, changed, *_ = deals.ids()
    seen = SimpleNamespace(gone=gone, changed=changed, before=rows_of_deal(everything.house, gone))
    deals.delete(gone)
    deals.update(changed, title="Changed", observers=[], stageId="WON")
    everything.portal.clock.advance(3600)
    everything.run(resources=MERGED, sweep=True, spa_types=SPA_TYPES, leave_out=LEFT_OUT)
    assert [] == create_views(everything.pipelines[0])  # DuckDB keeps facts of the stages, ClickHouse asks the tables
    return seen


MERGED = ("deals", "stage_history", "product_rows")


def test_changes_are_merged(everything, changed):
    """What changed and a deletion that is marked are in tables, views and marts as in DuckDB."""
    house = everything.house
    loaded = [name for name in everything.duck.types() if name.partition("__")[0] in MERGED]

    assert [(changed.gone,)] == house.query("select id from {}.deals where deleted_at is not null")
    assert [("Changed",)] == house.query(f"select title from {{}}.deals where id = {changed.changed}")
    assert [] == everything.differences(*loaded, "deals_labeled", "mart_items", "mart_stage_moves", "mart_products")


def rows_of_deal(house, number):
    """Of the table, its labelled view and the mart, each of which has one; without what depends on the day."""
    found = {
        "deals": house.query(f"select * except(_dlt_load_id, _dlt_id) from {{}}.deals where id = {number}"),
        "deals_labeled": house.query(f"select * from {{}}.deals_labeled where ID = {number}"),
        "mart_items": house.query(
            f"select stage, amount, company from {{}}.mart_items where id = {number} and entity_type_id = 2"
        ),
    }
    assert [1, 1, 1] == [len(rows) for rows in found.values()]
    return found


def test_views_are_kept_and_go(everything, changed):
    """An unchanged view is left alone, somebody's comment on it stays, a renamed field renames the column; at last all are gone.

    A deal that comes back meanwhile is in all of them as it was.
    """
    pipeline, house = everything.pipelines[1], everything.house
    made = "select metadata_modification_time from system.tables where name = 'crm___mart_items' and database = '{}'"
    made = made.format(house._database)
    house.query("alter table {}.mart_items modify comment 'ours; 100%'")
    house.query("alter table {}.mart_items comment column title 'ours, too'")
    before = house.query(made)
    assert [] == create_views(pipeline)
    assert before == house.query(made)

    everything.portal.world.objects[177].schema.fields["title"].title = "Caption"
    everything.portal.items(2).restore(changed.gone)
    everything.portal.clock.advance(3600)
    everything.portal.add_type("Another", entity_type_id=1052, items=2, off=FEW_LISTS)
    resources = ("spa_types", "spa_fields", "spa_items", "deals")
    everything.run_house(resources=resources, sweep=True, spa_types=[177, 1052], leave_out=LEFT_OUT)
    assert [(0,)] == house.query("select count(deleted_at) from {}.deals")
    assert changed.before == rows_of_deal(house, changed.gone)
    assert [] == create_views(pipeline)
    ours = f"comment like 'ours%' and database = '{house._database}'"
    assert [("ours; 100%",)] == house.query(f"select comment from system.tables where {ours}")
    assert [("title", "ours, too")] == house.query(f"select name, comment from system.columns where {ours}")
    assert "Caption" in house.columns("spa_items_177_labeled")
    assert [(11,)] == house.query("select count() from {}.mart_items where entity_type_id in (177, 1052)")

    assert [] == drop_views(pipeline)
    assert [] == [name for name in house.types() if name.endswith("_labeled") or name in MARTS]


@pytest.fixture(scope="module")
def awkward(pair):
    """The portal with the awkward values and names after one load, with days of its catalogue that ClickHouse does not have."""
    portal = make_awkward_portal(Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc)))
    first, second, *_ = portal.world.users
    first |= {"LAST_LOGIN": "1890-05-01T12:00:00+03:00", "DATE_REGISTER": "9999-12-31T00:00:00+03:00"}
    second |= {"LAST_LOGIN": "1900-05-01T12:00:00+03:00", "DATE_REGISTER": "2149-01-31T00:00:00+03:00"}
    portal.world.currencies[0]["DATE_UPDATE"] = "2301-01-01T00:00:00+03:00"
    both = pair(portal)
    both.run(resources=(*ITEMS, *DATED), leave_out=["users.uf_department"])
    return both


DATED = ("users", "currencies")
LOST = "select table_name, column_name, raw_value from {}.rejected_values where reason like '%destination holds%'"


def test_awkward_values_and_names(awkward):
    """Long names, quotes, backslashes, control characters and extremes of numbers are what they are in DuckDB.

    Days before 1970 and after 2149, and times before 1900 and after 2299, for which dlt's types have no room, stop no load: they
    are in rejected_values.
    """
    wrong = {relation for relation, *_ in awkward.differences()} - set(DATED)
    lost = [value for table, _, value in awkward.house.query(LOST) if table not in DATED]

    assert 3 == len(wrong)
    assert all(name == "rejected_values" or "_uf_crm_11_date" in name for name in wrong)
    days, times = ("0001-01-01", "1582-10-10", "9999-12-31"), ("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00")
    assert sorted(f'"{text}"' for text in (*days, *times)) == sorted(lost)


def test_dates_of_the_catalogue_that_do_not_fit(awkward):
    """A time before 1900 or a day after 2149 is NULL and in rejected_values; the same row's others are what they are in DuckDB."""
    portal = awkward.portal
    ids = ", ".join(user["ID"] for user in portal.world.users[:2])
    users = {database: database.query(f"select last_login, date_register from {{}}.users where id in ({ids}) order by id")
             for database in awkward.databases}  # fmt: skip

    assert (None, None) == users[awkward.house][0]
    assert list(map(comparable, users[awkward.duck][1])) == list(map(comparable, users[awkward.house][1]))
    assert [(None,)] == awkward.house.query(
        f"select date_update from {{}}.currencies where currency = '{portal.world.currencies[0]['CURRENCY']}'"
    )
    assert {("users", "last_login"), ("users", "date_register"), ("currencies", "date_update")} == {
        row[:2] for row in awkward.house.query(LOST) if row[0] in DATED
    }


MOMENT = "CAST('2026-01-01 00:00:{}+00' AS TIMESTAMPTZ)"
OTHERWISE = {
    "the extremes of no rows are NULL": ("SELECT MIN(x) AS a, MAX(x) AS b FROM (SELECT 1 AS x) AS t WHERE x > 5", [(None, None)]),
    "nothing follows the last row": (
        "SELECT x, LEAD(x) OVER (ORDER BY x) AS next FROM (SELECT 1 AS x UNION ALL SELECT 2 AS x) AS t ORDER BY x",
        [(1, 2), (2, None)],
    ),
    "what is joined in vain is NULL": (
        "SELECT t.x, u.y FROM (SELECT 1 AS x) AS t LEFT JOIN (SELECT 2 AS x, 'y' AS y) AS u ON u.x = t.x", [(1, None)]
    ),
    "a list of nothing is NULL": ("SELECT STRING_AGG(CAST(NULL AS TEXT), ', ' ORDER BY 1) AS a", [(None,)]),
    "a list has its order": (
        "SELECT STRING_AGG(x, ', ' ORDER BY n) AS a FROM (SELECT 'a' AS x, 10 AS n UNION ALL SELECT 'b', 2) AS t", [("b, a",)]
    ),
    "seconds have fractions": (f"SELECT DATEDIFF('second', {MOMENT.format('00')}, {MOMENT.format('01.75')}) AS a", [(1.75,)]),
    "a day may be later than 2149": ("SELECT CAST('2160-01-03' AS DATE) AS a", [(date(2160, 1, 3),)]),
    "a decimal is rounded": ("SELECT CAST(t.x AS DECIMAL(18, 2)) AS a FROM (SELECT 0.29 * 1E0 AS x) AS t", [(Decimal("0.29"),)]),
    "a condition is a truth": ("SELECT t.x = 1 AS a, NOT t.x = 1 AS b FROM (SELECT 1 AS x) AS t", [(True, False)]),
    "a column comes before an alias": ("SELECT UPPER(x) AS x FROM (SELECT 'a' AS x) AS t WHERE x = 'a'", [("A",)]),
}  # fmt: skip


@pytest.mark.parametrize(("query", "rows"), OTHERWISE.values(), ids=OTHERWISE.keys())
def test_queries_mean_what_they_mean_elsewhere(query, rows):
    """ClickHouse by itself answers otherwise, or cannot answer; a condition gives a truth and no number."""
    found = ask(for_clickhouse(parse_one(query, dialect="duckdb")).sql("clickhouse"))[0]

    assert rows == found
    assert [list(map(type, row)) for row in rows] == [list(map(type, row)) for row in found]


READING = {
    "max_query_size": 256 << 10, "max_ast_elements": 50_000, "max_expanded_ast_elements": 500_000,
    "max_ast_depth": 1_000, "max_parser_depth": 1_000, "max_subquery_depth": 100,
}  # fmt: skip
"""what ClickHouse allows a statement by default; those who read views have no other settings"""


def limited_to(settings, share):
    """As much of each limit as so many of all types have a right to."""
    ask(f"SET {', '.join(f'{setting} = {value // share}' for setting, value in settings.items())}")


@pytest.mark.parametrize(
    ("mart", "share"),
    [("mart_items", 5)]
    + [pytest.param(mart, 1, marks=pytest.mark.slow) for mart in ("mart_items", "mart_owner_month")],
)
def test_many_types_and_a_wide_one(mart, share):
    """Three hundred smart processes, one of them with a hundred people, are within what the engine parses and plans.

    A fifth of them is within a fifth of it.
    """
    house = ClickHouse()
    people = {f"uf_crm_{number}": "bigint" for number in range(100 // share)}
    columns = {
        "id": "bigint",
        "title": "text",
        "stage_id": "text",
        "created_time": "timestamp",
        "deleted_at": "timestamp",
    }
    numbers = range(1040, 1040 + 600 // share, 2)
    tables = {f"spa_items_{number}": columns for number in numbers} | {"spa_items_1040": columns | people}
    tables["users"] = {"id": "bigint", "name": "text", "last_name": "text"}
    types = {"bigint": "Nullable(Int64)", "text": "Nullable(String)", "timestamp": "Nullable(DateTime64(6, 'UTC'))"}
    for table, known in tables.items():
        listed = ", ".join(f"{name} {types[type_]}" for name, type_ in known.items())
        house.query(f"create table {{}}.{table} ({listed}) engine = Memory")
        if table in ("spa_items_1040", f"spa_items_{numbers[-1]}"):
            house.query(f"insert into {{}}.{table} (id, title) values (1, '{table}')")

    def path(table):
        return [house._database, f"crm___{table}"]

    stored = StoredTables(tables, path, str, NameRules(255, "clickhouse"))
    fields = [Field(name, name.upper(), "employee", f"A rather long title, {name}", is_dynamic=True) for name in people]
    builder = MartBuilder(stored, Zone("Europe/Moscow", 180))
    queries = {mart: builder.query(mart)}
    queries["wide"] = LabeledView(stored, "spa_items_1040", 1040, fields, is_spa=True).select()
    for name, query in queries.items():
        limited_to({**READING, **LIMITS}, share)
        ask(f"CREATE VIEW {house._database}.crm___{name} AS {for_clickhouse(query).sql('clickhouse')}")
    limited_to(READING, share)
    counts = {name: house.query(f"select count() from {{}}.{name}")[0][0] for name in queries}
    ask(f"SET {', '.join(f'{setting} = default' for setting in READING)}")
    house.drop()

    assert {mart: 2, "wide": 1} == counts

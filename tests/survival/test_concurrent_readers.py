"""Dashboards and loads side by side: a reader sees whole tables at every moment, and neither waits long for the other."""

# ruff: noqa: S608 - our own names

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from types import SimpleNamespace

import dlt
import psycopg2
import pytest
from databases import PostgreSQL, connect
from dlt.common.runtime.run_context import RunContext, switched_run_context
from dlt.common.storages.load_package import PackageStorage
from fixtures.item_warehouse import PLAIN
from fixtures.jobs import Job

from bitrix24_source.app import load_locks
from bitrix24_source.errors import Bitrix24Error, UnavailableError
from bitrix24_source.sandbox import Clock, Portal
from bitrix24_source.source import catalog_resources, lock_waits
from bitrix24_source.views import database as view_database

DICTIONARIES = ("spa_types", "spa_fields", "spa_stages", "users", "users__uf_department")
FEW = ("spa_types", "spa_fields", "spa_items")
"""what the view of a smart process stands on"""
RESOURCES = (*(name for name in DICTIONARIES if "__" not in name), "spa_items")
VIEW = "spa_items_177_labeled"
UNLABELLED = f'select count(*) from {{}}.{VIEW} where "Stage" is null and "Stage ID" is not null'


def make_office(clock):
    """A portal with people and two smart processes whose items have stages."""
    portal = Portal(scenario="empty", clock=clock)
    portal.add_type("Requests", entity_type_id=177, items=6, off=PLAIN)
    portal.add_type("Lots", entity_type_id=1030, items=1, off=PLAIN)
    portal.add_field(177, "KIND", "enumeration", "Kind", options=["a", "b"])
    return portal


@pytest.fixture(params=["postgres", pytest.param("duckdb", marks=pytest.mark.slow)])
def line(request, copied_job):
    """A job after its first run; nobody else may read a DuckDB file meanwhile."""
    engine = request.getfixturevalue("postgres_engine") if request.param == "postgres" else "duckdb"
    return copied_job(make_office, *RESOURCES, engine=engine, views=True)


@pytest.fixture
def at_each_job(monkeypatch):
    """at_each_job(look): calls it after each job of the loads that follow, with the number of the job."""

    def watch(look):
        whole, done = PackageStorage.complete_job, []

        def complete(*args, **kwargs):
            result = whole(*args, **kwargs)
            done.append(None)
            look(len(done))
            return result

        monkeypatch.setattr(PackageStorage, "complete_job", complete)
        return done

    return watch


def counts(job):
    return {table: job.query(f"select count(*) from {{}}.{table}")[0][0] for table in DICTIONARIES}


@pytest.mark.parametrize("last", [pytest.param(1, marks=pytest.mark.slow), 6])
def test_a_reader_sees_whole_tables_at_every_moment(line, at_each_job, last):
    """After each job of a load that dies, and of the next one, each dictionary is as it was or as it will be, and each stage
    has its label. A type that was removed meanwhile is then gone with its fields and stages, and the rest stays.
    """
    before, seen = counts(line), []

    def look(number):
        seen.append((counts(line), line.query(UNLABELLED)[0][0]))
        if number == last:
            raise KeyboardInterrupt

    jobs = at_each_job(look)
    line.portal.clock.advance(3600)
    with pytest.raises(KeyboardInterrupt):
        line.run(*RESOURCES)
    died = counts(line)
    line.portal.delete_type(1030)
    line.run(*RESOURCES)
    after = counts(line)

    assert all(after.values())
    assert before == died
    assert [(before, 0)] * last == seen[:last]
    assert len(jobs) >= last + 2 * len(RESOURCES)
    wrong = [(moment, unlabelled) for moment, unlabelled in seen if unlabelled or not is_whole(moment, before, after)]
    assert [] == wrong
    for table in ("spa_types", "spa_fields", "spa_stages"):
        assert before[table] > after[table]
        assert [(177,)] == line.query(f"select distinct entity_type_id from {{}}.{table}"), table


def is_whole(moment, before, after):
    """Whether each table has as many rows as before or as after."""
    return all(rows in (before[table], after[table]) for table, rows in moment.items())


# --- sessions that do not end -------------------------------------------------------------------------------------------


@contextmanager
def idle_session(job, *tables):
    """Somebody's dashboard, which has read a view, or tables, and left its transaction open; yields its process id."""
    connection = psycopg2.connect(job.database.address, application_name="dashboard")
    try:
        with connection.cursor() as cursor:
            for table in tables or (VIEW,):
                cursor.execute(f"select count(*) from {job.database.dataset}.{table}")
        yield connection.info.backend_pid
    finally:
        connection.close()


@pytest.fixture
def short_waits(monkeypatch):
    """Locks are waited for for moments."""
    shorten(monkeypatch)


def shorten(patch):
    for module in (lock_waits, view_database, load_locks):
        patch.setattr(module, "LOCK_SECONDS", 0.2)
    patch.setattr(load_locks, "LOCK_RETRIES", 1)


LATER = {"activities": "subject", "stage_history": "stage_semantic_id", "product_rows": "price"}
"""columns of what belongs to items that are let in after the first load"""
CHANGED = (*FEW, *LATER)


@pytest.fixture(scope="module")
def beside_a_dashboard(postgres_engine, tmp_path_factory):
    """What a load did that needed new columns of tables which a dashboard reads in a transaction that does not end, and the next."""
    del postgres_engine
    folder = tmp_path_factory.mktemp("beside")
    clock = Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))
    portal = Portal("demo", items=20, clock=clock)
    for number in list(portal.world.types):
        portal.delete_type(number)
    for number in (177, 1030, 1034):
        portal.add_type(f"Process {number}", entity_type_id=number, items=6, off=PLAIN)
    line = Job(portal, clock, folder=folder / "pipelines", database=PostgreSQL(), views=True)
    with pytest.MonkeyPatch.context() as patch, switched_run_context(RunContext(str(folder))):
        shorten(patch)
        yield observe(line)
    line.database.drop()


def observe(line):
    later = {**LATER, "spa_items_1034": "title"}

    def missing():
        return {name for name, column in later.items() if column not in line.database.columns(name)}

    left_out = ["spa_types.code", *(f"{name}.{column}" for name, column in later.items())]
    line.run(*CHANGED, leave_out=left_out)
    seen = SimpleNamespace(line=line, later=later, left_out=missing())
    note = line.portal.add_field(177, "NOTE", "string", "Note", pool=["new"])
    seen.with_note = line.portal.items(177).ids()[0]
    line.portal.items(177).update(seen.with_note, title="changed", **{note: "new"})
    seen.changed, seen.deleted, *_ = line.portal.items(1030).ids()
    line.portal.items(1030).update(seen.changed, title="changed")
    line.portal.items(1030).delete(seen.deleted)
    line.portal.add_type("Sales", entity_type_id=1032, items=1)
    line.portal.clock.advance(3600)
    with idle_session(line, VIEW, "spa_items_1030_labeled", "spa_types", *LATER) as pid:
        seen.session = f"pid {pid} (dashboard, user postgres, idle in transaction since "
        seen.loaded = line.run(*CHANGED, sweep=True, max_deleted_share=1.0)
        with connect(line.database.address).cursor() as other:  # is not kept waiting by what the load waits for
            other.execute(f"set lock_timeout = 1000; select count(*) from {line.database.dataset}.{VIEW}")
    seen.hints = dict(line.query("select resource, hint from {}.load_issues"))
    seen.waiting = missing()
    seen.types = len(line.query("select entity_type_id from {}.spa_types"))
    seen.titles = {
        type_: dict(line.query(f"select id, title from {{}}.spa_items_{type_}")) for type_ in (177, 1030, 1032)
    }
    seen.marked = line.query("select id from {}.spa_items_1030 where deleted_at is not null")
    seen.second = line.run(*CHANGED)
    return seen


@pytest.fixture
def postgres_job(copied_job, postgres_engine, short_waits):
    """A job into PostgreSQL after its first run."""
    return copied_job(make_office, *FEW, engine=postgres_engine, views=True)


def test_an_idle_session_stops_no_load(beside_a_dashboard):
    """Rows are merged, and marks of deletion are set, under a view that somebody reads in a transaction that does not end."""
    assert "spa_items_1030" not in beside_a_dashboard.hints
    assert "changed" == beside_a_dashboard.titles[1030][beside_a_dashboard.changed]
    assert [(beside_a_dashboard.deleted,)] == beside_a_dashboard.marked


def test_a_new_column_waits_for_the_next_run(beside_a_dashboard):
    """What needs the lock is left for the next run, which reads it for all items; the session is named, all else is loaded."""
    seen, id_ = beside_a_dashboard, beside_a_dashboard.with_note

    assert seen.session in seen.hints["spa_items_177"]
    assert "changed" == seen.titles[177][id_]
    assert [("new",)] == seen.line.query(f'select "Note" from {{}}.{VIEW} where "ID" = {id_}')


def test_a_dictionary_that_needs_a_lock_waits_for_the_next_run(beside_a_dashboard):
    """A column of a dictionary that cannot be added: it stays as it was, the session is named, and all else is loaded."""
    seen = beside_a_dashboard

    assert seen.session in seen.hints["spa_types"]
    assert (3, 1) == (seen.types, len(seen.titles[1032]))
    assert 4 == len(seen.line.query("select code from {}.spa_types"))


def test_new_columns_of_what_belongs_to_items_wait_for_the_next_run(beside_a_dashboard):
    """As one of an item table does: all else is loaded, the session is named, and the next run fills the columns for all rows."""
    seen = beside_a_dashboard

    assert (seen.later.keys(), LATER.keys()) == (seen.left_out, seen.waiting)
    assert {"spa_items_177", "spa_types", *LATER, "views"} == seen.hints.keys()
    assert len(seen.hints) + 1 == seen.loaded.issues  # tables have changed, so both views would have been made anew
    assert [] == [name for name in LATER if seen.session not in seen.hints[name]]
    assert 0 == seen.second.issues
    not_gone = f"where entity_type_id <> 1030 or owner_id <> {seen.deleted}"
    for name, column in seen.later.items():
        of = not_gone if name in ("stage_history", "product_rows") else ""
        ((filled, rows),) = seen.line.query(f"select count({column}), count(*) from {{}}.{name} {of}")
        assert filled == rows > 0, name


def test_a_reader_who_comes_after_the_check_stops_nothing_else(postgres_job, monkeypatch):
    """A lock that is lost between reading and loading: the same run reads again without what needs it, and loads that."""
    name = postgres_job.portal.add_field(177, "NOTE", "string", "Note", pool=["new"])
    postgres_job.portal.items(177).update(1, title="changed", **{name: "new"})
    postgres_job.portal.add_type("Sales", entity_type_id=1032, items=1)
    postgres_job.portal.clock.advance(3600)
    reader, check, checked = ExitStack(), catalog_resources.tables_in_use, []

    def check_and_come(*arguments):
        found = check(*arguments)
        checked.append(found)
        if len(checked) == 1:
            reader.enter_context(idle_session(postgres_job))
        return found

    monkeypatch.setattr(catalog_resources, "tables_in_use", check_and_come)
    with reader:
        loaded = postgres_job.run(*FEW)

    assert ([0, 1], 2) == ([len(found) for found in checked], loaded.issues)  # the column, and the view that shows it
    assert [("changed",)] == postgres_job.query("select title from {}.spa_items_177 where id = 1")
    assert 1 == len(postgres_job.rows("spa_items_1032"))
    assert 0 == postgres_job.run(*FEW).issues
    assert [("new",)] == postgres_job.query('select "Note" from {}.' + VIEW + ' where "ID" = 1')


def test_a_lock_that_only_the_load_meets_costs_nothing_that_was_read(postgres_job):
    """A column of a dictionary that cannot be added ends the load with a sentence that names the session; the next run loads."""
    postgres_job.execute("alter table {}.spa_types drop column code")
    postgres_job.execute("delete from {}._dlt_version")  # dlt compares its schema with the tables again
    postgres_job.portal.add_type("Sales", entity_type_id=1032, items=1)
    with (
        idle_session(postgres_job, "spa_types") as pid,
        pytest.raises(UnavailableError, match=rf"pid {pid} \(dash.*run again"),
    ):
        postgres_job.run("spa_types", "spa_items", views=False)
    postgres_job.run("spa_types", "spa_items", views=False)

    assert 3 == len(postgres_job.query("select code from {}.spa_types"))
    assert 1 == len(postgres_job.rows("spa_items_1032"))


def test_a_full_refresh_that_is_blocked_changes_nothing(postgres_job):
    """A view that somebody reads cannot be dropped: the refresh says who, and tables and views are as they were."""
    with idle_session(postgres_job) as pid, pytest.raises(Bitrix24Error, match=f"pid {pid} "):
        postgres_job.run(*FEW, refresh=True)

    assert 6 == postgres_job.query(f"select count(*) from {{}}.{VIEW}")[0][0]
    assert 0 == postgres_job.run(*FEW, refresh=True).issues


# --- rights ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def clerk(postgres_job):
    """A role that may log in and do nothing else."""
    name = f"clerk_{postgres_job.database.dataset}"
    postgres_job.execute(f"create role {name} login password 'clerk'")
    yield name
    postgres_job.execute(f"drop owned by {name}; drop role {name}")


def test_a_role_without_rights_is_told_which(postgres_job, clerk):
    """A role that may not create schemas gets one sentence; with two schemas of its own it loads."""
    name = f"own_{postgres_job.database.dataset}"[:40]
    address = postgres_job.database.address
    postgres_job.database.destination = dlt.destinations.postgres(address.replace("postgres:trusted", f"{clerk}:clerk"))
    postgres_job.lose_folder()
    theirs, postgres_job.database.dataset = postgres_job.database.dataset, name
    try:
        with pytest.raises(Bitrix24Error, match=r"lacks a right .*permission denied.*<dataset>_staging"):
            postgres_job.run("spa_types")
        for schema in (name, f"{name}_staging"):
            postgres_job.execute(f"create schema {schema} authorization {clerk}")
        assert 0 == postgres_job.run("spa_types").issues
    finally:
        postgres_job.execute(f"drop schema if exists {name} cascade; drop schema if exists {name}_staging cascade")
        postgres_job.database.dataset = theirs

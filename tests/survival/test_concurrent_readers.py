"""Dashboards and loads side by side: a reader sees whole tables at every moment, and neither waits long for the other."""

# ruff: noqa: S608 - our own names

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import dlt
import psycopg2
import pytest
from databases import connect
from dlt.common.storages.load_package import PackageStorage

from bitrix24_source.app import load_locks
from bitrix24_source.errors import Bitrix24Error, UnavailableError
from bitrix24_source.sandbox import Portal
from bitrix24_source.source import catalog_resources, lock_waits
from bitrix24_source.views import database as view_database

DICTIONARIES = (
    "spa_types",
    "spa_fields",
    "spa_field_options",
    "spa_categories",
    "spa_stages",
    "users",
    "users__uf_department",
)
RESOURCES = (*(name for name in DICTIONARIES if "__" not in name), "spa_items")
VIEW = "spa_items_177_labeled"
UNLABELLED = f'select count(*) from {{}}.{VIEW} where "Stage" is null and "Stage ID" is not null'


def make_office(clock):
    """A portal with people and two smart processes whose items have stages."""
    portal = Portal(scenario="empty", clock=clock)
    portal.add_type("Requests", entity_type_id=177, items=6)
    portal.add_type("Lots", entity_type_id=1030, items=1)
    portal.add_field(177, "KIND", "enumeration", "Kind", options=["a", "b"])
    return portal


@pytest.fixture
def line(copied_job, engine):
    """A job after its first run."""
    return copied_job(make_office, *RESOURCES, engine=engine, views=True)


@pytest.fixture
def office(line):
    return line.portal


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


@pytest.mark.all_databases
def test_a_reader_sees_whole_tables_at_every_moment(office, line, at_each_job):
    """Between any two jobs of a load each dictionary has all its rows, and each stage its label."""
    before = counts(line)
    seen = []
    jobs = at_each_job(lambda _number: seen.append((counts(line), line.query(UNLABELLED)[0][0])))
    office.clock.advance(3600)
    line.run(*RESOURCES)

    assert all(before.values())
    assert len(jobs) >= 2 * len(RESOURCES)
    assert [] == [moment for moment in seen if moment != (before, 0)]


@pytest.mark.all_databases
@pytest.mark.parametrize("last", [pytest.param(1, marks=pytest.mark.slow), 9])
def test_a_load_that_dies_leaves_whole_tables(line, at_each_job, monkeypatch, last):
    """Cut off after some jobs, a load leaves every dictionary as it was or as it will be; the next run goes on."""
    before = counts(line)

    def die(number):
        if number == last:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        whole = PackageStorage.complete_job
        at_each_job(die)
        with pytest.raises(KeyboardInterrupt):
            line.run(*RESOURCES)
        patch.setattr(PackageStorage, "complete_job", whole)
        assert before == counts(line)
        line.run(*RESOURCES)
    assert before == counts(line)


@pytest.mark.all_databases
def test_what_is_gone_leaves_the_dictionaries(line):
    """A type that was removed is gone after the next run with its fields and stages, and the rest stays."""
    line.portal.delete_type(1030)
    line.run(*RESOURCES)

    for table in ("spa_types", "spa_fields", "spa_categories", "spa_stages"):
        assert [(177,)] == line.query(f"select distinct entity_type_id from {{}}.{table}"), table


# --- sessions that do not end -------------------------------------------------------------------------------------------


@contextmanager
def idle_session(job, table=VIEW):
    """Somebody's dashboard, which has read a view and left its transaction open; yields its process id."""
    connection = psycopg2.connect(job.database.address, application_name="dashboard")
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"select count(*) from {job.database.dataset}.{table}")
        yield connection.info.backend_pid
    finally:
        connection.close()


@pytest.fixture
def short_waits(monkeypatch):
    """Locks are waited for for moments."""
    for module in (lock_waits, view_database, load_locks):
        monkeypatch.setattr(module, "LOCK_SECONDS", 0.2)


@pytest.fixture
def postgres_job(copied_job, postgres_engine, short_waits):
    """A job into PostgreSQL after its first run."""
    return copied_job(make_office, *RESOURCES, engine=postgres_engine, views=True)


def test_an_idle_session_stops_no_load(postgres_job):
    """Rows are merged, and marks of deletion are set, under a view that somebody reads in a transaction that does not end."""
    items = postgres_job.portal.items(177)
    items.update(1, title="changed")
    items.delete(2)
    postgres_job.portal.clock.advance(3600)
    with idle_session(postgres_job):
        loaded = postgres_job.run("spa_items", sweep=True, views=False)

    assert 0 == loaded.issues
    assert [("changed",)] == postgres_job.query("select title from {}.spa_items_177 where id = 1")
    assert [(2,)] == postgres_job.query("select id from {}.spa_items_177 where deleted_at is not null")


def test_a_new_column_waits_for_the_next_run(postgres_job):
    """What needs the lock is left for the next run, which reads it for all items; the session is named, all else is loaded."""
    name = postgres_job.portal.add_field(177, "NOTE", "string", "Note", pool=["new"])
    postgres_job.portal.items(177).update(1, title="changed", **{name: "new"})
    postgres_job.portal.clock.advance(3600)
    with idle_session(postgres_job) as pid:
        loaded = postgres_job.run(*RESOURCES)
        with connect(postgres_job.database.address).cursor() as other:  # is not kept waiting by what the load waits for
            other.execute(f"set lock_timeout = 1000; select count(*) from {postgres_job.database.dataset}.{VIEW}")
    (hint,) = postgres_job.query("select hint from {}.load_issues where resource = 'spa_items_177'")

    assert 1 == loaded.issues
    assert f"pid {pid} (dashboard, user postgres, idle in transaction since " in hint[0]
    assert [("changed",)] == postgres_job.query("select title from {}.spa_items_177 where id = 1")
    assert 0 == postgres_job.run(*RESOURCES).issues
    assert [("new",)] == postgres_job.query('select "Note" from {}.' + VIEW + ' where "ID" = 1')


def test_a_dictionary_that_needs_a_lock_waits_for_the_next_run(clock, job, postgres, short_waits):
    """A column of a dictionary that cannot be added: it stays as it was, the session is named, and all else is loaded."""
    line = job(make_office(clock))
    line.database = postgres
    line.run("spa_types", "spa_items", leave_out=["spa_types.code"])
    line.portal.add_type("Sales", entity_type_id=1032, items=1)
    with idle_session(line, "spa_types") as pid:
        loaded = line.run("spa_types", "spa_items")
    (hint,) = line.query("select hint from {}.load_issues where resource = 'spa_types'")

    assert 1 == loaded.issues
    assert f"pid {pid} (dashboard" in hint[0]
    assert 2 == len(line.query("select id from {}.spa_types"))
    assert 1 == len(line.rows("spa_items_1032"))
    assert 0 == line.run("spa_types", "spa_items").issues
    assert 3 == len(line.query("select code from {}.spa_types"))


LATER = {"activities": "subject", "stage_history": "stage_semantic_id", "product_rows": "price"}
"""columns that are let in after the first load"""


def test_new_columns_of_what_belongs_to_items_wait_for_the_next_run(clock, job, postgres, short_waits):
    """As one of an item table does: all else is loaded, the sessions are named, and the next run fills the columns for all rows."""
    columns = {**LATER, "companies": "title"}
    line = job(Portal("demo", items=20, clock=clock))
    line.database = postgres

    def missing():
        return {name for name, column in columns.items() if column not in line.database.columns(name)}

    line.run(*columns, leave_out=[f"{name}.{column}" for name, column in columns.items()])
    left_out = missing()
    clock.advance(3600)
    with ExitStack() as sessions:
        pids = {name: sessions.enter_context(idle_session(line, name)) for name in LATER}
        loaded = line.run(*columns)
    hints = dict(line.query("select resource, hint from {}.load_issues"))
    waiting = missing()
    second = line.run(*columns)

    assert (columns.keys(), LATER.keys()) == (left_out, waiting)
    assert (len(LATER), pids.keys()) == (loaded.issues, hints.keys())
    assert [] == [name for name, pid in pids.items() if f"pid {pid} (dashboard" not in hints[name]]
    assert 0 == second.issues
    for name, column in columns.items():
        ((filled, rows),) = line.query(f"select count({column}), count(*) from {{}}.{name}")
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
        loaded = postgres_job.run(*RESOURCES)

    assert ([0, 1], 2) == ([len(found) for found in checked], loaded.issues)  # the column, and the view that shows it
    assert [("changed",)] == postgres_job.query("select title from {}.spa_items_177 where id = 1")
    assert 1 == len(postgres_job.rows("spa_items_1032"))
    assert 0 == postgres_job.run(*RESOURCES).issues
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
        postgres_job.run(*RESOURCES, refresh=True)

    assert 6 == postgres_job.query(f"select count(*) from {{}}.{VIEW}")[0][0]
    assert 0 == postgres_job.run(*RESOURCES, refresh=True).issues


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

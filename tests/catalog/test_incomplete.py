"""What could not be read in a run stays as it was in the tables, in their views and in the dictionaries."""

from __future__ import annotations

from collections import Counter

import dlt
import pytest

from bitrix24_source import create_views
from bitrix24_source.sandbox import Fault, Portal

DICTIONARIES = ("users", "statuses", "spa_fields", "spa_field_options", "spa_categories", "crm_fields")
"""of each kind one: with a key of one column and a child table, with a longer key, by type, and with details of another list"""
METHODS = (
    {"user.get", "crm.status.list", "userfieldconfig.list"},
    {"crm.item.fields", "crm.category.list"},
)  # fmt: skip
"""those that fail together, each of which fills tables of its own; which tables those are proves test_short_lists.py"""
VOLATILE = {"items_table"}


def failing(method, where="command", **more):
    return Fault(method, where=where, status=400, error="ERROR_CORE", description="Odd", times=None, **more)


def contents(job):
    """How often each row of each dictionary is there."""
    return {
        table: Counter(
            str({name: value for name, value in row.items() if name not in VOLATILE}) for row in job.rows(table)
        )
        for table in (*DICTIONARIES, "users__uf_department")
    }


def test_what_a_failed_call_did_not_bring_stays(clock, job):
    """Whatever kind of list fails, no dictionary loses or doubles a row; the run says what was not read."""
    portal = Portal(scenario="demo", items=20, clock=clock)
    line = job(portal)
    line.run(*DICTIONARIES)
    before = contents(line)

    assert all(before.values())
    for methods in METHODS:
        portal.faults.add(*map(failing, methods))
        loaded = line.run(*DICTIONARIES)
        portal.faults.clear()
        after = contents(line)

        assert len(methods) <= loaded.issues
        assert [] == [table for table in before if before[table] != after[table]]


def test_other_parts_are_up_to_date(clock, job):
    """Of people whose second page fails nobody is lost, and of two types the one whose fields failed keeps them.

    Fields of the other type that were removed are gone, and so is a department that somebody of the first page has left.
    """
    portal = Portal(scenario="empty", clock=clock)
    first = portal.world.users[0]
    first["UF_DEPARTMENT"] = [1, 5]
    portal.world.users += [{**portal.world.users[0], "ID": str(number)} for number in range(1000, 1120)]
    for type_ in (177, 1030):
        portal.add_type(f"Process {type_}", entity_type_id=type_, items=1)
    name = portal.add_field(1030, "NOTE", "string", "Note")
    line = job(portal)
    line.run("users", "spa_types", "spa_fields")
    before = {row["id"] for row in line.rows("users")}
    fields = (
        "select count(*), count(*) filter (where upper_name like '%NOTE') from {}.spa_fields where entity_type_id = ?"
    )
    of_177 = line.query(fields, 177)
    portal.remove_field(1030, name)
    first |= {"LAST_NAME": "Renamed", "UF_DEPARTMENT": [5]}
    portal.faults.add(
        failing("user.get", when=lambda params: bool(params.get("start"))),
        failing("crm.item.fields", when=lambda params: str(params.get("entityTypeId")) == "177"),
    )
    line.run("users", "spa_types", "spa_fields")

    assert before == {row["id"] for row in line.rows("users")}
    assert "Renamed" in {row["last_name"] for row in line.rows("users")}
    assert [(1,)] == line.query("select count(*) from {}.users__uf_department where item_id = ?", int(first["ID"]))
    assert [(2,)] == line.query("select count(*) from {}.users__uf_department where item_id = 1000")
    assert of_177 == line.query(fields, 177)
    assert 0 == line.query(fields, 1030)[0][1]


@pytest.mark.all_databases(slow=True)
def test_a_view_whose_fields_are_not_known_stays(clock, job):
    """Where the destination has lost the fields of a type, its view keeps the portal's words."""
    portal = Portal(scenario="empty", clock=clock)
    portal.add_type("Requests", entity_type_id=177, items=1, off=("isClientEnabled", "isObserversEnabled"))
    portal.add_field(177, "COLOUR", "string", "Its colour", pool=["red"])
    line = job(portal)
    line.run("spa_fields", "spa_items")
    pipeline = dlt.attach("bitrix24", str(line.folder), destination=line.database.destination)
    assert [] == create_views(pipeline, tables=["spa_items_177"])
    line.execute("delete from {}.spa_fields")
    portal.faults.add(failing("crm.item.fields", where="outer"))  # the call of one type travels alone
    line.run("spa_fields")
    assert [(0,)] == line.query("select count(*) from {}.spa_fields")
    assert [] == create_views(pipeline, tables=["spa_items_177"])

    assert [("red",)] == line.query('select "Its colour" from {}.spa_items_177_labeled')

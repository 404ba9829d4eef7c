"""Child tables of items heal at a sweep: it reads the values of fields that take several beside ids and times.

Phones and e-mails come with whole items only: these say how many there are, in a column of their own.
"""

from __future__ import annotations

import pytest
from fixtures.item_warehouse import PLAIN

from bitrix24_source.sandbox import Fault, Portal

DAY = 24 * 3600
LONG = "A_NAME_WITH_WHICH_THE_TABLE_IS_LONGER_THAN_POSTGRESQL_ALLOWS"
TABLE = "spa_items_177__uf_crm_1_words"


def portal_of(clock, name="WORDS"):
    """Sixty items, every third without words, and the wire name of the field that has them."""
    portal = Portal(scenario="empty", clock=clock)
    portal.add_type("Requests", entity_type_id=177, items=60, off=PLAIN)
    field = portal.add_field(177, name, "string", "Words", multiple=True)
    for id_ in portal.items(177).ids():
        portal.items(177).update(id_, **{field: ["a", "", f"word {id_}"] if id_ % 3 else []})
    clock.advance(DAY)
    return portal, field


@pytest.fixture
def crm(clock, reader):
    """A portal that was read once, two days ago."""
    read = reader(portal_of(clock)[0])
    read.run()
    clock.advance(2 * DAY)
    return read


def words(crm):
    (name,) = [name for name in crm.destination.tables if name.endswith("_words")]
    return crm.destination.tables[name]


@pytest.mark.parametrize(
    "damage", ["emptied", "the lists of some items gone", "single values gone", "values of nobody"]
)
def test_a_damaged_child_table_heals(crm, damage):
    """Rows of a child table that somebody deleted or added are the portal's again, and only items concerned are read."""
    rows = words(crm)
    before = dict(rows)
    if damage == "emptied":
        rows.clear()
    elif damage == "the lists of some items gone":
        for key in [key for key in rows if key[0] in (4, 58)]:
            del rows[key]
    elif damage == "single values gone":
        del rows[4, 0], rows[58, 2]
    else:
        rows[3, 0] = {**rows[4, 0], "item_id": 3}
        rows[4, 1] = {**rows[4, 0], "position": 1}
    written = crm.run()

    assert words(crm) == before
    assert written == {177: 40 if damage == "emptied" else 2}
    assert crm.issues() == []


def test_an_equal_child_table_is_not_read_again(crm, clock):
    """Empty values among others, and items without any, are no difference."""
    assert crm.run() == {}
    clock.advance(2 * DAY)
    assert crm.run() == {}


def test_a_sweep_costs_no_more_requests(crm, clock, reader):
    """As many as the sweep of a type without lists."""
    plain = Portal(scenario="empty", clock=clock)
    plain.add_type("Requests", entity_type_id=177, items=60, off=PLAIN)
    other = reader(plain)
    other.run()
    clock.advance(2 * DAY)
    other.run()
    crm.run()

    assert crm.requests == other.requests


def test_a_portal_that_refuses_the_fields(crm):
    """Where the ids cannot be read with lists beside them, they are read without, and rows of items are compared all the same."""
    crm.portal.faults.add(
        Fault(
            "crm.item.list",
            where="command",
            status=400,
            error="INVALID_ARG_VALUE",
            times=None,
            when=lambda params: "Words" in str(params.get("select")),
        )
    )
    del crm.tables[177][5]
    del words(crm)[4, 0]
    crm.run()

    assert (4, 0) not in words(crm)
    assert len(crm.ids()) == 60
    assert crm.issues() == []


def test_a_portal_that_leaves_the_fields_out(crm, monkeypatch):
    """Where rows do not mention the lists although they were asked for, nothing is known of them and nothing read again."""
    field = next(name for name in crm.portal.items(177)[1] if name.endswith("Words"))
    schema = crm.portal.world.objects[177].schema
    whole = type(schema).is_carried
    monkeypatch.setattr(type(schema), "is_carried", lambda self, name: name != field and whole(self, name))
    words(crm).clear()

    assert crm.run() == {}


def test_links_that_change_without_the_time(clock, portal, reader):
    """Contacts of an item that were linked without a new time of change are in the table after a sweep."""
    crm = reader(portal, resources=("deals",))
    crm.run()
    number = portal.items(2).ids()[0]
    item = portal.items(2)[number]
    portal.items(2).update(number, contactIds=[*(item["contactIds"] or []), 3, 4], updatedTime=item["updatedTime"])
    clock.advance(2 * DAY)
    crm.run()

    owned = [row["value"] for row in crm.destination.tables["deals__contact_ids"].values() if row["item_id"] == number]
    assert owned == portal.items(2)[number]["contactIds"]


PEOPLE = ("contacts", "companies", "leads")


def _take_phones(schema):
    """Every seventh item has neither phones nor e-mails."""
    original = schema.multifields
    schema.multifields = lambda number: [] if number % 7 == 0 else original(number)


@pytest.fixture
def people(clock, portal, memory_job):
    """All that have phones and e-mails, read once two days ago; some have none."""
    for type_ in (1, 3, 4):
        _take_phones(portal.world.objects[type_].schema)
    crm = memory_job(portal)
    crm.run(*PEOPLE)
    clock.advance(2 * DAY)
    return crm


@pytest.mark.parametrize("damage", ["emptied", "all of some items gone", "one of two gone", "one more"])
def test_phones_and_emails_heal(people, clock, damage):
    """Rows of `contacts__fm` and its like that somebody deleted or added are the portal's again, and only items concerned are read.

    So are those of items that came with such a sweep.
    """
    tables = people.destination.tables
    before = {table: dict(tables[f"{table}__fm"]) for table in PEOPLE}
    for _ in range(2):
        concerned = {table: damaged(tables[f"{table}__fm"], damage) for table in PEOPLE}
        loaded = people.run(*PEOPLE)
        clock.advance(2 * DAY)

        for table in PEOPLE:
            rows = tables[f"{table}__fm"]
            assert len(rows) == sum(row["fm_count"] for row in tables[table].values()) > 0
            assert rows == before[table]
            assert loaded.rows[table] == len(concerned[table])
            assert loaded.rows[f"{table}__fm"] == sum(key[0] in concerned[table] for key in before[table])
    assert people.issues() == []


def damaged(rows, damage):
    """Does it, and returns the items concerned."""
    some = {key[0] for key in list(rows)[::9]}
    if damage == "emptied":
        some = {key[0] for key in rows}
        rows.clear()
    elif damage == "all of some items gone":
        for key in [key for key in rows if key[0] in some]:
            del rows[key]
    elif damage == "one of two gone":
        for item in some:
            del rows[item, 1]
    else:
        for item in some:
            rows[item, 2] = {**rows[item, 1], "position": 2}
    return some


def test_equal_phones_and_emails_are_not_read_again(people, clock):
    """Items that have none are no difference."""
    assert {row["fm_count"] for row in people.destination.tables["contacts"].values()} == {0, 2}
    assert not people.run(*PEOPLE).rows
    clock.advance(2 * DAY)
    assert not people.run(*PEOPLE).rows


def test_rows_of_an_earlier_release(people):
    """Items whose row does not say how many phones and e-mails they have are left alone."""
    for row in people.destination.tables["contacts"].values():
        del row["fm_count"]
    people.destination.tables["contacts__fm"].clear()

    assert not people.run(*PEOPLE).rows


@pytest.mark.all_databases
def test_rows_deleted_from_child_tables_in_a_database(clock, job):
    """They are there again after a sweep, also where the destination has shortened the name of the table; so are phones."""
    crm = job(portal_of(clock, LONG)[0])
    crm.run("spa_items", "companies")
    (table,) = [table for table in crm.database.types() if table.startswith("spa_items_177__uf")]
    words = f"select item_id, position, value from {{}}.{table} order by 1, 2"  # noqa: S608 - of this test
    phones = "select item_id, position, type_id, value from {}.companies__fm order by 1, 2"
    before = crm.query(words), crm.query(phones)
    crm.execute(f"delete from {{}}.{table} where item_id % 5 = 0 or item_id = 4 and position = 2")  # noqa: S608
    crm.execute("delete from {}.companies__fm where item_id % 5 = 0 or type_id = 'EMAIL' and item_id % 7 = 0")
    clock.advance(2 * DAY)
    loaded = crm.run("spa_items", "companies")

    assert (crm.query(words), crm.query(phones)) == before
    assert loaded.rows["spa_items_177"] == 9
    assert crm.query("select min(fm_count), max(fm_count), sum(fm_count) from {}.companies") == [(2, 2, len(before[1]))]

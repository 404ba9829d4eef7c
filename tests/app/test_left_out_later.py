"""What is left out after it was loaded: `--full-refresh` takes it out of tables, child tables, views and rejected values."""

# ruff: noqa: S608 - tables of the test's own; the expected value comes first

from __future__ import annotations

import pytest

from bitrix24_source.sandbox import Portal

PHONE, MOBILE, COMMENT, BIRTHDAY = "+49 30 5550 1234", "+49 171 555 0199", "likes tulips", "the first of May"
RESOURCES = ("contacts", "users")


def columns_with(crm, value):
    """Every table and view of the dataset and its staging dataset that shows a value somewhere."""
    schemas = (crm.database.dataset, f"{crm.database.dataset}_staging")
    tables = crm.query(
        "select table_schema, table_name from information_schema.tables where table_schema in (?, ?)", *schemas
    )
    return sorted(name for schema, name in tables if value in repr(crm.query(f'select * from {schema}."{name}"')))


@pytest.mark.all_databases(slow=True)
def test_a_full_refresh_takes_out_what_is_left_out_from_now_on(job, clock):
    """Columns, a list of telephone numbers, a value that did not fit, and personal data of users."""
    portal = Portal("demo", items=20, clock=clock)
    contact = portal.items(3).ids()[0]
    number = {"id": 1, "valueType": "WORK", "value": PHONE, "typeId": "PHONE"}
    portal.items(3).update(contact, fm=[number], phone=PHONE, comments=COMMENT, birthdate=BIRTHDAY)
    portal.world.users[0]["PERSONAL_MOBILE"] = MOBILE
    crm = job(portal)
    selected = ["fm", "phone", "comments", "birthdate"]
    crm.run(*RESOURCES, personal_data=True, select={3: selected})

    assert "contacts" in columns_with(crm, PHONE)
    assert crm.query("select count(*) from {}.contacts__fm")[0][0]
    assert "contacts" in columns_with(crm, COMMENT)
    assert "rejected_values" in columns_with(crm, BIRTHDAY)
    assert "users" in columns_with(crm, MOBILE)

    left_out = ["contacts.fm", "contacts.comments", "contacts.birthdate"]
    crm.run(*RESOURCES, refresh=True, leave_out=left_out, select={3: selected})

    assert [] == [name for value in (PHONE, MOBILE, COMMENT, BIRTHDAY) for name in columns_with(crm, value)]
    assert [] == crm.query(
        "select 1 from information_schema.tables where table_schema = '{}' and table_name = 'contacts__fm'"
    )
    assert len(portal.items(3).ids()) == crm.query("select count(*) from {}.contacts")[0][0]

"""Short lists as real portals answer them, and what is known of a list that could not be read."""

from __future__ import annotations

from collections import Counter

import pytest

from bitrix24_source.catalog import DICTIONARIES, OBJECT_TABLES, SPA_TABLE_NAMES, read_catalog
from bitrix24_source.sandbox import Fault

EVERYTHING = SPA_TABLE_NAMES | OBJECT_TABLES | DICTIONARIES
DENIED = {"kind": "error", "status": 403, "error": "ACCESS_DENIED", "description": "Access denied"}


def asked(portal):
    """How often each method was asked for, inside batches and outside."""
    single = [seen.method for seen in portal.requests if seen.method != "batch"]
    return Counter([*single, *(name for seen in portal.requests for name in seen.commands)])


def test_130_departments_are_all_read(portal, client):
    """department.get heeds `start` in small letters alone; all pages arrive and nothing is reported."""
    portal.world.departments += [{**portal.world.departments[0], "ID": str(number)} for number in range(1000, 1130)]

    catalog = read_catalog(client, {"departments"})

    assert {row["ID"] for row in catalog.departments} == {row["ID"] for row in portal.world.departments}
    assert catalog.issues == ()


def test_people_without_a_department_are_read(portal, client):
    """user.get is asked with ADMIN_MODE, so that people of no department have names, too."""
    catalog = read_catalog(client, {"users"})

    assert {row["ID"] for row in catalog.users} == {row["ID"] for row in portal.world.users}
    assert any(not row["UF_DEPARTMENT"] for row in catalog.users)


def test_who_is_no_administrator_reads_the_people_that_are_shown(portal, client):
    """ADMIN_MODE is passed over for others: the rest of the people come, and nothing is reported."""
    portal.set_admin(crm=True, portal=False)

    catalog = read_catalog(client, {"users"})

    assert 10 < len(catalog.users) < len(portal.world.users)
    assert catalog.issues == ()


@pytest.mark.parametrize("wanted", [EVERYTHING, {"spa_stages"}, {"stages"}, {"statuses"}])
def test_statuses_are_asked_for_once(portal, client, wanted):
    """All directories come in one crm.status.list, with the stages of all types among them."""
    read_catalog(client, wanted)

    assert asked(portal)["crm.status.list"] == 1


@pytest.mark.parametrize("paging", ["whole", "paged"])
def test_every_status_is_read(portal, client, paging):
    """Portals of today answer all rows at once, older ones pages of fifty: either way each row is there once."""
    portal.interpretations.short_lists = paging
    expected = Counter((row["ENTITY_ID"], row["STATUS_ID"]) for row in portal.world.statuses)

    catalog = read_catalog(client, EVERYTHING)

    assert len(expected) > 50
    assert Counter((row["ENTITY_ID"], row["STATUS_ID"]) for row in catalog.statuses) == expected
    assert catalog.issues == ()


def test_directories_that_the_portal_does_not_name_are_read(portal, client):
    """Rows of directories that crm.status.entity.types leaves out are statuses like all others."""
    named = {row["ID"] for row in portal.world.directories}

    catalog = read_catalog(client, {"statuses"})

    unnamed = {row["ENTITY_ID"] for row in catalog.statuses} - named
    assert {"EVENT_TYPE", "INVOICE_STATUS"} & unnamed


def test_stages_belong_to_their_types(portal, client):
    """Each type has the rows of its own directories, found in the one list by the directory's name."""
    catalog = read_catalog(client, {"spa_stages", "stages", "deals"})

    for entity in (*catalog.types, *catalog.objects):
        prefix = f"DYNAMIC_{entity.entity_type_id}_STAGE_"
        if not entity.is_built_in:
            expected = {row["STATUS_ID"] for row in portal.world.statuses if row["ENTITY_ID"].startswith(prefix)}
            assert {row["STATUS_ID"] for row in entity.stages} == expected
    deals = catalog.find("deals")
    assert {row["ENTITY_ID"] for row in deals.stages} >= {"DEAL_STAGE"}


@pytest.mark.parametrize(
    ("method", "tables"),
    [
        ("user.get", {"users"}),
        ("department.get", {"departments"}),
        ("crm.currency.list", {"currencies"}),
        ("crm.status.list", {"statuses", "spa_stages", "stages"}),
        ("bizproc.workflow.template.list", {"spa_automations"}),
        ("crm.automatedsolution.list", {"automated_solutions", "automated_solution_types"}),
    ],
)
def test_a_list_that_failed_is_known_as_unread(portal, client, method, tables):
    """A catalogue knows which tables may lack rows because their call failed, and which do not."""
    portal.faults.add(Fault(method=method, where="command", times=None, **DENIED))

    catalog = read_catalog(client, EVERYTHING)

    assert catalog.incomplete == tables
    assert not catalog.incomplete_types
    assert all(catalog.is_incomplete(table, 177) for table in tables)
    assert catalog.issues


@pytest.mark.parametrize(
    ("method", "entity_type_id", "tables"),
    [
        ("crm.item.fields", 177, {"spa_fields", "spa_field_options"}),
        ("crm.item.fields", 2, {"crm_fields", "crm_field_options"}),
        ("crm.category.list", 177, {"spa_categories"}),
        ("crm.category.list", 2, {"categories"}),
        ("crm.type.getByEntityTypeId", 177, {"spa_type_relations", "spa_type_linked_fields"}),
    ],
)
def test_a_part_of_one_type_that_failed_is_known_as_unread(portal, client, method, entity_type_id, tables):
    """Where only one type's part failed, the rows of the other types count."""

    def is_this_type(params):
        return str(params.get("entityTypeId")) == str(entity_type_id)

    portal.faults.add(Fault(method=method, where="command", times=None, when=is_this_type, **DENIED))

    catalog = read_catalog(client, EVERYTHING)

    assert catalog.incomplete == frozenset()
    assert catalog.incomplete_types == {table: {entity_type_id} for table in tables}
    assert all(catalog.is_incomplete(table, entity_type_id) for table in tables)
    assert not any(catalog.is_incomplete(table, 1030) for table in tables)


def test_a_whole_catalogue_lacks_nothing(client):
    """Where every call was answered, no table is unread."""
    catalog = read_catalog(client, EVERYTHING)

    assert (catalog.incomplete, dict(catalog.incomplete_types), catalog.issues) == (frozenset(), {}, ())


@pytest.mark.parametrize("language", ["en", "ru", "de"])
def test_a_type_that_is_deleted_while_it_is_read_is_no_issue(portal, client, language):
    """crm.type.getByEntityTypeId says "0" and words in the user's language; crm.item.fields has a code in every one."""
    portal.set_admin(crm=False, portal=True)
    portal.world.language = language
    gone = portal.add_type("Gone soon", entity_type_id=1990)

    def delete(params):
        if str(params.get("entityTypeId")) == "1990" and 1990 in portal.world.types:
            portal.delete_type(1990)
        return False

    portal.faults.add(Fault(method="crm.type.getByEntityTypeId", where="command", times=None, when=delete))

    catalog = read_catalog(client, {"spa_types", "spa_fields", "spa_type_relations"})

    assert gone["entityTypeId"] not in {entity.entity_type_id for entity in catalog.types}
    assert catalog.issues == ()
    assert catalog.unreadable == {}

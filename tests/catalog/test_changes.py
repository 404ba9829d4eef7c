"""The next run: what changed in the portal is what the tables say."""

from __future__ import annotations

import pytest

CATALOG = (
    "spa_types", "spa_type_relations", "spa_type_linked_fields", "spa_fields", "spa_field_options", "spa_categories",
    "spa_stages", "spa_automations", "automated_solutions", "automated_solution_types",
)  # fmt: skip


def counts(catalog_warehouse):
    return {table: len(catalog_warehouse.rows(table)) for table in CATALOG}


@pytest.fixture
def crm(loaded_catalog, catalog_copy):
    """The catalogue after one run."""
    return catalog_copy(loaded_catalog)


@pytest.mark.all_databases
def test_a_second_run_of_an_unchanged_portal_changes_nothing(crm):
    """Rows are replaced, not added: the same rows after two runs as after one."""
    twice = crm
    first = {table: twice.rows(table) for table in CATALOG}
    twice.run()

    assert first == {table: twice.rows(table) for table in CATALOG}


def test_a_deleted_type_disappears_with_all_that_belonged_to_it(crm, portal):
    """No table keeps rows of a smart process that is gone."""
    assert 1032 in {row["entity_type_id"] for row in crm.rows("spa_stages")}

    portal.world.forget_type(1032)
    crm.run()

    of_a_type = [table for table in CATALOG if "entity_type_id" in crm.column_types(table)]
    assert len(of_a_type) == 8
    assert {table: [] for table in of_a_type} == {
        table: [row for row in crm.rows(table) if row["entity_type_id"] == 1032] for table in of_a_type
    }


def test_a_renamed_type_keeps_its_key_and_its_item_table(crm, portal):
    """A title is a value: the row, its key and the name of the item table stay."""
    portal.world.types[1030]["title"] = "Assets"
    crm.run("spa_types")

    found = [row for row in crm.rows("spa_types") if row["entity_type_id"] == 1030]
    assert [("Assets", "spa_items_1030")] == [(row["title"], row["items_table"]) for row in found]
    assert 6 == len(crm.rows("spa_types"))


def test_a_new_type_is_loaded_without_a_change_of_anything(crm, portal, many_types):
    """A smart process that was made since the last run is there after the next one."""
    many_types(portal, 7)
    crm.run("spa_types", "spa_stages")

    assert "Process 1112" in {row["title"] for row in crm.rows("spa_types")}
    assert {"process", "success", "failure"} == {
        row["semantics"] for row in crm.rows("spa_stages") if row["entity_type_id"] == 1112
    }


def test_a_removed_option_disappears(crm, portal):
    """`spa_field_options` holds what the field offers now."""
    field = portal.world.objects[1030].schema.fields["ufCrm14_1739433102"]
    gone = field.extra["items"].pop()
    crm.run("spa_field_options")

    left = {row["value"] for row in crm.rows("spa_field_options") if row["entity_type_id"] == 1030}
    assert "Broken" == gone["VALUE"]
    assert {"New", "Good", "Worn"} == left


def test_issues_are_kept_from_run_to_run(catalog_warehouse, portal):
    """`load_issues` is a log: each run adds its rows under its own load_id."""
    crm = catalog_warehouse()
    portal.set_scopes({"crm", "userfieldconfig"})
    crm.run("spa_automations")
    crm.run("spa_automations")
    portal.set_scopes({"crm", "userfieldconfig", "bizproc"})
    crm.run("spa_automations")

    issues = crm.issues()
    assert 2 == len(issues)
    assert 2 == len({row["load_id"] for row in issues})


@pytest.mark.all_databases
def test_tables_that_become_empty_are_emptied(crm, portal):
    """A part that is empty in the portal now leaves no rows of yesterday."""
    assert all(counts(crm).values())

    portal.world.types.clear()
    portal.world.solutions.clear()
    portal.world.templates.clear()
    crm.run()

    assert dict.fromkeys(CATALOG, 0) == counts(crm)


def test_a_table_that_somebody_dropped(catalog_warehouse):
    """A table of the catalogue that somebody dropped, or the child table of one, is there again after the next run."""
    house = catalog_warehouse()
    resources = ("users", "departments", "load_issues")
    house.run(*resources)
    for table in ("departments", "users__uf_department", "load_issues"):
        before = house.rows(table)
        house.query(f"drop table {{}}.{table}")
        house.run(*resources)

        assert house.rows(table) == before

"""The next run: what changed in the portal is what the tables say."""

from __future__ import annotations

import pytest

CATALOG = (
    "spa_types", "spa_type_relations", "spa_type_linked_fields", "spa_fields", "spa_field_options", "spa_categories",
    "spa_stages", "spa_automations", "automated_solutions", "automated_solution_types",
)  # fmt: skip


@pytest.fixture
def crm(loaded_catalog, portal, copy_of):
    """The catalogue after one run."""
    return copy_of(loaded_catalog, portal)


def of_type(rows, number):
    return [row for row in rows if row.get("entity_type_id") == number]


@pytest.mark.all_databases(slow=True)
def test_what_changed_is_what_the_tables_say(crm, portal, many_types):
    """Of a type that is gone no table keeps rows, a new one is there without a change of anything, and removed options go.

    A title is a value: the row of a renamed type, its key and the name of its item table stay. Rows are replaced, not added: what
    did not change is there once. A part that is empty in the portal by the run after that leaves no rows of yesterday.
    """
    first = {table: crm.rows(table) for table in CATALOG}
    of_types = [table for table in CATALOG if "entity_type_id" in crm.column_types(table)]
    assert all(first.values())
    assert len(of_types) == 8
    assert of_type(first["spa_stages"], 1032)
    portal.world.forget_type(1032)
    portal.world.types[1030]["title"] = "Assets"
    gone = portal.world.objects[1030].schema.fields["ufCrm14_1739433102"].extra["items"].pop()
    many_types(portal, 6)
    crm.run()

    second = {table: crm.rows(table) for table in CATALOG}
    assert {table: [] for table in of_types} == {table: of_type(second[table], 1032) for table in of_types}
    assert {table: of_type(first[table], 177) for table in of_types} == {
        table: of_type(second[table], 177) for table in of_types
    }
    assert first["automated_solutions"] == second["automated_solutions"]
    assert first["automated_solution_types"] == second["automated_solution_types"]
    types = {row["entity_type_id"]: (row["title"], row["items_table"]) for row in second["spa_types"]}
    assert ("Assets", "spa_items_1030") == types[1030]
    assert "Process 1110" == types[1110][0]
    assert 6 == len(second["spa_types"])
    assert {"process", "success", "failure"} == {row["semantics"] for row in of_type(second["spa_stages"], 1110)}
    assert "Broken" == gone["VALUE"]
    assert {"New", "Good", "Worn"} == {row["value"] for row in of_type(second["spa_field_options"], 1030)}

    portal.world.types.clear()
    portal.world.solutions.clear()
    portal.world.templates.clear()
    crm.run()
    assert not any(crm.rows(table) for table in CATALOG)


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


def test_a_table_that_somebody_dropped(catalog_warehouse):
    """Tables of the catalogue that somebody dropped, or the child table of one, are there again after the next run."""
    house = catalog_warehouse()
    resources, tables = ("users", "departments", "load_issues"), ("departments", "users__uf_department", "load_issues")
    house.run(*resources)
    before = {table: house.rows(table) for table in tables}
    for dropped in tables:  # one at a time: with the first that it is told of, dlt makes all that it lacks
        house.query(f"drop table {{}}.{dropped}")
        house.run(*resources)

        assert before == {table: house.rows(table) for table in tables}

"""Less than everything: missing rights and scopes cost what they must, and each loss is one row of `load_issues`."""

from __future__ import annotations

from datetime import timezone

import pytest

from bitrix24_source import Bitrix24Error
from bitrix24_source.errors import ScopeError
from bitrix24_source.sandbox import Fault, Portal

ALL = {"crm", "userfieldconfig", "bizproc", "user", "department"}


def asked(portal):
    return {name for seen in portal.requests for name in (seen.method, *seen.commands)}


def cause_of(raised):
    """Our error behind dlt's."""
    error = raised.value
    while error is not None and not isinstance(error, Bitrix24Error):
        error = error.__cause__ or error.__context__
    return error


# --- no administrative rights in CRM ---------------------------------------------------------------------------------


def test_without_crm_admin_the_types_are_found_by_another_way(catalog_reading, portal):
    """crm.enum.ownertype names the types and crm.type.getByEntityTypeId describes each: the rows are the admin's."""
    admin, plain = catalog_reading(), catalog_reading()
    admin.run()
    portal.requests.clear()
    portal.set_admin(crm=False, portal=True)
    plain.run()

    assert {"crm.enum.ownertype", "crm.type.getByEntityTypeId"} <= asked(portal)
    for table in ("spa_types", "spa_type_relations", "spa_fields", "spa_categories", "spa_stages", "spa_field_options"):
        assert admin.rows(table) == plain.rows(table), table


def test_without_crm_admin_the_loss_of_automated_solutions_is_said(catalog_reading, portal):
    """Automated solutions need administrative rights: their tables are empty and one row says so."""
    portal.set_admin(crm=False, portal=True)
    crm = catalog_reading()
    crm.run()

    assert [] == crm.rows("automated_solutions")
    assert [] == crm.rows("automated_solution_types")
    (issue,) = crm.issues()
    assert ("automated_solutions", "ACCESS_DENIED") == (issue["resource"], issue["error"])
    assert "automated_solution_types stay empty" in issue["message"]
    assert "administrator" in issue["hint"]


@pytest.mark.parametrize("admin", [True, False])
def test_a_type_that_may_not_be_read_is_listed(catalog_reading, portal, admin):
    """A denied type is a row of `load_issues` with its number and title, and the others are loaded."""
    portal.set_admin(crm=admin, portal=True)
    portal.deny_type(1034)
    crm = catalog_reading()
    crm.run()

    denied = [row for row in crm.issues() if row["entity_type_id"] == 1034]
    assert denied
    assert all("Гарантийные обращения" in row["message"] for row in denied)
    assert all("ACCESS_DENIED" == row["error"] for row in denied)
    assert not any(row["entity_type_id"] == 1034 for row in crm.rows("spa_fields"))
    assert {177, 1030, 1032, 1036, 1038} == {row["entity_type_id"] for row in crm.rows("spa_fields")}


def test_a_type_that_an_admin_may_list_but_not_read_has_no_item_table(catalog_reading, portal):
    """A type whose fields are denied stays in `spa_types`, with `items_table` NULL."""
    portal.deny_type(1034)
    crm = catalog_reading()
    crm.run()

    tables = {row["entity_type_id"]: row["items_table"] for row in crm.rows("spa_types")}
    assert None is tables[1034]
    assert "spa_items_177" == tables[177]


def test_a_type_that_a_user_may_not_see_is_no_row_of_spa_types(catalog_reading, portal):
    """Without administrative rights nothing is known of a denied type but its number and name, which `load_issues` has."""
    portal.set_admin(crm=False, portal=True)
    portal.deny_type(1034)
    crm = catalog_reading()
    crm.run()

    assert 1034 not in {row["entity_type_id"] for row in crm.rows("spa_types")}
    assert 1 == len([row for row in crm.issues() if row["entity_type_id"] == 1034])


def test_without_portal_admin_workflow_templates_are_missed_aloud(catalog_reading, portal):
    """Templates need a portal administrator: one row, and the other tables are whole."""
    portal.set_admin(crm=True, portal=False)
    crm = catalog_reading()
    crm.run()

    (issue,) = crm.issues()
    assert ("spa_automations", "ACCESS_DENIED") == (issue["resource"], issue["error"])
    assert "spa_automations stays empty" in issue["message"]
    assert [] == crm.rows("spa_automations")
    assert 6 == len(crm.rows("spa_types"))


# --- missing scopes -------------------------------------------------------------------------------------------------


def test_without_userfieldconfig_the_details_of_options_are_null(catalog_warehouse, portal, clock):
    """Options themselves come with crm.item.fields; sort, xml_id and is_default are NULL, and one row says why.

    That row belongs to its load: `load_id` is dlt's own of that run, `occurred_at` an instant of it.
    """
    portal.set_scopes(ALL - {"userfieldconfig"})
    crm = catalog_warehouse()
    info = crm.run("spa_field_options", "load_issues")

    options = crm.rows("spa_field_options")
    assert 11 == len(options)
    assert {(None, None, None)} == {(row["sort"], row["xml_id"], row["is_default"]) for row in options}
    (issue,) = crm.rows("load_issues", "resource", "message", "hint", "load_id", "_dlt_load_id", "occurred_at")
    assert "spa_field_options" == issue["resource"]
    assert "userfieldconfig" in issue["message"]
    assert "sort, xml_id and is_default of spa_field_options" in issue["message"]
    assert "userfieldconfig" in issue["hint"]
    assert crm.column_types("spa_field_options")["is_default"] == "BOOLEAN"
    assert info.loads_ids == [issue["load_id"]]
    assert issue["_dlt_load_id"] == issue["load_id"]
    assert clock.now() == issue["occurred_at"].astimezone(timezone.utc)


def test_without_bizproc_there_are_no_templates(catalog_reading, portal):
    """`spa_automations` is an empty table, and one row says why."""
    portal.set_scopes(ALL - {"bizproc"})
    crm = catalog_reading()
    crm.run()

    assert [] == crm.rows("spa_automations")
    (issue,) = crm.issues()
    assert "spa_automations" == issue["resource"]
    assert "bizproc" in issue["message"]
    assert "spa_automations stays empty" in issue["message"]
    assert "bizproc" in issue["hint"]


def test_several_losses_are_one_row_each(catalog_reading, portal):
    """No scope but crm and no administrator: three losses, three rows."""
    portal.set_scopes({"crm"})
    portal.set_admin(crm=False, portal=False)
    crm = catalog_reading()
    crm.run()

    assert ["automated_solutions", "spa_automations", "spa_field_options"] == sorted(
        row["resource"] for row in crm.issues()
    )
    assert 6 == len(crm.rows("spa_types"))


def test_a_part_that_nobody_asked_for_is_not_missed(catalog_reading, portal):
    """A run of `spa_types` alone does not complain of scopes that it does not need."""
    portal.set_scopes({"crm"})
    crm = catalog_reading()
    crm.run("spa_types")

    assert [] == crm.issues()


def test_without_crm_there_is_nothing(catalog_reading, portal):
    """The scope crm is what all stands on: the run ends with a ScopeError that names it."""
    portal.set_scopes(ALL - {"crm"})
    with pytest.raises(Exception) as raised:
        catalog_reading().run()

    error = cause_of(raised)
    assert isinstance(error, ScopeError)
    assert "scope crm" in str(error)


# --- odd portals ----------------------------------------------------------------------------------------------------


def test_a_type_whose_categories_are_refused_keeps_its_stages(catalog_reading, portal):
    """ENTITY_TYPE_NOT_SUPPORTED for a type without pipelines: the stage directories name its one category."""
    portal.interpretations.one_category_types = "refused"
    crm = catalog_reading()
    crm.run()

    assert [] == crm.issues()
    own = [row for row in crm.rows("spa_categories") if row["entity_type_id"] == 1030]
    assert [(11, "General", 100, True)] == [(row["id"], row["name"], row["sort"], row["is_default"]) for row in own]
    assert 5 == len([row for row in crm.rows("spa_stages") if row["category_id"] == 11])


@pytest.mark.parametrize("spelling", ["capitals", "small"])
def test_templates_come_whole_however_a_portal_spells_parameters(catalog_reading, portal, spelling):
    """SELECT and select are both in the vendor's page: a portal that knows only one of them still shows more than ids."""
    portal.interpretations.template_keys = spelling
    crm = catalog_reading()
    crm.run()

    rows = crm.rows("spa_automations")
    assert rows
    assert all(row["name"] and row["modified"] and row["auto_execute_on_create"] is not None for row in rows)


def test_a_portal_without_smart_processes_makes_empty_tables(catalog_warehouse, clock):
    """Nothing to load is a successful load: every table is there, with its columns, and empty."""
    tables = ("spa_types", "spa_fields", "spa_stages", "automated_solution_types")
    crm = catalog_warehouse(portal=Portal(scenario="empty", clock=clock))
    crm.run(*tables, "load_issues")

    assert [] == crm.issues()
    for table in tables:
        assert [] == crm.rows(table)
    assert "BIGINT" == crm.column_types("spa_types")["entity_type_id"]
    assert "BOOLEAN" == crm.column_types("spa_types")["is_client_enabled"]


def test_a_type_deleted_while_we_read_is_left_out_silently(catalog_reading, portal):
    """`error: 0` with "Smart process not found" is a type that went away in between: no row, no issue."""
    portal.faults.add(
        Fault("crm.type.getByEntityTypeId", where="command", nth=2, status=400, error=0, description="SPA not found")
    )
    crm = catalog_reading()
    crm.run()

    assert 5 == len(crm.rows("spa_types"))
    assert [] == crm.issues()


@pytest.mark.parametrize(
    ("method", "resource"),
    [
        ("crm.category.list", "spa_categories"),
        ("crm.status.list", "spa_stages"),
        ("crm.item.fields", "spa_fields"),
        ("userfieldconfig.get", "spa_field_options"),
        ("crm.automatedsolution.list", "automated_solutions"),
        ("bizproc.workflow.template.list", "spa_automations"),
    ],
)
def test_one_refused_command_costs_its_own_rows_only(catalog_reading, portal, method, resource):
    """A refusal of one command is one issue of its resource; everything beside it in the batch is loaded."""
    portal.faults.add(Fault(method, where="command", status=400, error="ERROR_CORE", description="Something is odd"))
    crm = catalog_reading()
    crm.run()

    (issue,) = crm.issues()
    assert (resource, "ERROR_CORE") == (issue["resource"], issue["error"])
    assert "Something is odd" in issue["message"]
    assert 6 == len(crm.rows("spa_types"))


def test_a_list_that_breaks_on_its_second_page_keeps_the_first(catalog_reading, portal, many_types):
    """Types of the pages that came are loaded; that some may be missing is one issue."""
    many_types(portal, 60)
    portal.faults.add(Fault("crm.type.list", where="command", nth=2, status=400, error="ERROR_CORE", description="Odd"))
    portal.faults.add(Fault("crm.type.list", nth=1, status=400, error="ERROR_CORE", description="Odd"))
    crm = catalog_reading()
    crm.run()

    assert 50 == len(crm.rows("spa_types"))
    (issue,) = crm.issues()
    assert "spa_types" == issue["resource"]
    assert "may be missing" in issue["message"]


def test_templates_of_deals_and_leads_are_no_smart_processes(catalog_reading, portal):
    """`spa_automations` leaves out templates of other documents, and keeps one that does not say what it belongs to."""
    template = portal.world.templates[0]
    portal.world.templates += [
        {**template, "ID": "900", "DOCUMENT_TYPE": "DEAL"},
        {**template, "ID": "901", "DOCUMENT_TYPE": ["crm", "CCrmDocumentLead", "LEAD"]},
        {**template, "ID": "902", "DOCUMENT_TYPE": None},
    ]
    crm = catalog_reading()
    crm.run("spa_automations")

    found = {row["id"]: row["entity_type_id"] for row in crm.rows("spa_automations")}
    assert {379: 177, 381: 177, 525: 1036, 527: 1038, 902: None} == found

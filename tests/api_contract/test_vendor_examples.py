"""The vendor's own example answers become the rows of the catalogue that a reader of the documentation expects."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import cache

import pytest

from .documentation import Documentation, load, only_with_examples, sample

CATALOGUE = (
    "spa_types", "spa_type_relations", "spa_type_linked_fields", "spa_fields", "spa_field_options", "spa_categories",
    "spa_stages", "spa_automations", "automated_solutions", "automated_solution_types",
)  # fmt: skip

pytestmark = only_with_examples


class SmartProcesses(Documentation):
    """The examples that the catalogue of smart processes is made of."""

    def _crm_type_getbyentitytypeid(self, answer, given):
        """The example describes type 2024: here it describes the type that is asked for."""
        answer["result"]["type"]["entityTypeId"] = int(given["entityTypeId"])

    def _crm_item_fields(self, answer, given):
        """The example has no custom field: type 1256 gets the one of the userfieldconfig example, with its options."""
        if given["entityTypeId"] == "1256":
            field = sample("userfieldconfig.get")["result"]["field"]
            answer["result"]["fields"]["ufCrm37NewRestList2026"] = {
                **answer["result"]["fields"]["observers"],
                "type": "enumeration", "isDynamic": True, "title": "List of characteristics",
                "upperName": "UF_CRM_37_NEW_REST_LIST_2026", "settings": field["settings"],
                "items": [{"ID": option["id"], "VALUE": option["value"]} for option in field["enum"]],
            }  # fmt: skip

    def _crm_category_list(self, answer, given):
        """The example is of deals: here these are the pipelines of type 1256, and the other types have none."""
        rows = answer["result"]["categories"] if given["entityTypeId"] == "1256" else []
        answer["result"]["categories"] = [{**row, "entityTypeId": 1256} for row in rows]
        answer["total"] = len(rows)

    def _crm_status_entity_types(self, answer, _given):
        """The example's smart process is 177, which the list of types does not have: here it is 1246."""
        text = json.dumps(answer["result"]).replace("DYNAMIC_177", "DYNAMIC_1246").replace("DT177", "DT1246")
        answer["result"] = json.loads(text.replace('"ENTITY_TYPE_ID": 177', '"ENTITY_TYPE_ID": 1246'))

    def _crm_status_list(self, answer, given):
        """The example is of deals: here these are the stages of the first pipeline of 1246; the second one is empty."""
        asked = "DYNAMIC_1246_STAGE_7"
        rows = answer["result"]
        answer["result"] = [{**row, "ENTITY_ID": asked} for row in rows]
        answer["total"] = len(rows)

    def _userfieldconfig_list(self, answer, given):
        """The example is the first page of 94 rows and shows one, of the type with id 7: here it is all, of id 37."""
        for key in ("next", "total"):
            del answer[key]
        self._of_type_37(answer["result"]["fields"][0])

    def _userfieldconfig_get(self, answer, _given):
        self._of_type_37(answer["result"]["field"])

    def _of_type_37(self, field):
        field |= {"entityId": "CRM_37", "fieldName": "UF_CRM_37_NEW_REST_LIST_2026"}

    def _bizproc_workflow_template_list(self, answer, _given):
        """The example shows two rows of 34: here they are all."""
        del answer["total"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Loads what the documentation answers, once, and gives a way to ask for it: loaded(refused=(...))(sql)."""
    return cache(lambda refused=(): load(SmartProcesses(refused), CATALOGUE, tmp_path_factory.mktemp("samples")))


def test_types_read_as_documented(loaded):
    """crm.type.list: four types, their flags as BOOLEAN, their moments as instants, an empty code as NULL."""
    query = loaded()

    assert [
        (1226, 22, "Smart Process #5", None, True, False, False, True),
        (1236, 27, "Smart Process #10", None, False, True, True, True),
        (1246, 32, "Smart Process #15", None, False, True, False, True),
        (1256, 37, "Smart Process #20", None, True, False, True, False),
    ] == query(
        "select entity_type_id, id, title, code, is_categories_enabled, is_stages_enabled, is_begin_close_dates_enabled, "
        "is_biz_proc_enabled from s.spa_types order by entity_type_id"
    )
    assert [(datetime(2024, 7, 8, 15, 24, 55, tzinfo=timezone.utc), 1)] == query(
        "select created_time, updated_by from s.spa_types where id = 37"
    )


def test_relations_read_as_documented(loaded):
    """crm.type.getByEntityTypeId: five parents, of which contact and company are predefined, and two children."""
    query = loaded()

    assert [
        ("child", 3, True, False), ("child", 4, False, False), ("parent", 1, True, False), ("parent", 2, True, False),
        ("parent", 3, True, True), ("parent", 4, True, True), ("parent", 31, True, False),
    ] == query(
        "select relation, related_entity_type_id, is_children_list_enabled, is_predefined from s.spa_type_relations "
        "where entity_type_id = 1256 order by 1, 2"
    )  # fmt: skip
    assert [
        ("CALENDAR_EVENT|UF_CRM_CAL_EVENT", True), ("TASKS_TASK_TEMPLATE|UF_CRM_TASK", False), ("TASKS_TASK|UF_CRM_TASK", True),
    ] == query(
        "select linked_field, is_enabled from s.spa_type_linked_fields where entity_type_id = 1256 order by linked_field"
    )  # fmt: skip


def test_fields_read_as_documented(loaded):
    """crm.item.fields: 34 fields with the vendor's types and flags, and the column that each of them gets."""
    query = loaded()
    fields = sample("crm.item.fields")["result"]["fields"]
    found = {
        row[0]: row[1:]
        for row in query(
            "select name, upper_name, type, is_required, is_read_only, is_multiple, is_deprecated, column_name, column_type, "
            "child_table from s.spa_fields where entity_type_id = 1226"
        )
    }
    flags = {
        name: (row["upperName"], row["type"], row["isRequired"], row["isReadOnly"], row["isMultiple"],
               row.get("isDeprecated", False))
        for name, row in fields.items()
    }  # fmt: skip
    time = "TIMESTAMP WITH TIME ZONE"

    assert flags == {name: row[:6] for name, row in found.items()}
    assert ("id", "BIGINT", None) == found["id"][6:]
    assert ("opened", "BOOLEAN", None) == found["opened"][6:]
    assert ("created_time", time, None) == found["createdTime"][6:]
    assert ("begindate", "DATE", None) == found["begindate"][6:]
    assert ("opportunity", "DOUBLE", None) == found["opportunity"][6:]
    assert ("contact_id", "BIGINT", None) == found["contactId"][6:]
    assert ("parent_id_1248", "BIGINT", None) == found["parentId1248"][6:]
    assert (None, "BIGINT", "spa_items_1226__contact_ids") == found["contactIds"][6:]
    assert (None, None, None) == found["contacts"][6:]
    assert [("STAGE_ID", "DYNAMIC_1268_STAGE_52"), ("SOURCE_ID", "SOURCE")] == query(
        "select upper_name, status_type from s.spa_fields where entity_type_id = 1226 "
        "and upper_name in ('STAGE_ID', 'SOURCE_ID') order by position"
    )
    assert [({"isMyCompany": True, "parentEntityTypeId": 4, "isEmbeddedEditorEnabled": True},)] == [
        (json.loads(text),)
        for (text,) in query("select settings from s.spa_fields where entity_type_id = 1226 and name = 'mycompanyId'")
    ]


def test_options_read_as_documented(loaded):
    """userfieldconfig.get: two options with xml_id, sort and default, as strings in the answer and typed in the table."""
    assert [
        (1256, "UF_CRM_37_NEW_REST_LIST_2026", 3671, "Characteristic 1", 0, 100, "38a8c98a5de02f8ccdca2244e5065ecd", False),
        (1256, "UF_CRM_37_NEW_REST_LIST_2026", 3673, "Characteristic 2", 1, 200, "9520e17b39f3525b820b809914b52207", True),
    ] == loaded()(
        "select entity_type_id, upper_name, option_id, value, position, sort, xml_id, is_default "
        "from s.spa_field_options order by option_id"
    )  # fmt: skip


def test_categories_read_as_documented(loaded):
    """crm.category.list: four pipelines; one has the id 0, which is a value, and is the default."""
    assert [
        (1256, 0, "General", 300, True), (1256, 9, "Funnel with Original Name", 200, False),
        (1256, 10, "Lead Route", 200, False), (1256, 11, "Path to Success", 200, False),
    ] == [
        row for row in loaded()(
            "select entity_type_id, id, name, sort, is_default from s.spa_categories order by entity_type_id, id"
        ) if row[0] == 1256
    ]  # fmt: skip


def test_stages_read_as_documented(loaded):
    """crm.status.list: eight stages in the documented order; what the vendor calls an apology is a failure."""
    assert [
        ("NEW", "New", 10, "#39A8EF", "process"),
        ("PREPARATION", "Document preparation", 20, "#2FC6F6", "process"),
        ("PREPAYMENT_INVOICE", "Prepayment invoice", 30, "#55D0E0", "process"),
        ("EXECUTING", "In progress", 40, "#47E4C2", "process"),
        ("FINAL_INVOICE", "Final invoice", 50, "#FFA900", "process"),
        ("WON", "Deal successful", 60, "#7BD500", "success"),
        ("LOSE", "Deal failed", 70, "#FF5752", "failure"),
        ("APOLOGY", "Failure reason analysis", 80, "#FF5752", "failure"),
    ] == loaded()(
        "select status_id, name, sort, color, semantics from s.spa_stages "
        "where entity_type_id = 1246 and category_id = 7 order by sort"
    )


def test_automated_solutions_read_as_documented(loaded):
    """crm.automatedsolution.list: three solutions, one without types."""
    query = loaded()

    assert [(238, "HR"), (240, "Customer Success"), (267, "R&D")] == query(
        "select id, title from s.automated_solutions order by id"
    )
    assert [(238, 129), (267, 14), (267, 158)] == query(
        "select automated_solution_id, spa_type_id from s.automated_solution_types order by 1, 2"
    )


def test_templates_read_as_documented(loaded):
    """bizproc.workflow.template.list: two templates; what the example does not say is NULL."""
    assert [
        (379, "App template", 503, "rest_app_5", None, None, None, None),
        (525, "Display Time", 503, "rest_app_5", None, None, None, None),
    ] == loaded()(
        "select id, name, user_id, system_code, entity_type_id, auto_execute_on_create, is_modified, modified "
        "from s.spa_automations order by id"
    )


def test_the_examples_leave_no_issues(loaded):
    """All of it is understood."""
    assert [] == loaded()("select resource, message from s.load_issues")


def test_refusals_read_as_documented(loaded):
    """The vendor's examples of denial: types and their titles are found through crm.enum.ownertype, and each loss is one row."""
    refused = ("crm.type.list", "crm.automatedsolution.list", "bizproc.workflow.template.list", "userfieldconfig.list")
    query = loaded(refused=refused)

    assert [(156, "Purchase"), (177, "Equipment Purchase")] == query(
        "select entity_type_id, title from s.spa_types order by 1"
    )
    assert [("automated_solutions",), ("spa_automations",), ("spa_field_options",)] == query(
        "select resource from s.load_issues order by 1"
    )

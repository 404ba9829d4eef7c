"""Every table of the catalogue: its name, columns and keys, and its rows against what the portal itself says."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timezone

import pytest

pytestmark = pytest.mark.all_databases

# What users rely on, spelled out: a test that took this from the code would agree with any change of it.
TYPE_FLAGS = (
    "is_categories_enabled", "is_stages_enabled", "is_begin_close_dates_enabled", "is_client_enabled",
    "is_use_in_userfield_enabled", "is_link_with_products_enabled", "is_mycompany_enabled", "is_documents_enabled",
    "is_source_enabled", "is_observers_enabled", "is_recyclebin_enabled", "is_automation_enabled",
    "is_biz_proc_enabled", "is_set_open_permissions", "is_payments_enabled", "is_counters_enabled",
    "is_recurring_enabled", "is_initialized",
)  # fmt: skip
TIME = "TIMESTAMP WITH TIME ZONE"
COLUMNS = {
    "spa_types": {
        "entity_type_id": "BIGINT", "id": "BIGINT", "title": "VARCHAR", "code": "VARCHAR",
        **dict.fromkeys(TYPE_FLAGS, "BOOLEAN"), "custom_section_id": "BIGINT", "created_time": TIME,
        "updated_time": TIME, "created_by": "BIGINT", "updated_by": "BIGINT", "items_table": "VARCHAR",
    },
    "spa_type_relations": {
        "entity_type_id": "BIGINT", "relation": "VARCHAR", "related_entity_type_id": "BIGINT",
        "is_children_list_enabled": "BOOLEAN", "is_predefined": "BOOLEAN",
    },
    "spa_type_linked_fields": {"entity_type_id": "BIGINT", "linked_field": "VARCHAR", "is_enabled": "BOOLEAN"},
    "spa_fields": {
        "entity_type_id": "BIGINT", "upper_name": "VARCHAR", "name": "VARCHAR", "title": "VARCHAR", "type": "VARCHAR",
        "is_required": "BOOLEAN", "is_read_only": "BOOLEAN", "is_immutable": "BOOLEAN", "is_multiple": "BOOLEAN",
        "is_dynamic": "BOOLEAN", "is_deprecated": "BOOLEAN", "status_type": "VARCHAR", "form_label": "VARCHAR",
        "settings": "JSON", "position": "BIGINT", "column_name": "VARCHAR", "column_type": "VARCHAR",
        "child_table": "VARCHAR",
    },
    "spa_field_options": {
        "entity_type_id": "BIGINT", "upper_name": "VARCHAR", "option_id": "BIGINT", "value": "VARCHAR",
        "position": "BIGINT", "sort": "BIGINT", "xml_id": "VARCHAR", "is_default": "BOOLEAN",
    },
    "spa_categories": {
        "entity_type_id": "BIGINT", "id": "BIGINT", "name": "VARCHAR", "sort": "BIGINT", "is_default": "BOOLEAN",
        "code": "VARCHAR",
    },
    "spa_stages": {
        "entity_id": "VARCHAR", "status_id": "VARCHAR", "entity_type_id": "BIGINT", "category_id": "BIGINT",
        "name": "VARCHAR", "sort": "BIGINT", "color": "VARCHAR", "semantics": "VARCHAR",
    },
    "spa_automations": {
        "id": "BIGINT", "entity_type_id": "BIGINT", "name": "VARCHAR", "auto_execute_on_create": "BOOLEAN",
        "auto_execute_on_update": "BOOLEAN", "modified": TIME, "user_id": "BIGINT", "is_modified": "BOOLEAN",
        "system_code": "VARCHAR",
    },
    "automated_solutions": {"id": "BIGINT", "title": "VARCHAR"},
    "automated_solution_types": {"automated_solution_id": "BIGINT", "spa_type_id": "BIGINT"},
    "portal": {
        "host": "VARCHAR", "zone": "VARCHAR", "utc_offset_minutes": "BIGINT", "base_currency": "VARCHAR",
        "languages": "VARCHAR", "loaded_at": TIME,
    },
    "load_issues": {
        "resource": "VARCHAR", "entity_type_id": "BIGINT", "error": "VARCHAR", "message": "VARCHAR", "hint": "VARCHAR",
        "occurred_at": TIME, "load_id": "VARCHAR",
    },
}  # fmt: skip
ARROW = {"BIGINT": "int64", "BOOLEAN": "bool", "VARCHAR": "string", "JSON": "string", TIME: "timestamp[us"}
KEYS = {
    "spa_types": ["entity_type_id"],
    "spa_type_relations": ["entity_type_id", "relation", "related_entity_type_id"],
    "spa_type_linked_fields": ["entity_type_id", "linked_field"],
    "spa_fields": ["entity_type_id", "upper_name"],
    "spa_field_options": ["entity_type_id", "upper_name", "option_id"],
    "spa_categories": ["entity_type_id", "id"],
    "spa_stages": ["entity_id", "status_id"],
    "spa_automations": ["id"],
    "automated_solutions": ["id"],
    "automated_solution_types": ["automated_solution_id", "spa_type_id"],
}


def instant(text):
    return datetime.fromisoformat(text).astimezone(timezone.utc)


def yes(flag):
    return {"Y": True, "N": False}[flag]


def numbers_of(portal):
    return [row["entityTypeId"] for row in portal.types()]


# --- names, columns, keys -------------------------------------------------------------------------------------------


def test_one_run_makes_exactly_the_tables_of_the_catalogue(loaded_catalog):
    """A dataset after a run holds the documented tables, dlt's own, and nothing else."""
    made = loaded_catalog.database.types()

    assert set(COLUMNS) == {name for name in made if not name.startswith("_dlt")}


@pytest.mark.parametrize("table", COLUMNS)
def test_columns_have_the_documented_names_and_types(loaded_catalog, table):
    """Every documented column is there with its type, in a portal that shows every part of the catalogue."""
    assert COLUMNS[table] == loaded_catalog.column_types(table)


@pytest.mark.parametrize("table", KEYS)
def test_keys_are_unique_and_never_null(loaded_catalog, table):
    """A primary key finds one row, and its columns are NOT NULL in the database."""
    key = ", ".join(KEYS[table])
    rows, distinct = loaded_catalog.query(f"select count(*), count(distinct ({key})) from {{}}.{table}")[0]  # noqa: S608 - our own names
    not_null = loaded_catalog.query(
        "select column_name from information_schema.columns where is_nullable = 'NO' and table_schema = '{}' and table_name = ? "
        "and not starts_with(column_name, '_dlt')",
        table,
    )

    assert rows > 0, f"{table} is empty: its key proves nothing"
    assert rows == distinct
    assert set(KEYS[table]) == {name for (name,) in not_null}
    declared = loaded_catalog.pipeline.default_schema.get_table(table)["columns"]
    assert set(KEYS[table]) == {name for name, hints in declared.items() if hints.get("primary_key")}


# --- rows -----------------------------------------------------------------------------------------------------------


def test_types_are_the_portals(loaded_catalog):
    """`spa_types` has every smart process with all its flags, and the name of its item table."""
    expected = {}
    for row in loaded_catalog.portal.types():
        number = row["entityTypeId"]
        expected[number] = {
            "entity_type_id": number,
            "id": row["id"],
            "title": row["title"],
            "code": row["code"] or None,
            "custom_section_id": row["customSectionId"],
            "created_time": instant(row["createdTime"]),
            "updated_time": instant(row["updatedTime"]),
            "created_by": row["createdBy"],
            "updated_by": row["updatedBy"],
            "items_table": f"spa_items_{number}",
            "is_categories_enabled": yes(row["isCategoriesEnabled"]),
            "is_stages_enabled": yes(row["isStagesEnabled"]),
            "is_begin_close_dates_enabled": yes(row["isBeginCloseDatesEnabled"]),
            "is_client_enabled": yes(row["isClientEnabled"]),
            "is_use_in_userfield_enabled": yes(row["isUseInUserfieldEnabled"]),
            "is_link_with_products_enabled": yes(row["isLinkWithProductsEnabled"]),
            "is_mycompany_enabled": yes(row["isMycompanyEnabled"]),
            "is_documents_enabled": yes(row["isDocumentsEnabled"]),
            "is_source_enabled": yes(row["isSourceEnabled"]),
            "is_observers_enabled": yes(row["isObserversEnabled"]),
            "is_recyclebin_enabled": yes(row["isRecyclebinEnabled"]),
            "is_automation_enabled": yes(row["isAutomationEnabled"]),
            "is_biz_proc_enabled": yes(row["isBizProcEnabled"]),
            "is_set_open_permissions": yes(row["isSetOpenPermissions"]),
            "is_payments_enabled": yes(row["isPaymentsEnabled"]),
            "is_counters_enabled": yes(row["isCountersEnabled"]),
            "is_recurring_enabled": yes(row["isRecurringEnabled"]),
            "is_initialized": yes(row["isInitialized"]),
        }

    assert expected == {row["entity_type_id"]: row for row in loaded_catalog.rows("spa_types")}


def test_relations_are_the_portals(loaded_catalog):
    """`spa_type_relations` has each parent and child of each type, with both flags."""
    expected = {
        (row["entityTypeId"], side, other["entityTypeId"], yes(other["isChildrenListEnabled"]), yes(other["isPredefined"]))
        for row in loaded_catalog.portal.types()
        for side in ("parent", "child")
        for other in row["relations"][side]
    }  # fmt: skip

    assert expected == {
        tuple(row.values()) for row in loaded_catalog.rows("spa_type_relations", *COLUMNS["spa_type_relations"])
    }


def test_linked_fields_are_the_portals(loaded_catalog):
    """`spa_type_linked_fields` says for each type which task and calendar fields may point to it."""
    expected = {
        (row["entityTypeId"], name, yes(flag))
        for row in loaded_catalog.portal.types()
        for name, flag in row["linkedUserFields"].items()
    }

    columns = ("entity_type_id", "linked_field", "is_enabled")
    assert expected == {tuple(row.values()) for row in loaded_catalog.rows("spa_type_linked_fields", *columns)}


def test_fields_are_the_portals(loaded_catalog, ask):
    """`spa_fields` repeats crm.item.fields: names, types, flags, labels, settings, and the order."""
    expected = {}
    for number in numbers_of(loaded_catalog.portal):
        described = ask("crm.item.fields", of=loaded_catalog.portal, entityTypeId=number)["result"]["fields"]
        for position, (name, row) in enumerate(described.items()):
            expected[number, row["upperName"]] = {
                "name": name,
                "title": row["title"],
                "type": row["type"],
                "is_required": row["isRequired"],
                "is_read_only": row["isReadOnly"],
                "is_immutable": row["isImmutable"],
                "is_multiple": row["isMultiple"],
                "is_dynamic": row["isDynamic"],
                "is_deprecated": row.get("isDeprecated", False),
                "status_type": row.get("statusType"),
                "form_label": row.get("formLabel") or row.get("listLabel") or row["title"],
                "settings": row.get("settings") or None,
                "position": position,
            }
    found = {}
    for row in loaded_catalog.rows("spa_fields"):
        settings = row["settings"] and json.loads(row["settings"])
        shown = {key: row[key] for key in next(iter(expected.values())) if key != "settings"}
        found[row["entity_type_id"], row["upper_name"]] = {**shown, "settings": settings}

    assert expected == found


@pytest.mark.parametrize(
    ("upper_name", "column_name", "column_type", "child_table"),
    [
        ("ID", "id", "BIGINT", None),
        ("TITLE", "title", "TEXT", None),
        ("ASSIGNED_BY_ID", "assigned_by_id", "BIGINT", None),
        ("CREATED_TIME", "created_time", "TIMESTAMP WITH TIME ZONE", None),
        ("BEGINDATE", "begindate", "DATE", None),
        ("OPENED", "opened", "BOOLEAN", None),
        ("OPPORTUNITY", "opportunity", "DOUBLE", None),
        ("STAGE_ID", "stage_id", "TEXT", None),
        ("PARENT_ID_2", "parent_id_2", "BIGINT", None),
        ("UF_CRM_13_1739433001", "uf_crm_13_1739433001", "BIGINT", None),
        ("UF_CRM_13_1739433002", "uf_crm_13_1739433002", "DECIMAL(38,9)", None),
        ("UF_CRM_13_APPROVED", "uf_crm_13_approved", "BOOLEAN", None),
        ("UF_CRM_13_1739433003", None, "BIGINT", "spa_items_177__uf_crm_13_1739433003"),
        ("OBSERVERS", None, "BIGINT", "spa_items_177__observers"),
        ("CONTACTS", None, None, None),
    ],
)
def test_fields_say_where_their_values_will_be(loaded_catalog, upper_name, column_name, column_type, child_table):
    """`column_name`, `column_type` and `child_table` are where the items of a type keep a field."""
    found = {row["upper_name"]: row for row in loaded_catalog.rows("spa_fields") if row["entity_type_id"] == 177}[
        upper_name
    ]

    assert (column_name, column_type, child_table) == (found["column_name"], found["column_type"], found["child_table"])


def test_options_are_the_portals_with_what_userfieldconfig_adds(loaded_catalog, ask):
    """`spa_field_options` has every option in the portal's order, with sort, XML id and default."""
    more = {
        (field.code, option.id): (option.sort, option.xml_id, option.is_default)
        for field in loaded_catalog.portal.world.user_fields()
        for option in field.options
    }
    expected = set()
    for number in numbers_of(loaded_catalog.portal):
        for row in ask("crm.item.fields", of=loaded_catalog.portal, entityTypeId=number)["result"]["fields"].values():
            for position, item in enumerate(row.get("items") or []):
                option = int(item["ID"])
                known = more[row["upperName"], option]
                expected.add((number, row["upperName"], option, item["VALUE"], position, *known))

    assert len(expected) > 10
    assert expected == {
        tuple(row.values()) for row in loaded_catalog.rows("spa_field_options", *COLUMNS["spa_field_options"])
    }


def test_categories_are_the_portals(loaded_catalog):
    """`spa_categories` has every pipeline of every smart process, and none of deals or invoices."""
    expected = {
        (number, row["id"], row["name"], row["sort"], yes(row["isDefault"]), row.get("code") or None)
        for number in numbers_of(loaded_catalog.portal)
        for row in loaded_catalog.portal.world.categories[number]
    }

    assert expected == {
        tuple(row.values()) for row in loaded_catalog.rows("spa_categories", *COLUMNS["spa_categories"])
    }


def test_stages_of_every_category_are_there(loaded_catalog):
    """`spa_stages` has the stages of all pipelines, not only of the one that a field's statusType names."""
    meaning = {"S": "success", "F": "failure", None: "process"}
    expected = {
        (row["ENTITY_ID"], row["STATUS_ID"], number, category["id"], row["NAME"], int(row["SORT"]), row["COLOR"],
         meaning[row["SEMANTICS"]])
        for number in numbers_of(loaded_catalog.portal)
        for category in loaded_catalog.portal.world.categories[number]
        for row in loaded_catalog.portal.world.statuses
        if row["ENTITY_ID"] == f"DYNAMIC_{number}_STAGE_{category['id']}"
    }  # fmt: skip

    assert {1034} < {row[2] for row in expected}
    assert expected == {tuple(row.values()) for row in loaded_catalog.rows("spa_stages", *COLUMNS["spa_stages"])}


def test_semantics_of_smart_processes_are_right_without_extra(loaded_catalog):
    """Success, failure and process come from SEMANTICS: no stage of a smart process carries EXTRA."""
    assert not [
        row
        for row in loaded_catalog.portal.world.statuses
        if row["ENTITY_ID"].startswith("DYNAMIC_") and "EXTRA" in row
    ]

    found = {row["status_id"]: row["semantics"] for row in loaded_catalog.rows("spa_stages") if row["category_id"] == 7}

    assert {
        "DT177_7:NEW": "process",
        "DT177_7:PREPARATION": "process",
        "DT177_7:CLIENT": "process",
        "DT177_7:UC_PAY": "process",
        "DT177_7:SUCCESS": "success",
        "DT177_7:FAIL": "failure",
        "DT177_7:UC_DUP": "failure",
    } == found


def test_workflow_templates_say_when_they_start(loaded_catalog):
    """`spa_automations` reads AUTO_EXECUTE as two bits, and DOCUMENT_TYPE as a name or as three parts."""
    found = {
        row["id"]: (row["entity_type_id"], row["auto_execute_on_create"], row["auto_execute_on_update"])
        for row in loaded_catalog.rows("spa_automations")
    }

    assert {
        379: (177, True, True),
        381: (177, False, False),
        525: (1036, True, False),
        527: (1038, False, True),
    } == found


def test_workflow_templates_are_the_portals(loaded_catalog):
    """`spa_automations` keeps name, author, moment and origin of each template."""
    expected = {
        (int(row["ID"]), row["NAME"], instant(row["MODIFIED"]), int(row["USER_ID"]), yes(row["IS_MODIFIED"]),
         row["SYSTEM_CODE"])
        for row in loaded_catalog.portal.world.templates
    }  # fmt: skip
    columns = ("id", "name", "modified", "user_id", "is_modified", "system_code")

    assert expected == {tuple(row.values()) for row in loaded_catalog.rows("spa_automations", *columns)}


def test_automated_solutions_are_the_portals(loaded_catalog):
    """A solution without types is a solution; `spa_type_id` is the type's id, not its entityTypeId."""
    titles = {(row["id"], row["title"]) for row in loaded_catalog.rows("automated_solutions")}
    members = {tuple(row.values()) for row in loaded_catalog.rows("automated_solution_types", "automated_solution_id", "spa_type_id")}  # fmt: skip

    assert {(row["id"], row["title"]) for row in loaded_catalog.portal.world.solutions} == titles
    assert {(238, 16), (240, 13), (240, 14)} == members
    assert [("Onboarding", "HR")] == loaded_catalog.query(
        "select t.title, s.title from {}.automated_solutions s "
        "join {}.automated_solution_types m on m.automated_solution_id = s.id "
        "join {}.spa_types t on t.id = m.spa_type_id where s.title = 'HR'"
    )


def test_a_complete_run_has_no_issues(loaded_catalog):
    """A credential that may see everything leaves `load_issues` empty."""
    assert [] == loaded_catalog.issues()


# --- read back through dlt ------------------------------------------------------------------------------------------


def as_text(value):
    """One text for what is JSON text in one database and an object in another."""
    with contextlib.suppress(ValueError, TypeError):
        value = json.loads(value)
    return json.dumps(value, sort_keys=True, default=str)


@pytest.mark.parametrize("table", COLUMNS)
def test_dlts_dataset_reads_the_same_rows(loaded_catalog, table):
    """`pipeline.dataset()` gives the rows that plain duckdb gives: what a version of sqlglot broke before."""
    dataset = loaded_catalog.pipeline.dataset()
    columns = list(COLUMNS[table])
    plain = {tuple(map(as_text, row.values())) for row in loaded_catalog.rows(table, *columns)}

    assert plain == {tuple(map(as_text, row)) for row in dataset[table][columns].fetchall()}


@pytest.mark.parametrize("table", KEYS)
def test_dlts_dataset_gives_arrow(loaded_catalog, table):
    """`.arrow()` gives typed tables with as many rows: what duckdb 2.0 broke before."""
    arrow = loaded_catalog.pipeline.dataset()[table].arrow()

    assert len(loaded_catalog.rows(table)) == arrow.num_rows
    found = {field.name: str(field.type).partition(",")[0] for field in arrow.schema if field.name in COLUMNS[table]}
    assert {name: ARROW[type_] for name, type_ in COLUMNS[table].items()} == found


def test_dlts_dataset_gives_data_frames(loaded_catalog):
    """`.df()` gives a data frame, where pandas is installed."""
    pytest.importorskip("pandas", reason="pandas is not a dependency; .df() is for those who have it")
    frame = loaded_catalog.pipeline.dataset()["spa_types"].df()

    assert {row["title"] for row in loaded_catalog.rows("spa_types")} == set(frame["title"])


def test_dlts_dataset_answers_sql(loaded_catalog):
    """A join over the catalogue works through dlt's relations, as in the README."""
    relation = loaded_catalog.pipeline.dataset()(
        "select t.title, count(*) as stages from spa_types t join spa_stages s using (entity_type_id) "
        "group by t.title order by stages desc, t.title limit 1"
    )

    assert [("Гарантийные обращения", 15)] == relation.fetchall()

"""The companies: demo is consistent, hostile is served, empty and bench are what they say."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timezone

import orjson
import pytest

from bitrix24_source.sandbox import Clock, Portal

from .conftest import LASTING, UNLISTED


def ask_of(portal):
    portal.limits.capacity = None

    def ask(method, **params):
        body, headers = orjson.dumps(params), {"Content-Type": "application/json"}
        reply = portal.handle("POST", portal.webhook_path + method, "", headers, body)
        return json.loads(reply.body)  # the hostile portal's integers are too long for orjson

    return ask


def rows_of(ask, entity_type_id):
    rows, start = [], 0
    while start is not None:
        answer = ask("crm.item.list", entityTypeId=entity_type_id, start=start)
        rows += answer["result"]["items"]
        start = answer.get("next")
    return rows


def test_demo_has_ten_thousand_items_in_six_processes(clock):
    """The default size, titles in two alphabets, 177 with the type id 13, the others even and from 1030 on."""
    types = Portal(clock=clock).types()
    portal = Portal(clock=clock)

    assert sum(len(portal.items(row["entityTypeId"])) for row in types) == 10_000
    assert {row["entityTypeId"]: row["id"] for row in types}[177] == 13
    assert all(
        row["entityTypeId"] == 177 or (row["entityTypeId"] >= 1030 and row["entityTypeId"] % 2 == 0) for row in types
    )
    assert {"Equipment purchase", "Equipment"} <= {row["title"] for row in types}


def test_demo_is_consistent(portal):
    """Stages stand in their category's directory, users exist, parents, companies and contacts exist, dates are past."""
    ask = ask_of(portal)
    users = {int(row["ID"]) for row in ask("user.get", ADMIN_MODE=True)["result"]}
    stages = {row["STATUS_ID"]: row["ENTITY_ID"] for row in ask("crm.status.list")["result"]}
    for row in (row for kind in portal.types() for row in rows_of(ask, kind["entityTypeId"])):
        entity_type_id = row["entityTypeId"]
        assert row["assignedById"] in users
        assert stages[row["stageId"]] == f"DYNAMIC_{entity_type_id}_STAGE_{row['categoryId']}"
        assert row["createdTime"] <= row["movedTime"] <= row["updatedTime"] <= "2025-06-30T18:00:00+03:00"
        for name, value in row.items():
            if name.startswith("parentId") and value is not None:
                assert value in portal.items(int(name.removeprefix("parentId")))
        assert row.get("companyId", 0) == 0 or row["companyId"] in portal.items(4)


def test_relations_are_known_at_both_ends(ask):
    """A type's parents are its `parentId` fields, and each parent lists the child."""
    relations = ask("crm.type.getByEntityTypeId", entityTypeId=1038)["result"]["type"]["relations"]
    fields = ask("crm.item.fields", entityTypeId=177)["result"]["fields"]

    assert 177 in {row["entityTypeId"] for row in relations["child"]}
    assert fields["parentId1038"]["settings"] == {"parentEntityTypeId": 1038}
    assert "parentId1038" in ask("crm.item.fields", entityTypeId=2)["result"]["fields"]


def test_two_people_have_left(ask):
    """Dismissed users are listed, with a real `false`, unless asked away."""
    assert Counter(row["ACTIVE"] for row in ask("user.get")["result"]) == {True: 14, False: 2}
    assert ask("user.get", FILTER={"ACTIVE": True})["total"] == 14


def test_templates_spell_their_document_both_ways(ask):
    """Once as a string, once in three parts; without SELECT there is only the ID."""
    rows = ask("bizproc.workflow.template.list", SELECT=["ID", "DOCUMENT_TYPE"])["result"]

    assert {type(row["DOCUMENT_TYPE"]) for row in rows} == {str, list}
    assert {key for row in ask("bizproc.workflow.template.list")["result"] for key in row} == {"ID"}


def test_an_activity_comes_once_for_each_binding_asked_for(ask):
    """The vendor's warning about duplicates under BINDINGS."""
    wanted = [{"OWNER_TYPE_ID": 2}, {"OWNER_TYPE_ID": 3}]
    found = Counter(row["ID"] for start in (0, 50, 100) for row in
                    ask("crm.activity.list", filter={"BINDINGS": wanted}, start=start)["result"])  # fmt: skip
    twice = next(number for number, count in found.items() if count == 2)

    assert len(ask("crm.activity.binding.list", activityId=twice)["result"]) == 2


def test_product_rows_need_type_and_owner(ask):
    """`=ownerType` and `=ownerId`, which takes a list; the rows belong to their owners."""
    rows = ask("crm.item.productrow.list", filter={"=ownerType": "Tb1", "=ownerId": [1, 2, 3, 4]})["result"][
        "productRows"
    ]

    assert {row["ownerId"] for row in rows} <= {1, 2, 3, 4}
    assert ask("crm.item.productrow.list", filter={"=ownerType": "Tb1"})["status"] == 400


def test_currencies_say_total_zero(ask):
    """Four rows, `total` 0."""
    answer = ask("crm.currency.list")

    assert (len(answer["result"]), answer["total"], ask("crm.currency.base.get")["result"]) == (4, 0, "RUB")


def test_user_fields_are_strings_and_page(ask):
    """Scalars are strings, `enum` comes in get only, and a filter by object works."""
    listed = ask("userfieldconfig.list", moduleId="crm", filter={"entityId": "CRM_13", "userTypeId": "enumeration"})
    row = listed["result"]["fields"][0]
    got = ask("userfieldconfig.get", moduleId="crm", id=row["id"])["result"]["field"]

    assert (row["id"].isdigit(), "enum" in row, "editFormLabel" in row) == (True, False, False)
    assert [option["value"] for option in got["enum"]] == ["Low", "Medium", "High"]
    assert got["editFormLabel"]["ru"] == "Приоритет"


def test_stages_of_smart_processes_have_no_extra(ask):
    """EXTRA is for leads, deals and quotes; SEMANTICS is for all."""
    spa = ask("crm.status.list", filter={"ENTITY_ID": "DYNAMIC_177_STAGE_7"})["result"]
    deals = ask("crm.status.list", filter={"ENTITY_ID": "DEAL_STAGE"})["result"]

    assert all("EXTRA" not in row for row in spa)
    assert [row["SEMANTICS"] for row in spa].count("S") == 1
    assert deals[-1]["EXTRA"]["SEMANTICS"] == "apology"
    assert ask("crm.status.list", filter={"ENTITY_ID": ["A"]})["status"] == 400
    assert ask("crm.status.list", filter={"ENTITY_ID": "NO_SUCH"})["result"] == []


def test_leads_have_no_categories(ask):
    """ENTITY_TYPE_NOT_SUPPORTED for leads, NOT_FOUND for a type that does not exist."""
    assert ask("crm.category.list", entityTypeId=1)["error"] == "ENTITY_TYPE_NOT_SUPPORTED"
    assert ask("crm.category.list", entityTypeId=9999)["error"] == "NOT_FOUND"


def test_a_new_type_can_be_made_filled_and_deleted(ask):
    """crm.type.add, an item, and no deletion while there is one."""
    row = ask("crm.type.add", fields={"title": "Инциденты", "isStagesEnabled": "Y"})["result"]["type"]
    number = row["entityTypeId"]
    item = ask("crm.item.add", entityTypeId=number, fields={"title": "Пожар"})["result"]["item"]
    refused = ask("crm.type.delete", id=row["id"])
    ask("crm.item.delete", entityTypeId=number, id=item["id"])

    assert (number, item["stageId"].startswith(f"DT{number}_")) == (1040, True)
    assert refused["status"] == 400
    assert ask("crm.type.delete", id=row["id"])["result"] == []
    assert ask("crm.type.getByEntityTypeId", entityTypeId=number)["error"] == "0"


def test_the_type_list_refuses_the_upper_case_id(ask):
    """What fast_bitrix24 runs into: `ID` is spelled `I_D` by the converter."""
    answer = ask("crm.type.list", order={"ID": "ASC"})

    assert (answer["status"], answer["error_description"]) == (400, "Unknown field definition `I_D`")


def test_empty_has_no_smart_processes(clock):
    """The list is empty and no error."""
    answer = ask_of(Portal(scenario="empty", clock=clock))("crm.type.list")

    assert (answer["result"], answer["total"]) == ({"types": []}, 0)


def test_an_unknown_scenario_is_refused():
    """With the names of those that exist."""
    with pytest.raises(ValueError, match="demo, hostile, empty and bench"):
        Portal(scenario="nice")


@pytest.fixture(scope="module")
def hostile():
    return ask_of(Portal(scenario="hostile", clock=Clock(datetime(2025, 7, 1, tzinfo=timezone.utc))))


def test_hostile_is_served_to_the_last_row(hostile):
    """Every readable type answers fields, categories and all of its items; JSON throughout."""
    types = hostile("crm.type.list")["result"]["types"] + hostile("crm.type.list", start=50)["result"]["types"]
    for row in types:
        number = row["entityTypeId"]
        fields = hostile("crm.item.fields", entityTypeId=number)
        if "error" in fields:
            assert fields["error"] == "ACCESS_DENIED"
            continue
        for item in rows_of(hostile, number):
            assert set(item) - set(fields["result"]["fields"]) <= UNLISTED | LASTING
        categories = hostile("crm.category.list", entityTypeId=number)
        assert categories.get("error", "") in ("", "ENTITY_TYPE_NOT_SUPPORTED")

    assert len(types) == 64


def test_hostile_titles_and_sizes(hostile):
    """Twins, a title that is another's code, the empty and the long one; pages of 49, 50, 51 rows."""
    types = hostile("crm.type.list")["result"]["types"] + hostile("crm.type.list", start=50)["result"]["types"]
    titles, codes = Counter(row["title"] for row in types), {row["code"] for row in types}
    totals = [hostile("crm.item.list", entityTypeId=number)["total"] for number in (1042, 1044, 1046, 1048, 1060)]

    assert titles["Twins"] == 2
    assert {"TWIN_CODE", "Twins"} <= codes & set(titles)
    assert max(map(len, titles)) == 300
    assert "" in titles
    assert totals == [49, 50, 51, 100, 0]


def test_hostile_fields(hostile):
    """300 of them on one type, names that collide, types that nobody knows, 120 options, 70 stages."""
    wide = hostile("crm.item.fields", entityTypeId=1030)["result"]["fields"]
    names = hostile("crm.item.fields", entityTypeId=1034)["result"]["fields"]
    odd = hostile("crm.item.fields", entityTypeId=177)["result"]["fields"].values()
    options = hostile("crm.item.fields", entityTypeId=1032)["result"]["fields"]["ufCrm102_1739440001"]["items"]
    stages = hostile("crm.item.fields", entityTypeId=1032)["result"]["fields"]["stageId"]["statusType"]

    assert sum(field["isDynamic"] for field in wide.values()) == 300
    assert (names["ufCrm104AB"]["upperName"], names["UF_CRM_104_A__B"]["upperName"]) == (
        "UF_CRM_104_A_B",
        "UF_CRM_104_A__B",
    )
    assert "no_such_type" in {field["type"] for field in odd}
    assert len(options) == 120
    assert hostile("crm.status.list", filter={"ENTITY_ID": stages})["total"] > 50
    assert hostile("userfieldconfig.list", moduleId="crm")["total"] > 50


def test_hostile_values(hostile):
    """Integers beyond 64 bits, NUL characters, every spelling of nothing."""
    values = [value for row in rows_of(hostile, 177) for value in row.values()]

    assert any(isinstance(value, int) and value > 2**63 for value in values)
    assert any(isinstance(value, str) and "\x00" in value for value in values)
    for nothing in (None, "", False, [], {}):
        assert any(value == nothing and type(value) is type(nothing) for value in values)


def test_a_portal_changes_between_two_runs(portal, ask):
    """Fields and types come and go, options and stages are renamed; items keep their ids and values."""
    name = portal.add_field(177, "LATER", "enumeration", "Позже", options=["раз", "два"])
    field = ask("crm.item.fields", entityTypeId=177)["result"]["fields"][name]
    portal.rename_option(int(field["items"][0]["ID"]), "один")
    portal.rename_stage("DT177_7:NEW", "Заявка подана")
    portal.remove_field(177, "UF_CRM_13_APPROVED")
    row = portal.add_type("Инциденты", items=3)
    fields = ask("crm.item.fields", entityTypeId=177)["result"]["fields"]
    stages = ask("crm.status.list", filter={"ENTITY_ID": "DYNAMIC_177_STAGE_7"})["result"]

    assert (name, fields[name]["items"][0]["VALUE"]) == ("ufCrm13Later", "один")
    assert "ufCrm13Approved" not in fields
    assert {"ufCrm13Approved", "ufCrm13Later"} & set(portal.items(177).get(1)) == {"ufCrm13Later"}
    assert stages[0]["NAME"] == "Заявка подана"
    assert ask("crm.item.list", entityTypeId=row["entityTypeId"])["total"] == 3
    portal.delete_type(row["entityTypeId"])
    assert ask("crm.item.list", entityTypeId=row["entityTypeId"])["error"] == "NOT_FOUND"

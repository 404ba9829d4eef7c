"""Shapes that real portals answer and the documents do not show."""

from __future__ import annotations

TYPE = 177


def column(ask, number, name):
    items = [
        row
        for start in range(0, 200, 50)
        for row in ask("crm.item.list", entityTypeId=number, start=start)["result"]["items"]
    ]
    return {row[name] for row in items}


def test_nobody_is_zero(ask):
    """A robot changed an item as user 0, and an empty employee field is 0."""
    assert 0 in column(ask, TYPE, "updatedBy")
    assert 0 in column(ask, 1030, "ufCrm14_1739433101")


def test_numbers_of_all_lengths(portal, ask):
    """Integers beyond 32 bits and below zero, doubles of seventeen digits, and texts that look like numbers."""
    name = portal.add_field(TYPE, "LONG", "integer", "Chat")
    ratio = portal.add_field(TYPE, "RATIO", "double", "Ratio")
    text = portal.add_field(TYPE, "CODE", "string", "Code")

    assert {-1_003_553_166_106, 4_294_967_297} <= column(ask, TYPE, name)
    assert 1.5431999999999999 in column(ask, TYPE, ratio)
    assert "1254" in column(ask, TYPE, text)


def test_an_item_that_never_moved_has_an_empty_previous_stage(portal, ask):
    """It is "", not null."""
    stages = set.union(*(column(ask, row["entityTypeId"], "previousStageId") for row in portal.types()))

    assert "" in stages
    assert None not in stages


def test_the_fast_mode_has_no_total_in_controllers(ask):
    """Legacy lists say 0; in a batch there is no entry of a controller's."""
    answer = ask("batch", cmd={"a": f"crm.item.list?entityTypeId={TYPE}&start=-1", "b": "crm.activity.list?start=-1"})

    assert answer["result"]["result_total"] == {"b": 0}
    assert "total" not in ask("crm.stagehistory.list", entityTypeId=TYPE, start=-1)


def test_labels_of_custom_fields(ask):
    """Only the label of the form is filled."""
    field = ask("crm.item.fields", entityTypeId=TYPE)["result"]["fields"]["ufCrm13Approved"]

    assert (field["listLabel"], field["filterLabel"]) == ("", "")
    assert field["formLabel"] == field["title"] != ""


def test_errors_under_numbered_commands_are_a_list(ask):
    """A batch whose commands are numbered does not tell which one failed."""
    answer = ask("batch", cmd=["crm.activity.get?id=999999", "profile"])

    assert isinstance(answer["result"]["result_error"], list)
    assert answer["result"]["result_error"][0]["error"] == ""


def test_types_have_flags_of_newer_portals(ask):
    """The list has whether a type recurs and is initialised."""
    row = ask("crm.type.list")["result"]["types"][0]

    assert (row["isRecurringEnabled"], row["isInitialized"], row["daysBeforeClose"]) == ("N", "Y", None)

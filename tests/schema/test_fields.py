"""The columns of every documented field type, and the names that catalogue, tables and dlt must agree on."""

import json
import os
from pathlib import Path

import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import given
from hypothesis import strategies as st

from bitrix24_source.schema import MULTIFIELD, StoredColumns, unlisted_field, with_system_fields, with_system_types
from bitrix24_source.schema.columns import RESERVED_COLUMNS, map_columns
from bitrix24_source.schema.fields import Column, Field, Option, fields_from_response

codes = st.text("AB19_", min_size=1, max_size=12)
types = st.sampled_from(["string", "money", "address", "crm", "crm_multifield", "integer", "hlblock"])


def field(name="ufCrm3Digit", type_="string", **wire):
    return Field.from_wire(name, {"type": type_, **wire}, 0)


def placement(field, items_table):
    """Where a field goes when no neighbour is in its way; None when it is never loaded."""
    return map_columns([field], items_table)[field.name]


def columns(type_, **wire):
    placed = placement(field("ufCrm3X", type_, upperName="UF_CRM_3_X", **wire), "spa_items_177")
    return [(column.name, column.sql_type) for column in placed.columns], placed.child_table


@pytest.mark.parametrize(
    ("sql_type", "types_"),
    [
        ("BIGINT", ["integer", "user", "employee", "crm_company", "crm_contact", "crm_lead", "crm_deal", "crm_quote"]),
        (
            "BIGINT",
            ["crm_category", "crm_entity", "location", "iblock_element", "iblock_section", "enumeration", "file"],
        ),
        ("DOUBLE", ["double"]),
        (
            "TEXT",
            ["string", "text", "url", "crm_status", "crm_currency", "rest_12_code", "hlblock", "resourcebooking", ""],
        ),
        ("BOOLEAN", ["boolean", "char"]),
        ("DATE", ["date"]),
        ("TIMESTAMP WITH TIME ZONE", ["datetime"]),
    ],
)
def test_plain_types(sql_type, types_):
    """A type with one column has that column, in the item table or as `value` of a child table."""
    for type_ in types_:
        assert columns(type_) == ([("uf_crm_3_x", sql_type)], None)
        assert columns(type_, isMultiple=True) == ([("value", sql_type)], "spa_items_177__uf_crm_3_x")


@pytest.mark.parametrize(
    ("type_", "main", "extra"),
    [
        ("money", "DECIMAL(38,9)", [("currency", "TEXT")]),
        ("address", "TEXT", [("latitude", "DOUBLE"), ("longitude", "DOUBLE")]),
        ("crm", "TEXT", [("entity_type_id", "BIGINT"), ("entity_id", "BIGINT")]),
    ],
)
def test_types_of_several_columns(type_, main, extra):
    """Money, addresses and bindings have more columns, named after the first, in a child table as well."""
    single = [("uf_crm_3_x", main), *((f"uf_crm_3_x_{name}", sql_type) for name, sql_type in extra)]
    multiple = [("value", main), *((f"value_{name}", sql_type) for name, sql_type in extra)]

    assert columns(type_) == (single, None)
    assert columns(type_, isMultiple=True) == (multiple, "spa_items_177__uf_crm_3_x")


def test_multifield():
    """Phones and e-mails are a child table of their own, whether or not the field is marked as multiple."""
    expected = [("value", "text"), ("type_id", "text"), ("value_type", "text"), ("fm_id", "bigint")]

    for multifield in (MULTIFIELD, field("fm", "crm_multifield", upperName="FM")):
        placed = placement(multifield, "contacts")

        assert [(column.name, column.type) for column in placed.columns] == expected
        assert placed.child_table == "contacts__fm"


def test_fields_that_are_never_loaded():
    """The search blob and the doubled contacts have no column; a user field of such a name would."""
    assert placement(field("searchContent", "text"), "deals") is None
    assert placement(field("contacts", "crm_contact", isMultiple=True), "deals") is None
    assert placement(field("contacts", "crm_contact", isMultiple=True, isDynamic=True), "deals") is not None


def test_id():
    """The id is a BIGINT of the item table whatever its description says."""
    placed = placement(field("id", "string", isMultiple=True, upperName="WHATEVER"), "deals")

    assert (placed.columns, placed.child_table) == ((Column("id", "bigint"),), None)


def test_webform_is_a_link():
    """webformId is declared an integer, yet 0 says that there is none."""
    assert field("webformId", "integer").kind == "link"
    assert field("ufCrm3Count", "integer").kind == "integer"


def test_colliding_names():
    """A derived column gives way to a field of its name, whatever the order of the portal's answer."""
    money = field("ufX", "money", upperName="UF_X")
    text = field("ufXCurrency", "string", upperName="UF_X_CURRENCY")
    number = field("ufXCurrency2", "double", upperName="UF_X_CURRENCY_2")

    for fields in ([money, text, number], [number, text, money]):
        placed = map_columns(fields, "deals")

        assert placed["ufX"].columns == (Column("uf_x", "decimal"), Column("uf_x_currency_3", "text"))
        assert placed["ufXCurrency"].columns == (Column("uf_x_currency", "text"),)
        assert placed["ufXCurrency2"].columns == (Column("uf_x_currency_2", "double"),)


@given(st.lists(st.tuples(codes, types, st.booleans()), max_size=8))
def test_no_column_has_two_owners(described):
    """Whatever the portal names its fields, no two columns or tables are called alike, and dlt changes no name."""
    fields = [
        Field.from_wire(f"field{number}", {"upperName": code, "type": type_, "isMultiple": multiple}, number)
        for number, (code, type_, multiple) in enumerate(described)
    ]
    placed = [place for place in map_columns(fields, "deals").values() if place]
    single = [column.name for place in placed if not place.child_table for column in place.columns]
    tables = [place.child_table for place in placed if place.child_table]
    naming = NamingConvention()

    assert len(set(single) | RESERVED_COLUMNS) == len(single) + len(RESERVED_COLUMNS)
    assert len(set(tables)) == len(tables)
    assert [naming.normalize_path(name) for name in single] == single


@pytest.mark.parametrize(
    ("name", "upper_name"),
    [
        ("assignedById", "ASSIGNED_BY_ID"),
        ("parentId1248", "PARENT_ID_1248"),
        ("ufCrm10_5186744711", "UF_CRM_10_5186744711"),
        ("ufCrm3Digit", "UF_CRM_3_DIGIT"),
        ("ufCrm_3_DIGIT10", "UF_CRM_3_DIGIT10"),
        ("ufCrm_3_DIGIT_10", "UF_CRM_3_DIGIT_10"),
        ("UF_CRM_3_X", "UF_CRM_3_X"),
    ],
)
def test_missing_upper_name(name, upper_name):
    """A field without upperName gets the one that the vendor's naming rules lead back to."""
    assert field(name).upper_name == upper_name


def test_from_wire():
    """Every attribute of a description is read, and what the portal does not document is left alone."""
    description = {
        "type": "enumeration", "isRequired": True, "isReadOnly": "Y", "isImmutable": "N", "isMultiple": False,
        "isDynamic": True, "isDeprecated": True, "title": "UF_CRM_3_X", "upperName": "UF_CRM_3_X",
        "statusType": "SOURCE", "settings": {"DISPLAY": "LIST"}, "listLabel": "Listed", "formLabel": "Asked",
        "items": [{"ID": "79", "VALUE": "One"}, {"ID": 81, "VALUE": "Two"}], "unheardOf": [1],
    }  # fmt: skip
    read = Field.from_wire("ufCrm3X", description, 7)

    assert read == Field(
        name="ufCrm3X", upper_name="UF_CRM_3_X", type="enumeration", title="UF_CRM_3_X", form_label="Asked",
        is_required=True, is_read_only=True, is_dynamic=True, is_deprecated=True, status_type="SOURCE",
        settings={"DISPLAY": "LIST"}, options=(Option("79", "One"), Option("81", "Two")), position=7,
    )  # fmt: skip


def test_labels():
    """The form's label wins over the list's, and the title stands in for both."""
    assert field(formLabel="a", listLabel="b", title="c").form_label == "a"
    assert field(formLabel="", listLabel="b", title="c").form_label == "b"
    assert field(title="c").form_label == "c"
    assert field().form_label is None


@pytest.mark.parametrize("result", [{"fields": []}, {"fields": {}}, {}, [], None])
def test_no_fields(result):
    """PHP writes an empty map as a list; no fields are no error."""
    assert fields_from_response(result) == ()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["fields", "type", "items", "ID", "settings", "isMultiple", "title"]), inner
            )
        ),
    )
)
def test_crooked_answers(result):
    """No answer makes reading the fields, or finding their columns, fail."""
    fields = fields_from_response({"fields": result})

    assert list(map_columns(fields, "deals")) == [field.name for field in fields]
    assert all(isinstance(hash(field), int) for field in fields)


@pytest.mark.skipif("BITRIX24_SAMPLES" not in os.environ, reason="BITRIX24_SAMPLES names no folder of vendor samples")
def test_vendor_sample():
    """The vendor's example gives its 34 fields in order, with the names that our fallback would give them too."""
    text = Path(os.environ["BITRIX24_SAMPLES"], "crm.item.fields", "01.ok.json").read_text(encoding="utf-8")
    fields = fields_from_response(json.loads(text)["result"])
    placed = map_columns(fields, "spa_items_1268")

    assert [field.position for field in fields] == list(range(34))
    assert [Field.from_wire(f.name, {}, 0).upper_name for f in fields] == [f.upper_name for f in fields]
    assert [name for name, place in placed.items() if place is None] == ["contacts"]
    assert {place.child_table for place in placed.values() if place} == {
        None, "spa_items_1268__contact_ids", "spa_items_1268__observers",
    }  # fmt: skip
    assert placed["parentId1248"].column == Column("parent_id_1248", "bigint")
    assert placed["begindate"].column == Column("begindate", "date")


# --- what the destination has already -------------------------------------------------------------------------------


def stored(**tables):
    """Columns of tables, `spa_items_177` being written `items`."""
    return StoredColumns({name.replace("items", "spa_items_177", 1): columns for name, columns in tables.items()})


@pytest.mark.parametrize(
    ("type_", "is_multiple", "tables", "expected"),
    [
        ("integer", False, {}, ("uf_x", "bigint", None)),
        ("integer", False, {"items": {"uf_x": "bigint"}}, ("uf_x", "bigint", None)),
        ("string", False, {"items": {"uf_x": "bigint"}}, ("uf_x__v_text", "text", None)),
        ("string", False, {"items": {"uf_x": "bigint", "uf_x__v_text": "text"}}, ("uf_x__v_text", "text", None)),
        ("integer", False, {"items": {"uf_x": "bigint", "uf_x__v_text": "text"}}, ("uf_x", "bigint", None)),
        ("string", True, {"items": {"uf_x": "bigint"}}, ("value", "text", "spa_items_177__uf_x")),
        ("string", True, {"items__uf_x": {"value": "bigint"}}, ("value", "text", "spa_items_177__uf_x__v_text")),
        ("string", True, {"items__uf_x": {"value": "text"}}, ("value", "text", "spa_items_177__uf_x")),
    ],
)
def test_a_column_keeps_its_type(type_, is_multiple, tables, expected):
    """A field goes where its type is, or where nothing is: in its column, in a variant of it, or in a child table."""
    placed = map_columns([field("ufX", type_, isMultiple=is_multiple)], "spa_items_177", stored(**tables))["ufX"]

    assert (placed.column.name, placed.column.type, placed.child_table) == expected


def test_derived_columns_keep_their_types_too():
    """The currency of a money field gives way to a column of another type, and the amount stays where it is."""
    placed = map_columns([field("ufX", "money")], "deals", StoredColumns({"deals": {"uf_x_currency": "bigint"}}))["ufX"]

    assert placed.columns == (Column("uf_x", "decimal"), Column("uf_x_currency__v_text", "text"))


@pytest.mark.parametrize(
    ("key", "has_lists", "tables", "expected"),
    [
        ("oddThing", False, {}, ("unlisted", "odd_thing", None)),
        ("ufCrm11AB", False, {"items": {"uf_crm_11_a_b": "bigint"}}, ("integer", "uf_crm_11_a_b", None)),
        ("ufX", False, {"items": {"uf_x": "text"}}, ("unlisted", "uf_x", None)),
        ("ufX", False, {"items": {"uf_x": "decimal", "uf_x_currency": "text"}}, ("money", "uf_x", None)),
        ("ufX", False, {"items": {"uf_x": "date", "uf_x__v_text": "text"}}, ("date", "uf_x", None)),
        ("ufX", True, {"items": {"uf_x": "date"}, "items__uf_x": {"value": "bool"}}, ("boolean", "value", "spa_items_177__uf_x")),
        ("ufX", False, {"items": {"uf_x": "date"}, "items__uf_x": {"value": "bool"}}, ("date", "uf_x", None)),
        ("ufX", False, {"items__uf_x": {"value": "bigint"}}, ("integer", "value", "spa_items_177__uf_x")),
        ("fm", True, {"items__fm": {"value": "text", "value_type": "text"}}, ("crm_multifield", "value", "spa_items_177__fm")),
        ("begindate", False, {}, ("date", "begindate", None)),
        ("parentId1030", False, {}, ("crm_entity", "parent_id_1030", None)),
        ("deletedAt", False, {"items": {"deleted_at": "timestamp"}}, ("unlisted", "deleted_at_2", None)),
    ],
)  # fmt: skip
def test_a_key_of_no_field_goes_on_in_its_column(key, has_lists, tables, expected):
    """It has the type of what is stored under its name, whatever underscores the wire name lost; text where nothing is."""
    known = stored(**tables)
    unlisted = unlisted_field(key, 0, "spa_items_177", known, has_lists=has_lists)
    placed = map_columns([unlisted], "spa_items_177", known)[key]

    assert (unlisted.type, placed.column.name, placed.child_table) == expected


def test_a_key_of_no_field_takes_no_name_from_a_field():
    """A derived column keeps its name, which spa_fields tells, beside a key that nobody explains."""
    money, unlisted = field("ufSum", "money"), unlisted_field("ufSumCurrency", 1, "deals")

    placed = map_columns([unlisted, money], "deals")

    assert placed["ufSum"].extra == (Column("uf_sum_currency", "text"),)
    assert placed["ufSumCurrency"].column.name == "uf_sum_currency_2"


def test_system_columns_of_smart_processes_have_one_type():
    """Whether or not the portal lists them, and whatever it says of them; custom fields are as they are listed."""
    listed = [field("opportunity", "money"), field("begindate", "string"), field("ufX", "string")]
    typed = {field.upper_name: field.type for field in with_system_fields(listed, is_spa=True)}

    assert (typed["OPPORTUNITY"], typed["BEGINDATE"], typed["UF_X"]) == ("double", "date", "string")
    assert (typed["OPPORTUNITY_ACCOUNT"], typed["ACCOUNT_CURRENCY_ID"], typed["MOVED_TIME"]) == (
        "double", "crm_currency", "datetime",
    )  # fmt: skip
    assert [field.type for field in with_system_types(listed)] == ["double", "date", "string"]
    assert "BEGINDATE" not in {field.upper_name for field in with_system_fields([], is_spa=False)}

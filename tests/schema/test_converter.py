"""Values of every kind, in every spelling: typed, or NULL and kept; never lost, never a reason to stop."""

import json
import math
import os
import re
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitrix24_source.rest import as_bool, as_date, as_int, as_list, as_mapping, as_timestamp
from bitrix24_source.schema import converter, map_columns, with_system_fields
from bitrix24_source.schema.converter import Converter, UnusableIdError
from bitrix24_source.schema.fields import Field, fields_from_response
from bitrix24_source.schema.row_wise import convert_each
from bitrix24_source.schema.vectorized import VECTORIZED

TABLE = "spa_items_177"
CHILD = f"{TABLE}__x"
KINDS = {
    "integer": "integer", "link": "user", "double": "double", "text": "string", "boolean": "boolean", "date": "date",
    "datetime": "datetime", "money": "money", "address": "address", "file": "file", "crm": "crm",
    "multifield": "crm_multifield", "unknown": "hlblock",
}  # fmt: skip
TYPES = list(KINDS.values())


def x(type_, *, multiple=False, **settings):
    return Field(name="x", upper_name="X", type=type_, is_multiple=multiple, settings=settings)


def convert(type_, *given_values, multiple=False, **settings):
    rows = [{"id": number, "x": value} for number, value in enumerate(given_values, start=1)]
    return Converter([x(type_, multiple=multiple, **settings)], TABLE).convert(rows)


def cells(table, *, prefix="x"):
    """What the rows hold, as Python values, timestamps as datetimes in UTC."""
    columns = [table.column(name) for name in table.column_names if name.startswith(prefix)]
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def single(type_, value, **settings):
    """The cells of one value, or the reason of its rejection."""
    converted = convert(type_, value, **settings)
    (read,) = cells(converted.items)
    return read if len(read) > 1 else read[0], [rejected.reason for rejected in converted.rejected]


def child(converted, table=CHILD):
    columns = converted.children[table].to_pydict()
    return list(zip(*columns.values(), strict=True))


EMPTY = [None, "", [], {}, [[]], [""], [None], {"0": ""}]


@pytest.mark.parametrize("type_", TYPES[:11])
@pytest.mark.parametrize("value", EMPTY)
def test_empty(type_, value):
    """PHP has many ways to say nothing; all of them are NULL, and none is rejected."""
    read, reasons = single(type_, value)

    assert set(read if isinstance(read, tuple) else [read]) == {None}
    assert reasons == []


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("value", [*EMPTY, False, {"3": None, "5": ""}])
def test_empty_lists(type_, value):
    """A list without a value has no rows, and the loader is told whose old rows to forget."""
    converted = convert(type_, value, multiple=True)

    if not (type_ == "hlblock" and value in ([[]], {"0": ""}, [""], [None])):
        assert child(converted) == []
    assert converted.cleared_lists == {CHILD: [1]}
    assert converted.rejected == []


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("integer", 0, 0),
        ("integer", "0", 0),
        ("integer", False, None),
        ("integer", "1.0000", 1),
        ("integer", " -42 ", -42),
        ("integer", 5.0, 5),
        ("integer", [7], 7),
        ("integer", {"3": 7}, 7),
        ("integer", 2**63 - 1, 2**63 - 1),
        ("integer", str(-(2**63)), -(2**63)),
        ("crm_category", 0, 0),
        ("user", 0, None),
        ("user", "0", None),
        ("employee", "15", 15),
        ("crm_company", 0, None),
        ("crm_entity", 0, None),
        ("enumeration", "81", 81),
        ("enumeration", 0, None),
        ("iblock_element", "3", 3),
        ("double", 0, 0.0),
        ("double", "19999.99", 19999.99),
        ("double", 2**60, float(2**60)),
        ("double", "1.0E+25", 1e25),
        ("string", "a", "a"),
        ("string", 0, "0"),
        ("string", 1.5, "1.5"),
        ("string", False, None),
        ("string", ["a"], "a"),
        ("crm_status", "DT177_5:UC_X1", "DT177_5:UC_X1"),
        ("rest_12_code", "a", "a"),
        ("url", "https://example.com/?a=1", "https://example.com/?a=1"),
        ("boolean", "Y", True),
        ("boolean", "N", False),
        ("boolean", False, False),
        ("boolean", [False], False),
        ("boolean", 1, True),
        ("boolean", "0", False),
        ("char", "N", False),
        ("date", "2024-06-18", date(2024, 6, 18)),
        ("date", "2025-04-29T03:00:00+03:00", date(2025, 4, 29)),
        ("date", "2025-04-29 00:00:00", date(2025, 4, 29)),
        ("date", "24.08.2023", date(2023, 8, 24)),
        ("date", "24.08.2023 13:19:39", date(2023, 8, 24)),
        ("date", "0001-01-01", date(1, 1, 1)),
        ("date", "9999-12-31T00:00:00+03:00", date(9999, 12, 31)),
        ("file", 5, 5),
        ("file", "5", 5),
        ("file", {"id": "5", "url": "/a", "urlMachine": "/b"}, 5),
        ("file", [{"id": 5, "url": "/a"}], 5),
        ("file", 0, None),
        ("money", "300|RUB", (Decimal(300), "RUB")),
        ("money", "1234.56|XXX", (Decimal("1234.56"), "XXX")),
        ("money", "300", (Decimal(300), None)),
        ("money", 0.1, (Decimal("0.1"), None)),
        ("money", "-5|", (Decimal(-5), None)),
        ("money", "|EUR", (None, "EUR")),
        ("money", "|", (None, None)),
        ("address", "Main street, 5,, Berlin|52.1;-13.4|77", ("Main street, 5,, Berlin", 52.1, -13.4)),
        ("address", "A | B|1;2|", ("A | B", 1.0, 2.0)),
        ("address", "A|;|", ("A", None, None)),
        ("address", "A|1;2", ("A", 1.0, 2.0)),
        ("address", "only|words", ("only|words", None, None)),
        ("address", "|;|", (None, None, None)),
        ("crm", "D_5", ("D_5", 2, 5)),
        ("crm", "CO_3", ("CO_3", 4, 3)),
        ("crm", "SI_7", ("SI_7", 31, 7)),
        ("crm", "T9c_6", ("T9c_6", 156, 6)),
        ("crm", "T80_6", ("T80_6", 128, 6)),
        ("crm", 0, (None, None, None)),
        ("hlblock", {"b": [1, "ä"]}, '{"b": [1, "ä"]}'),
        ("hlblock", "a", '"a"'),
        ("hlblock", 0, "0"),
        ("hlblock", False, "false"),
    ],
)
def test_spellings(type_, value, expected):
    """Each spelling that the vendor documents, and each that PHP is known for, has its typed value."""
    assert single(type_, value) == (expected, [])


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("integer", True),
        ("integer", 1.5),
        ("integer", "abc"),
        ("integer", 2**63),
        ("integer", "12345678901234567890"),
        ("integer", 1.2345678901234568e19),
        ("integer", float(2**53)),
        ("integer", [1, 2]),
        ("integer", {"a": 1}),
        ("double", True),
        ("double", "NaN"),
        ("double", math.inf),
        ("double", math.nan),
        ("double", "1e999"),
        ("double", 10**400),
        ("double", "1,5"),
        ("string", True),
        ("string", ["a", "b"]),
        ("string", {"a": "b"}),
        ("boolean", "P"),
        ("boolean", 2),
        ("boolean", ["Y", "N"]),
        ("char", "P"),
        ("date", 0),
        ("date", "0000-00-00"),
        ("date", "0000-01-01"),
        ("date", "2024-02-30"),
        ("date", "2024-06-18 or so"[:10] + "x"),
        ("datetime", "2024-08-29 10:30:11"),
        ("datetime", "24.08.2023 13:19:39"),
        ("datetime", "2024-06-18"),
        ("datetime", "0001-01-01T00:00:00+03:00"),
        ("datetime", "9999-12-31T23:59:59-05:00"),
        ("datetime", 1718668800),
        ("file", "https://example.com/rest/1/abc/"),
        ("file", {"url": "https://example.com/rest/1/abc/"}),
        ("file", {"id": 0, "url": "/a"}),
        ("money", "abc|EUR"),
        ("money", "0.1234567891|EUR"),
        ("money", "1" * 30 + "|EUR"),
        ("money", 1e16),
        ("money", "24028236692093846346337460743.1768211456|EUR"),  # Arrow reads these four modulo 2**128
        ("money", "9219291290012091120212992021001|EUR"),
        ("money", "1.1e30|EUR"),
        ("money", "1.1e-39|EUR"),
        ("money", True),
        ("address", True),
        ("address", "|;|77"),
        ("crm", True),
    ],
)
def test_rejected(type_, value):
    """What fits no column is NULL there, and kept with its reason, under the item's number."""
    read, reasons = single(type_, value)
    (rejected,) = convert(type_, value).rejected

    assert set(read if isinstance(read, tuple) else [read]) == {None}
    assert reasons == [rejected.reason] != [""]
    assert (rejected.table_name, rejected.item_id, rejected.column_name) == (TABLE, 1, "x")
    assert rejected.field_type == type_
    if type_ != "file":
        assert rejected.raw_value == json.dumps(value)


@pytest.mark.parametrize("text", ["a\0b", "\0", "a\ud800b"])
def test_text_that_no_database_takes(text):
    """NUL and half surrogate pairs go, so that the load goes on; the text as it came is kept."""
    read, reasons = single("string", text)
    (rejected,) = convert("string", text).rejected

    assert read == {"a\0b": "ab", "\0": None, "a\ud800b": "a\ufffdb"}[text]
    assert len(reasons) == 1
    assert json.loads(rejected.raw_value) == text
    assert rejected.raw_value.isascii()


@pytest.mark.parametrize(("value", "type_"), [("garbage", None), ("X_5", None), ("17", None)])
def test_binding_of_unknown_type(value, type_):
    """A binding stays as it came where no type can be read from it, and the missing parts are accounted for."""
    (text, entity_type_id, entity_id), reasons = single("crm", value)

    assert (text, entity_type_id, entity_id) == (value, type_, None)
    assert len(reasons) == 1


def test_binding_of_the_only_type():
    """A bare number is an item of the one type that the field's settings allow; of two it is of neither."""
    assert single("crm", 17, LEAD="N", DYNAMIC_156="Y") == (("17", 156, 17), [])
    assert single("crm", "17", COMPANY="Y", DYNAMIC_156="N") == (("17", 4, 17), [])
    assert single("crm", "17", COMPANY="Y", LEAD="Y")[0] == ("17", None, None)


def test_webform():
    """The form that made no item is NULL, though its field is declared a plain integer."""
    field = Field(name="webformId", upper_name="WEBFORM_ID", type="integer")

    converted = Converter([field], TABLE).convert([{"id": 1, "webformId": 0}, {"id": 2, "webformId": 3}])

    assert converted.items.column("webform_id").to_pylist() == [None, 3]


def test_multiple():
    """A child table has one row per value, at its place in the list; an empty place has none, a bad one NULL."""
    converted = convert("integer", [5, None, 0, "x"], 7, {"0": 8, "4": 9}, [], multiple=True)

    assert child(converted) == [(1, 0, 5), (1, 2, 0), (1, 3, None), (2, 0, 7), (3, 0, 8), (3, 1, 9)]
    assert [(r.table_name, r.item_id, r.column_name, r.raw_value) for r in converted.rejected] == [
        (CHILD, 1, "value", '"x"')
    ]
    assert converted.cleared_lists == {CHILD: [4]}


def test_unmentioned_lists():
    """A row that does not mention a list has not emptied it."""
    rows = [{"id": 1, "x": []}, {"id": 2}, {"id": 3, "x": [4]}]

    converted = Converter([x("user", multiple=True)], TABLE).convert(rows)
    without = Converter([x("user", multiple=True)], TABLE).convert([{"id": 2}])

    assert converted.cleared_lists == {CHILD: [1]}
    assert child(converted) == [(3, 0, 4)]
    assert without.cleared_lists == {CHILD: []}


def test_multiple_of_several_columns():
    """Money in a list has its currency beside it, and files in a list are their ids alone."""
    assert child(convert("money", ["1|EUR", "2|USD"], multiple=True)) == [
        (1, 0, Decimal(1), "EUR"),
        (1, 1, Decimal(2), "USD"),
    ]
    assert child(convert("file", [{"id": 1, "url": "/a"}, {"id": "2"}], multiple=True)) == [(1, 0, 1), (1, 1, 2)]


def test_multifield():
    """A phone is a row with its type, its kind and its own id, in the odd spelling as in the plain one."""
    phone = {"id": 101, "valueType": "WORK", "value": "+6111", "typeId": "PHONE"}
    expected = [(1, 0, "+6111", "PHONE", "WORK", 101)]

    assert child(convert("crm_multifield", [phone])) == expected
    assert child(convert("crm_multifield", {"0": phone | {"id": "101"}})) == expected
    assert child(convert("crm_multifield", [{"value": "a"}])) == [(1, 0, "a", None, None, None)]
    assert [r.reason for r in convert("crm_multifield", [{"typeId": "PHONE"}]).rejected] == ["no value"]


def test_schema():
    """The id leads, deleted_at closes, utm marks are there unasked, and an empty page has the same schema."""
    fields = with_system_fields([x("money"), Field(name="utmTerm", upper_name="UTM_TERM", type="text")], is_spa=False)
    converter = Converter(fields, TABLE)
    converted = converter.convert([])

    assert converted.items.schema == converter.items_schema
    assert converter.items_schema.names == [
        "id", "x", "x_currency", "utm_term", "utm_source", "utm_medium", "utm_campaign", "utm_content", "deleted_at",
    ]  # fmt: skip
    assert not converter.items_schema.field("id").nullable
    assert converter.items_schema.field("deleted_at").type == pa.timestamp("us", tz="UTC")


def test_unlisted_keys():
    """A key of no field is reported once it holds something, but for those that are known to be of none."""
    known = {"id": 1, "utmSource": "google", "entityTypeId": 177, "searchContent": "blob", "fm": []}
    converter = Converter(with_system_fields([x("string")], is_spa=False), TABLE)

    assert converter.unknown_keys([known]) == frozenset()
    assert converter.unknown_keys([known | {"ufNew": None}]) == frozenset()
    assert converter.unknown_keys([known, {"id": 2, "ufNew": 1}]) == {"ufNew"}
    assert converter.unknown_keys([known | {"fm": [{"value": "1"}]}]) == {"fm"}
    assert converter.convert([known]).items.column("utm_source").to_pylist() == ["google"]
    assert "searchContent" not in str(converter.convert([known]))


def test_rows_with_different_keys():
    """Rows need not have the same keys: what one leaves out is NULL."""
    converted = Converter([x("string")], TABLE).convert([{"id": 1, "x": "a"}, {"id": 2}, {"x": "c", "id": "3"}])

    assert converted.items.column("id").to_pylist() == [1, 2, 3]
    assert converted.items.column("x").to_pylist() == ["a", None, "c"]


@pytest.mark.parametrize("id_", [None, 0, -1, True, "", "a", 1.5, [1], 2**63])
def test_unusable_id(id_):
    """A row that cannot be named breaks its page."""
    with pytest.raises(UnusableIdError):
        Converter([], TABLE).convert([{"id": 1}, {"id": id_}])


@pytest.mark.parametrize("rows", [[{"x": 1}], [[]], [{"id": 1}, None], [{"id": 1, "x": 2}, {"y": 1, "x": 2}]])
def test_missing_id(rows):
    """So does a row without an id, or one that is no row at all."""
    with pytest.raises(UnusableIdError):
        Converter([], TABLE).convert(rows)


def test_raw_values():
    """A rejected value is kept without credentials, and no longer than 10,000 characters."""
    webhook = convert("integer", "see https://p.example/rest/1/secret/x?auth=secret&a=1").rejected[0].raw_value
    described = convert("hlblock", {"author": "Bob", "urlMachine": "https://p/secret", "token": "secret"}).items

    assert "secret" not in webhook
    assert "see https://p.example" in webhook
    assert json.loads(described.column("x")[0].as_py())["author"] == "Bob"
    assert "secret" not in described.column("x")[0].as_py()
    assert len(convert("integer", "a" * 20_000).rejected[0].raw_value) == 10_000


def test_deep_nesting():
    """A value nested beyond the reach of any encoder is rejected like others."""
    deep = []
    for _ in range(100_000):
        deep = [deep, 1]

    converted = convert("hlblock", deep)

    assert converted.items.column("x").to_pylist() == [None]
    assert len(converted.rejected) == 1


scalars = (
    st.none() | st.booleans() | st.integers() | st.integers(-(10**30), 10**30) | st.floats() | st.text()
    | st.sampled_from(["", "0", "Y", "N", "5|EUR", "2024-01-01", "2024-01-01T10:00:00+03:00", "T80_1", "a|1;2|3"])
)  # fmt: skip
keys = st.text(max_size=3) | st.sampled_from(["0", "1", "id", "url", "value", "typeId", "valueType"])
jsons = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
digits = st.integers(0, 10**6).map(str)
moments = st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31)).flatmap(  # noqa: DTZ001 - zoned next
    lambda naive: st.integers(-14 * 60, 14 * 60).map(
        lambda minutes: naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    )
)
plain = {
    "integer": st.integers(-(2**65), 2**65),
    "link": st.integers(0, 3),
    "double": st.floats() | st.integers(),
    "text": st.text(),
    "boolean": st.sampled_from(["Y", "N", True, False, 1, 0, "1"]),
    "date": moments.map(datetime.isoformat) | st.dates().map(date.isoformat) | st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9].?", fullmatch=True),
    "datetime": moments.map(datetime.isoformat)
    | st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9](:[0-6][0-9]){0,2}(\.[0-9]{1,7})?(Z|[+-][0-2][0-9]:?[0-9]{0,2})?", fullmatch=True),
    "money": st.from_regex(r"-?[0-9]{0,31}([.,][0-9]{0,11})?(e-?[0-9]{1,3})?\|?[A-Z]{0,3}", fullmatch=True),
    "address": st.from_regex(r"[a-z|;]{0,5}\|[0-9.]{0,4};[0-9.]{0,4}(\|[0-9]*)?", fullmatch=True),
    "crm": st.from_regex(r"(T[0-9a-f]{1,2}|[A-Z]{1,3})_[0-9]{1,3}", fullmatch=True),
    "file": st.fixed_dictionaries({"id": st.integers(0, 9) | digits}),
    "multifield": st.fixed_dictionaries(
        {"id": st.integers(0, 9), "value": st.text(), "typeId": st.just("PHONE"), "valueType": st.sampled_from(["", "WORK"])}
    ),
    "unknown": st.text(),
}  # fmt: skip
columns = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.tuples(
        st.just(KINDS[kind]), st.lists(st.none() | st.just("") | plain[kind], max_size=5) | st.lists(jsons, max_size=4)
    )
)


def says_nothing(value, type_):
    """An independent reading of the spellings of nothing."""
    while isinstance(value, (list, dict)) and len(value) == 1 and type_ != "hlblock":
        if isinstance(value, dict) and not next(iter(value)).isdecimal():
            break
        value = value[0] if isinstance(value, list) else next(iter(value.values()))
    if value is None or value in ("", [], {}):
        return True
    if type_ in ("user", "file", "crm") and str(value).strip() in ("0", "0.0", "-0.0", "00"):
        return True
    written = {"money": r"\s*\|?", "address": r"\|;(\|[ 0]*)?"}.get(type_)
    return (value is False and type_ not in ("hlblock", "boolean")) or bool(
        written and re.fullmatch(written, str(value))
    )


@settings(max_examples=150)
@given(columns)
def test_every_value_is_represented(column):
    """Arbitrary JSON in any field: the declared schema, and each value typed, rejected or a spelling of nothing."""
    type_, given_values = column
    converter = Converter([x(type_)], TABLE)
    converted = converter.convert([{"id": n, "x": value} for n, value in enumerate(given_values, start=1)])
    rejected = {rejection.item_id for rejection in converted.rejected}

    converted.items.validate(full=True)
    assert converted.items.schema == converter.items_schema
    assert {table: child.schema for table, child in converted.children.items()} == converter.child_schemas
    if type_ == "crm_multifield":
        return
    for number, (value, read) in enumerate(zip(given_values, cells(converted.items), strict=True), start=1):
        assert number in rejected or (set(read) != {None}) != says_nothing(value, type_), value


@settings(max_examples=150)
@given(columns, st.data())
def test_every_value_of_a_list_is_represented(column, data):
    """The same of multiple fields: as many rows as values, and an item without rows is reported as emptied."""
    type_, given_values = column
    lists = [data.draw(st.lists(st.sampled_from(given_values), max_size=3)) for _ in range(2)] if given_values else [[]]
    converter = Converter([x(type_, multiple=True)], TABLE)
    converted = converter.convert([{"id": n, "x": list_} for n, list_ in enumerate(lists, start=1)])
    table = converted.children[CHILD]
    owners = table.column("item_id").to_pylist()

    table.validate(full=True)
    assert table.schema == converter.child_schemas[CHILD]
    assert converted.cleared_lists[CHILD] == [n for n in range(1, len(lists) + 1) if n not in owners]
    if type_ == "crm_multifield":
        return
    for number, list_ in enumerate(lists, start=1):
        assert owners.count(number) == sum(not says_nothing(value, type_) for value in list_) or converted.rejected


@settings(max_examples=200)
@given(columns)
@example(("crm_multifield", ["+49 30 5550", {"id": 1, "value": "x"}]))
@example(("datetime", ["2024-05-01T25:00:00+03:00", "2024-05-01T23:00:00+03:00"]))
def test_both_readings_agree(column):
    """A value is read alike in a plain column and beside an oddity that makes the column be read one by one."""
    require_agreement(column)


@pytest.mark.slow
@settings(max_examples=2000)
@given(columns)
def test_both_readings_agree_on_many_more(column):
    """The same of ten times as many values."""
    require_agreement(column)


def require_agreement(column):
    type_, given_values = column
    single = converter._FieldConverter(x(type_), map_columns([x(type_)], TABLE)["x"], TABLE, {})

    arrays, reasons = single.read(given_values)
    arrays_of_each, reasons_of_each = convert_each(single.field, single.mapping.columns, given_values)

    assert reasons == reasons_of_each
    assert [array.equals(of_each) for array, of_each in zip(arrays, arrays_of_each, strict=True)] == [True] * len(
        arrays
    )


@pytest.mark.parametrize(
    ("kind", "documented"),
    [
        ("integer", [1, None]),
        ("link", [0, 1, None]),
        ("double", [1, 1.5, None]),
        ("text", ["a", "", None]),
        ("boolean", ["Y", "N", None]),
        ("date", ["2025-04-29T03:00:00+03:00", "", None]),
        ("datetime", ["2025-04-29T03:00:00+03:00", "", None]),
        ("money", ["300|RUB", "", None]),
        ("multifield", [{"id": 1, "valueType": "WORK", "value": "+6111", "typeId": "PHONE"}]),
    ],
)
def test_documented_columns_are_read_at_a_stroke(kind, documented):
    """What the portal sends on ordinary days takes the quick way."""
    assert len(VECTORIZED[kind](documented, set(map(type, documented)))[0]) == len(documented)


server_zones = st.integers(-11 * 4, 13 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
clock_changes = st.sampled_from([timedelta(hours=-1), timedelta(0), timedelta(hours=1)])


def as_the_portal_writes(day, zone, clock_change):
    """A date on the wire: midnight in UTC, on the clock of a server that has changed its clocks since."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=timezone.utc) + clock_change
    return midnight.astimezone(zone).isoformat()


@given(st.dates(date(2, 1, 1), date(9998, 12, 31)), server_zones, clock_changes)
def test_dates_never_shift(day, zone, clock_change):
    """A date is the same day from every server, before and after a change of clocks, in items and in the catalogue."""
    written = as_the_portal_writes(day, zone, clock_change)

    assert VECTORIZED["date"]([written], {str})[0].to_pylist() == [day]
    assert single("date", [written]) == (day, [])
    assert as_date(written) == day


@given(st.dates())
def test_a_bare_date_is_itself(day):
    """Without a time there is nothing to round."""
    assert VECTORIZED["date"]([day.isoformat()], {str})[0].to_pylist() == [day]
    assert single("date", [day.isoformat()]) == (day, [])
    assert as_date(day.isoformat()) == as_date(day.strftime("%d.%m.") + f"{day.year:04}") == day


@pytest.mark.parametrize("value", ["9999-12-31T23:59:59-05:00", "0000-12-31T03:00:00+03:00", "2024-02-30T00:00:00Z"])
def test_a_day_that_no_calendar_has(value):
    """What lies beyond the years 1 to 9999, or in no month, is rejected by both ways to convert, and no error."""
    with pytest.raises(ValueError):
        VECTORIZED["date"]([value], {str})
    assert single("date", value) == (None, ["not a date of the years 1 to 9999"])
    assert as_date(value) is None


@given(moments)
def test_instants_are_kept(moment):
    """A timestamp is the same instant to the microsecond, whatever its offset."""
    (read,) = convert("datetime", moment.isoformat()).items.column("x").cast(pa.int64()).to_pylist()

    assert read == (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)


@given(st.integers(-(2**70), 2**70), st.booleans())
def test_integers_keep_their_digits(number, as_text):
    """An integer is stored to the last digit, or rejected where 64 bits are too few."""
    read, reasons = single("integer", str(number) if as_text else number)

    assert (read, reasons) == ((number, []) if -(2**63) <= number < 2**63 else (None, ["beyond 64 bits"]))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=10) | st.decimals(-(10**30), 10**30, places=9))
def test_money_keeps_its_digits(amount):
    """An amount is stored to the last digit, or rejected where 29 before and 9 after the point are too few."""
    (read, currency), reasons = single("money", f"{amount:f}|EUR")

    assert (read, currency) == (amount, "EUR") if not reasons else (read, currency) == (None, None)
    assert bool(reasons) == (abs(amount) >= 10**29 or (Fraction(amount) * 10**9).denominator > 1)


urls = st.sampled_from(["https://p.example/rest/1/abc/x/?auth=t", "/rest/1/abc/", "%2Frest%2F1%2Fabc%2F", "//p/a"])
file_jsons = st.recursive(
    scalars | urls | st.tuples(st.text(max_size=3), urls, st.text(max_size=3)).map("".join),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | urls, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@given(st.lists(file_jsons, max_size=3), st.booleans())
def test_no_address_of_a_file(given_values, multiple):
    """Of a file neither an address nor anything like a webhook's path is in any table."""
    converted = convert("file", *given_values, multiple=multiple)
    shown = f"{converted.items.to_pydict()} {converted.children} {converted.rejected}"

    assert "//" not in shown
    assert not re.search(r"(/|%2F)rest|auth=", shown)


@pytest.mark.skipif("BITRIX24_SAMPLES" not in os.environ, reason="BITRIX24_SAMPLES names no folder of vendor samples")
def test_vendor_samples():
    """The vendor's example rows become typed rows; what they carry beyond their field list is named."""

    def sample(method):
        return json.loads(Path(os.environ["BITRIX24_SAMPLES"], method, "01.ok.json").read_text("utf-8"))["result"]

    lead = sample("crm.item.get")["item"]
    listed = {field.name: field for field in fields_from_response(sample("crm.item.fields"))}
    lead_fields = [
        *listed.values(),
        Field(name="birthdate", upper_name="BIRTHDATE", type="date"),
        Field(name="fm", upper_name="FM", type="crm_multifield", is_multiple=True),
    ]
    converted = Converter(lead_fields, "leads").convert([lead])
    (row,) = converted.items.drop(["created_time", "updated_time", "moved_time", "last_activity_time"]).to_pylist()

    assert converted.rejected == []
    assert (row["id"], row["company_id"], row["webform_id"], row["opportunity"]) == (250, None, None, 999.9)
    assert (row["birthdate"], row["opened"], row["stage_id"]) == (date(2000, 1, 1), True, "IN_PROCESS")
    assert converted.items.column("created_time").cast(pa.int64()).to_pylist() == [1721664008000000]
    assert [row[2:] for row in child(converted, "leads__fm")] == [
        ("+6111111111", "PHONE", "WORK", 101),
        ("admin@example.com", "EMAIL", "WORK", 102),
    ]
    assert converted.cleared_lists == {"leads__contact_ids": [250], "leads__observers": [250], "leads__fm": []}
    filled = {name for name, value in lead.items() if value not in (None, "", [], {})}
    assert Converter(lead_fields, "leads").unknown_keys([lead]) == filled - {field.name for field in lead_fields} - {
        "entityTypeId", "searchContent", "utmSource", "utmMedium", "utmCampaign", "utmContent", "utmTerm",
    }  # fmt: skip
    assert Converter(lead_fields, "leads").convert(sample("crm.item.list")["items"]).items.num_rows == 4


# --- one home for the portal's odd JSON -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("convert_one", "value", "expected"),
    [
        (as_bool, "Y", True), (as_bool, "n", False), (as_bool, "true", True), (as_bool, "false", False),
        (as_bool, 1, True), (as_bool, 0, False), (as_bool, "maybe", None), (as_bool, None, None),
        (as_int, "7", 7), (as_int, "7.0", 7), (as_int, 7.5, None), (as_int, True, None), (as_int, 2**63, None),
        (as_list, None, ()), (as_list, False, ()), (as_list, "", ()), (as_list, {}, ()), (as_list, [], []),
        (as_list, {"0": 1, "5": 2}, [1, 2]), (as_list, 7, (7,)), (as_list, {"a": 1}, ({"a": 1},)),
        (as_mapping, [], {}), (as_mapping, None, {}), (as_mapping, {"a": 1}, {"a": 1}),
        (as_timestamp, "0001-01-01T00:00:00+03:00", None), (as_timestamp, "9999-12-31T23:59:59-05:00", None),
        (as_timestamp, "2025-04-29T03:00:00", None), (as_timestamp, {}, None),
        (as_timestamp, "2025-04-29T03:00:00.5+03:00", datetime(2025, 4, 29, 0, 0, 0, 500_000, tzinfo=timezone.utc)),
    ],
)  # fmt: skip
def test_spellings_of_the_catalogue(convert_one, value, expected):
    """Catalogue values come in the same odd spellings; what is nothing of the kind is None, and never an error."""
    assert convert_one(value) == expected


@given(moments)
def test_catalogue_times_are_instants_too(moment):
    """A time of a catalogue row is the instant that was sent."""
    assert as_timestamp(moment.isoformat()) == moment

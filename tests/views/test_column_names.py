"""Names of a view's columns: valid, different, and the same tomorrow, whatever the titles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitrix24_source.views.column_names import NamedField, NameRules, collation_key, view_names

POSTGRES = NameRules(63, "postgres")
DUCKDB = NameRules(65_536, "duckdb")
WORDS = ("", "ID", "semantics", "in account currency")


def named(*fields, spelling=POSTGRES):
    return view_names(fields, spelling)


def custom(identifier, *titles, words=("",)):
    return NamedField(identifier, titles, words)


titles = st.text(st.characters(), max_size=80) | st.sampled_from(
    ["Same", "same", "Same ID", "Same uf_1", "x" * 300, "", "ID"]
)
fields = st.lists(
    st.builds(
        NamedField,
        st.integers(1, 40).map(lambda number: f"uf_{number}"),
        st.tuples(titles),
        st.sampled_from([("",), ("", "ID"), WORDS]),
        st.integers(0, 2),
    ),
    max_size=25,
    unique_by=lambda field: field.identifier,
)  # fmt: skip


@given(fields, st.sampled_from([POSTGRES, DUCKDB, NameRules(300, "bigquery"), NameRules(255, "athena")]), st.randoms())
def test_names_are_valid_different_and_stable(wanted, spelling, chance):
    """No two look alike, none is empty, too long or broken, and the order of the fields changes nothing."""
    names = view_names(wanted, spelling)
    shuffled = list(wanted)
    chance.shuffle(shuffled)

    assert {(field.identifier, word) for field in wanted for word in field.words} == set(names)
    assert len(names) == len(set(map(collation_key, names.values())))
    assert all(name.strip() and len(name.encode()) <= spelling.max_bytes for name in names.values())
    assert not any(char < " " for name in names.values() for char in name)
    assert names == view_names(shuffled, spelling)


def test_titles_are_names():
    """A title that nobody else has is the name, and what is derived has a word after it."""
    names = named(custom("uf_a", "Condition", words=("", "ID")))

    assert ["Condition", "Condition ID"] == list(names.values())


def test_equal_titles_all_bear_their_identifiers():
    """A field that comes or goes never silently takes over a name that dashboards read."""
    names = named(custom("uf_a", "Status"), custom("uf_b", "STATUS", words=("", "ID")), custom("uf_c", "Other"))

    assert ["Other", "Status uf_a", "STATUS uf_b", "STATUS uf_b ID"] == sorted(names.values(), key=str.casefold)


def test_own_fields_keep_their_names():
    """Whatever custom fields are called, Bitrix24's own are called as before."""
    own = NamedField("stage_id", ("Stage",), ("", "ID"), rank=0)
    names = named(own, custom("uf_a", "Stage ID"))

    assert {"Stage", "Stage ID", "Stage ID uf_a"} == set(names.values())


def test_the_first_title_that_is_not_blank_counts():
    """Spaces, line ends and characters that nobody sees are no title."""
    assert ["Title", "uf_b"] == list(named(custom("uf_a", None, " \n", "Title"), custom("uf_b", "\u200b", "")).values())


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("x" * 300, "x" * 63),
        ("я" * 300, "я" * 31),
        ("a" + "🎉" * 40, "a" + "🎉" * 15),
        ('say "x"\n\tto\x00 me', 'say "x" to me'),
        ("cafe\u0301", "caf\u00e9"),
    ],
)
def test_long_and_odd_titles(title, expected):
    """PostgreSQL has 63 bytes, and half a character is none."""
    assert [expected] == list(named(custom("uf_a", title)).values())


def test_what_follows_a_title_is_never_cut():
    """Titles that are equal as far as there is room are told apart by what comes after them."""
    names = named(custom("uf_a", "x" * 300, words=WORDS), custom("uf_b", "x" * 299 + "y"))

    assert names["uf_a", ""].endswith("x uf_a")
    assert names["uf_b", ""].endswith("x uf_b")
    assert names["uf_a", "in account currency"].endswith("x uf_a in account currency")


def test_long_identifiers_become_digests():
    """A code of fifty characters leaves no room for the title: a digest of it stands for it."""
    code = "uf_crm_123_" + "z" * 39
    names = named(custom(code, "Budget", words=WORDS), custom("uf_b", "Budget"))

    assert "Budget uf_b" == names["uf_b", ""]
    assert names[code, "in account currency"].startswith("Budget ")
    assert len(names[code, ""]) == len("Budget ") + 8


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("postgres", "1. Цена, $ (net)"),
        ("bigquery", "_1_ Цена_ _ _net_"),
        ("databricks", "_1_ Цена_ $ _net_"),
        ("athena", "_1_net_"),
    ],
)
def test_what_a_destination_refuses_is_replaced(dialect, expected):
    """BigQuery, Databricks and Athena have stricter rules than quoting."""
    assert [expected] == list(named(custom("uf_a", "1. Цена, $ (net)"), spelling=NameRules(255, dialect)).values())

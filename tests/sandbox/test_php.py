"""How PHP reads what was sent: the odd rules that a client must live with."""

from __future__ import annotations

import pytest

from bitrix24_source.sandbox.http.php import as_php_json, query_to_params, resolve_references


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("a=1&b=x%20y+z", {"a": "1", "b": "x y z"}),
        ("select[]=id&select[]=title", {"select": ["id", "title"]}),
        ("filter[@id][0]=5&filter[@id][1]=6", {"filter": {"@id": ["5", "6"]}}),
        ("order[id]=ASC&start=-1", {"order": {"id": "ASC"}, "start": "-1"}),
        ("filter%5B%3E%3Did%5D=1", {"filter": {">=id": "1"}}),
        ("filter[0][logic]=OR&filter[0][0][title]=a", {"filter": [{"logic": "OR", "0": {"title": "a"}}]}),
        ("fields[PHONE][0][VALUE]=1", {"fields": {"PHONE": [{"VALUE": "1"}]}}),
        ("a.b=1&a b=2", {"a_b": "2"}),
        ("flag", {"flag": ""}),
        ("a[x]y=1", {"a": {"x": "1"}}),
        ("", {}),
    ],
)
def test_query_strings(query, params):
    """Brackets nest, `[]` appends, names lose dots and spaces, a name without `=` is empty."""
    assert query_to_params(query) == params


def test_the_first_equals_sign_ends_the_name():
    """`filter[>=id]=1` written plainly loses its filter, as on a real portal."""
    assert query_to_params("filter[>=id]=1&start=0") == {"filter_>": "id]=1", "start": "0"}


def test_a_plain_greater_sign_survives():
    """`filter[>id]=1` has no second equals sign and arrives whole."""
    assert query_to_params("filter[>id]=1") == {"filter": {">id": "1"}}


def test_references_resolve_to_values_of_any_kind():
    """A whole reference keeps its type; a list passes as a list; inside a text it becomes text."""
    results = {"u": {"UF_DEPARTMENT": [3, 4]}, "p": {"items": [{"id": 7}]}}
    params = {"a": "$result[u][UF_DEPARTMENT]", "b": ["$result[p][items][0][id]"], "c": "T80_$result[p][items][0][id]"}

    assert resolve_references(params, results) == {"a": [3, 4], "b": [7], "c": "T80_7"}


def test_unresolved_references_stay_literal():
    """A page that was short leaves the text itself in the next command."""
    text = "$result[p][items][49][id]"

    assert resolve_references({"filter": {">id": text}}, {"p": {"items": []}}) == {"filter": {">id": text}}


def test_php_arrays_in_json():
    """Empty maps are `[]`, maps numbered from 0 are lists, everything else is an object."""
    assert as_php_json({}) == []
    assert as_php_json({"0": "a", "1": "b"}) == ["a", "b"]
    assert as_php_json({"1": "a"}) == {"1": "a"}

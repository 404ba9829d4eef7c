"""How a portal says no: codes, languages, and what each refusal means."""

from __future__ import annotations

import pytest

from bitrix24_source.sandbox import Portal

from .conftest import asked


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "Smart process not found"), ("ru", "Смарт-процесс не найден"), ("de", "Smart-Prozess")],
)
def test_an_unknown_type_has_a_code_only_for_item_methods(clock, language, text):
    """crm.type.getByEntityTypeId answers the code "0" and a localised text; items and categories say NOT_FOUND."""
    portal = Portal(items=60, clock=clock, language=language)
    one = asked(portal, "crm.type.getByEntityTypeId", entityTypeId=9998)

    assert (one["status"], one["error"]) == (400, "0")
    assert text in one["error_description"]
    for method in ("crm.item.fields", "crm.item.list", "crm.category.list"):
        answer = asked(portal, method, entityTypeId=9998)
        assert answer["error"] == "NOT_FOUND"
        assert text in answer["error_description"]


def test_texts_are_localised_inside_a_batch(clock):
    """A command that failed carries the same text as a call of its own."""
    portal = Portal(items=60, clock=clock, language="ru")
    answer = asked(portal, "batch", cmd={"a": "crm.type.getByEntityTypeId?entityTypeId=9998"})

    assert answer["result"]["result_error"]["a"] == {"error": "0", "error_description": "Смарт-процесс не найден"}


def test_who_is_no_administrator_learns_nothing_of_an_unknown_type(portal, ask):
    """ACCESS_DENIED comes first, so that a deleted type and a denied one look alike."""
    portal.set_admin(crm=False)

    assert ask("crm.type.getByEntityTypeId", entityTypeId=9998)["error"] == "ACCESS_DENIED"

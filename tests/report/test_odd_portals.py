"""The page stays usable where a portal lacks something, a dictionary is missing for a day, or loads have reported much."""

# ruff: noqa: S608 - the expected value comes first; names of our own

from __future__ import annotations

from contextlib import contextmanager

import browser
import pytest
from browser import Place

from bitrix24_source import create_views
from bitrix24_source.report import render_page
from bitrix24_source.report.queries import ISSUES, LONGEST, MartReader, collect

DICTIONARIES = (
    "users", "departments", "statuses", "currencies", "companies", "contacts", "stages", "spa_stages", "categories",
    "spa_categories", "spa_types", "crm_fields", "spa_fields", "product_rows", "activities", "stage_history",
)  # fmt: skip
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x1b[31m" + "W" * 5000


@pytest.fixture(scope="module")
def loaded(own_portal):
    """A portal of its own: its tables are emptied one after the other."""
    return own_portal


@pytest.fixture
def pipeline(loaded):
    """The pipeline that loaded it."""
    return loaded.pipeline()


def page_data(pipeline):
    """What the page shows, after the views were brought up to date."""
    assert [] == create_views(pipeline)
    with pipeline.sql_client() as client:
        return collect(MartReader(client))


@pytest.mark.all_databases
def test_messages_of_loads_are_shown(loaded, pipeline):
    """The newest come first, as many as can be read, and cut; the latest load's are told apart."""
    columns = "resource, error, message, hint, occurred_at, load_id, _dlt_load_id, _dlt_id"
    if "load_issues" not in loaded.database.types():
        types = ", ".join(f"{name} VARCHAR" for name in columns.replace("occurred_at, ", "").split(", "))
        loaded.database.query(f"CREATE TABLE {{}}.load_issues (occurred_at TIMESTAMPTZ, {types})")
    ((latest,),) = loaded.database.query("SELECT MAX(load_id) FROM {}._dlt_loads WHERE status = 0")
    for place in range(ISSUES + 5):
        loaded.database.query(
            f"INSERT INTO {{}}.load_issues ({columns}) VALUES ('deals', 'ACCESS_DENIED', ?, 'ask', ?, ?, ?, ?)",
            HOSTILE, f"2025-06-{place % 28 + 1:02} 12:00:00+00", latest if place == 27 else "1.0", "1.0", f"row{place}",
        )  # fmt: skip
    data = page_data(pipeline)

    assert ISSUES == len(data["issues"])
    assert ("2025-06-28 12:00 UTC", True) == tuple(data["issues"][0][name] for name in ("occurred_at", "is_latest"))
    assert {LONGEST} == {len(row["message"]) for row in data["issues"]}


@contextmanager
def emptied(loaded, *tables):
    """Without the rows of some tables, which come back."""
    for table in tables:
        loaded.database.query(f"CREATE TABLE {{}}.kept_{table} AS SELECT * FROM {{}}.{table}")
        loaded.database.query(f"DELETE FROM {{}}.{table}")
    try:
        yield
    finally:
        for table in tables:
            loaded.database.query(f"INSERT INTO {{}}.{table} SELECT * FROM {{}}.kept_{table}")
            loaded.database.query(f"DROP TABLE {{}}.kept_{table}")


def items_by_type(loaded):
    """As the portal's own state has them."""
    return {type_: len(loaded.items(type_)) for type_ in (1, 2, 7, 31, *loaded.world.types)}


@pytest.mark.parametrize("table", DICTIONARIES)
def test_without_a_dictionary_the_figures_stay(loaded, table):
    """A table without rows costs its words: each type is still there with all its items."""
    with emptied(loaded, table):
        found = loaded.database.query("SELECT entity_type_id, COUNT(*) FROM {}.mart_items GROUP BY entity_type_id")

    assert items_by_type(loaded) == dict(found)


@pytest.mark.parametrize(
    "tables",
    [
        pytest.param(DICTIONARIES[::2], id="one half"),
        pytest.param(DICTIONARIES[1::2], id="the other"),
        *(pytest.param((table,), id=table, marks=pytest.mark.slow) for table in DICTIONARIES),
    ],
)
def test_without_dictionaries_there_is_a_page(loaded, pipeline, tables):
    """Views are brought up to date and the page is made of them, with all items of each type."""
    with emptied(loaded, *tables):
        data = page_data(pipeline)

    assert items_by_type(loaded) == {row["type"]: row["items"] for row in data["types"]}
    assert render_page(data)


@pytest.mark.all_databases
def test_an_empty_portal_is_a_page(loaded, pipeline, tmp_path):
    """Without a single item, stage or person the page opens, and says that there is nothing to show."""
    for table in loaded.database.types():
        if not table.startswith(("_", "mart_", "portal")) and not table.endswith("_labeled"):
            loaded.database.query(f"DELETE FROM {{}}.{table}")
    data = page_data(pipeline)
    file = tmp_path / "empty.html"
    file.write_text(render_page(data, "en"), encoding="utf-8")

    assert [] == data["types"]
    if browser.CHROMIUM and loaded.database.engine == "duckdb":
        places = ("", "people", "sources", "health")
        for fragment, shown in browser.show_all({name: Place(file, name) for name in places}).items():
            assert [] == shown.console
            assert any("nothing to show" in text for text in browser.elements(shown).text) or fragment == "health"

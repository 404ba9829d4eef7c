"""What release 0.1.0 has stored: pipeline state and tables as commit 0336a65 wrote them, in `stored_state`."""

# ruff: noqa: S608 - tables and columns of the tests' own

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from databases import DuckDB

from bitrix24_source.reader import ListQuery
from bitrix24_source.sandbox import Portal
from bitrix24_source.sync.checkpoint import Checkpoint

STORED = json.loads((Path(__file__).parent / "stored_state" / "release_0_1_0.json").read_text())
KEYS_OF_0_1_0 = {"cursor", "ahead", "max_id", "began", "parts", "swept_at", "runs", "selection"}


def restore(database: DuckDB, tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Makes the tables that the release has written."""
    database.query("create schema {}")
    for name, table in tables.items():
        columns = ", ".join(f'"{column}" {type_}' for column, type_ in table["columns"].items())
        database.query(f'create table {{}}."{name}" ({columns})')
        for row in table["rows"]:
            marks = ", ".join("?" * len(row))
            database.query(f'insert into {{}}."{name}" values ({marks})', *row)


def test_a_pipeline_of_0_1_0_goes_on(clock, portal_with, job):
    """Tables and state of 0.1.0 go on incrementally, without a full read and without an issue.

    Without a working folder: the destination alone is enough to know what was read, and what is gone since.
    """
    portal = portal_with({177: 12})
    scheduled = job(portal)
    scheduled.database.dataset = "bitrix24"
    restore(scheduled.database, STORED["tables"])
    clock.advance(3600)
    portal.items(177).update(3, title="changed since")
    portal.items(177).delete(5)
    new = portal.items(177).add(title="new")

    scheduled.run(sweep=True)

    asked = [
        page for page in scheduled.adapter.parameters("crm.item.list") if page.get("select") != ["id", "updatedTime"]
    ]
    pages = [page["filter"] for page in asked if "id" not in page["filter"]]
    assert pages
    assert all(int(filter_[">id"]) >= 12 or ">=updatedTime" in filter_ for filter_ in pages)
    assert scheduled.items()[3]["title"] == "changed since"
    assert scheduled.items()[new]["title"] == "new"
    assert list(scheduled.marked()) == [5]
    assert len(scheduled.ids()) == 12
    assert scheduled.issues() == []


def test_the_keys_of_0_1_0_are_read_and_written():
    """A checkpoint of 0.1.0, even in the middle of a full read, comes back under the same keys."""
    items = ListQuery(177)
    stored = {
        "cursor": "2025-07-01T15:00:00+03:00",
        "ahead": 1.5,
        "max_id": 12,
        "began": "2025-07-02T15:00:00+03:00",
        "parts": [[5, None, 12, 1.0, True]],
        "swept_at": "2025-06-30T15:00:00+03:00",
        "runs": 3,
        "selection": STORED["state"]["resources"]["spa_items"]["types"]["177"]["selection"],
    }
    assert set(stored) == KEYS_OF_0_1_0

    checkpoint = Checkpoint.from_state({"types": {"177": stored}}, 177, items)
    written: dict[str, Any] = {}
    checkpoint.to_state(written, 177)

    assert checkpoint.has_unfinished_full_read
    assert checkpoint.since(timedelta()).isoformat() == stored["cursor"]
    assert {key: written["types"]["177"][key] for key in KEYS_OF_0_1_0} == stored


DICTIONARIES = json.loads((Path(__file__).parent / "stored_state" / "dictionaries_0_1_0.json").read_text())["tables"]
DICTIONARY_KEYS = {
    "users": "id", "users__uf_department": "item_id, position", "departments": "id", "statuses": "entity_id, status_id",
    "currencies": "currency", "spa_types": "entity_type_id", "spa_fields": "entity_type_id, upper_name",
    "spa_field_options": "entity_type_id, upper_name, option_id", "spa_categories": "entity_type_id, id",
    "spa_stages": "entity_id, status_id", "spa_automations": "id", "automated_solutions": "id",
    "automated_solution_types": "automated_solution_id, spa_type_id", "categories": "entity_type_id, id",
    "stages": "entity_id, status_id",
}  # fmt: skip


def test_dictionaries_of_0_1_0_go_on(clock, job, memory_job):
    """Dictionary tables that 0.1.0 replaced are merged into: each row once, as in a dataset that is loaded anew, run after run."""
    portal = Portal(scenario="demo", items=5, clock=clock)
    upgraded, new = job(portal), memory_job(portal)
    upgraded.database.dataset = "bitrix24"
    restore(upgraded.database, DICTIONARIES)
    portal.world.users.pop()
    resources = [name for name in DICTIONARY_KEYS if "__" not in name]
    new.run(*resources)
    for again in (resources, ["users", "statuses"]):
        upgraded.run(*again)
        clock.advance(3600)
        assert_same_dictionaries(upgraded, new)


def assert_same_dictionaries(upgraded, new):
    departments = [
        {"item_id": int(user["ID"]), "position": position, "value": department}
        for user in new.portal.world.users
        for position, department in enumerate(user["UF_DEPARTMENT"] or ())
    ]
    for table, key in DICTIONARY_KEYS.items():
        names, wanted = key.split(", "), new.rows(table) if table != "users__uf_department" else departments
        rows, expected = (
            sorted(tuple(row[name] for name in names) for row in told) for told in (upgraded.rows(table), wanted)
        )
        assert rows == expected, table
        assert len(set(rows)) == len(rows), table
        columns, found = {name for row in wanted for name in row}, set(upgraded.database.columns(table))
        assert columns <= found, table
        assert columns | set(DICTIONARIES[table]["columns"]) >= found, table
    assert {row["name"] for row in upgraded.rows("users")} == {row["name"] for row in new.rows("users")}
    assert upgraded.issues() == []

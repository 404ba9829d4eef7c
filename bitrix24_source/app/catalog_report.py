"""Prints the catalogue as a JSON document for scripts and as text for people, from the rows of the tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from ..catalog import SPA_TABLES, Catalog

Json = dict[str, Any]


def document(catalog: Catalog, portal: str, read_at: datetime, types: Sequence[int] | None = None) -> Json:
    """Returns the catalogue, nested by smart process; `docs/cli.md` shows an example.

    Args:
        catalog: as read.
        portal: the portal's host.
        read_at: the time of reading.
        types: entityTypeIds to show; None for all.
    """
    rows = {table.name: list(table.rows(catalog)) for table in SPA_TABLES}
    shown = [row for row in rows["spa_types"] if types is None or row["entity_type_id"] in types]
    return {
        "portal": portal,
        "read_at": read_at.isoformat(timespec="seconds"),
        "types": [_type(row, rows) for row in shown],
        "automated_solutions": _solutions(rows),
        "issues": [vars(issue) for issue in catalog.issues],
    }


def json_text(catalogue: Json) -> str:
    """Returns the catalogue as JSON with an indent of two spaces."""
    return orjson.dumps(catalogue, option=orjson.OPT_INDENT_2).decode()


def _type(row: Json, rows: Mapping[str, list[Json]]) -> Json:
    type_id = row["entity_type_id"]

    def own(table: str) -> list[Json]:
        return [_without(found, "entity_type_id") for found in rows[table] if found["entity_type_id"] == type_id]

    options = defaultdict(list)
    for option in own("spa_field_options"):
        options[option["upper_name"]].append(_without(option, "upper_name"))
    stages = defaultdict(list)
    for stage in own("spa_stages"):
        stages[stage["category_id"]].append(_without(stage, "category_id"))
    flags = {key: value for key, value in row.items() if key.startswith("is_")}
    categories = own("spa_categories")
    listed = {category["id"] for category in categories}
    categories += [{"id": id_, "name": None} for id_ in stages if id_ not in listed]  # hidden from this user
    return {
        **_without(row, *flags),
        "flags": flags,
        "fields": [{**field, "options": options[field["upper_name"]]} for field in own("spa_fields")],
        "categories": [{**category, "stages": stages[category["id"]]} for category in categories],
        "relations": own("spa_type_relations"),
        "linked_fields": own("spa_type_linked_fields"),
        "automation": {
            "is_automation_enabled": flags.get("is_automation_enabled"),
            "is_biz_proc_enabled": flags.get("is_biz_proc_enabled"),
            "workflow_templates": own("spa_automations"),
        },
    }


def _solutions(rows: Mapping[str, list[Json]]) -> list[Json]:
    members = defaultdict(list)
    for row in rows["automated_solution_types"]:
        members[row["automated_solution_id"]].append(row["spa_type_id"])
    return [{**row, "type_ids": members[row["id"]]} for row in rows["automated_solutions"]]


def _without(row: Json, *keys: str) -> Json:
    return {key: value for key, value in row.items() if key not in keys}


def report_lines(catalogue: Json) -> Iterator[str]:
    """Yields lines for a person, one block for each smart process."""
    for spa in catalogue["types"]:
        yield from _type_lines(spa)
    yield f"{len(catalogue['types'])} smart processes on {catalogue['portal']}"


def _type_lines(spa: Json) -> Iterator[str]:
    code = f", code {spa['code']}" if spa["code"] else ""
    yield f"{spa['title'] or '(no title)'} (entityTypeId {spa['entity_type_id']}{code})"
    on = [
        name.removeprefix("is_").removesuffix("_enabled").replace("_", " ")
        for name, value in spa["flags"].items()
        if value
    ]
    yield f"  on: {', '.join(on) or 'nothing'}"
    yield f"  fields: {len(spa['fields'])}"
    yield from _table([_field_cells(field) for field in spa["fields"]])
    for category in spa["categories"]:
        stages = ", ".join(f"{stage['name']}{_MARKS.get(stage['semantics'], '')}" for stage in category["stages"])
        yield f"  pipeline {category['name'] or category['id']}: {stages or 'no stages'}"
    for template in spa["automation"]["workflow_templates"]:
        yield f"  workflow {template['name'] or template['id']}: {_trigger(template)}"
    yield ""


_MARKS = {"success": " [won]", "failure": " [lost]"}


def _field_cells(field: Json) -> tuple[str, ...]:
    marks = ("required", field["is_required"]), ("read-only", field["is_read_only"]), ("multiple", field["is_multiple"])
    options = ", ".join(str(option["value"]) for option in field["options"][:6])
    more = len(field["options"]) - 6
    return (
        field["upper_name"],
        field["form_label"] or field["title"] or "",
        field["type"] or "",
        " ".join(name for name, is_set in marks if is_set),
        options + (f" and {more} more" if more > 0 else ""),
    )


def _table(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    widths = [min(40, max((len(cell) for cell in column), default=0)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell[:width]:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield ("    " + "  ".join(cells)).rstrip()


def _trigger(template: Json) -> str:
    starts = {"creation": template["auto_execute_on_create"], "change": template["auto_execute_on_update"]}
    if None in starts.values():
        return "start unknown"
    return (
        "starts on " + " and ".join(name for name, is_set in starts.items() if is_set)
        if any(starts.values())
        else "started by hand"
    )

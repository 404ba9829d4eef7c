"""What do the tables say otherwise than the portal does? Read past dlt and the connector, compared by the test's own rules."""

# ruff: noqa: S608 - tables of the test's own

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from scene import Scene

Row = dict[str, Any]


def differences(file: Path, scene: Scene) -> list[str]:
    """One line for each thing that is wrong; none when the tables equal the portal."""
    wrong: list[str] = []
    with duckdb.connect(str(file), read_only=True) as database:
        for entity_type_id, columns in scene.columns.items():
            wrong += _of_type(database, scene, entity_type_id, columns)
    return wrong


def _of_type(database: Any, scene: Scene, entity_type_id: int, columns: Mapping[str, str]) -> list[str]:
    table = f"spa_items_{entity_type_id}"
    exists = entity_type_id in scene.types()
    try:
        rows = _rows(database, table)
    except duckdb.CatalogException:
        return [f"{table} is missing"] if exists else []
    portal = scene.portal.items(entity_type_id) if exists else {}
    present = set(portal.ids()) if exists else set()
    living = {row["id"]: row for row in rows if row["deleted_at"] is None}
    marked = {row["id"]: row for row in rows if row["deleted_at"] is not None}
    wrong = [f"{table}: {id_} is there {times} times" for id_, times in _twice(row["id"] for row in rows)]
    wrong += [f"{table}: {id_} is missing" for id_ in sorted(present - living.keys())]
    wrong += [f"{table}: {id_} is not marked as deleted" for id_ in sorted(living.keys() - present)]
    wrong += [f"{table}: {id_} never was" for id_ in sorted(marked.keys() - scene.ever[entity_type_id])]
    wrong += [f"{table}: {id_} was wiped when it was marked" for id_, row in marked.items() if row["title"] is None]
    if not exists:
        return wrong
    words = _words(database, f"{table}__{_column(columns['words'])}")
    for id_ in sorted(present & living.keys()):
        told, held = _told(portal[id_], columns), _held(living[id_], words.get(id_, []), columns)
        wrong += [
            f"{table}: {id_}.{what} is {held[what]!r}, not {told[what]!r}" for what in told if told[what] != held[what]
        ]
    return wrong


def _rows(database: Any, table: str) -> list[Row]:
    relation = database.sql(f"select * from bitrix24.{table}")
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def _words(database: Any, table: str) -> Mapping[int, list[str]]:
    found = database.execute(f"select item_id, value from bitrix24.{table} order by item_id, position").fetchall()
    words: dict[int, list[str]] = defaultdict(list)
    for item_id, value in found:
        words[item_id].append(value)
    return words


def _twice(ids: Any) -> list[tuple[int, int]]:
    return [(id_, times) for id_, times in Counter(ids).items() if times > 1]


def _told(item: Mapping[str, Any], columns: Mapping[str, str]) -> Row:
    """As the portal says it."""
    amount, _, currency = str(item[columns["price"]] or "").partition("|")
    return {
        "title": item["title"],
        "updated": datetime.fromisoformat(item["updatedTime"]),
        "stage": item["stageId"],
        "number": item[columns["number"]],
        "price": (Decimal(amount) if amount else None, currency or None),
        "words": item[columns["words"]] or [],
        "late": item.get(columns["late"]) if "late" in columns else None,
    }


def _held(row: Row, words: list[str], columns: Mapping[str, str]) -> Row:
    """As the table has it."""
    price = _column(columns["price"])
    return {
        "title": row["title"],
        "updated": row["updated_time"],
        "stage": row["stage_id"],
        "number": row[_column(columns["number"])],
        "price": (row[price], row[f"{price}_currency"]),
        "words": words,
        "late": row[_column(columns["late"])] if "late" in columns else None,
    }


def _column(name: str) -> str:
    """`ufCrm11Number` on the wire is `uf_crm_11_number` in the table."""
    head, tail = name[:5], name[5:]
    digits = "".join(sign for sign in tail if sign.isdigit())
    return f"{head[:2]}_{head[2:]}_{digits}_{tail[len(digits) :]}".lower()

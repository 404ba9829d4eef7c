"""Materialises the stage marts in DuckDB and PostgreSQL, where a view over the stage history is too slow.

A *stay* is the time that an item spends in one stage, from one move to the next. A view would sort all moves for each query,
which takes PostgreSQL two seconds for 800,000 moves. So tables keep the stays (times, codes and amounts, no labels), and the
changes by day that follow from them. Checksums per id range are compared with the loaded tables, and only items that differ are
rewritten; readers are never locked out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlglot import exp

from .database import ViewDatabase
from .lookups import column
from .marts import FACT_COLUMNS, FACTS, MARTS, MartBuilder, Zone, first_id

KEPT_IN = frozenset({"duckdb", "postgres"})
"""dialects of the databases in which the tables of `FACTS` are kept"""
MOST_ITEMS = 5_000
"""if more items have changed, all rows are rewritten"""
WIDTH = 1000
"""number of ids in one checksum"""

Keys = Sequence[tuple[int, ...]]
"""pairs of entityTypeId and item id, or first id of a range"""


def refresh_facts(database: ViewDatabase, zone: Zone) -> None:
    """Updates the tables of `FACTS` from the loaded tables, in databases that keep them."""
    if not _is_possible(database):
        return
    there = _tables_there(database)
    anew = [relation for relation in FACTS if FACTS[relation] not in there]
    for relation in anew:
        if database.has(FACTS[relation]):  # in the form of another release
            for mart in MARTS:
                database.drop(mart)
        database.create_table(FACTS[relation], FACT_COLUMNS[relation])
    items: Keys | None = None
    types: list[int] | None = None
    if not anew:
        wrong = database.rows(MartBuilder(database.stored, zone, has_facts=True).changed_types())
        if not any(are_days_wrong for _, are_days_wrong in wrong):
            items = _changed_items(database, zone)
        types = None if items is None else sorted({type_ for type_, _ in (*wrong, *items)})
    if types == []:
        return
    stays = MartBuilder(database.stored, zone, has_facts=True, only={"existing_history": _of_items(items, "owner_id")})
    changes = MartBuilder(database.stored, zone, has_facts=True, only={"stage_stays": _of_types(types)})
    database.rewrite({
        FACTS["stage_stays"]: (_of_items(items, "item_id"), stays.facts("stage_stays")),
        FACTS["stage_changes"]: (_of_types(types), changes.facts("stage_changes")),
    })  # fmt: skip


def _changed_items(database: ViewDatabase, zone: Zone) -> Keys | None:
    """Returns the items whose stays differ from the loaded tables; None if there are more than `MOST_ITEMS`."""
    ranges = database.rows(
        MartBuilder(database.stored, zone, has_facts=True).changed_items(WIDTH).limit(MOST_ITEMS + 1)
    )
    if not ranges:
        return ranges
    if len(ranges) > MOST_ITEMS:
        return None
    among = {
        "stage_history": _of_items(ranges, "owner_id", WIDTH),
        "stage_stays": _of_items(ranges, "item_id", WIDTH),
    }
    builder = MartBuilder(database.stored, zone, has_facts=True, only=among)
    items = database.rows(builder.changed_items().limit(MOST_ITEMS + 1))
    return None if len(items) > MOST_ITEMS else items


def are_facts_kept(database: ViewDatabase) -> bool:
    """Returns whether the tables of `FACTS` exist; they may be those of an earlier load."""
    return _is_possible(database) and _tables_there(database) == set(FACTS.values())


def _tables_there(database: ViewDatabase) -> set[str]:
    return database.has_tables({table: FACT_COLUMNS[relation] for relation, table in FACTS.items()})


def _is_possible(database: ViewDatabase) -> bool:
    return database.dialect in KEPT_IN and "stage_history" in database.stored.tables


def _of_items(items: Keys | None, name: str, width: int = 1) -> exp.Condition:
    """Returns a condition for the rows of some items; None for all.

    Args:
        items: entityTypeIds with item ids, or with the first ids of ranges.
        name: the column of the item's id.
        width: number of ids in a range; 1 for single items.
    """
    if not items:
        return exp.true() if items is None else exp.false()
    by_type: dict[int, list[int]] = defaultdict(list)
    for type_, item in items:
        by_type[type_].append(item)
    told = first_id(column(name), width)
    return exp.or_(
        *(exp.and_(column("entity_type_id").eq(type_), told.isin(*ids)) for type_, ids in by_type.items()),
    )


def _of_types(types: Sequence[int] | None) -> exp.Condition:
    return exp.true() if types is None else column("entity_type_id").isin(*types)

"""Brings the tables of facts up to date that the marts on stages stand on, in databases that would take seconds otherwise.

A view over the stage history has to sort all moves of all items for each question: PostgreSQL takes two seconds for 800,000
moves before it has looked up a single name. So the stays are kept: times, codes and amounts, no words. What differs from the
loaded tables is found item by item, whatever happened in between, and only that is written. Readers are never locked out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlglot import exp

from .database import ViewDatabase
from .lookups import column
from .marts import FACT_COLUMNS, FACTS, MARTS, MartBuilder, Zone

KEPT_IN = frozenset({"duckdb", "postgres"})
"""dialects of the databases that keep facts"""
MOST_ITEMS = 5_000
"""where more items have changed, all facts are written anew"""


def refresh_facts(database: ViewDatabase, zone: Zone) -> None:
    """Makes the tables of `FACTS` equal to the loaded tables, in databases that keep them."""
    if not _is_possible(database):
        return
    builder = MartBuilder(database.stored, zone, has_facts=True)
    anew = [relation for relation in FACTS if not database.has_table(FACTS[relation], FACT_COLUMNS[relation])]
    for relation in anew:
        if database.has(FACTS[relation]):  # of another release
            for mart in MARTS:
                database.drop(mart)
        database.create_table(FACTS[relation], FACT_COLUMNS[relation])
    changed = database.rows(builder.changed_items().limit(MOST_ITEMS + 1))
    if not changed and not anew:
        return
    everything = bool(anew) or len(changed) > MOST_ITEMS
    items, types = (None, None) if everything else (changed, sorted({type_ for type_, _ in changed}))
    stays = MartBuilder(database.stored, zone, has_facts=True, only={"living_history": _of_items(items, "owner_id")})
    changes = MartBuilder(database.stored, zone, has_facts=True, only={"stage_stays": _of_types(types)})
    database.rewrite({
        FACTS["stage_stays"]: (_of_items(items, "item_id"), stays.facts("stage_stays")),
        FACTS["stage_changes"]: (_of_types(types), changes.facts("stage_changes")),
    })  # fmt: skip


def are_facts_kept(database: ViewDatabase) -> bool:
    """Whether the tables of `FACTS` are there, as of whatever load."""
    return _is_possible(database) and all(
        database.has_table(table, FACT_COLUMNS[relation]) for relation, table in FACTS.items()
    )


def _is_possible(database: ViewDatabase) -> bool:
    return database.dialect in KEPT_IN and "stage_history" in database.stored.tables


def _of_items(items: Iterable[Sequence[int]] | None, name: str) -> exp.Condition:
    """Rows of some items, whose ids are in the column of that name; all rows for None."""
    if items is None:
        return exp.true()
    by_type: dict[int, list[int]] = defaultdict(list)
    for type_, item in items:
        by_type[type_].append(item)
    return exp.or_(
        *(exp.and_(column("entity_type_id").eq(type_), column(name).isin(*ids)) for type_, ids in by_type.items())
    )


def _of_types(types: Sequence[int] | None) -> exp.Condition:
    return exp.true() if types is None else column("entity_type_id").isin(*types)

"""Creates and updates the views of a dataset: a labelled one for each item table, and the marts.

Reads the catalogue from the destination. If a view cannot be updated, this is reported, the existing view stays, and the load
is not affected.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

import dlt
from dlt.destinations.job_client_impl import SqlJobClientBase

from ..catalog import CRM_OBJECTS, Descriptions, fixed_descriptions, item_descriptions, view_descriptions
from ..errors import Bitrix24Error, ConfigError, UnavailableError, causes, root_message
from ..schema import Field
from .clickhouse import ClickHouseViews
from .clickhouse_queries import CLICKHOUSE
from .database import ViewDatabase
from .facts import are_facts_kept, refresh_facts
from .lookups import CATALOG_TABLES
from .marts import MARTS, MartBuilder, Zone
from .query import LabeledView

log = logging.getLogger("bitrix24_source")


SUFFIX = "_labeled"
_HINT_UNCHANGED = (
    "it is as it was before: what stands on it, or reads it for long, is in its way; drop that, then load again"
)
_HINT_LOCKED = "it is as it was before; end the transaction of {}, and the next load changes it"
_HINT_EMPTIED = "it has no rows until what stands on it is dropped and the next load has made it anew"


def create_views(pipeline: dlt.Pipeline, schema: str = "", tables: Container[str] | None = None) -> list[Bitrix24Error]:
    """Creates or updates the marts and the view `<table>_labeled` of each item table.

    Call it after `pipeline.run(bitrix24())`; `bitrix24 load` does. Labels that change in the portal - of an option, a stage, a
    person - need no new view, but field titles do, because they are column names.

    Args:
        pipeline: a pipeline that has loaded a `bitrix24()` source.
        schema: dlt's name of the source's schema, if the source was renamed.
        tables: marts, and item tables whose views are to be updated; None for all.

    Returns:
        One error for each view that could not be updated; these views are unchanged. An `UnavailableError` is a lock that a
        reader held for too long.
    """

    def create(database: ViewDatabase) -> list[Bitrix24Error]:
        fields = {is_spa: _read_fields(database, is_spa) for is_spa in CATALOG_TABLES}
        before = database.comments()

        def create_or_replace(table: str, entity_type_id: int) -> None:
            if tables is not None and table not in tables:
                return
            is_spa = table not in CRM_OBJECTS
            listed = fields[is_spa].get(entity_type_id, [])
            if not listed and _are_fields_loaded(database, is_spa) and database.has(table + SUFFIX):
                return  # without the catalogue, only the existing view has the titles
            view = LabeledView(database.stored, table, entity_type_id, listed, is_spa=is_spa)
            database.create_or_replace(table + SUFFIX, view.select, listed)

        problems = _for_each_table(database, create_or_replace)
        wanted = [mart for mart in MARTS if tables is None or mart in tables]
        zone = _read_zone(database)
        problems += _refresh_facts(database, zone) if wanted else []
        has_facts = are_facts_kept(database)
        marts = MartBuilder(database.stored, zone, has_facts=has_facts)

        def create_or_replace_mart(mart: str) -> None:
            database.create_or_replace(mart, lambda: marts.query(mart), zone, has_facts)

        problems += _for_each_mart(database, wanted, create_or_replace_mart)
        try:
            database.describe(_descriptions(database, fields), before)
        except Exception as error:  # noqa: BLE001 - each driver has errors of its own
            problems.append(_problem("descriptions", error, "they are as they were before: load again"))
        return problems

    return _in_destination(pipeline, schema, create)


def drop_views(pipeline: dlt.Pipeline, schema: str = "") -> list[Bitrix24Error]:
    """Drops the marts and the labelled views before a full refresh: PostgreSQL drops no table that a view depends on.

    A view on which a user's view depends is emptied instead, until `create_views` restores it. Arguments and result as in
    `create_views`.
    """

    def drop(database: ViewDatabase) -> list[Bitrix24Error]:
        problems = _for_each_mart(database, MARTS, database.drop)
        return problems + _for_each_table(database, lambda table, _: database.drop(table + SUFFIX))

    return _in_destination(pipeline, schema, drop)


def tables_with_views(pipeline: dlt.Pipeline, schema: str = "") -> set[str]:
    """Returns item tables with a labelled view, and existing marts; none if the destination cannot be read.

    Arguments as in `create_views`.
    """
    found: set[str] = set()

    def look(database: ViewDatabase) -> list[Bitrix24Error]:
        found.update(table for table, _ in _item_tables(database.stored.tables) if database.has(table + SUFFIX))
        found.update(filter(database.has, MARTS))
        return []

    _in_destination(pipeline, schema, look)
    return found


def _in_destination(
    pipeline: dlt.Pipeline, schema: str, act: Callable[[ViewDatabase], list[Bitrix24Error]]
) -> list[Bitrix24Error]:
    try:
        if not pipeline.schema_names:
            pipeline.sync_destination()  # a new machine learns there what was loaded
        name = schema or ("bitrix24" if "bitrix24" in pipeline.schema_names else pipeline.default_schema_name)
        if name not in pipeline.schema_names:
            return []  # nothing was
        with pipeline.destination_client(name) as client:
            if isinstance(client, SqlJobClientBase):
                is_clickhouse = client.capabilities.sqlglot_dialect == CLICKHOUSE
                return act(ClickHouseViews(client) if is_clickhouse else ViewDatabase(client))
            log.info("%s: there are no labelled views for it", pipeline.destination.destination_name)
            return []
    except Exception as error:  # noqa: BLE001 - each driver has errors of its own
        return [_problem("the labelled views", error, "they are as they were before: load again")]


def _for_each_table(database: ViewDatabase, act: Callable[[str, int], None]) -> list[Bitrix24Error]:
    """Runs the action for each item table; a failure does not stop the others."""
    attempts = (
        _attempt(database, table + SUFFIX, lambda: act(table, entity_type_id))  # noqa: B023 - called at once
        for table, entity_type_id in _item_tables(database.stored.tables)
    )
    return [problem for problem in attempts if problem]


def _for_each_mart(database: ViewDatabase, marts: Iterable[str], act: Callable[[str], None]) -> list[Bitrix24Error]:
    """Runs the action for each mart; a failure does not stop the others."""
    attempts = (_attempt(database, mart, lambda: act(mart)) for mart in marts)  # noqa: B023 - called at once
    return [problem for problem in attempts if problem]


def _refresh_facts(database: ViewDatabase, zone: Zone) -> list[Bitrix24Error]:
    """Updates the tables of the stage marts; if that fails, these marts stay as of an earlier load."""
    try:
        database.analyze()
        refresh_facts(database, zone)
    except Exception as error:  # noqa: BLE001 - each driver has errors of its own
        sessions = database.who_blocks(error)
        hint = _HINT_LOCKED.format(sessions) if sessions else "they are as of an earlier load: load again"
        kind = UnavailableError if sessions else ConfigError
        return [_problem("marts on stages", error, hint, kind)]
    return []


def _attempt(database: ViewDatabase, view: str, act: Callable[[], None]) -> Bitrix24Error | None:
    """Runs an action on one view; returns an error that names the view if it fails."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - each driver has errors of its own
        sessions = database.who_blocks(error)
        hint = _HINT_LOCKED.format(sessions) if sessions else _HINT_UNCHANGED
        if database.is_emptied(view):
            hint = _HINT_EMPTIED
        return _problem(f"view {view}", error, hint, UnavailableError if sessions else ConfigError)
    return None


def _descriptions(database: ViewDatabase, fields: Mapping[bool, Mapping[int, Sequence[Field]]]) -> Descriptions:
    """Returns the descriptions of all tables and views, from the catalogue."""
    tables = database.stored.tables
    portal = (
        database.read("portal", ("zone", "base_currency"))
        if {"zone", "base_currency"} <= tables.get("portal", {}).keys()
        else []
    )
    zone, currency = (portal[0]["zone"], portal[0]["base_currency"]) if portal else ("", "")
    titled = {"entity_type_id", "title"} <= tables.get("spa_types", {}).keys()
    titles = (
        {row["entity_type_id"]: row["title"] for row in database.read("spa_types", ("entity_type_id", "title"))}
        if titled
        else {}
    )
    found = fixed_descriptions(zone or "", currency or "")
    for table, entity_type_id in _item_tables(tables):
        is_spa = table not in CRM_OBJECTS
        title = titles.get(entity_type_id) or table
        found.update(item_descriptions(table, title, fields[is_spa].get(entity_type_id, ())))
        found.update(view_descriptions(table + SUFFIX, table, title))
    return found


def _read_zone(database: ViewDatabase) -> Zone:
    """Reads the portal's zone from the destination."""
    if not {"zone", "utc_offset_minutes"} <= database.stored.tables.get("portal", {}).keys():
        return Zone()
    rows = database.read("portal", ("zone", "utc_offset_minutes"))
    return Zone.of(rows[0]["zone"], rows[0]["utc_offset_minutes"]) if rows else Zone()


def _item_tables(tables: Mapping[str, Any]) -> list[tuple[str, int]]:
    spas = ((name, int(match[1])) for name in tables if (match := re.fullmatch(r"spa_items_(\d+)", name)))
    return [*spas, *((name, crm_object.entity_type_id) for name, crm_object in CRM_OBJECTS.items() if name in tables)]


def _problem(where: str, error: Exception, hint: str, kind: type[Bitrix24Error] = ConfigError) -> Bitrix24Error:
    problem = kind(f"a view could not be brought up to date ({root_message(list(causes(error)))})", where, hint)
    log.warning("%s", problem)
    return problem


_READ = (
    "entity_type_id", "name", "upper_name", "type", "title", "form_label", "status_type", "settings", "position",
    "is_multiple", "is_dynamic", "column_type",
)  # fmt: skip


def _are_fields_loaded(database: ViewDatabase, is_spa: bool) -> bool:
    """Returns whether the fields table is loaded; if only items are loaded, views have the names of columns."""
    return CATALOG_TABLES[is_spa]["fields"] in database.stored.tables


def _read_fields(database: ViewDatabase, is_spa: bool) -> dict[int, list[Field]]:
    """Reads the fields of each type from the catalogue in the destination, in the portal's order."""
    table = CATALOG_TABLES[is_spa]["fields"]
    known = [name for name in _READ if name in database.stored.tables.get(table, {})]
    if not {"entity_type_id", "upper_name", "type"} <= set(known):
        return {}
    types: dict[int, dict[str, Field]] = {}
    for row in database.read(table, known):
        types.setdefault(row["entity_type_id"], {})[row["upper_name"]] = _field(row)
    return {
        number: sorted(fields.values(), key=lambda field: (field.position, field.upper_name))
        for number, fields in types.items()
    }


def _field(row: Mapping[str, Any]) -> Field:
    settings = row.get("settings")
    settings = json.loads(settings) if isinstance(settings, str) and settings else settings
    return Field(
        name=row.get("name") or row["upper_name"],
        upper_name=row["upper_name"],
        type=row["type"] or "",
        title=row.get("title") or "",
        form_label=row.get("form_label"),
        is_multiple=bool(row.get("is_multiple")),
        is_dynamic=bool(row.get("is_dynamic")),
        status_type=row.get("status_type"),
        settings=settings if isinstance(settings, Mapping) else {},
        position=row.get("position") or 0,
        is_excluded=row.get("column_type", "") is None,
    )

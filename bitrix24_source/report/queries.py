"""Queries the marts for the page, in SQL that DuckDB and PostgreSQL share.

Items and stays in stages are aggregated into temporary tables of the connection, which most queries use. Names of companies,
which may be as many as items, are looked up only for the rows shown.
"""

# ruff: noqa: S608 - names of our own, numbers and dates

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta, timezone
from typing import Any, Protocol

from ..errors import ConfigError

TOP = 15
"""maximum number of people, companies, sources and products in a chart"""
OVERDUE = 50
"""maximum number of overdue items listed for each type"""
ISSUES = 50
"""maximum number of load issues shown"""
LONGEST = 400
"""maximum length of a message"""
POINTS = 104
"""maximum number of days in a chart of stages by day: two years of weeks"""

Row = dict[str, Any]

_SETTINGS = {"postgres": ("SET work_mem = '64MB'", "SET jit = off", "SET enable_sort = off")}
"""of the connection, by sqlglot's name of the dialect: by itself PostgreSQL sorts on disk, compiles each query, and sorts where
it expects as many groups as rows"""


class SqlClient(Protocol):
    """The part of dlt's client that is used."""

    capabilities: Any

    def execute_sql(self, sql: Any, *args: Any) -> Any: ...
    def execute_query(self, query: Any, *args: Any) -> Any: ...


class MartReader:
    """Reads rows over a connection to the dataset."""

    def __init__(self, client: SqlClient) -> None:
        self._client = client
        for setting in _SETTINGS.get(client.capabilities.sqlglot_dialect, ()):
            client.execute_sql(setting)

    def rows(self, sql: str) -> list[Row]:
        """Returns rows as dictionaries."""
        with self._client.execute_query(sql) as cursor:
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def keep(self, name: str, sql: str) -> None:
        """Stores a result in a temporary table for further queries."""
        self._client.execute_sql(f"DROP TABLE IF EXISTS {name}")
        self._client.execute_sql(f"CREATE TEMPORARY TABLE {name} AS {sql}")


def collect(
    reader: MartReader,
    *,
    types: Sequence[str] = (),
    people: bool = True,
    since: date | None = None,
    beside: MartReader | None = None,
) -> Row:
    """Returns everything that the page shows, as JSON values.

    Args:
        reader: runs queries.
        types: entityTypeIds or titles; empty for all types.
        people: whether people are shown.
        since: only items created, and moves made, since this day.
        beside: a second reader with a connection of its own, for concurrent queries.

    Raises:
        ConfigError: there are no marts, or none of the types.
    """
    portal = _portal(reader)
    chosen = _types(reader, types) if types else []
    only = f"entity_type_id IN ({', '.join(map(str, chosen))})" if types else "TRUE"
    created = f"created_date >= DATE '{since.isoformat()}'" if since else "TRUE"
    entered = f"entered_date >= DATE '{since.isoformat()}'" if since else "TRUE"

    def of_history(other: MartReader) -> Row:
        other.keep("report_stays", _STAYS.format(f"{only} AND {entered}"))
        return {
            "moves": _moves(other),
            "daily": _daily(other, only, portal["today"], since),
            "products": _products(other, only, since),
            "health": _health(other),
        }

    def of_items() -> Row:
        items = f"mart_items WHERE {only} AND {created}"
        reader.keep("report_groups", _GROUPS.format(items))
        if people:
            reader.keep("report_owners", _OWNERS.format(items))
        return {
            "portal": portal | {"data_until": _data_until(reader, is_of_all=not (types or since))},
            "since": since and since.isoformat(),
            "people": _people(reader) if people else None,
            "types": _summaries(reader),
            "months": _months(reader),
            "stages": _stages(reader, only),
            "owners": _top(reader, "report_owners", "responsible_id", "SUM(items)", "MIN(responsible)")
            if people
            else [],
            "companies": _companies(reader, f"{only} AND {created}"),
            "sources": _top(reader, "report_groups", "source_id", "SUM(items)", "MIN(source)"),
            "overdue": _overdue(reader, items, people=people),
            "filled": _filled(reader),
        }

    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(of_history, beside) if beside else None
        items = of_items()
        history = asked.result() if asked else of_history(reader)
    issues = _issues(reader, max((row["last_load"] for row in history["health"] if row["last_load"]), default=""))
    return items | history | {"health": [_without(row, "last_load") for row in history["health"]], "issues": issues}


def _without(row: Row, name: str) -> Row:
    return {key: value for key, value in row.items() if key != name}


def _portal(reader: MartReader) -> Row:
    try:
        rows = reader.rows(
            "SELECT p.host, p.zone, p.base_currency, p.languages, p.loaded_at, p.utc_offset_minutes FROM portal AS p "
            "WHERE NOT EXISTS (SELECT 1 FROM mart_items WHERE FALSE)"
        )
    except Exception as error:
        raise ConfigError(
            "the destination has no marts",
            "bitrix24 report",
            "run bitrix24 load first, without --no-views; what load --sandbox has loaded is shown by report --sandbox",
        ) from error
    if not rows:
        raise ConfigError("the table portal is empty", "bitrix24 report", "run bitrix24 load first")
    row = rows[0]
    moment = row.pop("loaded_at")
    offset = timedelta(minutes=row["utc_offset_minutes"] or 0)
    local = (moment - moment.utcoffset()).replace(tzinfo=None) + offset
    return {**row, "loaded_at": local.isoformat(" ", "minutes"), "today": local.date().isoformat()}


def _data_until(reader: MartReader, *, is_of_all: bool) -> str | None:
    """The last day on which an item was made or moved, of whatever type; the groups know where they are of all items."""
    (last,) = reader.rows(
        "SELECT MAX(last_created) AS created, MAX(last_moved) AS moved FROM report_groups"
        if is_of_all
        else "SELECT MAX(created_date) AS created, MAX(moved_date) AS moved FROM mart_items"
    )
    return max((day.isoformat() for day in last.values() if day), default=None)


def _types(reader: MartReader, wanted: Sequence[str]) -> list[int]:
    known = reader.rows("SELECT DISTINCT entity_type_id, entity_type FROM mart_items")
    chosen = []
    for name in wanted:
        found = [
            row["entity_type_id"]
            for row in known
            if str(row["entity_type_id"]) == name or str(row["entity_type"]).casefold() == name.casefold()
        ]
        if len(found) != 1:
            titles = ", ".join(sorted(f"{row['entity_type']} ({row['entity_type_id']})" for row in known))
            problem = "fits several types" if found else "is not a type that has items"
            raise ConfigError(f"{name} {problem}", "--type", f"there are: {titles}")
        chosen.append(found[0])
    return chosen


_GROUPS = """
    SELECT
        entity_type_id, MIN(entity_type) AS entity_type, category_id, MIN(category) AS category, stage_id, MIN(stage) AS stage,
        MIN(stage_order) AS stage_order, MIN(stage_color) AS stage_color, semantics, source_id, MIN(source) AS source,
        CAST(DATE_TRUNC('month', CAST(created_date AS TIMESTAMP)) AS DATE) AS created_month,
        CAST(DATE_TRUNC('month', CAST(closed_date AS TIMESTAMP)) AS DATE) AS closed_month,
        COUNT(*) AS items, SUM(amount_base) AS amount_base, COUNT(amount_base) AS priced,
        SUM(cycle_days) AS cycle_days, COUNT(cycle_days) AS cycles, SUM(CASE WHEN is_overdue THEN 1 ELSE 0 END) AS overdue,
        COUNT(title) AS titles, COUNT(responsible_id) AS responsibles, COUNT(company_id) AS companies,
        COUNT(contact_id) AS contacts, COUNT(due_date) AS due_dates,
        MAX(created_date) AS last_created, MAX(moved_date) AS last_moved
    FROM {}
    GROUP BY entity_type_id, category_id, stage_id, semantics, source_id, 12, 13
"""
"""items grouped by columns with few values: queries aggregate thousands of rows instead of all items"""
_OWNERS = """
    SELECT
        entity_type_id, responsible_id, semantics, MIN(responsible) AS responsible, MIN(department) AS department,
        COUNT(*) AS items, SUM(amount_base) AS amount_base, SUM(CASE WHEN is_overdue THEN 1 ELSE 0 END) AS overdue,
        SUM(cycle_days) AS cycle_days, COUNT(cycle_days) AS cycles
    FROM {} AND responsible_id IS NOT NULL
    GROUP BY entity_type_id, responsible_id, semantics
"""
"""items by person"""
_STAYS = """
    SELECT
        entity_type_id, category_id, stage_id, next_stage_id, next_semantics,
        MIN(stage_order) AS stage_order, MIN(next_stage_order) AS next_stage_order,
        CAST(days * 100 AS BIGINT) AS hundredths, COUNT(*) AS stays, SUM(CASE WHEN is_current THEN 1 ELSE 0 END) AS still
    FROM mart_stage_moves
    WHERE semantics = 'process' AND {}
    GROUP BY entity_type_id, category_id, stage_id, next_stage_id, next_semantics, 8
"""
"""stays in open stages, counted by hundredths of a day, ten times finer than shown, which avoids sorting all of them"""
_PERCENTILES = {"median": 0.5, "p90": 0.9}


def _outcomes(items: str = "items", amount: str = "amount_base") -> str:
    """Returns columns that aggregate the outcomes of items; by default of groups of them."""
    return (
        f"SUM({items}) AS items, "
        f"SUM(CASE WHEN semantics = 'process' THEN {items} ELSE 0 END) AS open, "
        f"SUM(CASE WHEN semantics = 'success' THEN {items} ELSE 0 END) AS won, "
        f"SUM(CASE WHEN semantics = 'failure' THEN {items} ELSE 0 END) AS lost, "
        f"SUM(CASE WHEN semantics = 'success' THEN {amount} END) AS amount_won, "
        f"SUM(CASE WHEN semantics = 'process' THEN {amount} END) AS amount_open"
    )


def _summaries(reader: MartReader) -> list[Row]:
    return _plain(
        reader.rows(
            f"SELECT entity_type_id AS type, MIN(entity_type) AS title, {_outcomes()}, SUM(overdue) AS overdue, "
            "SUM(CASE WHEN semantics = 'success' THEN cycle_days END) AS cycle_sum, "
            "SUM(CASE WHEN semantics = 'success' THEN cycles ELSE 0 END) AS cycle_count, "
            "SUM(CASE WHEN semantics = 'success' THEN priced ELSE 0 END) AS priced_won "
            "FROM report_groups GROUP BY entity_type_id ORDER BY SUM(items) DESC, entity_type_id"
        )
    )


def _months(reader: MartReader) -> list[Row]:
    """Returns items created, with their outcomes, and closed, by month and type."""
    created = reader.rows(
        f"SELECT entity_type_id AS type, CAST(created_month AS TEXT) AS month, {_outcomes()} "
        "FROM report_groups WHERE created_month IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
    )
    closed = reader.rows(
        "SELECT entity_type_id AS type, CAST(closed_month AS TEXT) AS month, "
        "SUM(CASE WHEN semantics = 'success' THEN items ELSE 0 END) AS closed_won, "
        "SUM(CASE WHEN semantics = 'failure' THEN items ELSE 0 END) AS closed_lost, "
        "SUM(CASE WHEN semantics = 'success' THEN amount_base END) AS closed_amount "
        "FROM report_groups WHERE closed_month IS NOT NULL GROUP BY 1, 2"
    )
    months: dict[tuple[Any, str], Row] = {}
    for row in (*created, *closed):
        months.setdefault((row["type"], row["month"][:7]), {}).update({**row, "month": row["month"][:7]})
    return _plain(months[key] for key in sorted(months))


def _stages(reader: MartReader, only: str) -> list[Row]:
    """Returns stages with items, and stages that items have only passed."""
    return _plain(
        reader.rows(
            "SELECT s.type, s.category_id, MIN(s.category) AS category, s.stage_id, MIN(s.stage) AS stage, "
            'MIN(s.stage_order) AS "order", MIN(s.color) AS color, MIN(s.semantics) AS semantics, SUM(s.items) AS items, '
            "SUM(s.amount) AS amount FROM ("
            "SELECT entity_type_id AS type, category_id, category, stage_id, stage, stage_order, stage_color AS color, semantics, "
            "items, amount_base AS amount FROM report_groups WHERE stage_id IS NOT NULL UNION ALL "
            "SELECT DISTINCT entity_type_id, category_id, category, stage_id, stage, stage_order, stage_color, semantics, "
            f"0, CAST(NULL AS DOUBLE PRECISION) FROM mart_stage_daily WHERE {only}) AS s "
            "GROUP BY s.type, s.category_id, s.stage_id ORDER BY s.type, s.category_id, MIN(s.stage_order), s.stage_id"
        )
    )


def _moves(reader: MartReader) -> list[Row]:
    """Returns the outcomes of stays in a stage (forward, back, lost, still there), and the duration of finished ones."""
    rows = reader.rows(
        "SELECT entity_type_id AS type, category_id, stage_id, SUM(stays) AS entered, SUM(still) AS still, "
        "SUM(CASE WHEN next_semantics = 'failure' THEN stays ELSE 0 END) AS lost, "
        "SUM(CASE WHEN next_semantics = 'success' OR (next_semantics = 'process' AND next_stage_order > stage_order) "
        "THEN stays ELSE 0 END) AS onward FROM report_stays GROUP BY 1, 2, 3 ORDER BY 1, 2, MIN(stage_order)"
    )
    lasted = _lasted(reader)
    nothing = dict.fromkeys(_PERCENTILES)
    return _plain({**row, **lasted.get((row["type"], row["category_id"], row["stage_id"]), nothing)} for row in rows)


def _lasted(reader: MartReader) -> dict[tuple[Any, Any, Any], dict[str, float]]:
    """Returns percentiles of the days in each stage, interpolated like PERCENTILE_CONT."""
    bounds = ", ".join(
        f"MIN(CASE WHEN r.upto > {share} * (r.ended - 1) THEN r.hundredths END) AS {name}_low, "
        f"MIN(CASE WHEN r.upto >= {share} * (r.ended - 1) + 1 THEN r.hundredths END) AS {name}_high"
        for name, share in _PERCENTILES.items()
    )
    stage = "s.entity_type_id, s.category_id, s.stage_id"
    rows = reader.rows(
        f"SELECT r.entity_type_id, r.category_id, r.stage_id, MAX(r.ended) AS ended, {bounds} FROM (SELECT {stage}, s.hundredths, "
        f"SUM(s.stays) OVER (PARTITION BY {stage}) AS ended, SUM(s.stays) OVER (PARTITION BY {stage} ORDER BY s.hundredths) AS upto "
        "FROM report_stays AS s WHERE s.hundredths IS NOT NULL) AS r GROUP BY 1, 2, 3"
    )
    found = {}
    for row in rows:
        place = {name: share * (int(row["ended"]) - 1) for name, share in _PERCENTILES.items()}
        found[row["entity_type_id"], row["category_id"], row["stage_id"]] = {
            name: (row[f"{name}_low"] + (row[f"{name}_high"] - row[f"{name}_low"]) * (place[name] % 1)) / 100
            for name in place
        }
    return found


def _daily(reader: MartReader, only: str, today: str, since: date | None) -> list[Row]:
    """Returns the items in each open stage at the end of evenly spaced days, the last of which is the day of the load."""
    condition = f"semantics = 'process' AND {only}"
    (begin,) = reader.rows(f"SELECT MIN(day) AS day FROM mart_stage_daily WHERE {condition}")
    last = date.fromisoformat(today)
    if begin["day"] is None or begin["day"] > last:
        return []
    first = max(begin["day"], since or date.min)
    step = max(1, math.ceil(((last - first).days + 1) / POINTS))
    days = [last - timedelta(days=step * place) for place in range(((last - first).days // step) + 1)][::-1]
    places = {day: place for place, day in enumerate(days)}
    listed = ", ".join(f"DATE '{day.isoformat()}'" for day in days)
    found = reader.rows(
        "SELECT entity_type_id AS type, category_id, stage_id, day, SUM(items) AS items FROM mart_stage_daily "
        f"WHERE {condition} AND day IN ({listed}) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    )
    items: dict[tuple[Any, Any, Any], list[int]] = defaultdict(lambda: [0] * len(days))
    for row in found:
        items[row["type"], row["category_id"], row["stage_id"]][places[row["day"]]] = int(row["items"])
    shown = (
        {"type": key[0], "category_id": key[1], "stage_id": key[2], "items": list_} for key, list_ in items.items()
    )
    return [{"days": [day.isoformat() for day in days]}, *shown]


def _top(
    reader: MartReader, table: str, key: str, rank: str, name: str = "NULL", *, outcomes: str = "", only: str = "TRUE"
) -> list[Row]:
    """Returns the top rows of each type, and separately those without a key."""
    return _plain(
        reader.rows(
            "SELECT * FROM (SELECT g.*, ROW_NUMBER() OVER (PARTITION BY g.type ORDER BY g.worth DESC, g.key) AS place FROM ("
            f"SELECT entity_type_id AS type, {key} AS key, {name} AS name, {rank} AS worth, {outcomes or _outcomes()} "
            f"FROM {table} WHERE {key} IS NOT NULL AND {only} GROUP BY entity_type_id, {key}) AS g) AS r "
            f"WHERE r.place <= {TOP} ORDER BY r.type, r.place"
        )
    )


def _companies(reader: MartReader, only: str) -> list[Row]:
    """Returns the top companies of each type by the amount won."""
    won = "COALESCE(SUM(CASE WHEN semantics = 'success' THEN amount_base END), 0)"
    rows = _top(reader, "mart_items", "company_id", won, outcomes=_outcomes("1"), only=only)
    if not rows:
        return []
    wanted = ", ".join({str(row["key"]) for row in rows})
    names = reader.rows(
        f"SELECT company_id, MIN(company) AS name FROM mart_items WHERE company_id IN ({wanted}) GROUP BY company_id"
    )
    by_id = {row["company_id"]: row["name"] for row in names}
    return [{**row, "name": by_id.get(row["key"])} for row in rows]


def _people(reader: MartReader) -> list[Row]:
    return _plain(
        reader.rows(
            f"SELECT responsible_id AS key, MIN(responsible) AS name, MIN(department) AS department, {_outcomes()}, "
            "SUM(overdue) AS overdue, SUM(CASE WHEN semantics = 'success' THEN cycle_days END) "
            "/ NULLIF(SUM(CASE WHEN semantics = 'success' THEN cycles END), 0) AS cycle_days "
            "FROM report_owners GROUP BY responsible_id ORDER BY SUM(items) DESC, responsible_id"
        )
    )


def _products(reader: MartReader, only: str, since: date | None) -> list[Row]:
    month = f"month >= DATE '{since.replace(day=1).isoformat()}'" if since else "TRUE"
    return _plain(
        reader.rows(
            'SELECT product AS name, product_id AS key, SUM("rows") AS lines, SUM(quantity) AS quantity, SUM(amount) AS amount, '
            f"SUM(amount_won) AS amount_won FROM mart_products WHERE {only} AND {month} GROUP BY product, product_id "
            f"ORDER BY COALESCE(SUM(amount), 0) DESC, product LIMIT {2 * TOP}"
        )
    )


def _overdue(reader: MartReader, items: str, *, people: bool) -> list[Row]:
    """Returns the items of each type that have been overdue longest."""
    rows = reader.rows(
        "SELECT o.* FROM (SELECT entity_type_id AS type, id, title, responsible, stage, CAST(due_date AS TEXT) AS due, "
        f"ROW_NUMBER() OVER (PARTITION BY entity_type_id ORDER BY due_date, id) AS place FROM {items} AND is_overdue"
        f") AS o WHERE o.place <= {OVERDUE} ORDER BY o.type, o.place"
    )
    return _plain({name: value for name, value in row.items() if people or name != "responsible"} for row in rows)


def _filled(reader: MartReader) -> list[Row]:
    """Counts items whose fields have a value, whether or not the referenced row was loaded."""
    return _plain(
        reader.rows(
            "SELECT entity_type_id AS type, SUM(items) AS items, SUM(titles) AS title, "
            "SUM(CASE WHEN stage_id IS NOT NULL THEN items ELSE 0 END) AS stage, SUM(responsibles) AS responsible, "
            "SUM(companies) AS company, SUM(contacts) AS contact, "
            "SUM(CASE WHEN source_id IS NOT NULL THEN items ELSE 0 END) AS source, SUM(due_dates) AS due_date, "
            "SUM(priced) AS amount_base FROM report_groups GROUP BY 1 ORDER BY 2 DESC"
        )
    )


def _health(reader: MartReader) -> list[Row]:
    return _plain(
        reader.rows(
            'SELECT resource, MAX("rows") AS rows, SUM(issues) AS issues, SUM(rejected_values) AS rejected, '
            "MAX(CASE WHEN is_last_run THEN issues ELSE 0 END) AS last_issues, "
            "MAX(CASE WHEN is_last_run THEN load_id END) AS last_load "
            "FROM mart_load_health GROUP BY resource ORDER BY SUM(issues) DESC, SUM(rejected_values) DESC, resource"
        )
    )


_ISSUES = ("resource", "error", "message", "hint")


def _issues(reader: MartReader, last_load: str) -> list[Row]:
    """Returns the latest load issues, newest first, with shortened texts."""
    known = {
        row["name"]
        for row in reader.rows(
            "SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'load_issues' "
            "AND table_schema = current_schema()"
        )
    }
    if not {*_ISSUES, "occurred_at", "load_id"} <= known:  # there have never been issues
        return []
    rows = reader.rows(
        f"SELECT {', '.join(_ISSUES)}, occurred_at, load_id "
        f"FROM load_issues ORDER BY occurred_at DESC, resource, message LIMIT {ISSUES}"
    )
    for row in rows:
        row.update({name: _cut(row[name]) for name in _ISSUES}, is_latest=row.pop("load_id") == last_load)
        row["occurred_at"] = row["occurred_at"] and f"{row['occurred_at'].astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
    return rows


def _cut(text: str | None) -> str:
    """Shortens a text, which may be long in an error."""
    return text if text and len(text) <= LONGEST else f"{text[: LONGEST - 1]}…" if text else ""


def _plain(rows: Iterable[Row]) -> list[Row]:
    """Returns rows as JSON values: integers where a database counts in decimals, amounts to the cent."""
    return [{name: _number(value) for name, value in row.items() if name != "place"} for row in rows]


def _number(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, date):
        return value.isoformat()
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else round(number, 4)

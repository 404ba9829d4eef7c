"""Asks the marts what the page shows. The SQL is what DuckDB and PostgreSQL have in common.

Items are read once, into a temporary table of the connection; questions on items are asked of it.
"""

# ruff: noqa: S608 - names of our own, numbers and dates

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta, timezone
from typing import Any, Protocol

from ..errors import ConfigError

TOP = 15
"""people, companies, sources and products that a chart shows"""
OVERDUE = 50
"""overdue items that a table lists, for each type"""
ISSUES = 50
"""messages of loads that are shown"""
LONGEST = 400
"""characters of a message"""
POINTS = 104
"""days that a chart of stages by day has at most: two years of weeks"""

Row = dict[str, Any]

_ITEM_COLUMNS = (
    "entity_type_id, entity_type, category_id, category, stage_id, stage, stage_order, stage_color, semantics, "
    "responsible_id, responsible, department, company_id, company, source_id, source, created_date, closed_date, due_date, "
    "amount_base, cycle_days, is_overdue, CASE WHEN title IS NOT NULL THEN 1 END AS title, "
    "CASE WHEN contact IS NOT NULL THEN 1 END AS contact"
)
"""what is kept of each item; of texts that are only counted, that they are there"""


class SqlClient(Protocol):
    """What is needed of dlt's client."""

    def execute_sql(self, sql: Any, *args: Any) -> Any: ...
    def execute_query(self, query: Any, *args: Any) -> Any: ...


class MartReader:
    """Reads rows over a connection to the dataset."""

    def __init__(self, client: SqlClient) -> None:
        self._client = client

    def rows(self, sql: str) -> list[Row]:
        """Rows as dictionaries."""
        with self._client.execute_query(sql) as cursor:
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def keep(self, name: str, sql: str) -> None:
        """Keeps an answer for further questions."""
        self._client.execute_sql(f"DROP TABLE IF EXISTS {name}")
        self._client.execute_sql(f"CREATE TEMPORARY TABLE {name} AS {sql}")


def collect(reader: MartReader, *, types: Sequence[str] = (), people: bool = True, since: date | None = None) -> Row:
    """Everything that the page shows, as JSON has it.

    Raises:
        ConfigError: there are no marts, or none of the types.
    """
    (portal,) = _portal(reader)
    chosen = _types(reader, types)
    only = f"entity_type_id IN ({', '.join(map(str, chosen))})" if types else "TRUE"
    created = f"created_date >= DATE '{since.isoformat()}'" if since else "TRUE"
    entered = f"entered_date >= DATE '{since.isoformat()}'" if since else "TRUE"
    reader.keep("report_items", f"SELECT {_ITEM_COLUMNS} FROM mart_items WHERE {only} AND {created}")
    return {
        "portal": portal,
        "since": since and since.isoformat(),
        "people": _people(reader) if people else None,
        "types": _summaries(reader),
        "months": _months(reader),
        "stages": _stages(reader, only),
        "moves": _moves(reader, f"{only} AND {entered}"),
        "daily": _daily(reader, only, portal["today"], since),
        "owners": _top(reader, "responsible", "responsible_id", "COUNT(*)") if people else [],
        "companies": _top(
            reader, "company", "company_id", "COALESCE(SUM(CASE WHEN semantics = 'success' THEN amount_base END), 0)"
        ),
        "sources": _top(reader, "source", "source_id", "COUNT(*)"),
        "products": _products(reader, only, since),
        "overdue": _overdue(reader, f"{only} AND {created}", people=people),
        "filled": _filled(reader),
        "health": _health(reader),
        "issues": _issues(reader),
    }


def _portal(reader: MartReader) -> list[Row]:
    try:
        rows = reader.rows(
            "SELECT p.host, p.zone, p.base_currency, p.languages, p.loaded_at, p.utc_offset_minutes FROM portal AS p "
            "WHERE NOT EXISTS (SELECT 1 FROM mart_items WHERE FALSE)"
        )
    except Exception as error:
        raise ConfigError(
            "the destination has no marts", "bitrix24 report", "run bitrix24 load first, without --no-views"
        ) from error
    if not rows:
        raise ConfigError("the table portal is empty", "bitrix24 report", "run bitrix24 load first")
    row = rows[0]
    moment = row.pop("loaded_at")
    last = reader.rows("SELECT MAX(created_date) AS created, MAX(moved_date) AS moved FROM mart_items")[0]
    days = [day for day in last.values() if day]
    offset = timedelta(minutes=row["utc_offset_minutes"] or 0)
    local = (moment - moment.utcoffset()).replace(tzinfo=None) + offset
    return [{**row, "loaded_at": local.isoformat(" ", "minutes"), "today": local.date().isoformat(),
             "data_until": max(days).isoformat() if days else None}]  # fmt: skip


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
            problem = "fits several types" if found else "is no type that has items"
            raise ConfigError(f"{name} {problem}", "--type", f"there are: {titles}")
        chosen.append(found[0])
    return chosen


_OUTCOMES = """
    COUNT(*) AS items,
    SUM(CASE WHEN semantics = 'process' THEN 1 ELSE 0 END) AS open,
    SUM(CASE WHEN semantics = 'success' THEN 1 ELSE 0 END) AS won,
    SUM(CASE WHEN semantics = 'failure' THEN 1 ELSE 0 END) AS lost,
    SUM(CASE WHEN semantics = 'success' THEN amount_base END) AS amount_won,
    SUM(CASE WHEN semantics = 'process' THEN amount_base END) AS amount_open
"""


def _summaries(reader: MartReader) -> list[Row]:
    return _plain(
        reader.rows(
            f"SELECT entity_type_id AS type, MIN(entity_type) AS title, {_OUTCOMES}, "
            "SUM(CASE WHEN is_overdue THEN 1 ELSE 0 END) AS overdue, "
            "SUM(CASE WHEN semantics = 'success' THEN cycle_days END) AS cycle_sum, "
            "SUM(CASE WHEN semantics = 'success' AND cycle_days IS NOT NULL THEN 1 ELSE 0 END) AS cycle_count, "
            "SUM(CASE WHEN semantics = 'success' AND amount_base IS NOT NULL THEN 1 ELSE 0 END) AS priced_won "
            "FROM report_items GROUP BY entity_type_id ORDER BY COUNT(*) DESC, entity_type_id"
        )
    )


def _months(reader: MartReader) -> list[Row]:
    """Created, with what became of it, and closed, by month and type."""
    created = reader.rows(
        "SELECT entity_type_id AS type, CAST(CAST(DATE_TRUNC('month', created_date) AS DATE) AS TEXT) AS month, "
        f"{_OUTCOMES} FROM report_items WHERE created_date IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
    )
    closed = reader.rows(
        "SELECT entity_type_id AS type, CAST(CAST(DATE_TRUNC('month', closed_date) AS DATE) AS TEXT) AS month, "
        "SUM(CASE WHEN semantics = 'success' THEN 1 ELSE 0 END) AS closed_won, "
        "SUM(CASE WHEN semantics = 'failure' THEN 1 ELSE 0 END) AS closed_lost, "
        "SUM(CASE WHEN semantics = 'success' THEN amount_base END) AS closed_amount "
        "FROM report_items WHERE closed_date IS NOT NULL GROUP BY 1, 2"
    )
    months: dict[tuple[Any, str], Row] = {}
    for row in (*created, *closed):
        months.setdefault((row["type"], row["month"][:7]), {}).update({**row, "month": row["month"][:7]})
    return _plain(months[key] for key in sorted(months))


def _stages(reader: MartReader, only: str) -> list[Row]:
    """Stages with items, and those that items have only been through."""
    return _plain(
        reader.rows(
            "SELECT s.type, s.category_id, MIN(s.category) AS category, s.stage_id, MIN(s.stage) AS stage, "
            'MIN(s.stage_order) AS "order", MIN(s.color) AS color, MIN(s.semantics) AS semantics, SUM(s.items) AS items, '
            "SUM(s.amount) AS amount FROM ("
            "SELECT entity_type_id AS type, category_id, category, stage_id, stage, stage_order, stage_color AS color, semantics, "
            "1 AS items, amount_base AS amount FROM report_items WHERE stage_id IS NOT NULL UNION ALL "
            "SELECT DISTINCT entity_type_id, category_id, category, stage_id, stage, stage_order, stage_color, semantics, "
            f"0, CAST(NULL AS DOUBLE PRECISION) FROM mart_stage_daily WHERE {only}) AS s "
            "GROUP BY s.type, s.category_id, s.stage_id ORDER BY s.type, s.category_id, MIN(s.stage_order), s.stage_id"
        )
    )


def _moves(reader: MartReader, only: str) -> list[Row]:
    """What became of the stays in a stage: on, back, lost, still there; and how long they took."""
    return _plain(
        reader.rows(
            "SELECT entity_type_id AS type, category_id, stage_id, COUNT(*) AS entered, "
            "SUM(CASE WHEN left_date IS NULL THEN 1 ELSE 0 END) AS still, "
            "SUM(CASE WHEN next_semantics = 'failure' THEN 1 ELSE 0 END) AS lost, "
            "SUM(CASE WHEN next_semantics = 'success' OR (next_semantics = 'process' AND next_stage_order > stage_order) "
            "THEN 1 ELSE 0 END) AS onward, "
            "PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY days) AS median, "
            "PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY days) AS p90 "
            f"FROM mart_stage_moves WHERE semantics = 'process' AND {only} GROUP BY 1, 2, 3 ORDER BY 1, 2, MIN(stage_order)"
        )
    )


def _daily(reader: MartReader, only: str, today: str, since: date | None) -> list[Row]:
    """Items that stood in each open stage at the end of evenly spaced days, the last of them the day of the load."""
    changes = reader.rows(
        "SELECT m.type, m.category_id, m.stage_id, m.day, SUM(m.items) AS items FROM ("
        "SELECT entity_type_id AS type, category_id, stage_id, entered_date AS day, 1 AS items FROM mart_stage_moves "
        f"WHERE semantics = 'process' AND {only} UNION ALL "
        "SELECT entity_type_id, category_id, stage_id, left_date, -1 FROM mart_stage_moves "
        f"WHERE semantics = 'process' AND {only}) AS m WHERE m.day IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    )
    if not changes:
        return []
    last = date.fromisoformat(today)
    first = max(min(row["day"] for row in changes), since or date.min)
    step = max(1, math.ceil(((last - first).days + 1) / POINTS))
    days = [last - timedelta(days=step * place) for place in range(((last - first).days // step) + 1)][::-1]
    deltas: dict[tuple[Any, Any, Any], list[int]] = defaultdict(lambda: [0] * len(days))
    for row in changes:
        place = max(0, len(days) - 1 - (last - row["day"]).days // step)
        if row["day"] <= last:
            deltas[row["type"], row["category_id"], row["stage_id"]][place] += int(row["items"])
    shown: list[Row] = [{"days": [day.isoformat() for day in days]}]
    for (type_, category, stage), steps in deltas.items():
        total, values = 0, []
        for change in steps:
            total += change
            values.append(total)
        shown.append({"type": type_, "category_id": category, "stage_id": stage, "items": values})
    return shown


def _top(reader: MartReader, name: str, key: str, rank: str) -> list[Row]:
    """The first of each type by rank, what has no key apart."""
    return _plain(
        reader.rows(
            "SELECT * FROM (SELECT g.*, ROW_NUMBER() OVER (PARTITION BY g.type ORDER BY g.worth DESC, g.key) AS place FROM ("
            f"SELECT entity_type_id AS type, {key} AS key, MIN({name}) AS name, {rank} AS worth, {_OUTCOMES} "
            f"FROM report_items WHERE {key} IS NOT NULL GROUP BY entity_type_id, {key}) AS g) AS r WHERE r.place <= {TOP} "
            "ORDER BY r.type, r.place"
        )
    )


def _people(reader: MartReader) -> list[Row]:
    return _plain(
        reader.rows(
            f"SELECT responsible_id AS key, MIN(responsible) AS name, MIN(department) AS department, {_OUTCOMES}, "
            "SUM(CASE WHEN is_overdue THEN 1 ELSE 0 END) AS overdue, "
            "AVG(CASE WHEN semantics = 'success' THEN cycle_days END) AS cycle_days "
            "FROM report_items WHERE responsible_id IS NOT NULL GROUP BY responsible_id ORDER BY COUNT(*) DESC, responsible_id"
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


def _overdue(reader: MartReader, only: str, *, people: bool) -> list[Row]:
    rows = reader.rows(
        "SELECT * FROM (SELECT entity_type_id AS type, id, title, responsible, stage, CAST(due_date AS TEXT) AS due, "
        "ROW_NUMBER() OVER (PARTITION BY entity_type_id ORDER BY due_date, id) AS place FROM mart_items "
        f"WHERE is_overdue AND {only}) AS o "
        f"WHERE o.place <= {OVERDUE} ORDER BY o.type, o.place"
    )
    return _plain({name: value for name, value in row.items() if people or name != "responsible"} for row in rows)


_FILLED = ("title", "stage", "responsible", "company", "contact", "source", "due_date", "amount_base")


def _filled(reader: MartReader) -> list[Row]:
    counts = ", ".join(f"COUNT({name}) AS {name}" for name in _FILLED)
    return _plain(
        reader.rows(
            f"SELECT entity_type_id AS type, COUNT(*) AS items, {counts} FROM report_items GROUP BY 1 ORDER BY 2 DESC"
        )
    )


def _health(reader: MartReader) -> list[Row]:
    return _plain(
        reader.rows(
            'SELECT resource, MAX("rows") AS rows, SUM(issues) AS issues, SUM(rejected_values) AS rejected, '
            "MAX(CASE WHEN is_last_run THEN issues ELSE 0 END) AS last_issues "
            "FROM mart_load_health GROUP BY resource ORDER BY SUM(issues) DESC, SUM(rejected_values) DESC, resource"
        )
    )


_ISSUES = ("resource", "error", "message", "hint")


def _issues(reader: MartReader) -> list[Row]:
    """What loads reported last, the newest first, in texts of a bounded length."""
    known = {
        row["name"]
        for row in reader.rows(
            "SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'load_issues' "
            "AND table_schema = current_schema()"
        )
    }
    if not {*_ISSUES, "occurred_at", "load_id"} <= known:  # there has never been any
        return []
    rows = reader.rows(
        f"SELECT {', '.join(_ISSUES)}, occurred_at, "
        "load_id = (SELECT MAX(load_id) FROM mart_load_health WHERE is_last_run) AS is_latest "
        f"FROM load_issues ORDER BY occurred_at DESC, resource, message LIMIT {ISSUES}"
    )
    for row in rows:
        row.update({name: _cut(row[name]) for name in _ISSUES})
        row["occurred_at"] = row["occurred_at"] and f"{row['occurred_at'].astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
    return rows


def _cut(text: str | None) -> str:
    """The beginning of a text that an error may have brought along."""
    return text if text and len(text) <= LONGEST else f"{text[: LONGEST - 1]}…" if text else ""


def _plain(rows: Iterable[Row]) -> list[Row]:
    """Rows as JSON has them: whole numbers where a database counts in decimals, amounts to the cent."""
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

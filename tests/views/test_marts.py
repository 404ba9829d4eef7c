"""The marts say what the portal's own state gives, counted here by hand, on both databases, to the day and the cent."""

# ruff: noqa: S608 - numbers of our own

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta, timezone
from itertools import accumulate, pairwise
from statistics import mean

import pytest
from loaded_portal import NOW

from bitrix24_source import create_views

pytestmark = pytest.mark.all_databases

WORDS = {"P": "process", "S": "success", "F": "failure"}
TYPES = (1, 2, 7, 31)
ZONE = timezone(timedelta(hours=3))
"""the demo portal's: server.time says +03:00"""


def day(moment):
    """The portal's day of an instant."""
    return moment.astimezone(ZONE).date()


def instant(text):
    return datetime.fromisoformat(text).astimezone(timezone.utc)


@pytest.fixture(scope="module")
def loaded(whole_portal, engine):
    """To look at only."""
    return whole_portal(engine)


@pytest.fixture(scope="module")
def items(loaded):
    """All living items of the portal, by type and id."""
    return {(type_, item["id"]): item for type_ in (*TYPES, *loaded.world.types) for item in loaded.items(type_)}


def semantics(loaded, type_, item):
    """What the item's stage means; None for an item without stages."""
    return WORDS.get(loaded.semantics(type_).get(item.get("stageId")))


def closed(type_, item):
    """When an item in a final stage got there; quotes do not tell it."""
    if type_ == 7:
        return None
    return instant(item.get("movedTime") or item["createdTime"])


def worth(loaded, item):
    """The item's amount in the base currency."""
    amount = item.get("opportunity")
    return None if amount is None else amount * loaded.rate(item["currencyId"])


def test_portal_is_one_row_with_what_the_portal_tells(loaded):
    """Host, offset of the clock where no name of the zone agrees, base currency, languages, the portal's time."""
    (row,) = loaded.ask("SELECT * FROM portal")

    assert loaded.portal.base_url.removeprefix("https://").startswith(row["host"])
    assert ("+03:00", 180, "RUB") == (row["zone"], row["utc_offset_minutes"], row["base_currency"])
    assert abs(row["loaded_at"] - NOW) < timedelta(minutes=10)


def test_every_living_item_is_there_once(loaded, items):
    """All types with stages, leads, deals, quotes and invoices are in one view, each item once, with its title."""
    rows = loaded.ask("SELECT entity_type_id, id, title FROM mart_items")

    assert len(rows) == len(items)
    assert {key: item["title"] for key, item in items.items()} == {
        (row["entity_type_id"], row["id"]): row["title"] for row in rows
    }


def test_days_are_the_portals(loaded, items):
    """created_date is the day in the portal's zone, which is not the UTC day of each item."""
    rows = loaded.ask("SELECT entity_type_id, id, created_at, created_date FROM mart_items")

    assert {key: day(instant(item["createdTime"])) for key, item in items.items()} == {
        (row["entity_type_id"], row["id"]): row["created_date"] for row in rows
    }


def test_the_portals_day_begins_with_its_midnight(loaded):
    """Half past nine in the evening, UTC, is the next day at +03:00, and the day of its month."""
    loaded.database.query("UPDATE {}.deals SET created_time = '2025-05-31 21:30:00+00' WHERE id = 1")
    (row,) = loaded.ask("SELECT created_date FROM mart_items WHERE entity_type_id = 2 AND id = 1")
    (month,) = loaded.ask(
        "SELECT SUM(created) AS created FROM mart_owner_month WHERE entity_type_id = 2 AND month = '2025-06-01'"
    )
    item = next(deal for deal in loaded.items(2) if deal["id"] == 1)
    loaded.database.query("UPDATE {}.deals SET created_time = ? WHERE id = 1", item["createdTime"])

    assert date(2025, 6, 1) == row["created_date"]
    expected = sum(
        day(instant(deal["createdTime"])).strftime("%Y-%m") == "2025-06" for deal in loaded.items(2) if deal["id"] != 1
    )
    assert expected + 1 == month["created"]


def test_stages_people_and_amounts_of_items(loaded, items):
    """Stage with order, colour and meaning, person, amount and its worth in the base currency, all as the portal has them."""
    stages = {row["STATUS_ID"]: row for row in loaded.world.statuses if row["SEMANTICS"] or "STAGE" in row["ENTITY_ID"]}
    rows = {(row["entity_type_id"], row["id"]): row for row in loaded.ask("SELECT * FROM mart_items")}
    for (type_, id_), item in items.items():
        row = rows[type_, id_]
        assert semantics(loaded, type_, item) == row["semantics"]
        if type_ in loaded.world.types:
            stage = stages[item["stageId"]]
            assert (stage["NAME"], stage["COLOR"], int(stage["SORT"])) == tuple(
                row[name] for name in ("stage", "stage_color", "stage_order")
            )
        assert loaded.person(item["assignedById"]) == row["responsible"]
        amount = worth(loaded, item)
        if loaded.world.types.get(type_, {}).get("isLinkWithProductsEnabled", "Y") == "N":
            assert row["amount_base"] is None  # what is switched off leaves zeros in the rows
        elif row["amount_base"] is None:
            assert amount is None
        else:
            assert amount == pytest.approx(row["amount_base"], abs=0.005)
    assert all(row["stage_order"] is not None for row in rows.values() if row["stage"])


def test_stages_of_a_type_can_be_put_in_order(loaded):
    """stage_order sorts the stages of each category as the portal shows them."""
    (lane, *_) = loaded.world.lanes(177)
    rows = loaded.ask(
        f"SELECT DISTINCT stage, stage_order FROM mart_items WHERE entity_type_id = 177 AND category_id = {lane.category_id}"
    )
    found = [row["stage"] for row in sorted(rows, key=lambda row: row["stage_order"])]

    names = {row["STATUS_ID"]: row["NAME"] for row in loaded.world.statuses}
    assert [name for stage in lane.stages if (name := names[stage.code]) in found] == found


def test_closing_and_lateness(loaded, items):
    """closed_date is the portal's day on which a final stage was reached; overdue is what is open past its due date."""
    rows = {(row["entity_type_id"], row["id"]): row for row in loaded.ask("SELECT * FROM mart_items")}
    late = 0
    for (type_, id_), item in items.items():
        row, meaning = rows[type_, id_], semantics(loaded, type_, item)
        is_final = meaning in {"success", "failure"}
        at = closed(type_, item) if is_final else None
        assert (at and day(at)) == row["closed_date"]
        if row["due_date"] is not None and meaning:
            assert (meaning == "process" and row["due_date"] < day(NOW)) == bool(row["is_overdue"])
            late += bool(row["is_overdue"])
        age = (NOW - instant(item["createdTime"])).total_seconds() / 86400
        assert age == pytest.approx(row["age_days"], abs=0.01)
    assert late


def test_stage_moves(loaded):
    """Each stay in a stage with its end, its length in days and the stage that came next."""
    by_item = defaultdict(list)
    for type_, owner, _, stage, _, at in loaded.moves():
        by_item[type_, owner].append((stage, at))
    expected = Counter()
    for key, moves in by_item.items():
        for place, ((stage, at), (following, left)) in enumerate(pairwise([*moves, (None, None)])):
            expected[(*key, stage, at, left, following, place == 0, left is None)] += 1

    rows = loaded.ask("SELECT * FROM mart_stage_moves")
    found = Counter(
        (
            row["entity_type_id"], row["item_id"], row["stage_id"], row["entered_at"].astimezone(timezone.utc),
            row["left_at"] and row["left_at"].astimezone(timezone.utc), row["next_stage_id"], row["is_first"],
            row["is_current"],
        )
        for row in rows
    )  # fmt: skip
    assert expected == found
    for row in rows:
        assert day(row["entered_at"]) == row["entered_date"]
        if row["left_at"]:
            days = (row["left_at"] - row["entered_at"]).total_seconds() / 86400
            assert days == pytest.approx(row["days"], abs=1e-5)


def test_stage_daily(loaded, items):
    """Items in a stage at the end of each of the portal's days, from the first on; on the last day as they stand now."""
    by_item = defaultdict(list)
    for type_, owner, category, stage, _, at in loaded.moves():
        by_item[type_, owner].append((category if type_ != 1 else None, stage, day(at)))
    last = day(NOW)
    changes, firsts = defaultdict(Counter), {}
    for (type_, owner), moves in by_item.items():
        amount = round(worth(loaded, items[type_, owner]) or 0, 6)
        ends = [at for _, _, at in moves[1:]] + [last + timedelta(days=1)]
        for (category, stage, entered), end in zip(moves, ends, strict=True):
            key = type_, category, stage
            firsts[key] = min(firsts.get(key, entered), entered)
            if entered < end:
                changes[key, "items"].update({entered: 1, end: -1})
                changes[key, "amount_base"].update({entered: amount, end: -amount})

    rows = loaded.database.query(
        "SELECT entity_type_id, category_id, stage_id, day, items, amount_base FROM {}.mart_stage_daily ORDER BY day"
    )
    by_stage = defaultdict(list)
    for *key, date_, count, amount in rows:
        by_stage[tuple(key)].append((date_, count, amount))
    assert set(firsts) == set(by_stage)
    for key, first in firsts.items():
        days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
        counts = accumulate(changes[key, "items"][at] for at in days)
        amounts = accumulate(changes[key, "amount_base"][at] for at in days)
        assert list(zip(days, counts, strict=True)) == [(date_, count) for date_, count, _ in by_stage[key]]
        assert all(abs(amount - found) < 0.01 for amount, (*_, found) in zip(amounts, by_stage[key], strict=True))


def test_owner_month(loaded, items):
    """Created, won, lost, amounts, cycle and what is still open, by person, month and type; each column can be summed up."""
    made, won, lost, still = Counter(), Counter(), Counter(), Counter()
    amounts, cycles = Counter(), defaultdict(list)
    for (type_, _), item in items.items():
        start = instant(item["createdTime"])
        month = day(start).replace(day=1)
        person = item["assignedById"]
        made[person, month, type_] += 1
        meaning = semantics(loaded, type_, item)
        if meaning == "process":
            still[person, month, type_] += 1
        elif meaning:
            at = closed(type_, item)
            key = person, at and day(at).replace(day=1), type_
            (won if meaning == "success" else lost)[key] += 1
            if meaning == "success":
                amounts[key] += worth(loaded, item) or 0
                cycles[key] += [(at - start).total_seconds() / 86400] if at else []

    rows = {
        (row["responsible_id"], row["month"], row["entity_type_id"]): row
        for row in loaded.ask("SELECT * FROM mart_owner_month")
    }
    assert {*made, *won, *lost} == set(rows)
    for key, row in rows.items():
        assert (made[key], won[key], lost[key], still[key]) == (
            row["created"],
            row["won"],
            row["lost"],
            row["open_now"],
        )
        assert amounts[key] == pytest.approx(row["amount_won"] or 0, abs=0.01)
        if cycles[key]:
            assert mean(cycles[key]) == pytest.approx(row["avg_cycle_days"], abs=1e-4)
        if won[key] + lost[key]:
            assert won[key] / (won[key] + lost[key]) == pytest.approx(row["win_rate"])


def test_products(loaded, items):
    """Rows, quantity and items of each product by month and type of the items that hold them."""
    (row,) = loaded.ask(
        "SELECT COUNT(*) AS n, SUM(p.quantity) AS quantity, COUNT(DISTINCT p.owner_id * 10000 + p.entity_type_id) AS items, "
        "SUM(p.price_account * p.quantity) AS amount FROM product_rows AS p WHERE COALESCE(p.is_removed, FALSE) = FALSE"
    )
    (mart,) = loaded.ask(
        'SELECT SUM("rows") AS n, SUM(quantity) AS quantity, SUM(amount) AS amount, SUM(items) AS items FROM mart_products'
    )
    months = loaded.ask("SELECT DISTINCT month, entity_type_id FROM mart_products")

    assert (row["n"], row["quantity"]) == (mart["n"], pytest.approx(mart["quantity"]))
    assert mart["items"] >= row["items"]
    assert {(found["month"], found["entity_type_id"]) for found in months} <= {
        (day(instant(item["createdTime"])).replace(day=1), type_) for (type_, _), item in items.items()
    }


def test_activities(loaded):
    """Every activity with its kind in words, its person, and by how many days it is late."""
    rows = {row["id"]: row for row in loaded.ask("SELECT * FROM mart_activities")}

    assert {int(row["ID"]) for row in loaded.world.activities} == set(rows)
    for activity in loaded.world.activities:
        row = rows[int(activity["ID"])]
        assert row["type"]
        assert (activity["COMPLETED"] == "Y") == row["done"]
        assert loaded.person(int(activity["RESPONSIBLE_ID"])) == row["responsible"]
        if not row["done"] and row["deadline"] and row["deadline"] < NOW:
            assert (day(NOW) - day(row["deadline"])).days == row["days_late"]
    assert any(row["item"] for row in rows.values())


def test_load_health(loaded):
    """Each table with the rows that it has after the last run; nothing was in the way of this one."""
    rows = {row["resource"]: row for row in loaded.ask("SELECT * FROM mart_load_health")}

    assert len(loaded.items(2)) == rows["deals"]["rows"]
    assert {(0, 0, True)} == {(row["issues"], row["rejected_values"], row["is_last_run"]) for row in rows.values()}
    assert all(row["age_hours"] >= 0 for row in rows.values())


def test_a_mart_date_is_a_date(loaded):
    """Days and months are dates, not times, in both databases."""
    (row,) = loaded.ask("SELECT MIN(month) AS month FROM mart_owner_month")

    assert type(row["month"]) is date


def test_everything_says_what_it_is(loaded):
    """Tables, marts and their columns carry comments; none of them is book-keeping."""
    comments = dict(_comments(loaded))

    assert comments["mart_items", ""].startswith("one row for each item of smart processes")
    assert "+03:00" in comments["mart_items", "created_date"]
    assert "RUB" in comments["mart_items", "amount_base"]
    assert "OPPORTUNITY" in comments["deals", "opportunity"]
    assert ("deals_labeled", "") in comments
    assert not any(text.startswith("bitrix24 ") for text in comments.values())


def test_somebody_elses_comment_stays(loaded, engine):
    """What an analyst wrote on a mart outlives the next load's views; ours come back where they are missing."""
    schema = loaded.database.dataset
    if engine == "duckdb":  # as that of another release: made anew, a view loses its comments there
        loaded.database.query(f"CREATE OR REPLACE VIEW {schema}.mart_items AS SELECT 'a deal' AS title")
    loaded.database.query(f"COMMENT ON VIEW {schema}.mart_items IS 'ours to keep'")
    loaded.database.query(f"COMMENT ON COLUMN {schema}.mart_items.title IS NULL")
    pipeline = loaded.pipeline()
    assert [] == create_views(pipeline)

    comments = dict(_comments(loaded))
    assert "ours to keep" == comments["mart_items", ""]
    assert comments["mart_items", "title"].startswith("title of the item")


def _comments(loaded):
    schema = loaded.database.dataset
    if loaded.database.engine == "duckdb":
        rows = loaded.database.query(
            "SELECT view_name, '', comment FROM duckdb_views() UNION ALL SELECT table_name, '', comment FROM duckdb_tables() "
            "UNION ALL SELECT table_name, column_name, comment FROM duckdb_columns()"
        )
    else:
        rows = loaded.database.query(
            "SELECT c.relname, COALESCE(a.attname, ''), d.description FROM pg_description AS d JOIN pg_class AS c "
            "ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass LEFT JOIN pg_attribute AS a "
            f"ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0 WHERE c.relnamespace = '{schema}'::regnamespace"
        )
    return {(relation, name): text for relation, name, text in rows if text}.items()

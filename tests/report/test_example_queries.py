"""The questions in pipelines/reports, asked of both databases, have the answers that the portal's own state gives."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from statistics import mean, median

import pytest
from loaded_portal import REPORTS, loaded_portal

NAMES = sorted(path.stem for path in REPORTS.glob("*.sql"))

pytestmark = pytest.mark.all_databases


@pytest.fixture(scope="module")
def loaded(engine, tmp_path_factory):
    """One run for all reports of a database, to look at only."""
    with loaded_portal(engine, tmp_path_factory.mktemp("reports")) as portal:
        yield portal


@pytest.mark.parametrize("name", NAMES)
def test_every_report_says_what_it_shows_and_answers(loaded, name):
    """Each report begins with a question, names the tables that it reads, and has rows."""
    text = (REPORTS / f"{name}.sql").read_text(encoding="utf-8")
    said = re.match(r"(?:-- .*\n)+", text)[0]
    read = set(re.findall(r"(?:FROM|JOIN) ([a-z][a-z0-9_]+)", text)) - set(
        re.findall(r"(?:WITH|,)\s+([a-z_]+) AS \(", text)
    )

    assert "?" in said
    assert read == set(re.search(r"Reads: (.*)\.", said)[1].split(", ")) | ({"every_stage"} & read)
    assert loaded.report(name)


def test_funnel_conversion(loaded):
    """Items by the month of their first move, and how many of them were won and lost by now."""
    first, last = {}, {}
    for type_, owner, category, _, meaning, at in loaded.moves():
        first.setdefault((type_, owner), at)
        last[type_, owner] = category, meaning
    expected = defaultdict(Counter)
    for key, (category, meaning) in last.items():
        group = (key[0], category if key[0] != 1 else None, date(first[key].year, first[key].month, 1))
        expected[group] += Counter(items=1, won=meaning == "S", lost=meaning == "F")
    categories = {(type_, row["name"]): row["id"] for type_, rows in loaded.world.categories.items() for row in rows}

    rows = loaded.report("funnel_conversion")
    found = {
        (row["entity_type_id"], categories.get((row["entity_type_id"], row["category"])), row["month"]): row
        for row in rows
    }
    assert {key: tuple(count[name] for name in ("items", "won", "lost")) for key, count in expected.items()} == {
        key: tuple(row[name] for name in ("items", "won", "lost")) for key, row in found.items()
    }
    assert all(float(row["won_percent"]) == pytest.approx(100 * row["won"] / row["items"], abs=0.051) for row in rows)


def test_time_in_stage(loaded):
    """Days between an item's move to a stage and its next one; who has not left is counted apart."""
    by_item = defaultdict(list)
    for type_, owner, _, stage, _, at in loaded.moves():
        by_item[type_, owner].append((stage, at))
    stays, there = defaultdict(list), Counter()
    for (type_, _), moves in by_item.items():
        for (stage, at), (_, left) in pairwise(moves):
            stays[type_, stage].append((left - at).total_seconds() / 86400)
        there[type_, moves[-1][0]] += 1

    rows = {(row["entity_type_id"], row["stage_id"]): row for row in loaded.report("time_in_stage")}
    assert {*stays, *there} == set(rows)
    for key, row in rows.items():
        days = stays.get(key, [])
        assert (len(days), there[key]) == (row["times_left"], row["still_there"])
        if days:
            assert (mean(days), median(days)) == tuple(
                pytest.approx(float(row[f"{of}_days"]), abs=0.0051) for of in ("average", "median")
            )


def test_overdue_and_untouched(loaded):
    """Open deals and items of 177 past their planned end, or not touched for thirty days; the demo's past is long ago."""
    long_ago, today = datetime.now(timezone.utc) - timedelta(days=30), datetime.now(timezone.utc).date()
    expected = {}
    for type_ in (2, 177):
        meanings = loaded.semantics(type_)
        for item in loaded.items(type_):
            if meanings[item["stageId"]] != "P":
                continue
            ends = date.fromisoformat(item["closedate"][:10]) if item["closedate"] else None
            touched = max(datetime.fromisoformat(item[name]) for name in ("updatedTime", "lastActivityTime"))
            if (ends and ends < today) or touched < long_ago:
                expected[type_, item["id"]] = (
                    item["title"],
                    loaded.person(item["assignedById"]),
                    ends,
                    touched < long_ago,
                )

    rows = loaded.report("overdue_and_untouched")
    assert expected == {
        (row["entity_type_id"], row["id"]): (row["title"], row["responsible"], row["closedate"], row["is_untouched"])
        for row in rows
    }


def test_workload(loaded):
    """Open deals, their worth in the account's currency, and activities to be done, by person and department."""
    meanings = loaded.semantics(2)
    deals, worth = Counter(), Counter()
    for deal in loaded.items(2):
        if meanings[deal["stageId"]] == "P":
            deals[deal["assignedById"]] += 1
            worth[deal["assignedById"]] += deal["opportunity"] * loaded.rate(deal["currencyId"])
    activities = Counter(int(row["RESPONSIBLE_ID"]) for row in loaded.world.activities if row["COMPLETED"] == "N")

    rows = {row["user_id"]: row for row in loaded.report("workload")}
    assert set(deals) | set(activities) == set(rows)
    assert deals == {user: row["open_deals"] for user, row in rows.items() if row["open_deals"]}
    assert activities == {user: row["open_activities"] for user, row in rows.items() if row["open_activities"]}
    departments = {row["ID"]: row["NAME"] for row in loaded.world.departments}
    for user, row in rows.items():
        person = next(one for one in loaded.world.users if one["ID"] == str(user))
        assert (departments[str(person["UF_DEPARTMENT"][0])], loaded.person(user)) == (
            row["department"],
            row["responsible"],
        )
        assert worth[user] == pytest.approx(float(row["amount_in_base_currency"]), abs=0.01)


def test_field_fill_rate(loaded):
    """How many items have something in a field, single or multiple; of the fields that nobody uses none is left out."""
    rows = {(row["items"], row["field"]): row for row in loaded.report("field_fill_rate")}
    items = loaded.items(177)

    def filled(name):
        return sum(item[name] not in (None, "", [], 0) for item in items)

    assert {len(items)} == {row["of_all"] for (table, _), row in rows.items() if table != "deals"}
    for title, name in (
        ("Supplier article", "ufCrm13_1739432938"),
        ("Observers", "observers"),
        ("Priority", "ufCrm13_1739433001"),
    ):
        assert filled(name) == rows["spa_items_177", title]["filled"], title
    assert 0 == rows["deals", "Order stage"]["filled"]
    assert 100 == rows["deals", "Name"]["filled_percent"]


def test_revenue_by_company(loaded):
    """Won deals and successful items of 177, by company, in the account's currency."""
    won = defaultdict(lambda: [0, 0, 0.0])
    for place, type_ in enumerate((2, 177)):
        meanings = loaded.semantics(type_)
        for item in loaded.items(type_):
            if meanings[item["stageId"]] == "S":
                line = won[item["companyId"] or None]
                line[place] += 1
                line[2] += (item["opportunity"] or 0) * loaded.rate(item["currencyId"])

    rows = {row["company_id"]: row for row in loaded.report("revenue_by_company")}
    titles = {item["id"]: item["title"] for item in loaded.items(4)}
    assert set(won) == set(rows)
    for company, (deals, items, revenue) in won.items():
        row = rows[company]
        assert (deals, items, titles.get(company), 0) == tuple(
            row[name] for name in ("deals", "items", "company", "without_rate")
        )
        assert revenue == pytest.approx(float(row["revenue"] or 0), abs=0.01)


def test_automation(loaded):
    """Every smart process with its switches, and each workflow template with what starts it."""
    rows = loaded.report("automation")

    assert set(loaded.world.types) == {row["entity_type_id"] for row in rows}
    assert {row["NAME"]: row["AUTO_EXECUTE"] for row in loaded.world.templates} == {
        row["template"]: str(int(row["on_create"]) + 2 * int(row["on_update"])) for row in rows if row["template"]
    }
    switches = {number: row["isBizProcEnabled"] == "Y" for number, row in loaded.world.types.items()}
    assert switches == {row["entity_type_id"]: row["workflows"] for row in rows}

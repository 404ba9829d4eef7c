"""The queries that `bitrix24 report --sql` prints, asked of both databases, have the answers that the portal's own state gives."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from statistics import mean, median

import pytest
from loaded_portal import NOW

from bitrix24_source.errors import ConfigError
from bitrix24_source.report import questions, sql_of
from bitrix24_source.views.marts import MARTS

NAMES = sorted(questions())
CATALOG = {"portal", "spa_types", "spa_automations", "users"}
"""tables that queries read beside the marts"""
ZONE = timezone(timedelta(hours=3))
WORDS = {"P": "process", "S": "success", "F": "failure", None: None}

pytestmark = pytest.mark.all_databases


@dataclass(frozen=True)
class Item:
    """A living item of the portal, as the portal's own state has it."""

    type: int
    id: int
    title: str
    category: int | None
    stage: str | None
    semantics: str | None
    person: int
    company: int | None
    source: str | None
    created: datetime
    closed: datetime | None
    updated: datetime
    due: date | None
    amount: float | None
    worth: float | None

    @property
    def month(self) -> date:
        return first_of_month(self.created)

    @property
    def cycle(self) -> float:
        return (self.closed - self.created).total_seconds() / 86400


def first_of_month(moment: datetime) -> date:
    """Of the portal's day."""
    return moment.astimezone(ZONE).date().replace(day=1)


@pytest.fixture(scope="module")
def loaded(whole_portal, engine):
    """To look at only."""
    return whole_portal(engine)


@pytest.fixture(scope="module")
def items(loaded):
    """All living items of types that the marts know."""
    return [item_of(loaded, type_, row) for type_ in (1, 2, 7, 31, *loaded.world.types) for row in loaded.items(type_)]


def item_of(loaded, type_, row):
    """An item by its row; what is switched off for its type is not there."""
    semantics = WORDS[loaded.semantics(type_).get(row.get("stageId"))]
    settings = loaded.world.types.get(type_, {})
    has_amounts = settings.get("isLinkWithProductsEnabled", "Y") == "Y"
    has_dates = settings.get("isBeginCloseDatesEnabled", "Y") == "Y"
    amount = row.get("opportunity") if has_amounts else None
    created = datetime.fromisoformat(row["createdTime"])
    ended = row.get("movedTime") or row["createdTime"]
    return Item(
        type=type_, id=row["id"], title=row["title"], category=row.get("categoryId"), stage=row.get("stageId"),
        semantics=semantics, person=row["assignedById"], company=row.get("companyId") or None, source=row.get("sourceId") or None,
        created=created, updated=datetime.fromisoformat(row["updatedTime"]),
        closed=datetime.fromisoformat(ended) if semantics in {"success", "failure"} and type_ != 7 else None,
        due=date.fromisoformat(row["closedate"][:10]) if has_dates and row.get("closedate") else None,
        amount=amount, worth=None if amount is None else amount * loaded.rate(row["currencyId"]),
    )  # fmt: skip


def counted(items, semantics):
    return sum(item.semantics == semantics for item in items)


def grouped(items, *names):
    """Items by what they have in common."""
    groups = defaultdict(list)
    for item in items:
        groups[tuple(getattr(item, name) for name in names)].append(item)
    return groups


def worth(items):
    return sum(item.worth or 0 for item in items)


def is_late(item):
    return item.semantics == "process" and item.due is not None and item.due < NOW.astimezone(ZONE).date()


def equal(expected, found, digits=0.011):
    """Whether a rounded figure of a database is that."""
    return float(found or 0) == pytest.approx(expected or 0, abs=digits)


@pytest.mark.parametrize("name", NAMES)
def test_every_query_begins_with_its_question_and_answers(loaded, name):
    """Each query says what it shows, reads marts, names what else it reads, fixes no type's number, and has rows."""
    text = sql_of(name)
    head = re.match(r"(?:-- .*\n)+", text)[0]
    code = re.sub(r"--.*", "", text)
    read = set(re.findall(r"(?:FROM|JOIN) ([a-z][a-z0-9_]+)", re.sub(r"EXTRACT\(\w+ FROM", "", code)))
    own = set(re.findall(r"(?:WITH|,)\s+([a-z_]+) AS \(", code))

    assert questions()[name].endswith("?")
    assert "?" in head
    assert read - own <= {*MARTS, *CATALOG}
    assert not re.search(r"\b\d{3,}\b(?!\.)", code.replace("100", ""))
    assert loaded.report(name)


def test_an_unknown_query_is_one_sentence():
    """It names those that there are."""
    with pytest.raises(ConfigError, match=r"there is no query nothing.*abc_companies, abc_products"):
        sql_of("nothing")


def test_funnel_conversion(loaded, items):
    """Items by type, category and month of creation, and what they have come to."""
    categories = {(type_, row["name"]): row["id"] for type_, rows in loaded.world.categories.items() for row in rows}
    found = Counter()
    for row in loaded.report("funnel_conversion"):
        key = row["entity_type_id"], categories.get((row["entity_type_id"], row["category"])), row["month"]
        found[key] += 1
        group = [
            item for item in items if (item.type, item.month) == (key[0], key[2]) and item.category in {key[1], None, 0}
        ]
        if key[1] is not None:
            group = [item for item in group if item.category == key[1]]
        assert (len(group), *(counted(group, word) for word in ("success", "failure", "process"))) == tuple(
            row[name] for name in ("items", "won", "lost", "open")
        )
    assert {1} == set(found.values())
    assert sum(row["items"] for row in loaded.report("funnel_conversion")) == len(items)


def test_won_and_lost(loaded, items):
    """Won, lost, amounts and cycle by month of closing."""
    groups = defaultdict(list)
    for item in items:
        if item.closed:
            groups[item.type, first_of_month(item.closed)].append(item)
    rows = {(row["entity_type_id"], row["month"]): row for row in loaded.report("won_and_lost")}

    assert set(groups) == set(rows)
    for key, group in groups.items():
        row, won = rows[key], [item for item in group if item.semantics == "success"]
        priced = [item for item in won if item.worth is not None]
        assert (len(won), len(group) - len(won)) == (row["won"], row["lost"])
        assert equal(100 * len(won) / len(group), row["win_percent"], 0.051)
        assert equal(worth(won), row["amount_won"])
        assert equal(mean(item.worth for item in priced) if priced else 0, row["average_won"])
        assert equal(mean(item.cycle for item in won) if won else 0, row["cycle_days"])


def stays(loaded):
    """Of each item its stages in turn, with the times of entry; the last one is followed by nothing."""
    by_item = defaultdict(list)
    for type_, owner, category, stage, _, at in loaded.moves():
        by_item[type_, owner].append((category if type_ != 1 else None, stage, at))
    for (type_, _), moves in by_item.items():
        for (category, stage, at), (_, following, left) in pairwise([*moves, (None, None, None)]):
            yield type_, category, stage, following, at, left


def test_stage_conversion(loaded):
    """How often items went from a stage to the next, and the share of it."""
    expected = Counter((type_, stage, following) for type_, _, stage, following, _, _ in stays(loaded))
    rows = loaded.report("stage_conversion")
    found = Counter()
    for row in rows:
        found[row["entity_type_id"], row["stage_id"], row["next_stage_id"]] += row["moves"]
    names = {(row["STATUS_ID"], row["NAME"]) for row in loaded.world.statuses}

    assert expected == found
    totals = Counter()
    for row in rows:
        totals[row["entity_type_id"], row["category"], row["stage_id"]] += row["moves"]
        assert (row["stage_id"], row["stage"]) in names
    for row in rows:
        share = 100 * row["moves"] / totals[row["entity_type_id"], row["category"], row["stage_id"]]
        assert equal(share, row["percent"], 0.051)


def test_time_in_stage(loaded):
    """Days between an item's move to a stage and its next one; who has not left is counted apart."""
    days, there = defaultdict(list), Counter()
    for type_, category, stage, _, at, left in stays(loaded):
        if left:
            days[type_, category, stage].append((left - at).total_seconds() / 86400)
        else:
            there[type_, category, stage] += 1
    categories = {(type_, row["name"]): row["id"] for type_, rows in loaded.world.categories.items() for row in rows}
    rows = {
        (row["entity_type_id"], categories.get((row["entity_type_id"], row["category"])), row["stage_id"]): row
        for row in loaded.report("time_in_stage")
    }

    assert {*days, *there} == set(rows)
    for key, row in rows.items():
        assert (len(days[key]), there[key]) == (row["times_left"], row["still_there"])
        if days[key]:
            assert equal(mean(days[key]), row["average_days"])
            assert equal(median(days[key]), row["median_days"])


def test_overdue_and_untouched(loaded, items):
    """Open items past their end, and those that nobody changed in thirty days before the load."""
    expected = {}
    for item in items:
        is_untouched = item.updated < NOW - timedelta(days=30)
        if item.semantics == "process" and (is_late(item) or is_untouched):
            expected[item.type, item.id] = item.title, loaded.person(item.person), item.due, is_late(item), is_untouched
    rows = loaded.report("overdue_and_untouched")

    assert expected == {
        (row["entity_type_id"], row["id"]): tuple(
            row[name] for name in ("title", "responsible", "due_date", "is_overdue", "is_untouched")
        )
        for row in rows
    }


def test_workload(loaded, items):
    """Open items of all types, their worth and lateness, and activities to be done, by person."""
    still_open = grouped((item for item in items if item.semantics == "process"), "person")
    activities = Counter(int(row["RESPONSIBLE_ID"]) for row in loaded.world.activities if row["COMPLETED"] == "N")
    rows = {row["responsible_id"]: row for row in loaded.report("workload")}

    assert {*(person for (person,) in still_open), *activities} == set(rows)
    for person, row in rows.items():
        group = still_open.get((person,), [])
        assert (len(group), sum(map(is_late, group)), activities[person], loaded.person(person)) == (
            row["open_items"], row["overdue_items"], row["open_activities"], row["responsible"],
        )  # fmt: skip
        assert equal(worth(group), row["open_amount"])


def test_sources(loaded, items):
    """Items, outcomes and amount of each source."""
    groups = grouped(items, "type", "source")
    rows = {(row["entity_type_id"], row["source_id"]): row for row in loaded.report("sources")}
    names = {row["STATUS_ID"]: row["NAME"] for row in loaded.world.statuses if row["ENTITY_ID"] == "SOURCE"}

    assert set(groups) == set(rows)
    for key, group in groups.items():
        row = rows[key]
        assert (len(group), *(counted(group, word) for word in ("success", "failure", "process"))) == tuple(
            row[name] for name in ("items", "won", "lost", "open")
        )
        assert names.get(key[1]) == row["source"]
        assert equal(worth(item for item in group if item.semantics == "success"), row["amount_won"])


def test_revenue_by_company(loaded, items):
    """Won items and their amount, by company and type."""
    groups = grouped((item for item in items if item.semantics == "success"), "company", "type")
    rows = {(row["company_id"], row["entity_type_id"]): row for row in loaded.report("revenue_by_company")}
    titles = {item["id"]: item["title"] for item in loaded.items(4)}

    assert set(groups) == set(rows)
    for key, group in groups.items():
        assert (len(group), titles.get(key[0]), 0) == tuple(
            rows[key][name] for name in ("won", "company", "without_rate")
        )
        assert equal(worth(group), rows[key]["revenue"])


def classes(amounts):
    """A, B or C for each of some amounts, the largest first."""
    total, before = sum(amounts), 0
    for amount in amounts:
        yield "A" if before < 0.8 * total else "B" if before < 0.95 * total else "C"
        before += amount


def test_abc_of_companies(loaded, items):
    """Companies by what they brought, the first 80 percent A, the next 15 B."""
    groups = grouped((item for item in items if item.semantics == "success" and item.company), "company")
    revenue = sorted(
        ((worth(group), company) for (company,), group in groups.items() if worth(group) > 0),
        key=lambda pair: (-pair[0], pair[1]),
    )
    rows = loaded.report("abc_companies")

    assert [company for _, company in revenue] == [row["company_id"] for row in rows]
    assert list(classes([amount for amount, _ in revenue])) == [row["class"] for row in rows]
    assert all(equal(amount, row["revenue"]) for (amount, _), row in zip(revenue, rows, strict=True))
    assert equal(100, rows[-1]["percent_so_far"])


def test_abc_of_products(loaded):
    """Products by what was sold of them in won items."""
    rows = loaded.report("abc_products")
    sold = loaded.ask("SELECT product_id, product, SUM(amount_won) AS amount FROM mart_products GROUP BY 1, 2")
    amounts = sorted((float(row["amount"]) for row in sold if row["amount"]), reverse=True)

    assert all(equal(amount, row["revenue"]) for amount, row in zip(amounts, rows, strict=True))
    assert list(classes(amounts)) == [row["class"] for row in rows]
    assert equal(sum(float(row["percent"]) for row in rows), 100, 0.1)


def test_cohorts(loaded, items):
    """Companies by the month of their first purchase, and how many bought again so many months later."""
    months = defaultdict(Counter)
    for item in items:
        if item.semantics == "success" and item.company and item.closed:
            months[item.company][first_of_month(item.closed)] += item.worth or 0
    expected = defaultdict(lambda: [0, 0.0])
    firsts = Counter(min(bought) for bought in months.values())
    for bought in months.values():
        first = min(bought)
        for month, amount in bought.items():
            cell = expected[first, 12 * (month.year - first.year) + month.month - first.month]
            cell[0] += 1
            cell[1] += amount
    rows = {(row["cohort"], row["months_later"]): row for row in loaded.report("cohorts")}

    assert set(expected) == set(rows)
    for key, (companies, revenue) in expected.items():
        row = rows[key]
        assert (firsts[key[0]], companies) == (row["companies_first"], row["companies"])
        assert equal(100 * companies / firsts[key[0]], row["percent"], 0.051)
        assert equal(revenue, row["revenue"])


def test_key_figures(loaded, items):
    """One row for each type with what is open, won, lost, new and late."""
    rows = {row["entity_type_id"]: row for row in loaded.report("key_figures")}
    groups = grouped(items, "type")

    assert {type_ for (type_,) in groups} == set(rows)
    for (type_,), group in groups.items():
        row, won = rows[type_], [item for item in group if item.semantics == "success"]
        cycles = [item.cycle for item in won if item.closed]
        new = sum(NOW - item.created < timedelta(days=30) for item in group)
        assert (
            len(group),
            counted(group, "process"),
            len(won),
            counted(group, "failure"),
            sum(map(is_late, group)),
            new,
        ) == tuple(row[name] for name in ("items", "open", "won", "lost", "overdue", "created_in_30_days"))
        assert equal(worth(won), row["amount_won"])
        assert equal(worth(item for item in group if item.semantics == "process"), row["amount_open"])
        assert equal(mean(cycles) if cycles else 0, row["cycle_days"])


def test_smart_processes(loaded, items):
    """Every smart process, with or without items."""
    rows = {row["entity_type_id"]: row for row in loaded.report("smart_processes")}
    groups = grouped(items, "type")

    assert {number: row["title"] for number, row in loaded.world.types.items()} == {
        number: row["title"] for number, row in rows.items()
    }
    for number, row in rows.items():
        group = groups.get((number,), [])
        people = {item.person for item in group}
        assert (len(group), counted(group, "process"), counted(group, "success"), len(people)) == tuple(
            row[name] for name in ("items", "open", "won", "people")
        )
        assert max((item.updated for item in group), default=None) == row["last_change"]


def test_field_fill_rate(loaded, items):
    """In how many items of a type each field has something."""
    rows = {(row["entity_type_id"], row["field"]): row for row in loaded.report("field_fill_rate")}
    fields = {
        "title": "title",
        "responsible": "person",
        "company": "company",
        "source": "source",
        "due_date": "due",
        "amount": "amount",
    }

    for (type_,), group in grouped(items, "type").items():
        for field, name in fields.items():
            filled = sum(getattr(item, name) not in (None, "", 0) for item in group)
            assert (filled, len(group)) == (rows[type_, field]["filled"], rows[type_, field]["items"]), (type_, field)


def test_automation(loaded):
    """Every smart process with its switches, and each workflow template with what starts it."""
    rows = loaded.report("automation")

    assert set(loaded.world.types) == {row["entity_type_id"] for row in rows}
    assert {row["NAME"]: row["AUTO_EXECUTE"] for row in loaded.world.templates} == {
        row["template"]: str(int(row["on_create"]) + 2 * int(row["on_update"])) for row in rows if row["template"]
    }
    switches = {number: row["isBizProcEnabled"] == "Y" for number, row in loaded.world.types.items()}
    assert switches == {row["entity_type_id"]: row["workflows"] for row in rows}

"""The demo looks like a company: when things happen, who does them, where they get stuck, what they are called."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone
from statistics import mean
from typing import Any

import pytest

from bitrix24_source.sandbox import Clock, Portal

from .conftest import asked

TYPE = 177
TODAY = datetime(2026, 3, 18, 9, 0, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def company() -> Portal:
    return Portal(clock=Clock(TODAY))


@pytest.fixture(scope="module")
def purchases(company) -> list[dict[str, Any]]:
    return [company.items(TYPE)[number] for number in company.items(TYPE)]


def semantics(portal: Portal) -> dict[str, str]:
    return {row["STATUS_ID"]: row["SEMANTICS"] or "P" for row in asked(portal, "crm.status.list")["result"]}


def test_the_data_ends_yesterday(company, purchases):
    """The last item was made the day before the clock, none was touched today, the first two and a half years ago."""
    made = [datetime.fromisoformat(row["createdTime"]) for row in purchases]
    touched = [datetime.fromisoformat(row["updatedTime"]) for row in purchases]

    assert max(touched).date() == max(made).date() == (TODAY - timedelta(days=1)).date()
    assert (TODAY - min(made)).days == pytest.approx(905, abs=4)
    assert made == sorted(made)


def test_another_day_moves_dates_and_nothing_else(purchases):
    """A week later the same items are there; what was open may have gone on."""
    later = Portal(clock=Clock(TODAY + timedelta(days=7)))

    def facts(row):
        return row["title"], row["assignedById"], row["opportunity"], row["companyId"], row["ufCrm13Approved"]

    assert [facts(later.items(TYPE)[row["id"]]) for row in purchases[:50]] == [facts(row) for row in purchases[:50]]


def test_the_same_day_gives_the_same_portal(purchases):
    """Every value depends on the seed and on the clock alone."""
    again = Portal(clock=Clock(TODAY))

    assert [again.items(TYPE)[row["id"]] for row in purchases[::97]] == purchases[::97]


def test_business_has_seasons(purchases):
    """November is busier than January, Mondays than Saturdays, the last year than the first; nobody works at night."""
    made = [datetime.fromisoformat(row["createdTime"]) for row in purchases]
    months, weekdays = Counter(at.month for at in made), Counter(at.weekday() for at in made)
    years = Counter((TODAY - at).days // 365 for at in made)

    assert months[11] > 1.4 * months[1]
    assert weekdays[0] > 4 * weekdays[5] > 0
    assert years[0] > 1.1 * years[1]
    assert {at.hour for at in made} == set(range(9, 18))


def test_people_differ(company, purchases):
    """The best seller has more items than others and wins more of them than the weakest, and in less time."""
    kinds = semantics(company)
    won, all_of, days = Counter(), Counter(), defaultdict(list)
    for row in purchases:
        meaning = kinds[row["stageId"]]
        person = row["assignedById"]
        all_of[person] += 1
        if meaning != "P":
            won[person] += meaning == "S"
            moved, made = (datetime.fromisoformat(row[name]) for name in ("movedTime", "createdTime"))
            days[person].append((moved - made).total_seconds() / 86400)
    rates = {person: won[person] / all_of[person] for person in all_of}

    assert all_of.most_common(1)[0][0] == 4
    assert rates[4] > 1.4 * rates[6]
    assert 1.5 * mean(days[4]) < mean(days[6])
    assert len(all_of) == 9


def test_things_get_stuck_in_one_stage(company, purchases):
    """Of the open items that have waited for a month, most stand in the same stage; nearly all others go on."""
    kinds = semantics(company)
    waiting = Counter(
        row["stageId"].partition(":")[2]
        for row in purchases
        if kinds[row["stageId"]] == "P" and datetime.fromisoformat(row["movedTime"]) < TODAY - timedelta(days=30)
    )

    assert waiting.most_common(1)[0][0] == "CLIENT"
    assert waiting["CLIENT"] > 0.7 * waiting.total()
    assert 0.01 < waiting.total() / len(purchases) < 0.1


def test_stages_follow_each_other(company):
    """The history of an item begins with the first stage, goes on in order, and ends where the item stands."""
    order = {
        row["STATUS_ID"]: int(row["SORT"])
        for row in company.world.statuses
        if row["ENTITY_ID"] == "DYNAMIC_177_STAGE_7"
    }
    rows = asked(company, "crm.stagehistory.list", entityTypeId=TYPE, filter={"OWNER_ID": [5, 6, 7, 8]})["result"][
        "items"
    ]
    passed = defaultdict(list)
    for row in rows:
        if row["STAGE_ID"] in order:
            passed[row["OWNER_ID"]].append(row["STAGE_ID"])

    assert passed
    for number, stages in passed.items():
        assert [order[stage] for stage in stages] == sorted(order[stage] for stage in stages)
        assert stages[0] == "DT177_7:NEW"
        assert stages[-1] == company.items(TYPE)[number]["stageId"]


def test_amounts_follow_from_products(company):
    """An amount that nobody entered is what the product rows come to."""
    numbers = list(range(1, 16))
    rows = asked(company, "crm.item.productrow.list", filter={"=ownerType": "Tb1", "=ownerId": numbers})["result"][
        "productRows"
    ]
    sums: Counter[int] = Counter()
    for row in rows:
        sums[row["ownerId"]] += row["price"] * row["quantity"]
    items = company.items(TYPE)

    assert sums
    assert {number: round(amount, 2) for number, amount in sums.items()} == {
        number: items[number]["opportunity"] for number in numbers if items[number]["isManualOpportunity"] == "N"
    }


def test_some_companies_buy_more_than_others(purchases):
    """A fifth of the companies stands for more than half of the purchases, and some purchases have no company."""
    bought = Counter(row["companyId"] for row in purchases)
    none = bought.pop(0)
    best = sum(count for _, count in bought.most_common(48))

    assert best > 0.5 * bought.total()
    assert 0.05 < none / len(purchases) < 0.12


def test_names_are_those_of_a_company(company):
    """Companies have names of their own, deals say what they are about, and no field is called by its code."""
    companies = [company.items(4)[number]["title"] for number in company.items(4)]
    deals = [company.items(2)[number]["title"] for number in company.items(2)]
    titles = {
        name: field["title"]
        for number in (1, 2, 3, 4, 7, 31)
        for name, field in asked(company, "crm.item.fields", entityTypeId=number)["result"]["fields"].items()
        if not field["isDynamic"]
    }

    assert len(set(companies)) == len(companies)
    assert mean(any(name in deal for name in companies) for deal in deals) > 0.85
    assert titles["assignedById"] == "Responsible person"
    assert [title for title in titles.values() if title.endswith((" id", " ids"))] == []

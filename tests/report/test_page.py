"""The report: its figures are SQL's and the portal's, it asks nobody for anything, and no title harms it."""

from __future__ import annotations

import re
from copy import deepcopy
from datetime import date, timedelta
from pathlib import Path

import browser
import pytest
from browser import Place
from databases import kept_open

from bitrix24_source.errors import ConfigError
from bitrix24_source.report import render_page, write_report
from bitrix24_source.report.queries import MartReader, collect
from bitrix24_source.sandbox import Portal, SandboxServer

WORDS = {"P": "open", "S": "won", "F": "lost"}
needs_browser = pytest.mark.skipif(
    browser.CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"
)
PAGES = ("", "type-177", "type-2", "people", "sources", "health")
HOSTILE_PLACES = ("", "type-177", "people", "health")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{a|b}\u202e\u2028\x1b[31m&amp;" + "W" * 300


@pytest.fixture(scope="module")
def loaded(whole_portal, engine):
    """To look at only."""
    return whole_portal(engine)


@pytest.fixture
def pipeline(loaded):
    """The pipeline that loaded it."""
    return loaded.pipeline()


@pytest.fixture(scope="module")
def once(engine):
    """What is made once for all tests of a database that look at it."""
    return {}


@pytest.fixture
def data(once, pipeline):
    """Everything that the page shows."""
    if "data" not in once:
        with pipeline.sql_client() as client:
            once["data"] = collect(MartReader(client))
    return deepcopy(once["data"])


@pytest.fixture
def page(once, data, tmp_path_factory):
    """The report in English."""
    if "page" not in once:
        once["page"] = tmp_path_factory.mktemp("report") / "report.html"
        once["page"].write_text(render_page(data, "en"), encoding="utf-8")
    return once["page"]


@pytest.fixture
def shown(once, page, data, pipeline, tmp_path_factory):
    """Places of it in the browser: shown["type-177"]; and pages that are in some way extreme, all in one window."""
    if "shown" not in once:
        folder = tmp_path_factory.mktemp("shown")
        hostile, many = folder / "hostile.html", folder / "many.html"
        hostile.write_text(render_page(with_hostile_titles(deepcopy(data)), "en"), encoding="utf-8")
        many.write_text(render_page(with_three_hundred_types(deepcopy(data)), "en"), encoding="utf-8")
        assert many.stat().st_size < 20_000_000
        once["shown"] = browser.show_all(
            {
                **{fragment: Place(page, fragment) for fragment in PAGES},
                "narrow": Place(page, "type-177", width=500),
                "Russian": Place(write_report(pipeline, folder / "russian.html", language="ru"), "type-2"),
                **{f"hostile {place}": Place(hostile, place) for place in HOSTILE_PLACES},
                "many": Place(many, "type-1299"),
            }
        )
    return once["shown"]


def with_hostile_titles(data):
    """Markup in titles of types, stages, people, companies and items, and in the message of a load."""
    for rows in data.values():
        for row in rows if isinstance(rows, list) else ():
            row.update({name: HOSTILE for name in ("title", "name", "stage", "category", "responsible") if name in row})
    message = {"resource": "deals", "error": "ACCESS_DENIED", "message": HOSTILE, "hint": "ask"}
    return {**data, "issues": [{**message, "occurred_at": "2025-06-28 12:00 UTC", "is_latest": True}]}


def with_three_hundred_types(data):
    """Five years of them."""
    template = next(row for row in data["types"] if row["type"] == 177)
    months = [f"{2020 + place // 12}-{place % 12 + 1:02}" for place in range(60)]
    days = [(date(2025, 7, 1) - timedelta(days=7 * place)).isoformat() for place in range(104)][::-1]
    types = range(1000, 1300)
    data["types"] = [{**template, "type": number, "title": f"Process {number}"} for number in types]
    for name in ("stages", "moves", "owners", "companies", "overdue"):
        rows = [row for row in data[name] if row["type"] == 177]
        data[name] = [{**row, "type": number} for number in types for row in rows]
    month = next(row for row in data["months"] if row["type"] == 177)
    data["months"] = [{**month, "type": number, "month": name} for number in types for name in months]
    daily = [row for row in data["daily"][1:] if row["type"] == 177]
    data["daily"] = [
        {"days": days},
        *({**row, "type": number, "items": [7] * 104} for number in types for row in daily),
    ]
    return data


@pytest.mark.all_databases
def test_figures_are_the_portals(loaded, data):
    """Items, open, won and lost of each type, as counted from the portal's state."""
    for row in data["types"]:
        items = loaded.items(row["type"])
        meanings = loaded.semantics(row["type"])
        counts = dict.fromkeys(WORDS.values(), 0)
        for item in items:
            if word := WORDS.get(meanings.get(item.get("stageId"))):
                counts[word] += 1
        assert (len(items), counts) == (row["items"], {name: row[name] for name in counts})


@pytest.mark.all_databases
def test_two_connections_say_the_same(pipeline, data):
    """Questions that are asked at the same time have the answers that they have one after the other."""
    with pipeline.sql_client() as client, pipeline.sql_client() as second:
        assert data == collect(MartReader(client), beside=MartReader(second))


@pytest.mark.all_databases
def test_stages_by_day_end_with_todays(data):
    """The last point of each open stage is what stands in it now; where nothing does, it is nothing."""
    stages = {(row["type"], row["category_id"], row["stage_id"]): row["items"] for row in data["stages"]}
    daily = data["daily"][1:]

    assert daily
    assert all(stages[row["type"], row["category_id"], row["stage_id"]] == row["items"][-1] for row in daily)
    assert "2025-07-01" == data["daily"][0]["days"][-1]


@pytest.mark.all_databases
def test_moves_add_up(data):
    """Of the stays in a stage, those that went on, were lost or are still there are no more than all."""
    assert data["moves"]
    for row in data["moves"]:
        assert row["onward"] + row["lost"] + row["still"] <= row["entered"]
        assert row["median"] is None or row["median"] <= row["p90"]


@pytest.mark.all_databases
def test_days_in_a_stage_are_those_of_single_stays(loaded, data):
    """Median and nine of ten of each open stage are what SQL says of its stays one by one, to a hundredth of a day."""
    rows = loaded.ask(
        "SELECT entity_type_id, category_id, stage_id, PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY days) AS median, "
        "PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY days) AS p90 FROM mart_stage_moves WHERE semantics = 'process' "
        "GROUP BY 1, 2, 3"
    )
    exact = {(row["entity_type_id"], row["category_id"], row["stage_id"]): (row["median"], row["p90"]) for row in rows}
    shown = {(row["type"], row["category_id"], row["stage_id"]): (row["median"], row["p90"]) for row in data["moves"]}

    assert exact.keys() == shown.keys()
    for stage, days in exact.items():
        assert days == pytest.approx(shown[stage], abs=0.0101)


@pytest.mark.all_databases
def test_less_can_be_asked_for(loaded, pipeline):
    """One type by its title, without people, and since a day."""
    with pipeline.sql_client() as client:
        data = collect(MartReader(client), types=["deals"], people=False, since=date(2024, 6, 1))

    assert [2] == [row["type"] for row in data["types"]]
    assert data["people"] is None
    assert [] == data["owners"]
    assert all("responsible" not in row for row in data["overdue"])
    assert sum(item["createdTime"] >= "2024-06-01" for item in loaded.items(2)) == data["types"][0]["items"]
    assert not any(f'"{row["NAME"]} {row["LAST_NAME"]}"' in render_page(data) for row in loaded.world.users)


def test_a_type_that_does_not_exist_is_one_sentence(pipeline, tmp_path):
    """The sentence names those that there are."""
    with pytest.raises(ConfigError, match=r"Nothing .*Deals \(2\)"):
        write_report(pipeline, tmp_path / "report.html", types=["Nothing"])


@pytest.mark.all_databases
def test_the_page_is_one_small_file_that_is_closed_to_the_network(page):
    """No address to fetch from, a policy that allows nothing but its own two scripts, at most two megabytes."""
    text = page.read_text(encoding="utf-8")

    assert page.stat().st_size < 2_000_000
    assert "default-src 'none'; script-src 'sha256-" in text
    assert not re.search(r"<(link|img|iframe|script)[^>]+(src|href)=", text)


@needs_browser
@pytest.mark.parametrize("fragment", PAGES)
def test_every_page_draws_its_charts_and_asks_for_nothing(shown, fragment):
    """No complaint on the console, no request, and marks in every chart."""
    found = browser.elements(shown[fragment])

    assert [] == shown[fragment].console
    assert [] == shown[fragment].requests
    assert found.marks
    assert all(found.marks)
    assert "table" in found.tags


@needs_browser
def test_tiles_show_what_sql_says(shown, loaded):
    """Items, open, won and lost on the page are those of mart_items."""
    (row,) = loaded.ask(
        "SELECT COUNT(*) AS items, SUM(CASE WHEN semantics = 'process' THEN 1 END) AS open, "
        "SUM(CASE WHEN semantics = 'success' THEN 1 END) AS won, SUM(CASE WHEN semantics = 'failure' THEN 1 END) AS lost "
        "FROM mart_items WHERE entity_type_id = 177"
    )
    figures = browser.elements(shown["type-177"]).figures

    assert {name: f"{int(value):,}" for name, value in row.items()} == {name: figures[name] for name in row}


@needs_browser
def test_the_page_says_of_when_and_where_it_is(shown):
    """The day up to which data goes, when it was loaded, the zone and the currency."""
    text = " ".join(browser.elements(shown[""]).text)

    assert "loaded 1 Jul 2025, 15:0" in text
    assert "+03:00" in text
    assert "RUB" in text


@needs_browser
def test_labels_beside_bars_have_room(shown):
    """Where a narrow window breaks the names of stages into more lines, their rows are higher, so that none covers the next."""
    heights = re.findall(
        r'aria-label="(?:From stage to stage|Days in a stage)\.[^>]*height: (\d+)px', shown["narrow"].html
    )
    rows, lines, line = 8, 4, 14  # four open stages in each of two categories; "Collecting offers · Urgent purchases"

    assert 2 == len(heights)
    assert all(int(height) >= rows * lines * line for height in heights)


@needs_browser
def test_products_of_one_name_are_told_apart(shown):
    """A product of the catalogue and free text of the same name are two bars with two labels."""
    text = browser.elements(shown["sources"]).text
    named = [label for label in text if label.startswith('Laptop 14" · ')]

    assert 2 == len(set(named))
    assert any(label.endswith("free text") for label in named)


@needs_browser
def test_russian_is_spoken(shown):
    """Words and figures are Russian where that is asked for."""
    text = " ".join(browser.elements(shown["Russian"]).text)

    assert "Сделки" in text
    assert "Успешно" in text


@needs_browser
@pytest.mark.parametrize("place", HOSTILE_PLACES)
def test_hostile_titles_harm_nothing(shown, place):
    """Markup in titles of types, stages, people, companies and items, and in messages of loads, is text, and nothing else."""
    found = browser.elements(shown[f"hostile {place}"])

    assert [] == shown[f"hostile {place}"].console
    assert "img" not in found.tags
    assert all(found.marks)
    assert any("</script><script>alert(1)" in text for text in found.text)


@needs_browser
def test_three_hundred_types_and_five_years_stay_usable(shown):
    """The page of such a portal opens, shows its types in a list to choose from, and draws each."""
    found = browser.elements(shown["many"])

    assert found.tags.count("option") == 301
    assert found.marks
    assert all(found.marks)


def test_the_command_makes_the_page_of_the_last_load(bitrix24, tmp_path):
    """`bitrix24 load`, then `bitrix24 report`, says where the file is; before a load it says what to do."""
    before = bitrix24("report")
    assert not list(Path().glob("*.duckdb")), "to look at nothing makes nothing"
    with SandboxServer(Portal(scenario="demo", items=20)) as server, kept_open(Path("bitrix24_data.duckdb")):
        loaded = bitrix24(
            *("load", "--resource", "deals", "--resource", "stages", "--progress", "none"),
            credentials=server.credentials()["webhook"],
        )
    done = bitrix24("report", "--out", str(tmp_path / "deals.html"), "--type", "2")
    sandbox = bitrix24("report", "--sandbox")

    assert 1 == sandbox.code, "the sandbox's data is never that of a portal"
    assert 2 == bitrix24("report", "--sandbox", "--portal", "emea").code
    assert 1 == before.code
    assert "run bitrix24 load first" in before.err
    assert 0 == loaded.code, loaded.err
    assert 0 == done.code, done.err
    assert "deals.html" in done.out
    assert (tmp_path / "deals.html").stat().st_size > 500_000

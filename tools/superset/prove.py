"""Proves the dashboard against a real Superset: `make superset`.

Sets Superset up on this machine, loads a portal, imports the bundle through the REST API, opens the dashboard in Chromium and
compares what each chart was given with SQL on the marts, without filters and with each of them. Then the portal has a bad day
(see `portal.py`), and all is compared again. Screenshots are left in the folder.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import requests
from bundle import write_bundle
from devtools import Page, opened

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOOLS = Path(sys.executable).parent
WIDTH, HEIGHT = 1400, 2560
USER = "admin"
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Check:
    """What a chart must show.

    Attributes:
        keys: names of its figures in Superset's answer, in the order of the query's columns.
        sql: the same from the mart; `{where}` stands for the filters.
        day: the column by which the chart's days count.
    """

    keys: tuple[str, ...]
    sql: str
    day: str = ""


OPEN = "semantics = 'process'"
CHECKS: Mapping[str, Check] = {
    "Open items": Check(("open_items",), f"SELECT count(*) FROM mart_items WHERE {OPEN} AND {{where}}", "created_date"),
    "Amount open": Check(
        ("amount_open",), f"SELECT sum(amount_base) FROM mart_items WHERE {OPEN} AND {{where}}", "created_date"
    ),
    "Won": Check(("won",), "SELECT count(*) FROM mart_items WHERE semantics = 'success' AND {where}", "closed_date"),
    "Amount won": Check(
        ("amount_won",),
        "SELECT sum(amount_base) FROM mart_items WHERE semantics = 'success' AND {where}",
        "closed_date",
    ),
    "Win rate": Check(
        ("win_rate",),
        "SELECT avg(CAST(semantics = 'success' AS INT)) FROM mart_items WHERE semantics <> 'process' AND {where}",
        "closed_date",
    ),
    "Overdue items": Check(("overdue",), "SELECT count(*) FROM mart_items WHERE is_overdue AND {where}", "due_date"),
    "Pipeline by stage": Check(
        ("stage", "items", "stage_place"),
        f"SELECT stage, count(*), min(stage_order) FROM mart_items WHERE {OPEN} AND {{where}} GROUP BY stage",
        "created_date",
    ),
    "Items that reached a stage": Check(
        ("stage", "items"),
        "SELECT stage, count(DISTINCT (entity_type_id, item_id)) AS n FROM mart_stage_moves WHERE {where} GROUP BY stage "
        "ORDER BY n DESC LIMIT 10",
        "entered_date",
    ),
    "Open items by stage and day": Check(
        ("day", "stage", "items"),
        f"SELECT day, stage, sum(items) FROM mart_stage_daily WHERE {OPEN} AND {{where}} GROUP BY day, stage",
        "day",
    ),
    "Created, won and lost by month": Check(
        ("month", "created", "won", "lost"),
        "SELECT month, sum(created), sum(won), sum(lost) FROM mart_owner_month WHERE {where} GROUP BY month",
        "month",
    ),
    "Amount won by month": Check(
        ("month", "amount_won"),
        "SELECT month, sum(amount_won) FROM mart_owner_month WHERE {where} GROUP BY month",
        "month",
    ),
    "People": Check(
        ("responsible", "open_now", "created", "won", "lost", "amount_won"),
        "SELECT responsible, sum(open_now), sum(created), sum(won), sum(lost), sum(amount_won) FROM mart_owner_month "
        "WHERE {where} GROUP BY responsible",
        "month",
    ),
    "Products": Check(
        ("product", "amount"),
        "SELECT product, sum(amount) AS n FROM mart_products WHERE {where} GROUP BY product ORDER BY n DESC LIMIT 15",
        "month",
    ),
    "Overdue activities": Check(
        ("responsible", "type", "overdue", "days_late"),
        "SELECT responsible, type, count(*), avg(days_late) FROM mart_activities WHERE is_overdue AND {where} "
        "GROUP BY responsible, type",
        "deadline_date",
    ),
    "Load health": Check(
        ("resource", "rows_loaded", "issues", "rejected"),
        'SELECT resource, sum("rows"), sum(issues), sum(rejected_values) FROM mart_load_health WHERE is_last_run AND {where} '
        "GROUP BY resource",
    ),
}


@dataclass(frozen=True)
class Filters:
    """What somebody has chosen beside the charts: values by column, and days."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    days: tuple[date, date] | None = None

    def where(self, columns: Sequence[str], day: str) -> str:
        """As SQL, as far as the mart has the columns."""
        parts = [
            f"{name} IN ({', '.join(repr(value) for value in values)})"
            for name, values in self.values.items()
            if name in columns
        ]
        if self.days and day:
            parts.append(f"{day} >= DATE '{self.days[0]}' AND {day} < DATE '{self.days[1]}'")
        return " AND ".join(parts) or "TRUE"

    def put_into(self, payload: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
        """A chart's query with these filters in place of those it was captured with."""
        asked: dict[str, Any] = json.loads(json.dumps(payload))
        asked["force"] = True
        for query in asked["queries"]:
            kept = [condition for condition in query["filters"] if condition["op"] != "IN"]
            for condition in kept:
                if condition["op"] == "TEMPORAL_RANGE" and self.days:
                    condition["val"] = f"{self.days[0]} : {self.days[1]}"
            query["filters"] = kept + [
                {"col": name, "op": "IN", "val": list(values)}
                for name, values in self.values.items()
                if name in columns
            ]
        return asked


class Superset:
    """A running Superset.

    Args:
        address: of its server.
        password: of its administrator.
    """

    def __init__(self, address: str, password: str) -> None:
        self.address = address
        self._password = password
        self._api = requests.Session()
        login = {"username": USER, "password": password, "provider": "db", "refresh": True}
        token = self._api.post(f"{address}/api/v1/security/login", json=login, timeout=60).json()["access_token"]
        self._api.headers.update({"Authorization": f"Bearer {token}", "Referer": address})
        csrf = self._api.get(f"{address}/api/v1/security/csrf_token/", timeout=60).json()["result"]
        self._api.headers["X-CSRFToken"] = csrf

    def import_bundle(self, bundle: Path) -> None:
        """As the page `Import dashboards` does; twice makes no second one."""
        answer = self._api.post(
            f"{self.address}/api/v1/dashboard/import/",
            files={"formData": (bundle.name, bundle.read_bytes(), "application/zip")},
            data={"overwrite": "true"},
            timeout=120,
        )
        answer.raise_for_status()

    def charts(self) -> dict[int, str]:
        """Names of the dashboard's charts by id."""
        found = self._api.get(f"{self.address}/api/v1/dashboard/bitrix24/charts", timeout=60).json()["result"]
        return {chart["id"]: chart["slice_name"] for chart in found}

    def ask(self, payload: dict[str, Any]) -> list[dict[str, Any]]:
        """Rows of a chart, by the chart data API."""
        answer = self._api.post(f"{self.address}/api/v1/chart/data", json=payload, timeout=120)
        if not answer.ok:
            raise SystemExit(f"the chart data API answers {answer.status_code}: {answer.text[:300]}")
        return list(answer.json()["result"][0]["data"])

    def cookies(self) -> dict[str, str]:
        """Of somebody who has logged in by the form."""
        browser = requests.Session()
        page = browser.get(f"{self.address}/login/", timeout=60).text
        token = re.search(r'csrf_token"?[^>]*value="([^"]+)"', page) or re.search(
            r"csrf_token(?:&#34;|\"): ?(?:&#34;|\")([^&\"]+)", page
        )
        if not token:
            raise SystemExit("Superset's login form is not what it was")
        form = {"username": USER, "password": self._password, "csrf_token": token[1]}
        browser.post(f"{self.address}/login/", data=form, timeout=60, allow_redirects=False)
        return dict(browser.cookies.get_dict())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / ".superset", help="for databases and screenshots")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    database = folder / "bitrix24_data.duckdb"
    _load(database, "first")
    with running(folder) as superset:
        bundle = write_bundle(folder / "bitrix24.zip", f"duckdb:///{database}?access_mode=read_only", "bitrix24")
        superset.import_bundle(bundle)
        superset.import_bundle(bundle)
        print("the bundle is imported")
        captured = _look(superset, folder / "dashboard.png")
        _compare(superset, database, captured)
        _load(database, "again")
        print("the portal had a bad day: other titles, no users, no directories")
        _look(superset, folder / "dashboard_after_a_bad_day.png")
        _compare(superset, database, captured, ("no filter", "all"))
    print(f"screenshots are in {folder}")


def _load(database: Path, day: str) -> None:
    print(f"loading a portal into {database.name} ({day}) ...", flush=True)
    done = subprocess.run(
        [sys.executable, str(HERE / "portal.py"), str(database), day], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])


@contextmanager
def running(folder: Path) -> Iterator[Superset]:
    """A Superset that is set up and served, and ended afterwards."""
    password = secrets.token_urlsafe(12)
    environment = {
        **os.environ, "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"), "SUPERSET_HOME": str(folder),
        "SUPERSET_KEY": secrets.token_urlsafe(42), "FLASK_APP": "superset.app:create_app()",
    }  # fmt: skip
    command = [str(TOOLS / "superset")]
    admin = [
        "--username",
        USER,
        "--firstname",
        "A",
        "--lastname",
        "B",
        "--email",
        "admin@localhost",
        "--password",
        password,
    ]
    with (folder / "superset.log").open("w") as log:
        print("setting Superset up ...", flush=True)
        for step in (["db", "upgrade"], ["fab", "create-admin", *admin], ["init"]):
            subprocess.run([*command, *step], env=environment, stdout=log, stderr=log, check=True)
        port = _free_port()
        server = subprocess.Popen(
            [*command, "run", "-p", str(port), "--with-threads"], env=environment, stdout=log, stderr=log
        )
        try:
            yield Superset(_answering(f"http://127.0.0.1:{port}", server), password)
        finally:
            server.terminate()
            server.wait(30)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _answering(address: str, server: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 180
    while time.monotonic() < end and server.poll() is None:
        try:
            if requests.get(f"{address}/health", timeout=5).ok:
                return address
        except requests.ConnectionError:
            time.sleep(1)
    raise SystemExit("Superset does not answer: see superset.log")


def _look(superset: Superset, picture: Path) -> dict[str, dict[str, Any]]:
    """Opens the dashboard, waits for all charts and takes a picture.

    Returns:
        What Superset's own page asked for each chart.
    """
    names = superset.charts()
    with opened(superset.cookies(), superset.address, (WIDTH, HEIGHT)) as page:
        page.call("Page.navigate", url=f"{superset.address}/superset/dashboard/bitrix24/?standalone=1")
        if not page.wait(lambda: len(names) <= _finished(page), 240):
            raise SystemExit(f"only {_finished(page)} of {len(names)} charts were drawn")
        page.wait(lambda: False, 5)  # animations
        page.picture(picture)
        errors = page.evaluate("document.querySelectorAll('[data-test=\"error-alert\"], .ant-alert-error').length")
        answers = list(page.answers("/api/v1/chart/data"))
    if errors:
        raise SystemExit(f"{errors} charts show an error: see {picture}")
    found = {names[asked["form_data"]["slice_id"]]: asked for asked, _ in answers if asked["form_data"].get("slice_id")}
    if missing := set(CHECKS) - set(found):
        raise SystemExit(f"not drawn: {sorted(missing)}")
    return found


def _finished(page: Page) -> int:
    """Charts that have their data."""
    asked = {
        event["params"]["requestId"]
        for event in page.events
        if event.get("method") == "Network.requestWillBeSent" and "slice_id" in event["params"]["request"]["url"]
    }
    return sum(
        event.get("method") == "Network.loadingFinished" and event["params"]["requestId"] in asked
        for event in page.events
    )


def _compare(superset: Superset, path: Path, captured: Mapping[str, dict[str, Any]], only: Sequence[str] = ()) -> None:
    """Each chart's figures with SQL on the mart, for several choices of filters, or some of them."""
    database = duckdb.connect(str(path), read_only=True)
    database.execute("USE bitrix24")
    marts = {name: re.search(r"FROM (mart_\w+)", check.sql) for name, check in CHECKS.items()}
    columns = {
        mart[1]: [row[0] for row in database.execute(f"DESCRIBE {mart[1]}").fetchall()]
        for mart in marts.values()
        if mart
    }
    types = [
        row[0]
        for row in database.execute(
            "SELECT entity_type FROM mart_items GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 2"
        ).fetchall()
    ]
    owner, category, middle = database.execute(
        "SELECT mode(responsible), mode(category), CAST(median(created_date) AS DATE) FROM mart_items"
    ).fetchone() or ("", "", date.min)
    choices = {
        "no filter": Filters(),
        "deals": Filters({"entity_type": ["Deals"]}),
        "two types": Filters({"entity_type": types}),
        "an owner": Filters({"responsible": [owner]}),
        "a category": Filters({"category": [category]}),
        "days": Filters(days=(middle, date(middle.year + 1, 1, 1))),
        "all": Filters({"entity_type": types, "responsible": [owner]}, (date(middle.year, 1, 1), middle)),
    }
    choices = {name: filters for name, filters in choices.items() if not only or name in only}
    wrong, compared, filled = [], 0, 0
    for choice, filters in choices.items():
        for name, check in CHECKS.items():
            mart = marts[name]
            known = columns[mart[1]] if mart else []
            shown = superset.ask(filters.put_into(captured[name], known))
            sql = check.sql.replace("{where}", filters.where(known, check.day))
            expected = database.execute(sql).fetchall()
            compared += 1
            filled += bool(expected)
            if _comparable(_rows(shown, check.keys)) != _comparable(expected):
                wrong.append(f"{name} ({choice}): {_rows(shown, check.keys)[:3]} is not {expected[:3]}")
    database.close()
    if wrong or filled < compared // 2:
        raise SystemExit("\n".join(["Superset's figures are not those of the marts:", *wrong]))
    print(f"{compared} answers of the chart data API equal SQL on the marts ({len(choices)} choices of filters)")


def _rows(shown: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[Row]:
    """Rows in the order of the keys; where a chart has a column for each stage, a row for each."""
    if keys == ("day", "stage", "items"):
        return [
            (row["day"], stage, value)
            for row in shown
            for stage, value in row.items()
            if stage != "day" and value is not None
        ]
    return [tuple(row.get(key) for key in keys) for row in shown]


def _comparable(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return sorted(tuple(_value(value) for value in row) for row in rows)


def _value(value: Any) -> str:
    if isinstance(value, float) and value > 1e11:  # Superset's milliseconds
        value = datetime.fromtimestamp(value / 1000, timezone.utc).date()
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value or "")
    return f"{float(value):.6g}" if not isinstance(value, date) else value.isoformat()


if __name__ == "__main__":
    main()

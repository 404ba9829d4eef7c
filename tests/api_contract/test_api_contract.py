"""What this connector assumes about Bitrix24, checked against the sandbox and a real portal.

Set BITRIX24_WEBHOOK_URL (a webhook of an administrator with the scopes crm, userfieldconfig, bizproc, user_basic and department
sees most) and run

    pytest tests/api_contract/test_api_contract.py -k real

Every question only reads: a method that does not is refused before it is sent. A failure says in one sentence where the documents or
our reading of them were wrong; a skip says what the portal has no data for. At the end stands a summary to paste into an issue: facts
with counts, codes and offsets, and nothing that names the portal, a person, or anything that somebody typed in.

Most questions are about points on which the documentation is silent or contradicts itself, or in which real portals differ from it.
The docstring of a test says what our code assumes or relies on. Requests are sent with plain `requests`, so that our client cannot hide
an answer. Two questions are not asked, because only a change in the portal could answer them: what two parallel renewals of a token do,
and whether editing product rows changes `updatedTime`. REST v3 is not used.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import pytest
import requests

from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter

PAGE = 50
FLAG = {"Y", "N"}


def params_to_query(params: Any, name: str = "") -> str:
    """Nested parameters in brackets, as a command of a batch has them."""
    pairs = params.items() if isinstance(params, Mapping) else enumerate(params) if isinstance(params, list) else None
    if pairs is None:
        return f"{name}={quote(str(params), safe='')}"
    return "&".join(
        params_to_query(value, f"{name}[{quote(str(key), safe='')}]" if name else key) for key, value in pairs
    )


READS = re.compile(
    r"profile|scope|server\.time|batch"
    r"|[a-z]+(?:\.[a-zA-Z]+)*\.(?:list|get|fields|types|current|ownertype|getByEntityTypeId)"
)
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


class Summary:
    """What is safe to paste into an issue: outcomes by name, and facts whose values nobody could have typed in."""

    SAFE = re.compile(r"[A-Za-z0-9_.:+-]{1,40}(?:, [A-Za-z0-9_.:+-]{1,40})*|")

    def __init__(self) -> None:
        self._facts: dict[str, str] = {}
        self._outcomes: dict[str, str] = {}

    def note(self, fact: str, value: object) -> None:
        """Keeps a number, a flag or a code; anything else is an error of the test that notes it."""
        text = str(value)
        if not self.SAFE.fullmatch(text):
            raise ValueError(f"the value of {fact!r} is no number, flag or code")
        self._facts[fact] = text

    def lines(self) -> list[str]:
        odd = [f"{name}: {outcome}" for name, outcome in self._outcomes.items() if outcome != "passed"]
        passed = sum(outcome == "passed" for outcome in self._outcomes.values())
        return [
            f"{passed} of {len(self._outcomes)} questions were answered as assumed",
            *odd,
            *(f"{fact}: {value}" for fact, value in self._facts.items()),
        ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            name = report.nodeid.rpartition("::")[2].replace("[real]", "").replace("[real-", "[")
            if "test_facts.py" in report.nodeid and "[real" in report.nodeid:
                self._outcomes[name] = report.outcome

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._outcomes:
            terminalreporter.section("to paste into an issue (nothing secret or personal in it)")
            for line in self.lines():
                terminalreporter.write_line(line)


class Asker:
    """Asks one portal, one question after another, no faster than its request limit allows."""

    def __init__(
        self, url: str, session: requests.Session, sleep: Callable[[float], None], summary: Summary | None = None
    ) -> None:
        self.note = (summary or Summary()).note
        self._sleep = sleep
        self._url = url.rstrip("/") + "/"
        self.session = self._session = session
        self.list_items = cache(self._list_items)
        self.fields = cache(self._fields)
        self.types = cache(self._types)

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole envelope, errors included."""
        commands = params.get("cmd", {}).values() if method == "batch" else ()
        for name in (method, *(command.partition("?")[0] for command in commands)):
            if not READS.fullmatch(name):
                raise PermissionError(f"{name} might change something: not asked")
        self._sleep(0.5)
        answer = self._session.post(self._url + method, json=params, timeout=75)
        return answer.json()

    def result(self, method: str, **params: Any) -> Any:
        """`result`; a refusal ends the question with its reason."""
        envelope = self(method, **params)
        if "error" in envelope:
            pytest.skip(f"{method} is refused here: {envelope['error']} {envelope.get('error_description', '')}")
        return envelope["result"]

    def batch(self, **commands: str) -> dict[str, Any]:
        return self.result("batch", halt=0, cmd=commands)

    def form(self, method: str, query: str) -> dict[str, Any]:
        """As a call, with its parameters as a form instead of JSON."""
        if not READS.fullmatch(method):
            raise PermissionError(f"{method} might change something: not asked")
        self._sleep(0.5)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._session.post(self._url + method, data=query, headers=headers, timeout=75).json()

    def now(self) -> datetime:
        """The server's clock, in its own zone."""
        return datetime.fromisoformat(self.result("server.time"))

    def quiet_item(self, *, before: timedelta = timedelta(days=1)) -> tuple[int, dict[str, Any]]:
        """(entityTypeId, row) of the item of a smart process that was changed last, but longer ago than `before`."""
        bound = (self.now() - before - 14 * HOUR).isoformat()  # by no more than that can a filter be moved
        found = [
            (spa["entityTypeId"], row)
            for spa in self.types()[:10]
            for row in self.result(
                "crm.item.list",
                entityTypeId=spa["entityTypeId"],
                select=["id", "updatedTime"],
                order={"updatedTime": "DESC"},
                filter={"<updatedTime": bound},
            )["items"][:1]
        ]
        return max(found, key=lambda pair: pair[1]["updatedTime"], default=None) or pytest.skip("no quiet item")

    def finds(self, probe: Probe, *bounds: str) -> list[bool]:
        """Whether the row of a probe is found with each of these bounds on its time."""
        found: list[bool] = []
        for start in range(0, len(bounds), PAGE):
            commands = {f"c{i}": probe.command(bound) for i, bound in enumerate(bounds[start : start + PAGE])}
            answer = self.batch(**commands)["result"]
            rows = [answer[key][probe.rows_key] if probe.rows_key else answer[key] for key in commands]
            found += [bool(part) for part in rows]
        return found

    def shift(self, probe: Probe) -> timedelta:
        """By how much a filter on this time is moved: the largest bound that still finds the row, less the row's own time."""
        hours = [step * HOUR for step in range(-14, 15)]
        found = self.finds(probe, *((probe.time + step).isoformat() for step in hours))
        if all(found) or not any(found):
            pytest.fail(f"a filter on {probe.time_name} is {'ignored' if any(found) else 'refused'} here")
        assert found == sorted(found, reverse=True), f"bounds on {probe.time_name} select no clean prefix: {found}"
        whole = hours[sum(found) - 1]
        quarters = [whole + step * QUARTER for step in (1, 2, 3)]
        return whole + QUARTER * sum(self.finds(probe, *((probe.time + step).isoformat() for step in quarters)))

    def item_probe(self, entity_type_id: int, row: Mapping[str, Any]) -> Probe:
        params = {"entityTypeId": entity_type_id, "select": ["id"]}
        time_ = datetime.fromisoformat(row["updatedTime"])
        return Probe("crm.item.list", "items", params, {"id": row["id"]}, "updatedTime", time_)

    def owner_offset(self) -> timedelta | None:
        """The owner's zone minus the server's, as people's methods tell it; None where none does."""
        now = self.now()
        rows = [self("profile").get("result"), self("user.current").get("result")]
        rows = [row for row in rows if isinstance(row, dict)]
        ids = [row["ID"] for row in rows if row.get("ID")]
        if ids:
            found = self("user.get", filter={"ID": ids[0]}).get("result") or []
            rows += [row for row in found if isinstance(row, dict)]
        for row in rows:
            if row.get("TIME_ZONE"):
                return now.astimezone(ZoneInfo(row["TIME_ZONE"])).utcoffset() - now.utcoffset()
        told = [
            int(row["TIME_ZONE_OFFSET"]) for row in rows if str(row.get("TIME_ZONE_OFFSET", "")).lstrip("-").isdigit()
        ]
        return timedelta(seconds=told[0]) if told else None

    def _types(self) -> tuple[dict[str, Any], ...]:
        types = self.result("crm.type.list", order={"id": "ASC"})["types"]
        return tuple(types) or pytest.skip("the portal has no smart process")

    def _fields(self, number: int) -> dict[str, dict[str, Any]]:
        return self.result("crm.item.fields", entityTypeId=number)["fields"]

    def _list_items(self, number: int) -> list[dict[str, Any]]:
        """The first page of a type's items, whole rows."""
        params = {"entityTypeId": number, "order": {"id": "ASC"}, "select": ["*"], "start": -1}
        return self.result("crm.item.list", **params)["items"]

    def type_with(self, reason: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        return next((row for row in self.types() if fits(row)), None) or pytest.skip(f"the portal has no {reason}")

    def full_type(self) -> int:
        """A type with more than two pages of items."""

        def is_long(row: dict[str, Any]) -> bool:
            return (self("crm.item.list", entityTypeId=row["entityTypeId"], select=["id"]).get("total") or 0) > 2 * PAGE

        return self.type_with("smart process with more than 100 items", is_long)["entityTypeId"]

    def page(self, long: LongList, **more: Any) -> list[dict[str, Any]]:
        """A page of a list; a filter is added to its own."""
        params = {**long.params, **more, "filter": {**long.params.get("filter", {}), **more.get("filter", {})}}
        result = self.result(long.method, **params)
        return result[long.rows_key] if long.rows_key else result

    def long_list(self, method: str) -> LongList:
        """Something of this method that has more than two pages."""
        for long in self._candidates(method):
            if (self(long.method, **long.params).get("total") or 0) > 2 * PAGE:
                return long
        return pytest.skip(f"nothing that {method} lists has more than 100 rows here")

    def _candidates(self, method: str) -> list[LongList]:
        if method == "crm.activity.list":
            return [LongList(method, "", "ID", {"order": {"ID": "ASC"}, "select": ["ID"]})]
        if method == "crm.stagehistory.list":
            numbers = [2, 1, 31, *(row["entityTypeId"] for row in self.types())]
            return [LongList(method, "items", "ID", {"entityTypeId": n, "order": {"ID": "ASC"}}) for n in numbers]
        listed = [self.deals(start) for start in (0, PAGE)]
        owned = {"=ownerType": "D", "=ownerId": [row["id"] for rows in listed for row in rows]}
        return [LongList(method, "productRows", "id", {"order": {"id": "asc"}, "filter": owned})]

    def deals(self, start: int = 0) -> list[dict[str, Any]]:
        params = {"entityTypeId": 2, "order": {"id": "ASC"}, "select": ["id"], "start": start}
        return self.result("crm.item.list", **params)["items"] or pytest.skip("the portal has no more deals")

    def activities(self, *names: str, **more: Any) -> list[dict[str, Any]]:
        rows = self.result("crm.activity.list", order={"ID": "ASC"}, select=["ID", *names], start=-1, **more)
        return rows or pytest.skip("the portal has no activity")

    def values(self, what: str, wanted: Callable[[dict[str, Any]], bool]) -> list[tuple[dict[str, Any], Any]]:
        """(field, value) of every set value of fields that fit, in the first items of all types."""
        found = [
            (field, row[name])
            for spa in self.types()
            for name, field in self.fields(spa["entityTypeId"]).items()
            if wanted(field)
            for row in self.list_items(spa["entityTypeId"])
            if row.get(name) not in (None, "", [], {}, False)
        ]
        return found or pytest.skip(f"no item of the first pages has a value in {what}")


def code_of(envelope: Mapping[str, Any]) -> str:
    """The code of a refusal, to be noted; some codes are sentences."""
    code = str(envelope.get("error"))
    return code if re.fullmatch(r"\w{0,40}", code, re.ASCII) else "words"


@dataclass(frozen=True)
class LongList:
    """A list that is read by id: method, where its rows lie, the name of the id, and what it is asked with."""

    method: str
    rows_key: str
    id_field: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Probe:
    """One row of a list, and how it is asked for with a bound on its time."""

    method: str
    rows_key: str
    params: Mapping[str, Any]
    row: Mapping[str, Any]
    time_name: str
    time: datetime

    def command(self, bound: str) -> str:
        condition = {**self.row, f">={self.time_name}": bound}
        return f"{self.method}?{params_to_query({**self.params, 'filter': condition})}"


REAL = os.environ.get("BITRIX24_WEBHOOK_URL")


@pytest.fixture(params=["sandbox", "real"] if REAL else ["sandbox"], scope="module")
def ask(request):
    """Each question is put to the sandbox, and to a real portal where one is named."""
    if request.param == "real":
        summary = Summary()
        request.config.pluginmanager.register(summary, "bitrix24 facts")
        with requests.Session() as session:
            yield Asker(REAL, session, time.sleep, summary)
        return
    with requests.Session() as session:
        yield in_sandbox(session)


def in_sandbox(session: requests.Session, summary: Summary | None = None, **how: Any) -> Asker:
    """Asks a sandbox portal of today's habits with more than a page of everything; `how` is the portal's zones."""
    clock = Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))
    portal = Portal(scenario="demo", items=1000, clock=clock, **how)
    for table in (portal.world.users, portal.world.departments):  # more than a page holds
        table += [{**table[0], "ID": str(number)} for number in range(100, 160)]
    session.mount("https://", SandboxAdapter(portal))
    asker = Asker(portal.base_url + portal.webhook_path, session, clock.sleep, summary)
    asker.portal = portal  # type: ignore[attr-defined] - for the tests of the questions themselves
    return asker


@pytest.fixture(autouse=True)
def no_network():
    """A real portal is out there: the guard of the other tests does not stand here."""
    return []


@pytest.fixture(autouse=True)
def isolated_environment():
    """A real portal may need this machine's proxy and certificates: the environment stays."""


# --- zones ----------------------------------------------------------------------------------------------------------


def test_a_filter_is_moved_by_the_owners_zone(ask):
    """Is a bound on updatedTime moved by the owner's zone minus the server's, by whole quarter-hours? Relied on; measured by each run."""
    shift = ask.shift(ask.item_probe(*ask.quiet_item()))
    told = ask.owner_offset()
    ask.note("zone: the server's offset", ask.now().strftime("%z"))
    ask.note("zone: minutes by which a filter on updatedTime is moved", int(shift.total_seconds() // 60))
    ask.note(
        "zone: the owner's minus the server's in minutes",
        "unknown" if told is None else int(told.total_seconds() // 60),
    )

    assert told is None or shift in (told, timedelta()), (
        f"a filter on updatedTime is moved by {shift}, and the owner's zone is {told} from the server's"
    )


def test_an_item_is_found_at_its_own_second(ask):
    """With a bound that is moved by the measured shift, is a row found at its own second, and not one second later? Relied on."""
    probe = ask.item_probe(*ask.quiet_item())
    own = probe.time + ask.shift(probe)
    late = own + timedelta(seconds=1)

    assert ask.finds(probe, own.isoformat(), late.isoformat()) == [True, False], (
        "a moved bound does not meet its second"
    )


def test_the_offset_of_a_bound_counts(ask):
    """Are bounds on updatedTime with different offsets and the same instant equal? Assumed; we always send an offset."""
    probe = ask.item_probe(*ask.quiet_item())
    own = probe.time + ask.shift(probe)
    bounds = [moment.astimezone(zone).isoformat() for moment in (own, own + timedelta(seconds=1))
              for zone in (timezone.utc, timezone(timedelta(hours=-7)), timezone(timedelta(hours=11)))]  # fmt: skip

    assert ask.finds(probe, *bounds) == [True] * 3 + [False] * 3, "the same instant filters differently by its spelling"


def test_a_bound_without_offset_is_the_owners_wall_clock(ask):
    """Is a bound without offset read in the server's zone and moved like others? Assumed; we never send one."""
    probe = ask.item_probe(*ask.quiet_item())
    own = probe.time.astimezone(ask.now().tzinfo) + ask.shift(probe)
    naive = [moment.replace(tzinfo=None).isoformat() for moment in (own, own + timedelta(seconds=1))]

    assert ask.finds(probe, *naive) == [True, False], (
        "a bound without offset is read otherwise: sending offsets is right"
    )


def test_times_of_the_other_half_of_the_year(ask):
    """Is an item of half a year ago found at its own second with today's shift? Where clocks change apart, an hour off."""
    recent = ask.shift(ask.item_probe(*ask.quiet_item()))
    old = ask.shift(ask.item_probe(*ask.quiet_item(before=timedelta(days=180))))
    ask.note("zone: minutes by which times of the other half-year are off", int((old - recent).total_seconds() // 60))

    assert old - recent in (timedelta(), HOUR, -HOUR), f"old items are {old - recent} off"


def test_activities_are_filtered_unmoved(ask):
    """Is a bound on LAST_UPDATED of activities met at its own second, whatever the owner's zone? Relied on."""
    row = ask.activities("LAST_UPDATED")[0]
    moment = datetime.fromisoformat(row["LAST_UPDATED"])
    probe = Probe("crm.activity.list", "", {"select": ["ID"]}, {"ID": row["ID"]}, "LAST_UPDATED", moment)
    late = moment + timedelta(seconds=1)
    ask.note("zone: minutes by which a filter on activities is moved", int(ask.shift(probe).total_seconds() // 60))

    assert moment.tzinfo, "LAST_UPDATED has no offset"
    assert ask.finds(probe, moment.isoformat(), late.isoformat()) == [True, False], "activities are filtered moved"


def test_stage_history_is_filtered_unmoved(ask):
    """Is a bound on CREATED_TIME of the stage history met at its own second? Assumed; history is read by id."""
    long = ask.long_list("crm.stagehistory.list")
    row = ask.page(long)[0]
    moment = datetime.fromisoformat(row["CREATED_TIME"])
    params = {"entityTypeId": long.params["entityTypeId"]}
    probe = Probe("crm.stagehistory.list", "items", params, {"ID": row["ID"]}, "CREATED_TIME", moment)
    late = moment + timedelta(seconds=1)

    assert ask.finds(probe, moment.isoformat(), late.isoformat()) == [True, False], "history is filtered moved"


def test_dates_are_utc_midnights(ask):
    """Is a date the midnight of UTC, told in the server's zone, or a bare day? Relied on: a date is the nearest UTC day."""
    values = ask.values("a date field", lambda field: field["type"] == "date" and not field["isMultiple"])
    off = set()
    for field, value in values:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            off.add(timedelta())
            continue
        moment = datetime.fromisoformat(value)
        assert moment.tzinfo, f"{field['upperName']} is neither a day nor an instant"
        since = moment.astimezone(timezone.utc) - moment.astimezone(timezone.utc).replace(hour=0, minute=0, second=0)
        off.add(min(since, timedelta(days=1) - since))
    ask.note(
        "dates: minutes from the nearest midnight of UTC",
        ", ".join(str(int(gap.total_seconds() // 60)) for gap in sorted(off)),
    )

    assert max(off) <= HOUR, "a date is more than an hour from a midnight of UTC"


# --- envelope and batch ---------------------------------------------------------------------------------------------


def test_answers_have_a_result_and_a_time(ask):
    """Does every answer have `result`, and `time` with the moment it began? The documents say so; we take the clock from it."""
    envelope = ask("server.time")

    assert {"result", "time"} <= set(envelope), f"server.time answered with the keys {sorted(envelope)}"
    assert datetime.fromisoformat(envelope["time"]["date_start"]).tzinfo, "time.date_start has no zone"


def test_the_clock_has_a_zone(ask):
    """Is server.time an ISO datetime with an offset? Documented; `check` compares it with this machine's clock."""
    moment = datetime.fromisoformat(ask.result("server.time"))

    assert moment.tzinfo, f"server.time has no offset: {moment}"


def test_how_exact_durations_are(ask):
    """Is time.start a whole number? Then `duration` is wrong by up to a second, and is not relied on."""
    took = ask("crm.status.list")["time"]
    ask.note("time: start is whole", isinstance(took.get("start"), int))
    ask.note("time: has operating", "operating" in took)

    assert isinstance(took.get("start"), (int, float)), "time.start is no number"


def test_parameters_as_json_and_as_a_form(ask):
    """Does a list method take JSON as it takes a form? Assumed for all methods; ours are sent as JSON."""
    number = ask.types()[0]["entityTypeId"]
    as_form = ask.form("crm.item.list", f"entityTypeId={number}&order[id]=ASC&select[0]=id")["result"]["items"]
    as_json = ask.result("crm.item.list", entityTypeId=number, order={"id": "ASC"}, select=["id"])["items"]

    assert as_json == as_form, "JSON and form parameters are answered differently"


def test_how_a_token_server_refuses(ask):
    """With which status and code do the token servers refuse an unknown application? The code is what we go by."""
    query = {"grant_type": "refresh_token", "client_id": "local.0", "client_secret": "0", "refresh_token": "0"}
    for host in ("oauth.bitrix.info", "oauth.bitrix24.tech"):
        try:
            answer = ask.session.get(f"https://{host}/oauth/token/", params=query, timeout=30)
            code = code_of(answer.json())
        except (requests.RequestException, ValueError):
            continue
        ask.note(f"token server {host}: status and code", f"{answer.status_code}, {code}")
        assert code.upper() in ("INVALID_CLIENT", "INVALID_GRANT"), (
            f"{host} refuses an unknown application with {code!r}"
        )


def test_an_empty_map_may_be_a_list(ask):
    """Does a batch without errors say `"result_error": []`? Documented; we take [] and {} alike."""
    errors = ask.batch(c0="profile")["result_error"]

    assert errors in ([], {}), f"result_error without errors is {errors!r}"


def test_commands_of_a_batch_fail_alone(ask):
    """Is a failed command an object in result_error under its own key, with the others answered? Documented and relied on."""
    answer = ask.batch(c0="profile", c1="crm.type.getByEntityTypeId?entityTypeId=999999")

    assert "c0" in answer["result"], "a good command was not answered beside a bad one"
    assert {"error", "error_description"} <= set(answer["result_error"]["c1"]), (
        f"result_error is {answer['result_error']}"
    )


def test_who_pays_for_a_batch(ask):
    """Is the time budget of a batched call its method's, the batch's, or both? Assumed: any; we heed the largest."""
    envelope = ask("batch", halt=0, cmd={"c0": "crm.status.list", "c1": "crm.status.entity.types"})
    outer = envelope["time"].get("operating")
    inner = {key: time.get("operating") for key, time in dict(envelope["result"]["result_time"] or {}).items()}

    assert outer is not None or any(value is not None for value in inner.values()), (
        "neither the batch nor its commands tell `operating`: the time budget cannot be watched here"
    )


def test_a_reference_reaches_into_a_wrapped_list(ask):
    """Does `$result[c0][items][49][id]` give the last id of a page of crm.item.list? Assumed: yes; chains of pages rest on it."""
    number = ask.full_type()
    page = f"crm.item.list?entityTypeId={number}&order[id]=ASC&start=-1&select[0]=id"
    answer = ask.batch(c0=f"{page}&filter[%3Eid]=0", c1=f"{page}&filter[%3Eid]=$result[c0][items][49][id]")
    first, second = ([row["id"] for row in answer["result"][key]["items"]] for key in ("c0", "c1"))
    direct = ask.result("crm.item.list", entityTypeId=number, order={"id": "ASC"}, start=-1, select=["id"],
                        filter={">id": first[-1]})["items"]  # fmt: skip

    assert second == [row["id"] for row in direct], "a $result reference did not continue where its page ended"


def test_a_reference_may_be_encoded(ask):
    """May the brackets of a reference be percent-encoded? Assumed: perhaps not; we send them bare."""
    number = ask.full_type()
    page = f"crm.item.list?entityTypeId={number}&order[id]=ASC&start=-1&select[0]=id"
    reference = quote("$result[c0][items][49][id]", safe="")
    answer = ask.batch(c0=f"{page}&filter[%3Eid]=0", c1=f"{page}&filter[%3Eid]={reference}")
    first, second = (answer["result"][key]["items"] for key in ("c0", "c1"))

    assert second[0]["id"] > first[-1]["id"], (
        "encoded references are not resolved here: sending them bare is right, keep it"
    )


def test_an_encoded_filter_name_is_understood(ask):
    """Is `filter[%3Eid]` in a command the filter `>id`? PHP decodes names; a bare `>=` would be cut at its "="."""
    number = ask.full_type()
    last = ask.result("crm.item.list", entityTypeId=number, order={"id": "ASC"}, select=["id"])["items"][-1]["id"]
    command = f"crm.item.list?entityTypeId={number}&order[id]=ASC&select[0]=id&filter[%3E%3Did]={last}"

    assert ask.batch(c0=command)["result"]["c0"]["items"][0]["id"] == last, (
        "filter[%3E%3Did] in a command was not honoured"
    )


# --- which smart processes ------------------------------------------------------------------------------------------


def test_types_describe_themselves(ask):
    """Are the flags of crm.type.list "Y"/"N" strings, and id and entityTypeId numbers? Documented; we also take booleans."""
    for row in ask.types():
        flags = {name: value for name, value in row.items() if re.fullmatch(r"is[A-Z]\w+", name)}
        odd = {name: value for name, value in flags.items() if value not in FLAG}
        assert not odd, f"flags of type {row['entityTypeId']} are neither Y nor N: {odd}"
        assert all(isinstance(row[key], int) for key in ("id", "entityTypeId")), f"a type without numbers: {row}"


def test_type_numbers_are_unique(ask):
    """Is entityTypeId one of a kind? Item tables are named by it."""
    numbers = [row["entityTypeId"] for row in ask.types()]

    assert len(numbers) == len(set(numbers)), "two smart processes share an entityTypeId"


def test_owner_types_list_every_smart_process(ask):
    """Does crm.enum.ownertype name each smart process DYNAMIC_<entityTypeId>? Assumed: it is the way without CRM admin."""
    listed = {str(row["SYMBOL_CODE"]): int(row["ID"]) for row in ask.result("crm.enum.ownertype")}
    missing = [row["entityTypeId"] for row in ask.types() if listed.get(f"DYNAMIC_{row['entityTypeId']}") is None]

    assert not missing, f"crm.enum.ownertype does not name the smart processes {missing} as DYNAMIC_<number>"


@pytest.mark.parametrize("method", ["crm.enum.ownertype", "crm.status.entity.types"])
def test_lists_that_come_whole(ask, method):
    """Does this method answer all rows at once, whatever `start`? Documented as unpaged; we ask once unless there is `next`."""
    first = ask(method)
    if "next" in first or len(first["result"]) < PAGE:
        again = ask(method, start=PAGE)["result"]
        assert first.get("next") or again in (first["result"], []), f"{method} answers something else with start=50"
    assert "next" not in first, f"{method} has pages here: it says `next` {first.get('next')}"


def test_one_type_has_its_relations(ask):
    """Does crm.type.getByEntityTypeId add `relations` and `linkedUserFields` to what the list has? Documented and relied on."""
    row = ask.result("crm.type.getByEntityTypeId", entityTypeId=ask.types()[0]["entityTypeId"])["type"]

    assert {"relations", "linkedUserFields"} <= set(row), f"crm.type.getByEntityTypeId has only {sorted(row)}"


@pytest.mark.parametrize("method", ["crm.item.fields", "crm.item.list"])
def test_an_unknown_type_is_told_from_a_denied_one(ask, method):
    """Is an unknown smart process refused with the code NOT_FOUND, in every language? Relied on: so deleted types are recognised."""
    envelope = ask(method, entityTypeId=999998)

    assert envelope.get("error") == "NOT_FOUND", (
        f"{method} refuses an unknown smart process with {envelope.get('error')!r}"
    )


def test_types_are_refused_in_words(ask):
    """With which code does crm.type.getByEntityTypeId refuse an unknown type? Assumed: any, with words in the user's language."""
    envelope = ask("crm.type.getByEntityTypeId", entityTypeId=999998)
    ask.note("crm.type.getByEntityTypeId: code for an unknown type", code_of(envelope))

    assert "error" in envelope, "an unknown entityTypeId is not refused"


# --- fields ---------------------------------------------------------------------------------------------------------


def test_upper_names_are_unique(ask):
    """Has every field an `upperName` that no other of its type has? Documented; columns are named by it."""
    for spa in ask.types():
        names = [field.get("upperName") for field in ask.fields(spa["entityTypeId"]).values()]
        assert None not in names, f"type {spa['entityTypeId']} has fields without upperName"
        assert len(names) == len({name.lower() for name in names}), f"type {spa['entityTypeId']} repeats an upperName"


def test_field_flags_are_booleans(ask):
    """Are isRequired, isReadOnly and isMultiple of crm.item.fields booleans? Documented; "Y"/"N" would be taken as well."""
    field = ask.fields(ask.types()[0]["entityTypeId"])["id"]
    flags = {name: value for name, value in field.items() if name.startswith("is")}

    assert all(isinstance(value, bool) for value in flags.values()), f"flags of crm.item.fields are {flags}"


def test_options_come_with_the_fields(ask):
    """Has an enumeration in crm.item.fields its options as `items` of ID and VALUE? Documented; labels come from it."""
    fields = [field for spa in ask.types() for field in ask.fields(spa["entityTypeId"]).values()]
    lists = [field for field in fields if field["type"] == "enumeration"] or pytest.skip("no enumeration field here")

    for field in lists:
        assert all({"ID", "VALUE"} <= set(item) for item in field.get("items") or []), (
            f"options of {field['upperName']} differ"
        )
    assert any(field.get("items") for field in lists), "crm.item.fields shows no options of its enumerations"


def test_user_fields_are_filtered_by_object(ask):
    """Does userfieldconfig.list filter by entityId? Assumed: yes, and not relied on: one list of all objects is cheaper."""
    wanted = f"CRM_{ask.types()[0]['id']}"
    rows = ask.result("userfieldconfig.list", moduleId="crm", filter={"entityId": wanted})["fields"]

    assert {row["entityId"] for row in rows} <= {wanted}, "userfieldconfig.list ignores filter[entityId] here"


def test_user_fields_name_their_type_by_id(ask):
    """Is entityId of a smart process's user field CRM_<id>, with the type's id and not its entityTypeId? Assumed and relied on."""
    ids = {str(row["id"]) for row in ask.types()}
    rows = ask.result("userfieldconfig.list", moduleId="crm", order={"id": "ASC"})["fields"]
    of_types = {row["entityId"] for row in rows if re.fullmatch(r"CRM_\d+", row["entityId"])}
    if not of_types:
        pytest.skip("no user field of a smart process on the first page")

    strangers = {entity for entity in of_types if entity.removeprefix("CRM_") not in ids}
    assert not strangers, f"user fields belong to {sorted(strangers)}, which are no ids of smart processes"


def test_where_options_have_their_details(ask):
    """Has an enumeration's row of userfieldconfig.list its `enum`? Assumed: no; then each is asked for by itself."""
    rows = ask.result("userfieldconfig.list", moduleId="crm", order={"id": "ASC"})["fields"]
    row = next((row for row in rows if row["userTypeId"] == "enumeration"), None) or pytest.skip("no enumeration here")
    whole = ask.result("userfieldconfig.get", moduleId="crm", id=row["id"])["field"]

    assert isinstance(whole.get("enum"), list), "userfieldconfig.get does not show the options of an enumeration"
    assert row.get("enum") in (None, whole["enum"]), "userfieldconfig.list shows other options than userfieldconfig.get"
    assert all({"id", "xmlId", "sort", "def"} <= set(option) for option in whole["enum"]), (
        f"options are {whole['enum'][:1]}"
    )


# --- categories, stages, automation ---------------------------------------------------------------------------------


def test_a_type_without_pipelines_has_one(ask):
    """Does crm.category.list answer one default row where isCategoriesEnabled is N? Assumed: yes, or ENTITY_TYPE_NOT_SUPPORTED."""
    number = ask.type_with("smart process without pipelines", lambda row: row["isCategoriesEnabled"] == "N")[
        "entityTypeId"
    ]
    envelope = ask("crm.category.list", entityTypeId=number)

    if "error" in envelope:
        assert envelope["error"] == "ENTITY_TYPE_NOT_SUPPORTED", (
            f"crm.category.list is refused with {envelope['error']!r}"
        )
    else:
        rows = envelope["result"]["categories"]
        assert [row["isDefault"] for row in rows] == ["Y"], f"a type without pipelines has {len(rows)} of them"


def test_stage_directories_carry_type_and_category(ask):
    """Are the stages of a smart process in DYNAMIC_<entityTypeId>_STAGE_<category id>? Documented; we build and read that name."""
    spa = ask.type_with("smart process with stages", lambda row: row["isStagesEnabled"] == "Y")
    number = spa["entityTypeId"]
    categories = ask.result("crm.category.list", entityTypeId=number)["categories"]
    listed = {row["ID"] for row in ask.result("crm.status.entity.types")}
    missing = [row["id"] for row in categories if f"DYNAMIC_{number}_STAGE_{row['id']}" not in listed]

    assert not missing, f"no stage directory is listed for the categories {missing} of type {number}"


def test_a_directory_filter_gives_that_directory(ask):
    """Does crm.status.list with filter[ENTITY_ID] give that directory and no other? Assumed: yes; unfiltered is not relied on."""
    directory = next(
        (row["ID"] for row in ask.result("crm.status.entity.types") if row["ID"].startswith("DYNAMIC_")), None
    ) or pytest.skip("no stage directory of a smart process")
    rows = ask.result("crm.status.list", filter={"ENTITY_ID": directory}, order={"SORT": "ASC"})

    assert rows, f"crm.status.list has no stage of {directory}"
    assert {row["ENTITY_ID"] for row in rows} == {directory}, (
        "crm.status.list answers other directories than the one asked for"
    )


def test_all_statuses_come_without_a_filter(ask):
    """Does crm.status.list without a filter hold every directory? Relied on: all statuses come from this one list."""
    total = ask("crm.status.list").get("total")
    directories = {row["ID"] for row in ask.result("crm.status.entity.types")}
    seen = {
        row["ENTITY_ID"] for start in range(0, total or 1, PAGE) for row in ask.result("crm.status.list", start=start)
    }

    ask.note("statuses: directories that crm.status.entity.types does not name", len(seen - directories))
    filled = {
        name for name in sorted(directories - seen)[:10] if ask.result("crm.status.list", filter={"ENTITY_ID": name})
    }

    assert not filled, f"crm.status.list without a filter lacks rows of {len(filled)} directories"


def test_semantics_of_stages(ask):
    """Is SEMANTICS of a smart process's stage S, F or null, without EXTRA? Documented; `spa_stages.semantics` comes from it."""
    directories = [row["ID"] for row in ask.result("crm.status.entity.types") if row["ID"].startswith("DYNAMIC_")]
    rows = [row for name in directories[:10] for row in ask.result("crm.status.list", filter={"ENTITY_ID": name})]
    if not rows:
        pytest.skip("no stage of a smart process")
    odd = {row.get("SEMANTICS") for row in rows} - {"S", "F", "P", None, ""}

    assert not odd, f"stages have the semantics {odd}, which spa_stages would call `process`"


def test_statuses_come_whole(ask):
    """Does crm.status.list answer all rows at once, or pages with `next`? Relied on: one of the two."""
    first = ask("crm.status.list", order={"ID": "ASC"})
    rows = first["result"]
    ask.note("statuses: rows in the first answer", len(rows))
    ask.note("statuses: has next", "next" in first)
    if "next" not in first:
        assert first.get("total") in (None, 0, len(rows)), f"{len(rows)} rows of {first['total']} come, and no `next`"
        return
    second = ask.result("crm.status.list", order={"ID": "ASC"}, start=first["next"])

    assert not {row["ID"] for row in rows} & {row["ID"] for row in second}, "`next` repeats rows of the first page"


def test_categories_take_an_offset(ask):
    """Does crm.category.list accept `start`? Assumed: yes; a type with more than 50 pipelines rests on it."""
    number = ask.types()[0]["entityTypeId"]
    rows = ask.result("crm.category.list", entityTypeId=number)["categories"]
    beyond = ask("crm.category.list", entityTypeId=number, start=PAGE)

    assert "error" not in beyond, f"crm.category.list refuses `start`: {beyond.get('error')}"
    again = beyond["result"]["categories"]
    assert not again or again == rows, "start=50 gives categories that the first page does not have"


def test_how_templates_name_their_document(ask):
    """Is DOCUMENT_TYPE a name, `DYNAMIC_156`, or a list that ends with it? Assumed: either."""
    rows = ask.result("bizproc.workflow.template.list", SELECT=["ID", "DOCUMENT_TYPE", "AUTO_EXECUTE"])
    kinds = {
        str(row["DOCUMENT_TYPE"]) for row in rows if not isinstance(row.get("DOCUMENT_TYPE"), (str, list, type(None)))
    }

    assert not kinds, f"DOCUMENT_TYPE is neither text nor list: {kinds}"
    for row in rows:
        last = row["DOCUMENT_TYPE"][-1] if isinstance(row.get("DOCUMENT_TYPE"), list) else row.get("DOCUMENT_TYPE")
        assert last is None or re.fullmatch(r"[\w\\-]+", str(last)), f"template {row['ID']} belongs to {last!r}"


def test_robots_are_no_templates(ask):
    """Are robots among the workflow templates? Assumed: no; they would be rows with another AUTO_EXECUTE than 0 to 3."""
    rows = ask.result("bizproc.workflow.template.list", SELECT=["ID", "AUTO_EXECUTE"])
    odd = {str(row["AUTO_EXECUTE"]) for row in rows} - {"0", "1", "2", "3", "None"}

    assert not odd, f"templates have AUTO_EXECUTE {odd}: robots are listed, and spa_automations has rows for them"


# --- items ----------------------------------------------------------------------------------------------------------


def test_fast_mode_walks_like_offsets(ask):
    """Does crm.item.list with start=-1, `>id` and order by id give what the offset walk gives? Assumed and relied on."""
    number = ask.full_type()
    slow = [
        row["id"] for start in (0, PAGE)
        for row in ask.result("crm.item.list", entityTypeId=number, order={"id": "ASC"}, select=["id"], start=start)["items"]
    ]  # fmt: skip
    fast: list[int] = []
    for _ in range(2):
        bound = {">id": fast[-1] if fast else 0}
        fast += [
            row["id"]
            for row in ask.result(
                "crm.item.list", entityTypeId=number, order={"id": "ASC"}, select=["id"], filter=bound, start=-1
            )["items"]
        ]

    assert fast == slow, "walking by id in fast mode skips or repeats items"


def test_fast_mode_does_not_count(ask):
    """Is `total` 0 or absent under start=-1? Assumed: unusable, so the end is a page that is not full."""
    number = ask.full_type()
    envelope = ask("crm.item.list", entityTypeId=number, select=["id"], start=-1)

    assert envelope.get("next") is None, "fast mode answers `next` here"
    assert not envelope.get("total"), f"fast mode counts here: total {envelope.get('total')}; it could be used"


def test_a_page_has_fifty_items(ask):
    """Is a full page of crm.item.list exactly 50 items? Documented; fewer is how we know the end."""
    rows = ask.result("crm.item.list", entityTypeId=ask.full_type(), select=["id"], start=-1, order={"id": "ASC"})[
        "items"
    ]

    assert len(rows) == PAGE, f"a full page has {len(rows)} items"


def test_an_unknown_field_in_select_is_ignored(ask):
    """Does crm.item.list ignore a select that names no field? Assumed: yes."""
    envelope = ask("crm.item.list", entityTypeId=ask.types()[0]["entityTypeId"], select=["id", "noSuchFieldAtAll"])

    assert "error" not in envelope, f"an unknown field in `select` is refused: {envelope.get('error_description')}"


def test_select_star_brings_every_listed_field(ask):
    """Does `select: ["*"]` bring every column of crm.item.fields? Assumed, but for fields that come on request only."""
    number = ask.full_type()
    missing = set(ask.fields(number)) - set(ask.list_items(number)[0])

    assert not missing - {"contacts", "searchContent"}, f"rows lack {sorted(missing)}, which crm.item.fields lists"


# Keys of smart-process rows that crm.item.fields may not list: columns remain when the features that show them are switched off.
LASTING = {
    "begindate", "closedate", "companyId", "contactId", "opportunity", "isManualOpportunity", "taxValue", "currencyId",
    "mycompanyId", "sourceId", "sourceDescription", "webformId", "previousStageId", "movedTime", "movedBy",
    "opportunityAccount", "taxValueAccount", "accountCurrencyId", "isRecurring", "contactIds", "observers",
    "categoryId", "stageId", "parentIds", "xmlId", "lastCommunicationTime", "lastCommunicationCallTime",
    "lastCommunicationEmailTime", "lastCommunicationImolTime", "lastCommunicationWebformTime",
}  # fmt: skip


def test_rows_have_only_known_keys(ask):
    """Which keys do rows have beyond crm.item.fields? Assumed: utm marks and the lasting columns; others are kept as JSON text."""
    number = ask.full_type()
    extra = set(ask.list_items(number)[0]) - set(ask.fields(number)) - {"entityTypeId", "searchContent"}
    ask.note("items: lasting columns beyond crm.item.fields", ", ".join(sorted(extra & LASTING)))
    odd = {name for name in extra - LASTING if not name.startswith("utm")}

    assert not odd, f"rows also have {sorted(odd)}, which crm.item.fields does not list"


def test_account_amounts_are_in_rows(ask):
    """Do rows of smart processes have the amount in the account's currency? Assumed: yes; the views prefer it to a rate."""
    rows = [row for spa in ask.types() for row in ask.list_items(spa["entityTypeId"])] or pytest.skip("no items")
    having = [row for row in rows if row.get("opportunityAccount") is not None]
    ask.note("items: rows with opportunityAccount in percent", 100 * len(having) // len(rows))

    assert all(isinstance(row["opportunityAccount"], (int, float)) for row in having), "opportunityAccount is no number"


def test_activity_moves_no_updated_time(ask):
    """Is lastActivityTime ever later than updatedTime? Assumed: yes; it is as of the item's last change."""
    rows = [row for spa in ask.types() for row in ask.list_items(spa["entityTypeId"]) if row.get("lastActivityTime")]
    if not rows:
        pytest.skip("no item has a lastActivityTime")
    later = [row for row in rows if row["lastActivityTime"] > row["updatedTime"]]
    ask.note("items: lastActivityTime later than updatedTime in percent", 100 * len(later) // len(rows))


def test_a_multiple_field_is_filtered_by_one_value(ask):
    """Does a filter on a multiple field find the row that holds the value? Assumed; a user's `filter` may use it."""
    for spa in ask.types():
        fields = ask.fields(spa["entityTypeId"])
        for name, field in fields.items():
            if not (field["isMultiple"] and field["isDynamic"] and field["type"] in ("enumeration", "integer")):
                continue
            for row in ask.list_items(spa["entityTypeId"]):
                if row.get(name):
                    wanted = {name: row[name][0], "id": row["id"]}
                    found = ask.result("crm.item.list", entityTypeId=spa["entityTypeId"], select=["id"], filter=wanted)
                    assert [item["id"] for item in found["items"]] == [row["id"]], (
                        "a multiple field is filtered otherwise"
                    )
                    return
    pytest.skip("no multiple field with a value in the first items")


@pytest.mark.parametrize("number", [36, 39])
def test_documents_are_no_items(ask, number):
    """Do crm.item.* methods answer for documents to sign? Assumed: perhaps; they are not read."""
    envelope = ask("crm.item.fields", entityTypeId=number)
    ask.note(f"documents {number}: crm.item.fields", code_of(envelope) if "error" in envelope else "answers")

    assert "result" in envelope or envelope["error"], f"crm.item.fields refuses {number} without a code"


def test_which_types_fields_have(ask):
    """Which field types are there besides the documented ones? Unknown ones are kept as JSON text."""
    types = {field["type"] for spa in ask.types() for field in ask.fields(spa["entityTypeId"]).values()}
    shown = {"rest_app" if name.startswith("rest_") else name for name in types}
    ask.note("fields: types", ", ".join(sorted(name for name in shown if re.fullmatch(r"[a-z_]{1,30}", name))))

    assert all(isinstance(name, str) and name for name in types), "a field has no type"


@pytest.mark.parametrize("name", ["measure", "vat", "priceType"])
def test_where_catalog_lists_have_their_rows(ask, name):
    """Are rows of catalog.*.list below `result`? Assumed: either; these lists are not read."""
    envelope = ask(f"catalog.{name}.list")
    if "error" in envelope:
        pytest.skip("no scope catalog")
    ask.note(f"catalog.{name}.list: rows are below result", isinstance(envelope.get("result"), dict))


def test_moments_have_an_offset(ask):
    """Are datetimes of items ISO with an offset? Documented; without one an instant would be a guess."""
    for field, value in ask.values(
        "a datetime field", lambda field: field["type"] == "datetime" and not field["isMultiple"]
    ):
        assert datetime.fromisoformat(value).tzinfo, f"{field['upperName']} has no offset: {value}"


def test_updated_time_is_never_null(ask):
    """Can updatedTime be null? Assumed: not for smart processes; incremental loading goes by it."""
    rows = [row for spa in ask.types() for row in ask.list_items(spa["entityTypeId"])] or pytest.skip("no items")
    without = [row["id"] for row in rows if not row.get("updatedTime")]

    assert not without, f"items {without[:5]} have no updatedTime: a run by updatedTime would miss them"


def test_enumeration_values_are_option_ids(ask):
    """Is the value of an enumeration the option's id, as number or text? Assumed: either; the column is BIGINT."""
    for field, value in ask.values(
        "an enumeration", lambda field: field["type"] == "enumeration" and not field["isMultiple"]
    ):
        known = {str(item["ID"]) for item in field.get("items") or []}
        assert str(value) in known, (
            f"{field['upperName']} holds {value!r}, which is none of its options {sorted(known)[:5]}"
        )


def test_directory_values_are_codes(ask):
    """Does a user field of type crm_status hold the STATUS_ID or a numeric id? Assumed: the code; the column is TEXT."""
    found = ask.values("a crm_status user field", lambda field: field["type"] == "crm_status" and field["isDynamic"])
    for field, value in found:
        settings = field.get("settings")
        directory = settings.get("ENTITY_TYPE") if isinstance(settings, dict) else None
        rows = ask.result("crm.status.list", filter={"ENTITY_ID": directory or field.get("statusType")})
        codes = {row["STATUS_ID"] for row in rows}
        assert set(value if isinstance(value, list) else [value]) <= codes, (
            f"{field['upperName']} holds {value!r}, which is no STATUS_ID of {directory}"
        )


def test_employees_are_numbers(ask):
    """Is the value of an employee field a number or digits? Assumed: either; the column is BIGINT."""
    for field, value in ask.values("an employee field", lambda field: field["type"] == "employee"):
        ids = value if isinstance(value, list) else [value]
        assert all(str(id_).isdigit() for id_ in ids), f"{field['upperName']} holds {value!r}"


def test_files_have_an_id(ask):
    """Is a set file an object with an id, and a multiple one a list of them? Assumed; only the id is kept."""
    for field, value in ask.values("a file field", lambda field: field["type"] == "file"):
        assert isinstance(value, list) == field["isMultiple"], f"{field['upperName']} is {type(value).__name__}"
        files = value if isinstance(value, list) else [value]
        assert all(str(file.get("id", "")).isdigit() for file in files), f"{field['upperName']} has files without an id"


def test_bindings_name_their_object(ask):
    """Is a CRM binding `T9c_6`, `CO_3`, or a bare number where one type is allowed? Assumed: either."""
    for field, value in ask.values("a CRM binding", lambda field: field["type"] == "crm"):
        for single in value if isinstance(value, list) else [value]:
            assert re.fullmatch(r"(?:[A-Z]+|T[0-9a-f]+)_\d+|\d+", str(single)), f"{field['upperName']} holds {single!r}"


def test_money_is_an_amount_and_a_currency(ask):
    """Is money `amount|CURRENCY`? Documented; amount and currency become two columns."""
    for field, value in ask.values("a money field", lambda field: field["type"] == "money"):
        for single in value if isinstance(value, list) else [value]:
            assert re.fullmatch(r"-?\d+(?:\.\d+)?\|[A-Z]{3}", single), f"{field['upperName']} holds {single!r}"


# --- what happens to items ------------------------------------------------------------------------------------------

BY_ID = ["crm.stagehistory.list", "crm.activity.list", "crm.item.productrow.list"]


@pytest.mark.parametrize("method", BY_ID)
def test_other_lists_walk_fast_like_offsets(ask, method):
    """Do these lists with start=-1, `>id` and order by id give what the offset walk gives? Assumed and relied on."""
    long = ask.long_list(method)
    slow = [row[long.id_field] for start in (0, PAGE) for row in ask.page(long, start=start)]
    fast: list[Any] = []
    for _ in range(2):
        bound = {f">{long.id_field}": fast[-1] if fast else 0}
        fast += [row[long.id_field] for row in ask.page(long, start=-1, filter=bound)]

    assert len(fast) == 2 * PAGE, f"two full pages of {method} have {len(fast)} rows"
    assert fast == slow, f"walking {method} by id in fast mode skips or repeats rows"


@pytest.mark.parametrize("method", BY_ID)
def test_references_reach_into_other_lists(ask, method):
    """Do `$result[c0][items][49][ID]` and `$result[c0][49][ID]` give the last id of a page? Chains of pages rest on it."""
    long = ask.long_list(method)
    query = params_to_query({**long.params, "start": -1})
    rows_key = f"[{long.rows_key}]" if long.rows_key else ""
    last = f"$result[c0]{rows_key}[{PAGE - 1}][{long.id_field}]"
    bound = f"filter[%3E{long.id_field}]"
    answer = ask.batch(c0=f"{method}?{query}&{bound}=0", c1=f"{method}?{query}&{bound}={last}")["result"]
    first, second = (
        [row[long.id_field] for row in (answer[key][long.rows_key] if long.rows_key else answer[key])]
        for key in ("c0", "c1")
    )
    direct = [row[long.id_field] for row in ask.page(long, start=-1, filter={f">{long.id_field}": first[-1]})]

    assert second == direct, f"a $result reference did not continue where the page of {method} ended"


def test_history_of_smart_processes_is_listed(ask):
    """Does crm.stagehistory.list answer for smart processes? Documented; builds that lack it refuse, and load_issues says so."""
    number = ask.type_with("smart process with stages", lambda row: row["isStagesEnabled"] == "Y")["entityTypeId"]
    envelope = ask("crm.stagehistory.list", entityTypeId=number)

    assert "error" not in envelope, f"history of smart processes is refused: {envelope.get('error_description')}"


@pytest.mark.parametrize("number", [1, 2, 31])
def test_history_spells_stages_as_documented(ask, number):
    """Are ids of history numbers and times with an offset, and do leads alone say STATUS_ID for STAGE_ID? Documented."""
    rows = ask.result("crm.stagehistory.list", entityTypeId=number)["items"] or pytest.skip("no history")
    stage = "STATUS_ID" if number == 1 else "STAGE_ID"

    assert all({"ID", "TYPE_ID", "OWNER_ID", "CREATED_TIME", stage} <= set(row) for row in rows), f"rows are {rows[:1]}"
    assert all(str(row[name]).isdigit() for row in rows for name in ("ID", "OWNER_ID", "TYPE_ID"))
    assert all(datetime.fromisoformat(row["CREATED_TIME"]).tzinfo for row in rows), "CREATED_TIME has no offset"


def test_history_is_of_items_that_are_shown(ask):
    """Is there history of deleted items, or of items that may not be read? Assumed: no; ours stays when they go."""
    long = ask.long_list("crm.stagehistory.list")
    number, owners = long.params["entityTypeId"], {row["OWNER_ID"] for row in ask.page(long, start=-1)}
    shown = ask.result(
        "crm.item.list", entityTypeId=number, filter={"@id": sorted(owners)}, select=["id"], order={"id": "ASC"}, start=-1
    )["items"]  # fmt: skip

    missing = sorted(owners - {row["id"] for row in shown})
    assert not missing, (
        f"history of type {number} tells of {missing[:5]}, which crm.item.list does not show: they are kept"
    )


def test_product_rows_of_several_owners(ask):
    """Does `=ownerId` take several owners, and give the rows of these and no others? Documented; twenty are asked for at once."""
    owners = [row["id"] for row in ask.deals()][:10]
    together = ask.result("crm.item.productrow.list", filter={"=ownerType": "D", "=ownerId": owners}, start=-1)
    alone = [
        row["id"]
        for owner in owners
        for row in ask.result("crm.item.productrow.list", filter={"=ownerType": "D", "=ownerId": owner})["productRows"]
    ]
    found = {row["id"]: row for row in together["productRows"]}

    assert {row["ownerId"] for row in found.values()} <= set(owners), (
        "rows of owners that nobody asked for are answered"
    )
    if len(found) == PAGE:
        pytest.skip("ten deals have more product rows than a page holds")
    assert sorted(found) == sorted(alone), "several owners together have other product rows than one by one"


def test_product_rows_of_smart_processes_go_by_the_short_code(ask):
    """Is `=ownerType` of a smart process its SYMBOL_CODE_SHORT, T and the lower-case hexadecimal number? Assumed where none is listed."""
    number = ask.type_with("smart process with products", lambda row: row["isLinkWithProductsEnabled"] == "Y")[
        "entityTypeId"
    ]
    listed = {int(row["ID"]): row["SYMBOL_CODE_SHORT"] for row in ask.result("crm.enum.ownertype")}
    ids = [row["id"] for row in ask.list_items(number)] or pytest.skip("no items")
    owned = {"=ownerType": listed.get(number, f"T{number:x}"), "=ownerId": ids}
    rows = ask.result("crm.item.productrow.list", filter=owned)["productRows"]

    assert listed.get(number) == f"T{number:x}", f"type {number} has the short code {listed.get(number)!r}"
    assert {row["ownerType"] for row in rows} <= {listed[number]}, "rows name their owner's type otherwise than asked"


def test_activities_come_once(ask):
    """Does an activity that is bound to several items come once, without a filter on BINDINGS? Assumed; documented with that filter."""
    ids = [row["ID"] for row in ask.activities("SUBJECT")]

    assert len(ids) == len(set(ids)), (
        "activities are repeated without a filter on BINDINGS: they cannot be walked by id"
    )


def test_bindings_come_with_activities_or_not_at_all(ask):
    """Does crm.activity.list answer BINDINGS when it is named in `select`? crm.activity.fields lists it. Assumed: either; if so, all of them."""
    envelope = ask("crm.activity.list", order={"ID": "ASC"}, select=["ID", "BINDINGS"], start=-1)
    assert "error" not in envelope, f"BINDINGS in `select` is refused, and asked for no more: {envelope.get('error')}"
    rows = envelope["result"] or pytest.skip("the portal has no activity")
    assert len(rows) == len({row["ID"] for row in rows}), "activities are repeated when BINDINGS is named in `select`"

    for row in [row for row in rows if row.get("BINDINGS")][:10]:
        asked = ask.result("crm.activity.binding.list", activityId=row["ID"])
        told = {(int(binding["OWNER_TYPE_ID"]), int(binding["OWNER_ID"])) for binding in row["BINDINGS"]}
        assert {(binding["entityTypeId"], binding["entityId"]) for binding in asked} <= told, (
            f"BINDINGS of activity {row['ID']} lacks some that crm.activity.binding.list has: it must not be relied on"
        )


def test_bindings_of_an_activity(ask):
    """Does crm.activity.binding.list name entityTypeId and entityId, and refuse an unknown activity with NOT_FOUND? Documented."""
    rows = ask.result("crm.activity.binding.list", activityId=ask.activities()[0]["ID"])
    unknown = ask("crm.activity.binding.list", activityId=2_000_000_000)

    assert all({"entityTypeId", "entityId"} <= set(row) for row in rows), f"bindings are {rows[:1]}"
    assert unknown.get("error") == "NOT_FOUND", f"an unknown activity is answered with {unknown.get('error')!r}"


def test_activities_without_a_deadline(ask):
    """Is an activity without a deadline due in the year 9999, or never? Shown in a tutorial; both are NULL in `activities`."""
    deadlines = [row.get("DEADLINE") for row in ask.activities("DEADLINE")]
    odd = [value for value in deadlines if value and not datetime.fromisoformat(value).tzinfo]

    assert not odd, f"deadlines have no offset: {odd[:3]}"
    assert not [value for value in deadlines if value and "3000" < value[:4] < "9999"], (
        "another far year means no deadline"
    )


# --- the rest of CRM ------------------------------------------------------------------------------------------------


def test_the_mode_says_whether_there_are_leads(ask):
    """Is crm.settings.mode.get 1 with leads and 2 without? Documented; in mode 2 leads are left out without being asked for."""
    mode = ask.result("crm.settings.mode.get")

    assert str(mode) in ("1", "2"), f"crm.settings.mode.get answers {mode!r}"


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7, 31])
def test_objects_are_read_as_smart_processes_are(ask, number):
    """Do crm.item.fields and crm.item.list answer for the built-in objects, with `id` and `updatedTime`? Documented and relied on."""
    fields, rows = ask.fields(number), ask.list_items(number)

    assert {"id", "updatedTime"} <= set(fields), f"type {number} has only the fields {sorted(fields)[:9]}"
    assert all({"id", "updatedTime"} <= set(row) for row in rows), f"rows of type {number} lack id or updatedTime"
    assert all(row["updatedTime"] for row in rows), f"rows of type {number} have no updatedTime"


@pytest.mark.parametrize("number", [1, 3, 4])
def test_phones_come_with_everything(ask, number):
    """Does a row of leads, contacts and companies have `fm`, unasked and whether or not the fields list it? Assumed and relied on."""
    rows = ask.result("crm.item.list", entityTypeId=number, order={"id": "ASC"}, start=-1)["items"]
    found = [contact for row in rows for contact in row.get("fm") or []] or pytest.skip(
        "no phone or e-mail in the first rows"
    )

    assert all({"id", "typeId", "valueType", "value"} <= set(contact) for contact in found), (
        f"phones are {sorted(found[0])}"
    )


def test_users_come_in_the_order_of_their_ids(ask):
    """Are `sort` and `order` of user.get two strings, and does `start` give the next page? Documented; all users rest on it."""
    first = ask("user.get", sort="ID", order="ASC")
    if "error" in first:
        pytest.skip(f"user.get is refused here: {first['error']}")
    second = ask.result("user.get", sort="ID", order="ASC", start=PAGE) if "next" in first else []
    ids = [int(row["ID"]) for row in (*first["result"], *second)]

    assert ids == sorted(set(ids)), "user.get with sort=ID repeats users or mixes their order"
    assert "next" in first or len(ids) == first["total"], f"user.get counts {first['total']} and shows {len(ids)} users"


def test_users_have_no_time_of_change(ask):
    """Is TIMESTAMP_X of a user an empty object? Assumed; so users are read whole each time."""
    rows = ask.result("user.get", sort="ID", order="ASC")
    times = [row["TIMESTAMP_X"] for row in rows if isinstance(row.get("TIMESTAMP_X"), str) and row["TIMESTAMP_X"]]

    assert not times, f"users say when they were changed ({times[0]}): they could be read by what changed"


def test_departments_take_an_offset(ask):
    """Is the offset of department.get called `start`, in small letters? Relied on; the documents' START is passed over."""
    first = ask("department.get", sort="ID", order="ASC")
    if "error" in first or (first.get("total") or 0) <= PAGE:
        pytest.skip("department.get has no second page here")
    second = ask.result("department.get", sort="ID", order="ASC", start=PAGE)
    capitals = ask.result("department.get", sort="ID", order="ASC", START=PAGE)
    ask.note("department.get: START in capitals is heeded", capitals[:1] == second[:1])

    assert second, "start=50 gives nothing although there are more than 50 departments"
    assert not {row["ID"] for row in first["result"]} & {row["ID"] for row in second}, "start=50 repeats the first page"


def test_administrators_see_everybody(ask):
    """Does user.get with ADMIN_MODE show people that it hides otherwise? Assumed: to administrators; nobody is refused."""
    plain, everybody = ask("user.get"), ask("user.get", ADMIN_MODE=True)
    if "error" in plain:
        pytest.skip("user.get is refused here")
    assert "error" not in everybody, f"ADMIN_MODE is refused: {everybody['error']}"
    ask.note("people: with ADMIN_MODE more", (everybody.get("total") or 0) - (plain.get("total") or 0))

    assert (everybody.get("total") or 0) >= (plain.get("total") or 0), "ADMIN_MODE hides people"


def test_currencies_are_not_counted(ask):
    """Is `total` of crm.currency.list 0 though rows come? Shown by the vendor; assumed unusable, and each currency stands there once."""
    envelope = ask("crm.currency.list", order={"sort": "asc"})
    if "error" in envelope:
        pytest.skip(f"crm.currency.list is refused here: {envelope.get('error_description')}")
    rows = envelope["result"]
    names = [row["CURRENCY"] for row in rows]

    assert envelope.get("total") in (None, 0, len(rows)), f"{len(rows)} currencies are counted as {envelope['total']}"
    assert len(names) == len(set(names)), f"currencies stand twice: {names}; only the base one is kept of these"
    assert [row["BASE"] for row in rows].count("Y") == 1, "there is not one base currency"


# --- the questions themselves ---------------------------------------------------------------------------------------

MINUTE = timedelta(minutes=1)
SERVERS = [timezone(timedelta(hours=hours)) for hours in (3, -5)]
ZONES = [timezone(minutes * MINUTE) for minutes in (0, 120, -345, 660, -660, 345, 45)]


FEW_PAIRS = [*((timezone.utc, owner) for owner in ZONES), (SERVERS[0], ZONES[2]), (SERVERS[1], ZONES[5])]
MANY_PAIRS = [(server, owner) for server in SERVERS for owner in ZONES if (server, owner) not in FEW_PAIRS]


@pytest.mark.parametrize(
    ("server", "owner"),
    [*FEW_PAIRS, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in MANY_PAIRS)],
    ids=str,
)
def test_the_shift_is_measured_as_it_is(server, owner):
    """A portal whose owner lives elsewhere: the measured shift is the difference of the zones, and the facts about it hold."""
    with requests.Session() as session:
        ask = in_sandbox(session, zone=server, owner_zone=owner)
        expected = owner.utcoffset(None) - server.utcoffset(None)
        if abs(expected) > 14 * HOUR:
            pytest.skip("no two zones are so far apart")

        assert ask.shift(ask.item_probe(*ask.quiet_item())) == expected
        assert ask.owner_offset() == expected
        test_a_filter_is_moved_by_the_owners_zone(ask)
        test_an_item_is_found_at_its_own_second(ask)
        test_the_offset_of_a_bound_counts(ask)
        test_a_bound_without_offset_is_the_owners_wall_clock(ask)
        test_activities_are_filtered_unmoved(ask)
        test_dates_are_utc_midnights(ask)


@pytest.mark.parametrize("time_filter", ["ignored", "iso_ignored"])
def test_an_ignored_filter_is_no_shift(time_filter):
    """A portal that passes over the bound fails the question instead of answering it with a number."""
    with requests.Session() as session:
        ask = in_sandbox(session)
        ask.portal.interpretations.time_filter = time_filter
        with pytest.raises(pytest.fail.Exception, match="ignored here"):
            ask.shift(ask.item_probe(*ask.quiet_item()))


@pytest.mark.parametrize(
    "method",
    ["crm.item.update", "crm.item.add", "crm.item.delete", "event.offline.clear", "crm.status.add", "user.add"],
)
def test_nothing_that_writes_is_asked(method):
    """A method that might change something is refused before it is sent, alone and in a batch."""
    with requests.Session() as session:
        ask = in_sandbox(session)
        for send in (lambda: ask(method), lambda: ask.batch(c0=f"{method}?id=1"), lambda: ask.form(method, "id=1")):
            with pytest.raises(PermissionError):
                send()

        assert ask.portal.requests == []


def test_the_summary_names_nobody():
    """After all questions the summary holds facts, and no word of what somebody typed in, of a person, or of the address."""
    summary = Summary()
    with requests.Session() as session:
        ask = in_sandbox(session, summary)
        for question in QUESTIONS:
            try:
                question(ask)
            except (pytest.skip.Exception, AssertionError):
                continue
        portal = ask.portal
    text = "\n".join(summary.lines())
    world = portal.world
    typed = {row["title"] for row in portal.types()} | {row["NAME"] for row in world.departments}
    typed |= {row[name] for row in world.users for name in ("NAME", "LAST_NAME", "EMAIL") if row.get(name)}
    typed |= {urlsplit(portal.base_url).hostname, portal.webhook_code}

    assert len(text.splitlines()) > 15
    assert [word for word in typed if word and word in text] == []


@pytest.mark.parametrize("value", ["Анна Петрова", "a@b.example", "https://x/rest/1/c0de/", "two words", "x" * 41])
def test_the_summary_takes_codes_only(value):
    """What somebody may have typed in cannot be noted."""
    with pytest.raises(ValueError, match="no number, flag or code"):
        Summary().note("fact", value)


QUESTIONS = [
    question
    for name, question in list(globals().items())
    if name.startswith("test_") and question.__code__.co_varnames[: question.__code__.co_argcount] == ("ask",)
]

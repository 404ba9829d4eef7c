"""What the tests of items share: a way to the portal that can be listened to, readings, and loads into a real database.

Fixtures to ask for, beside those of the whole suite:

    line            line(portal): the way to a portal; it writes down what is asked, and a test may act between two requests
    reading         reading(line): reads items without dlt, and says what came and what failed
    warehouse       warehouse(portal): a pipeline into a database of its own
    demo, hostile   Warehouses of these portals after one run, one for all tests: to look at only
    spas            spas({177: 50, 1030: 0}): a portal whose smart processes have so many items; with crooked=True one
                    that can be told to mishear its commands or to tell their results wrongly
"""

# ruff: noqa: S608 - tables and columns of the tests' own

from __future__ import annotations

import functools
import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import dlt
import pytest
import requests
from databases import DuckDB, make
from dlt.common.runtime.run_context import RunContext, switched_run_context

from bitrix24_source import bitrix24
from bitrix24_source.errors import Bitrix24Error
from bitrix24_source.reader.events import ListEnd, PageBatch
from bitrix24_source.reader.id_ranges import IdRange
from bitrix24_source.reader.list_queries import ListQuery
from bitrix24_source.reader.scheduler import read_lists
from bitrix24_source.reader.unusable_rows import UnusableRows
from bitrix24_source.rest.client import Client, ClientSettings
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter, query_to_params
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

ODD_TYPES = [177, 1030, 1032, 1034, 1038, 1040, 1042, 1048, 1060]
"""of the hostile portal: odd values, 300 fields, names that collide, no stages, no categories, sparse ids, no items"""

PLAIN = ("isClientEnabled", "isObserversEnabled", "isSourceEnabled", "isMycompanyEnabled", "isBeginCloseDatesEnabled")
"""switches that are off where it is not fields that are tested: fewer tables load faster"""

Row = dict[str, Any]


# --- the way to the portal ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """One crm.item.list command and the ids that came back for it; None where it failed."""

    entity_type_id: int
    params: Mapping[str, Any]
    ids: tuple[int, ...] | None

    @property
    def is_page(self) -> bool:
        """Not a look for the newest ids."""
        return self.params["order"] == {"id": "ASC"}


class Line(SandboxAdapter):
    """The way to a portal. Requests pass one at a time; `before` is called with the number of each, from 0."""

    def __init__(self, portal: Portal) -> None:
        super().__init__(portal)
        self.before: Callable[[int], None] = lambda _number: None
        self.asked: list[Asked] = []
        self.seconds: list[float] = []
        self._one_at_a_time = threading.RLock()

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        with self._one_at_a_time:
            self.before(len(self.seconds))
            started = self.portal.clock.monotonic()
            try:
                return super().send(request, *args, **kwargs)
            finally:
                self.seconds.append(self.portal.clock.monotonic() - started)

    def _response(self, reply: Any, request: Any, **kwargs: Any) -> requests.Response:
        self.asked += _asked(json.loads(request.body or b"{}"), reply.body)
        return super()._response(reply, request, **kwargs)

    def client(self, settings: ClientSettings | None = None, auth: str = "webhook") -> Client:
        session = requests.Session()
        session.mount("https://", self)
        credentials = Bitrix24Credentials(**self.portal.credentials(self.portal.base_url)[auth])
        return Client(auth_from_credentials(credentials), settings, clock=self.portal.clock, session=session)

    def wasted(self) -> int:
        """Commands that brought no row which had not come before: strictly counted, looks for the newest ids as well."""
        had: set[tuple[int, int]] = set()
        wasted = 0
        for asked in self.asked:
            new = {(asked.entity_type_id, id_) for id_ in asked.ids or ()} - had if asked.is_page else set()
            wasted += not new
            had |= new
        return wasted


def _asked(body: Mapping[str, Any], answer: bytes) -> Iterator[Asked]:
    try:
        results = json.loads(answer).get("result", {}).get("result") or {}
    except (ValueError, AttributeError):
        results = {}
    for key, command in body.get("cmd", {}).items():
        method, _, query = command.partition("?")
        if method == "crm.item.list":
            params = query_to_params(query)
            page = results.get(key)
            items = page.get("items", []) if isinstance(page, dict) else []
            rows = items.values() if isinstance(items, dict) else items
            numbers = tuple(int(row["id"]) for row in rows if isinstance(row, dict) and str(row["id"]).isdecimal())
            ids = numbers if key in results else None
            yield Asked(int(params["entityTypeId"]), params, ids)


@pytest.fixture
def line() -> Callable[[Portal], Line]:
    """The way to a portal."""
    return Line


# --- portals --------------------------------------------------------------------------------------------------------


@pytest.fixture
def spas(clock: Clock) -> Callable[..., Any]:
    """A portal with as many items in each smart process as is said; nothing else is in it."""

    def make(counts: Mapping[int, int], *, crooked: bool = False, **more: Any) -> Any:
        portal = (CrookedPortal if crooked else Portal)(scenario="empty", clock=clock, **more)
        for entity_type_id, count in counts.items():
            portal.add_type(f"Process {entity_type_id}", entity_type_id=entity_type_id, items=count, off=PLAIN)
        return portal

    return make


class CrookedPortal(Portal):
    """A portal that hears something else than was said, or says something else than it means, in its batches."""

    UNANSWERED = object()
    """a result that is left out of the answer"""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hear: Callable[[str], str] = lambda command: command
        """the command as the portal takes it"""
        self.say: Callable[[str, Any], Any] = lambda _command, result: result
        """the result of a command as the portal tells it"""
        self.tell: Callable[[dict[str, Any]], None] = lambda _answer: None
        """changes the whole answer to a batch"""

    def ignore(self, parameter: str, *, of: int) -> None:
        """Of one type's items, a parameter as in `filter[>id]` goes unheard."""

        def hear(command: str) -> str:
            method, _, query = command.partition("?")
            if method != "crm.item.list" or query_to_params(query)["entityTypeId"] != str(of):
                return command
            kept = [pair for pair in query.split("&") if unquote_plus(pair.partition("=")[0]) != parameter]
            return f"{method}?{'&'.join(kept)}"

        self.hear = hear

    def handle(self, *args: Any, body: bytes = b"", **kwargs: Any) -> Any:
        *before, body = args if len(args) == 5 else (*args, body)
        asked = json.loads(body or b"{}")
        said = asked.get("cmd", {})
        if said:
            asked["cmd"] = {key: self.hear(command) for key, command in said.items()}
        reply = super().handle(*before, body=json.dumps(asked).encode(), **kwargs)
        answer = json.loads(reply.body) if said and reply.status == 200 else {}
        results = (answer.get("result") or {}).get("result")
        if isinstance(results, dict):
            told = {key: self.say(said[key], result) for key, result in results.items()}
            answer["result"]["result"] = {key: one for key, one in told.items() if one is not self.UNANSWERED} or []
            self.tell(answer)
            reply.body = json.dumps(answer).encode()
        return reply


@pytest.fixture
def crooked_portal(clock: Clock) -> Callable[..., CrookedPortal]:
    """A portal with a scenario of the sandbox that can be told to mishear."""
    return functools.partial(CrookedPortal, clock=clock)


# --- reading without dlt --------------------------------------------------------------------------------------------


@dataclass
class Reading:
    """What came, by entityTypeId; `ended` has an entry for each list that was told to be over, with its error."""

    rows: dict[int, list[Row]] = field(default_factory=dict)
    ended: dict[int, Bitrix24Error | None] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)
    unusable: dict[int, UnusableRows] = field(default_factory=dict)
    """rows that were passed over"""

    def ids(self, entity_type_id: int = 177) -> list[int]:
        """In ascending order, as often as they came."""
        return sorted(int(row["id"]) for row in self.rows.get(entity_type_id, ()))

    def twice(self) -> list[int]:
        """Ids that came more than once in their type."""
        return [id_ for type_ in self.rows for id_, times in Counter(self.ids(type_)).items() if times > 1]


@pytest.fixture
def reading() -> Callable[..., Reading]:
    """Reads the items of types to their end."""

    def read(
        way: Line, types: Iterable[int] = (177,), connections: int = 4, select: Sequence[str] = ("title",),
        auth: str = "webhook", **more: Any,
    ) -> Reading:  # fmt: skip
        done = Reading()
        lists = [ListQuery(type_, select=tuple(select), **more) for type_ in types]
        for what in read_lists(way.client(auth=auth), list(map(IdRange, lists)), connections):
            type_ = what.items.entity_type_id
            if isinstance(what, PageBatch):
                assert type_ not in done.ended, "rows came after the end"
                done.rows.setdefault(type_, []).extend(map(dict, what.rows))
                done.left.append(what.left)
                done.unusable[type_] = done.unusable.get(type_, UnusableRows()) + what.unusable
            elif isinstance(what, ListEnd):
                assert type_ not in done.ended, "a list ended twice"
                done.ended[type_] = what.error
        return done

    return read


# --- loading with dlt -----------------------------------------------------------------------------------------------


@dataclass
class Warehouse:
    """A portal, and a database that it is loaded into."""

    line: Line
    pipeline: dlt.Pipeline
    database: DuckDB

    @property
    def portal(self) -> Portal:
        return self.line.portal

    def source(self, **arguments: Any) -> Any:
        credentials = self.portal.credentials(self.portal.base_url)["webhook"]
        return bitrix24(credentials=credentials, client=self.line.client(), **arguments)

    def run(self, *resources: str, **arguments: Any) -> None:
        """One run of these resources, by default the items alone."""
        self.pipeline.run(self.source(**arguments).with_resources(*(resources or ("spa_items",))))

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Past dlt. `{}` in the SQL stands for the dataset, `?` for a value."""
        return self.database.query(sql, *values)

    def rows(self, table: str, *columns: str) -> list[Row]:
        """Rows without dlt's own columns, by the first of them."""
        rows = self.database.rows(table, *columns)
        names = list(rows[0])[:2] if rows else []
        return sorted(rows, key=lambda row: [(row[name] is None, row[name] or 0) for name in names])

    def ids(self, entity_type_id: int = 177) -> list[int]:
        """In ascending order, as often as they are there."""
        return [id_ for (id_,) in self.query(f"select id from {{}}.spa_items_{entity_type_id} order by id")]

    def one(self, id_: int, *columns: str, entity_type_id: int = 177) -> Any:
        """Columns of one item; the bare value of a single one."""
        named = ", ".join(columns)
        ((*cells,),) = self.query(f"select {named} from {{}}.spa_items_{entity_type_id} where id = ?", id_)
        return cells[0] if len(columns) == 1 else tuple(cells)

    def tables(self) -> dict[str, dict[str, str]]:
        """Every table with its columns and their types, in DuckDB's words; without dlt's own."""
        return {
            table: {column: type_ for column, type_ in columns.items() if not column.startswith("_dlt")}
            for table, columns in self.database.types().items()
            if not table.startswith("_dlt")
        }

    def types(self, table: str) -> dict[str, str]:
        return self.tables()[table]

    def issues(self) -> list[Row]:
        return self.rows("load_issues")

    def rejected(self) -> list[Row]:
        return self.rows("rejected_values")


def make_warehouse(folder: Path, portal: Portal, database: DuckDB, progress: Any = None) -> Warehouse:
    """A pipeline in a folder of its own."""
    pipeline = dlt.pipeline(
        folder.name,
        pipelines_dir=str(folder / "pipelines"),
        destination=database.destination,
        dataset_name=database.dataset,
        progress=progress,
    )
    return Warehouse(Line(portal), pipeline, database)


@pytest.fixture
def warehouse(tmp_path: Path, database: Callable[..., DuckDB]) -> Callable[..., Warehouse]:
    """Makes warehouses, each with a pipeline and a database of its own."""
    number = itertools.count()

    def made(portal: Portal, **more: Any) -> Warehouse:
        folder = tmp_path / f"warehouse{next(number)}"
        return make_warehouse(folder, portal, database(folder), **more)

    return made


@pytest.fixture(scope="session")
def load_once(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[Callable[..., Warehouse]]:
    """Loads catalogue and items of a portal for all tests that only look."""
    made: list[Warehouse] = []

    def load(scenario: str, items: int, types: Sequence[int] | None = None) -> Warehouse:
        clock = Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))
        folder = tmp_path_factory.mktemp(scenario)
        with switched_run_context(RunContext(str(folder))):
            made.append(make_warehouse(folder, Portal(scenario, items=items, clock=clock), make(engine, folder)))
            made[-1].run("spa_types", "spa_fields", "spa_items", spa_types=types)
        return made[-1]

    yield load
    for one in made:
        one.database.drop()


@pytest.fixture(scope="session")
def demo(load_once: Callable[..., Warehouse]) -> Warehouse:
    """The believable portal after one run, for tests that only look."""
    return load_once("demo", 300)


@pytest.fixture(scope="session")
def hostile(load_once: Callable[..., Warehouse]) -> Warehouse:
    """The portal of everything odd after one run, for tests that only look: the types that are odd, and a few others."""
    return load_once("hostile", 700, ODD_TYPES)

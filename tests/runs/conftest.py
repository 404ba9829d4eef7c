"""What the tests of runs share: a job that a scheduler starts again and again, and the portal and the database around it.

Fixtures to ask for, beside those of the whole suite:

    spas      spas({177: 50, 1030: 0}): a portal whose smart processes have so many items; nothing else is in it
    job       job(portal): a job that loads this portal, run by run, into a database of its own
    reader    reader(portal): the same without dlt and database, a hundred times as fast: what is read, merged by id
"""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from databases import DuckDB
from in_memory import MemoryDestination, MemoryLoadContext

from bitrix24_source import bitrix24
from bitrix24_source.app import LoadSummary, run_load
from bitrix24_source.catalog.discovery import read_catalog
from bitrix24_source.catalog.issues import IssueLog
from bitrix24_source.rest.client import Client
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter, query_to_params
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials
from bitrix24_source.sync.engine import SyncRun
from bitrix24_source.sync.options import SyncOptions
from bitrix24_source.sync.selection import SPA_ITEMS, select_streams
from bitrix24_source.sync.session import RunSession

PLAIN = ("isClientEnabled", "isObserversEnabled", "isSourceEnabled", "isMycompanyEnabled", "isBeginCloseDatesEnabled")
"""switches that are off: fewer tables load faster, and what is in them is not what runs are about"""

Row = dict[str, Any]


# --- portals --------------------------------------------------------------------------------------------------------


@pytest.fixture
def spas(clock: Clock) -> Callable[..., Portal]:
    """A portal with as many items in each smart process as is said."""

    def make(counts: Mapping[int, int], **more: Any) -> Portal:
        portal = Portal(scenario="empty", **{"clock": clock, **more})
        for entity_type_id, count in counts.items():
            portal.add_type(f"Process {entity_type_id}", entity_type_id=entity_type_id, items=count, off=PLAIN)
        return portal

    return make


# --- jobs -----------------------------------------------------------------------------------------------------------


class Line(SandboxAdapter):
    """The way to a portal. Requests pass one at a time; `before` is called with the number of each, from 0."""

    def __init__(self, portal: Portal) -> None:
        super().__init__(portal)
        self.before: Callable[[int], None] = lambda _number: None
        self.bodies: list[Mapping[str, Any]] = []
        self._one_at_a_time = threading.RLock()

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        with self._one_at_a_time:
            self.before(len(self.bodies))
            self.bodies.append(json.loads(request.body or b"{}"))
            return super().send(request, *args, **kwargs)

    def lists(self) -> list[tuple[int, Mapping[str, Any]]]:
        """entityTypeId and filter of each crm.item.list command that was asked for."""
        commands = [command.partition("?") for body in self.bodies for command in body.get("cmd", {}).values()]
        params = [query_to_params(query) for method, _, query in commands if method == "crm.item.list"]
        return [(int(one["entityTypeId"]), one.get("filter") or {}) for one in params]


@dataclass
class Reader:
    """Run after run of the items of one portal, without dlt: memory and rows are kept in dictionaries.

    Attributes:
        portal: what it reads.
        clock: of the machine that it runs on; as a rule the portal's own.
        line: the way to the portal in the latest run; a test may set `before` for the next one.
    """

    portal: Portal
    clock: Clock
    before: Callable[[int], None] = lambda _number: None
    address: str = ""
    """where the portal is, if not at its usual address"""
    line: Line = field(init=False)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    noted: list[str] = field(default_factory=list)
    destination: MemoryDestination = field(default_factory=MemoryDestination)

    def run(self, types: Sequence[int] = (), slices: RunSession | None = None, **choice: Any) -> dict[int, int]:
        """One run, in as many rounds as the slices ask for; how many rows were written of each type that has any."""
        client = self.connect()
        chosen = SyncOptions(types=types, session=slices or RunSession(), **choice)
        written: Counter[int] = Counter()
        while True:
            written += self._round(client, chosen)
            if not chosen.session.unfinished:
                return dict(written)

    def _round(self, client: Client, choice: SyncOptions) -> Counter[int]:
        """State is kept at the end only, as dlt does."""
        catalog, issues = read_catalog(client, {"spa_types"}), IssueLog(self.clock.now)
        streams = list(select_streams(catalog, client, choice, frozenset({SPA_ITEMS})))
        context = MemoryLoadContext(self.destination, self.states)
        written = self.destination.commit(list(SyncRun(client, streams, context, choice, issues).batches(catalog)))
        self.states = context.states
        self.noted += [issue.message for issue in issues.issues]
        return Counter({int(name.rpartition("_")[2]): rows for name, rows in written.items() if _is_items_table(name)})

    @property
    def state(self) -> dict[str, Any]:
        """What is stored for the items of all types."""
        return self.states[SPA_ITEMS]

    @property
    def tables(self) -> dict[int, dict[int, Row]]:
        """Rows by id, by entityTypeId."""
        found = self.destination.tables.items()
        return {int(name.rpartition("_")[2]): rows for name, rows in found if _is_items_table(name)}

    def connect(self) -> Client:
        """A way to the portal for one run."""
        self.line = Line(self.portal)
        self.line.before, self.before = self.before, lambda _number: None
        session = requests.Session()
        session.mount("https://", self.line)
        credentials = self.portal.credentials(self.address or self.portal.base_url)["webhook"]
        return Client(auth_from_credentials(Bitrix24Credentials(**credentials)), clock=self.clock, session=session)

    @property
    def requests(self) -> int:
        """HTTP requests of the latest run."""
        return len(self.line.bodies)

    # --- what came of it --------------------------------------------------------------------------------------------

    def items(self, entity_type_id: int = 177) -> dict[int, Row]:
        """Rows of an item table by id, those marked as deleted too."""
        return self.tables.get(entity_type_id, {})

    def issues(self) -> list[str]:
        """Messages of load_issues, over all runs."""
        return self.noted

    def ids(self, entity_type_id: int = 177) -> list[int]:
        """Of items that are not marked as deleted."""
        return sorted(id_ for id_, row in self.items(entity_type_id).items() if row["deleted_at"] is None)

    def marked(self, entity_type_id: int = 177) -> dict[int, datetime]:
        """When the items that are marked as deleted went."""
        return {id_: row["deleted_at"] for id_, row in self.items(entity_type_id).items() if row["deleted_at"]}

    def differs(self, *types: int, deletions: bool = True) -> list[str]:
        """What the tables say otherwise than the portal does: ids, titles, times; without `deletions`, of items it has."""
        wrong = []
        for type_ in types or (177,):
            items, rows = self.portal.items(type_), self.items(type_)
            wrong += [
                f"{type_}/{id_} is not marked as deleted" for id_ in self.ids(type_) if deletions and id_ not in items
            ]
            for id_ in items.ids():
                told, row = items[id_], rows.get(id_) or dict.fromkeys(("title", "updated_time", "deleted_at"))
                moment = told["updatedTime"] and datetime.fromisoformat(told["updatedTime"])
                if (told["title"], moment, None) != (row["title"], row["updated_time"], row["deleted_at"]):
                    wrong.append(f"{type_}/{id_} is {told['title']!r} of {moment}, not {row}")
        return wrong


def _is_items_table(name: str) -> bool:
    return name.startswith("spa_items_") and "__" not in name


@dataclass
class Job(Reader):
    """One scheduled job: dlt works in `folder` and loads into `database`."""

    folder: Path = Path()
    database: DuckDB = field(kw_only=True)

    def run(self, *resources: str, **arguments: Any) -> LoadSummary:  # type: ignore[override]
        """One run of these resources, by default the items alone."""
        return self._run(resources or ("spa_items",), **arguments)

    def run_all(self, **arguments: Any) -> LoadSummary:
        """One run of everything that is on by default."""
        return self._run((), **arguments)

    def _run(
        self,
        resources: Sequence[str],
        *,
        slices: RunSession | None = None,
        refresh: bool = False,
        views: bool = True,
        **arguments: Any,
    ) -> LoadSummary:
        credentials = self.portal.credentials(self.address or self.portal.base_url)["webhook"]
        slices = slices or RunSession()
        source = bitrix24(credentials=credentials, client=self.connect(), slices=slices, **arguments)
        return run_load(
            source,
            pipeline_name="bitrix24",
            destination=self.database.destination,
            dataset=self.database.dataset,
            resources=resources,
            full_refresh=refresh,
            pipelines_dir=str(self.folder),
            slices=slices,
            views=views,
        )

    def lose_folder(self) -> None:
        """The working directory is gone, as in a container that is started anew."""
        shutil.rmtree(self.folder)

    # --- what the database holds ------------------------------------------------------------------------------------

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """`{}` in the SQL stands for the dataset, `?` for a value."""
        return self.database.query(sql, *values)

    def execute(self, sql: str) -> None:
        """Somebody else's statement; `{}` as above."""
        self.database.query(sql)

    def rows(self, table: str) -> list[Row]:
        """Whole rows without dlt's own columns."""
        return self.database.rows(table)

    def items(self, entity_type_id: int = 177) -> dict[int, Row]:
        """Rows of an item table by id, those marked as deleted too; each id is there once."""
        rows = self.rows(f"spa_items_{entity_type_id}")
        by_id = {row["id"]: row for row in rows}
        assert len(rows) == len(by_id), "an id is there twice"
        return by_id

    def issues(self) -> list[str]:
        """Messages of load_issues, over all runs."""
        return [row["message"] for row in sorted(self.rows("load_issues"), key=lambda row: row["occurred_at"])]


@pytest.fixture
def job(tmp_path: Path, database: Callable[..., DuckDB]) -> Callable[..., Job]:
    """Makes jobs, each with a folder and a database of its own."""
    number = itertools.count()

    def make(portal: Portal, clock: Clock | None = None) -> Job:
        folder = tmp_path / f"job{next(number)}"
        return Job(portal, clock or portal.clock, folder=folder / "pipelines", database=database(folder))

    return make


@pytest.fixture
def reader() -> Callable[..., Reader]:
    """Makes readers."""

    def make(portal: Portal, clock: Clock | None = None) -> Reader:
        return Reader(portal, clock or portal.clock)

    return make

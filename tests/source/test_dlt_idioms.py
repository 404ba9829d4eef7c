"""What dlt's users are used to, on this source: it works, or is refused in one sentence."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import dlt
import pyarrow as pa
import pytest
import requests

import bitrix24_source
from bitrix24_source import bitrix24 as make_source
from bitrix24_source.app import run_load
from bitrix24_source.rest.client import Client
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter, SandboxServer
from bitrix24_source.source import Bitrix24Credentials, configured_slices
from bitrix24_source.source.credentials import auth_from_credentials

CHOSEN = ("spa_types", "users", "deals", "leads", "activities")


THE_TWO = ("deals", "spa_types")


def counts(crm, *of):
    """Rows by table, of some resources or of all."""
    tables = [name for name in crm.database.types() if not name.startswith("_") and name.startswith(of or "")]
    return {name: crm.query(f"select count(*) from {{}}.{name}")[0][0] for name in tables}  # noqa: S608


@pytest.fixture
def crm(catalog_warehouse):
    return catalog_warehouse()


@pytest.fixture(scope="module")
def loaded(load_catalog_once):
    """A plain load of CHOSEN, to be copied."""
    clock = Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc))
    return load_catalog_once(Portal(scenario="demo", items=200, clock=clock), *CHOSEN)


def test_a_limit_empties_no_table(loaded, portal, copy_of):
    """`add_limit(1)` after a whole load: every table, also those that are replaced, holds what it held."""
    crm = copy_of(loaded, portal)
    crm.pipeline.run(crm.source().with_resources(*CHOSEN).add_limit(1))

    assert counts(loaded) == counts(crm)


def test_what_a_limit_left_out_comes_with_the_next_load(crm, loaded):
    """A first look with `add_limit(1)` is not taken for a load: the next one brings the rest."""
    crm.pipeline.run(crm.source().with_resources(*CHOSEN).add_limit(1))
    looked_at, whole = counts(crm), counts(loaded)
    crm.pipeline.run(crm.source().with_resources(*CHOSEN))

    assert 0 < looked_at["deals"] <= whole["deals"]
    assert whole == counts(crm)


def test_refreshes_end_with_the_same_rows(loaded, portal, copy_of):
    """Each `refresh` drops and loads all again; the run after it changes nothing.

    Neither does `parallelize()`, though several threads ask one sync for rows, nor a schema contract on a portal whose fields are
    the same.
    """
    crm, whole = copy_of(loaded, portal), counts(loaded)
    crm.pipeline.run(crm.source().with_resources(*CHOSEN).parallelize(), refresh="drop_sources")
    assert whole == counts(crm)
    crm.pipeline.run(crm.source().with_resources(*THE_TWO))
    assert whole == counts(crm)
    for mode in ("drop_resources", "drop_data"):
        crm.pipeline.run(crm.source().with_resources(*THE_TWO), refresh=mode)
        assert whole == counts(crm)
        contract = "freeze" if mode == "drop_data" else None
        crm.pipeline.run(crm.source().with_resources(*THE_TWO), schema_contract=contract)
        assert whole == counts(crm)


@pytest.mark.slow  # one of the parts of "freeze"
def test_a_contract_for_columns(loaded, portal, copy_of):
    """A schema contract for columns alone on a portal whose fields are the same changes nothing."""
    crm = copy_of(loaded, portal)
    crm.pipeline.run(crm.source().with_resources(*THE_TWO), schema_contract={"columns": "freeze"})

    assert counts(loaded) == counts(crm)


def test_a_transformer_gets_items_and_keeps_its_rows_apart(crm, portal):
    """Arrow tables of items arrive; what is made of them is in the transformer's own table, and no `deals` are loaded.

    Nor are they remembered as loaded: a load of deals after it brings all, and a transformer behind a pipe gets all again.
    """
    arrived, ids = [], portal.items(2).ids()

    def count(items):
        arrived.append(items)
        yield {"ids": len(items)}

    def taken():
        found = sorted(id_ for table in arrived for id_ in table.column("id").to_pylist())
        assert all(isinstance(table, pa.Table) and "opportunity" in table.column_names for table in arrived)
        arrived.clear()
        return found

    crm.pipeline.run(dlt.transformer(count, data_from=crm.source().deals, name="summary"))
    assert ids == taken()
    assert {"summary"} == counts(crm).keys()

    crm.pipeline.run(crm.source().with_resources("deals"))
    assert ids == sorted(row["id"] for row in crm.rows("deals"))

    crm.pipeline.run(crm.source().deals | dlt.transformer(count, name="summary"))
    assert ids == taken()


def test_a_resource_is_not_loaded_and_transformed_at_once(crm):
    """Their rows would meet in one table: one sentence that says what to do."""
    source = crm.source().with_resources("deals")
    source.resources.add(source.deals | dlt.transformer(lambda items: {"n": len(items)}, name="summary"))
    with pytest.raises(
        Exception,
        match=r"deals would be loaded and passed to a transformer in one run - .* - run the transformer by itself",
    ):
        crm.pipeline.run(source)


@pytest.mark.parametrize(
    "hints",
    [{"table_name": "mine"}, {"write_disposition": "append"}, {"columns": {"title": {"data_type": "text"}}}],
    ids=str,
)
def test_hints_that_would_have_no_effect_are_refused(crm, hints):
    """`apply_hints` on a resource of items: the tables follow the portal's fields, and the message says what to use instead."""
    source = crm.source().with_resources("deals")
    source.deals.apply_hints(**hints)
    with pytest.raises(Exception, match=r"apply_hints has no effect on deals - .* - use select and leave_out"):
        crm.pipeline.run(source)


def test_maps_and_filters_get_arrow_tables(crm, portal):
    """`add_map` sees the items' table and the child tables; a filter on what a table holds works on each of them.

    All that in a notebook, as Jupyter runs cells inside of an event loop, and beside another resource, which keeps its table.
    """
    source, seen = crm.source().with_resources("deals"), []
    source.deals.add_map(lambda table: seen.append(table.column_names) or table)
    source.deals.add_filter(lambda table: "position" not in table.column_names)

    async def cell():
        crm.pipeline.run([source, dlt.resource([{"id": 1}], name="orders")])

    asyncio.run(cell())

    assert {True, False} == {"position" in names for names in seen}
    assert len(portal.items(2).ids()) == len(crm.rows("deals"))
    assert not [name for name, rows in counts(crm).items() if name.startswith("deals__") and rows]
    assert [{"id": 1}] == crm.rows("orders")


def test_each_run_in_dev_mode_begins_anew(catalog_warehouse, tmp_path, monkeypatch):
    """`dev_mode`: every run has a dataset and a state of its own, and reads everything into it."""
    crm = catalog_warehouse()
    items = len(crm.portal.items(2).ids())
    datasets = []
    for second in ("_20250701120000", "_20250701120001"):
        # dlt takes the second of the clock, which both runs may share here
        monkeypatch.setattr(dlt.Pipeline, "_create_pipeline_instance_id", lambda _pipeline, second=second: second)
        pipeline = dlt.pipeline(
            "developed", destination=crm.database.destination, dataset_name="crm", dev_mode=True,
            pipelines_dir=str(tmp_path / "pipelines"),
        )  # fmt: skip
        pipeline.run(crm.source().with_resources("deals"))
        datasets.append(pipeline.dataset_name)
        assert [(items,)] == crm.query(f"select count(*) from {pipeline.dataset_name}.deals")  # noqa: S608
        crm.clock.advance(60)

    assert 2 == len(set(datasets))


def test_the_command_obeys_dev_mode(bitrix24, server):
    """`DEV_MODE=true bitrix24 load` twice: two datasets, each with all deals."""
    runs = [
        bitrix24(
            "load", "--json", "--progress", "none", "--no-views", "--resource", "deals",
            credentials=server.credentials()["webhook"], DEV_MODE="true",
        )
        for _ in range(2)
    ]  # fmt: skip
    results = [json.loads(done.out) for done in runs]

    assert [0, 0] == [done.code for done in runs]
    assert 2 == len({result["dataset"] for result in results})
    assert [len(server.portal.items(2).ids())] * 2 == [result["tables"]["deals"]["rows"] for result in results]


def test_two_pipelines_load_in_threads_of_one_process(clock, tmp_path):
    """Two portals into two files at once: each file has its own portal's rows, and no run sees the other's state."""
    portals = {"emea": Portal("empty", clock=clock), "apac": Portal("empty", clock=clock)}
    portals["emea"].add_type("Orders", entity_type_id=177, items=40)
    portals["apac"].add_type("Orders", entity_type_id=177, items=70)

    def load(name):
        with SandboxServer(portals[name]) as server:
            slices = configured_slices()
            return run_load(
                make_source(credentials=server.credentials()["webhook"], slices=slices),
                pipeline_name=f"bitrix24_{name}", dataset="crm", slices=slices, resources=["spa_items"],
                destination=dlt.destinations.duckdb(str(tmp_path / f"{name}.duckdb")), views=False,
            )  # fmt: skip

    with ThreadPoolExecutor(2) as threads:
        for _ in range(2):  # the second runs find the state of the first
            summaries = dict(zip(portals, threads.map(load, portals), strict=True))
            assert {"emea": 40, "apac": 70} == {
                name: summary.tables["spa_items_177"].rows for name, summary in summaries.items()
            }
            assert not any(summary.issues for summary in summaries.values())


@pytest.fixture
def shop():
    """Somebody's other source, with a table named as one of ours."""
    return dlt.source(lambda: [dlt.resource([{"id": 1, "x": 2}], name="deals")], name="shop")()


SAME_NAME = r"the source 'shop' has a table of the same name: deals - dataset .* - .*leave_out = \[\"deals\"\]"


def test_a_table_of_another_source_is_not_loaded_into(crm, shop, tmp_path):
    """Another source's `deals` was there first, of the same pipeline or another: one sentence, and its rows are as they were.

    Without ours all goes well.
    """
    crm.pipeline.run(shop)
    other = dlt.pipeline(
        "bitrix24", destination=crm.database.destination, dataset_name=crm.database.dataset,
        pipelines_dir=str(tmp_path / "other"),
    )  # fmt: skip
    for pipeline in (crm.pipeline, other):
        with pytest.raises(Exception, match=SAME_NAME):
            pipeline.run(crm.source().with_resources("deals", "spa_types"))
    crm.pipeline.abort_packages()
    crm.pipeline.run(crm.source(leave_out=["deals"]).with_resources("spa_types"))

    assert len(crm.rows("spa_types")) > 1
    assert [{"id": 1, "x": 2}] == crm.rows("deals")


def test_two_of_our_sources_share_a_dataset(crm, portal):
    """Different types of one portal, in one run and again: each type's items are there, and the catalogue is whole."""
    first, second = (int(row["entityTypeId"]) for row in portal.types()[:2])
    for _ in range(2):
        crm.pipeline.run(
            [crm.source(spa_types=[type_]).with_resources("spa_types", "spa_items") for type_ in (first, second)]
        )

    for type_ in (first, second):
        assert len(portal.items(type_).ids()) == len(crm.rows(f"spa_items_{type_}"))
    assert len(portal.types()) == len(crm.rows("spa_types"))


def test_two_portals_do_not_meet_in_one_run(crm, monkeypatch):
    """Both are extracted before either is loaded, and yet the one that comes second is refused, with the names of both."""
    elsewhere = Portal("empty", clock=crm.clock)
    elsewhere.host = "other.bitrix24.test"
    code = elsewhere.credentials(elsewhere.base_url)["webhook"]
    for key, value in code.items():
        monkeypatch.setenv(f"SOURCES__BITRIX24__APAC__CREDENTIALS__{key.upper()}", value)
    session = requests.Session()
    session.mount("https://", SandboxAdapter(elsewhere))
    client = Client(auth_from_credentials(Bitrix24Credentials(**code)), clock=crm.clock, session=session)
    second = make_source(portal="apac", client=client).with_resources("spa_types")
    with pytest.raises(Exception, match=r"of the portal .*, and the source '(bitrix24|apac)' has loaded the portal"):
        crm.pipeline.run([crm.source().with_resources("spa_types"), second])


def test_the_package_may_be_copied_into_a_project(portal, tmp_path):
    """As `dlt init` leaves sources in somebody's folder: under another name, without the installed package, sandbox included."""
    shutil.copytree(
        Path(bitrix24_source.__file__).parent, tmp_path / "bitrix24_copy", ignore=shutil.ignore_patterns("__pycache__")
    )
    with SandboxServer(portal) as server:
        code = (
            "import sys; sys.modules['bitrix24_source'] = None\n"
            "from bitrix24_copy import bitrix24\n"
            f"source = bitrix24(credentials={server.credentials()['webhook']!r})\n"
            "print(len(list(source.resources['spa_types'])))\n"
            "from bitrix24_copy.sandbox import Portal, SandboxAdapter, SandboxServer\n"
            "print(Portal('empty').handle('GET', '/').status)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert "6\n404\n" == done.stdout, done.stderr
    assert not re.search("Traceback", done.stderr)

"""What dlt's users are used to, on this source: it works, or is refused in one sentence."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime, timezone
from types import SimpleNamespace

import dlt
import pyarrow as pa
import pytest
import requests
from databases import DuckDB
from dlt.common.runtime.run_context import RunContext, switched_run_context
from fixtures.catalog_warehouse import make_warehouse

from bitrix24_source import bitrix24 as make_source
from bitrix24_source.rest.client import Client
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter, SandboxServer
from bitrix24_source.source import Bitrix24Credentials
from bitrix24_source.source.credentials import auth_from_credentials

CHOSEN = ("spa_types", "deals", "activities")
"""a dictionary, items with a list of observers, and a list that is read by pages"""
SELECTED = {2: ["title", "opportunity", "observers"]}
"""few columns of deals: each takes time"""
THE_TWO = ("deals", "spa_types")


def counts(crm, *of):
    """Rows by table, of some resources or of all."""
    tables = [name for name in crm.database.types() if not name.startswith("_") and name.startswith(of or "")]
    return {name: crm.query(f"select count(*) from {{}}.{name}")[0][0] for name in tables}  # noqa: S608


def make_portal(clock):
    """Deals, activities and two smart processes."""
    portal = Portal(scenario="demo", items=40, clock=clock)
    for number in set(portal.world.types) - {177, 1030}:
        portal.delete_type(number)
    return portal


@pytest.fixture
def portal(clock):
    return make_portal(clock)


@pytest.fixture
def crm(catalog_warehouse):
    return catalog_warehouse()


def source_of(crm, *resources):
    """A source of some resources, as a run makes it."""
    return crm.source(select=SELECTED).with_resources(*resources)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A first look at CHOSEN with `add_limit(1)`, and then a load; to be copied."""
    folder = tmp_path_factory.mktemp("loaded")
    portal = make_portal(Clock(datetime(2025, 7, 1, 12, tzinfo=timezone.utc)))
    with switched_run_context(RunContext(str(folder))):
        crm = make_warehouse(folder, portal, portal.clock, DuckDB(folder))
        crm.pipeline.run(source_of(crm, *CHOSEN).add_limit(1))
        looked_at = counts(crm)
        crm.pipeline.run(source_of(crm, *CHOSEN))
    yield SimpleNamespace(crm=crm, looked_at=looked_at, whole=counts(crm))
    crm.database.drop()


@pytest.fixture
def copied(loaded, portal, copy_of):
    return copy_of(loaded.crm, portal)


def test_what_a_limit_left_out_comes_with_the_next_load(loaded):
    """A first look with `add_limit(1)` is not taken for a load: the next one brings the rest."""
    world = loaded.crm.portal.world
    there = {
        "deals": len(loaded.crm.portal.items(2).ids()),
        "spa_types": len(world.types),
        "activities": len(world.activities),
    }

    assert 0 < loaded.looked_at["activities"] < there["activities"]
    assert there == {name: loaded.whole[name] for name in there}
    assert loaded.whole["deals__observers"]


def test_a_limit_empties_no_table(copied, loaded):
    """`add_limit(1)` after a whole load: every table, also those that are replaced, holds what it held."""
    copied.pipeline.run(source_of(copied, *CHOSEN).add_limit(1))

    assert loaded.whole == counts(copied)


@pytest.mark.parametrize("run_after_each", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_refreshes_end_with_the_same_rows(copied, loaded, run_after_each):
    """Each `refresh` drops and loads all again; a run after it changes nothing.

    Neither does `parallelize()`, though several threads ask one sync for rows, nor a schema contract on a portal whose fields are
    the same.
    """
    crm = copied
    for mode in ("drop_sources", "drop_resources", "drop_data"):
        chosen = CHOSEN if mode == "drop_sources" else THE_TWO
        source = source_of(crm, *chosen)
        crm.pipeline.run(source.parallelize() if mode == "drop_sources" else source, refresh=mode)
        assert loaded.whole == counts(crm)
        if run_after_each:
            crm.pipeline.run(source_of(crm, *chosen))
            assert loaded.whole == counts(crm)
    crm.pipeline.run(source_of(crm, *THE_TWO), schema_contract="freeze")
    assert loaded.whole == counts(crm)


@pytest.mark.slow  # one of the parts of "freeze"
def test_a_contract_for_columns(copied, loaded):
    """A schema contract for columns alone on a portal whose fields are the same changes nothing."""
    copied.pipeline.run(source_of(copied, *THE_TWO), schema_contract={"columns": "freeze"})

    assert loaded.whole == counts(copied)


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

    crm.pipeline.run(dlt.transformer(count, data_from=source_of(crm, "deals").deals, name="summary"))
    assert ids == taken()
    assert {"summary"} == counts(crm).keys()

    crm.pipeline.run(source_of(crm, "deals"))
    assert ids == sorted(row["id"] for row in crm.rows("deals"))

    crm.pipeline.run(source_of(crm, "deals").deals | dlt.transformer(count, name="summary"))
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
    source, seen = source_of(crm, "deals"), []
    source.deals.add_map(lambda table: seen.append(table.column_names) or table)
    source.deals.add_filter(lambda table: "position" not in table.column_names)

    async def cell():
        crm.pipeline.run([source, dlt.resource([{"id": 1}], name="orders")])

    asyncio.run(cell())

    assert {True, False} == {"position" in names for names in seen}
    assert len(portal.items(2).ids()) == len(crm.rows("deals"))
    assert not [name for name, rows in counts(crm).items() if name.startswith("deals__") and rows]
    assert [{"id": 1}] == crm.rows("orders")


@pytest.mark.slow  # by the command, whose runs are dlt's with more around them, below
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


def test_the_command_obeys_dev_mode(bitrix24, portal_with):
    """`DEV_MODE=true bitrix24 load` fills a dataset named after the moment, of which the next run without it knows nothing."""
    with SandboxServer(portal_with({177: 5})) as server:
        runs = [
            bitrix24(
                "load", "--json", "--progress", "none", "--no-views", "--resource", "spa_items",
                credentials=server.credentials()["webhook"], DEV_MODE=mode,
            )
            for mode in ("true", "false")
        ]  # fmt: skip
    first, second = (json.loads(done.out) for done in runs)

    assert [0, 0] == [done.code for done in runs]
    assert re.fullmatch(r"bitrix24_\d{14}", first["dataset"])
    assert "bitrix24" == second["dataset"]
    assert [5, 5] == [result["tables"]["spa_items_177"]["written"] for result in (first, second)]


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


def test_two_of_our_sources_share_a_dataset(catalog_warehouse, portal_with):
    """Different types of one portal, in one run and again: each type's items are there, and the catalogue is whole."""
    crm = catalog_warehouse(portal_with({177: 5, 1030: 3}))
    for _ in range(2):
        crm.pipeline.run(
            [crm.source(spa_types=[type_]).with_resources("spa_types", "spa_items") for type_ in (177, 1030)]
        )

    assert (5, 3) == (len(crm.rows("spa_items_177")), len(crm.rows("spa_items_1030")))
    assert 2 == len(crm.rows("spa_types"))


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

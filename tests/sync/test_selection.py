"""Some of the types, some of their fields, some of their items: what is chosen is loaded, and nothing else is asked for."""

from __future__ import annotations

import json

import pytest

from bitrix24_source.app.error_messages import to_user_error
from bitrix24_source.errors import ConfigError
from bitrix24_source.sandbox import SandboxServer

UTM = {"utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"}


@pytest.fixture
def portal(clock, portal_with):
    """Three types: one with a code, one whose title is in another alphabet."""
    made = portal_with({177: 130, 1030: 60})
    made.add_type("Закупка", entity_type_id=1032, items=10, code="PURCHASE")
    made.add_field(177, "TAGS", "string", "Tags", multiple=True, pool=[["a", "b"]])
    made.add_field(177, "SUM", "money", "Sum", pool=["300|RUB"])
    return made


@pytest.fixture
def crm(portal, memory_job):
    """The portal, not loaded yet; runs without dlt."""
    return memory_job(portal)


@pytest.fixture
def with_dlt(portal, warehouse):
    """The same with dlt and a database."""
    return warehouse(portal)


def item_tables(crm):
    return sorted(table for table in crm.destination.tables if table.startswith("spa_items_") and "__" not in table)


def asked(crm):
    """Parameters of each page of items that the latest run has asked for."""
    return crm.adapter.parameters("crm.item.list")


def why(error):
    """The sentence that a person reads of an error of dlt's."""
    found = to_user_error(error.value, "duckdb")
    assert isinstance(found, ConfigError)
    return str(found)


# --- types ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "tables"),
    [
        ([177], ["spa_items_177"]),
        (["177"], ["spa_items_177"]),
        (["Process 1030"], ["spa_items_1030"]),
        (["process 1030"], ["spa_items_1030"]),
        (["Закупка"], ["spa_items_1032"]),
        (["PURCHASE"], ["spa_items_1032"]),
        ([177, "PURCHASE", "Process 177"], ["spa_items_1032", "spa_items_177"]),
        (None, ["spa_items_1030", "spa_items_1032", "spa_items_177"]),
    ],
)
def test_types_by_number_title_or_code(crm, chosen, tables):
    """The items of the chosen types, each once, and no table of another."""
    crm.run(spa_types=chosen)

    assert tables == item_tables(crm)
    assert {table.rpartition("_")[2] for table in tables} == {page["entityTypeId"] for page in asked(crm)}


@pytest.mark.parametrize("chosen", [9999, "No such process", ""])
def test_a_type_that_does_not_exist(with_dlt, chosen):
    """Who asks for what is not there is told what there is, before items are asked for."""
    with pytest.raises(Exception, match="no smart process") as error:
        with_dlt.run(spa_types=[chosen])

    assert "177 'Process 177'" in why(error)
    assert [] == with_dlt.adapter.asked


# --- fields ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ["title", "ufCrm11Tags", "ufCrm11Sum"],
        ["TITLE", "UF_CRM_11_TAGS", "UF_CRM_11_SUM"],
        ["title", "uf_crm_11_tags", "uf_crm_11_sum"],
        ["id", "title", "TITLE", "UF_CRM_11_TAGS", "ufCrm11Sum"],
    ],
    ids=["wire names", "upper names", "columns", "mixed"],
)
@pytest.mark.parametrize("type_", [177, "177", "Process 177"])
def test_fields_of_a_type(crm, names, type_):
    """By any of their three names; the id comes by itself, the portal is asked for no more, other types stay whole."""
    crm.run(select={type_: names}, spa_types=[177, 1030])
    pages = [set(page["select"]) for page in asked(crm) if page["entityTypeId"] == "177"]
    columns = crm.destination.columns

    assert {"id", "title", "uf_crm_11_sum", "uf_crm_11_sum_currency", "deleted_at"} == columns["spa_items_177"] - UTM
    assert {"spa_items_177__uf_crm_11_tags"} == {table for table in columns if table.startswith("spa_items_177__")}
    assert 260 == len(crm.rows("spa_items_177__uf_crm_11_tags"))
    assert pages
    assert {"id", "title", "ufCrm11Tags", "ufCrm11Sum"} == set.union(*pages)
    assert "stage_id" in columns["spa_items_1030"]


def test_a_field_that_does_not_exist(with_dlt):
    """It is named, with the type, before items are asked for."""
    with pytest.raises(Exception, match="has no field") as error:
        with_dlt.run(select={177: ["title", "nosuch"]})

    assert "'Process 177' has no field nosuch" in why(error)
    assert [] == with_dlt.adapter.asked


def test_another_selection_reads_everything_again(crm):
    """A column that is chosen later is filled for all items, not only for those that change from then on."""
    crm.run(select={177: ["title"]}, spa_types=[177])
    crm.run(select={177: ["title", "UF_CRM_11_SUM"]}, spa_types=[177])

    assert 130 == sum(row["uf_crm_11_sum"] is not None for row in crm.rows("spa_items_177"))


# --- items ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "filter_", [{"@id": [3, 5, 7, 111]}, {"<id": 30, ">=id": 20}, {"%title": "#12"}, {"!=title": "Process 177 #1"}]
)
def test_items_by_a_filter(crm, filter_):
    """What crm.item.list filters is what is loaded; types that are not named are whole."""
    tests = {
        "@id": lambda id_: id_ in (3, 5, 7, 111),
        "<id": lambda id_: 20 <= id_ < 30,
        "%title": lambda id_: "#12" in f"#{id_}",
        "!=title": lambda id_: id_ != 1,
    }
    crm.run(filter={177: filter_})

    assert list(filter(tests[next(iter(filter_))], range(1, 131))) == crm.ids(177)
    assert 60 == len(crm.ids(1030))
    assert [] == crm.issues()


def test_a_filter_is_passed_on_as_it_is(crm):
    """Every page carries it, our own bounds beside it."""
    crm.run(filter={"Process 177": {"=opened": "N", "!@id": [1, 2]}}, spa_types=[177])

    assert asked(crm)
    assert all(page["filter"].items() >= {"=opened": "N", "!@id": ["1", "2"]}.items() for page in asked(crm))


@pytest.mark.parametrize("own", [">id", "<=id", ">ID", "<=ID", ">=updatedTime", ">=UPDATED_TIME"])
def test_our_own_conditions_are_refused(with_dlt, own):
    """A condition that paging would overwrite is refused when the source is made, with its name."""
    with pytest.raises(ConfigError, match="with which items are paged") as error:
        with_dlt.source(filter={177: {own: 5}})

    assert own in str(error.value)


def test_a_filter_that_the_portal_refuses(crm):
    """An unknown field in a filter is the portal's to refuse: the type is listed with its words, the others are whole."""
    crm.run(filter={177: {"=nosuch": 5}})
    (issue,) = crm.rows("load_issues")

    assert (177, "INVALID_ARG_VALUE") == (issue["entity_type_id"], issue["error"])
    assert 60 == len(crm.ids(1030))


# --- as a user of dlt expects ---------------------------------------------------------------------------------------


def test_items_alone_ask_for_items_alone(with_dlt):
    """`with_resources("spa_items")` needs the types, their fields, the items and the one row of `portal`: nothing of stages, people and automation."""
    list(with_dlt.source().with_resources("spa_items"))
    sent = {name for seen in with_dlt.portal.requests for name in (seen.commands or (seen.method,))}

    portal = {"scope", "server.time", "profile", "crm.currency.list"}
    assert {"crm.item.list"} < sent
    assert sent <= portal | {"crm.type.list", "crm.item.fields", "crm.item.list"}
    assert len(with_dlt.portal.requests) <= 10


def test_the_catalogue_alone_asks_for_no_item(with_dlt):
    """And the other way round."""
    assert list(with_dlt.source().with_resources("spa_types", "spa_fields"))

    assert [] == with_dlt.adapter.asked


@pytest.mark.parametrize("limit", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(5, marks=pytest.mark.slow)])
def test_add_limit(threads_left, portal_with, warehouse, limit):
    """`add_limit` ends the reading early: requests stop, and threads end; test_dependents.py has what came of it."""
    crm = warehouse(portal_with({177: 12_000 * limit}))
    source = crm.source(connections=1).with_resources("spa_items")
    source.resources["spa_items"].add_limit(limit)
    crm.pipeline.extract(source)

    assert [] == threads_left()
    assert len(crm.portal.requests) < 8 + 2 * limit  # of 10 + 5 that all would take


def test_iterating_without_a_pipeline(threads_left, with_dlt):
    """`list(source.resources["spa_items"])` gives the tables in a notebook: nothing of a pipeline is needed."""
    found = list(with_dlt.source(spa_types=[177]).resources["spa_items"])
    tables = [table for table in found if hasattr(table, "num_rows")]

    assert 130 == sum(table.num_rows for table in tables if "title" in table.column_names)
    assert [] == threads_left()


def test_an_error_in_the_pipeline_stops_the_threads(threads_left, with_dlt):
    """Whoever breaks off in the middle leaves no reader behind."""
    rows = iter(with_dlt.source().resources["spa_items"])
    next(rows)
    rows.close()

    assert [] == threads_left()


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_restricts_types(portal, bitrix24):
    """`load --type`, by title, code or number, may be repeated; what would be read are the items of these types."""
    with SandboxServer(portal) as server:
        options = ("--resource", "spa_items", "--type", "PURCHASE", "--type", "process 1030", "--dry-run", "--json")
        done = bitrix24("load", *options, credentials=server.credentials()["webhook"])

    assert 0 == done.code, done.err
    assert {"spa_items_1030": 60, "spa_items_1032": 10} == {
        planned["table"]: planned["items"] for planned in json.loads(done.out)["lists"]
    }

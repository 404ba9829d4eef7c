"""The commands: what they print, what they leave, and how they end; one run of each is a process, as in a person's shell."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from functools import partial
from importlib.metadata import version
from types import SimpleNamespace

import duckdb
import pytest
from dlt.common.runtime.run_context import RunContext, switched_run_context
from fixtures.commands import command_here, environment
from fixtures.item_warehouse import PLAIN
from processes import command

from bitrix24_source import bitrix24 as bitrix24_source
from bitrix24_source.app.cli import cli
from bitrix24_source.app.loaded_pipeline import loaded_pipeline
from bitrix24_source.app.run import run_load
from bitrix24_source.sandbox import Portal, SandboxServer
from bitrix24_source.sync.session import RunSession

ITEMLESS = ("--progress", "none", "--no-views", "--resource", "spa_types")


@pytest.fixture
def portal(clock):
    """The believable company with few items: what the commands do does not depend on their number."""
    return Portal("demo", items=20, clock=clock)


@pytest.fixture
def webhook(server):
    return server.credentials()["webhook"]


def lines_of(text):
    """`topic  text` lines of check, as pairs, in order."""
    return [tuple(part.strip() for part in re.split(r"\s{1,}", line, maxsplit=1)) for line in text.splitlines()]


def tables_in(folder, dataset="bitrix24"):
    """Row counts of a dataset in the one DuckDB file of a folder."""
    (file,) = folder.glob("*.duckdb")
    with duckdb.connect(str(file)) as connection:
        names = connection.execute("select table_name from duckdb_tables where schema_name = ?", [dataset]).fetchall()
        return {
            name: connection.table(f"{dataset}.{name}").count("*").fetchall()[0][0]
            for (name,) in names
            if not name.startswith("_")
        }


def summary(out):
    """What `load` printed, by table: rows, and those of change, written and deleted that are there."""
    lines = out.splitlines()
    start = next(number for number, line in enumerate(lines) if re.match("table +rows", line))
    cells = (line.split() for line in lines[start + 1 :])
    return {name: [int(cell.replace(",", "")) for cell in numbers if cell[0] not in "+-"] for name, *numbers in cells}


def views_in(folder):
    (file,) = folder.glob("*.duckdb")
    with duckdb.connect(str(file)) as connection:
        return {
            name for (name,) in connection.execute("select view_name from duckdb_views where not internal").fetchall()
        }


# --- help and version -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [(), ("check",), ("spa-info",), ("load",), ("sandbox",)], ids=" ".join)
def test_help_has_an_example(bitrix24, command):
    """`--help` of every command shows a line to copy."""
    done = bitrix24(*command, "--help")

    assert (0, "") == (done.code, done.err)
    assert re.search(rf"Example: bitrix24 {' '.join(command)}", done.out)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("check", {"--sandbox"}),
        ("spa-info", {"--type", "--json", "--sandbox"}),
        ("load", {"--destination", "--dataset", "--resource", "--type", "--full-refresh", "--progress", "--sandbox"}),
        ("sandbox", {"--port", "--items", "--seed", "--scenario", "--latency-ms"}),
    ],
)
def test_commands_have_the_documented_options(bitrix24, command, options):
    """The options that scheduled jobs rely on are there."""
    assert options <= set(re.findall(r"--[a-z-]+", bitrix24(command, "--help").out))


def test_the_examples_in_help_work(bitrix24, webhook):
    """What --help shows can be pasted; what `load` does is below."""
    examples = {
        name: re.search(r"Example: bitrix24 (.*)", bitrix24(name, "--help").out)[1].split()
        for name in ("check", "load")
    }

    assert 0 == bitrix24(*examples["check"], credentials=webhook).code
    name, *options = examples["load"]
    assert cli.commands[name].make_context(name, options)


def test_version_is_the_distributions(bitrix24):
    """`bitrix24 --version` says which release runs."""
    assert f"bitrix24, version {version('dlt-source-bitrix24')}\n" == bitrix24("--version").out


# --- check ----------------------------------------------------------------------------------------------------------


def test_check_says_every_thing_in_its_line(shell, webhook, server):
    """Portal, method, user, scopes, smart processes and clock: a line each, exit code 0."""
    done = shell("check", credentials=webhook)
    said = dict(lines_of(done.out))

    assert (0, "") == (done.code, done.err)
    assert {"portal", "auth", "user", "scopes", "SPA", "clock", "zones"} == set(said)
    assert server.base_url.removeprefix("http://") == said["portal"]
    assert "webhook" == said["auth"]
    assert "Anna Petrova (id 1), administrator" == said["user"]
    assert "bizproc, crm, department, user, user_basic, userfieldconfig" == said["scopes"]
    assert "types  6 can be listed" == said["SPA"]
    assert re.fullmatch(r"2025-07-01T15:00:00\+03:00, \d+ s behind this machine's", said["clock"])
    assert "the user's is the server's (UTC+0300) now" == said["zones"]


def test_check_tells_a_clock_that_goes_right(bitrix24):
    """A portal in another time zone with the same instant is no difference."""
    with SandboxServer(Portal(items=0)) as server:
        done = bitrix24("check", credentials=server.credentials()["webhook"])

    assert dict(lines_of(done.out))["clock"].endswith("as this machine's")


@pytest.mark.parametrize(
    ("scope", "cost", "code"),
    [
        ("userfieldconfig", "sort, xml_id and is_default of spa_field_options stay empty", 0),
        ("bizproc", "spa_automations stays empty", 0),
        ("user_basic", "users stays empty, and no names of people are shown", 0),
        ("department", "departments stays empty", 0),
        ("crm", "nothing can be loaded without it", 1),
    ],
)
def test_check_says_what_a_missing_scope_costs(bitrix24, webhook, portal, scope, cost, code):
    """A scope that is missing is named with its price; without crm nothing works, exit code 1."""
    portal.set_scopes({"crm", "userfieldconfig", "bizproc", "user_basic", "department"} - {scope})
    done = bitrix24("check", credentials=webhook)

    assert [("missing", f"scope {scope}: {cost}")] == [line for line in lines_of(done.out) if line[0] == "missing"]
    assert code == done.code
    assert "Traceback" not in done.err


def test_check_says_what_missing_rights_cost(bitrix24, webhook, portal):
    """Without administrative rights types can still be found, and the user line says what is not loaded."""
    portal.set_admin(crm=False, portal=False)
    done = bitrix24("check", credentials=webhook)
    said = dict(lines_of(done.out))

    assert 0 == done.code
    assert "no administrator: items hidden from this user are not loaded" in said["user"]
    assert re.search(r"6 exist; without administrative rights in CRM .* load_issues", said["SPA"])


@pytest.mark.parametrize("method", ["oauth2", "api_key"])
def test_check_names_the_other_methods(bitrix24, server, method):
    """The auth line is the selector's value."""
    done = bitrix24("check", credentials=server.credentials()[method])

    assert (0, method) == (done.code, dict(lines_of(done.out))["auth"])


def test_check_asks_once(bitrix24, webhook, portal):
    """Everything that check wants to know is one request."""
    bitrix24("check", credentials=webhook)

    assert 1 == len(portal.requests)


# --- spa-info -------------------------------------------------------------------------------------------------------


def test_spa_info_shows_types_fields_stages_and_automation(bitrix24, webhook):
    """For a person: a block for each smart process."""
    done = bitrix24("spa-info", credentials=webhook)

    assert (0, "") == (done.code, done.err)
    assert "Equipment purchase (entityTypeId 177, code EQUIPMENT_PURCHASE)" in done.out
    assert re.search(r"UF_CRM_13_1739433001 +Priority +enumeration +Low, Medium, High", done.out)
    assert re.search(r"UF_CRM_14_SERIAL +Serial number +string +required", done.out)
    assert re.search(r"ID +ID +integer +read-only", done.out)
    assert (
        "pipeline Urgent purchases: Request, Collecting offers, Approval, Payment, Received [won], Declined [lost]"
        in done.out
    )
    assert "workflow Purchase approval: starts on creation and change" in done.out
    assert re.search(r"\n6 smart processes on 127\.0\.0\.1:\d+\n$", done.out)


@pytest.mark.parametrize("name", ["177", "Equipment purchase", "EQUIPMENT_PURCHASE", "equipment_purchase"])
def test_spa_info_takes_a_type_by_number_title_or_code(bitrix24, webhook, name):
    """`--type` shows that one alone."""
    document = json.loads(bitrix24("spa-info", "--json", "--type", name, credentials=webhook).out)

    assert [177] == [row["entity_type_id"] for row in document["types"]]


def test_spa_info_takes_several_types(bitrix24, webhook):
    """`--type` may be repeated, and naming a type twice shows it once."""
    arguments = ("--type", "177", "--type", "Equipment", "--type", "EQUIPMENT")
    document = json.loads(bitrix24("spa-info", "--json", *arguments, credentials=webhook).out)

    assert [177, 1030] == sorted(row["entity_type_id"] for row in document["types"])


def test_the_json_document_has_its_documented_shape(shell, webhook):
    """One document with types, their fields, options, stages and automation; nothing else on stdout."""
    done = shell("spa-info", "--json", credentials=webhook)
    document = json.loads(done.out)
    spa = next(row for row in document["types"] if row["entity_type_id"] == 177)

    assert (0, "") == (done.code, done.err)
    assert {"portal", "read_at", "types", "automated_solutions", "issues"} == set(document)
    assert "2025" not in document["read_at"]
    assert {
        "entity_type_id", "id", "title", "code", "custom_section_id", "created_time", "updated_time", "created_by",
        "updated_by", "items_table", "flags", "fields", "categories", "relations", "linked_fields", "automation",
    } == set(spa)  # fmt: skip
    assert (True, False) == (spa["flags"]["is_stages_enabled"], spa["flags"]["is_payments_enabled"])
    priority = next(field for field in spa["fields"] if field["upper_name"] == "UF_CRM_13_1739433001")
    assert {
        "upper_name", "name", "title", "type", "is_required", "is_read_only", "is_immutable", "is_multiple",
        "is_dynamic", "is_deprecated", "status_type", "form_label", "settings", "position", "column_name",
        "column_type", "child_table", "options",
    } == set(priority)  # fmt: skip
    assert ["Low", "Medium", "High"] == [option["value"] for option in priority["options"]]
    assert {"option_id", "value", "position", "sort", "xml_id", "is_default"} == set(priority["options"][0])
    assert ["General", "Urgent purchases"] == [category["name"] for category in spa["categories"]]
    assert 7 == len(spa["categories"][1]["stages"])
    assert ["Purchase approval", "Reminder of the deadline"] == [
        template["name"] for template in spa["automation"]["workflow_templates"]
    ]
    assert {"relation": "parent", "related_entity_type_id": 2}.items() <= spa["relations"][2].items()
    assert {"id": 238, "title": "HR", "type_ids": [16]} in document["automated_solutions"]


def test_spa_info_with_issues_ends_with_3(bitrix24, webhook, portal):
    """What could not be read is in the document and on stderr, and the exit code says so."""
    portal.set_scopes({"crm", "userfieldconfig"})
    done = bitrix24("spa-info", "--json", credentials=webhook)
    (issue,) = json.loads(done.out)["issues"]

    assert 3 == done.code
    assert {"resource", "error", "message", "hint", "occurred_at", "entity_type_id"} == set(issue)
    assert "spa_automations" == issue["resource"]
    assert "bizproc" in done.err


def test_spa_info_loads_nothing(bitrix24, webhook, tmp_path):
    """No database, no pipeline: it only asks."""
    bitrix24("spa-info", credentials=webhook)

    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


# --- load -----------------------------------------------------------------------------------------------------------


LEFT_OUT = (
    "leads", "stage_history", "currencies", "spa_categories", "spa_field_options", "contacts", "companies", "quotes", "invoices", "product_rows", "crm_fields", "crm_field_options", "statuses",
    "departments", "spa_type_relations", "spa_type_linked_fields", "spa_automations", "automated_solutions",
    "automated_solution_types",
)  # fmt: skip
"""lists of which nothing is asked here, and that take time; tests/docs load all that there are"""


@pytest.fixture(scope="module")
def two_loads(tmp_path_factory):
    """A load, by a process and then here: each time what the command said, the tables and the views."""
    folder = tmp_path_factory.mktemp("whole")
    portal = Portal(items=20)
    for number in set(portal.world.types) - {177, 1030}:
        portal.delete_type(number)
    with SandboxServer(portal) as server:
        own = {"HOME": str(folder), "DLT_DATA_DIR": str(folder / "dlt"), "DLT_PROJECT_DIR": str(folder)}
        own["SOURCES__BITRIX24__LEAVE_OUT"] = json.dumps(LEFT_OUT)
        own["SOURCES__BITRIX24__SELECT"] = json.dumps({"2": ["title"], "177": ["title"], "1030": ["title"]})
        given = environment(server.credentials()["webhook"], **own, RUNTIME__DLTHUB_TELEMETRY="false")
        arguments = ("load", "--progress", "none")
        return [
            (run(*arguments, folder=folder, environment=given), tables_in(folder), views_in(folder))
            for run in (command, command_here)
        ]


def test_load_writes_the_tables_and_says_how_many_rows(two_loads):
    """A whole run: exit code 0, a line for each table that is loaded, and the rows are in the file."""
    (done, tables, _), _ = two_loads

    assert (0, "") == (done.code, done.err)
    said = {name: rows for name, (rows, *_) in summary(done.out).items()}
    assert {"spa_types": 2, "spa_fields": 75, "spa_stages": 19, "load_issues": 0}.items() <= said.items()
    assert said == {name: rows for name, rows in tables.items() if "__" not in name and not name.startswith("_")}


def test_a_second_load_says_what_each_table_holds_and_that_nothing_changed(two_loads):
    """A table that a run has nothing for is there with its rows: nobody has to look whether the deals are still there."""
    (first, tables, _), (second, _, _) = two_loads

    assert ["deals", "spa_items_177"] == sorted({"deals", "spa_items_177"} & summary(second.out).keys())
    for name in ("deals", "spa_items_177", "activities"):
        assert [tables[name], tables[name]] == summary(first.out)[name]
        assert [tables[name], 0] == summary(second.out)[name]


def test_markers_are_not_counted(warehouse_job, portal):
    """Emptied lists, deleted items and bindings: rows that only stand for a deletion are in no count."""
    first = warehouse_job("deals", "activity_bindings", select={2: ["title"]})
    gone = portal.items(2).ids()[:2]
    for id_ in gone:
        portal.items(2).delete(id_)
    second = warehouse_job("deals", "activity_bindings", select={2: ["title"]}, sweep=True)

    assert first.tables["deals"].rows == first.rows["deals"] == len(gone) + second.tables["deals"].rows
    assert (0, 2, -2) == (second.rows["deals"], second.tables["deals"].deleted, second.tables["deals"].added)
    assert first.rows["activity_bindings"] == first.tables["activity_bindings"].rows


def test_load_brings_the_items_of_all_types(two_loads):
    """Without any option they are loaded beside the catalogue."""
    (_, tables, _), _ = two_loads
    items = {name: rows for name, rows in tables.items() if re.fullmatch(r"spa_items_\d+", name)}

    assert {"spa_items_177", "spa_items_1030"} == items.keys()
    assert all(items.values())


@pytest.fixture(scope="module")
def life_of_a_folder(tmp_path_factory):
    """Loads with one option or another, one after the other into one folder: what was said, and what was there afterwards."""
    folder = tmp_path_factory.mktemp("life")
    own = {
        "HOME": str(folder),
        "DLT_DATA_DIR": str(folder / "dlt"),
        "DLT_PROJECT_DIR": str(folder),
        "DLT_LOCAL_DIR": str(folder),
    }
    portal = Portal("empty")
    for number in (177, 1030):
        portal.add_type(f"Process {number}", entity_type_id=number, items=3, off=PLAIN)
    with SandboxServer(portal) as server:
        given = environment(server.credentials()["webhook"], **own, RUNTIME__DLTHUB_TELEMETRY="false")
        resources = ("spa_types", "spa_fields", "spa_items", "spa_automations")
        chosen = [option for name in resources for option in ("--resource", name)]

        def load(*options, **more):
            done = command_here("load", *options, *chosen, folder=folder, environment={**given, **more})
            kept = [path for path in (folder / "dlt").rglob("*") if "completed_jobs" in path.parts and path.is_file()]
            return SimpleNamespace(done=done, views=views_in(folder), kept=kept, query=partial(ask, folder))

        yield SimpleNamespace(folder=folder, portal=server.portal, address=server.base_url, load=load)


def ask(folder, sql):
    with duckdb.connect(str(folder / "bitrix24_data.duckdb")) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def first(life_of_a_folder):
    """Without views, into a dataset that is named."""
    loaded = life_of_a_folder.load("--progress", "none", "--no-views", "--dataset", "crm")
    loaded.tables = tables_in(life_of_a_folder.folder, "crm")
    loaded.staged = tables_in(life_of_a_folder.folder, "crm_staging")
    return loaded


@pytest.fixture(scope="module")
def refreshed(life_of_a_folder, first):
    """From the start, with views, after somebody has added a column and something else has taken a view's name.

    A scope is missing, and completed jobs are to be kept.
    """
    first.query(
        "alter table crm.spa_types add column mine integer; create table crm.spa_items_1030_labeled (mine integer)"
    )
    life_of_a_folder.portal.set_scopes({"crm", "userfieldconfig"})
    return life_of_a_folder.load(
        "--progress", "tqdm", "--dataset", "crm", "--full-refresh", LOAD__DELETE_COMPLETED_JOBS="false"
    )


def test_load_of_some_resources(first):
    """`--resource` names what to load instead of everything; what could not be loaded is always told."""
    tables = {name for name in first.tables if "__" not in name}

    always = {"portal", "load_issues", "rejected_values"}
    chosen = {"spa_types", "spa_fields", "spa_items_177", "spa_items_1030", "spa_automations"}
    assert (0, chosen | always) == (first.done.code, tables)


def test_load_into_another_dataset(first):
    """`--dataset` names the schema, and not the file."""
    assert 2 == first.tables["spa_types"]


def test_without_progress_nothing_is_said(first):
    """`--progress none` is silent on stderr."""
    assert "" == first.done.err


def test_a_load_says_first_what_goes_where(life_of_a_folder, first):
    """Portal, method, destination, file and dataset."""
    portal, file = life_of_a_folder.address.removeprefix("http://"), life_of_a_folder.folder / "bitrix24_data.duckdb"

    assert f"Loading portal {portal} (webhook) into duckdb {file}, dataset crm" == first.done.out.splitlines()[0]


def test_what_goes_where_is_said_before_anything_is_asked(bitrix24, webhook, portal):
    """Also where the load then fails."""
    portal.expire_webhook()
    refused = bitrix24("load", *ITEMLESS, credentials=webhook)

    assert (1, 1) == (refused.code, len(refused.out.splitlines()))
    assert refused.out.startswith("Loading portal ")


def test_an_empty_folder_has_the_settings_that_matter(first):
    """Without this project's .dlt/config.toml: no second copy of merged rows, no files that are kept."""
    rows = {name: rows for name, rows in first.staged.items() if not name.startswith("_")}

    assert ("spa_items_177" in rows, 0, []) == (True, sum(rows.values()), first.kept)


def test_what_is_configured_wins_over_the_settings_that_matter(refreshed):
    """They are defaults: who wants to keep completed jobs keeps them."""
    assert refreshed.kept


def test_full_refresh_starts_over(refreshed):
    """`--full-refresh` drops what was loaded before, columns that somebody added included."""
    columns = {name for name, *_ in refreshed.query("describe crm.spa_types")}

    assert (3, {"entity_type_id"}) == (refreshed.done.code, columns & {"entity_type_id", "mine"})
    assert [(2,)] == refreshed.query("select count(*) from crm.spa_types")


def test_a_load_without_views(first, refreshed):
    """`--no-views` leaves them out; a later load without it makes them."""
    assert (set(), True) == (first.views, "spa_items_177_labeled" in refreshed.views)


def test_a_view_that_cannot_be_made_is_listed(refreshed):
    """Something else has its name: the load is there, and load_issues says which view and what to do."""
    ((message, hint),) = refreshed.query("select message, hint from crm.load_issues where resource = 'views'")

    assert "a view could not be brought up to date" in message
    assert hint


def test_load_with_losses_ends_with_3(refreshed):
    """Loaded, but something is in load_issues: exit code 3, how much that is, of the load and of the views, and where to look."""
    issues = refreshed.query("select resource from crm.load_issues order by resource")

    assert 3 == refreshed.done.code
    assert [("spa_automations",), ("views",)] == issues
    assert "2 things could not be loaded" in refreshed.done.err
    assert "load_issues" in refreshed.done.err.splitlines()[-1]


def test_progress_is_shown_on_stderr(refreshed, chosen):
    """Progress, of tqdm or as a log, never mixes with what stdout is for, and counts requests as well as rows."""
    assert "Bitrix24 requests" in refreshed.done.err
    assert {"load_issues", "portal", "rejected_values", "spa_types", "spa_items_177"} <= summary(
        refreshed.done.out
    ).keys()
    assert "Bitrix24 requests" in chosen.done.err
    assert [chosen.result] == [json.loads(line) for line in chosen.done.out.splitlines()]


def test_load_twice_is_load_once(two_loads):
    """A scheduler may repeat a run: the same rows."""
    (_, first, _), (again, second, _) = two_loads

    assert 0 == again.code
    assert first == second


# --- the configuration ----------------------------------------------------------------------------------------------


@pytest.fixture
def warehouse_job(portal, connect, tmp_path):
    """Runs as `load` does them, in this process: warehouse_job("deals", sweep=True)."""

    def run(*resources, **arguments):
        slices = RunSession()
        credentials = portal.credentials(portal.base_url)["webhook"]
        source = bitrix24_source(credentials=credentials, client=connect(), slices=slices, **arguments)
        return run_load(source, resources=resources, slices=slices, views=False)

    return run


def items_in(folder, dataset):
    return {name for name in tables_in(folder, dataset) if re.fullmatch(r"spa_items_\d+", name)}


SETTINGS = {
    "spa_types": [177, 1030], "leave_out": ["deals"], "select": {"177": ["title", "stageId"]},
    "filter": {"1030": {"title": "no item has this title"}},
}  # fmt: skip


def write_settings(folder):
    """`SETTINGS` and a dataset's name as a person writes them."""
    (folder / ".dlt").mkdir(exist_ok=True)
    lists = "\n".join(f"{name} = {json.dumps(SETTINGS[name])}" for name in ("spa_types", "leave_out"))
    (folder / ".dlt" / "config.toml").write_text(
        f'[sources.bitrix24]\n{lists}\n[sources.bitrix24.select]\n177 = ["title", "stageId"]\n'
        '[sources.bitrix24.filter.1030]\ntitle = "no item has this title"\n'
        '[pipelines.bitrix24]\ndataset_name = "crm"\n'
    )


def test_the_configuration_counts_for_the_command(bitrix24, portal_with, tmp_path):
    """`spa_types`, `select`, `filter` and `leave_out` of `[sources.bitrix24]` hold for `load` as they do in Python.

    So does dlt's `dataset_name` of `[pipelines.bitrix24]`.
    """
    write_settings(tmp_path)
    with SandboxServer(portal_with({177: 3, 1030: 3, 1032: 3})) as server:
        done = bitrix24(
            "load", "--progress", "none", "--no-views", "--resource", "spa_items",
            credentials=server.credentials()["webhook"],
        )  # fmt: skip
    (file,) = tmp_path.glob("*.duckdb")

    assert 0 == done.code, done.err
    assert {"spa_items_177", "spa_items_1030"} == items_in(tmp_path, "crm")
    assert 0 == tables_in(tmp_path, "crm")["spa_items_1030"] < tables_in(tmp_path, "crm")["spa_items_177"]
    with duckdb.connect(str(file)) as connection:
        columns = {name for name, *_ in connection.execute("describe crm.spa_items_177").fetchall()}
    assert {"id", "title", "stage_id", "deleted_at"} <= columns
    assert not {"assigned_by_id", "updated_time", "opportunity"} & columns


def test_the_environment_says_the_same_as_a_file(bitrix24, webhook, tmp_path):
    """A plan has the same target, lists, rows and requests, whichever of the two the settings stand in."""
    plan = partial(bitrix24, "load", "--dry-run", "--json", credentials=webhook)
    variables = {f"SOURCES__BITRIX24__{name.upper()}": json.dumps(value) for name, value in SETTINGS.items()}
    by_environment = plan(**variables, PIPELINES__BITRIX24__DATASET_NAME="crm")
    write_settings(tmp_path)
    by_file = plan()

    assert (0, 0) == (by_environment.code, by_file.code), by_environment.err + by_file.err
    assert json.loads(by_file.out) == json.loads(by_environment.out)
    assert "crm" == json.loads(by_file.out)["target"]["dataset"]


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    """A load whose options say otherwise than the configuration does, with a log of its progress and a result for machines."""
    folder = tmp_path_factory.mktemp("chosen")
    own = {"HOME": str(folder), "DLT_DATA_DIR": str(folder / "dlt"), "DLT_PROJECT_DIR": str(folder)}
    configured = {
        "SOURCES__BITRIX24__SPA_TYPES": "[177]", "DATASET_NAME": "configured", "DESTINATION_TYPE": "no_such_destination",
    }  # fmt: skip
    options = (
        "--type", "Equipment", "--dataset", "chosen", "--destination", "duckdb", "--resource", "spa_items",
        "--resource", "spa_types", "--no-views", "--progress", "log", "--json",
    )  # fmt: skip
    portal = Portal("empty")
    for number, title in {177: "Purchase", 1030: "Equipment"}.items():
        portal.add_type(title, entity_type_id=number, items=3, off=PLAIN)
    with SandboxServer(portal) as server:
        given = environment(server.credentials()["webhook"], **own, **configured, RUNTIME__DLTHUB_TELEMETRY="false")
        done = command_here("load", *options, folder=folder, environment=given)
        assert 0 == done.code, done.err
        return SimpleNamespace(folder=folder, done=done, server=server, result=json.loads(done.out))


def test_an_option_wins_over_the_configuration(chosen):
    """`--type`, `--dataset` and `--destination` are for this run what the configuration is for all."""
    assert {"spa_items_1030"} == items_in(chosen.folder, "chosen")


def test_load_of_one_type_leaves_the_catalogue_whole(chosen):
    """`--type` restricts items, not the catalogue."""
    assert 2 == tables_in(chosen.folder, "chosen")["spa_types"]


def test_the_result_for_machines_is_one_line(chosen):
    """`load --json`: nothing else on stdout; portal, tables, issues, seconds, requests and load ids."""
    result, server = chosen.result, chosen.server

    assert 1 == len(chosen.done.out.splitlines())
    assert {"portal", "dataset", "tables", "issues", "left", "seconds", "requests", "load_ids"} == result.keys()
    assert {"rows": 2, "added": 2, "written": 2, "deleted": 0} == result["tables"]["spa_types"]
    assert (server.base_url.removeprefix("http://"), 0, {}) == (result["portal"], result["issues"], result["left"])
    assert result["requests"] == len(server.portal.requests) > 0
    assert result["load_ids"]


def test_a_destination_that_does_not_exist_may_be_configured(bitrix24, webhook):
    """As `dlt.pipeline()` takes it: from an environment variable."""
    refused = bitrix24("load", *ITEMLESS, credentials=webhook, DESTINATION_TYPE="duckbd")

    assert "there is no destination 'duckbd'" in refused.err


# --- where it goes --------------------------------------------------------------------------------------------------


def test_each_folder_has_its_file_and_what_that_one_lacks(bitrix24, portal_with, tmp_path, monkeypatch):
    """A relative file, dlt's default or a configured one, is in the folder where the command was started, though dlt was first
    used in another one. With one pipeline in two folders by turns, each file gets all that changed since its own last load.
    """
    monkeypatch.delenv("DLT_LOCAL_DIR")
    portal = portal_with({177: 3})
    arguments = ("load", "--progress", "none", "--no-views", "--resource", "spa_items")

    def load_in(folder, **more):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        done = bitrix24(*arguments, credentials=credentials, **more)
        assert 0 == done.code, done.err

    def items_in(folder, file):
        with duckdb.connect(str(tmp_path / folder / file)) as connection:
            return connection.table("bitrix24.spa_items_177").count("*").fetchall()[0][0]

    with SandboxServer(portal) as server:
        credentials = server.credentials()["webhook"]
        load_in("first", DESTINATION__DUCKDB__CREDENTIALS="mine.duckdb")
        for folder in ("second", "first"):
            portal.world.clock.advance(7200)
            portal.items(177).add(title="new")
            load_in(folder, **({"DESTINATION__DUCKDB__CREDENTIALS": "mine.duckdb"} if folder == "first" else {}))

    assert [5, 4] == [items_in("first", "mine.duckdb"), items_in("second", "bitrix24_data.duckdb")]
    for folder, file in {"first": "mine.duckdb", "second": "bitrix24_data.duckdb"}.items():
        assert [file] == [path.name for path in (tmp_path / folder).glob("*.duckdb")]


# --- the sandbox ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("check",), ("spa-info",)], ids=" ".join)
def test_every_command_can_be_tried_without_a_portal(bitrix24, command, tmp_path):
    """`--sandbox` needs no configuration and no network."""
    done = bitrix24(*command, "--sandbox")

    assert (0, "") == (done.code, done.err)
    assert done.out
    assert [] == list(tmp_path.glob("*.duckdb"))


def test_the_sandbox_is_loaded_into_the_folder_where_one_is(bitrix24, tmp_path, monkeypatch):
    """Needs no configuration either. dlt remembers a relative file of an earlier run from another folder: what is tried here
    lands here, and whole, and does not look like what is real. A report is then made of it, also of a dataset that the load was
    given; a destination that is configured meanwhile is another portal's.
    """
    monkeypatch.delenv("DLT_LOCAL_DIR")
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        done = bitrix24("load", "--sandbox", "--dataset", "mine", *ITEMLESS)

        assert (0, "") == (done.code, done.err)
        assert done.out
        assert ["bitrix24_sandbox.duckdb"] == [path.name for path in (tmp_path / folder).glob("*.duckdb")]
        assert 6 == tables_in(tmp_path / folder, "mine")["spa_types"]

    reported = bitrix24("report", "--sandbox", DESTINATION_NAME="postgres")
    assert "the destination has no marts" in reported.err
    monkeypatch.setenv("DESTINATION_NAME", "postgres")
    with switched_run_context(RunContext(".")):
        pipeline = loaded_pipeline(sandbox=True)
    assert ("duckdb", "mine") == (pipeline.destination.destination_name, pipeline.dataset_name)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_serves_until_it_is_stopped(bitrix24, stop):
    """It prints credentials that work, each method, and stops without a traceback."""
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "bitrix24_source.app.cli", "sandbox", "--port", "0", "--items", "50"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        said = ""
        while "Ctrl-C" not in said:
            said += running.stdout.readline() or pytest.fail(f"it stopped: {said}{running.stderr.read()}")
        url = re.search(r"Webhook URL: (\S+)", said)[1]
        with urllib.request.urlopen(url + "profile") as answer:  # noqa: S310 - loopback
            assert "1" == json.load(answer)["result"]["ID"]
        for block in re.findall(r'(?:^\w+ = ".*"\n?)+', said, re.MULTILINE):
            keys = dict(re.findall(r'(\w+) = "(.*)"', block))
            assert 0 == bitrix24("check", credentials=keys).code, keys["auth"]
        running.send_signal(stop)
        out, err = running.communicate(timeout=20)

    assert running.returncode in ((0, 130) if stop == signal.SIGINT else (0, 143, -signal.SIGTERM))
    assert "Traceback" not in out + err
    assert "" == err


def test_the_sandbox_prints_toml_for_all_three_methods():
    """What it prints goes below [sources.bitrix24.credentials] as it is."""
    from bitrix24_source.sandbox.http.serve import announcement

    with SandboxServer(Portal(items=0)) as server:
        said = announcement(server)

    assert ["webhook", "oauth2", "api_key"] == re.findall(r'^auth = "(\w+)"$', said, re.MULTILINE)


def test_a_port_in_use_is_one_line(bitrix24, server):
    """The sandbox says that it cannot listen, where, and what to do."""
    done = bitrix24("sandbox", "--port", str(server.port))

    assert 1 == done.code
    assert re.fullmatch(r"bitrix24: the sandbox cannot listen \(.+\) - port \d+ - choose another --port.*\n", done.err)


# --- views ----------------------------------------------------------------------------------------------------------


def test_a_load_ends_with_the_labelled_views(two_loads):
    """Each item table has its view afterwards."""
    (done, made, views), _ = two_loads
    tables = {name for name in made if name.startswith("spa_items_") and "__" not in name}
    objects = {"deals"}

    labelled = {name for name in views if name.endswith("_labeled")}
    assert (0, {f"{name}_labeled" for name in tables | objects}) == (done.code, labelled)


@pytest.mark.parametrize(
    ("variable", "meant"), [("SPA_TYPE", "spa_types"), ("LEAVEOUT", "leave_out"), ("PERSONAL", "personal_data")]
)
def test_a_misspelt_setting_is_no_setting(bitrix24, server, variable, meant):
    """dlt passes over it, and everything would be loaded: refused with the name that was meant, before anything is asked."""
    name = f"SOURCES__BITRIX24__{variable}"
    done = bitrix24("load", credentials=server.credentials()["webhook"], **{name: "177"})

    assert 1 == done.code
    assert f"there is no setting {variable.lower()!r} - {name} - did you mean {meant!r}?" in done.err
    assert not server.portal.requests


def test_a_setting_that_is_no_number_is_named(bitrix24, server):
    """With the files and the variable that were looked at."""
    done = bitrix24("load", credentials=server.credentials()["webhook"], SOURCES__BITRIX24__BURST="zero")

    assert 1 == done.code
    assert "burst is not a whole number - sources.bitrix24.burst - looked in " in done.err
    assert "SOURCES__BITRIX24__BURST" in done.err

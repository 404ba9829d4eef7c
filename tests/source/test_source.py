"""The dlt source as schedulers and people use it: quiet until it is run, and fresh each time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dlt.common.runtime.run_context import RunContext, switched_run_context

import bitrix24_source
from bitrix24_source import Bitrix24Credentials, bitrix24
from bitrix24_source.errors import ConfigError
from bitrix24_source.sandbox import Portal, SandboxServer

TABLES = ("spa_types", "spa_fields", "spa_stages", "spa_automations")
NOBODY = {"auth": "webhook", "webhook_url": "https://portal.example.com/rest/1/abcdefgh12345678/"}


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


# --- before a run ---------------------------------------------------------------------------------------------------


def test_importing_the_package_does_not_import_dlt():
    """`import bitrix24_source` is light: the sandbox and `--help` need not wait for dlt."""
    done = python("import sys, bitrix24_source; print(sorted({'dlt', 'pyarrow', 'requests', 'duckdb'} & set(sys.modules)))")  # fmt: skip

    assert ("[]\n", "", 0) == (done.stdout, done.stderr, done.returncode)


COPIED = """
import socket, sys
sys.modules["bitrix24_source"] = None
def refuse(*args, **kwargs): raise AssertionError(f"the network was touched: {{args}}")
allowed = socket.socket.connect, socket.getaddrinfo, socket.create_connection
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from bitrix24_copy import bitrix24
source = bitrix24(credentials={credentials!r}, spa_types=[177, "Equipment"])
print(sorted(source.with_resources("spa_types", "spa_fields").selected_resources))
socket.socket.connect, socket.getaddrinfo, socket.create_connection = allowed
print(len(list(source.resources["spa_types"])))
from bitrix24_copy.sandbox import Portal, SandboxAdapter, SandboxServer
print(Portal("empty").handle("GET", "/").status)
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A process that has a copy of the package under another name, as `dlt init` leaves sources in somebody's folder."""
    folder = tmp_path_factory.mktemp("project")
    package, no_cache = Path(bitrix24_source.__file__).parent, shutil.ignore_patterns("__pycache__")
    shutil.copytree(package, folder / "bitrix24_copy", ignore=no_cache)
    with SandboxServer(Portal(items=0)) as server:
        code = COPIED.format(credentials=server.credentials()["webhook"])
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder)


def test_importing_and_constructing_open_no_socket(copied):
    """Schedulers import a job and build its source whenever they parse it: neither may touch the network."""
    assert "['load_issues', 'portal', 'spa_fields', 'spa_types']" == copied.stdout.partition("\n")[0], copied.stderr


def test_the_package_may_be_copied_into_a_project(copied):
    """Under another name, without the installed package, sandbox included."""
    assert ["6", "404"] == copied.stdout.splitlines()[1:], copied.stderr
    assert "Traceback" not in copied.stderr


def test_constructing_finds_no_files_and_makes_none(tmp_path):
    """Construction leaves nothing behind, not even the folder of the token store."""
    before = sorted(tmp_path.rglob("*"))
    bitrix24(
        credentials={
            "auth": "oauth2", "portal_url": "https://portal.example.com", "client_id": "local.1",
            "client_secret": "s", "refresh_token": "r", "token_file": str(tmp_path / "tokens" / "pair.json"),
        }
    )  # fmt: skip

    assert before == sorted(tmp_path.rglob("*"))


def test_the_source_has_dlts_name_and_section():
    """Configuration is found under `sources.bitrix24`, and state under the name `bitrix24`."""
    source = bitrix24(credentials=NOBODY)

    assert ("bitrix24", "bitrix24") == (source.name, source.section)


def test_load_issues_is_always_selected():
    """Whatever is chosen, what could not be loaded is part of the answer, and so is which portal gave it."""
    chosen = bitrix24(credentials=NOBODY).with_resources("spa_types")

    assert {"spa_types", "portal", "load_issues"} == set(chosen.selected_resources)


def test_bad_credentials_fail_when_the_source_is_made():
    """A missing key is a ConfigError in one sentence, not a stack of dlt's."""
    with pytest.raises(ConfigError, match=r"webhook_url - set it in .dlt/secrets.toml"):
        bitrix24(credentials={"auth": "webhook"})


# --- a run ----------------------------------------------------------------------------------------------------------


def test_a_resource_can_be_iterated_without_a_pipeline(portal, catalog_warehouse):
    """`list(source.resources["spa_types"])` gives the rows that a load writes."""
    rows = list(catalog_warehouse().source().resources["spa_types"])

    assert [row["entityTypeId"] for row in portal.types()] == [row["entity_type_id"] for row in rows]
    assert {row["title"] for row in portal.types()} == {row["title"] for row in rows}


def test_a_whole_source_can_be_iterated_without_a_pipeline(catalog_warehouse, clock):
    """`list(source)` works in a notebook: rows of every table."""
    portal = Portal("empty", clock=clock)
    for number in (177, 1030):
        portal.add_type(f"Process {number}", entity_type_id=number, items=3)
    rows = list(catalog_warehouse(portal).source().with_resources("spa_types", "spa_items", "users", "activities"))

    assert 2 == len([row for row in rows if isinstance(row, dict) and "items_table" in row])


def test_each_run_of_one_source_reads_the_portal(catalog_warehouse, portal):
    """A source object that lives on in a scheduler does not load yesterday's catalogue, and reads anew after an error."""
    crm = catalog_warehouse()
    source = crm.source().with_resources("spa_types")
    portal.expire_webhook()
    with pytest.raises(Exception, match="there is no active webhook"):
        crm.pipeline.run(source)
    portal.access.webhook_alive = True
    portal.requests.clear()
    crm.pipeline.run(source)
    asked = len(portal.requests)
    assert 6 == len(crm.rows("spa_types"))

    portal.world.types[1030]["title"] = "Assets"
    crm.pipeline.run(source)

    assert 2 * asked == len(portal.requests)
    assert "Assets" in {row["title"] for row in crm.rows("spa_types")}


@pytest.mark.parametrize("wanted", [[177], ["177"], ["Equipment"], ["EQUIPMENT"], [" equipment "], [177, "Проекты"]])
def test_types_may_be_named_by_number_title_or_code(memory_job, portal, wanted):
    """`spa_types=[...]` takes entityTypeId, title or code, and leaves the catalogue whole."""
    crm = memory_job(portal)
    crm.run("spa_types", spa_types=wanted)

    assert 6 == len(crm.rows("spa_types"))


def test_a_name_that_fits_nothing_ends_the_run_and_says_what_there_is(catalog_warehouse):
    """A typing error in `spa_types` loads nothing: the message lists what the portal has."""
    crm = catalog_warehouse()
    with pytest.raises(
        Exception, match=r"there is no smart process 'Equipmint'.*1030 'Equipment' \(code 'EQUIPMENT'\)"
    ):
        crm.pipeline.run(crm.source(spa_types=["Equipmint"]))


# --- credentials, as dlt finds them ---------------------------------------------------------------------------------


@pytest.fixture
def server(portal):
    with SandboxServer(portal) as server:
        yield server


@pytest.mark.parametrize("method", ["webhook", "oauth2", "api_key"])
def test_each_method_is_read_from_the_environment(server, method, monkeypatch):
    """`SOURCES__BITRIX24__CREDENTIALS__*` is all that a container needs."""
    for key, value in server.credentials()[method].items():
        monkeypatch.setenv(f"SOURCES__BITRIX24__CREDENTIALS__{key.upper()}", value)

    assert 6 == len(list(bitrix24().resources["spa_types"]))


@pytest.mark.parametrize("method", ["webhook", "oauth2", "api_key"])
def test_each_method_is_read_from_secrets_toml(server, method, tmp_path):
    """`.dlt/secrets.toml` as the documentation shows it is found in the working folder."""
    (tmp_path / ".dlt").mkdir(exist_ok=True)
    lines = [f'{key} = "{value}"' for key, value in server.credentials()[method].items()]
    (tmp_path / ".dlt" / "secrets.toml").write_text("\n".join(["[sources.bitrix24.credentials]", *lines]))
    with switched_run_context(RunContext(str(tmp_path))):  # dlt keeps the files of the folder that it saw first
        assert 6 == len(list(bitrix24().resources["spa_types"]))


@pytest.mark.parametrize("given", ["dict", "object"])
def test_credentials_can_be_given_in_python(server, given):
    """A dict or a Bitrix24Credentials in the call needs no configuration."""
    ready = server.credentials()["webhook"]
    credentials = ready if given == "dict" else Bitrix24Credentials(**ready)

    assert 6 == len(list(bitrix24(credentials=credentials).resources["spa_types"]))


def test_over_http_the_tables_are_the_same(server, catalog_warehouse, tmp_path):
    """A load over a real socket writes the rows that are read without one.

    Neither dlt's trace, nor its state, nor the database holds the webhook's code afterwards.
    """
    crm, given = catalog_warehouse(), {"credentials": server.credentials()["webhook"], "spa_types": [177]}
    crm.pipeline.run(bitrix24(**given, select={177: ["title"]}).with_resources(*TABLES, "spa_items"))
    crm.query("checkpoint")
    code = server.portal.webhook_code.encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]

    read = crm.source().with_resources(*TABLES)
    assert {name: len(list(read.resources[name])) for name in TABLES} == {name: len(crm.rows(name)) for name in TABLES}
    assert len(server.portal.items(177).ids()) == len(crm.rows("spa_items_177"))
    assert any(path.name == "trace.pickle" for path in files)
    assert [] == [path for path in files if code in path.read_bytes()]

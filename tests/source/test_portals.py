"""Several portals: each has its own section, pipeline and dataset, and none ever uses what belongs to another."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import click
import dlt
import duckdb
import pytest
from click.testing import CliRunner
from dlt.common.runtime.run_context import RunContext, switched_run_context
from fixtures.item_warehouse import PLAIN

from bitrix24_source import Bitrix24Credentials, bitrix24
from bitrix24_source.app.cli import cli
from bitrix24_source.app.run import run_load
from bitrix24_source.errors import ConfigError
from bitrix24_source.sandbox import Portal, SandboxServer
from bitrix24_source.source.credentials import auth_from_credentials
from bitrix24_source.source.portals import pipeline_name, portal_credentials
from bitrix24_source.source.source import configured_slices, connect

OAUTH = {
    "auth": "oauth2", "portal_url": "https://one.example.com", "client_id": "local.1", "client_secret": "secret-of-one",
    "refresh_token": "refresh-of-one",
}  # fmt: skip


@pytest.fixture
def configure(monkeypatch):
    """Puts keys below `[sources.bitrix24]`, as environment variables."""

    def put(section, values):
        for key, value in values.items():
            monkeypatch.setenv("__".join(["SOURCES", "BITRIX24", *section.upper().split("."), key.upper()]), str(value))

    return put


@pytest.fixture
def emea():
    """A second portal, of which every title and number of items is another."""
    portal = Portal(scenario="empty")
    portal.add_type("Tenders", entity_type_id=177, items=7, off=PLAIN)
    with SandboxServer(portal) as server:
        yield server


# --- credentials ----------------------------------------------------------------------------------------------------


def test_a_named_portal_has_its_own_section(server, emea, configure):
    """`bitrix24(portal="emea")` reads `[sources.bitrix24.emea.credentials]`, `bitrix24()` what it always read."""
    configure("credentials", server.credentials()["webhook"])
    configure("emea.credentials", emea.credentials()["api_key"])

    assert 6 == len(list(bitrix24().resources["spa_types"]))
    assert ["Tenders"] == [row["title"] for row in bitrix24(portal="emea").resources["spa_types"]]


def test_sections_are_found_in_toml(emea, configure, tmp_path):
    """In `.dlt/secrets.toml` too, where dlt would let the default portal's environment variables win over it."""
    configure("credentials", OAUTH)
    (tmp_path / ".dlt").mkdir(exist_ok=True)
    lines = [f'{key} = "{value}"' for key, value in emea.credentials()["webhook"].items()]
    (tmp_path / ".dlt" / "secrets.toml").write_text("\n".join(["[sources.bitrix24.emea.credentials]", *lines]))
    with switched_run_context(RunContext(str(tmp_path))):  # dlt keeps the files of the folder that it saw first
        assert 1 == len(list(bitrix24(portal="emea").resources["spa_types"]))


def test_the_default_portals_credentials_are_never_used_instead(configure):
    """A portal without a section is one sentence that names it, however well the default portal is configured."""
    configure("credentials", OAUTH)
    with pytest.raises(ConfigError) as caught:
        bitrix24(portal="emea")

    assert "the portal 'emea' has no credentials - sources.bitrix24.emea.credentials - " in str(caught.value)
    assert "SOURCES__BITRIX24__EMEA__CREDENTIALS__AUTH" in str(caught.value)


@pytest.mark.parametrize("missing", ["portal_url", "client_id", "client_secret", "refresh_token"])
@pytest.mark.parametrize("given", ["section", "dict", "object"])
def test_no_key_is_filled_from_another_portal(configure, missing, given):
    """dlt would take a key that one section lacks from the next; for a portal it is missing, and the message says where."""
    configure("credentials", OAUTH)
    own = {key: value for key, value in OAUTH.items() if key != missing}
    if given == "section":
        configure("emea.credentials", own)
    credentials = {"dict": own, "object": Bitrix24Credentials(**own)}.get(given)
    arguments = {"credentials": credentials} if credentials else {}

    with pytest.raises(ConfigError, match=rf"needs {missing} - sources\.bitrix24\.emea\.credentials\.{missing} - "):
        bitrix24(portal="emea", **arguments)


def test_what_is_given_in_the_call_wins(configure, emea):
    """Credentials in Python are good for a named portal too, whole or to complete its section."""
    ready = emea.credentials()["webhook"]
    configure("emea.credentials", {"auth": "webhook", "webhook_url": "https://old.example.com/rest/1/abc/"})

    assert 1 == len(list(bitrix24(portal="emea", credentials=ready).resources["spa_types"]))
    assert ready["webhook_url"] == portal_credentials("emea", {"webhook_url": ready["webhook_url"]}).webhook_url


def test_a_bare_value_is_refused_by_the_portals_section():
    """Which method a bare string is for is not guessed for a named portal either."""
    with pytest.raises(ConfigError, match=r"bare value - sources\.bitrix24\.emea\.credentials"):
        bitrix24(portal="emea", credentials="https://portal.example.com/rest/1/abc/")


def file_of(credentials):
    return auth_from_credentials(credentials)._store.path


def test_each_portal_has_its_own_token_file(configure):
    """Neither the default portal's `token_file` nor the usual place is shared, unless it is the same authorisation."""
    configure("credentials", {**OAUTH, "token_file": "of_default.json"})
    configure("one.credentials", OAUTH)
    configure("two.credentials", {**OAUTH, "refresh_token": "refresh-of-two"})
    configure("three.credentials", {**OAUTH, "token_file": "of_three.json"})
    configure("alias_of_one.credentials", OAUTH)
    files = {name: file_of(portal_credentials(name)) for name in ("one", "two", "three", "alias_of_one")}

    assert files["one"] == files["alias_of_one"], "a refresh token is good for one use"
    assert 3 == len(set(files.values()))
    assert "of_default.json" not in {file.name for file in files.values()}
    assert "of_three.json" == files["three"].name


@pytest.mark.parametrize(
    "name", ["", "EMEA", "e-mea", "1", "a__b", "a_", "credentials", "select", "filter", "bitrix24", "sandbox", "x" * 41]
)
def test_a_name_that_could_not_work_is_refused(name):
    """Names of portals become environment variables, datasets and sections: what would not fit there is said at once."""
    with pytest.raises(ConfigError, match="cannot be a portal's name"):
        bitrix24(portal=name, credentials=OAUTH)


# --- settings, names and limits -------------------------------------------------------------------------------------


def test_settings_are_the_portals_own_or_those_of_all(configure):
    """`[sources.bitrix24.emea]` comes before `[sources.bitrix24]`, in the source and on the command line."""
    configure("emea.credentials", OAUTH)
    configure("apac.credentials", {**OAUTH, "portal_url": "https://apac.example.com"})
    configure("emea", {"burst": 20, "slice_rows": 5})
    for portal in ("emea", "apac"):
        client = connect(portal_credentials(portal), portal=portal)

        assert {"emea": 20, "apac": 50}[portal] == client.settings.burst
        assert {"emea": 5, "apac": 100_000}[portal] == configured_slices(portal=portal).limits.rows


def test_a_portals_source_has_its_name(configure):
    """dlt's schema and state go by the portal's name; the section stays `bitrix24`."""
    configure("emea.credentials", OAUTH)
    source = bitrix24(portal="emea")

    assert ("emea", "bitrix24") == (source.name, source.section)
    assert ("bitrix24_emea", "bitrix24") == (pipeline_name("emea"), pipeline_name(None))
    assert {"spa_types", "portal", "load_issues"} == set(source.with_resources("spa_types").selected_resources)


def test_limits_are_kept_by_portal():
    """Two pipelines of one portal share a bucket within a process, whatever they are called; two portals do not."""
    first, alias = (connect(portal_credentials(name, OAUTH), portal=name) for name in ("one", "alias"))
    default = connect({**OAUTH, "portal_url": "https://one.example.com:443"})
    two = connect(portal_credentials("two", {**OAUTH, "portal_url": "https://two.example.com"}), portal="two")

    assert first._bucket is alias._bucket is default._bucket
    assert first._bucket is not two._bucket


# --- loads ----------------------------------------------------------------------------------------------------------


def rows_of(file, dataset):
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(f"select count(*) from {dataset}.spa_items_177").fetchall()[0][0]  # noqa: S608


def test_two_portals_load_side_by_side(portal_with, configure, tmp_path):
    """In threads of one process, into one database each: the same type number, each portal's own items, states apart."""
    portals = {"emea": portal_with({177: 4}), "apac": portal_with({177: 7})}

    def load(portal):
        with SandboxServer(portals[portal]) as server:
            configure(f"{portal}.credentials", server.credentials()["webhook"])
            slices = configured_slices(portal=portal)
            source = bitrix24(portal=portal, slices=slices, select={177: ["title"]})
            return run_load(
                source.with_resources("spa_items"), views=False, slices=slices,
                pipeline_name=pipeline_name(portal), dataset=pipeline_name(portal),
                destination=dlt.destinations.duckdb(str(tmp_path / f"{portal}.duckdb")),
            )  # fmt: skip

    with ThreadPoolExecutor(2) as threads:
        for _ in range(2):  # the second runs find the state of the first
            summaries = dict(zip(portals, threads.map(load, portals), strict=True))
            assert {"emea": 4, "apac": 7} == {
                name: summary.tables["spa_items_177"].rows for name, summary in summaries.items()
            }
            assert not any(summary.issues for summary in summaries.values())
    assert [4, 7] == [rows_of(tmp_path / f"{name}.duckdb", pipeline_name(name)) for name in portals]


@pytest.fixture
def command(tmp_path):
    """A command in this process, its exit code and what it printed."""

    def call(*arguments):
        done = CliRunner().invoke(cli, arguments, catch_exceptions=True)
        if isinstance(done.exception, ConfigError):
            return 1, str(done.exception)
        return done.exit_code, done.output

    return call


def test_the_command_line_picks_a_portal(server, emea, configure, command, tmp_path, caplog):
    """`--portal` on check, spa-info and load: another portal, pipeline and dataset; without it everything is as it was.

    Looking credentials up key by key leaves them in no trace, state or database.
    """
    configure("credentials", server.credentials()["webhook"])
    configure("emea.credentials", emea.credentials()["webhook"])
    with caplog.at_level(logging.ERROR):
        checked = command("check", "--portal", "emea")
        shown = command("spa-info", "--portal", "emea")
        loaded = command("load", "--portal", "emea", "--progress", "none", "--no-views", "--resource", "spa_items")

    assert (0, 0, 0) == (checked[0], shown[0], loaded[0]), loaded[1]
    assert emea.base_url.removeprefix("http://") in checked[1]
    assert "Tenders" in shown[1]
    assert 7 == rows_of(tmp_path / "bitrix24_emea_data.duckdb", "bitrix24_emea")
    assert [] == server.portal.requests
    code, files = emea.portal.webhook_code.encode(), [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "trace.pickle" for path in files)
    assert [] == [path for path in files if code in path.read_bytes()]


@pytest.mark.parametrize("name", ["check", "spa-info", "load"])
def test_a_portal_that_is_not_configured_ends_a_command(name, command, configure):
    """One sentence, exit code 1, and nothing of the default portal's."""
    configure("credentials", {"auth": "webhook", "webhook_url": "https://default.invalid/rest/1/abcdefgh/"})
    code, said = command(name, "--portal", "emea")

    assert 1 == code
    assert said.startswith("the portal 'emea' has no credentials - sources.bitrix24.emea.credentials - ")


@pytest.mark.parametrize("name", ["check", "spa-info", "load"])
def test_the_sandbox_is_a_portal_of_its_own(name, command):
    """`--sandbox --portal emea` says two things at once: usage."""
    code, said = command(name, "--sandbox", "--portal", "emea")

    assert click.UsageError.exit_code == code
    assert "leave out --portal" in said

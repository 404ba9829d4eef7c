"""Mistakes in the configuration: one sentence for each, which names the files and variables that were looked at."""

from __future__ import annotations

import json
import re

import pytest
from dlt.common.runtime.run_context import RunContext, switched_run_context

from bitrix24_source import bitrix24 as bitrix24_source
from bitrix24_source.catalog import Catalog, EntityType
from bitrix24_source.errors import ConfigError
from bitrix24_source.source.source import connect

CODE = "w3bh00kc0dew3bh0"
URL = f"https://portal.example.com/rest/1/{CODE}/"
RIGHT = {"auth": "webhook", "webhook_url": URL}
SECTION = "sources.bitrix24.credentials"
NO_METHOD = rf"no authentication method is chosen - {SECTION}\.auth - "


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Makes the folder in which somebody starts: folder({"secrets.toml": "..."}, start="sub")."""
    monkeypatch.delenv("DLT_PROJECT_DIR")

    def make(files=(), start="."):
        (tmp_path / ".dlt").mkdir(exist_ok=True)
        for name, text in dict(files).items():
            (tmp_path / ".dlt" / name).write_text(text, encoding="utf-8")
        (tmp_path / start).mkdir(exist_ok=True, parents=True)
        context = RunContext(str(tmp_path / start))
        context._global_dir = str(tmp_path / "home")
        return switched_run_context(context)

    return make


def message_of(call):
    with pytest.raises(ConfigError) as caught:
        call()
    said = str(caught.value)
    assert CODE not in said
    assert "\n" not in said
    return said


def toml(section, values=None):
    lines = [f"{key} = {json.dumps(value)}" for key, value in (values or RIGHT).items()]
    return "\n".join([f"[{section}]" if section else "", *lines])


PLACES = [
    ("nothing", {}, ".", rf"{NO_METHOD}set it to one of .*; looked in \S+/\.dlt/secrets\.toml \(not there\), .*SOURCES__BITRIX24__CREDENTIALS__AUTH"),
    ("only the example", {"example.secrets.toml": toml(SECTION)}, ".", rf"{NO_METHOD}.*only example\.secrets\.toml is in \S+/\.dlt: copy it to secrets\.toml"),
    ("a subfolder", {"secrets.toml": toml(SECTION)}, "jobs/nightly", rf"{NO_METHOD}.*\.dlt has a secrets\.toml: start in \S+, or set DLT_PROJECT_DIR"),
    ("one level too high", {"secrets.toml": toml("sources.bitrix24")}, ".", rf"{NO_METHOD}.*secrets\.toml has 'auth' in \[sources\.bitrix24\]: move it below \[{SECTION}\]"),
    ("no section", {"secrets.toml": toml("")}, ".", rf"{NO_METHOD}.*secrets\.toml has 'auth' in no section: move it below"),
    ("a wrong section", {"secrets.toml": toml("source.bitrix24.credentials")}, ".", rf"{NO_METHOD}.*has 'auth' in \[source\.bitrix24\.credentials\]: move"),
    ("a section with another name", {"secrets.toml": toml("sources.bitrix.credentials")}, ".", rf"{NO_METHOD}.*in \[sources\.bitrix\.credentials\]: move"),
    ("a misspelt key", {"secrets.toml": toml(SECTION, {"auth": "webhook", "webhok_url": URL})}, ".",
     r'auth = "webhook" needs webhook_url - .*secrets\.toml has .webhok_url., which is not a key \(did you mean .webhook_url.\?\)'),
    ("a misspelt selector", {"secrets.toml": toml(SECTION, {"aut": "webhook", "webhook_url": URL})}, ".",
     rf'{NO_METHOD}.*webhook_url is set, which auth = "webhook" would use'),
    ("an address without auth", {"secrets.toml": toml(SECTION, {"webhook_url": URL})}, ".",
     rf'{NO_METHOD}.*webhook_url is set, which auth = "webhook" would use'),
]  # fmt: skip


@pytest.mark.parametrize(("files", "start", "says"), [case[1:] for case in PLACES], ids=[case[0] for case in PLACES])
@pytest.mark.parametrize("make", [bitrix24_source, connect], ids=["load", "check"])
def test_what_is_in_the_wrong_place_is_said(folder, files, start, says, make):
    """What was looked for, where, and the likeliest mistake; alike for `load` and for `check`."""
    with folder(files, start):
        said = message_of(make)

    assert re.match(says, said), said


def test_a_variable_with_another_name_is_named(folder, monkeypatch):
    """A misspelt environment variable is found by what it has in common with the right one."""
    monkeypatch.setenv("SOURCES__BITRIX24__CREDENTIALS__AUTH", "webhook")
    monkeypatch.setenv("SOURCES__BITRIX24__CREDENTIALS__WEBHOOK", URL)
    with folder():
        said = message_of(bitrix24_source)

    assert (
        "the variable SOURCES__BITRIX24__CREDENTIALS__WEBHOOK is not one that is read (did you mean 'webhook_url'?)"
        in said
    )


@pytest.mark.parametrize("make", [bitrix24_source, connect], ids=["load", "check"])
@pytest.mark.parametrize("portal", [None, "emea"])
@pytest.mark.parametrize("form", [dict, json.dumps], ids=["dict", "json"])
def test_an_unknown_key_never_falls_back_to_another_credential(monkeypatch, make, portal, form):
    """`{"auth": "webhook", "webhook": ...}` is refused, however well a portal is configured."""
    for key, value in RIGHT.items():
        monkeypatch.setenv(f"SOURCES__BITRIX24__CREDENTIALS__{key.upper()}", value)
    given = form({"auth": "webhook", "webhook": "https://other.example.com/rest/1/abc/"})
    if make is connect and portal:
        portal = None  # the command looks a named portal's credentials up by itself
    said = message_of(lambda: make(credentials=given, portal=portal))

    assert re.match(
        r"credentials have no key 'webhook' - sources\.bitrix24\.(emea\.)?credentials - did you mean 'webhook_url'\?",
        said,
    )


@pytest.mark.parametrize("portal", [None, "emea"])
def test_credentials_may_be_one_variable_with_json(monkeypatch, portal):
    """Platforms that hold one secret for a job hold it as JSON."""
    section = "__".join(filter(None, ["SOURCES__BITRIX24", portal and portal.upper(), "CREDENTIALS"]))
    monkeypatch.setenv(section, json.dumps(RIGHT))

    assert bitrix24_source(portal=portal).section == "bitrix24"
    if portal is None:
        assert "portal.example.com" == connect().portal


@pytest.mark.parametrize("value", [f'{{"auth": "webhook", "webhook_url": "{URL}"', URL, "[1]"])
def test_a_bare_value_is_no_credential(monkeypatch, value):
    """Broken JSON, an address alone and a list: what to write instead, and nothing of the value."""
    monkeypatch.setenv("SOURCES__BITRIX24__CREDENTIALS", value)

    assert message_of(bitrix24_source).startswith(f"the credentials are a bare value - {SECTION} - name the method")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (f'"{URL}"', "webhook_url begins with a quotation mark"), (f"'{URL}'", "webhook_url begins with a quotation mark"),
        (f"\u201c{URL}\u201d", "webhook_url begins with a quotation mark"), (f"<{URL}>", "webhook_url begins with an angle bracket"),
        (f"\ufeff{URL}", r"webhook_url begins with a byte order mark \(BOM\)"),
        ("https://portal.bitrix24.com/rest/1/code/", "webhook_url is the example's and nobody's"),
    ],
)  # fmt: skip
def test_what_stands_around_an_address_is_named(value, says):
    """Quotation marks, brackets and marks that nobody sees, and the example as it was copied."""
    assert re.match(
        rf"{says}.* - {SECTION}\.webhook_url - ",
        message_of(lambda: bitrix24_source(credentials={**RIGHT, "webhook_url": value})),
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_with_a_byte_order_mark_is_named(shell, tmp_path, encoding):
    """As editors on Windows write it: the file, and how to save it."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text(toml(SECTION), encoding=encoding)
    done = shell("check")
    (tmp_path / ".dlt" / "secrets.toml").unlink()  # this process reads it too

    assert 1 == done.code
    assert re.fullmatch(
        r"bitrix24: the configuration cannot be read - \S+/secrets\.toml begins with a byte order mark \(BOM\) - save it as UTF-8.*\n",
        done.err,
    ), done.err


def test_credentials_among_settings(bitrix24, tmp_path):
    """dlt takes no secret from config.toml: where it is to go."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(toml(SECTION))
    done = bitrix24("check")

    assert 1 == done.code
    assert re.fullmatch(
        r"bitrix24: \[sources\.bitrix24\.credentials\S*\] is in config\.toml - \S+/\.dlt - .*secrets\.toml: move it there\n",
        done.err,
    ), done.err


def test_a_postgresql_address_without_password(bitrix24):
    """What is missing, where it may stand, and where it was looked for; nothing is asked of the portal."""
    address = {"DESTINATION__POSTGRES__CREDENTIALS": "postgresql://loader@127.0.0.1:5432/crm"}
    done = bitrix24("load", "--destination", "postgres", "--progress", "none", credentials=RIGHT, **address)

    assert (1, "") == (done.code, done.out)
    assert re.fullmatch(
        r"bitrix24: the configuration is not complete \(password missing\) - destination postgres - set password below "
        r"\[destination\.postgres\.credentials\].*looked in \S+secrets\.toml.*DESTINATION__POSTGRES__CREDENTIALS__PASSWORD\n",
        done.err,
    ), done.err


@pytest.mark.parametrize("name", ["deals", "Deals", "2", 2])
def test_a_crm_object_is_no_type(name):
    """`--type deals`: the message says by which resource it is loaded."""
    catalog = Catalog(types=(EntityType(177, {"entityTypeId": 177, "title": "Purchases"}),))

    assert (
        f"{str(name)!r} is an object of CRM and no smart process - the resource deals - load it with --resource deals"
        in message_of(lambda: catalog.find_all([name]))
    )


@pytest.mark.parametrize("value", [["title"], "title", '["title"]', 5])
def test_a_selection_without_a_type_is_refused(value):
    """`select=["title"]` does not say of which type."""
    assert message_of(lambda: bitrix24_source(credentials=RIGHT, select=value)).startswith(
        "select does not say which type it is for"
    )


@pytest.mark.parametrize("value", [{177: "x"}, {177: ["a"]}, ["x"]])
def test_a_filter_without_a_field_is_refused(value):
    """A condition needs a type and a field."""
    assert "sources.bitrix24.filter" in message_of(lambda: bitrix24_source(credentials=RIGHT, filter=value))

"""Errors that people can act on: one line on stderr, *what failed - where - what to do next*, and the exit code.

The command runs against a portal behind a socket. Whatever happens, no credential is shown or kept.
"""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dlt
import pytest
import trustme

from bitrix24_source import Bitrix24Error
from bitrix24_source import bitrix24 as bitrix24_source
from bitrix24_source.app.run import run_load as run_source
from bitrix24_source.catalog.discovery import read_catalog
from bitrix24_source.rest.client import ClientSettings
from bitrix24_source.sandbox import Fault, Portal, SandboxServer

CODE = "w3bh00kc0dew3bh0"
WHERE = "sources.bitrix24.credentials"


def webhook(url):
    return lambda server: {"auth": "webhook", "webhook_url": url}


def changed(method, **keys):
    """Good credentials with some keys replaced; None removes one."""

    def build(server):
        ready = {**server.credentials()[method], **keys}
        return {key: value for key, value in ready.items() if value is not None}

    return build


def good(method="webhook"):
    return changed(method)


def expired_access_token(server):
    token = server.portal.access.issue().access_token
    server.portal.expire_access_tokens()
    return {**server.credentials()["api_key"], "api_key": token}


@dataclass
class Case:
    """One thing that goes wrong, what a person reads, and the exit code."""

    name: str
    says: str
    """a pattern for the whole line after `bitrix24: `"""
    credentials: Callable[[Any], Any] = field(default_factory=good)
    portal: Callable[[Any], Any] = lambda portal: None
    command: tuple[str, ...] = ("check",)
    code: int = 1


def fault(**arguments):
    return lambda portal: portal.faults.add(Fault(times=None, **arguments))


SPA_INFO = ("spa-info",)
LOAD = ("load", "--progress", "none", "--resource", "spa_types")

CASES = [
    # --- configuration ---
    Case("no configuration at all", rf"no authentication method is chosen - {WHERE}\.auth - set it to one of .*webhook.*",
         lambda server: {}),
    Case("no webhook_url", rf'auth = "webhook" needs webhook_url - {WHERE}\.webhook_url - set it in .*WEBHOOK_URL',
         lambda server: {"auth": "webhook"}),
    *[
        Case(f"malformed webhook_url {url}", rf"this is not a webhook's address - {WHERE}\.webhook_url - copy it whole .*",
             webhook(url))
        for url in (
            "https://portal.bitrix24.com/",
            "https://portal.bitrix24.com/crm/deal/list/",
            f"https://portal.bitrix24.com/rest/{CODE}/",
            "https://portal.bitrix24.com/rest/1/",
            f"https://portal.bitrix24.com/rest/1/{CODE}/?auth=1",
        )
    ],
    Case("no address", rf"this is not an address - {WHERE}\.webhook_url - it starts with https://.*", webhook(f"1/{CODE}")),
    Case("plain http", rf"plain http://.* - {WHERE}\.webhook_url - use https://",
         webhook(f"http://portal.bitrix24.com/rest/1/{CODE}/")),
    Case("unknown selector", rf"unknown authentication method 'token' - {WHERE}\.auth - set it to one of .*",
         changed("webhook", auth="token")),
    *[
        Case(f"oauth2 without {key}", rf'auth = "oauth2" needs {key} - {WHERE}\.{key} - set it in .*',
             changed("oauth2", **{key: None}))
        for key in ("portal_url", "client_id", "client_secret", "refresh_token")
    ],
    *[
        Case(f"api_key without {key}", rf'auth = "api_key" needs {key} - {WHERE}\.{key} - set it in .*',
             changed("api_key", **{key: None}))
        for key in ("portal_url", "api_key")
    ],
    Case("a whole address as api_key", rf'this is neither .* - {WHERE}\.api_key - .*use auth = "webhook"',
         changed("api_key", api_key=f"https://portal.bitrix24.com/rest/1/{CODE}/")),
    # --- the way to the portal ---
    Case("host not found", r"the portal's host name was not found - batch at no-such-portal\.invalid - .*typing errors.*",
         webhook(f"https://no-such-portal.invalid/rest/1/{CODE}/")),
    Case("connection refused", r"the portal refused the connection - batch at 127\.0\.0\.1:\d+ - check host and port.*",
         lambda _: {"auth": "webhook", "webhook_url": f"http://127.0.0.1:{closed_port()}/rest/1/{CODE}/"}),
    Case("a web page, 404", r"the answer is a web page and not Bitrix24's REST \(HTTP 404\) - batch at .* - check the .*",
         portal=fault(kind="http", status=404)),
    Case("a web page, 200", r"the answer is a web page and not Bitrix24's REST \(HTTP 200\) - batch at .* - check the .*",
         portal=fault(kind="http", status=200)),
    Case("another program", r"the answer is not Bitrix24's REST \(HTTP 200\) - batch at .* - check the portal's address",
         portal=fault(kind="http", status=200, body="It works!", content_type="text/plain")),
    Case("JSON of another program", r"the answer is .* \(HTTP 200\) - batch at .* - .+",
         portal=fault(kind="http", status=200, body='{"status": "ok"}', content_type="application/json")),
    Case("answers are cut off", r"the answer is cut off or no valid JSON \(HTTP 200\) - batch at .* - try again later",
         portal=fault(kind="truncate")),
    Case("connections break", r"the connection broke before the answer was complete - batch at .* - try again later",
         portal=fault(kind="reset")),
    Case("redirect to a stranger", r"the portal redirects to the foreign host evil\.example\.com - batch at .* - if .*",
         portal=fault(kind="redirect", location=f"https://evil.example.com/rest/1/{CODE}/batch")),
    Case("redirect to plain http", r"the portal redirects to plain http://.* - batch at .* - use the portal's https://.*",
         portal=fault(kind="redirect", location=f"http://portal.bitrix24.com/rest/1/{CODE}/batch")),
    # --- the credential ---
    Case("expired webhook", r"there is no active webhook with this user and code .*- batch at 127.* - .*create a new one.*",
         portal=lambda portal: portal.expire_webhook()),
    Case("dismissed owner", r"the user behind the credential is dismissed or inactive .*- batch at 127.* - .*active employee.*",
         portal=lambda portal: portal.dismiss_owner()),
    Case("removed application", r"the application is not installed on this portal .*- .* at 127.* - install it again.*",
         good("oauth2"), lambda portal: portal.remove_application()),
    *[
        Case(f"{code} ({command[0]})", rf"{says}.* - batch at 127.* - {hint}.*", portal=fault(kind=code), command=command)
        for command in (("check",), LOAD)
        for code, says, hint in (
            ("WRONG_AUTH_TYPE", "this method is not for this kind of credential", "some methods"),
            ("WRONG_LICENSE", "this method is not part of the portal's plan", "check the portal's plan"),
            ("NO_AUTH_FOUND", "no credential that the portal knows came with the request", "check that the address"),
        )
    ],
    Case("wrong webhook", r"there is no active webhook with this user and code .*- .* at 127.* - .*create a new one.*",
         lambda server: webhook(f"{server.base_url}/rest/1/{CODE}/")(server)),
    Case("expired access token", r'the access token .* expired.* - .* at 127.* - .*auth = "oauth2".*webhook',
         expired_access_token),
    Case("refused refresh", r"the access token could not be renewed \(invalid_grant\): .* - token server 127.* - authorise.*",
         good("oauth2"), lambda portal: portal.revoke_refresh_token()),
    Case("wrong client_secret", r"the access token could not be renewed \(invalid_client\): .* - token server .* - compare.*",
         changed("oauth2", client_secret="nots3cretnots3cret")),
    Case("unpaid", r"the access token could not be renewed \(payment_required\): .* - token server .* - check the portal's.*",
         good("oauth2"),
         fault(method="oauth.token", kind="error", status=402, error="PAYMENT_REQUIRED", description="Payment required")),
    # --- rights, plan, limits ---
    Case("no scope crm", r"the scope crm is missing, .* - crm\.type\.list at .* - add the scope crm to .*",
         portal=lambda portal: portal.set_scopes({"user", "bizproc"}), command=SPA_INFO),
    Case("no scope crm, load", r"the scope crm is missing, .* - crm\.type\.list at .* - add the scope crm to .*",
         portal=lambda portal: portal.set_scopes({"user", "bizproc"}), command=LOAD),
    Case("a plan without REST", r"REST is not part of this portal's plan - .* at .* - check the portal's plan and .*",
         portal=lambda portal: setattr(portal.access, "commercial_plan", False)),
    Case("overload", r"Bitrix24 has blocked REST .*\(OVERLOAD_LIMIT\).* - batch at .* - .*ask Bitrix24 support.*",
         portal=fault(kind="OVERLOAD_LIMIT")),
    Case("closed portal", r"this portal is closed or deleted.* - batch at .* - check the portal's address with its owner",
         portal=fault(kind="error", status=403, error="PORTAL_DELETED", description="")),
    # --- smart processes ---
    *[
        Case(f"no type {name} ({command[0]})", rf"there is no smart process '{name}' - .*177 'Equipment purchase'.* - name one .*",
             command=(*command, "--type", name))
        for command, name in ((SPA_INFO, "999"), (SPA_INFO, "Equipmint"), (SPA_INFO, "EQUIP"), (LOAD, "Equipmint"))
    ],
    *[
        Case(f"unreadable type {name}", rf"the smart process '{name}' exists, and this credential may not read it - .*1034.*readable are .*177.* - use .*",
             portal=lambda portal: portal.deny_type(1034), command=("spa-info", "--type", name))
        for name in ("1034", "Гарантийные обращения", "WARRANTY", "warranty")
    ],
    Case("unreadable type, no admin", r"the smart process '1034' exists, and this credential may not read it - .*1034.* - use .*",
         portal=lambda portal: (portal.set_admin(crm=False), portal.deny_type(1034)), command=("spa-info", "--type", "1034")),
    *[
        Case(f"a title that fits two ({command[0]})", r"'Contracts' fits 2 smart processes - 1036 'Contracts'.*, 1038 'Contracts'.* - name .*entityTypeId",
             portal=lambda portal: portal.world.types[1038].update(title="Contracts"), command=(*command, "--type", "Contracts"))
        for command in (SPA_INFO, LOAD)
    ],
    # --- the destination ---
    Case("unknown destination", r"there is no destination 'duckbd' - --destination - .*duckdb.*",
         command=(*LOAD, "--destination", "duckbd")),
    Case("no postgres there", r"the destination cannot be reached .* - destination postgres - .*DESTINATION__POSTGRES__CREDENTIALS.*",
         command=(*LOAD, "--destination", "postgres")),
]  # fmt: skip


@pytest.fixture
def portal(clock):
    """Smart processes with names, and no items: an error comes before any."""
    portal = Portal("empty", clock=clock)
    for number, title, code in [
        (177, "Equipment purchase", "EQUIPMENT_PURCHASE"), (1030, "Equipment", "EQUIPMENT"), (1032, "Onboarding", ""),
        (1034, "Гарантийные обращения", "WARRANTY"), (1036, "Contracts", "CONTRACTS"), (1038, "Проекты", ""),
    ]:  # fmt: skip
        portal.add_type(title, entity_type_id=number, code=code)
    return portal


def closed_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_message_says_what_where_and_what_to_do(case, portal, server, bitrix24, tmp_path):
    """One line on stderr for each foreseeable problem, the documented exit code, nothing on stdout, no secret anywhere."""
    case.portal(portal)
    credentials = case.credentials(server)
    more = {}
    if "postgres" in case.command:
        more["DESTINATION__POSTGRES__CREDENTIALS"] = f"postgresql://loader:{CODE}@127.0.0.1:{closed_port()}/crm"
    done = bitrix24(*case.command, credentials=credentials, **more)

    assert case.code == done.code, done.err
    said = [line for line in done.err.splitlines() if not _is_news(line)]
    assert 1 == len(said), done.err
    assert re.fullmatch(f"bitrix24: {case.says}", said[0]), said[0]
    assert re.fullmatch(
        r"(Loading portal [^\n]+ into [^\n]+, dataset bitrix24\n)?" if "load" in case.command else "", done.out
    )
    assert_no_secret_left({CODE, *portal.access.secrets(), *_secrets_in(credentials)}, done, tmp_path)


def _is_news(line):
    """What a run says on its way: a part that may not be read, a wait. Neither is an error."""
    return line.startswith(("spa_", "automated_solution", "Waiting until"))


def _secrets_in(credentials):
    return {value for key, value in credentials.items() if key in ("client_secret", "refresh_token") and value}


def assert_no_secret_left(secrets, done, folder):
    """Searches what was shown and every byte that was left behind; the token store alone may hold tokens."""
    shown = done.out + done.err
    assert [] == [secret for secret in secrets if secret in shown]
    assert "Traceback" not in shown
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "bitrix24"]
    assert [] == [path for path in files for secret in secrets if secret.encode() in path.read_bytes()]


# --- what needs more than a command ---------------------------------------------------------------------------------


def test_a_certificate_that_nobody_knows_is_refused(portal, bitrix24, tmp_path):
    """TLS is always verified; the message says how to name a private authority."""
    with SandboxServer(portal, tls=_private_tls(tmp_path)) as server:
        done = bitrix24("check", credentials=server.credentials()["webhook"])

    assert 1 == done.code
    assert re.fullmatch(
        r"bitrix24: the TLS connection could not be verified - batch at .* - .*REQUESTS_CA_BUNDLE.*\n", done.err
    ), done.err
    assert [] == portal.requests
    assert_no_secret_left(portal.access.secrets(), done, tmp_path)


def test_a_certificate_of_a_named_authority_is_accepted(portal, bitrix24, tmp_path):
    """REQUESTS_CA_BUNDLE makes a private authority known."""
    with SandboxServer(portal, tls=_private_tls(tmp_path)) as server:
        done = bitrix24(
            "check", credentials=server.credentials()["webhook"], REQUESTS_CA_BUNDLE=str(tmp_path / "authority.pem")
        )

    assert (0, "") == (done.code, done.err)


def _private_tls(folder):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_a_portal_that_does_not_answer_in_time(portal, connect):
    """A time-out is said as one, after a bounded number of attempts."""
    portal.faults.add(Fault(kind="hang", times=None))
    with pytest.raises(Bitrix24Error) as raised:
        read_catalog(connect())

    assert re.fullmatch(
        r"the portal did not answer in time - .* at demo\.bitrix24\.test - try again later", str(raised.value)
    )
    assert len(portal.requests) <= 30


def test_a_request_limit_that_never_ends(portal, connect, clock):
    """QUERY_LIMIT_EXCEEDED is waited for, with a bound, and then said with what can be done."""
    portal.faults.add(Fault(kind="QUERY_LIMIT_EXCEEDED", times=None))
    before = clock.monotonic()
    with pytest.raises(Bitrix24Error) as raised:
        read_catalog(connect())

    assert re.fullmatch(
        r"the portal's request limit is used up .*- batch at demo\.bitrix24\.test - .*lower requests_per_second",
        str(raised.value),
    )
    assert 30 < clock.monotonic() - before < 600


def test_a_time_budget_that_never_frees(portal, connect, clock):
    """OPERATION_TIME_LIMIT is waited for up to the configured retry_policy, and then said."""
    portal.faults.add(Fault(kind="OPERATION_TIME_LIMIT", times=None))
    settings = ClientSettings()
    before = clock.monotonic()
    with pytest.raises(Bitrix24Error, match=r"ten-minute time budget.* - .* - try again in ten minutes") as raised:
        read_catalog(connect(settings=settings))

    assert "OPERATION_TIME_LIMIT" == raised.value.code
    assert (
        settings.retry_policy.operating_seconds
        <= clock.monotonic() - before
        < 2 * settings.retry_policy.operating_seconds
    )


def test_a_limit_hit_for_a_while_ends_well(portal, connect, clock):
    """A limit that passes costs time and nothing else."""
    portal.faults.add(Fault(kind="QUERY_LIMIT_EXCEEDED", times=4))

    assert 6 == len(read_catalog(connect()).types)
    assert clock.monotonic() > 0


def test_a_locked_duckdb_file_is_found_before_the_portal_is_asked(portal, server, bitrix24, tmp_path):
    """A database that another program has open ends the run at once: no request, and the file is named."""
    load = partial(bitrix24, *LOAD, credentials=server.credentials()["webhook"])
    file = tmp_path / "bitrix24_data.duckdb"
    holder = f"import duckdb, sys; held = duckdb.connect({file.name!r}); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert "held\n" == other.stdout.readline()
        done = load()
        other.stdin.close()

    assert 1 == done.code
    assert re.fullmatch(
        r'bitrix24: the DuckDB file is locked by another program - file ".*\.duckdb" - close the program .*\n',
        done.err,
    ), done.err
    assert [] == portal.requests
    assert_no_secret_left(portal.access.secrets(), done, tmp_path)
    assert 0 == load().code  # a locked file leaves nothing behind that spoils the next run


def test_an_unknown_destination_is_found_before_the_portal_is_asked(portal, server, bitrix24):
    """A typing error in --destination costs no request."""
    bitrix24(*LOAD, "--destination", "duckbd", credentials=server.credentials()["webhook"])

    assert [] == portal.requests


def test_an_unknown_resource_is_a_mistake_in_usage(portal, server, bitrix24):
    """Exit code 2, the names that exist, and no request."""
    done = bitrix24(*LOAD, "--resource", "spa_typos", credentials=server.credentials()["webhook"])

    assert 2 == done.code
    assert "No such resource: spa_typos" in done.err
    assert "spa_types, spa_type_relations" in done.err
    assert [] == portal.requests


@pytest.mark.parametrize(
    "arguments",
    [
        ("lod",),
        ("load", "--progress", "loud"),
        ("spa-info", "--xml"),
        ("check", "now"),
        ("sandbox", "--port", "x"),
        ("sandbox", "--port", "99999"),
        ("sandbox", "--items", "-1"),
        ("sandbox", "--latency-ms", "-1"),
    ],
    ids=" ".join,
)
def test_a_mistake_in_usage_is_exit_code_2(bitrix24, arguments):
    """Unknown commands, options and values end with 2 and a hint at --help."""
    done = bitrix24(*arguments)

    assert 2 == done.code
    assert "--help" in done.err or "-h" in done.err
    assert "Traceback" not in done.err


def test_missing_rights_in_crm_are_no_error(portal, server, bitrix24):
    """No CRM admin: everything readable is shown, the loss is said on stderr, exit code 3."""
    portal.set_admin(crm=False, portal=True)
    done = bitrix24("spa-info", credentials=server.credentials()["webhook"])

    assert 3 == done.code
    assert "6 smart processes on 127.0.0.1" in done.out
    assert re.search(r"automated_solutions: access denied.*stay empty - use a webhook.*administrator", done.err), (
        done.err
    )


def test_an_error_inside_a_pipeline_run_is_the_same_sentence(portal, connect, tmp_path):
    """What dlt wraps around our error is taken off again, however deep."""
    portal.expire_webhook()
    source = bitrix24_source(credentials=portal.credentials(portal.base_url)["webhook"], client=connect())
    with pytest.raises(Bitrix24Error, match="there is no active webhook") as raised:
        run_source(source, destination=dlt.destinations.duckdb(str(tmp_path / "x.duckdb")))

    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_broken_toml_is_one_sentence(shell, tmp_path):
    """A file that cannot be read is named; its content, which may be a secret, is not shown."""
    (tmp_path / ".dlt").mkdir(exist_ok=True)
    broken = tmp_path / ".dlt" / "secrets.toml"
    broken.write_text(f'[sources.bitrix24.credentials\nauth = "{CODE}"\n')
    done = shell("check")
    broken.unlink()

    assert 1 == done.code
    assert re.fullmatch(r"bitrix24: .*secrets\.toml.*\n", done.err), done.err
    assert CODE not in done.err


def test_a_destination_without_credentials_says_which_to_set(bitrix24):
    """Somebody who only installed the package has no example file: the message names section and variable."""
    done = bitrix24("load", "--sandbox", "--progress", "none", "--destination", "postgres")

    assert 1 == done.code
    assert re.fullmatch(
        r"bitrix24: the configuration is not complete \(database, password, username, host missing\) - destination postgres - "
        r"set .* below \[destination\.postgres\.credentials\], or in the address DESTINATION__POSTGRES__CREDENTIALS; looked in .*\n",
        done.err,
    )


def test_a_driver_that_is_not_installed_is_named():
    """dlt's destinations need drivers of their own: the sentence says what to install."""
    from bitrix24_source.app.error_messages import to_user_error

    said = str(to_user_error(ModuleNotFoundError("No module named 'psycopg2'"), "postgres"))

    assert said.startswith("the destination's driver is not installed")
    assert said.endswith('destination postgres - pip install "dlt[postgres]"')

"""No credential is left behind by runs: not in logs, sentences, progress, traces, packages, tables, state, or any other file."""

from __future__ import annotations

import gzip
import io
import json
import logging
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from dlt.common.runtime.collector import LogCollector
from dlt.common.runtime.run_context import active

from bitrix24_source.errors import Bitrix24Error
from bitrix24_source.sandbox import Fault

COUNTS = {177: 120, 1030: 10}
KINDS = ["webhook", "oauth2", "api_key", "access_token"]
LOUD = ("", "dlt", "bitrix24_source", "urllib3", "urllib3.connectionpool", "requests", "filelock")


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """All that any logger says, at any level, with tracebacks."""
    assert active().runtime_config  # dlt sets its logger's level when that is first asked for
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    loggers = [logging.getLogger(name) for name in LOUD]
    before = [logger.level for logger in loggers]
    logging.getLogger().addHandler(handler)
    logging.getLogger("dlt").addHandler(handler)
    for logger in loggers:
        logger.setLevel(1)
    yield said
    for name in ("", "dlt"):
        logging.getLogger(name).removeHandler(handler)
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


# --- what may happen to a run ---------------------------------------------------------------------------------------


def own_secrets(job) -> set[str]:
    """What this job was given, and the pair that it has now; of anything else it cannot know that it is a secret."""
    given = job.credentials
    if job.auth == "oauth2":
        pair = Path(given["token_file"])
        kept = json.loads(pair.read_text()) if pair.exists() else {}
        return {given["client_secret"], given["refresh_token"], *(kept[key] for key in kept if key.endswith("token"))}
    key = given.get("api_key", "")
    return {key} if key and "/" not in key else {job.portal.webhook_code}


def nothing(_job) -> None:
    """A load as it should be."""


def expired(job) -> None:
    job.portal.expire_access_tokens()


def echo(job) -> None:
    """The portal repeats in an error what it was sent."""
    text = " ".join(sorted(own_secrets(job)))
    job.portal.faults.add(Fault("batch", "error", nth=3, error="ERROR_CORE", status=400, description=text, times=None))


def echo_in_commands(job) -> None:
    text = " ".join(sorted(own_secrets(job)))
    job.portal.faults.add(
        Fault("crm.item.list", "error", nth=2, where="command", error=text, status=400, description=text, times=None)
    )


def web_page(job) -> None:
    page = " ".join(sorted(own_secrets(job)))
    job.portal.faults.add(Fault("batch", "http", nth=3, status=502, body=page, times=None))


def redirected(job) -> None:
    job.before = lambda number: job.portal.move_to("https://evil.example.net") if number == 4 else None


def reset(job) -> None:
    job.portal.faults.add(Fault("batch", "reset", nth=2, times=None))


def token_server_down(job) -> None:
    expired(job)
    job.portal.faults.add(Fault("oauth.token", "http", status=500, times=None))


def locked_out(job) -> None:
    job.portal.expire_webhook()
    job.portal.expire_access_tokens()
    job.portal.revoke_refresh_token()


def unloadable(job) -> None:
    """The database refuses the package: it stays in the working folder, and the trace holds the exception."""
    job.query("alter table crm.spa_items_177 rename title to kept; alter table crm.spa_items_177 add title integer")
    job.portal.items(177).update(5, title="changed")
    job.portal.clock.advance(7200)


EVENTS = [
    nothing, echo_in_commands, web_page, redirected, reset, unloadable, expired, echo, token_server_down, locked_out,
]  # fmt: skip
OF_OAUTH = [expired, token_server_down]
"""what happens to the tokens of an application alone"""
OF_DLT = [nothing, echo_in_commands, unloadable, echo]
"""dlt packs rows and issues, refuses a package, and wraps and keeps an exception; with the others it does nothing else"""
WHOLE = [echo]
"""late: once all tables are there, every run takes longer"""
OF_DLT_BY_WEBHOOK = [echo_in_commands, echo]
"""of them, what the portal repeats of the other kind of secret; what the database says of a package has nothing of either"""
FEW = ("spa_types", "spa_items", "deals", "users")
"""a list of types, items of two kinds, and a list that is read by pages: each way in which rows are read"""


def shown(error: BaseException) -> str:
    """Every way in which an exception may be printed, with all that is chained to it."""
    texts = ["".join(traceback.format_exception(error)), repr(error), repr(error.args), repr(vars(error))]
    chained = [inner for inner in (error.__cause__, error.__context__) if inner is not None]
    return "\n".join([*texts, *map(shown, chained)])


def contents(folder: Path, seen: set[tuple[str, int, int]]) -> dict[str, bytes]:
    """Every file below a folder that is new or has changed, unpacked where it is packed."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and (state := (str(path), path.stat().st_mtime_ns, path.stat().st_size)) not in seen:
            seen.add(state)
            found[str(path.relative_to(folder))] = _unpacked(path)
    return found


def _unpacked(path: Path) -> bytes:
    raw = path.read_bytes()
    texts = []
    if path.suffix == ".gz":
        raw += gzip.decompress(raw)
    if path.suffix == ".parquet":
        texts.append(repr(pq.read_table(path).to_pylist()))
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path)) as connection:
            tables = connection.sql("select table_schema, table_name from information_schema.tables").fetchall()
            texts += [repr(connection.sql(f'from "{schema}"."{name}"').fetchall()) for schema, name in tables]
    return b"\n".join([raw, *(text.encode() for text in texts)])


def events_of(kind: str, events: Sequence[Any]) -> list[Any]:
    """Those of some that this method can meet, in their order."""
    return [event for event in events if kind == "oauth2" or event not in OF_OAUTH]


def find(secrets: set[str], texts: Mapping[str, bytes]) -> set[str]:
    """Names of the texts that hold a secret in one of its spellings."""
    spelled = [secret.encode(how) for secret in secrets for how in ("utf-8", "utf-16-le")]
    return {where for where, text in texts.items() if any(secret in text for secret in spelled)}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_said_or_kept(memory_job, said, tmp_path, kind):
    """Each method meets each misfortune that it can meet: logs, sentences and issues hold no secret, and no file but the pair."""
    job = memory_job(COUNTS, auth="api_key" if kind == "access_token" else kind)
    if kind == "access_token":
        job.given["api_key"] = job.portal.access.issue().access_token
    texts, secrets = {}, own_secrets(job)
    for event in events_of(kind, [event for event in EVENTS if event is not unloadable]):
        event(job)
        try:
            texts[event.__name__] = repr(job.run(*FEW)).encode()
        except Bitrix24Error as error:
            texts[event.__name__] = shown(error).encode()
        secrets |= own_secrets(job)
        job.portal.faults.clear()
        job.portal._moved = None
    texts |= contents(tmp_path, set())
    texts |= {"log": said.getvalue().encode(), "issues": repr(job.noted).encode()}
    texts |= {"tables": repr(job.destination.tables).encode(), "state": repr(job.states).encode()}

    assert {where for where in find(secrets, texts) if not where.endswith("pair0.json")} == set()
    assert job.noted
    assert b"bitrix24" in texts["log"]
    assert "Error" in str(texts[locked_out.__name__])
    assert (kind == "oauth2") == any(where.endswith("pair0.json") for where in find(secrets, texts))


@pytest.mark.parametrize(
    ("kind", "events"),
    [
        ("webhook", OF_DLT_BY_WEBHOOK),
        ("oauth2", OF_DLT),
        *(pytest.param(kind, EVENTS, marks=pytest.mark.slow) for kind in KINDS),
    ],
    ids=lambda value: value if isinstance(value, str) else "all" if value == EVENTS else "few",
)
def test_nothing_is_left_behind(scheduled_job, said, monkeypatch, kind, events):
    """Run after run of one job, each with another misfortune, everything logged: only the token file holds a token.

    With all of them, all tables are there with one method, and so are views.
    """
    counts, few = (COUNTS, FEW) if events == EVENTS else ({177: COUNTS[177]}, ("spa_items", "users"))
    job = scheduled_job(counts, auth="api_key" if kind == "access_token" else kind, keep_open=True)
    if kind == "access_token":
        job.given = {"api_key": job.portal.access.issue().access_token}
    for key, value in job.credentials.items():  # as a scheduler gives them; dlt's trace knows what it resolved
        monkeypatch.setenv(f"SOURCES__BITRIX24__CREDENTIALS__{key.upper()}", value)
    progress, texts, secrets, seen = io.StringIO(), {}, own_secrets(job), set()
    for event in events_of(kind, events):
        event(job)
        try:
            is_whole = kind == "oauth2" and events == EVENTS and event in WHOLE
            loaded = job.run_as_configured(
                *(() if is_whole else few),
                views=kind == "oauth2" and events == EVENTS and event is nothing,
                progress=LogCollector(0.001, progress, dump_system_stats=False),
            )
            texts[event.__name__] = repr(loaded).encode()
        except Bitrix24Error as error:
            texts[event.__name__] = shown(error).encode()
        secrets |= own_secrets(job)
        job.portal.faults.clear()
        job.portal._moved = None
        texts |= {f"{event.__name__}: {name}": text for name, text in contents(job.folder.parent, seen).items()}
    texts |= {"log": said.getvalue().encode(), "progress": progress.getvalue().encode()}

    holding = find(secrets, texts)
    assert {where for where in holding if not where.endswith("pair.json")} == set()
    assert b"dlt" in texts["log"]
    assert b"Load" in texts["progress"]
    assert (kind == "oauth2") == any(where.endswith("pair.json") for where in holding)

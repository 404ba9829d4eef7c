"""The command line: check, spa-info, load, report and sandbox."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..errors import Bitrix24Error
    from ..rest import Client
    from .run import LoadTarget


NOTHING_USABLE, INCOMPLETE, STOPPED = 1, 3, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="dlt-source-bitrix24", prog_name="bitrix24")
def cli() -> None:
    """Loads a Bitrix24 portal (smart processes and CRM) as typed tables into DuckDB or a warehouse.

    Example: bitrix24 load --sandbox
    """


def main() -> None:
    """Entry point of the console script: foreseeable problems are one line, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # redirected on Windows it would be cp1251 or the like
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_SafeFormatter("%(message)s"))
    logging.getLogger("dlt").addFilter(_keep_first_line)
    from ..errors import Bitrix24Error  # noqa: PLC0415 - errors are light, and only needed here

    failure = None
    try:
        cli.main(standalone_mode=False)
    except Bitrix24Error as error:
        failure = error
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("bitrix24: stopped", err=True)
        sys.exit(STOPPED)
    except Exception as error:
        failure = _unreadable_configuration(error)
        if failure is None:
            raise
    if failure is not None:
        click.echo(f"bitrix24: {failure}", err=True)
        sys.exit(NOTHING_USABLE)


class _SafeFormatter(logging.Formatter):
    """Formats a message as one line: text from the portal can neither forge lines nor move a terminal's cursor."""

    def format(self, record: logging.LogRecord) -> str:
        from ..redaction import safe_line  # noqa: PLC0415 - `--help` should not wait

        text = super().format(record)
        return text if record.exc_info else safe_line(text)


def _keep_first_line(record: logging.LogRecord) -> bool:
    """Shortens messages of dlt to their first line: they contain tracebacks of errors that are reported afterwards."""
    from ..source import ANOTHER_DESTINATION  # noqa: PLC0415 - `--help` should not wait

    if ANOTHER_DESTINATION in record.getMessage():
        return False  # the folder is given up anyway
    if logging.getLogger("dlt").getEffectiveLevel() > logging.DEBUG:
        record.msg, record.args = (
            record.getMessage().partition("\n")[0].removesuffix(" Traceback (most recent call last):"),
            (),
        )
        record.exc_info = record.exc_text = None
    return True


def _unreadable_configuration(error: Exception) -> Bitrix24Error | None:
    """Returns dlt's error about an unreadable file or value in one sentence; None for any other error."""
    if "dlt" not in sys.modules:
        return None
    from dlt.common.configuration.exceptions import (  # noqa: PLC0415 - `--help` should not wait
        ConfigurationException,
        ConfigValueCannotBeCoercedException,
        ValueNotSecretException,
    )

    from ..errors import ConfigError  # noqa: PLC0415
    from ..source import files_and_variable, settings_folder, unreadable_file  # noqa: PLC0415

    if not isinstance(error, (ConfigurationException, UnicodeDecodeError)):
        return None
    file = unreadable_file()
    if file:
        return ConfigError("the configuration cannot be read", file, "save it as UTF-8 without a byte order mark")
    if isinstance(error, ValueNotSecretException):
        return ConfigError(
            f"[{error.key}] is in config.toml", settings_folder(), "secrets go to secrets.toml: move it there"
        )
    if isinstance(error, ConfigValueCannotBeCoercedException):
        kind = {int: "a whole number", float: "a number", bool: "true or false"}.get(
            error.hint, "what is expected there"
        )
        return ConfigError(
            f"{error.field_name} is not {kind}",
            f"sources.bitrix24.{error.field_name}",
            f"looked in {files_and_variable(f'sources.bitrix24.{error.field_name}')}",
        )
    message = " ".join(str(error).split())[:400]
    return ConfigError(
        "the configuration cannot be read", message, 'compare it with the README, "Your portal in four steps"'
    )


PORTAL_AND_SANDBOX = "--sandbox is a portal of its own: leave out --portal."
sandbox_option = click.option("--sandbox", is_flag=True, help="Start a portal on this machine and use it.")
portal_option = click.option("--portal", metavar="P", help="One of several: the portal of [sources.bitrix24.P].")


@cli.command(short_help="Test the connection.")
@portal_option
@sandbox_option
def check(portal: str | None, sandbox: bool) -> None:
    """Test the connection: portal, method, user, scopes, smart processes, clock.

    Example: bitrix24 check
    """
    from .connection_check import check_connection  # noqa: PLC0415 - `--help` should not wait for dlt

    with _client(portal, sandbox) as client:
        findings = check_connection(client)
    for finding in findings:
        click.echo(f"{finding.topic:<10} {finding.text}")
    sys.exit(0 if all(finding.ok for finding in findings) else NOTHING_USABLE)


@cli.command("spa-info", short_help="Show the smart processes, their fields and automation.")
@click.option("--type", "types", multiple=True, metavar="T", help="entityTypeId, title or code; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for forms and scripts.")
@portal_option
@sandbox_option
def spa_info(types: tuple[str, ...], as_json: bool, portal: str | None, sandbox: bool) -> None:
    """Show every smart process with its flags, fields and automation, without loading anything.

    Example: bitrix24 spa-info --type 177 --json
    """
    from ..catalog import read_catalog  # noqa: PLC0415
    from ..redaction import safe_line  # noqa: PLC0415
    from .catalog_report import document, json_text, report_lines  # noqa: PLC0415 - as above

    with _client(portal, sandbox) as client, _progress_bar(client, "Reading the catalogue"):
        catalog = read_catalog(client)
        chosen = [spa.entity_type_id for spa in catalog.find_all(types)] if types else None
        described = document(catalog, client.portal, client.clock.now(), chosen)
    if as_json:
        click.echo(json_text(described))
    else:
        for line in report_lines(described):
            click.echo(safe_line(line))
    sys.exit(INCOMPLETE if catalog.issues else 0)


@cli.command(short_help="One scheduled run: load what is on by default.")
@click.option(
    "--destination", metavar="D", help="dlt's name of the destination.  [default: as configured, else duckdb]"
)
@click.option(
    "--dataset",
    metavar="N",
    help="Dataset or schema to load into.  [default: as configured, else bitrix24, or bitrix24_P]",
)
@click.option("--resource", "resources", multiple=True, metavar="R", help="Load only this; may be repeated.")
@click.option("--type", "types", multiple=True, metavar="T", help="Only this smart process; may be repeated.")
@click.option("--full-refresh", is_flag=True, help="Drop the tables and start over; with --type, read that one again.")
@click.option("--sweep", is_flag=True, help="Reconcile now: compare all ids with the destination.")
@click.option("--no-views", is_flag=True, help="Leave the labelled views as they are.")
@click.option("--progress", type=click.Choice(["tqdm", "log", "none"]), help="[default: tqdm on a terminal, else log]")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON at the end instead of a table.")
@click.option(
    "--max-minutes", type=click.FloatRange(min=0), metavar="M", help="End after M minutes, between two commits."
)
@click.option("--dry-run", is_flag=True, help="Say what would be read, and load nothing.")
@portal_option
@sandbox_option
def load(
    destination: str | None,
    dataset: str | None,
    resources: tuple[str, ...],
    types: tuple[str, ...],
    full_refresh: bool,
    sweep: bool,
    no_views: bool,
    progress: str | None,
    as_json: bool,
    max_minutes: float | None,
    dry_run: bool,
    portal: str | None,
    sandbox: bool,
) -> None:
    """Load what is on by default, once. Safe to run from a scheduler.

    Example: bitrix24 load --destination postgres --dataset crm
    """
    from ..source import bitrix24, configured_slices, connect, require_known_settings  # noqa: PLC0415
    from .process_memory import collect_garbage_seldom, limit_malloc_retention  # noqa: PLC0415
    from .run import run_load  # noqa: PLC0415
    from .summary import json_line, summary_lines  # noqa: PLC0415

    started = time.monotonic()
    require_known_settings(portal)
    with _credentials(portal, sandbox) as given:
        slices = configured_slices(portal=portal)
        options = {"spa_types": list(types), "sweep": sweep, "full_refresh": full_refresh}
        given |= {name: value for name, value in options.items() if value}  # the others come from the configuration
        client = connect(**{name: value for name, value in given.items() if name in ("portal", "credentials")})
        source = bitrix24(client=client, slices=slices, **given)
        _require_known_resources(resources, source.resources)
        target = _destination_arguments(destination, dataset, portal, sandbox=sandbox)
        if dry_run:
            from .dry_run import plan_json, plan_lines, plan_load  # noqa: PLC0415

            try:
                plan = plan_load(source, client, slices, resources=resources, **target)
            finally:
                client.close()
            for line in [plan_json(plan)] if as_json else plan_lines(plan):
                click.echo(line)
            return
        limit_malloc_retention()  # this process is ours alone
        collect_garbage_seldom()
        try:
            loaded = run_load(
                source,
                **target,
                resources=resources,
                full_refresh=full_refresh and not types,  # one type alone is read again into the table that it has
                progress=_progress(progress),
                slices=slices,
                views=not no_views,
                max_minutes=max_minutes,
                on_start=lambda target: None if as_json else click.echo(_heading(client, target)),
            )
        except KeyboardInterrupt:
            click.echo("bitrix24: stopped - what was committed stays - run again to continue", err=True)
            sys.exit(STOPPED)
        finally:
            client.close()
    seconds = time.monotonic() - started
    for line in [json_line(loaded, client.portal, seconds, client.requests)] if as_json else summary_lines(loaded):
        click.echo(line)
    if loaded.left:
        left = ", ".join(f"{table}" + (f" about {rows:,} rows" if rows else "") for table, rows in loaded.left.items())
        click.echo(f"bitrix24: the time limit was reached - left: {left} - run again to continue", err=True)
    if loaded.issues:
        click.echo(f"bitrix24: {loaded.issues} things could not be loaded; see the table load_issues", err=True)
    sys.exit(INCOMPLETE if loaded.issues else 0)


def _heading(client: Client, target: LoadTarget) -> str:
    place = f"{target.destination} {target.location}".rstrip()
    return f"Loading portal {client.portal} ({client.auth.name}) into {place}, dataset {target.dataset}"


@cli.command(short_help="A page of charts on what the last load brought.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    metavar="F",
    help="The file to write.",
)
@click.option(
    "--type", "types", multiple=True, metavar="T", help="Only this type, by number or title; may be repeated."
)
@click.option("--no-people", is_flag=True, help="Leave out who is responsible.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="D", help="Only what was created since this day.")
@click.option("--language", type=click.Choice(["en", "ru"]), help="[default: the portal's, as far as it is known]")
@click.option(
    "--sql", metavar="Q", help="Print a query upon the marts instead, to run in your own tool; `list` names all."
)
@portal_option
@click.option("--sandbox", is_flag=True, help="On what `bitrix24 load --sandbox` has loaded.")
def report(
    out: Path,
    types: tuple[str, ...],
    no_people: bool,
    since: datetime | None,
    language: str | None,
    sql: str | None,
    portal: str | None,
    sandbox: bool,
) -> None:
    """Make one HTML file with charts from the marts of the last load; it opens offline.

    Example: bitrix24 report --out sales.html --type deals --since 2026-01-01
    """
    from ..report import questions, sql_of, write_report  # noqa: PLC0415
    from .loaded_pipeline import loaded_pipeline  # noqa: PLC0415 - as above

    if portal is not None and sandbox:
        raise click.UsageError(PORTAL_AND_SANDBOX)
    if sql:
        listed = "\n".join(f"{name:24}{question}" for name, question in questions().items())
        click.echo(listed if sql == "list" else sql_of(sql).rstrip())
        return
    file = write_report(
        loaded_pipeline(portal, sandbox=sandbox),
        out,
        types=types,
        people=not no_people,
        since=since.date() if since else None,
        language=language or "",
    )
    click.echo(f"{file.resolve()} ({file.stat().st_size / 1e6:.1f} MB)")


@cli.command(short_help="A portal on this machine to try things against.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8024, show_default=True, metavar="P", help="0 takes any free one."
)
@click.option("--items", type=click.IntRange(min=0), metavar="N", help="Items in all.  [default: the scenario's own]")
@click.option("--seed", default=1, show_default=True, metavar="S", help="The same seed makes the same portal.")
@click.option("--scenario", type=click.Choice(["demo", "hostile"]), default="demo", show_default=True)
@click.option(
    "--latency-ms",
    type=click.FloatRange(min=0),
    default=0,
    show_default=True,
    metavar="L",
    help="Time that every page takes.",
)
def sandbox(port: int, items: int | None, seed: int, scenario: str, latency_ms: float) -> None:
    """Serve a portal on loopback, until Ctrl-C; prints a webhook, an OAuth and an API-key credential for it.

    Example: bitrix24 sandbox --port 8024 --scenario hostile
    """
    from ..errors import ConfigError  # noqa: PLC0415
    from ..sandbox import serve_forever  # noqa: PLC0415

    reason = ""
    try:
        serve_forever(port, scenario, seed, items, latency_ms, out=click.echo)
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise ConfigError(
            f"the sandbox cannot listen ({reason})", f"port {port}", "choose another --port, or 0 for any"
        )


@contextlib.contextmanager
def _client(portal: str | None, use_sandbox: bool) -> Iterator[Client]:
    """Yields a client of the configured portal, or of a sandbox that runs meanwhile."""
    from ..source import connect  # noqa: PLC0415

    with _credentials(portal, use_sandbox) as given:
        client = connect(**given)
        try:
            yield client
        finally:
            client.close()


@contextlib.contextmanager
def _credentials(portal: str | None, use_sandbox: bool) -> Iterator[dict[str, Any]]:
    """Yields the arguments that identify the portal; without any, it is the configured one."""
    if portal is not None and use_sandbox:
        raise click.UsageError(PORTAL_AND_SANDBOX)
    if not use_sandbox:
        from ..source import portal_credentials  # noqa: PLC0415

        yield {} if portal is None else {"portal": portal, "credentials": portal_credentials(portal)}
        return
    from ..sandbox import Portal, SandboxServer  # noqa: PLC0415

    with SandboxServer(Portal(scenario="demo", seed=1), port=0) as server:
        yield {"credentials": server.credentials()["webhook"]}


@contextlib.contextmanager
def _progress_bar(client: Client, description: str) -> Iterator[None]:
    """Shows the number of requests on a terminal, if they take longer than a second."""
    from tqdm import tqdm  # noqa: PLC0415

    with tqdm(desc=description, unit=" requests", delay=1, leave=False, file=sys.stderr, disable=None) as bar:
        client.on_request = _stepping(bar)
        yield


def _stepping(bar: Any) -> Callable[[], None]:
    def step() -> None:
        bar.update()

    return step


def _destination_arguments(
    destination: str | None, dataset: str | None, portal: str | None, *, sandbox: bool
) -> dict[str, Any]:
    """Returns where to load: each portal has a dataset of its own, and the sandbox never shares a real portal's."""
    from ..source import configured_pipeline, pipeline_name  # noqa: PLC0415 - as above

    if not sandbox:
        name = pipeline_name(portal)
        configured = configured_pipeline(name)
        return {
            "pipeline_name": name,
            "destination": destination or configured.destination or "duckdb",
            "dataset": dataset or configured.dataset or name,
        }
    from dlt.destinations import duckdb  # noqa: PLC0415 - as above

    from .loaded_pipeline import SANDBOX_DATASET, SANDBOX_FILE, SANDBOX_PIPELINE  # noqa: PLC0415 - as above

    own_file = destination in (None, "duckdb")
    return {
        "pipeline_name": SANDBOX_PIPELINE,
        "destination": duckdb(SANDBOX_FILE) if own_file else destination,
        "dataset": dataset or (SANDBOX_DATASET if own_file else SANDBOX_PIPELINE),
    }


def _require_known_resources(resources: tuple[str, ...], existing: Mapping[str, Any]) -> None:
    unknown = [name for name in resources if name not in existing]
    if unknown:
        raise click.UsageError(f"No such resource: {', '.join(unknown)}. There are: {', '.join(existing)}.")


def _progress(name: str | None) -> Any:
    from dlt.common.runtime.collector import LogCollector, TqdmCollector  # noqa: PLC0415

    chosen = name or ("tqdm" if sys.stderr.isatty() else "log")
    if chosen == "none":
        return None
    return (
        TqdmCollector(file=sys.stderr) if chosen == "tqdm" else LogCollector(5.0, sys.stderr, dump_system_stats=False)
    )


if __name__ == "__main__":
    main()

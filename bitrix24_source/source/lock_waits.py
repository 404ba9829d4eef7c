"""Limits how long a load into PostgreSQL waits for readers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import dlt

from ..database_locks import LOCK_SECONDS, LockBudget, blocking_sessions, is_lock_timeout
from ..errors import causes
from .capabilities import normalized_table
from .dlt_internals import override_credentials


def limit_lock_waits(pipeline: dlt.Pipeline, client: Any) -> None:
    """Has all connections of the pipeline to PostgreSQL wait at most `LOCK_SECONDS` for a lock.

    A `lock_timeout` in the options of the credentials is kept. dlt has no setting for this, so the options of the destination's
    credentials are changed, with which dlt opens connections.
    """
    if not _is_postgres(client):
        return
    credentials = client.config.credentials
    options = str(credentials.query.get("options", "")) if credentials.query else ""
    if "lock_timeout" not in options:
        limited = f"{options} -clock_timeout={int(LOCK_SECONDS * 1000)}".strip()
        credentials.query = {**(credentials.query or {}), "options": limited}
        override_credentials(pipeline, credentials)


def tables_in_use(pipeline: dlt.Pipeline, schema: str, tables: Iterable[str]) -> Mapping[str, str]:
    """Returns the tables that cannot be altered now, with the sessions that block them; only in PostgreSQL.

    Each table is locked for a moment, within the `LockBudget`.
    """
    in_use: dict[str, str] = {}
    budget = LockBudget()
    with pipeline.destination_client(schema) as client:
        if not _is_postgres(client):
            return in_use
        sql: Any = client.sql_client  # type: ignore[attr-defined]  # of a database
        for table in tables:
            wait = budget.next_wait(LOCK_SECONDS)
            try:
                with sql.begin_transaction():
                    sql.execute_sql(f"SET LOCAL lock_timeout = {int(wait * 1000)}")
                    sql.execute_sql(
                        f"LOCK TABLE {sql.make_qualified_table_name(normalized_table(table))} IN ACCESS EXCLUSIVE MODE"
                    )
            except Exception as error:  # noqa: BLE001 - what else is wrong with the table, the load itself will say
                if is_lock_timeout(causes(error)):
                    budget.spend(wait)
                    in_use[table] = blocking_sessions(sql.execute_sql, sql.fully_qualified_dataset_name(quote=False))
    return in_use


def _is_postgres(client: Any) -> bool:
    return str(getattr(client.config, "destination_type", "")).rpartition(".")[2] == "postgres"

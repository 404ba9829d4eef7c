"""Checks that the destination can be opened, before the portal is called."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import dlt
from dlt.common.exceptions import DltException

from ..errors import ConfigError
from ..redaction import redact
from .dlt_internals import override_capability
from .lock_waits import limit_lock_waits

_checked: WeakSet[dlt.Pipeline] = WeakSet()
"""pipelines that were checked for a load that has not started yet"""


def check_destination_of_load(pipeline: dlt.Pipeline) -> None:
    """Calls `check_destination` for the load that starts, unless its caller has done so."""
    if pipeline in _checked:
        _checked.discard(pipeline)
    else:
        check_destination(pipeline)
        _checked.discard(pipeline)


def check_destination(pipeline: dlt.Pipeline) -> None:
    """Opens the destination and closes it again, so that a locked database does not cost a whole extraction.

    From then on each job of the pipeline is one transaction, if the destination has them, and connections to PostgreSQL
    wait for locks no longer than `database_locks.LOCK_SECONDS`.

    Raises:
        ConfigError: a DuckDB file has the dataset's name, so that DuckDB cannot address tables; or a driver reports that the
            database cannot be reached.
        DltException: the destination cannot be opened for another reason.
    """
    failure: ConfigError | None = None
    try:
        _open(pipeline)
    except (DltException, ConfigError):
        raise
    except Exception as error:  # noqa: BLE001 - dlt lets the errors of drivers through, each of a class of its own
        name = pipeline.destination.destination_name if pipeline.destination else ""
        failure = ConfigError(
            f"the destination cannot be reached ({redact(' '.join(str(error).split()))[:400]})",
            f"destination {name}",
            f"check its address and credentials: DESTINATION__{name.upper()}__CREDENTIALS or .dlt/secrets.toml",
        )
    if failure:
        raise failure  # outside the handler: the driver's error may contain the credentials
    _checked.add(pipeline)


def _open(pipeline: dlt.Pipeline) -> None:
    with pipeline.destination_client() as client:
        client.is_storage_initialized()
        limit_lock_waits(pipeline, client)
        _merge_in_transactions(pipeline, client)
        sql = getattr(client, "sql_client", None)
        if pipeline.destination.destination_name == "duckdb" or type(sql).__name__ == "DuckDbSqlClient":
            _require_other_name(sql)


def _merge_in_transactions(pipeline: dlt.Pipeline, client: Any) -> None:
    """Has merges delete and insert in one transaction.

    dlt 1.31 does not know for most databases whether they have transactions, and merges without one unless a statement looks
    like DDL: in DuckDB readers see a table between DELETE and INSERT. A database with transactional DDL has transactions for
    rows as well.
    """
    capabilities = client.capabilities
    if capabilities.supports_ddl_transactions and capabilities.supports_transactions is None:
        override_capability(pipeline, "supports_transactions", value=True)


def _require_other_name(sql: Any) -> None:
    catalog = sql.execute_sql("SELECT current_database()")[0][0]
    if catalog == sql.dataset_name:
        raise ConfigError(
            f"the DuckDB file and the dataset are both named {catalog!r}, which DuckDB cannot tell apart",
            "destination.duckdb.credentials",
            f'give the file another name, e.g. DESTINATION__DUCKDB__CREDENTIALS="{catalog}_data.duckdb"',
        )

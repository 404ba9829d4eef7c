"""Bounds how long PostgreSQL waits for the readers of a table or view, and finds their sessions.

Merged rows need no lock that conflicts with readers. A new column, a changed view and a dropped table do: they wait for
transactions that have read the table, even idle ones, and every later reader waits behind them. So each wait is bounded.
https://www.postgresql.org/docs/current/explicit-locking.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

LOCK_SECONDS: float = 5
"""maximum wait for one lock; readers that queue behind it wait no longer than that"""
LOCK_BUDGET_SECONDS: float = 20
"""maximum wait for all locks of one step; once it is used up, each further lock is tried for `LEAST_SECONDS`"""
LEAST_SECONDS: float = 0.1
LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL's code for a lock that was not acquired within `lock_timeout`"""
_SESSIONS = """
SELECT a.pid, a.usename, a.application_name, a.state, to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ')
FROM pg_stat_activity a
WHERE a.pid <> pg_backend_pid() AND EXISTS (
    SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.pid = a.pid AND l.granted AND n.nspname = %s
)
ORDER BY a.xact_start NULLS LAST LIMIT 3
"""


class LockBudget:
    """Shares `LOCK_BUDGET_SECONDS` among the locks of one step."""

    def __init__(self, seconds: float = LOCK_BUDGET_SECONDS) -> None:
        self._left = seconds

    def next_wait(self, most: float) -> float:
        """Returns the seconds to wait for the next lock."""
        return max(LEAST_SECONDS, min(most, self._left))

    def spend(self, seconds: float) -> None:
        """Counts the seconds of an unsuccessful wait."""
        self._left -= seconds


def is_lock_timeout(errors: Iterable[BaseException]) -> bool:
    """Returns whether an error or one of its causes is a lock held by another session."""
    return any(getattr(error, "pgcode", None) == LOCK_NOT_AVAILABLE for error in errors)


def blocking_sessions(execute: Callable[..., Sequence[Sequence[Any]] | None], dataset: str) -> str:
    """Returns the sessions that hold locks in a schema, the oldest transaction first, in words.

    Args:
        execute: runs a statement with parameters on the same server and returns its rows.
        dataset: the schema's name.

    Returns:
        E.g. "pid 4711 (Superset, user bi, idle in transaction since 2026-11-28 04:30:00 UTC)".
    """
    rows = execute(_SESSIONS, dataset) or ()
    return "; ".join(_describe(*row) for row in rows) or "a session that has ended meanwhile"


def _describe(pid: int, user: str | None, application: str | None, state: str | None, since: str | None) -> str:
    """Describes one session; PostgreSQL shows state and time of other users' sessions only to pg_read_all_stats."""
    doing = f"{state or 'in a transaction'} since {since}" if since else state
    return f"pid {pid} ({', '.join(filter(None, (application, user and f'user {user}', doing)))})"

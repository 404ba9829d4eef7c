"""How long PostgreSQL may wait for the readers of a table or view, and who they are.

Merged rows need no lock that a reader holds. A new column, a changed view and a dropped table do: they wait for transactions
that have read the table, also for those that are idle since, and every later reader waits behind them. So each wait is bounded.
https://www.postgresql.org/docs/current/explicit-locking.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

LOCK_SECONDS: float = 5
"""for one lock; who wants to read meanwhile waits no longer than that"""
LOCK_BUDGET_SECONDS: float = 20
"""for all locks of one step together; once it is used up, each further lock is tried for `LEAST_SECONDS`"""
LEAST_SECONDS: float = 0.1
LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL's code for a lock that was not to be had within `lock_timeout`"""
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
        """Seconds for the next lock."""
        return max(LEAST_SECONDS, min(most, self._left))

    def spend(self, seconds: float) -> None:
        """Counts a lock that was waited for in vain."""
        self._left -= seconds


def is_lock_timeout(errors: Iterable[BaseException]) -> bool:
    """Whether an error, or one of those behind it, is a lock that somebody else holds."""
    return any(getattr(error, "pgcode", None) == LOCK_NOT_AVAILABLE for error in errors)


def blocking_sessions(execute: Callable[..., Sequence[Sequence[Any]] | None], dataset: str) -> str:
    """The sessions that hold locks in a schema, the oldest transaction first, in words for a person.

    Args:
        execute: runs a statement with parameters on the same server and returns its rows.
        dataset: the schema's name.

    Returns:
        E.g. "pid 4711 (Superset, user bi, idle in transaction since 2026-11-28 04:30:00 UTC)".
    """
    rows = execute(_SESSIONS, dataset) or ()
    return "; ".join(_describe(*row) for row in rows) or "a session that has ended meanwhile"


def _describe(pid: int, user: str | None, application: str | None, state: str | None, since: str | None) -> str:
    """One session; PostgreSQL shows state and time of other users' sessions to members of pg_read_all_stats only."""
    doing = f"{state or 'in a transaction'} since {since}" if since else state
    return f"pid {pid} ({', '.join(filter(None, (application, user and f'user {user}', doing)))})"

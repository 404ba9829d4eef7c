"""Issues: parts that could not be read in a run that went on without them; the rows of `load_issues`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..errors import Bitrix24Error, PortalError
from ..redaction import safe_line

log = logging.getLogger("bitrix24_source")


@dataclass(frozen=True)
class Issue:
    """A part that could not be read in a run that went on without it; one row of `load_issues`."""

    resource: str
    error: str
    message: str
    hint: str
    occurred_at: datetime
    entity_type_id: int | None = None


class IssueLog:
    """Logs issues at once and keeps them for `load_issues`."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.issues: list[Issue] = []

    def record(
        self, resource: str, error: Bitrix24Error, message: str, *, hint: str = "", entity_type_id: int | None = None
    ) -> None:
        """Adds an issue and logs it as a warning; `hint` replaces the error's own."""
        code = error.code or type(error).__name__
        issue = Issue(resource, code, safe_line(message), hint or error.hint, self._now(), entity_type_id)
        self.issues.append(issue)
        subject = resource if entity_type_id is None else f"{resource}, type {entity_type_id}"
        log.warning("%s: %s - %s", subject, issue.message, issue.hint)

    def record_unusable(
        self, resource: str, method: str, unusable: Sequence[str], entity_type_id: int | None = None
    ) -> None:
        """Adds one issue for all entries of a list without a usable key, if there are any.

        Args:
            resource: the resource that lacks them.
            method: the method that answered them.
            unusable: the value in place of each entry's key.
            entity_type_id: the type to which they belong.
        """
        if unusable:
            problem = f"rows left out, because their ids are unusable or not theirs alone: {len(unusable)}, such as {unusable[0]}"
            self._record_answer(resource, method, problem, entity_type_id)

    def record_unreadable(
        self, resource: str, method: str, unreadable: Sequence[str], entity_type_id: int | None = None
    ) -> None:
        """Adds one issue for unusable values without which everything else was loaded; `unreadable` names them."""
        if unreadable:
            problem = f"values that cannot be read: {len(unreadable)}, such as {unreadable[0]}"
            self._record_answer(resource, method, problem, entity_type_id)

    def _record_answer(self, resource: str, method: str, problem: str, entity_type_id: int | None) -> None:
        error = PortalError(problem, method, "report it to the portal's administrator; everything else was loaded")
        self.record(resource, error, f"{method}: {problem}", entity_type_id=entity_type_id)

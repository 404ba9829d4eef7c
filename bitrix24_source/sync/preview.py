"""Plans a load without reading a list and without storing anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from ..catalog import IssueLog
from ..reader import IdRange, ListQuery
from ..rest import Client
from .options import SyncOptions
from .plan import ReadTask, SyncPlan, make_plan
from .ports import Capabilities, State
from .streams import Stream


class StoredState:
    """A copy of the state of the last load; changes that planning makes are lost."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        """Copies the state of a source; empty before the first load."""
        self.capabilities = Capabilities()
        self.source_state: State = deepcopy(dict(state))

    def resource_state(self, resource: str) -> State:
        state: State = self.source_state.get("resources", {}).get(resource, {})
        return state

    def has_columns(self, table: str, columns: Sequence[str] = ()) -> bool:  # noqa: ARG002 - the destination is not asked
        return False

    def recreate_missing_tables(self, tables: Sequence[str]) -> list[str]:  # noqa: ARG002 - as above
        return []


def preview(
    client: Client, streams: Sequence[Stream], state: Mapping[str, Any], options: SyncOptions, issues: IssueLog
) -> SyncPlan:
    """Returns what the next load would ask for, by the state of the last one.

    Raises:
        Bitrix24Error: the portal cannot even be asked the time.
    """
    plan = make_plan(StoredState(state), client, streams, options, issues)
    if plan.error is not None:
        raise plan.error
    return plan


def bounded_queries(task: ReadTask) -> list[ListQuery]:
    """Returns the queries of a task with its id bounds as conditions, so that their rows can be counted."""
    return [_bounded(task.query, id_range) for id_range in task.ranges]


def _bounded(query: ListQuery, id_range: IdRange) -> ListQuery:
    bounds: dict[str, int] = {f">{query.id_field}": id_range.after} if id_range.after else {}
    if id_range.upper is not None:
        bounds[f"<={query.id_field}"] = id_range.upper
    return replace(query, filter={**query.filter, **bounds})

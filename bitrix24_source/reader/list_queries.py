"""The lists that are read by id, and the calls for their pages. Sends nothing.

Rows are neither counted nor read by offset (`start` is -1): concurrent changes shift offsets, and counting is expensive for
the portal. Facts: https://apidocs.bitrix24.com/settings/performance/huge-data.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ..rest import PAGE_SIZE, Call, as_id, as_mapping, as_rows

Row = Mapping[str, Any]
CostKey = tuple[str, int, bool]
"""pages with the same key take the portal about the same time: entity type, method, and whether only ids are read"""


@dataclass(frozen=True, eq=False)
class ListQuery:
    """The list of the items of one entity type, or of some of them.

    Attributes:
        entity_type_id: the entity type.
        filter: the user's filter; bounds on the id are added.
        select: field names; empty for all of them.
        extra_select: further fields, for dependents. The list is the same with and without them.

    Class attributes of each kind of list:
        method: the REST method.
        rows_key: key of the rows below `result`; "" if `result` is the list itself.
        id_field: the ascending field by which pages are bounded.
        updated_field: the field with the time of change; "" if rows never change.
        has_shifted_filter: the portal shifts bounds on `updated_field` by the owner's zone minus the server's.
        is_unpaged: all rows are answered at once.
        reference_fields: fields besides the id whose ids every usable row has.
    """

    entity_type_id: int
    filter: Mapping[str, Any] = field(default_factory=dict)
    select: tuple[str, ...] = ()
    extra_select: tuple[str, ...] = ()

    method: ClassVar[str] = "crm.item.list"
    rows_key: ClassVar[str] = "items"
    id_field: ClassVar[str] = "id"
    updated_field: ClassVar[str] = "updatedTime"
    has_shifted_filter: ClassVar[bool] = True
    is_unpaged: ClassVar[bool] = False
    reference_fields: ClassVar[tuple[str, ...]] = ()

    @property
    def where(self) -> str:
        """The name used in errors."""
        return f"{self.method}, entityTypeId {self.entity_type_id}"

    @property
    def has_own_filter(self) -> bool:
        """The list has a user's filter, with which a short page need not be the last one.

        The portal reads fifty ids and then their rows; a condition on a field with several values finds an id several times.
        """
        return not {f">={self.updated_field}", f"@{self.id_field}"}.issuperset(self.filter)

    @property
    def cost_key(self) -> CostKey:
        """The key for the duration of its pages; reading only ids and times is faster."""
        return self.method, self.entity_type_id, self.select in ((self.id_field,), (self.id_field, self.updated_field))

    @property
    def probe_cost_key(self) -> CostKey:
        """The same for calls that look for the highest id."""
        return self.method, self.entity_type_id, True

    def page_call(self, after: int | str, upper: int | None = None) -> Call:
        """Returns the call for the fifty rows after an id (or a reference to one), up to `upper` if given."""
        bounds = {f">{self.id_field}": after, **({} if upper is None else {f"<={self.id_field}": upper})}
        return self.matching({**self.filter, **bounds}, (*self.select, *self.extra_select))

    def max_id_call(self) -> Call:
        """Returns the call for the rows with the highest ids, ids only."""
        return self.newest_call((self.id_field,))

    def newest_call(self, select: Sequence[str]) -> Call:
        """Returns the call for the rows with the highest ids, with some fields."""
        return self.matching(self.filter, select, "DESC")

    def count_call(self) -> Call:
        """Returns the call for a page of ids with the number of all rows in `total`."""
        call = self.matching(self.filter, (self.id_field,))
        return replace(call, params={**call.params, "start": 0})

    def by_ids(self, ids: Sequence[int]) -> list[ListQuery]:
        """Returns queries for rows by their ids, of a page each."""
        pages = [list(ids[start : start + PAGE_SIZE]) for start in range(0, len(ids), PAGE_SIZE)]
        return [replace(self, filter={f"@{self.id_field}": page, **self.filter}) for page in pages]

    def last_id_reference(self, command: int) -> str:
        """Returns a reference to the last id of a full page, the result of command number `command` of the batch."""
        rows = f"[{self.rows_key}]" if self.rows_key else ""
        return f"$result[c{command}]{rows}[{PAGE_SIZE - 1}][{self.id_field}]"

    def matching(self, filter_: Mapping[str, Any], select: Sequence[str], direction: str = "ASC") -> Call:
        """Returns the call for a page of rows that match a filter, in order of ids."""
        params: dict[str, Any] = {**self._about(), "order": {self.id_field: direction}, "start": -1}
        if filter_:
            params["filter"] = filter_
        if select:
            params["select"] = list(dict.fromkeys((self.id_field, *select)))
        return Call(self.method, params)

    def rows_in(self, result: Any) -> list[Row] | None:
        """Returns the rows of an answer; None if it is not a page: as an empty page it would silently end the list.

        An entry that is not an object counts as a row without fields.
        """
        found = as_rows(as_mapping(result).get(self.rows_key) if self.rows_key else result)
        if found is None:
            return None
        rows = [row if isinstance(row, Mapping) else {} for row in found]
        return rows if not found or any(isinstance(row, Mapping) for row in found) else None

    def id_of(self, row: Row) -> int:
        """Returns the id of a row, 0 without a usable one."""
        return as_id(row.get(self.id_field)) or 0

    def unusable_field(self, row: Row) -> str:
        """Returns the field whose value makes a row unusable; "" for a usable row."""
        fields = (*self.reference_fields, *(() if self.is_unpaged else (self.id_field,)))
        return next((name for name in fields if as_id(row.get(name)) is None), "")

    def _about(self) -> dict[str, Any]:
        return {"entityTypeId": self.entity_type_id}


class HistoryQuery(ListQuery):
    """The stage history of one type's items, to which rows are only added.

    https://apidocs.bitrix24.com/api-reference/crm/crm-stage-history-list.html
    """

    method = "crm.stagehistory.list"
    id_field = "ID"
    updated_field = ""
    has_shifted_filter = False


class ActivityQuery(ListQuery):
    """The activities of all types.

    https://apidocs.bitrix24.com/api-reference/crm/timeline/activities/activity-base/crm-activity-list.html

    bindings_field: a field of activities for which it is not documented whether the list answers it.
    """

    bindings_field: ClassVar[str] = "BINDINGS"

    method = "crm.activity.list"
    rows_key = ""
    id_field = "ID"
    updated_field = "LAST_UPDATED"
    has_shifted_filter = False

    @property
    def where(self) -> str:
        return self.method

    def _about(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, eq=False)
class DependentQuery(ListQuery):
    """The list of the rows of some owners.

    Attributes:
        owners: ids of items or activities; at most `max_owners`.
    """

    owners: tuple[int, ...] = ()

    max_owners: ClassVar[int] = 1
    updated_field = ""


@dataclass(frozen=True, eq=False)
class ProductRowQuery(DependentQuery):
    """The product rows of some items of one type; `owner_type` is the type's short code.

    https://apidocs.bitrix24.com/api-reference/crm/universal/product-rows/crm-item-productrow-list.html
    """

    owner_type: str = ""

    max_counted_owners: ClassVar[int] = 500
    """maximum number of owners whose rows one call counts; PHP ignores more than 1,000 values in a command (`max_input_vars`)"""

    method = "crm.item.productrow.list"
    rows_key = "productRows"
    reference_fields = ("ownerId",)
    max_owners = 20  # their rows usually fit on a page

    def matching(self, filter_: Mapping[str, Any], _select: Sequence[str], direction: str = "ASC") -> Call:
        """Returns the call; the method has no `select`, and directions are written in lower case.

        For users without administrator rights, the portal checks a list of owners by the right to item 1, a single owner by
        its own.
        """
        owners = self.owners[0] if len(self.owners) == 1 else list(self.owners)
        owned = {"=ownerType": self.owner_type, "=ownerId": owners, **filter_}
        return Call(self.method, {"filter": owned, "order": {"id": direction.lower()}, "start": -1})

    def count_call(self) -> Call:
        """Returns the call for the rows with the highest ids, with the number of all rows in `total`."""
        call = self.matching(self.filter, (), "DESC")
        return replace(call, params={**call.params, "start": 0})


class BindingQuery(DependentQuery):
    """The bindings of one activity; they come in one answer.

    https://apidocs.bitrix24.com/api-reference/crm/timeline/activities/binding/crm-activity-binding-list.html
    """

    method = "crm.activity.binding.list"
    rows_key = ""
    is_unpaged = True
    reference_fields = ("entityTypeId", "entityId")

    def page_call(self, after: int | str, upper: int | None = None) -> Call:  # noqa: ARG002 - there is only one page
        """Returns the call for all bindings."""
        return Call(self.method, {"activityId": self.owners[0]})

    def rows_in(self, result: Any) -> list[Row] | None:
        """Returns the bindings with the id of the activity, which the portal does not repeat."""
        rows = super().rows_in(result)
        return None if rows is None else [{**row, "activityId": self.owners[0]} for row in rows]


def bindings_in(activity: Row) -> list[Row]:
    """Returns the bindings in an activity row, as rows of a `BindingQuery`; empty if the row does not list them completely.

    Every activity has a binding, so an empty list in the row counts as incomplete, too.
    """
    listed = as_rows(activity.get(ActivityQuery.bindings_field)) or ()
    if not all(isinstance(binding, Mapping) for binding in listed):
        return []
    rows: list[Row] = [
        {
            "activityId": activity.get(ActivityQuery.id_field),
            "entityTypeId": binding.get("OWNER_TYPE_ID", binding.get("entityTypeId")),
            "entityId": binding.get("OWNER_ID", binding.get("entityId")),
        }
        for binding in listed
    ]
    return rows if all(str(value).isdecimal() for row in rows for value in row.values()) else []


METHODS = tuple(kind.method for kind in (ListQuery, HistoryQuery, ActivityQuery, ProductRowQuery, BindingQuery))

"""The lists that are read by id, and the call for a page of each. Sends nothing.

Counting and offsets are never used (`start` is -1): rows that others add or delete meanwhile move offsets, and counting costs
the portal dearly. Facts: https://apidocs.bitrix24.com/settings/performance/huge-data.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ..rest import PAGE_SIZE, Call, as_id, as_mapping, as_rows

Row = Mapping[str, Any]
CostKey = tuple[str, int, bool]
"""what takes the portal much the same time for each page: rows of one type by one method, whole or ids alone"""


@dataclass(frozen=True, eq=False)
class ListQuery:
    """The list of the items of one entity type, or of some of them.

    Attributes:
        entity_type_id: which type.
        filter: passed on as it is; our own bounds on the id come on top.
        select: field names; empty for all of them.
        extra_select: more of them, for what belongs to the rows. A list that is read with them and without is the same one.

    Of each kind of list:
        method: lists it.
        rows_key: key of the rows below `result`; "" where `result` is the list itself.
        id_field: the field that grows and that pages are bound by.
        updated_field: the field that says when a row was changed; "" where rows never change.
        has_shifted_filter: the portal moves bounds on `updated_field` by the owner's zone minus the server's.
        is_unpaged: everything comes at once, and there is nothing to page.
        reference_fields: besides the id, fields that hold ids without which a row means nothing.
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
        """How errors name it."""
        return f"{self.method}, entityTypeId {self.entity_type_id}"

    @property
    def has_own_filter(self) -> bool:
        """Rows are chosen by somebody's conditions, under which a short page need not be the last one.

        The portal reads fifty ids and then their rows; a condition on a field of several values finds an id several times.
        """
        return not {f">={self.updated_field}", f"@{self.id_field}"}.issuperset(self.filter)

    @property
    def cost_key(self) -> CostKey:
        """What its pages cost is learned under this key: reading ids and times alone costs the portal less."""
        return self.method, self.entity_type_id, self.select in ((self.id_field,), (self.id_field, self.updated_field))

    @property
    def probe_cost_key(self) -> CostKey:
        """The same for the look for the newest id."""
        return self.method, self.entity_type_id, True

    def page_call(self, after: int | str, upper: int | None = None) -> Call:
        """The fifty rows after an id (or a reference to one), up to an id where one is given."""
        bounds = {f">{self.id_field}": after, **({} if upper is None else {f"<={self.id_field}": upper})}
        return self.matching({**self.filter, **bounds}, (*self.select, *self.extra_select))

    def max_id_call(self) -> Call:
        """The rows with the highest ids, ids only."""
        return self.newest_call((self.id_field,))

    def newest_call(self, select: Sequence[str]) -> Call:
        """The rows with the highest ids, with some fields."""
        return self.matching(self.filter, select, "DESC")

    def count_call(self) -> Call:
        """A page of ids with the number of all rows in `total`."""
        call = self.matching(self.filter, (self.id_field,))
        return replace(call, params={**call.params, "start": 0})

    def by_ids(self, ids: Sequence[int]) -> list[ListQuery]:
        """Some of the rows by their ids, in lists of a page each."""
        pages = [list(ids[start : start + PAGE_SIZE]) for start in range(0, len(ids), PAGE_SIZE)]
        return [replace(self, filter={f"@{self.id_field}": page, **self.filter}) for page in pages]

    def last_id_reference(self, command: int) -> str:
        """A reference to the last id of the full page that command number `command` of the same batch answers."""
        rows = f"[{self.rows_key}]" if self.rows_key else ""
        return f"$result[c{command}]{rows}[{PAGE_SIZE - 1}][{self.id_field}]"

    def matching(self, filter_: Mapping[str, Any], select: Sequence[str], direction: str = "ASC") -> Call:
        """A page of what a filter lets through, by id."""
        params: dict[str, Any] = {**self._about(), "order": {self.id_field: direction}, "start": -1}
        if filter_:
            params["filter"] = filter_
        if select:
            params["select"] = list(dict.fromkeys((self.id_field, *select)))
        return Call(self.method, params)

    def rows_in(self, result: Any) -> list[Row] | None:
        """The rows of an answer; None for what is no page: taken for an empty one, it would end the list in silence.

        What is no object among others that are counts as a row without fields.
        """
        found = as_rows(as_mapping(result).get(self.rows_key) if self.rows_key else result)
        if found is None:
            return None
        rows = [row if isinstance(row, Mapping) else {} for row in found]
        return rows if not found or any(isinstance(row, Mapping) for row in found) else None

    def id_of(self, row: Row) -> int:
        """0 where the row has no usable id."""
        return as_id(row.get(self.id_field)) or 0

    def unusable_field(self, row: Row) -> str:
        """The field for whose value a row can be told from no other, or belongs to nothing; "" for a usable row."""
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

    bindings_field: a field of activities that the list is not said to answer, and not said to leave out.
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
class ChildQuery(ListQuery):
    """Rows that belong to some owners.

    Attributes:
        owners: ids of items or activities; at most `max_owners`.
    """

    owners: tuple[int, ...] = ()

    max_owners: ClassVar[int] = 1
    updated_field = ""


@dataclass(frozen=True, eq=False)
class ProductRowQuery(ChildQuery):
    """The product rows of some items of one type; `owner_type` is the type's short code.

    https://apidocs.bitrix24.com/api-reference/crm/universal/product-rows/crm-item-productrow-list.html
    """

    owner_type: str = ""

    max_counted_owners: ClassVar[int] = 500
    """whose rows are counted by one call; PHP takes 1,000 values of a command (`max_input_vars`) and passes over what is more"""

    method = "crm.item.productrow.list"
    rows_key = "productRows"
    reference_fields = ("ownerId",)
    max_owners = 20  # of which a page holds the rows, as a rule

    def matching(self, filter_: Mapping[str, Any], _select: Sequence[str], direction: str = "ASC") -> Call:
        """There is no `select` here, and directions are written in lower case.

        Of who is no administrator, the portal judges a list of owners by the right to item 1; a single owner by its own.
        """
        owners = self.owners[0] if len(self.owners) == 1 else list(self.owners)
        owned = {"=ownerType": self.owner_type, "=ownerId": owners, **filter_}
        return Call(self.method, {"filter": owned, "order": {"id": direction.lower()}, "start": -1})

    def count_call(self) -> Call:
        """The rows with the highest ids, with the number of all rows in `total`."""
        call = self.matching(self.filter, (), "DESC")
        return replace(call, params={**call.params, "start": 0})


class BindingQuery(ChildQuery):
    """The bindings of one activity; they come in one answer.

    https://apidocs.bitrix24.com/api-reference/crm/timeline/activities/binding/crm-activity-binding-list.html
    """

    method = "crm.activity.binding.list"
    rows_key = ""
    is_unpaged = True
    reference_fields = ("entityTypeId", "entityId")

    def page_call(self, after: int | str, upper: int | None = None) -> Call:  # noqa: ARG002 - there is only one page
        """All of them."""
        return Call(self.method, {"activityId": self.owners[0]})

    def rows_in(self, result: Any) -> list[Row] | None:
        """Each with the activity, which the portal does not repeat."""
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

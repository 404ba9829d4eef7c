"""Fields of methods that do not describe them at run time, from the vendor's pages.

Keys are converted to lower case, so that one table can hold rows of methods with different spellings. Free texts are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .fields import Field

Row = Mapping[str, Any]


def _fields(**types: str) -> tuple[Field, ...]:
    return tuple(Field(name=name, upper_name=name.upper(), type=type_) for name, type_ in types.items())


def _renamed(row: Row, names: Mapping[str, str], more: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row.get(wire) for wire, name in names.items()} | dict(more)


# https://apidocs.bitrix24.com/api-reference/crm/crm-stage-history-list.html
HISTORY_FIELDS = _fields(
    id="integer", entity_type_id="integer", type_id="integer", owner_id="crm_entity", created_time="datetime",
    category_id="crm_category", stage_semantic_id="string", stage_id="crm_status",
)  # fmt: skip


def history_row_mapper(entity_type_id: int) -> Callable[[Row], Row]:
    """Returns a function that maps a stage-history row to column names; leads use STATUS_ID."""
    names = {field.upper_name: field.name for field in HISTORY_FIELDS if field.name != "entity_type_id"}
    statuses = {**names, "STATUS_SEMANTIC_ID": "stage_semantic_id", "STATUS_ID": "stage_id"}
    for name in ("STAGE_SEMANTIC_ID", "STAGE_ID"):
        del statuses[name]

    def mapped(row: Row) -> Row:
        return _renamed(row, statuses if "STATUS_ID" in row else names, {"entity_type_id": entity_type_id})

    return mapped


# https://apidocs.bitrix24.com/api-reference/crm/timeline/activities/activity-base/crm-activity-fields.html
_ACTIVITY_FIELDS = _fields(
    id="integer", owner_type_id="integer", owner_id="crm_entity", type_id="integer", provider_id="string",
    provider_type_id="string", provider_group_id="string", associated_entity_id="crm_entity", subject="string",
    created="datetime", last_updated="datetime", start_time="datetime", end_time="datetime", deadline="datetime",
    completed="char", status="integer", responsible_id="user", author_id="user", editor_id="user", priority="integer",
    direction="integer", notify_type="integer", notify_value="integer", is_incoming_channel="char",
    autocomplete_rule="integer", origin_id="string", originator_id="string", result_mark="integer",
    result_status="integer", result_stream="integer", result_source_id="string", result_value="double",
    result_sum="double", result_currency_id="crm_currency",
)  # fmt: skip
_ACTIVITY_TEXTS = _fields(description="text", description_type="integer", location="string")
_ACTIVITY_NAMES = {field.upper_name: field.name for field in (*_ACTIVITY_FIELDS, *_ACTIVITY_TEXTS)}
NO_DEADLINE = "9999"
"""the year of the deadline of activities without one; https://apidocs.bitrix24.com/tutorials/crm/how-to-get-lists/"""


def activity_fields(*, personal: bool) -> tuple[Field, ...]:
    """Returns the fields of `activities`; message bodies and places only if `personal`."""
    return (*_ACTIVITY_FIELDS, *(_ACTIVITY_TEXTS if personal else ()))


def map_activity_row(row: Row) -> Row:
    """Maps an activity to column names; the year 9999, Bitrix24's "no deadline", becomes NULL."""
    renamed = _renamed(row, _ACTIVITY_NAMES, {})
    if str(renamed["deadline"] or "").startswith(NO_DEADLINE):
        renamed["deadline"] = None
    return renamed


# https://apidocs.bitrix24.com/api-reference/crm/data-types.html#crm_item_product_row
PRODUCT_ROW_FIELDS = _fields(
    id="integer", entity_type_id="integer", owner_id="integer", owner_type="string", product_id="iblock_element",
    product_name="string", price="double", price_account="double", price_exclusive="double", price_netto="double",
    price_brutto="double", quantity="double", discount_type_id="integer", discount_rate="double", discount_sum="double",
    tax_rate="double", tax_included="char", measure_code="integer", measure_name="string", sort="integer",
    xml_id="string", type="integer", store_id="integer",
)  # fmt: skip


def _camel(name: str) -> str:
    first, *following = name.split("_")
    return first + "".join(map(str.capitalize, following))


_PRODUCT_ROW_NAMES = {_camel(field.name): field.name for field in PRODUCT_ROW_FIELDS if field.name != "entity_type_id"}


def product_row_mapper(entity_type_id: int) -> Callable[[Row], Row]:
    """Returns a function that maps a product row to column names and adds the entityTypeId of its owner."""
    return partial(_renamed, names=_PRODUCT_ROW_NAMES, more={"entity_type_id": entity_type_id})

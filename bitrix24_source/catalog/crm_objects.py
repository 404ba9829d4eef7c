"""The CRM objects that every portal has, with the names and numbers that Bitrix24's methods use for them.

Smart processes are numbered differently in each portal and are discovered; the built-in objects are the same everywhere.
Facts: https://apidocs.bitrix24.com/api-reference/crm/data-types.html#object_type
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CrmObject:
    """One built-in object.

    Attributes:
        table: the table of its items, by which users refer to it, too.
        entity_type_id: its number in `crm.item.*`.
        user_fields: the entityId of its user fields.
        short_code: the ownerType of its product rows, "" for an object without product rows.
        directory: the directory of its stages, with the category's number in braces; "" for an object without stages.
        has_categories: crm.category.list supports it.
        has_history: crm.stagehistory.list supports it.
        has_contacts: its items have phones and e-mails, in `fm`.
    """

    table: str
    entity_type_id: int
    user_fields: str
    short_code: str = ""
    directory: str = ""
    has_categories: bool = False
    has_history: bool = False
    has_contacts: bool = False

    def directory_of(self, category_id: int) -> str:
        """Returns the stage directory of one category. That of the general pipeline of deals has no number."""
        return self.directory.format(category_id).removesuffix("_0" if self.table == "deals" else "")


_OBJECTS = (
    CrmObject("leads", 1, "CRM_LEAD", "L", "STATUS", has_history=True, has_contacts=True),
    CrmObject("deals", 2, "CRM_DEAL", "D", "DEAL_STAGE_{}", has_categories=True, has_history=True),
    CrmObject("contacts", 3, "CRM_CONTACT", has_categories=True, has_contacts=True),
    CrmObject("companies", 4, "CRM_COMPANY", has_categories=True, has_contacts=True),
    CrmObject("quotes", 7, "CRM_QUOTE", "Q", "QUOTE_STATUS"),
    CrmObject(
        "invoices", 31, "CRM_SMART_INVOICE", "SI", "SMART_INVOICE_STAGE_{}", has_categories=True, has_history=True
    ),
)  # fmt: skip
CRM_OBJECTS: Mapping[str, CrmObject] = {crm_object.table: crm_object for crm_object in _OBJECTS}
CRM_OBJECTS_BY_ID: Mapping[int, CrmObject] = {crm_object.entity_type_id: crm_object for crm_object in _OBJECTS}
LEADS = CRM_OBJECTS["leads"].entity_type_id


def items_table(entity_type_id: int) -> str:
    """Returns the table of a type's items; its name contains no title, because titles change and are not unique."""
    built_in = CRM_OBJECTS_BY_ID.get(entity_type_id)
    return built_in.table if built_in else f"spa_items_{entity_type_id}"


_SPA_DIRECTORY = re.compile(r"DYNAMIC_(\d+)_STAGE_(\d+)")


def parse_stage_directory(directory: str) -> tuple[int, int | None] | None:
    """Returns the entityTypeId and the category of a stage directory; None for any other directory.

    The category is None for an object without categories. The portal's databases are case-insensitive.
    """
    directory = directory.upper()
    if match := _SPA_DIRECTORY.fullmatch(directory):
        return int(match[1]), int(match[2])
    for crm_object in _OBJECTS:
        if crm_object.directory and directory == crm_object.directory_of(0):
            return crm_object.entity_type_id, 0 if crm_object.has_categories else None
        if "{}" in crm_object.directory and (
            match := re.fullmatch(crm_object.directory.format(r"([0-9]{1,18})"), directory)
        ):
            return crm_object.entity_type_id, int(match[1])
    return None

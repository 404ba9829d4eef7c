"""The catalogue tables of the built-in CRM objects, users, departments, currencies and statuses."""

from __future__ import annotations

from typing import Any

from ..rest import as_bool, as_id, as_list, is_blank
from ..schema import Column
from .model import Catalog
from .table_rows import (
    CATEGORY_COLUMNS,
    FIELD_COLUMNS,
    OPTION_COLUMNS,
    STAGE_COLUMNS,
    CatalogTable,
    Rows,
    category_rows,
    columns,
    field_rows,
    option_rows,
    stage_rows,
    stage_semantics,
)


def _statuses(catalog: Catalog) -> Rows:
    for row in catalog.statuses:
        yield {
            "entity_id": row.get("ENTITY_ID"),
            "status_id": row.get("STATUS_ID"),
            "id": row.get("ID"),
            "name": row.get("NAME"),
            "name_init": row.get("NAME_INIT"),
            "sort": row.get("SORT"),
            "is_system": row.get("SYSTEM"),
            "category_id": row.get("CATEGORY_ID"),
            "color": row.get("COLOR"),
            "semantics": stage_semantics(row) if row.get("SEMANTICS") else None,
        }


def _currencies(catalog: Catalog) -> Rows:
    """Returns the currencies: `amount_cnt` units cost `amount` of the base currency. The base currency may be listed twice.

    https://apidocs.bitrix24.com/api-reference/crm/currency/crm-currency-list.html
    """
    for row in sorted(catalog.currencies, key=lambda row: as_bool(row.get("BASE")) is True):
        yield {
            "currency": row.get("CURRENCY"),
            "full_name": row.get("FULL_NAME"),
            "amount_cnt": row.get("AMOUNT_CNT"),
            "amount": row.get("AMOUNT"),
            "is_base": row.get("BASE"),
            "decimals": row.get("DECIMALS"),
            "sort": row.get("SORT"),
            "date_update": row.get("DATE_UPDATE"),
        }


def _departments(catalog: Catalog) -> Rows:
    for row in catalog.departments:
        yield {
            "id": row.get("ID"),
            "name": row.get("NAME"),
            "sort": row.get("SORT"),
            "parent": _reference(row.get("PARENT")),
            "uf_head": _reference(row.get("UF_HEAD")),
        }


def _reference(value: Any) -> Any:
    """Returns an id unchanged, None for 0."""
    return None if as_id(value, least=0) == 0 else value


def _portal(catalog: Catalog) -> Rows:
    if facts := catalog.portal:
        yield {
            "host": facts.host,
            "zone": facts.zone,
            "utc_offset_minutes": facts.utc_offset_minutes,
            "base_currency": next((row["currency"] for row in _currencies(catalog) if as_bool(row["is_base"])), None),
            "languages": ", ".join(facts.languages) or None,
            "loaded_at": facts.loaded_at,
        }


_USER_TEXTS = ("NAME", "LAST_NAME", "SECOND_NAME", "EMAIL", "WORK_POSITION", "USER_TYPE", "TIME_ZONE")
_PERSONAL_TEXTS = (
    "PERSONAL_GENDER", "PERSONAL_PHONE", "PERSONAL_MOBILE", "PERSONAL_CITY", "PERSONAL_STATE", "PERSONAL_COUNTRY",
    "PERSONAL_PROFESSION", "WORK_PHONE", "WORK_CITY", "WORK_COUNTRY", "UF_PHONE_INNER",
)  # fmt: skip


def users_table(*, personal: bool) -> CatalogTable:
    """Returns the table of users. It lacks bots, system users and integrators, so use left joins.

    Args:
        personal: also load phone numbers, birthdays and the like.
    """
    texts = (*_USER_TEXTS, *(_PERSONAL_TEXTS if personal else ()))

    def rows(catalog: Catalog) -> Rows:
        for row in catalog.users:
            yield {
                "id": row.get("ID"),
                "active": row.get("ACTIVE"),
                **{name.lower(): row.get(name) for name in texts},
                "date_register": row.get("DATE_REGISTER"),
                "last_login": row.get("LAST_LOGIN"),
                **({"personal_birthday": row.get("PERSONAL_BIRTHDAY")} if personal else {}),
            }

    shown = (
        *columns(id="bigint", active="bool"),
        *(Column(name.lower(), "text") for name in texts),
        *columns(date_register="date", last_login="timestamp"),
        *(columns(personal_birthday="date") if personal else ()),
    )
    return CatalogTable("users", ("id",), shown, rows, child=_USER_DEPARTMENTS)


def _user_departments(catalog: Catalog) -> Rows:
    for row in catalog.users:
        departments = {repr(department): department for department in as_list(row.get("UF_DEPARTMENT"))}
        filled = (department for department in departments.values() if not is_blank(_reference(department)))
        for position, department in enumerate(filled):
            yield {"item_id": row.get("ID"), "position": position, "value": department}


_USER_DEPARTMENTS = CatalogTable(
    "users__uf_department",
    ("item_id", "position"),
    columns(item_id="bigint", position="bigint", value="bigint"),
    _user_departments,
)


def crm_catalog_tables(*, personal: bool = False) -> tuple[CatalogTable, ...]:
    """Returns all tables of this module; `personal` as in `users_table`."""
    return (*_TABLES, users_table(personal=personal))


_TABLES = (
    CatalogTable(
        "crm_fields",
        ("entity_type_id", "upper_name"),
        FIELD_COLUMNS,
        lambda catalog: field_rows(catalog, catalog.objects),
    ),
    CatalogTable(
        "crm_field_options",
        ("entity_type_id", "upper_name", "option_id"),
        OPTION_COLUMNS,
        lambda catalog: option_rows(catalog, catalog.objects),
    ),
    CatalogTable("categories", ("entity_type_id", "id"), CATEGORY_COLUMNS, lambda catalog: category_rows(catalog.objects)),
    CatalogTable("stages", ("entity_id", "status_id"), STAGE_COLUMNS, lambda catalog: stage_rows(catalog.objects)),
    CatalogTable(
        "statuses",
        ("entity_id", "status_id"),
        columns(
            entity_id="text", status_id="text", id="bigint", name="text", name_init="text", sort="bigint",
            is_system="bool", category_id="bigint", color="text", semantics="text",
        ),
        _statuses,
    ),
    CatalogTable(
        "currencies",
        ("currency",),
        columns(
            currency="text", full_name="text", amount_cnt="bigint", amount="decimal", is_base="bool", decimals="bigint",
            sort="bigint", date_update="timestamp",
        ),
        _currencies,
    ),
    CatalogTable(
        "portal",
        ("host",),
        columns(
            host="text", zone="text", utc_offset_minutes="bigint", base_currency="text", languages="text",
            loaded_at="timestamp",
        ),
        _portal,
    ),
    CatalogTable(
        "departments",
        ("id",),
        columns(id="bigint", name="text", sort="bigint", parent="bigint", uf_head="bigint"),
        _departments,
    ),
)  # fmt: skip

"""Holds everything that one portal stores: types, fields, items, dictionaries, people.

Scenarios fill it, methods read it; requests and rights are handled elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timezone, tzinfo
from typing import Any

from ..scenarios.deterministic import SERVER_ZONE, Story, salt
from .clock import Clock
from .item_store import ItemStore
from .lifecycle import Habits, Lane, Lives, Stage
from .schema import Schema, UserField
from .zones import Zones

Row = dict[str, Any]

# id, name, code, short code, object of its user fields, directory of its stages ("" = none, {} = the category)
BUILT_IN = {
    1: ("Lead", "LEAD", "L", "CRM_LEAD", "STATUS"),
    2: ("Deal", "DEAL", "D", "CRM_DEAL", "DEAL_STAGE"),
    3: ("Contact", "CONTACT", "C", "CRM_CONTACT", ""),
    4: ("Company", "COMPANY", "CO", "CRM_COMPANY", ""),
    5: ("Invoice (old version)", "INVOICE", "I", "CRM_INVOICE", ""),
    31: ("Invoice", "SMART_INVOICE", "SI", "CRM_SMART_INVOICE", "SMART_INVOICE_STAGE_{}"),
    7: ("Quote", "QUOTE", "Q", "CRM_QUOTE", "QUOTE_STATUS"),
    8: ("Billing Details", "REQUISITE", "RQ", "CRM_REQUISITE", ""),
    36: ("Document", "SMART_DOCUMENT", "DO", "CRM_SMART_DOCUMENT", "SMART_DOCUMENT_STAGE_{}"),
    39: ("Company Document", "SMART_B2E_DOC", "SBD", "CRM_SMART_B2E_DOC", "SMART_B2E_DOC_STAGE_{}"),
}


def short_code(entity_type_id: int) -> str:
    return BUILT_IN[entity_type_id][2] if entity_type_id in BUILT_IN else f"T{entity_type_id:x}"


def symbol_code(entity_type_id: int) -> str:
    return BUILT_IN[entity_type_id][1] if entity_type_id in BUILT_IN else f"DYNAMIC_{entity_type_id}"


def directory_of(entity_type_id: int, category_id: int) -> str:
    """The status directory of one category. The general pipeline of deals has no number in its name."""
    if entity_type_id == 2:
        return f"DEAL_STAGE_{category_id}" if category_id else "DEAL_STAGE"
    if entity_type_id in BUILT_IN:
        return BUILT_IN[entity_type_id][4].format(category_id)
    return f"DYNAMIC_{entity_type_id}_STAGE_{category_id}"


@dataclass
class World:
    seed: int
    clock: Clock
    zone: tzinfo = SERVER_ZONE
    types: dict[int, Row] = field(default_factory=dict)
    objects: dict[int, ItemStore] = field(default_factory=dict)
    categories: dict[int, list[Row]] = field(default_factory=dict)
    statuses: list[Row] = field(default_factory=list)
    directories: list[Row] = field(default_factory=list)
    users: list[Row] = field(default_factory=list)
    # Extranet users in groups of the person who made the webhook.
    extranet_of_owner: set[int] = field(default_factory=set)
    departments: list[Row] = field(default_factory=list)
    currencies: list[Row] = field(default_factory=list)
    solutions: list[Row] = field(default_factory=list)
    templates: list[Row] = field(default_factory=list)
    activities: list[Row] = field(default_factory=list)
    bindings: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    moves: dict[int, list[Row]] = field(default_factory=dict)
    # The product rows of owners whose rows were edited, by type and owner; all others are computed.
    products: dict[tuple[int, int], list[Row]] = field(default_factory=dict)
    denied: set[int] = field(default_factory=set)
    # Items that only an administrator may read, by type.
    unreadable: dict[int, set[int]] = field(default_factory=dict)
    crm_mode: int = 1
    newest_type: int = 0
    """the highest `id` of smart processes that were deleted; no number is given twice"""
    # In which the texts of errors come: en, ru or de.
    language: str = "en"
    # Counters of ids that are global to the portal.
    last_ids: dict[str, int] = field(default_factory=dict)
    zones: Zones = field(init=False)
    story: Story = field(init=False)
    # How the people of a company work; without it items go their ways by chance alone.
    habits: Habits | None = None

    def __post_init__(self) -> None:
        self.zones = Zones(self.clock, self.zone)
        self.story = Story.until(self.clock.now(), self.zone)

    def next_id(self, kind: str, first: int = 1) -> int:
        self.last_ids[kind] = self.last_ids.get(kind, first - 1) + 1
        return self.last_ids[kind]

    def now(self) -> str:
        return self.clock.now().astimezone(self.zone).replace(microsecond=0).isoformat()

    @property
    def base_currency(self) -> str:
        return next((str(row["CURRENCY"]) for row in self.currencies if row["BASE"] == "Y"), "RUB")

    def in_base_currency(self, amount: Any, currency: Any) -> Any:
        """An amount in the account's currency, by the rate of today."""
        row = next((row for row in self.currencies if row["CURRENCY"] == currency), None)
        if row is None or row["BASE"] == "Y" or not isinstance(amount, (int, float)):
            return amount
        return round(amount * float(row["AMOUNT"]) / float(row["AMOUNT_CNT"]), 2)

    @property
    def utc(self) -> tzinfo:
        return timezone.utc

    def forget_type(self, entity_type_id: int) -> None:
        """A smart process is deleted, with its categories, stages and items."""
        self.newest_type = max([self.newest_type, *(row["id"] for row in self.types.values())])
        codes = {row["ID"] for row in self.directories if row.get("ENTITY_TYPE_ID") == entity_type_id}
        self.directories = [row for row in self.directories if row["ID"] not in codes]
        self.statuses = [row for row in self.statuses if row["ENTITY_ID"] not in codes]
        for table in (self.types, self.objects, self.categories, self.moves):
            table.pop(entity_type_id, None)
        self.denied.discard(entity_type_id)

    def user_fields(self) -> Iterator[UserField]:
        for entity_type_id in sorted(self.objects):
            if entity_type_id not in self.denied:
                yield from self.objects[entity_type_id].schema.user_fields()

    def uf_object(self, entity_type_id: int) -> str:
        if entity_type_id in BUILT_IN:
            return BUILT_IN[entity_type_id][3]
        return f"CRM_{self.types[entity_type_id]['id']}"

    def stages(self, entity_type_id: int, category_id: int) -> list[Row]:
        directory = directory_of(entity_type_id, category_id)
        rows = [row for row in self.statuses if row["ENTITY_ID"] == directory]
        return sorted(rows, key=lambda row: int(row["SORT"]))

    def lanes(self, entity_type_id: int) -> list[Lane]:
        categories = self.categories.get(entity_type_id) or [{"id": 0}]
        return [Lane(row["id"], self._stages(entity_type_id, row["id"])) for row in categories]

    def _stages(self, entity_type_id: int, category_id: int) -> tuple[Stage, ...]:
        rows = self.stages(entity_type_id, category_id)
        return tuple(Stage(row["STATUS_ID"], row["SEMANTICS"] or "P") for row in rows)

    def make_store(self, entity_type_id: int, count: int, *, first: int = 1, step: int = 1) -> ItemStore:
        """An item table without columns yet; the journey of its items follows the stages known by now."""
        salted = salt(self.seed, entity_type_id, "journey")
        lives = Lives(self.story, self.habits, self.zone)
        store = ItemStore(
            Schema(entity_type_id), self.lanes(entity_type_id), salted, count, lives, first=first, step=step
        )
        self.objects[entity_type_id] = store
        return store

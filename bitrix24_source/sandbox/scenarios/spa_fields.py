"""The system fields of a smart process by its switches, with columns that follow the journeys of its items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..model.item_store import ItemStore
from ..model.schema import Field
from ..model.world import BUILT_IN, World
from .deterministic import DAY, constant, drawn, iso, iso_date, mix, salt, unit
from .goods import computed_amount
from .stages import title_of

# A stage lies in the table too, but rows of a type without stages leave it out.
OUTSIDE_THE_TABLE = {"stageId", "contactIds", "contacts", "observers"}
COMMUNICATION = ("lastCommunicationCallTime", "lastCommunicationEmailTime", "lastCommunicationImolTime",
                 "lastCommunicationWebformTime")  # fmt: skip
UTM = ("utmSource", "utmMedium", "utmCampaign", "utmContent", "utmTerm")


class SystemFields:
    """Makes the system fields of one smart process, with columns that follow the journeys of its items."""

    def __init__(self, world: World, store: ItemStore, row: dict[str, Any], subjects: Sequence[str] = ()) -> None:
        self.world, self.store, self.row = world, store, row
        self._subjects = subjects
        self._users = [int(user["ID"]) for user in world.users] or [1]

    def write(self) -> None:
        schema = self.store.schema
        self._always()
        for switch, write in self._by_switch().items():
            known = set(schema.fields)
            write()
            for name in schema.fields.keys() - known:
                schema.fields[name].feature = switch
                schema.fields[name].physical = name not in OUTSIDE_THE_TABLE
            if self.row[switch] != "Y":
                schema.switch(switch, on=False)
        self._parents()
        schema.hidden.update(self._hidden())
        for name, column in self._of_a_company().items() if self.world.habits else ():
            schema.fields[name].column = column
        for name, column in self._untouched().items():
            if schema.fields[name].feature in schema.features_off:
                schema.fields[name].column = column

    def _by_switch(self) -> dict[str, Callable[[], None]]:
        return {
            "isBeginCloseDatesEnabled": self._dates,
            "isClientEnabled": self._client,
            "isObserversEnabled": self._observers,
            "isStagesEnabled": self._stages,
            "isSourceEnabled": self._source,
            "isLinkWithProductsEnabled": self._money,
            "isMycompanyEnabled": self._mycompany,
        }

    def _salt(self, name: str) -> int:
        return salt(self.world.seed, self.store.schema.entity_type_id, name)

    def _drawn(self, name: str, pool: list[Any]) -> Callable[[int], Any]:
        return drawn(pool, self._salt(name))

    def _add(self, name: str, kind: str, upper: str, title: str, column: Callable[[int], Any], **more: Any) -> None:
        self.store.schema.add(Field(name, kind, upper, title, column, **more))

    def _always(self) -> None:
        zone, trip, users = self.world.zone, self.store.trip, self._users
        title = str(self.row["title"]) or "Item"
        self._add("id", "integer", "ID", "ID", lambda number: number, read_only=True)
        self._add("title", "string", "TITLE", "Name", lambda number: f"{title} #{number}")
        self._add("xmlId", "string", "XML_ID", "External code", self._drawn("xmlId", [None, None, "", "1C-0042"]))
        self._add("createdTime", "datetime", "CREATED_TIME", "Created at",
                  lambda number: iso(trip(number).events[0].at, zone), read_only=True)  # fmt: skip
        self._add("updatedTime", "datetime", "UPDATED_TIME", "Updated at",
                  lambda number: iso(trip(number).updated_at, zone), read_only=True)  # fmt: skip
        self._add("createdBy", "user", "CREATED_BY", "Created by", self._drawn("createdBy", users), read_only=True)
        # 0 is a robot or the system.
        self._add(
            "updatedBy", "user", "UPDATED_BY", "Updated by", self._drawn("updatedBy", [*users, 0]), read_only=True
        )
        self._add("assignedById", "user", "ASSIGNED_BY_ID", "Assigned to", self._drawn("assignedById", users))
        self._add(
            "opened", "boolean", "OPENED", "Publicly available", self._drawn("opened", ["Y", "Y", "N"]), required=True
        )
        self._add(
            "webformId", "integer", "WEBFORM_ID", "Created by CRM form", self._drawn("webformId", [0, 0, None, 3])
        )
        # The category is a field of every type, also of one that does not let users make categories.
        self._add("categoryId", "crm_category", "CATEGORY_ID", "Pipeline", lambda number: trip(number).category_id)
        self._add("lastActivityBy", "user", "LAST_ACTIVITY_BY", "Last activity in timeline by",
                  self._drawn("lastActivityBy", users), read_only=True)  # fmt: skip
        self._add("lastActivityTime", "datetime", "LAST_ACTIVITY_TIME", "Last activity",
                  lambda number: iso(trip(number).updated_at, zone), read_only=True)  # fmt: skip
        # The vendor lists this time as a string.
        self._add("lastCommunicationTime", "string", "LAST_COMMUNICATION_TIME", "Last communication date", constant(None),
                  read_only=True)  # fmt: skip

    def _dates(self) -> None:
        zone, trip = self.world.zone, self.store.trip
        self._add(
            "begindate", "date", "BEGINDATE", "Start date", lambda number: iso_date(trip(number).events[0].at, zone)
        )
        self._add("closedate", "date", "CLOSEDATE", "End date",
                  lambda number: iso_date(trip(number).events[0].at + 14 * DAY, zone) if number % 7 else None)  # fmt: skip

    def _client(self) -> None:
        contacts = ContactLinks(self.world, self._salt("contacts"))
        companies = [0, *self.world.objects[4].slice(1, 1 << 40, 0, 500)] if 4 in self.world.objects else [0]
        settings = {"settings": {"parentEntityTypeId": 4}}
        self._add(
            "companyId", "crm_company", "COMPANY_ID", "Company", self._drawn("companyId", companies), extra=settings
        )
        self._add("contactId", "crm_contact", "CONTACT_ID", "Contact", contacts.first, extra={"isDeprecated": True})
        self._add("contactIds", "crm_contact", "CONTACT_IDS", "CONTACT_IDS", contacts.all, multiple=True)
        self._add("contacts", "crm_contact", "CONTACTS", "CONTACTS", contacts.bindings, multiple=True)
        self.store.schema.on_request.add("contacts")

    def _observers(self) -> None:
        pool: list[Any] = [[], [], [self._users[0]], self._users[:2], self._users[1:4]]
        self._add("observers", "user", "OBSERVERS", "Observers", self._drawn("observers", pool), multiple=True)

    def _stages(self) -> None:
        zone, trip = self.world.zone, self.store.trip
        category = self.world.categories[self.store.schema.entity_type_id][0]["id"]
        # One directory only, though the stages of every category may stand here: so does the vendor.
        directory = {"statusType": f"DYNAMIC_{self.store.schema.entity_type_id}_STAGE_{category}"}
        self._add("movedTime", "datetime", "MOVED_TIME", "Moved at",
                  lambda number: iso(trip(number).events[-1].at, zone), read_only=True)  # fmt: skip
        self._add("movedBy", "user", "MOVED_BY", "Moved by", self._drawn("movedBy", self._users), read_only=True)
        self._add("stageId", "crm_status", "STAGE_ID", "Stage", self._stage(-1), extra=directory)
        self._add("previousStageId", "crm_status", "PREVIOUS_STAGE_ID", "Previous stage", self._stage(-2),
                  read_only=True, extra=directory)  # fmt: skip

    def _stage(self, place: int) -> Callable[[int], Any]:
        def column(number: int) -> Any:
            events = self.store.trip(number).events
            stage = events[place].stage if len(events) >= -place else None
            return stage.code if stage else ""

        return column

    def _source(self) -> None:
        sources = [row["STATUS_ID"] for row in self.world.statuses if row["ENTITY_ID"] == "SOURCE"] or ["WEB"]
        self._add("sourceId", "crm_status", "SOURCE_ID", "Source", self._drawn("sourceId", [*sources, None]),
                  extra={"statusType": "SOURCE"})  # fmt: skip
        self._add("sourceDescription", "text", "SOURCE_DESCRIPTION", "Additional source info",
                  self._drawn("sourceDescription", [None, "", "Выставка", "Recommended by a client"]))  # fmt: skip

    def _money(self) -> None:
        currencies = [row["CURRENCY"] for row in self.world.currencies] or ["RUB"]
        amount = self._salt("opportunity")
        self._add("currencyId", "crm_currency", "CURRENCY_ID", "Currency", self._drawn("currencyId", currencies))
        self._add("isManualOpportunity", "boolean", "IS_MANUAL_OPPORTUNITY", "Amount calculation mode",
                  self._drawn("isManualOpportunity", ["Y", "N"]))  # fmt: skip
        self._add("opportunity", "double", "OPPORTUNITY", "Amount", lambda number: mix(number, amount) % 900_000 / 2)
        self._add("taxValue", "double", "TAX_VALUE", "Tax amount", constant(0))

    def _mycompany(self) -> None:
        settings = {"isMyCompany": True, "parentEntityTypeId": 4, "isEmbeddedEditorEnabled": True}
        self._add("mycompanyId", "crm_company", "MYCOMPANY_ID", "Your company details",
                  self._drawn("mycompanyId", [1, 1, 0]), extra={"settings": settings})  # fmt: skip

    def _parents(self) -> None:
        for parent in self.row["relations"]["parent"]:
            if parent["isPredefined"] == "N":
                made = parent_field(self.world, self.store.schema.entity_type_id, int(parent["entityTypeId"]))
                self.store.schema.add(made)

    def _of_a_company(self) -> dict[str, Callable[[int], Any]]:
        """Returns columns that are consistent: people who did the work, amounts that follow from products."""
        trip, zone, number_of, seed = (
            self.store.trip,
            self.world.zone,
            self.store.schema.entity_type_id,
            self.world.seed,
        )
        companies, subjects, title = self.world.objects[4].computed, self._subjects, str(self.row["title"])
        sold = self.row["isLinkWithProductsEnabled"] == "Y"
        sources = [
            "CALL",
            "CALL",
            "EMAIL",
            "WEB",
            "WEB",
            "WEB",
            "ADVERTISING",
            "PARTNER",
            "PARTNER",
            "TRADE_SHOW",
            None,
        ]

        def company(number: int) -> int:
            chance = unit(number, self._salt("companyId"))
            return 0 if chance > 11 / 12 or not companies else 1 + int((chance * 12 / 11) ** 2.6 * companies)

        def name(number: int) -> str:
            about = subjects[int(unit(number, self._salt("title")) * len(subjects))] if subjects else title
            return f"{about} #{number}"

        def end(number: int) -> str | None:
            chance = unit(number, self._salt("closedate"))
            days = 7 if chance < 0.4 else 10 + int(chance * 50)
            return iso_date(trip(number).events[0].at + days * DAY, zone) if chance < 0.92 else None

        def amount(number: int) -> float:
            products = computed_amount(seed, number_of, number) if sold else 0
            return products or float(round(8_000 * 50 ** unit(number, self._salt("estimate")), -2))

        def is_manual(number: int) -> str:
            return "N" if sold and computed_amount(seed, number_of, number) else "Y"

        person: Callable[[int], Any] = lambda number: trip(number).person  # noqa: E731 - one of many columns
        return {
            "title": name,
            "assignedById": person,
            "createdBy": lambda number: person(number) if number % 4 else 17,
            "movedBy": person,
            "companyId": company,
            "closedate": end,
            "opportunity": amount,
            "isManualOpportunity": is_manual,
            "currencyId": constant(self.world.base_currency),
            "sourceId": self._drawn("sourceId", sources),
        }

    def _hidden(self) -> dict[str, Callable[[int], Any]]:
        utm: dict[str, Callable[[int], Any]] = {name: constant(None) for name in UTM}
        utm["utmSource"] = self._drawn("utmSource", [None, None, None, "google", "yandex"])
        return {
            **utm,
            **dict.fromkeys(COMMUNICATION, constant(None)),
            "entityTypeId": constant(self.store.schema.entity_type_id),
            "isRecurring": constant("N"),
            "opportunityAccount": self._in_account_currency("opportunity"),
            "taxValueAccount": self._in_account_currency("taxValue"),
            "accountCurrencyId": constant(self.world.base_currency),
        }

    def _in_account_currency(self, name: str) -> Callable[[int], Any]:
        """Returns a function that looks the column of the amount up late: it depends on whether the feature is on."""
        fields, world = self.store.schema.fields, self.world
        return lambda number: world.in_base_currency(fields[name].column(number), fields["currencyId"].column(number))

    def _untouched(self) -> dict[str, Callable[[int], Any]]:
        """Returns the columns of features that were never on: the defaults of the portal's table."""
        zone, trip = self.world.zone, self.store.trip
        return {
            "begindate": lambda number: iso_date(trip(number).events[0].at, zone),
            "closedate": lambda number: iso_date(trip(number).events[0].at + 7 * DAY, zone),
            "companyId": constant(0),
            "contactId": constant(0),
            "movedTime": constant(None),
            "previousStageId": constant(""),
            "sourceId": constant(None),
            "sourceDescription": constant(None),
            "currencyId": constant(self.world.base_currency),
            "isManualOpportunity": constant("N"),
            "opportunity": constant(0),
        }


def parent_field(world: World, child: int, parent: int) -> Field:
    """Makes the field `parentId<n>`: two items in three have a parent, which is looked up when a value is read."""
    salted, objects = salt(world.seed, child, "parent", parent), world.objects

    def column(number: int) -> Any:
        store = objects.get(parent)
        if store is None or not store.computed or mix(number, salted) % 3 == 0:
            return None
        return store.id_at(mix(number, salted + 1) % store.computed)

    name = BUILT_IN[parent][0] if parent in BUILT_IN else title_of(world, parent)
    settings = {"settings": {"parentEntityTypeId": parent}}
    return Field(f"parentId{parent}", "crm_entity", f"PARENT_ID_{parent}", name, column, extra=settings)


class ContactLinks:
    """The contacts of an item in the three fields of the API: the first, all ids, and the service field."""

    def __init__(self, world: World, salted: int) -> None:
        self._salt = salted
        self._contacts = world.objects[3].slice(1, 1 << 40, 0, 500) if 3 in world.objects else []

    def all(self, number: int) -> list[int]:
        count = mix(number, self._salt) % 4 if self._contacts else 0
        start = mix(number, self._salt + 1) % max(1, len(self._contacts))
        return [self._contacts[(start + place) % len(self._contacts)] for place in range(count)]

    def first(self, number: int) -> int:
        return next(iter(self.all(number)), 0)

    def bindings(self, number: int) -> list[dict[str, Any]]:
        return [
            {"contactId": contact, "sort": (place + 1) * 10, "roleId": 0, "isPrimary": "N" if place else "Y"}
            for place, contact in enumerate(self.all(number))
        ]

"""Leads, deals, contacts, companies, quotes and invoices: their fields, stages and rows.

The lists of fields follow https://apidocs.bitrix24.com/api-reference/crm/universal/object-fields.html.
"""

# ruff: noqa: RUF001 - the company speaks Russian and English

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ..model.item_store import ItemStore
from ..model.schema import Field
from ..model.world import World
from . import names
from .deterministic import DAY, Column, constant, drawn, iso, iso_date, mix, salt, unit
from .goods import computed_amount
from .names import FIELD_TITLES
from .people import STAFF
from .spa_fields import UTM, ContactLinks
from .stages import SPA_STAGES, add_category, add_stages, built_in_directory_row

COUNTS = {4: 120, 3: 300, 1: 60, 2: 400, 7: 40, 31: 50}
NONE = dict.fromkeys(COUNTS, 0)
COMMON = (
    "id:integer! createdTime:datetime! updatedTime:datetime! createdBy:user! updatedBy:user! assignedById:user opened:boolean "
    "webformId:integer lastActivityBy:user! lastActivityTime:datetime! "
)
PERSON = "name:string lastName:string secondName:string honorific:crm_status birthdate:date post:string "
CHANNELS = (
    "hasPhone:boolean! hasEmail:boolean! hasImol:boolean! phone:string! phoneMobile:string! phoneWork:string! "
    "phoneMailing:string! email:string! emailHome:string! emailWork:string! emailMailing:string! imol:string! "
)
CLIENT = "companyId:crm_company contactId:crm_contact contactIds:crm_contact* "
MONEY = "opportunity:double isManualOpportunity:boolean currencyId:crm_currency "
SOURCE = "sourceId:crm_status sourceDescription:text "
MOVED = "stageId:crm_status movedBy:user! movedTime:datetime! "
DATES = "begindate:date closedate:date "
ORIGIN = "originatorId:string originId:string "
FIELDS = {
    1: COMMON + PERSON + CHANNELS + CLIENT + MONEY + SOURCE + MOVED + ORIGIN + "title:string companyTitle:string "
    "stageSemanticId:string! statusDescription:text comments:text dateClosed:datetime! isReturnCustomer:boolean! skype:string! "
    "icq:string! observers:user*",
    2: COMMON + CLIENT + MONEY + SOURCE + MOVED + DATES + ORIGIN + "title:string leadId:crm_lead quoteId:crm_quote "
    "categoryId:crm_category stageSemanticId:string! isNew:boolean! isRecurring:boolean! isReturnCustomer:boolean! "
    "isRepeatedApproach:boolean! closed:boolean typeId:crm_status taxValue:double probability:integer comments:text "
    "eventDate:datetime eventId:crm_status eventDescription:text locationId:location additionalInfo:text orderStage:string "
    "observers:user*",
    3: COMMON + PERSON + CHANNELS + SOURCE + ORIGIN + "photo:file typeId:crm_status comments:text export:boolean "
    "companyId:crm_company companyIds:crm_company* leadId:crm_lead categoryId:crm_category originVersion:string observers:user* "
    "lastCommunicationTime:string!",
    4: COMMON
    + CHANNELS
    + ORIGIN
    + "title:string typeId:crm_status industry:crm_status employees:crm_status revenue:double "
    "currencyId:crm_currency logo:file isMyCompany:boolean bankingDetails:text comments:text leadId:crm_lead "
    "contactIds:crm_contact* categoryId:crm_category originVersion:string observers:user*",
    7: COMMON
    + CLIENT
    + MONEY
    + DATES
    + "stageId:crm_status quoteNumber:string title:string closed:boolean dealId:crm_deal "
    "leadId:crm_lead mycompanyId:crm_company taxValue:double comments:text actualDate:date content:text terms:text "
    "locationId:location personTypeId:integer",
    31: COMMON + CLIENT + MONEY + SOURCE + MOVED + DATES + "accountNumber:string xmlId:string title:string "
    "categoryId:crm_category previousStageId:crm_status! mycompanyId:crm_company taxValue:double comments:text "
    "locationId:location observers:user*",
}
# Fields that the vendor has retired: rows contain them as null, crm.item.fields does not list them.
SHORT = "dateCreateShort dateModifyShort "
ALWAYS_NULL = {
    1: SHORT + "isConvert productId shortName address login",
    2: SHORT
    + "productId begindateShort closedateShort eventDateShort isWork isWon isLose receivedAmount lostAmount hasProducts",
    3: SHORT + "shortName address login",
    4: SHORT + "address",
    7: "",
    31: "",
}
STATUS_TYPES = {"sourceId": "SOURCE", "honorific": "HONORIFIC", "industry": "INDUSTRY", "employees": "EMPLOYEES"}
TYPE_DIRECTORY = {2: "DEAL_TYPE", 3: "CONTACT_TYPE", 4: "COMPANY_TYPE"}
FIRST_NAMES, LAST_NAMES = [row[0] for row in STAFF], [row[1] for row in STAFF]
COMPANIES = ["ООО «Ромашка»", "Müller GmbH", "АО «Север»", 'Acme "Tools" Ltd', "ИП Сидоров", "Blue O'Cean, Inc."]
TITLES = {1: "Lead", 2: "Deal", 7: "Quote", 31: "Invoice"}
LEAD_STAGES = (
    ("NEW", "Not processed", "P"),
    ("IN_PROCESS", "In progress", "P"),
    ("CONVERTED", "Converted", "S"),
    ("JUNK", "Junk", "F"),
)
DEAL_STAGES = (
    ("NEW", "New", "P"), ("PREPARATION", "Document preparation", "P"), ("PREPAYMENT_INVOICE", "Prepayment invoice", "P"),
    ("EXECUTING", "In progress", "P"), ("FINAL_INVOICE", "Final invoice", "P"), ("WON", "Deal successful", "S"),
    ("LOSE", "Deal failed", "F"), ("APOLOGY", "Failure reason analysis", "A"),
)  # fmt: skip
QUOTE_STAGES = (
    ("DRAFT", "Draft", "P"),
    ("SENT", "Sent", "P"),
    ("APPROVED", "Approved", "S"),
    ("DECLAINED", "Declined", "F"),
)


def add_built_in(world: World, counts: Mapping[int, int] = COUNTS) -> None:
    _pipelines(world)
    for entity_type_id, count in counts.items():
        store = world.make_store(entity_type_id, count)
        columns = BuiltInColumns(world, store)
        for word in FIELDS[entity_type_id].split():
            _add_field(store, word, columns)
        nothing = dict.fromkeys([*ALWAYS_NULL[entity_type_id].split(), *UTM], constant(None))
        store.schema.hidden.update(
            nothing | {"searchContent": columns.search, "entityTypeId": constant(entity_type_id)}
        )
        if entity_type_id in (1, 3, 4):
            store.schema.multifields = columns.multifields


def _pipelines(world: World) -> None:
    without_categories = ((7, "Quote stages", QUOTE_STAGES), (1, "Lead stages", LEAD_STAGES))
    for entity_type_id, name, lead_or_quote in without_categories:
        add_stages(world, entity_type_id, 0, lead_or_quote)
        world.directories.insert(0, built_in_directory_row(world, entity_type_id, None, name))
    categories = ((2, 0, "General", DEAL_STAGES), (2, 1, "Tenders", DEAL_STAGES), (31, 5, "General", SPA_STAGES))
    for entity_type_id, category_id, name, stages in categories:
        add_category(world, entity_type_id, category_id, name, sort=300 - category_id, default=category_id != 1)
        add_stages(world, entity_type_id, category_id, stages)
        category = world.categories[entity_type_id][-1]
        world.directories.append(built_in_directory_row(world, entity_type_id, category, f"{name} stages"))
    for entity_type_id, code in ((3, "CATALOG_CONTRACTOR_CONTACT"), (4, "CATALOG_CONTRACTOR_COMPANY")):
        add_category(world, entity_type_id, 0, "General", default=True)
        add_category(world, entity_type_id, 10 + entity_type_id, "Contractors", sort=600)
        world.categories[entity_type_id][-1] |= {"code": code, "isSystem": "Y"}


def _add_field(store: ItemStore, word: str, columns: BuiltInColumns) -> None:
    name, _, kind = word.partition(":")
    upper = _upper_name(name)
    entity_type_id = store.schema.entity_type_id
    directory = TYPE_DIRECTORY.get(entity_type_id, "") if name == "typeId" else STATUS_TYPES.get(name, "")
    if name in ("stageId", "previousStageId"):
        directory = {1: "STATUS", 2: "DEAL_STAGE", 7: "QUOTE_STATUS", 31: "SMART_INVOICE_STAGE_5"}[entity_type_id]
    extra: dict[str, Any] = {"statusType": directory} if directory else {}
    if name == "contactId":
        extra["isDeprecated"] = True
    plain = kind.rstrip("!*")
    store.schema.add(Field(name, plain, upper, FIELD_TITLES[name], columns.column(name, plain, directory, multiple="*" in kind),
                           multiple="*" in kind, read_only="!" in kind, extra=extra))  # fmt: skip


@cache
def _upper_name(name: str) -> str:
    return "".join(f"_{sign}" if sign.isupper() else sign.upper() for sign in name)


class BuiltInColumns:
    """Makes a column for each field: by its name if there is one for it, by its type otherwise."""

    def __init__(self, world: World, store: ItemStore) -> None:
        self.world, self.store = world, store
        self._id = store.schema.entity_type_id
        self._contacts = ContactLinks(world, self._salt("contacts"))
        trip, zone = store.trip, world.zone
        self._named: dict[str, Column] = {
            "id": lambda number: number,
            "title": lambda number: f"{TITLES[self._id]} #{number}" if self._id in TITLES else self._company(number),
            "createdTime": lambda number: iso(trip(number).events[0].at, zone),
            "updatedTime": lambda number: iso(trip(number).updated_at, zone),
            "lastActivityTime": lambda number: iso(trip(number).updated_at, zone),
            "movedTime": lambda number: iso(trip(number).events[-1].at, zone),
            "begindate": lambda number: iso_date(trip(number).events[0].at, zone),
            "closedate": lambda number: iso_date(trip(number).updated_at, zone),
            "categoryId": lambda number: trip(number).category_id,
            "stageId": self._stage(-1, "code"),
            "previousStageId": self._stage(-2, "code"),
            "stageSemanticId": self._stage(-1, "semantics"),
            "contactId": self._contacts.first,
            "contactIds": self._contacts.all,
            "companyId": self._company_id,
            "companyIds": lambda number: [company_id] if (company_id := self._company_id(number)) else [],
            "quoteNumber": str,
            "accountNumber": lambda number: f"{number:05d}",
            "birthdate": lambda number: iso_date(mix(number, 3) * 60, zone) if number % 3 else None,
            **dict.fromkeys(("phone", "phoneWork"), self.phone),
            **dict.fromkeys(("email", "emailWork"), self.email),
        }
        if world.habits is not None:
            self._named |= self._of_a_company()
        self._pools: dict[str, list[Any]] = {
            "name": FIRST_NAMES, "lastName": [*LAST_NAMES, None], "companyTitle": COMPANIES, "secondName": ["", None],
            "comments": [None, "[B]Важно[/B]: перезвонить", "", "Line 1\nLine 2"], "probability": [None, 10, 50, 90],
            "opportunity": [0, 999.9, 19000, 12000.5, 450_000], "isManualOpportunity": ["Y", "N"], "opened": ["Y", "N"],
            "hasPhone": ["Y"], "hasEmail": ["Y"], "photo": [None, 4242], "revenue": [0, 1_500_000], "leadId": [None, 7],
            "isMyCompany": ["N"], "webformId": [0, None], "taxValue": [0], "mycompanyId": [1, 0], "currencyId": ["RUB", "EUR"],
            "sourceDescription": [None, "", "Выставка"], "observers": [[], [], [2, 3]], "post": [None, "Директор", "Buyer"],
        }  # fmt: skip

    def _salt(self, name: str) -> int:
        return salt(self.world.seed, self._id, name)

    def column(self, name: str, kind: str, directory: str, *, multiple: bool) -> Column:
        if name in self._named:
            return self._named[name]
        pool = self._pools.get(name) or self._by_kind(kind, directory)
        return drawn([[]] if multiple and not isinstance(pool[0], list) else pool, self._salt(name))

    def _by_kind(self, kind: str, directory: str) -> list[Any]:
        if kind == "user":
            return [int(user["ID"]) for user in self.world.users]
        if directory:
            return [row["STATUS_ID"] for row in self.world.statuses if row["ENTITY_ID"] == directory] + [None]
        usual: dict[str, list[Any]] = {"boolean": ["N"], "string": [None, ""]}
        return usual.get(kind, [None])

    def _stage(self, place: int, part: str) -> Callable[[int], Any]:
        def column(number: int) -> Any:
            events = self.store.trip(number).events
            stage = events[place].stage if len(events) >= -place else None
            return getattr(stage, part) if stage else ""

        return column

    def _of_a_company(self) -> dict[str, Column]:
        """Returns columns that are consistent: names, amounts that follow from products, people who did the work."""
        trip, zone, seed, number_of = self.store.trip, self.world.zone, self.world.seed, self._id
        sources = [
            "CALL",
            "CALL",
            "EMAIL",
            "WEB",
            "WEB",
            "WEB",
            "ADVERTISING",
            "ADVERTISING",
            "PARTNER",
            "TRADE_SHOW",
            None,
        ]

        def amount(number: int) -> float:
            return computed_amount(seed, number_of, number) or self._estimate(number)

        def is_final(number: int) -> bool:
            stage = trip(number).stage
            return stage is not None and stage.semantics != "P"

        def end(number: int) -> str:
            events = trip(number).events
            later = 0 if is_final(number) else (7 + number % 40) * DAY
            return iso_date(events[-1].at + later, zone)

        columns: dict[str, Column] = {
            **dict.fromkeys(("assignedById", "createdBy", "movedBy"), lambda number: trip(number).person),
            "name": names.given_name,
            "lastName": names.family_name,
            "sourceId": drawn(sources, self._salt("sourceId")),
            "companyId": self._frequent_company,
            "companyIds": lambda number: [company_id] if (company_id := self._frequent_company(number)) else [],
            "opportunity": amount,
            "isManualOpportunity": lambda number: "N" if computed_amount(seed, number_of, number) else "Y",
            "currencyId": constant(self.world.base_currency),
            "closedate": end,
            "closed": lambda number: "Y" if is_final(number) else "N",
            "dateClosed": lambda number: iso(trip(number).events[-1].at, zone) if is_final(number) else None,
        }
        if number_of in (1, 2):
            columns["title"] = lambda number: names.item_title(number_of, number, self._frequent_company(number))
        if number_of == 4:
            columns["title"] = names.company
            columns["companyId"] = constant(0)
        return columns

    def _frequent_company(self, number: int) -> int:
        """Returns a company: a few buy often, most of them once; one item in twelve has none."""
        chance = unit(number, self._salt("companyId"))
        known = self.world.objects[4].computed
        return 0 if chance > 11 / 12 or not known else 1 + int((chance * 12 / 11) ** 2.6 * known)

    def _estimate(self, number: int) -> float:
        """Returns an amount entered without products: round, and seldom large."""
        return float(round(15_000 * 60 ** unit(number, self._salt("estimate")), -3))

    def _company(self, number: int) -> str:
        return f"{COMPANIES[mix(number, self._salt('title')) % len(COMPANIES)]} {number}"

    def _company_id(self, number: int) -> int:
        """Returns the id of the item's company, 0 for none."""
        return mix(number, self._salt("companyId")) % (COUNTS[4] + 1) if self._id != 4 else 0

    def phone(self, number: int) -> str:
        return f"+7495{mix(number, self._salt('phone')) % 10_000_000:07d}"

    def email(self, number: int) -> str:
        return f"client{number}@example.com"

    def search(self, number: int) -> str:
        return f"{number} {self.phone(number)} pyvrag{number}@rknzcyr.pbz"

    def multifields(self, number: int) -> list[dict[str, Any]]:
        phone = {"id": number * 2 - 1, "valueType": "WORK", "value": self.phone(number), "typeId": "PHONE"}
        return [phone, {"id": number * 2, "valueType": "WORK", "value": self.email(number), "typeId": "EMAIL"}]

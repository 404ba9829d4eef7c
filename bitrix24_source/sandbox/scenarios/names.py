"""Names of the demo's companies, people and items, and titles of the fields of CRM objects."""

# ruff: noqa: RUF001 - some names are Russian

from __future__ import annotations

from .deterministic import salt, unit

_FIRST_WORDS = ("Baltic", "Amber", "Orion", "Meridian", "Kaskad", "Polaris", "Granite", "Delta", "Volga", "Vega", "Nordic",
                "Silver", "Atlas", "Ural", "Beacon", "Aurora", "Falcon", "Cedar", "Harbour")  # fmt: skip
_TRADES = ("Logistics", "Foods", "Retail", "Engineering", "Pharma", "Textiles", "Motors", "Energy", "Print", "Packaging",
           "Dental", "Construction", "Travel")  # fmt: skip
_FORMS = ("LLC", "JSC", "GmbH", "Ltd.", "Inc.", "Group")
_OTHER_COMPANIES = {
    7: "ООО «Ромашка»",
    19: "Müller & Söhne GmbH",
    31: 'Acme "Tools" Ltd.',
    43: "ИП Сидоров",
    67: "Blue O'Cean, Inc.",
}
_GIVEN_NAMES = ("Olga", "Ivan", "Marta", "Daniel", "Svetlana", "Peter", "Nadia", "Oleg", "Hannah", "Maxim", "Clara", "Timur",
                "Vera", "Lukas", "Irina", "Artem", "Emma", "Denis", "Alina", "Robert", "Юлия", "Karl", "Lena")  # fmt: skip
_FAMILY_NAMES = ("Smirnov", "Keller", "Popova", "Hughes", "Lebedev", "Novak", "Romanova", "Fischer", "Belov", "Carter", "Orlova",
                 "Winter", "Gromov", "Larsen", "Titova", "Bauer", "Frolov", "Mendez", "Зотова", "Becker", "Savin", "Lange",
                 "Panova", "Moreau", "Kozlov", "Adams", "Ершов", "Stein", "Guseva")  # fmt: skip
_LEADS = ("Request from the website", "Call about a price list", "Trade show contact", "Question about delivery",
          "Request for a catalogue", "Call back about installation", "Partner's recommendation")  # fmt: skip
_DEALS = ("Office refit", "Workstations", "Warehouse equipment", "Annual licences", "Service contract", "Printer fleet",
          "Conference room", "Spare parts", "New branch", "Retail counters")  # fmt: skip

# Titles on a portal in English.
FIELD_TITLES = {
    "id": "ID", "title": "Name", "createdTime": "Created on", "updatedTime": "Modified on", "createdBy": "Created by",
    "updatedBy": "Modified by", "assignedById": "Responsible person", "opened": "Available to everyone",
    "webformId": "Created by CRM form", "lastActivityBy": "Last activity by", "lastActivityTime": "Last activity",
    "name": "First name", "lastName": "Last name", "secondName": "Second name", "honorific": "Salutation",
    "birthdate": "Date of birth", "post": "Position", "hasPhone": "Has phone", "hasEmail": "Has e-mail",
    "hasImol": "Has Open Channel", "phone": "Phone", "phoneMobile": "Mobile phone", "phoneWork": "Work phone",
    "phoneMailing": "Phone for mailings", "email": "E-mail", "emailHome": "Private e-mail", "emailWork": "Work e-mail",
    "emailMailing": "E-mail for mailings", "imol": "Open Channel", "companyId": "Company", "contactId": "Contact",
    "contactIds": "Contacts", "companyIds": "Companies", "opportunity": "Amount", "currencyId": "Currency",
    "isManualOpportunity": "Amount entered manually", "sourceId": "Source", "sourceDescription": "Source information",
    "stageId": "Stage", "movedBy": "Moved by", "movedTime": "Moved on", "begindate": "Start date", "closedate": "End date",
    "originatorId": "External source", "originId": "Item ID in the external source", "companyTitle": "Company name",
    "stageSemanticId": "Stage group", "statusDescription": "Stage information", "comments": "Comment",
    "dateClosed": "Completed on", "isReturnCustomer": "Repeat customer", "skype": "Skype", "icq": "ICQ",
    "observers": "Observers", "leadId": "Lead", "quoteId": "Quote", "dealId": "Deal", "categoryId": "Pipeline", "isNew": "New",
    "isRecurring": "Recurring", "isRepeatedApproach": "Repeat inquiry", "closed": "Closed", "typeId": "Type", "taxValue": "Tax",
    "probability": "Probability, %", "eventDate": "Date of event", "eventId": "Type of event",
    "eventDescription": "Description of event", "locationId": "Location", "additionalInfo": "Additional information",
    "orderStage": "Order stage", "photo": "Photo", "export": "Included in export", "originVersion": "External version",
    "lastCommunicationTime": "Last communication", "industry": "Industry", "employees": "Employees",
    "revenue": "Annual revenue", "logo": "Logo", "isMyCompany": "Own company", "bankingDetails": "Bank details",
    "quoteNumber": "Quote number", "mycompanyId": "Your company details", "actualDate": "Valid until", "content": "Content",
    "terms": "Terms", "personTypeId": "Payer type", "accountNumber": "Invoice number", "xmlId": "External code",
    "previousStageId": "Previous stage",
}  # fmt: skip


def company(number: int) -> str:
    """Returns a distinct name for each of the first thousand companies."""
    if number in _OTHER_COMPANIES:
        return _OTHER_COMPANIES[number]
    first, trade = _FIRST_WORDS[number % len(_FIRST_WORDS)], _TRADES[number % len(_TRADES)]
    return f"{first} {trade} {_FORMS[number % len(_FORMS)]}"


def given_name(number: int) -> str:
    return _GIVEN_NAMES[number % len(_GIVEN_NAMES)]


def family_name(number: int) -> str:
    return _FAMILY_NAMES[number * 7 % len(_FAMILY_NAMES)]


def item_title(entity_type_id: int, number: int, company_id: int) -> str:
    """Returns the title of a lead or a deal: its subject and its company."""
    subjects = _LEADS if entity_type_id == 1 else _DEALS
    subject = subjects[int(unit(number, salt("title", entity_type_id)) * len(subjects))]
    return f"{subject}, {company(company_id)}" if company_id else f"{subject} #{number}"

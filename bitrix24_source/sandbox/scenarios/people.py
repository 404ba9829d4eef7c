"""The users, departments, currencies and plain directories that every scenario has."""

# ruff: noqa: RUF001 - the company speaks Russian and English

from __future__ import annotations

from typing import Any

from ..model.world import World
from .deterministic import DAY, iso, iso_date
from .stages import add_directory, add_statuses

# name, last name, gender, position, department, active
STAFF = (
    ("Anna", "Petrova", "F", "Chief executive", 1, True), ("Ivan", "Sokolov", "M", "Head of purchasing", 5, True),
    ("Olga", "Weber", "F", "Head of Sales", 3, True), ("Sergey", "Kuznetsov", "M", "Sales manager", 3, True),
    ("Maria", "Ivanova", "F", "Sales manager", 3, True), ("John", "Smith", "M", "Account manager", 3, False),
    ("Дмитрий", "Орлов", "M", "Engineer", 7, True), ("Elena", "García", "F", "HR manager", 9, True),
    ("Pavel", "Fedorov", "M", "Storekeeper", 5, True), ("Tatiana", "Novikova", "F", "Accountant", 2, True),
    ("Michael", "Brown", "M", "Service engineer", 7, True), ("Юлия", "Морозова", "F", "Lawyer", 17, True),
    ("Alexey", "Volkov", "M", "Project manager", 7, False), ("Chen", "Li", "M", "Developer", 15, True),
    ("Natalia", "Egorova", "F", "Marketing manager", 4, True),
)  # fmt: skip
# Without a department: a partner in one of the owner's groups, one in another group, and one who has left.
OUTSIDERS = (
    ("Victor", "Lebedev", "M", "Contractor", "extranet", True), ("Sophie", "Martin", "F", "Consultant", "extranet", True),
    ("Roman", "Zaytsev", "M", "Sales manager", "employee", False),
)  # fmt: skip
DEPARTMENTS = (
    ("1", "North Wind Trading", None, "1"), ("2", "Accounting", "1", "10"), ("3", "Sales", "1", "3"),
    ("4", "Marketing", "1", "15"), ("5", "Purchasing and warehouse", "1", "2"), ("7", "Service", "1", "11"), ("9", "HR", "1", "8"),
    ("15", "R&D", "7", "14"), ("17", "Legal", "1", "12"),
)  # fmt: skip
CURRENCIES = (
    ("RUB", "1", "1.0000", "100", "Y", "Russian rouble", "# &#8381;"), ("USD", "1", "90.5000", "200", "N", "US Dollar", "$#"),
    ("EUR", "1", "98.2300", "300", "N", "Euro", "# €"), ("KZT", "100", "19.4100", "400", "N", "Kazakhstani tenge", "# ₸"),
)  # fmt: skip
DIRECTORIES = {
    "SOURCE": ("Sources", (("CALL", "Call"), ("EMAIL", "E-mail"), ("WEB", "Web site"), ("ADVERTISING", "Advertising"),
                           ("PARTNER", "Existing client"), ("TRADE_SHOW", "Exhibition"), ("OTHER", "Other"))),
    "CONTACT_TYPE": ("Contact type", (("CLIENT", "Clients"), ("SUPPLIER", "Suppliers"), ("PARTNER", "Partners"))),
    "COMPANY_TYPE": ("Company type", (("CUSTOMER", "Client"), ("SUPPLIER", "Supplier"), ("PARTNER", "Partner"))),
    "EMPLOYEES": ("Number of employees", (("EMPLOYEES_1", "less than 50"), ("EMPLOYEES_2", "50-250"))),
    "INDUSTRY": ("Industry", (("IT", "Information Technology"), ("MANUFACTURING", "Manufacturing"), ("OTHER", "Other"))),
    "DEAL_TYPE": ("Deal type", (("SALE", "Sales"), ("SERVICE", "Services"), ("GOODS", "Goods"))),
    "HONORIFIC": ("Salutations", (("HNR_RU_1", "г-н"), ("HNR_RU_2", "г-жа"))),
    "CALL_LIST": ("Call statuses", (("IN_WORK", "In progress"), ("SUCCESS", "Successful"))),
}  # fmt: skip


# Directories that crm.status.entity.types does not name, and crm.status.list answers all the same.
UNNAMED_DIRECTORIES = {
    "DEAL_STATE": (("PLANNED", "Planned"), ("PROCESS", "In progress"), ("COMPLETE", "Completed"), ("CANCELED", "Cancelled")),
    "EVENT_TYPE": (("INFO", "Information"), ("PHONE", "Phone call"), ("MESSAGE", "E-mail message")),
    "INVOICE_STATUS": (("N", "New"), ("S", "Sent to client"), ("P", "Paid"), ("D", "Declined")),
}  # fmt: skip


def add_people(world: World) -> None:
    world.users += [_user(world, place + 1, person) for place, person in enumerate(STAFF)]
    for number, (name, last_name, gender, position, kind, active) in enumerate(OUTSIDERS, len(STAFF) + 1):
        person = _user(world, number, (name, last_name, gender, position, 0, active))
        world.users.append(person | {"UF_DEPARTMENT": [], "USER_TYPE": kind})
    world.extranet_of_owner.add(len(STAFF) + 1)
    for code, name, parent, head in DEPARTMENTS:
        department: dict[str, Any] = {"ID": code, "NAME": name, "SORT": 500}
        world.departments.append(department | ({"PARENT": parent} if parent else {}) | {"UF_HEAD": head})
    world.currencies += [_currency(world, row) for row in CURRENCIES]
    for code, (name, values) in DIRECTORIES.items():
        add_directory(world, code, name, values)
    for code, values in UNNAMED_DIRECTORIES.items():
        add_statuses(world, code, values)


def _user(world: World, number: int, person: tuple[str, str, str, str, int, bool]) -> dict[str, Any]:
    name, last_name, gender, position, department, active = person
    joined = world.story.start + number * 11 * DAY
    return {
        "ID": str(number), "ACTIVE": active, "NAME": name, "LAST_NAME": last_name, "SECOND_NAME": "",
        "EMAIL": f"user{number}@example.com", "LAST_LOGIN": iso(joined + 300 * DAY, world.zone),
        "DATE_REGISTER": iso_date(joined, world.zone), "TIME_ZONE": "", "IS_ONLINE": "Y" if number == 1 else "N",
        # Two columns that the vendor prints as empty objects instead of dates.
        "TIMESTAMP_X": {}, "LAST_ACTIVITY_DATE": {},
        "PERSONAL_GENDER": gender, "PERSONAL_WWW": "", "PERSONAL_BIRTHDAY": "" if number % 3 else iso_date(0, world.zone),
        "PERSONAL_MOBILE": "", "PERSONAL_CITY": "Москва" if number % 2 else "", "WORK_PHONE": f"+7495000{number:04d}",
        "WORK_POSITION": position, "UF_EMPLOYMENT_DATE": "", "UF_DEPARTMENT": [department], "USER_TYPE": "employee",
    }  # fmt: skip


def _currency(world: World, row: tuple[str, ...]) -> dict[str, Any]:
    names = ("CURRENCY", "AMOUNT_CNT", "AMOUNT", "SORT", "BASE", "FULL_NAME", "FORMAT_STRING")
    return dict(zip(names, row, strict=True)) | {
        "LID": "en", "DEC_POINT": ".", "THOUSANDS_SEP": "&nbsp;", "DECIMALS": "2", "DATE_UPDATE": iso(world.story.start, world.zone),
    }  # fmt: skip

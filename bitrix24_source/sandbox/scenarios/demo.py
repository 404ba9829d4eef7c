"""The demo: a trading company with six smart processes, leads and deals, whose employees work differently.

The same seed gives the same items; their dates end the day before the portal was made.
"""

# ruff: noqa: RUF001 - the company speaks Russian and English

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..model.lifecycle import Habits, Worker
from ..model.world import World
from .activities import add_activities
from .deterministic import iso
from .relations import link_types
from .spa_types import add_type, type_row
from .stages import StageSpec
from .user_fields import add_user_field

PURCHASE: tuple[StageSpec, ...] = (
    ("NEW", "Request", "P"), ("PREPARATION", "Collecting offers", "P"), ("CLIENT", "Approval", "P"),
    ("UC_PAY", "Payment", "P"), ("SUCCESS", "Received", "S"), ("FAIL", "Declined", "F"), ("UC_DUP", "Duplicate", "F"),
)  # fmt: skip
EQUIPMENT: tuple[StageSpec, ...] = (
    ("NEW", "In stock", "P"), ("CLIENT", "In use", "P"), ("UC_REPAIR", "Under repair", "P"),
    ("SUCCESS", "Returned", "S"), ("FAIL", "Written off", "F"),
)  # fmt: skip
ONBOARDING: tuple[StageSpec, ...] = (
    ("NEW", "Offer accepted", "P"), ("PREPARATION", "Workplace", "P"), ("CLIENT", "First month", "P"),
    ("SUCCESS", "Probation passed", "S"), ("FAIL", "Left", "F"),
)  # fmt: skip
WARRANTY: tuple[StageSpec, ...] = (
    ("NEW", "Новое обращение", "P"), ("PREPARATION", "Диагностика", "P"), ("CLIENT", "Ремонт", "P"),
    ("SUCCESS", "Закрыто", "S"), ("FAIL", "Не гарантия", "F"),
)  # fmt: skip
CONTRACT: tuple[StageSpec, ...] = (
    ("NEW", "Draft", "P"), ("PREPARATION", "Legal review", "P"), ("CLIENT", "Signing", "P"),
    ("SUCCESS", "Signed", "S"), ("FAIL", "Cancelled", "F"), ("UC_EXPIRED", "Expired", "F"),
)  # fmt: skip
PROJECT: tuple[StageSpec, ...] = (
    ("NEW", "Инициация", "P"), ("PREPARATION", "Планирование", "P"), ("CLIENT", "Выполнение", "P"),
    ("SUCCESS", "Сдан", "S"), ("FAIL", "Остановлен", "F"),
)  # fmt: skip

# tail of the code, type, label, Russian label, and what else add_user_field takes
UserFieldSpec = tuple[str, str, str, str, dict[str, Any]]


@dataclass(frozen=True)
class Process:
    """One smart process: ids, names, what is off, its pipelines, what it hangs under, its custom fields, its share."""

    type_id: int
    entity_type_id: int
    title: str
    code: str
    pipelines: tuple[tuple[int, str, tuple[StageSpec, ...]], ...]
    share: int
    fields: Sequence[UserFieldSpec]
    off: tuple[str, ...] = ()
    parents: tuple[int, ...] = ()
    children: tuple[int, ...] = ()
    subjects: tuple[str, ...] = ()


# Sales peak in autumn; little happens at weekends and in January.
HABITS = Habits(
    months=(0.6, 0.85, 1.05, 1.0, 0.75, 0.95, 0.7, 0.8, 1.1, 1.2, 1.35, 1.3),
    weekdays=(1.1, 1.05, 1.0, 1.0, 0.85, 0.15, 0.05),
    growth=1.6,
    workers=(
        Worker(4, 2.0, success=1.25, pace=0.7), Worker(5, 1.8, success=1.1), Worker(3, 0.8, success=1.35, pace=0.8),
        Worker(2, 1.1, success=0.95, pace=1.3), Worker(9, 0.9, success=0.8, pace=1.2), Worker(11, 1.0, pace=1.1),
        Worker(7, 0.7, success=0.9, pace=1.6), Worker(6, 0.5, success=0.6, pace=1.8), Worker(18, 0.2, success=0.5, pace=1.5),
    ),
)  # fmt: skip
DEMO_COUNTS = {4: 240, 3: 600, 1: 900, 2: 1200, 7: 300, 31: 400}
PROCESSES = (
    Process(13, 177, "Equipment purchase", "EQUIPMENT_PURCHASE",
            ((7, "General", PURCHASE), (9, "Urgent purchases", PURCHASE)), 30, (
                ("1739432938", "string", "Supplier article", "Артикул поставщика", {}),
                ("1739433001", "enumeration", "Priority", "Приоритет", {"options": ["Low", "Medium", "High"]}),
                ("1739433002", "money", "Budget", "Бюджет", {}),
                ("1739433003", "file", "Offers", "Коммерческие предложения",
                 {"multiple": True, "pool": [[], [], [{"id": 30577}], [{"id": 30577}, {"id": 30581}]]}),
                ("APPROVED", "boolean", "Approved", "Согласовано", {}),
                ("NEEDED_BY", "date", "Needed by", "Нужно к", {}),
                ("DELIVERY2", "address", "Delivery address", "Адрес доставки", {}),
            ), parents=(2, 1038),
            subjects=("Laptops", "Office chairs", "Barcode scanners", "Monitors", "Racks", "Spare parts", "Printers")),
    Process(14, 1030, "Equipment", "EQUIPMENT", ((11, "General", EQUIPMENT),), 20, (
                ("SERIAL", "string", "Serial number", "Серийный номер", {"mandatory": True}),
                ("1739433101", "employee", "In use by", "У кого", {}),
                ("1739433102", "enumeration", "Condition", "Состояние", {"options": ["New", "Good", "Worn", "Broken"]}),
                ("1739433103", "double", "Weight, kg", "Вес, кг", {}),
                ("1739433104", "url", "Manual", "Инструкция", {}),
            ), off=("isCategoriesEnabled", "isLinkWithProductsEnabled", "isBizProcEnabled"), parents=(177,),
            subjects=("Laptop", "Forklift", "Monitor", "Label printer", "Tablet", "Projector")),
    Process(16, 1032, "Onboarding", "", ((13, "General", ONBOARDING),), 5, (
                ("1739433201", "date", "First day", "Первый день", {}),
                ("1739433202", "employee", "Mentors", "Наставники", {"multiple": True}),
                ("1739433203", "string", "Skills", "Навыки", {"multiple": True, "pool": [[], ["Excel"], ["SQL", "Python"]]}),
            ), off=("isClientEnabled", "isLinkWithProductsEnabled", "isMycompanyEnabled", "isSourceEnabled"),
            subjects=("Sales manager", "Engineer", "Storekeeper", "Accountant", "Driver")),
    Process(17, 1034, "Гарантийные обращения", "WARRANTY",
            ((15, "Розница", WARRANTY), (17, "Опт", WARRANTY), (19, "Сервисные центры", WARRANTY)), 25, (
                ("1739433301", "enumeration", "Defects", "Неисправности",
                 {"multiple": True, "options": ["Экран", "Питание", "Корпус", "Software"]}),
                ("1739433302", "datetime", "Visit", "Выезд", {}),
                ("1739433303", "crm", "Related", "Связано с", {"multiple": True}),
                ("1739433304", "integer", "Days in repair", "Дней в ремонте", {}),
            ), parents=(1030, 2), subjects=("Ноутбук не включается", "Замена экрана", "Шум", "Повреждён корпус")),
    Process(19, 1036, "Contracts", "CONTRACTS", ((21, "General", CONTRACT),), 12, (
                ("NUMBER", "string", "Contract number", "Номер договора", {}),
                ("1739433401", "money", "Ceiling price", "Предельная цена", {}),
                ("1739433402", "boolean", "Auto-renewal", "Автопродление", {}),
                ("1739433403", "date", "Expires", "Действует до", {}),
                ("1739433404", "crm_status", "Channel", "Канал", {}),
            ), parents=(1, 2, 7), children=(1038,),
            subjects=("Supply contract", "Lease", "Service agreement", "Framework contract")),
    Process(20, 1038, "Проекты", "", ((23, "Общая", PROJECT), (25, "Внутренние", PROJECT)), 8, (
                ("1739433501", "integer", "Team size", "Размер команды", {}),
                ("1739433502", "address", "Site", "Площадка", {"multiple": True, "pool": [[], ["Казань|;|31"]]}),
            ), off=("isMycompanyEnabled", "isSourceEnabled"), parents=(1036,), children=(2,),
            subjects=("Переезд склада", "Открытие филиала", "Внедрение CRM", "Новый каталог")),
)  # fmt: skip


def build_demo(world: World, items: int, id_step: int = 1) -> None:
    whole = sum(process.share for process in PROCESSES)
    left = items
    for process in PROCESSES:
        last = process is PROCESSES[-1]
        count = left if last else items * process.share // whole
        left -= count
        _add_process(world, process, count, id_step)
    link_types(world)
    _solutions(world)
    _templates(world)
    add_activities(world)
    add_user_field(world, 1, "1720019876534", "string", "Lead note")
    add_user_field(world, 2, "1721244707107", "double", "Margin", ru="Маржа")
    add_user_field(world, 2, "REGION", "enumeration", "Region", options=["North", "South", "Export"], ru="Регион")


def _add_process(world: World, process: Process, count: int, id_step: int) -> None:
    row = type_row(process.type_id, process.entity_type_id, process.title, iso(world.story.start, world.zone), code=process.code,
                   off=process.off, parents=process.parents, children=process.children)  # fmt: skip
    add_type(world, row, count, step=id_step, categories=process.pipelines, subjects=process.subjects)
    for tail, kind, label, russian, more in process.fields:
        add_user_field(world, process.entity_type_id, tail, kind, label, ru=russian, **more)


def _solutions(world: World) -> None:
    world.solutions += [
        {"id": 238, "title": "HR", "typeIds": [16]},
        {"id": 240, "title": "Purchasing and warehouse", "typeIds": [13, 14]},
        {"id": 267, "title": "Customer Success", "typeIds": []},
    ]


def _templates(world: World) -> None:
    """Adds workflow templates with DOCUMENT_TYPE in both forms that the vendor documents: a string and three parts."""
    entity = "Bitrix\\Crm\\Integration\\BizProc\\Document\\Dynamic"
    rows = (
        ("379", "Purchase approval", 177, "3", "DYNAMIC_177"), ("381", "Reminder of the deadline", 177, "0", "DYNAMIC_177"),
        ("525", "Contract approval", 1036, "1", ["crm", entity, "DYNAMIC_1036"]),
        ("527", "Project kick-off", 1038, "2", ["crm", entity, "DYNAMIC_1038"]),
    )  # fmt: skip
    for number, name, _, execute, document_type in rows:
        world.templates.append({
            "ID": number, "MODULE_ID": "crm", "ENTITY": entity, "DOCUMENT_TYPE": document_type, "AUTO_EXECUTE": execute,
            "NAME": name, "TEMPLATE": [], "PARAMETERS": [], "VARIABLES": [], "CONSTANTS": [],
            "MODIFIED": iso(world.story.start, world.zone), "IS_MODIFIED": "N", "USER_ID": "1", "SYSTEM_CODE": f"sandbox_{number}",
        })  # fmt: skip

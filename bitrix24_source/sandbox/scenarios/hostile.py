"""A portal of unlikely but possible data: titles, codes, fields, directories and rights.

The values of its items are in `hostile_values`.
"""

# ruff: noqa: RUF001 - letters that look like others are the point

from __future__ import annotations

from collections.abc import Iterator

from ..model.world import World
from .deterministic import iso
from .hostile_values import add_odd_values, add_wide_type_fields
from .spa_types import add_type, type_row
from .stages import SPA_STAGES, StageSpec
from .user_fields import add_user_field

TYPES = 64
ODD_VALUES, WIDE, MANY_STAGES, COLLIDING, UNREADABLE, NO_STAGES, NO_CATEGORIES = 177, 1030, 1032, 1034, 1036, 1038, 1040
LONG_TITLE = "Очень длинное название смарт-процесса, " * 8
TITLES = {
    ODD_VALUES: 'Значения: null, "", false, [], {}',
    WIDE: "300 custom fields",
    MANY_STAGES: "More than fifty stages",
    COLLIDING: "Names that collide",
    UNREADABLE: "Не для всех",
    NO_STAGES: "Without stages",
    NO_CATEGORIES: "Without categories",
    1042: "Twins",
    1044: "Twins",
    1046: "TWIN_CODE",
    1048: "Code is another's title",
    1050: "🎉 Party 👩‍👩‍👧 \u200fעברית",
    1052: "It's \"quoted\" `twice` \\ and /slashed\\",
    1054: LONG_TITLE[:300],
    1056: "'; DROP TABLE spa_items_177; --",
    1058: "select * from users",
    1060: "",
    1062: "   ",
    1064: "line one\nline two\ttab",
    1066: "1042",
    1068: "%s {title} ${HOME} %00",
    1070: "<script>alert(1)</script>",
    1072: "CamelCase_and-kebab.dots",
    1074: "camelcase AND kebab dots",
}  # fmt: skip
CODES = {1042: "TWIN_CODE", 1048: "Twins", 1050: "emoji 🎉", 1066: "177"}
# Numbers of items around the page size of 50: one less, equal, one more, two full pages, none.
COUNTS = {WIDE: 30, MANY_STAGES: 120, 1042: 49, 1044: 50, 1046: 51, 1048: 100, 1060: 0, UNREADABLE: 5}


def build_hostile(world: World, items: int) -> None:
    left = items
    for entity_type_id in [ODD_VALUES, *range(WIDE, WIDE + 2 * (TYPES - 1), 2)]:
        wanted = COUNTS.get(entity_type_id, 1 if entity_type_id % 4 else 0)
        count = min(left, wanted) if entity_type_id != ODD_VALUES else max(0, min(items, items - _wanted()))
        left -= count
        _add(world, entity_type_id, count)
    _odd_dictionaries(world)


def _wanted() -> int:
    numbers = range(WIDE, WIDE + 2 * (TYPES - 1), 2)
    return sum(COUNTS.get(number, 1 if number % 4 else 0) for number in numbers)


def _add(world: World, entity_type_id: int, count: int) -> None:
    title = TITLES.get(entity_type_id, f"Smart Process #{entity_type_id}")
    number = 13 if entity_type_id == ODD_VALUES else 100 + entity_type_id - WIDE
    off = {NO_STAGES: ("isStagesEnabled",), NO_CATEGORIES: ("isCategoriesEnabled",)}.get(entity_type_id, ())
    row = type_row(
        number, entity_type_id, title, iso(world.story.start, world.zone), code=CODES.get(entity_type_id, ""), off=off
    )
    pipelines = [(world.next_id("category", 7), "Первая", _stages(entity_type_id))]
    if entity_type_id % 3 == 0:
        pipelines.append((world.next_id("category"), "", SPA_STAGES))
    add_type(world, row, count, step=97 if entity_type_id == 1048 else 1, categories=pipelines)
    _fields(world, entity_type_id)


def _stages(entity_type_id: int) -> tuple[StageSpec, ...]:
    if entity_type_id != MANY_STAGES:
        return SPA_STAGES
    # A directory of more than one page, with a code so long that the portal truncates it, and equal and empty names.
    between = tuple((f"UC_{place:06d}", ("Same name", "", "Этап")[place % 3], "P") for place in range(70))
    return (SPA_STAGES[0], *between, ("UC_TOO_LONG_FOR_THE_COLUMN", "Cut", "P"), *SPA_STAGES[-2:])


def _fields(world: World, entity_type_id: int) -> None:
    if entity_type_id == ODD_VALUES:
        add_odd_values(world, entity_type_id)
    elif entity_type_id == WIDE:
        add_wide_type_fields(world, entity_type_id)
    elif entity_type_id == COLLIDING:
        for tail, label in _colliding_tails():
            add_user_field(world, entity_type_id, tail, "string", label)
    elif entity_type_id == UNREADABLE:
        world.denied.add(entity_type_id)
    elif entity_type_id == MANY_STAGES:
        options = [f"Option {place}" if place % 7 else "Same text" for place in range(120)]
        add_user_field(world, entity_type_id, "1739440001", "enumeration", "120 options", options=options)


def _colliding_tails() -> Iterator[tuple[str, str]]:
    """Yields codes that share a camelCase name, or whose names are equal in snake case or regardless of case."""
    yield from (
        ("A_B", "One name"),
        ("A__B", "One name"),
        ("DIGIT10", "Folds"),
        ("DIGIT_10", "Folds"),
        ("DIGIT", "Folds"),
    )
    yield from (
        ("COMPANY_ID", "Like a system field"),
        ("ID", ""),
        ("TITLE", "Title"),
        ("1747309727", " "),
        ("SELECT", "SQL"),
    )
    yield ("X" * 36, "As long as a code can be")


def _odd_dictionaries(world: World) -> None:
    """Adds odd users, a solution without a title, and a template of a deleted type by an unknown user."""
    world.solutions += [{"id": 1, "title": "", "typeIds": []}, {"id": 2, "title": "Twins", "typeIds": [13, 999]}]
    world.templates.append({
        "ID": "1", "MODULE_ID": "crm", "ENTITY": "Bitrix\\Crm\\Integration\\BizProc\\Document\\Dynamic",
        "DOCUMENT_TYPE": ["crm", "Bitrix\\Crm\\Integration\\BizProc\\Document\\Dynamic", "DYNAMIC_9999"], "AUTO_EXECUTE": "3",
        "NAME": "", "TEMPLATE": {}, "PARAMETERS": [], "VARIABLES": {}, "CONSTANTS": None, "MODIFIED": "24.08.2023 13:19:39",
        "IS_MODIFIED": "Y", "USER_ID": "9999", "SYSTEM_CODE": "",
    })  # fmt: skip
    world.users[2]["TIMESTAMP_X"] = "24.08.2023 13:19:39"
    world.users[3]["UF_DEPARTMENT"] = []
    world.users[4]["ACTIVE"] = False
    world.crm_mode = 2

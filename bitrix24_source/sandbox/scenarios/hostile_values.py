"""Values of the hostile portal: for each field type valid, unusual and invalid ones."""

from __future__ import annotations

from typing import Any

from ..model.world import World
from .deterministic import drawn, salt
from .user_fields import add_user_field

WIDE_FIELDS = 300
EMPTY: list[Any] = [None, "", False, [], {}]
HUGE = 12345678901234567890
NEVER = "9999-12-31T00:00:00+03:00"
ODD_TEXT = ["a\x00b", "🎉", "'; DROP TABLE items; --", "\u2028", " 7 ", "NULL", "\ufeffBOM", "line\r\nline", "x" * 5000]

SINGLE: dict[str, list[Any]] = {
    "string": ["text", *EMPTY, *ODD_TEXT, 0, 7, 3.5, True, HUGE, ["a", "b"], {"key": "value"}],
    "integer": [7, "7", " 7 ", 0, "0", -1, *EMPTY, HUGE, -HUGE, "12345678901234567890123", 7.0, 7.5, "seven", True, [7], [7, 8]],
    "double": [1.5, "1.5", "1,5", 0, -0.0, *EMPTY, 1e300, "1e400", "NaN", "Infinity", 5, "0.10", [1.5], HUGE],
    "boolean": ["Y", "N", True, False, 1, 0, "1", "0", "true", None, "", [], "maybe", ["Y"]],
    "date": ["2025-04-29T03:00:00+03:00", "2024-06-18T02:00:00+02:00", "2025-04-29", NEVER, "24.08.2023", "0000-00-00",
             "24.08.2023 13:19:39", *EMPTY, "2025-02-30T03:00:00+03:00", ["2025-04-29T03:00:00+03:00"], 1714348800],
    "datetime": ["2025-04-29T12:34:56+03:00", "2025-04-29T12:34:56Z", "2025-04-29T12:34:56-11:30", NEVER, *EMPTY,
                 "24.08.2023 13:19:39", "2024-08-29 10:30:11", "2025-10-26T02:30:00+02:00", "yesterday", 1714348800, ["x"]],
    "enumeration": [0, None, False, "", [], 999_999, "999999", "text"],
    "money": ["300|RUB", "1234.56|XXX", "|", "0.10|EUR", "-5|USD", "99999999999999999999.99|RUB", "300", 300, "abc|RUB",
              "1|2|RUB", *EMPTY, ["300|RUB"], {"amount": 1}],
    "url": ["https://example.com/?q=1&b=2", *EMPTY, "not a url", "javascript:alert(1)", 5],
    "address": ["Москва,, 5|55.75;37.61|17", "text|;|", "a|b|1;2|3", "|;|", *EMPTY, "no bars at all", {"text": "x"}],
    "file": [{"id": 30577}, None, False, [], "", 4242, "4242", {"id": "30581"}, {"url": "/x"}, [{"id": 1}], "text"],
    "employee": [1, "4", 0, "0", *EMPTY, 9999, "user_1", [1], [1, 2]],
    "crm": ["D_1", "C_2", "CO_3", "SI_7", "T80_6", "Tb1_6", "5", 5, *EMPTY, "X_1", "D_", ["D_1"], "D_1,C_2"],
    "crm_status": ["WEB", "GONE", 12, "12", *EMPTY, ["WEB"]],
    "iblock_element": [11, "12", 0, *EMPTY, [11], "eleven"],
    "iblock_section": [3, "3", *EMPTY],
    "resourcebooking": [[3, 4], [], None, "3", {}],
    "rest_219_test": ["anything", 5, *EMPTY, {"nested": {"deep": [1, 2]}}, ["a", {"b": None}]],
    "hlblock": [5, "5", *EMPTY],
    "video": [{"path": "/v.mp4", "width": 400}, *EMPTY],
    "no_such_type": ["?", 0, *EMPTY, {"a": []}],
}  # fmt: skip
SETTINGS: dict[str, Any] = {"string": [], "integer": {}, "file": None, "no_such_type": ""}


def add_odd_values(world: World, entity_type_id: int) -> None:
    """Adds a single and a multiple field of each known type and of some unknown ones."""
    for place, (kind, pool) in enumerate(SINGLE.items()):
        options = [f"Вариант {number}" for number in range(3)] if kind == "enumeration" else []
        more: dict[str, Any] = {"options": options, "settings": SETTINGS.get(kind)}
        first = add_user_field(world, entity_type_id, f"{1739450000 + place}", kind, f"One {kind}", pool=pool, **more)
        if first.user_field is not None and options:
            chosen = [option.id for option in first.user_field.options]
            first.column = drawn([*chosen, *map(str, chosen), *pool], salt(world.seed, kind))
        # The vendor allows no multiple yes/no field.
        add_user_field(world, entity_type_id, f"{1739460000 + place}", kind, f"Many {kind}", multiple=True,
                       pool=[*_lists(pool), *EMPTY, pool[0]], **more)  # fmt: skip
    _odd_system_columns(world, entity_type_id)


def _lists(pool: list[Any]) -> list[list[Any]]:
    plain = [value for value in pool if not isinstance(value, list)]
    return [plain[:1], plain[:2], plain[::-1][:3], [None, *plain[:1]], [plain[0], plain[0]], plain]


def _odd_system_columns(world: World, entity_type_id: int) -> None:
    """Adds links to missing items, stages and categories that no directory lists, and unknown users."""
    store = world.objects[entity_type_id]
    pools: dict[str, list[Any]] = {
        "title": ["Обычная", *ODD_TEXT, None, "", 5],
        "assignedById": [1, "4", 9999, 0, None],
        "companyId": [0, None, "5", 7, 999_999],
        "contactIds": [[], [1], ["2", 3], None, 0],
        "observers": [[], [1, 9999], None, 2],
        "opportunity": [0, 12.5, "12.50", None, "", 1e15],
        "currencyId": ["RUB", "XXX", "", None],
        "begindate": ["2025-04-29T03:00:00+03:00", "", None, NEVER],
        "isManualOpportunity": ["Y", "N", None, "", True],
        "mycompanyId": [0, None, 1],
        "sourceId": ["WEB", "GONE", "", None],
        "webformId": [0, None, "3"],
    }  # fmt: skip
    for name, pool in pools.items():
        store.schema.fields[name].column = drawn(pool, salt(world.seed, name))
    usual = store.schema.fields["stageId"].column
    store.schema.fields["stageId"].column = lambda number: "DT177_99:GONE" if number % 11 == 0 else usual(number)


def add_wide_type_fields(world: World, entity_type_id: int) -> None:
    kinds = ["string", "integer", "double", "boolean", "date", "datetime", "money", "url", "employee", "enumeration"]
    for place in range(WIDE_FIELDS):
        kind = kinds[place % len(kinds)]
        options = ["да", "нет"] if kind == "enumeration" else []
        add_user_field(world, entity_type_id, f"{1739470000 + place}", kind, f"Поле {place}"[: place % 9 or None],
                       multiple=place % 17 == 0 and kind != "boolean", options=options)  # fmt: skip

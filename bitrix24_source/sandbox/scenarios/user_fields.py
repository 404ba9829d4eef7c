"""Makes custom fields: their configuration, and a column of values for each type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from functools import lru_cache
from typing import Any

from ..model.schema import Field, Option, UserField
from ..model.world import World
from .deterministic import Column, drawn, iso, iso_date, mix, salt

SETTINGS: dict[str, Any] = {
    "string": {"DEFAULT_VALUE": "", "ROWS": 1, "SIZE": 20, "REGEXP": "", "MIN_LENGTH": 0, "MAX_LENGTH": 0},
    "integer": {"DEFAULT_VALUE": None, "SIZE": 20, "MIN_VALUE": 0, "MAX_VALUE": 0},
    "double": {"DEFAULT_VALUE": None, "PRECISION": 2, "SIZE": 20, "MIN_VALUE": 0, "MAX_VALUE": 0},
    "boolean": {"DEFAULT_VALUE": 0, "DISPLAY": "CHECKBOX", "LABEL": ["no", "yes"], "LABEL_CHECKBOX": {"en": "yes"}},
    "date": {"DEFAULT_VALUE": {"TYPE": "NONE", "VALUE": ""}},
    "datetime": {"DEFAULT_VALUE": {"TYPE": "NONE", "VALUE": ""}, "USE_SECOND": "Y", "USE_TIMEZONE": "N"},
    "enumeration": {"DISPLAY": "LIST", "LIST_HEIGHT": 1, "CAPTION_NO_VALUE": "", "SHOW_NO_VALUE": "Y"},
    "money": {"DEFAULT_VALUE": ""},
    "url": {"POPUP": "Y", "SIZE": 20, "MIN_LENGTH": 0, "MAX_LENGTH": 0, "DEFAULT_VALUE": "", "ROWS": 1},
    "address": {"SHOW_MAP": "Y"},
    "file": {"SIZE": 20, "LIST_WIDTH": 0, "LIST_HEIGHT": 0, "MAX_SHOW_SIZE": 0, "MAX_ALLOWED_SIZE": 0,
             "EXTENSIONS": [], "TARGET_BLANK": "Y"},
    "crm_status": {"ENTITY_TYPE": "SOURCE"},
    "crm": {"LEAD": "N", "CONTACT": "Y", "COMPANY": "Y", "DEAL": "Y"},
    "employee": {"DEFAULT_VALUE": [], "DEFAULT_VIEW": None},
    "iblock_element": {"IBLOCK_ID": 17, "DISPLAY": "LIST", "LIST_HEIGHT": 1, "DEFAULT_VALUE": "", "ACTIVE_FILTER": "N"},
}  # fmt: skip
POOLS: dict[str, list[Any]] = {
    "string": ["", "Склад 2", "Room 14", "по договору", "n/a", "1254", None],
    "integer": [0, 1, 2, 5, 12, 40, 365, 4_294_967_297, -1_003_553_166_106, None],
    "double": [0, 0.5, 12.25, 1999.99, 100, 1.5431999999999999, None],
    "boolean": ["Y", "N", "N"],
    "money": ["300|RUB", "1234.56|EUR", "", "89990|RUB", "0.01|USD"],
    "url": ["https://example.com/spec", "", "https://example.com/a?b=1&c=2"],
    "address": ["Москва, Лесная улица, 5|55.777000;37.586000|17", "", "Berlin, Hauptstraße 1|;|21"],
    "file": [None, {"id": 30577}, {"id": 30581}],
    "crm_status": ["WEB", "CALL", ""],
    "crm": ["D_1", "C_2", "CO_3", "", "Tb1_6"],
    "iblock_element": [None, 11, 12],
    "employee": [0, 1, 4, 7],  # 0 is nobody
    "resourcebooking": [[], [3, 4]],
}


def add_user_field(
    world: World, entity_type_id: int, tail: str, user_type: str, label: str, *, multiple: bool = False,
    mandatory: bool = False, options: Sequence[str] = (), pool: Sequence[Any] | None = None, settings: Any = None,
    ru: str | None = None,
) -> Field:  # fmt: skip
    """Adds a custom field `UF_CRM_<id>_<tail>`; without `pool` it has the usual values of its type."""
    store = world.objects[entity_type_id]
    entity = world.uf_object(entity_type_id)
    code = f"UF_{entity}_{tail}" if entity_type_id in world.types else f"UF_CRM_{tail}"
    config = UserField(
        world.next_id("user field", 7001), entity, code, user_type, label, {"en": label, "de": label, "ru": ru or label},
        multiple, mandatory, options=make_options(world, options),
        settings=SETTINGS.get(user_type, []) if settings is None else settings,
    )  # fmt: skip
    salted = salt(world.seed, entity_type_id, code)
    column = drawn(list(pool), salted) if pool is not None else usual_column(world, config, salted)
    return store.schema.add_user_field(config, column)


def make_options(world: World, values: Sequence[str]) -> tuple[Option, ...]:
    return tuple(
        Option(
            world.next_id("option", 3601), value, f"{salt('option', place, value):08x}", place == 0, (place + 1) * 100
        )
        for place, value in enumerate(values)
    )


def usual_column(world: World, config: UserField, salted: int) -> Column:
    pool: Sequence[Any]
    if config.user_type in ("date", "datetime"):
        pool = _times(iso_date if config.user_type == "date" else iso, world.story.start, world.zone, salted)
    else:
        pool = (
            [option.id for option in config.options] + [None] if config.options else POOLS.get(config.user_type, [None])
        )
    single = drawn(pool, salted)
    return _several(single, salted) if config.multiple else single


@lru_cache(maxsize=256)  # tests make many portals, which have the same past
def _times(spell: Callable[[int, tzinfo], str], start: int, zone: tzinfo, salted: int) -> tuple[str | None, ...]:
    return tuple(spell(start + mix(place, salted) * 5, zone) if place % 5 else None for place in range(400))


def _several(single: Column, salted: int) -> Column:
    """Makes a column of lists of none to three values; multiple fields are always lists, `[]` when empty."""

    def column(number: int) -> list[Any]:
        values = [single(number * 7 + place) for place in range(mix(number, salted + 5) % 4)]
        return [value for place, value in enumerate(values) if value not in (None, "", *values[:place])]

    return column

"""A few hundred calls, meetings and tasks on the company's items, some bound to several of them."""

from __future__ import annotations

from typing import Any

from ..model.world import World
from .deterministic import iso, mix, salt

COUNT = 240
NO_DEADLINE = "9999-12-31T00:00:00+03:00"
PROVIDERS = (("1", "CRM_MEETING", "MEETING", "Meeting"), ("2", "VOXIMPLANT_CALL", "CALL", "Outgoing call"),
             ("6", "CRM_TODO", "TODO", "Call the client back"), ("4", "CRM_EMAIL", "EMAIL", "Re: offer"))  # fmt: skip


def add_activities(world: World) -> None:
    owners = [number for number in (2, 3, 177, 1034) if number in world.objects and world.objects[number].total()]
    salted = salt(world.seed, "activities")
    for place in range(COUNT if owners else 0):
        chance = mix(place, salted)
        pairs: list[tuple[int, int]] = [(kind, _item(world, kind, chance + shift)) for shift, kind in enumerate(owners)]
        pairs = pairs[chance % len(pairs) :][: 1 + (chance >> 5) % 2]
        number = str(20 + place * 2)
        world.bindings[number] = pairs
        world.activities.append(_row(world, number, *pairs[0], chance))


def _item(world: World, entity_type_id: int, chance: int) -> int:
    store = world.objects[entity_type_id]
    return store.id_at(chance % store.computed)


def _row(world: World, number: str, kind: int, owner: int, chance: int) -> dict[str, Any]:
    type_id, provider, provider_type, subject = PROVIDERS[chance % len(PROVIDERS)]
    created = world.objects[kind].trip(owner).events[0].at + chance % 86400
    who, start = str(1 + chance % 15), iso(created + 3600, world.zone)
    return {
        "ID": number, "OWNER_ID": str(owner), "OWNER_TYPE_ID": str(kind), "TYPE_ID": type_id, "PROVIDER_ID": provider,
        "PROVIDER_TYPE_ID": provider_type, "PROVIDER_GROUP_ID": None, "ASSOCIATED_ENTITY_ID": "0", "SUBJECT": subject,
        "CREATED": iso(created, world.zone), "LAST_UPDATED": iso(created + 7200, world.zone), "START_TIME": start,
        "END_TIME": start, "DEADLINE": start if chance % 3 else NO_DEADLINE, "COMPLETED": "Y" if chance % 2 else "N",
        "STATUS": "2" if chance % 2 else "1", "RESPONSIBLE_ID": who, "PRIORITY": "2", "NOTIFY_TYPE": "1", "NOTIFY_VALUE": "15",
        "DESCRIPTION": "", "DESCRIPTION_TYPE": "1", "DIRECTION": "2", "LOCATION": "", "SETTINGS": [], "ORIGINATOR_ID": None,
        "ORIGIN_ID": None, "AUTHOR_ID": who, "EDITOR_ID": who, "PROVIDER_PARAMS": [], "PROVIDER_DATA": None,
        "RESULT_MARK": "0", "RESULT_VALUE": None, "RESULT_SUM": None, "RESULT_CURRENCY_ID": None, "RESULT_STATUS": "0",
        "RESULT_STREAM": "0", "RESULT_SOURCE_ID": None, "AUTOCOMPLETE_RULE": "0",
        "COMMUNICATIONS": [_communication(number)] if type_id == "2" else [], "FILES": [_file(number)] if type_id == "4" else [],
    }  # fmt: skip


def _file(number: str) -> dict[str, Any]:
    """Returns a file with a link that has a place for the caller's credential."""
    what = f"fileId={3_100_000 + int(number)}&ownerTypeId=6&ownerId={number}&auth="
    return {"id": 3_100_000 + int(number), "url": f"https://demo.bitrix24.test/bitrix/tools/crm_show_file.php?{what}"}


def _communication(number: str) -> dict[str, Any]:
    settings = {"HONORIFIC": "1", "NAME": "Klaus", "SECOND_NAME": "", "LAST_NAME": "Weber", "COMPANY_TITLE": "Müller GmbH",
                "COMPANY_ID": "21"}  # fmt: skip
    return {"ID": number, "TYPE": "PHONE", "VALUE": "+74950000000", "ENTITY_ID": "15", "ENTITY_TYPE_ID": "3",
            "ENTITY_SETTINGS": settings}  # fmt: skip

"""Spells a column's name as crm.item.* does: camelCase by the vendor's irregular rules."""

from __future__ import annotations

import re
from collections.abc import Container

USER_FIELD = re.compile(r"UF_CRM_(\d+)_(.+)")


def camel(upper: str) -> str:
    """PARENT_ID_1248 -> parentId1248, CREATED_TIME -> createdTime."""
    head, *tail = upper.lower().split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


def user_field_name(code: str, taken: Container[str] = ()) -> str:
    """The name of a custom field; where another field has it already, the code itself.

    >>> user_field_name("UF_CRM_3_DIGIT"), user_field_name("UF_CRM_3_1747309727"), user_field_name("UF_CRM_3_DIGIT10")
    ('ufCrm3Digit', 'ufCrm3_1747309727', 'ufCrm_3_DIGIT10')
    """
    name = _converted(code)
    return code if name in taken else name


def _converted(code: str) -> str:
    match = USER_FIELD.fullmatch(code)
    if match is None:
        return "ufCrm_" + code.removeprefix("UF_CRM_")
    number, tail = match.groups()
    if tail.isdigit():
        return f"ufCrm{number}_{tail}"
    if not any(sign.isdigit() for sign in tail):
        return f"ufCrm{number}" + "".join(part.capitalize() for part in tail.lower().split("_"))
    return f"ufCrm_{number}_{tail}"

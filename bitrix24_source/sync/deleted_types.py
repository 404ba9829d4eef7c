"""Checks with the portal whether smart processes were deleted."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalog import EntityType
from ..errors import Bitrix24Error
from ..rest import Call, Client, call_many


def confirmed_deleted_types(client: Client, absent: Sequence[EntityType]) -> list[EntityType]:
    """Returns the types that the portal confirms to be deleted; a type missing from lists may also be hidden.

    crm.item.fields answers a code that does not depend on the language, and checks existence before rights, unlike
    crm.type.get.

    Raises:
        Bitrix24Error: the portal cannot be reached.
    """
    calls = [Call("crm.item.fields", {"entityTypeId": entity.entity_type_id}) for entity in absent]
    results = zip(absent, call_many(client, calls), strict=True)
    return [entity for entity, result in results if isinstance(result, Bitrix24Error) and result.code == "NOT_FOUND"]

"""Asks the portal whether smart processes were deleted."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalog import EntityType
from ..errors import Bitrix24Error
from ..rest import Call, Client, call_many


def confirmed_deleted_types(client: Client, absent: Sequence[EntityType]) -> list[EntityType]:
    """Those of some types that the portal says it does not have. Only its own word counts: a type may as well be hidden.

    crm.item.fields says so with a code in every language, and before it looks at rights, as crm.type.get does not.

    Raises:
        Bitrix24Error: the portal cannot be asked.
    """
    calls = [Call("crm.item.fields", {"entityTypeId": entity.entity_type_id}) for entity in absent]
    results = zip(absent, call_many(client, calls), strict=True)
    return [entity for entity, result in results if isinstance(result, Bitrix24Error) and result.code == "NOT_FOUND"]

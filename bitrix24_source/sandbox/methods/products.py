"""crm.item.productrow.*: the product rows of items."""

from __future__ import annotations

from ..http.php import php_int
from ..model.world import short_code
from ..portal.api_errors import Refused, access_denied, parameter_missing
from ..portal.registry import MethodCall, MethodResult, method
from ..scenarios.goods import OWNERS, product_rows
from .filters import Grammar, split_key
from .listing import page, select_rows

COLUMNS = ("ownerId", "productId", "price", "quantity", "discountTypeId", "discountRate", "discountSum", "taxRate",
           "measureCode", "sort", "type", "storeId")  # fmt: skip


@method("crm.item.productrow.list")
def productrow_list(call: MethodCall) -> MethodResult:
    """Lists product rows; `=ownerType` and `=ownerId` are both required, and `=` accepts a list of owners."""
    conditions = call.mapping("filter")
    named = {split_key(key)[1]: value for key, value in conditions.items()}
    for name in ("ownerType", "ownerId"):
        if name not in named:
            raise parameter_missing(name)
    entity_type_id = _entity_type(call, str(named["ownerType"]))
    _check_rights(call, entity_type_id, named["ownerId"])
    owners = [number for number in _numbers(named["ownerId"]) if call.may_read(entity_type_id, number)]
    rows = [row for owner in owners for row in product_rows(call.world, entity_type_id, owner)]
    kinds = (
        dict.fromkeys(COLUMNS, "number")
        | dict.fromkeys(("ownerType", "productName", "xmlId"), "text")
        | {"id": "number"}
    )
    found = select_rows(rows, conditions, call.mapping("order"), Grammar(kinds, call.world.zone))
    return page(found, call.start(), wrap="productRows")


@method("crm.item.productrow.get")
def productrow_get(call: MethodCall) -> MethodResult:
    number = call.integer("id")
    owners = [divmod(number // 4, OWNERS), *call.world.products]
    for kind, owner in owners:
        rows = product_rows(call.world, kind, owner) if kind in call.world.objects else []
        if found := next((row for row in rows if row["id"] == number), None):
            if kind in call.world.denied:
                raise access_denied()
            return MethodResult(
                {"productRow": found | {"taxName": f"{found['taxRate']}%" if found["taxRate"] else "No VAT"}}
            )
    raise Refused(400, "NOT_FOUND", "Item not found")


def _entity_type(call: MethodCall, code: str) -> int:
    found = next((number for number in call.world.objects if short_code(number) == code), 0)
    if not found or found in call.world.denied:
        raise access_denied()
    return found


def _check_rights(call: MethodCall, entity_type_id: int, owner: object) -> None:
    """Checks the rights on one item only, whose id is PHP's cast of the value: 1 for a list. Administrators pass."""
    number = bool(owner) if isinstance(owner, (list, dict)) else php_int(owner)
    if not call.may_read(entity_type_id, int(number)):
        raise access_denied()


def _numbers(value: object) -> list[int]:
    return sorted({php_int(item) for item in (value if isinstance(value, list) else [value])})

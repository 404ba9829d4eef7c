"""crm.item.productrow.list: what was sold, row by row, computed for each owner.

It refuses to know prices anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bitrix24_source.sandbox.http.php import php_int
from bitrix24_source.sandbox.model.world import World, short_code
from bitrix24_source.sandbox.portal.api_errors import Refused, access_denied, parameter_missing
from bitrix24_source.sandbox.portal.registry import MethodCall, MethodResult, method
from bitrix24_source.sandbox.scenarios.deterministic import mix, salt

from .filters import Grammar, split_key
from .listing import Row, page, select_rows

GOODS = (
    ('Ноутбук 14"', 89_990.0, 796, "pcs"), ("Office chair", 12_400.5, 796, "pcs"), ("Монтаж, час", 2_500.0, 356, "h"),
    ("Printer paper A4", 349.9, 796, "pcs"), ("Лицензия на год", 36_000.0, 796, "pcs"),
)  # fmt: skip
COLUMNS = ("ownerId", "productId", "price", "quantity", "discountTypeId", "discountRate", "discountSum", "taxRate",
           "measureCode", "sort", "type", "storeId")  # fmt: skip
OWNERS = 10_000_000  # more than a type has items: the id of a computed row tells whose it is
# The built-in objects that can hold products; a smart process has a switch for it.
WITH_PRODUCTS = {1, 2, 7, 31}


@method("crm.item.productrow.list")
def productrow_list(call: MethodCall) -> MethodResult:
    """`=ownerType` and `=ownerId` are both required; `=` takes a list of owners."""
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
    """Judged by one item, whose number is PHP's cast of what was sent: a list is 1. Administrators pass."""
    number = bool(owner) if isinstance(owner, (list, dict)) else php_int(owner)
    if not call.may_read(entity_type_id, int(number)):
        raise access_denied()


def _numbers(value: object) -> list[int]:
    return sorted({php_int(one) for one in (value if isinstance(value, list) else [value])})


def product_rows(world: World, entity_type_id: int, owner: int) -> list[Row]:
    """None to three rows for each owner, the same every time; or those that somebody put in their place."""
    if (entity_type_id, owner) in world.products and world.objects[entity_type_id].exists(owner):
        return [dict(row) for row in world.products[entity_type_id, owner]]
    switched = world.types.get(entity_type_id, {}).get("isLinkWithProductsEnabled", "N") == "Y"
    store = world.objects[entity_type_id]
    if (
        not (switched or entity_type_id in WITH_PRODUCTS)
        or not store.exists(owner)
        or owner > store.id_at(store.computed)
    ):
        return []
    chance = mix(owner, salt(world.seed, entity_type_id, "products"))
    return [_row(entity_type_id, owner, place, chance >> place) for place in range(chance % 4)]


def set_product_rows(world: World, entity_type_id: int, owner: int, goods: Sequence[Mapping[str, Any]]) -> None:
    """Rows in the place of all that the owner had. They get new ids, as the vendor's `set` gives them."""
    world.products[entity_type_id, owner] = [
        _row(entity_type_id, owner, place, mix(owner, place))
        | {"id": world.next_id("product row", 9_000_000_000)}
        | dict(one)
        for place, one in enumerate(goods)
    ]


def _row(entity_type_id: int, owner: int, place: int, chance: int) -> Row:
    name, price, measure, unit = GOODS[chance % len(GOODS)]
    discount = (0, 0, 10)[chance % 3]
    net = round(price / 1.2, 2)
    return {
        "id": (entity_type_id * OWNERS + owner) * 4 + place,
        "ownerId": owner,
        "ownerType": short_code(entity_type_id),
        "productId": 9000 + chance % len(GOODS) if chance % 5 else 0,
        "productName": name,
        "price": round(price * (100 - discount) / 100, 2),
        "priceAccount": round(price * (100 - discount) / 100, 2),
        "priceExclusive": net,
        "priceNetto": net,
        "priceBrutto": price,
        "quantity": 1 + chance % 9,
        "discountTypeId": 2,
        "discountRate": discount,
        "discountSum": round(price * discount / 100, 2),
        "taxRate": (20, None)[chance % 2],
        "taxIncluded": "Y",
        "customized": "Y",
        "measureCode": measure,
        "measureName": unit,
        "sort": (place + 1) * 10,
        "xmlId": f"sale_basket_{owner * 4 + place}",
        "type": 4,
        "storeId": 1,
    }

"""The products on sale, and the product rows of each item: computed, or set by a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..model.world import World, short_code
from .deterministic import mix, salt, unit

Row = dict[str, Any]
# Name, price, code and name of the measure. The best sellers come first.
GOODS = (
    ('Laptop 14"', 89_990.0, 796, "pcs"), ("Office chair", 12_400.5, 796, "pcs"), ("Монтаж, час", 2_500.0, 356, "h"),
    ("Printer paper A4", 349.9, 796, "pcs"), ("Annual licence", 36_000.0, 796, "pcs"), ('Monitor 27"', 27_990.0, 796, "pcs"),
    ("Standing desk", 41_500.0, 796, "pcs"), ("Barcode scanner", 8_790.0, 796, "pcs"), ("Label printer", 24_300.0, 796, "pcs"),
    ("Pallet rack, section", 18_600.0, 796, "pcs"), ("Service visit", 5_900.0, 356, "h"), ("Power supply 3 kVA", 64_900.0, 796, "pcs"),
)  # fmt: skip
OWNERS = 10_000_000  # more than a type has items: the owner can be computed from a row's id
# The built-in objects that can hold products; a smart process has a switch for it.
WITH_PRODUCTS = {1, 2, 7, 31}


def product_rows(world: World, entity_type_id: int, owner: int) -> list[Row]:
    """Returns the rows set for an owner, or none to three computed ones, always the same."""
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
    return computed_rows(world.seed, entity_type_id, owner)


def computed_rows(seed: int, entity_type_id: int, owner: int) -> list[Row]:
    salted = salt(seed, entity_type_id, "products")
    return [
        _row(entity_type_id, owner, place, int(unit(owner, salted, place) * (1 << 24)))
        for place in range(mix(owner, salted) % 4)
    ]


@lru_cache(maxsize=8192)  # several columns of a row ask for it, one after the other
def computed_amount(seed: int, entity_type_id: int, owner: int) -> float:
    """Returns the sum of the computed rows, 0 without any."""
    rows = computed_rows(seed, entity_type_id, owner)
    return float(round(sum(row["price"] * row["quantity"] for row in rows), 2))


def set_product_rows(world: World, entity_type_id: int, owner: int, goods: Sequence[Mapping[str, Any]]) -> None:
    """Replaces all rows of an owner. They get new ids, as with the vendor's `set`."""
    world.products[entity_type_id, owner] = [
        _row(entity_type_id, owner, place, mix(owner, place))
        | {"id": world.next_id("product row", 9_000_000_000)}
        | dict(row)
        for place, row in enumerate(goods)
    ]


def _row(entity_type_id: int, owner: int, place: int, chance: int) -> Row:
    good = int((chance / (1 << 24)) ** 1.7 * len(GOODS))
    name, price, measure, unit_name = GOODS[good]
    discount = (0, 0, 10)[chance % 3]
    net = round(price / 1.2, 2)
    return {
        "id": (entity_type_id * OWNERS + owner) * 4 + place,
        "ownerId": owner,
        "ownerType": short_code(entity_type_id),
        "productId": 9000 + good if chance % 5 else 0,
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
        "measureName": unit_name,
        "sort": (place + 1) * 10,
        "xmlId": f"sale_basket_{owner * 4 + place}",
        "type": 4,
        "storeId": 1,
    }

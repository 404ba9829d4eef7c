"""Imports every family of methods, which registers them."""

from . import (
    activities,
    basic,
    crm,
    items,
    people,
    products,
    statuses,
    types,
    userfields,
    workflows,
)

__all__ = [
    "activities",
    "basic",
    "crm",
    "items",
    "people",
    "products",
    "statuses",
    "types",
    "userfields",
    "workflows",
]

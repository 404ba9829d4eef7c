"""Imports every family of methods, which enters them into the registry.

It refuses to know what is in them.
"""

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

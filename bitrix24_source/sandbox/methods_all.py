"""Imports every family of methods, which enters them into the registry.

It refuses to know what is in them.
"""

from . import (
    methods_activities,
    methods_basic,
    methods_crm,
    methods_items,
    methods_people,
    methods_products,
    methods_statuses,
    methods_types,
    methods_userfields,
    methods_workflows,
)

__all__ = [
    "methods_activities",
    "methods_basic",
    "methods_crm",
    "methods_items",
    "methods_people",
    "methods_products",
    "methods_statuses",
    "methods_types",
    "methods_userfields",
    "methods_workflows",
]

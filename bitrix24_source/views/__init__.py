"""Labelled SQL views over the loaded tables."""

from .labeled_views import create_views, drop_views, tables_with_views

__all__ = ["create_views", "drop_views", "tables_with_views"]

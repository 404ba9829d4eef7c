"""Holds how this portal reads the points that the vendor's documents leave open (OPEN-nn of the reference).

It refuses to decide: the defaults are the "assume" interpretations, each can be switched for a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass
class Interpretations:
    # OPEN-01. Any case by default: the vendor's own client for Python asks for `crm.item.List`.
    method_names: Literal["any_case", "documented"] = "any_case"
    auth_in_header: bool = False  # OPEN-02
    # A method whose scope the credential lacks: insufficient_scope, or ERROR_METHOD_NOT_FOUND as newer documents say.
    missing_scope: Literal["told", "method_not_found"] = "told"
    # `time` of an answer: since autumn 2025 `start` is a whole second, so that `duration` is up to a second too long, and
    # `processing` is 0; before, both were exact. Some self-hosted portals answer no `operating`, or only the outer one.
    time_start: Literal["whole_second", "exact"] = "whole_second"
    operating: Literal["told", "outer_only", "absent"] = "told"
    batch_billing: Literal["nested", "batch", "both"] = "nested"  # OPEN-05
    batch_overflow: Literal["request", "commands"] = "request"  # OPEN-08
    # OPEN-11. `total` in the fast mode: controllers have none, legacy lists 0; older portals one of both everywhere.
    fast_total: Literal["by_method", "zero", "absent"] = "by_method"
    after_refresh: Literal["old_pair_dies", "old_pair_lives"] = "old_pair_dies"  # OPEN-16
    oauth_error_status: int = 400  # OPEN-17
    # Whether an authorisation server answers for portals of other regions than its own: nobody knows.
    other_region: Literal["answers", "refuses"] = "answers"
    empty_file: Literal["null", "false", "list"] = "null"  # OPEN-23
    enum_values: Literal["int", "str"] = "int"  # OPEN-24
    enum_in_userfield_list: bool = False  # OPEN-30
    one_category_types: Literal["answered", "refused"] = "answered"  # OPEN-33
    # Dictionaries and categories come whole, whatever `start` says; older portals answer pages of 50.
    short_lists: Literal["whole", "paged"] = "whole"
    statuses_without_filter: Literal["all", "none"] = "all"  # OPEN-34
    naive_dates: Literal["server", "utc"] = "server"  # OPEN-47
    # Whose offset is added to a stored time before it is printed: that of its own date, as the main module does since
    # 2026, or that of today, as older ones do. It matters where server and person do not change clocks together.
    printed_offset: Literal["stored_time", "now"] = "stored_time"
    document_type: Literal["string", "array", "mixed"] = "mixed"  # OPEN-40
    # bizproc.workflow.template.list: its page writes SELECT and ORDER in its table, select and order in its examples.
    template_keys: Literal["any_case", "capitals", "small"] = "any_case"
    # Whether crm.activity.list answers BINDINGS when it is named in `select`: crm.activity.fields lists it, and that page
    # does not. Or the name is refused, or each row comes once for each binding, as it does with a filter on BINDINGS.
    activity_bindings: Literal["absent", "answered", "refused", "repeated"] = "absent"
    # An id bound that is no number, as an unresolved `$result[...]` leaves behind: PHP's cast to 0, or a refusal.
    garbage_id: Literal["zero", "error"] = "zero"
    # FIELD-02: portals that ignore an ISO-8601 bound on a time, and understand only `YYYY-MM-DD HH:MM:SS`; or that pass
    # over its offset and read what is left as `naive_dates` says.
    time_filter: Literal["honoured", "ignored", "iso_ignored", "offset_ignored"] = "honoured"

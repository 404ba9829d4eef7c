"""Switches for behaviour that the vendor's documentation leaves open; the defaults match current cloud portals.

Paths in comments are relative to https://apidocs.bitrix24.com/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass
class Interpretations:
    # Whether method names in URLs are case-sensitive is not documented. The vendor's Python client calls `crm.item.List`.
    method_names: Literal["any_case", "documented"] = "any_case"
    # Whether an access token is accepted in a header: no rule is documented, and two pages spell the header differently.
    auth_in_header: bool = False
    # The error of a method whose scope the credential lacks: insufficient_scope, or ERROR_METHOD_NOT_FOUND as on newer pages.
    missing_scope: Literal["told", "method_not_found"] = "told"
    # `time` of an answer: since autumn 2025 `start` is a whole second, so that `duration` is up to a second too long, and
    # `processing` is 0; before, both were exact. Some self-hosted portals answer no `operating`, or only the outer one.
    time_start: Literal["whole_second", "exact"] = "whole_second"
    operating: Literal["told", "outer_only", "absent"] = "told"
    # Who is billed for a command in a batch: its own method, as limits.html says; `batch`, as users measured on a
    # self-hosted portal; or both.
    batch_billing: Literal["nested", "batch", "both"] = "nested"
    # More than fifty commands: the whole request fails, or only the surplus commands; the pages disagree
    # (error-codes.html, settings/how-to-call-rest-api/batch.html).
    batch_overflow: Literal["request", "commands"] = "request"
    # `total` in the fast mode: controllers omit it, legacy lists answer 0; older portals do one of the two everywhere.
    fast_total: Literal["by_method", "zero", "absent"] = "by_method"
    # Whether the old refresh token stays valid after a renewal is not documented (settings/oauth/auto-renewal.html).
    after_refresh: Literal["old_pair_dies", "old_pair_lives"] = "old_pair_dies"
    # The HTTP status of the token endpoint's errors is not documented (settings/oauth/error-codes.html).
    oauth_error_status: int = 400
    # Whether an authorisation server answers for portals of other regions is not documented.
    other_region: Literal["answers", "refuses"] = "answers"
    # The value of an empty single file field, and whether an enumeration's value is a number or digits, are not
    # documented (api-reference/crm/universal/object-fields.html).
    empty_file: Literal["null", "false", "list"] = "null"
    enum_values: Literal["int", "str"] = "int"
    # Whether rows of userfieldconfig.list contain `enum`: documented, but missing from the sample response.
    enum_in_userfield_list: bool = False
    # crm.category.list of a type without categories: its default category, or an error
    # (api-reference/crm/universal/category/index.html).
    one_category_types: Literal["answered", "refused"] = "answered"
    # Directories and categories come in one answer, whatever `start` is; older portals answer pages of 50.
    short_lists: Literal["whole", "paged"] = "whole"
    # Whether crm.status.list without a filter returns all directories is not documented
    # (api-reference/crm/status/crm-status-list.html).
    statuses_without_filter: Literal["all", "none"] = "all"
    # The zone of a time without offset in a filter is not documented.
    naive_dates: Literal["server", "utc"] = "server"
    # The offset that is added to a stored time before it is printed: that of its own date, as in the main module since
    # 2026, or that of today, as before. The two differ if server and person do not change clocks together.
    printed_offset: Literal["stored_time", "now"] = "stored_time"
    # DOCUMENT_TYPE of a workflow template: `DYNAMIC_156`, or a list of three parts; the pages disagree
    # (api-reference/bizproc/template/).
    document_type: Literal["string", "array", "mixed"] = "mixed"
    # Parameters of bizproc.workflow.template.list: SELECT and ORDER in the page's table, select and order in its examples.
    template_keys: Literal["any_case", "capitals", "small"] = "any_case"
    # BINDINGS in the `select` of crm.activity.list, which only crm.activity.fields documents: ignored, answered,
    # rejected, or answered with one row for each binding, as with a filter on BINDINGS.
    activity_bindings: Literal["absent", "answered", "refused", "repeated"] = "absent"
    # An id bound that is not a number, such as an unresolved `$result[...]`: cast to 0 as in PHP, or an error.
    garbage_id: Literal["zero", "error"] = "zero"
    # Users report portals that ignore an ISO 8601 bound on a time and understand only `YYYY-MM-DD HH:MM:SS`. Others might
    # ignore all bounds, or the offset, and read the rest as `naive_dates` says.
    time_filter: Literal["honoured", "ignored", "iso_ignored", "offset_ignored"] = "honoured"

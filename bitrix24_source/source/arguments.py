"""Parses arguments of the source in the forms that Python code, files and environment variables use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from ..errors import ConfigError


def as_names(value: Any, setting: str) -> list[int | str] | None:
    """Returns names as a list: `177`, `"177"`, `"Equipment"`, `[177, "Equipment"]`, or that as JSON text.

    A text with commas is a list if each part is a number, otherwise one title.

    Raises:
        ConfigError: it is none of these.
    """
    value = _from_json(value)
    if value is None:
        return None
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        return list(parts) if all(part.isdecimal() for part in parts) else [value]
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if isinstance(value, Iterable) and not isinstance(value, (Mapping, bytes)):
        names = list(value)
        if all(isinstance(name, (int, str)) and not isinstance(name, bool) for name in names):
            return names
    raise ConfigError(
        f"{setting} cannot be {str(value)[:60]}",
        f"sources.bitrix24.{setting}",
        'name one or several: [177, "Equipment"]',
    )


def as_selection(value: Any) -> dict[Any, list[str]]:
    """Returns fields by type: `{177: ["title", "stageId"]}`; a single field need not be in a list.

    Raises:
        ConfigError: the type of the fields is missing.
    """
    fields = _by_type(value, "select", '{177: ["title", "stageId"]}')
    return {type_: [str(name) for name in as_names(names, "select") or ()] for type_, names in fields.items()}


def as_conditions(value: Any) -> dict[Any, dict[str, Any]]:
    """Returns conditions by type: `{177: {">=createdTime": "2026-01-01"}}`.

    Raises:
        ConfigError: the type of a condition is missing, or its field.
    """
    example = '{177: {">=createdTime": "2026-01-01"}}'
    conditions = _by_type(value, "filter", example)
    for type_, fields in conditions.items():
        if not isinstance(fields, Mapping):
            raise ConfigError(
                f"the filter of {type_!r} has no field", "sources.bitrix24.filter", f"write it as {example}"
            )
    return conditions


def _by_type(value: Any, setting: str, example: str) -> dict[Any, Any]:
    value = _from_json(value)
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    raise ConfigError(
        f"{setting} does not say which type it is for", f"sources.bitrix24.{setting}", f"name the type: {example}"
    )


def _from_json(value: Any) -> Any:
    """Parses lists and maps in environment variables, which are JSON text."""
    if isinstance(value, str) and value.strip()[:1] in ("[", "{", '"'):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value

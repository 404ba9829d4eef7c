"""Explains where configuration was looked for, and what was found in the wrong place.

Used only after a value was found missing. Shows names of keys, sections, files and variables, never values.
"""

from __future__ import annotations

import codecs
import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from ..errors import ConfigError
from .dlt_internals import configuration_files, settings_folder

EXAMPLE = "example.secrets.toml"
_BOM = "\ufeff"


def closest(name: str, known: frozenset[str]) -> str:
    """Returns the known name that was probably meant; empty if none is similar."""
    starting = sorted(key for key in known if key.startswith(name) or name.startswith(key))
    return next(iter([*difflib.get_close_matches(name, sorted(known), 1, 0.6), *starting]), "")


def where_to_set(section: str, key: str, known: frozenset[str]) -> str:
    """Returns a hint about a missing key.

    Args:
        section: section of the configuration, with dots.
        key: the missing key.
        known: all keys of the section.
    """
    return f"{_misplaced(section, key, known)}looked in {files_and_variable(f'{section}.{key}')}"


def unreadable_file() -> str:
    """Returns the first configuration file that is not plain UTF-8 text, and why; empty if there is none.

    Editors on Windows may write byte order marks and UTF-16, which TOML does not allow.
    """
    for path in configuration_files():
        file = Path(path)
        start = file.read_bytes()[:3] if file.is_file() else b""
        if start.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return f"{path} begins with a byte order mark (BOM)"
    return ""


def files_and_variable(path: str) -> str:
    """Returns where dlt looks for a key: each file, and the environment variable."""
    return f"{', '.join(_described_files())} and the environment variable {variable_of(path)}"


def variable_of(path: str) -> str:
    """Returns dlt's environment variable for a key with dots."""
    return path.upper().replace(".", "__")


def require_known_setting_names(section: str, known: frozenset[str]) -> None:
    """Rejects misspelt keys of a section: dlt would ignore them, and load what was to be left out.

    Args:
        section: section of the configuration, with dots.
        known: names of all settings.

    Raises:
        ConfigError: a key in a file, or a variable, is not a setting, but resembles one.
    """
    prefix = variable_of(section) + "__"
    variables = [(name, name[len(prefix) :].lower()) for name in sorted(os.environ) if name.startswith(prefix)]
    keys = [
        (path, name) for path in configuration_files() for place, name in _keys(_document(path)) if place == section
    ]
    for where, name in (*variables, *keys):
        meant = "" if name in known or "__" in name else closest(name, known)
        if meant:
            raise ConfigError(
                f"there is no setting {name!r}", where, f"did you mean {meant!r}? It belongs into [{section}]"
            )


def _described_files() -> Iterator[str]:
    for path in configuration_files():
        yield path if Path(path).is_file() else f"{path} (not there)"


def _misplaced(section: str, key: str, known: frozenset[str]) -> str:
    """Returns the most likely mistake as the beginning of a hint; empty if nothing resembles the key."""
    mistakes = (_unknown_variables(section, known), _wrong_keys(section, key, known), _wrong_folders())
    return next((f"{mistake}; " for found in mistakes for mistake in found), "")


def _unknown_variables(section: str, known: frozenset[str]) -> Iterator[str]:
    prefix = variable_of(section) + "__"
    for name in sorted(os.environ):
        unknown = name[len(prefix) :].lower()
        if name.startswith(prefix) and unknown not in known:
            yield f"the variable {name} is not one that is read{_meant(closest(unknown, known))}"


def _wrong_keys(section: str, key: str, known: frozenset[str]) -> Iterator[str]:
    keys = [(path, place, name) for path in configuration_files() for place, name in _keys(_document(path))]
    for path, place, name in keys:
        if place == section and name not in known:
            yield f"{path} has {name!r}, which is not a key{_meant(closest(name, known))}"
    for path, place, name in keys:
        if place != section and name == key and not _is_other_portal(place, section):
            yield f"{path} has {name!r} in {f'[{place}]' if place else 'no section'}: move it below [{section}]"


def _wrong_folders() -> Iterator[str]:
    folder = Path(settings_folder())
    if (folder / "secrets.toml").is_file():
        return
    if (folder / EXAMPLE).is_file():
        yield f"only {EXAMPLE} is in {folder}: copy it to secrets.toml there, and fill it in"
    for parent in folder.parent.parents:
        if (parent / folder.name / "secrets.toml").is_file():
            yield f"{parent / folder.name} has a secrets.toml: start in {parent}, or set DLT_PROJECT_DIR to it"


def _meant(name: str) -> str:
    return f" (did you mean {name!r}?)" if name else ""


def _is_other_portal(place: str, section: str) -> bool:
    """Returns whether a place is the section of another portal, which is correct there."""
    parts = place.split(".")
    return parts[:2] == ["sources", "bitrix24"] and parts[-1] == "credentials" and place != section


def _document(path: str) -> Mapping[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8").removeprefix(_BOM)
        return tomlkit.parse(text).unwrap()
    except (OSError, UnicodeDecodeError, TOMLKitError):
        return {}


def _keys(table: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _keys(value, f"{place}.{name}" if place else name)
        else:
            yield place, name

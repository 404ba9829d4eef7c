"""Example queries on the marts, to copy, in files of the folder `sql`, in SQL that DuckDB and PostgreSQL share."""

from __future__ import annotations

from importlib import resources

from ..errors import ConfigError

_FOLDER = resources.files(__package__) / "sql"


def questions() -> dict[str, str]:
    """Returns the question that each query answers, by the query's name."""
    return {name: sql_of(name).partition("?")[0].removeprefix("-- ") + "?" for name in _names()}


def sql_of(name: str) -> str:
    """Returns the query of a name; its tables are those of the default schema.

    Raises:
        ConfigError: there is none.
    """
    if name not in _names():
        raise ConfigError(f"there is no query {name}", "bitrix24 report --sql", f"there are: {', '.join(_names())}")
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def _names() -> list[str]:
    return sorted(file.name.removesuffix(".sql") for file in _FOLDER.iterdir() if file.name.endswith(".sql"))

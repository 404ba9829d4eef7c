"""Named portals: the section, pipeline and dataset of each.

A named portal has a section of its own, `[sources.bitrix24.<portal>]`, and a pipeline and a dataset named `bitrix24_<portal>`.
Portals do not share a dataset with a `portal` column, because numbers of smart processes, custom fields and stage codes differ
in meaning between portals.
Settings are looked up as usual in dlt, in the portal's section and then in `[sources.bitrix24]`. Credentials are not: dlt would
fill each missing key from the next section, and so use one portal's credential, or store its tokens, for another.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import dlt
from dlt.common.configuration.specs.base_configuration import extract_inner_hint, is_secret_hint
from dlt.extract.reference import SourceFactory
from dlt.extract.source import DltSource

from ..errors import ConfigError
from .credentials import Bitrix24Credentials, given_credentials

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=DltSource)

_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_LONGEST = 40
"""PostgreSQL names have 63 bytes, and `bitrix24_` and `_staging` are added"""
_TAKEN = frozenset({"bitrix24", "credentials", "filter", "sandbox", "select"})
"""names of other sections below `[sources.bitrix24]`, and of the sandbox's pipeline"""


def for_named_portals(factory: SourceFactory[P, S]) -> Callable[P, S]:
    """Returns a source factory that accepts names of portals.

    With `portal="emea"` the source has that name, under which dlt finds its settings, and only that portal's credentials.
    """

    @functools.wraps(factory)
    def source(*args: P.args, **kwargs: P.kwargs) -> S:
        given = inspect.signature(factory).bind_partial(*args, **kwargs).arguments
        portal = given.get("portal")
        chosen: Any = factory
        if portal is not None:
            given["credentials"] = portal_credentials(portal, given.get("credentials"))
            chosen = factory.clone(name=portal)
        elif "credentials" in given:
            given["credentials"] = given_credentials(given["credentials"])
        configured: S = chosen(**given)
        return configured

    source.clone = factory.clone  # type: ignore[attr-defined]  # as dlt documents it for sources
    return source


def with_known_credentials(function: Callable[P, R]) -> Callable[P, R]:
    """Returns a function that rejects unknown keys in its argument `credentials`."""

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = inspect.signature(function).bind_partial(*args, **kwargs)
        if "credentials" in bound.arguments:
            bound.arguments["credentials"] = given_credentials(bound.arguments["credentials"])
        return function(*bound.args, **bound.kwargs)

    return checked


def pipeline_name(portal: str | None) -> str:
    """Returns the name of a portal's pipeline and dataset."""
    return f"bitrix24_{_checked(portal)}" if portal is not None else "bitrix24"


@dataclass(frozen=True)
class ConfiguredPipeline:
    """The configuration of a pipeline in dlt; None for what is not configured."""

    destination: str | None
    dataset: str | None


def configured_pipeline(name: str) -> ConfiguredPipeline:
    """Returns destination and dataset as `dlt.pipeline()` reads them from `[pipelines.<name>]`, `[pipelines]` or top level."""
    sections = (f"pipelines.{name}.", "pipelines.", "")

    def value(key: str) -> str | None:
        found = (dlt.config.get(f"{section}{key}", str) for section in sections)
        return next((text for text in found if text), None)

    return ConfiguredPipeline(value("destination_name") or value("destination_type"), value("dataset_name"))


def portal_credentials(portal: str, given: Any = None) -> Bitrix24Credentials:
    """Returns credentials from the portal's own section, overridden by those given in the call, and from nowhere else.

    Raises:
        ConfigError: the name is invalid, the section is missing, or its credentials are invalid.
    """
    section = f"sources.bitrix24.{_checked(portal)}.credentials"
    given = given_credentials(given, section)
    known = Bitrix24Credentials.get_resolvable_fields()
    found = {name: _lookup(f"{section}.{name}", hint) for name, hint in known.items() if name != "section"}
    whole: Any = dlt.secrets.get(section)
    found |= given_credentials(whole, section) if isinstance(whole, str) else {}
    found |= {name: value for name, value in _as_dict(given).items() if name in found}
    values = {name: value for name, value in found.items() if value is not None}
    if not values:
        raise ConfigError(
            f"the portal {portal!r} has no credentials",
            section,
            f"add this section to .dlt/secrets.toml, or set {section.upper().replace('.', '__')}__AUTH and the rest; "
            "another portal's credentials are never used instead",
        )
    return Bitrix24Credentials(**values, section=section).resolve()


def _checked(portal: str) -> str:
    if not _NAME.fullmatch(portal) or len(portal) > _LONGEST or portal in _TAKEN:
        raise ConfigError(
            f"{portal[:60]!r} cannot be a portal's name",
            f"[sources.bitrix24.{portal[:60]}]",
            f"take small letters, digits and single underscores, {_LONGEST} at most, and none of {', '.join(sorted(_TAKEN))}",
        )
    return portal


def _lookup(key: str, hint: Any) -> Any:
    return dlt.secrets.get(key) if is_secret_hint(hint) else dlt.config.get(key, extract_inner_hint(hint))


def _as_dict(given: Any) -> Mapping[str, Any]:
    if isinstance(given, Bitrix24Credentials):
        return given.as_dict_nondefault()
    return given if isinstance(given, Mapping) else {}

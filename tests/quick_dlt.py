"""What dlt has found out once it need not find out again: two fifths of the time of a small load went there.

A load asks a thousand times for some eighty values of the configuration, each below every section that may hold it, in all
providers, and looks as often at the same type hints (dlt 1.31.0). An answer counts as long as the environment and the
providers' documents are those that it was found in; what is known of a type hint counts for ever.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from dlt.common import validation
from dlt.common.configuration import resolve
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.doc import BaseDocProvider
from dlt.common.configuration.specs import ConfigSectionContext, PluggableRunContext, base_configuration

OF_TYPES = {
    "extract_inner_hint", "extract_inner_type", "get_config_if_union_hint", "is_hint_not_resolvable", "is_optional_type",
    "is_secret_hint", "is_union_type",
}  # fmt: skip
"""dlt's functions whose answer depends on a type alone"""


def remember() -> None:
    """From now on dlt's answers are remembered, in this process."""
    for module in (base_configuration, resolve):
        for name in OF_TYPES & vars(module).keys():
            setattr(module, name, functools.cache(getattr(module, name)))
    spec = base_configuration.BaseConfiguration
    fields: Any = spec.get_resolvable_fields
    spec.get_resolvable_fields = classmethod(functools.cache(fields.__func__))
    validation.get_type_hints = _remembered_hints(validation.get_type_hints)
    resolve._resolve_single_value = _Answers(resolve._resolve_single_value)
    for change in ("set_value", "set_fragment"):
        setattr(BaseDocProvider, change, _forgetting(getattr(BaseDocProvider, change)))


class _Answers:
    """`resolve._resolve_single_value`, and what it has answered in the latest environment."""

    def __init__(self, ask: Callable[..., tuple[Any, list[Any]]]) -> None:
        self._ask = ask
        self._known: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})

    def __call__(self, *question: Any) -> tuple[Any, list[Any]]:
        environment = os.environ._data  # decoding it for each question would take longer
        if environment != self._known[0]:
            self._known = dict(environment), {}
        known, container = self._known[1], Container()
        sections, providers = container[ConfigSectionContext], container[PluggableRunContext].providers.providers
        key = (*question, sections.pipeline_name, sections.sections, *map(_document, providers))
        if key not in known:
            value, traces = self._ask(*question)
            if not (value is None or isinstance(value, (str, int))):
                return value, traces  # a context, or what somebody might change
            known[key] = value, traces
        value, traces = known[key]
        return value, list(traces)


_documents: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def _document(provider: Any) -> Any:
    """What a provider holds, or itself where it holds no document."""
    if not isinstance(provider, BaseDocProvider):
        return provider
    if provider not in _documents:
        _documents[provider] = f"{provider.name}: {provider._config_doc}"
    return _documents[provider]


def _forgetting(change: Callable[..., None]) -> Callable[..., None]:
    def changed(provider: Any, *arguments: Any) -> None:
        change(provider, *arguments)
        _documents.pop(provider, None)

    return changed


def _remembered_hints(get: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    known: dict[type, dict[str, Any]] = {}

    def hints(of: type, **namespaces: Any) -> dict[str, Any]:
        if of not in known:
            known[of] = get(of, **namespaces)
        return known[of]

    return hints

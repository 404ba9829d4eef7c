"""What dlt works out anew some ten thousand times in each load is remembered: what hints and keys of its configuration mean.

It takes a quarter of the time of a small load. Only functions that depend on nothing but their arguments are remembered.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from dlt.common import typing
from dlt.common.configuration.providers import provider
from dlt.common.configuration.specs import base_configuration

FUNCTIONS = (
    base_configuration.extract_inner_hint,
    base_configuration.is_base_configuration_inner_hint,
    base_configuration.is_secret_hint,
    base_configuration.is_hint_not_resolvable,
    typing.extract_inner_type,
    typing.is_union_type,
    typing.is_optional_type,
    typing.is_subclass,
    provider.get_key_name,
)


def remember_hints() -> None:
    """From now on in this process, wherever dlt has imported one of the functions."""
    remembered = {function: _remembered(function) for function in FUNCTIONS}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "dlt":
            for attribute, value in list(vars(module).items()):
                if isinstance(value, type(_remembered)) and value in remembered:
                    setattr(module, attribute, remembered[value])
    fields = base_configuration.BaseConfiguration.get_resolvable_fields.__func__
    base_configuration.BaseConfiguration.get_resolvable_fields = classmethod(_remembered(fields))


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function; arguments that cannot be keys are worked out anew."""
    known = functools.cache(function)

    @functools.wraps(function)
    def answer(*args: Any, **kwargs: Any) -> Any:
        try:
            return known(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)

    return answer

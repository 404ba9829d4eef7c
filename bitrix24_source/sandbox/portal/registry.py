"""The registry of REST methods: name, scope, whether an application is needed, and the function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..http.php import php_int
from ..model.zones import PrintedTimes
from .api_errors import parameter_missing

if TYPE_CHECKING:
    from ..model.world import World
    from .access import Caller
    from .interpretations import Interpretations


@dataclass(frozen=True)
class MethodResult:
    """The result of a method: `result`, and for lists `total`, `next` and the number of rows (which cost time)."""

    result: Any
    total: int | None = None
    next: int | None = None
    rows: int = 0


@dataclass(frozen=True)
class MethodCall:
    """One call of one method, already authorised."""

    method: str
    params: Mapping[str, Any]
    caller: Caller
    world: World
    rights: Rights
    interpretations: Interpretations
    base_url: str
    # Parameters that the method has looked at, and names that it was sent and did not understand.
    heard: set[str] = field(default_factory=set)
    not_understood: list[str] = field(default_factory=list)

    @property
    def times(self) -> PrintedTimes:
        at_its_date = self.interpretations.printed_offset == "stored_time"
        return PrintedTimes(self.world.zones, self.caller.user_id, at_its_date)

    def may_read(self, entity_type_id: int, number: int) -> bool:
        return self.rights.crm_admin or number not in self.world.unreadable.get(entity_type_id, ())

    def param(self, *names: str) -> Any:
        """Returns the first of these parameters that was sent."""
        self.heard.update(names)
        return next((self.params[name] for name in names if name in self.params), None)

    def integer(self, name: str) -> int:
        value = self.param(name)
        if value is None or value == "":
            raise parameter_missing(name)
        return php_int(value)

    def start(self, *names: str) -> int:
        value = self.param(*(names or ("start",)))
        return 0 if value in (None, "") else php_int(value)

    def mapping(self, *names: str) -> dict[str, Any]:
        """Returns a parameter as a map; PHP reads `[a, b]` as the map 0: a, 1: b."""
        value = self.param(*names)
        if isinstance(value, list):
            return {str(place): item for place, item in enumerate(value)}
        return value if isinstance(value, dict) else {}


# Where a credential and the form of an answer may stand.
ALWAYS_HEARD = {"auth", "access_token"}


def names_of(value: Any) -> list[str]:
    """Returns a list of names that was sent as a list, a numbered map, or a single name."""
    if isinstance(value, dict):
        value = list(value.values())
    written = value if isinstance(value, list) else [value] if isinstance(value, str) and value else []
    return [str(name) for name in written]


@dataclass(frozen=True)
class Rights:
    """The rights of the acting user, and facts about the portal that methods report."""

    scopes: frozenset[str]
    crm_admin: bool
    portal_admin: bool
    now: str


@dataclass(frozen=True)
class Method:
    name: str
    scopes: tuple[str, ...]
    app_only: bool
    run: Callable[[MethodCall], MethodResult]


METHODS: dict[str, Method] = {}
_SPELLINGS: dict[str, str] = {"batch": "batch"}


def documented(name: str) -> str:
    """The vendor's spelling of a method: b24pysdk, the official client, asks for `crm.item.List`."""
    return _SPELLINGS.get(name.lower(), name)


def method(
    *names: str, scope: str | tuple[str, ...] = "crm", app_only: bool = False
) -> Callable[[Callable[[MethodCall], MethodResult]], Callable[[MethodCall], MethodResult]]:
    """Registers a function under its REST names. Of several scopes, one is enough; "" is the basic scope."""
    scopes = (scope,) if isinstance(scope, str) else scope

    def enter(run: Callable[[MethodCall], MethodResult]) -> Callable[[MethodCall], MethodResult]:
        for name in names:
            METHODS[name] = Method(name, tuple(filter(None, scopes)), app_only, run)
            _SPELLINGS[name.lower()] = name
        return run

    return enter

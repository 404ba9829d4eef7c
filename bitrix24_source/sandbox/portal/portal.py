"""The portal: takes an HTTP request and returns a reply, without sockets; tests change its data and behaviour here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import tzinfo
from threading import RLock
from typing import Any
from urllib.parse import urlsplit

from ..http.http_response import HttpReply, RecordedRequest, json_reply, page_reply
from ..http.php import request_to_params
from ..http.urls import Address, read_path
from ..model import admin
from ..model.clock import Clock, WallClock
from ..model.item_editor import StoredItems
from ..model.zones import PrintedTimes
from ..scenarios.builder import build_world
from ..scenarios.deterministic import SERVER_ZONE
from ..scenarios.goods import set_product_rows
from .access import OWNER_ID, Access
from .api_errors import Refused
from .batch import method_names
from .dispatch import Dispatch
from .faults import Faults
from .interpretations import Interpretations
from .oauth import AUTH_SERVERS, server_of, token_answer
from .rate_limits import Limits
from .time_costs import Costs


class Portal:
    """A Bitrix24 portal in memory.

    >>> portal = Portal(scenario="demo", seed=1)
    >>> reply = portal.handle("POST", portal.webhook_path + "profile")
    >>> reply.status
    200
    """

    host = "demo.bitrix24.test"

    def __init__(
        self, scenario: str = "demo", seed: int = 1, items: int | None = None, clock: Clock | None = None,
        latency: tuple[float, float] | float | None = None, *, id_step: int = 1,
        zone: tzinfo = SERVER_ZONE, owner_zone: tzinfo | None = None,
        language: str = "en",
    ) -> None:  # fmt: skip
        self.clock = clock or WallClock()
        self.world = build_world(scenario, seed, items, self.clock, id_step, zone)
        self.world.language = language
        self.access = Access(seed, self.clock)
        self.set_user_zone(OWNER_ID, owner_zone)
        self.limits = Limits(self.clock)
        self.costs = Costs(self.clock, (latency, 0.0) if isinstance(latency, (int, float)) else latency)
        self.interpretations = Interpretations(one_category_types="refused" if scenario == "hostile" else "answered")
        self.faults = Faults()
        self.requests: list[RecordedRequest] = []
        # Parameters and filter names that a method did not understand, by "method: name": otherwise a typing error in a
        # client looks like an empty list.
        self.unknown_parameters: Counter[str] = Counter()
        self._moved: tuple[str, int] | None = None
        self._lock = RLock()

    # -- what tests and people say to it -------------------------------------------------------------------------

    @property
    def webhook_code(self) -> str:
        return self.access.webhook_code

    @property
    def webhook_path(self) -> str:
        return f"/rest/1/{self.webhook_code}/"

    @property
    def webhook_url(self) -> str:
        """The webhook's URL with the portal's own host name; a server has one with its address."""
        return self.base_url + self.webhook_path

    def credentials(self, base_url: str) -> dict[str, dict[str, str]]:
        """Returns a configuration for each kind of credentials, for a portal served at `base_url`."""
        base, access = base_url.rstrip("/"), self.access
        auth_server = f"https://{server_of(access.region)}" if urlsplit(base).hostname == self.host else base
        app = {"client_id": access.client_id, "client_secret": access.client_secret}
        return {
            "webhook": {"auth": "webhook", "webhook_url": base + self.webhook_path},
            "oauth2": {"auth": "oauth2", "portal_url": base, **app, "refresh_token": access.refresh_token,
                       "token_url": auth_server + "/oauth/token/"},
            "api_key": {"auth": "api_key", "portal_url": base, "api_key": f"1/{access.webhook_code}"},
        }  # fmt: skip

    def set_region(self, region: str) -> None:
        """Moves the portal to a region such as "ru" or "de", and with it to the vendor's authorisation server there."""
        self.access.region = region

    def set_scopes(self, scopes: Iterable[str]) -> None:
        self.access.scopes = frozenset(scopes)

    def set_admin(self, *, crm: bool = True, portal: bool = True) -> None:
        self.access.crm_admin, self.access.portal_admin = crm, portal

    def set_user_zone(self, user_id: int, zone: tzinfo | None) -> None:
        """Sets a person's time zone; None is the server's. The owner of both credentials is user 1."""
        self.world.zones.people.pop(user_id, None)
        if zone is not None:
            self.world.zones.people[user_id] = zone

    def deny_type(self, entity_type_id: int) -> None:
        self.world.denied.add(entity_type_id)

    def hide_items(self, entity_type_id: int, numbers: Iterable[int]) -> None:
        """Hides items from an owner without administrator rights in CRM; see `set_admin`."""
        self.world.unreadable.setdefault(entity_type_id, set()).update(numbers)

    def expire_access_tokens(self) -> None:
        self.access.expire_access_tokens()

    def expire_webhook(self) -> None:
        self.access.webhook_alive = False

    def dismiss_owner(self) -> None:
        """Dismisses the employee who owns the webhook and the application."""
        self.access.owner_active = False
        next(row for row in self.world.users if row["ID"] == str(OWNER_ID))["ACTIVE"] = False

    def end_subscription(self) -> None:
        """Changes the plan to one without REST."""
        self.access.commercial_plan = False

    def remove_application(self) -> None:
        self.access.application_installed = False

    def revoke_refresh_token(self) -> None:
        self.access.revoke_refresh_tokens()

    def move_to(self, base_url_or_host: str, status: int = 302) -> None:
        """Renames the portal: requests to any other address are redirected to the new one."""
        self._moved = (base_url_or_host.rstrip("/"), status)

    def items(self, entity_type_id: int, base_url: str = "") -> StoredItems:
        """Returns the stored items of one type; file links are those of the webhook at `base_url`."""
        at_its_date = self.interpretations.printed_offset == "stored_time"
        times = PrintedTimes(self.world.zones, OWNER_ID, at_its_date)
        return StoredItems(self.world, entity_type_id, self.access.owner(), base_url or self.base_url, times)

    def types(self) -> list[dict[str, Any]]:
        return list(self.world.types.values())

    def add_type(self, title: str, **more: Any) -> dict[str, Any]:
        """Adds a smart process; `more` may contain entity_type_id, items, off (switches) and code."""
        return admin.new_type(self.world, title, **more)

    def delete_type(self, entity_type_id: int) -> None:
        self.world.forget_type(entity_type_id)

    def switch_feature(self, entity_type_id: int, switch: str, *, on: bool) -> None:
        """Changes a setting of a smart process, such as `isClientEnabled`. Rows keep the columns of the feature."""
        admin.switch_feature(self.world, entity_type_id, switch, on=on)

    def add_field(self, entity_type_id: int, tail: str, user_type: str, label: str, **more: Any) -> str:
        """Adds a custom field `UF_CRM_<type id>_<tail>`; `more`: multiple, mandatory, options, pool, settings."""
        return admin.new_field(self.world, entity_type_id, tail, user_type, label, **more)

    def remove_field(self, entity_type_id: int, name: str) -> None:
        admin.drop_field(self.world, entity_type_id, name)

    def rename_option(self, option_id: int, value: str) -> None:
        admin.rename_option(self.world, option_id, value)

    def rename_stage(self, status_id: str, name: str) -> None:
        admin.rename_stage(self.world, status_id, name)

    def set_product_rows(self, entity_type_id: int, owner: int, *goods: Mapping[str, Any]) -> None:
        """Replaces the product rows of an item, without changing the item itself."""
        set_product_rows(self.world, entity_type_id, owner, goods)

    def put_activity(self, number: int, bindings: Iterable[tuple[int, int]] = (), **columns: Any) -> None:
        """Adds an activity or changes one; bindings are pairs of entityTypeId and id."""
        admin.put_activity(self.world, number, bindings, **columns)

    def delete_activity(self, number: int) -> None:
        admin.drop_activity(self.world, number)

    @property
    def base_url(self) -> str:
        return f"https://{self.host}"

    # -- what the network says to it -----------------------------------------------------------------------------

    def handle(
        self, http_method: str, path: str, query: str = "", headers: Mapping[str, str] | None = None,
        body: bytes = b"", *, base_url: str = "",
    ) -> HttpReply:  # fmt: skip
        """Answers one request. `base_url` is the address at which the portal was reached, for links and redirects."""
        address, dispatch = read_path(path), self._dispatch()
        address = replace(address, method=dispatch.spelled(address.method))
        headers = {name.lower(): value for name, value in (headers or {}).items()}
        params = request_to_params(query, headers.get("content-type", ""), body)
        base = base_url or self.base_url
        reply = self._redirected(address, path, query, base) or self._faulted(address, params, headers, base)
        commands = tuple(map(dispatch.spelled, method_names(params))) if address.method == "batch" else ()
        seen = RecordedRequest(
            http_method, address.safe_path, address.method, commands, len(body), len(reply.body), reply.status
        )
        with self._lock:
            self.requests.append(seen)
        return reply

    def _redirected(self, address: Address, path: str, query: str, base: str) -> HttpReply | None:
        if self._moved is None or address.kind == "token":
            return None
        target, status = self._moved
        target = self._address_of(target, base)
        if urlsplit(target).netloc == urlsplit(base).netloc:
            return None
        location = target + path + (f"?{query}" if query else "")
        return HttpReply(status, {"Location": location, "Content-Type": "text/html"}, b"")

    @staticmethod
    def _address_of(target: str, base: str) -> str:
        return target if "://" in target else f"{urlsplit(base).scheme}://{target}"

    def _faulted(self, address: Address, params: Mapping[str, Any], headers: Mapping[str, str], base: str) -> HttpReply:
        fault = self.faults.strike(address.method, "outer", params)
        instead = fault.instead() if fault else None
        if instead is not None:
            return instead
        reply = self._answered(address, params, headers, base)
        return fault.spoil(reply) if fault else reply

    def _answered(
        self, address: Address, params: Mapping[str, Any], headers: Mapping[str, str], base: str
    ) -> HttpReply:
        try:
            if address.kind == "token":
                return json_reply(200, self._token(params, base))
            if address.kind == "authorize":
                return page_reply(200, f"Authorization code (30 seconds): {self.access.issue_code()}")
            if address.kind == "page":
                return page_reply(404, "Page not found")
            return self._dispatch().answer(address, params, headers, base)
        except Refused as refused:
            return json_reply(refused.status, refused.body(self.world.language))

    def _token(self, params: Mapping[str, Any], base: str) -> dict[str, Any]:
        asked = urlsplit(base).hostname or ""
        portal = self.base_url if asked in AUTH_SERVERS else base
        if self._moved is not None:
            portal = self._address_of(self._moved[0], portal)
        return token_answer(self.access, self.interpretations, params, portal + "/rest/", asked)

    def _dispatch(self) -> Dispatch:
        """Made for each request, so that parts of the portal replaced in the meantime are used."""
        parts = (self.access, self.world, self.limits, self.costs, self.interpretations, self.faults)
        return Dispatch(*parts, self.unknown_parameters)

"""Authenticates callers, with their scopes and rights; keeps the webhook code and the OAuth tokens."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass, field
from threading import RLock

from ..model.clock import Clock
from .api_errors import (
    access_denied,
    application_not_found,
    expired_token,
    invalid_credentials,
    no_auth,
    owner_dismissed,
    subscription_required,
)  # fmt: skip

DEFAULT_SCOPES = frozenset({"bizproc", "crm", "department", "user", "user_basic", "userfieldconfig"})
ACCESS_TOKEN_SECONDS = 3600
REFRESH_TOKEN_SECONDS = 180 * 24 * 3600
CODE_SECONDS = 30
OWNER_ID = 1


@dataclass(frozen=True)
class Caller:
    """One authorised credential. Limits are counted per `key`; file links contain its path and `auth`."""

    key: str
    user_id: int
    is_app: bool
    rest_path: str
    auth: str = field(default="", repr=False)


@dataclass
class TokenPair:
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires: int


class Access:
    """The credentials of one portal: one webhook and one local application, both of the same employee."""

    def __init__(self, seed: int, clock: Clock) -> None:
        self._random = random.Random(f"bitrix24 sandbox credentials {seed}")
        self.clock = clock
        self.scopes: frozenset[str] = DEFAULT_SCOPES
        self.crm_admin = True
        self.portal_admin = True
        self.webhook_alive = True
        self.commercial_plan = True
        self.owner_active = True
        self.application_installed = True
        self.region = ""
        self.webhook_code = self._letters(16)
        self.client_id = f"local.{self._hex(14)}.{self._digits(8)}"
        self.client_secret = self._letters(50)
        self.member_id = self._hex(32)
        self._access_tokens: dict[str, float] = {}
        self._refresh_tokens: dict[str, float] = {}
        self._codes: dict[str, float] = {}
        self._lock = RLock()
        self.refresh_token = self.issue().refresh_token

    def webhook_caller(self, user_id: str, code: str) -> Caller:
        if not self.webhook_alive or code != self.webhook_code or user_id != str(OWNER_ID):
            raise invalid_credentials()
        if not self.commercial_plan:
            raise subscription_required()
        if not self.owner_active:
            raise owner_dismissed()
        return self.owner()

    def owner(self) -> Caller:
        """The employee who made the webhook, as seen through it."""
        return Caller("webhook", OWNER_ID, is_app=False, rest_path=f"/rest/{OWNER_ID}/{self.webhook_code}/")

    def token_caller(self, token: str) -> Caller:
        if not self.application_installed:
            raise application_not_found()
        with self._lock:
            expires = self._access_tokens.get(token)
        if expires is None:
            raise no_auth()
        if self.clock.now().timestamp() >= expires:
            raise expired_token()
        if not self.commercial_plan:
            raise access_denied("REST API is available only on commercial plans", 403)
        if not self.owner_active:
            raise owner_dismissed()
        return Caller("app", OWNER_ID, is_app=True, rest_path="/rest/", auth=token)

    def issue(self) -> TokenPair:
        """Issues a new pair; the previous refresh token stays valid."""
        with self._lock:
            now = self.clock.now().timestamp()
            pair = TokenPair(self._hex(70), self._hex(70), int(now) + ACCESS_TOKEN_SECONDS)
            self._access_tokens[pair.access_token] = now + ACCESS_TOKEN_SECONDS
            self._refresh_tokens[pair.refresh_token] = now + REFRESH_TOKEN_SECONDS
            self.refresh_token = pair.refresh_token
            return pair

    def redeem(self, refresh_token: str, *, keep: bool) -> TokenPair | None:
        """Exchanges a refresh token for a new pair; it becomes invalid unless `keep` is set."""
        with self._lock:
            expires = self._refresh_tokens.get(refresh_token)
            if expires is None or self.clock.now().timestamp() >= expires:
                return None
            if not keep:
                del self._refresh_tokens[refresh_token]
            return self.issue()

    def issue_code(self) -> str:
        with self._lock:
            code = self._hex(40)
            self._codes[code] = self.clock.now().timestamp() + CODE_SECONDS
            return code

    def redeem_code(self, code: str) -> TokenPair | None:
        """Exchanges an authorisation code, which is valid for 30 seconds and once."""
        with self._lock:
            expires = self._codes.pop(code, 0.0)
            return self.issue() if self.clock.now().timestamp() < expires else None

    def expire_access_tokens(self) -> None:
        with self._lock:
            self._access_tokens = dict.fromkeys(self._access_tokens, 0.0)

    def revoke_refresh_tokens(self) -> None:
        with self._lock:
            self._refresh_tokens.clear()

    def secrets(self) -> set[str]:
        """Returns all secrets, for tests that search logs and tables for them."""
        with self._lock:
            tokens = {*self._access_tokens, *self._refresh_tokens, *self._codes, self.refresh_token}
        return tokens | {self.webhook_code, self.client_secret}

    def _letters(self, length: int) -> str:
        return "".join(self._random.choices(string.ascii_lowercase + string.digits, k=length))

    def _hex(self, length: int) -> str:
        return "".join(self._random.choices("0123456789abcdef", k=length))

    def _digits(self, length: int) -> str:
        return "".join(self._random.choices(string.digits, k=length))

"""The token endpoint: exchanges an authorisation code or a refresh token for a new pair, which `access` issues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .access import ACCESS_TOKEN_SECONDS, OWNER_ID, Access, TokenPair
from .api_errors import Refused
from .interpretations import Interpretations

AUTH_SERVER = "oauth.bitrix24.test"
# The authorisation servers of the vendor; portals of some regions have one of their own.
REGIONAL_SERVER, OTHER_SERVER = "oauth.bitrix24.tech", "oauth.bitrix.info"
REGIONS_OF_THEIR_OWN = {"ru", "am", "az", "ge", "kz", "kg", "uz", "by"}
AUTH_SERVERS = {AUTH_SERVER, REGIONAL_SERVER, OTHER_SERVER}


def server_of(region: str) -> str:
    """Returns the authorisation server of a region such as "ru" or "de"; without a region, the sandbox's."""
    if not region:
        return AUTH_SERVER
    return REGIONAL_SERVER if region in REGIONS_OF_THEIR_OWN else OTHER_SERVER


def token_answer(
    access: Access, interpretations: Interpretations, params: Mapping[str, Any], endpoint: str, asked: str
) -> dict[str, Any]:
    """Returns the JSON of a successful answer.

    `asked` is the host of the authorisation server that was called.

    Raises:
        Refused: with the authorisation server's error code.
    """
    own = server_of(access.region)
    if asked in AUTH_SERVERS - {own, AUTH_SERVER} and interpretations.other_region == "refuses":
        raise _refused(interpretations, "invalid_client", "Invalid client")
    grant = params.get("grant_type")
    if grant not in ("refresh_token", "authorization_code"):
        raise _refused(interpretations, "invalid_request", "Unsupported grant_type")
    if (params.get("client_id"), params.get("client_secret")) != (access.client_id, access.client_secret):
        raise _refused(interpretations, "invalid_client", "Invalid client")
    if not access.commercial_plan:
        raise _refused(interpretations, "PAYMENT_REQUIRED", "Payment required")
    if grant == "authorization_code":
        return _answer(access, _pair_for_code(access, interpretations, params), endpoint)
    pair = _pair_for_refresh_token(access, interpretations, params)
    # `expires` and `user_id` are in the answer to a renewal only.
    return _answer(access, pair, endpoint) | {"expires": pair.expires, "user_id": OWNER_ID}


def _pair_for_code(access: Access, interpretations: Interpretations, params: Mapping[str, Any]) -> TokenPair:
    pair = access.redeem_code(str(params.get("code", "")))
    if pair is None:
        raise _refused(interpretations, "invalid_grant", "The authorization code is invalid or has expired")
    return pair


def _pair_for_refresh_token(access: Access, interpretations: Interpretations, params: Mapping[str, Any]) -> TokenPair:
    token = params.get("refresh_token")
    if not token:
        raise _refused(interpretations, "invalid_request", "refresh_token is missing")
    pair = access.redeem(str(token), keep=interpretations.after_refresh == "old_pair_lives")
    if pair is None:
        raise _refused(interpretations, "invalid_grant", "The refresh token is invalid or has been replaced")
    return pair


def _answer(access: Access, pair: TokenPair, endpoint: str) -> dict[str, Any]:
    return {
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "expires_in": ACCESS_TOKEN_SECONDS,
        "client_endpoint": endpoint,
        "server_endpoint": f"https://{server_of(access.region)}/rest/",
        # The vendor gives the authorisation server here, not the portal, which misleads clients.
        "domain": server_of(access.region),
        "member_id": access.member_id,
        "scope": ",".join(sorted(access.scopes)),
        "status": "L",
    }


def _refused(interpretations: Interpretations, code: str, description: str) -> Refused:
    return Refused(interpretations.oauth_error_status, code, description)

"""Who may do what: webhooks, tokens, scopes, rights, application context, the token endpoint, a renamed portal."""

from __future__ import annotations

import orjson
import pytest


def by_token(portal, token, method, **params):
    reply = portal.handle(
        "POST", f"/rest/{method}", "", {"Content-Type": "application/json"}, orjson.dumps({"auth": token, **params})
    )
    return {"status": reply.status, **orjson.loads(reply.body)}


def refresh(portal, **changes):
    app = portal.credentials("https://demo.bitrix24.test")["oauth2"]
    query = {
        "grant_type": "refresh_token",
        **{key: app[key] for key in ("client_id", "client_secret", "refresh_token")},
    }
    text = "&".join(f"{key}={value}" for key, value in {**query, **changes}.items() if value is not None)
    reply = portal.handle("GET", "/oauth/token/", text, base_url="https://oauth.bitrix24.test")
    return {"http": reply.status, **orjson.loads(reply.body)}


def test_a_wrong_or_expired_webhook(portal, ask):
    """Both are 401 INVALID_CREDENTIALS."""
    wrong = portal.handle("POST", "/rest/1/wrong/profile")
    portal.expire_webhook()

    assert orjson.loads(wrong.body)["error"] == "INVALID_CREDENTIALS"
    assert (ask("profile")["status"], ask("profile")["error"]) == (401, "INVALID_CREDENTIALS")


def test_a_refresh_gives_a_pair_and_kills_the_old_token(portal):
    """The new access token works, the new refresh token replaces the old one."""
    old = portal.credentials("https://demo.bitrix24.test")["oauth2"]["refresh_token"]
    answer = refresh(portal)

    assert answer["client_endpoint"] == "https://demo.bitrix24.test/rest/"
    assert by_token(portal, answer["access_token"], "profile")["status"] == 200
    assert refresh(portal, refresh_token=old)["error"] == "invalid_grant"
    assert refresh(portal, refresh_token=answer["refresh_token"])["http"] == 200


def test_the_old_refresh_token_may_be_kept_alive(portal):
    """An old refresh token stays valid after a renewal if the portal is set so; the vendor does not document it."""
    portal.interpretations.after_refresh = "old_pair_lives"
    old = portal.credentials("https://demo.bitrix24.test")["oauth2"]["refresh_token"]
    refresh(portal)

    assert refresh(portal, refresh_token=old)["http"] == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "x"}, "invalid_client"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"refresh_token": None}, "invalid_request"),
        ({"refresh_token": "x"}, "invalid_grant"),
    ],
)
def test_the_token_endpoint_refuses(portal, changes, error):
    """The codes of the authorisation server, with HTTP 400."""
    answer = refresh(portal, **changes)

    assert (answer["http"], answer["error"]) == (400, error)


def test_an_unpaid_plan(portal, ask):
    """The token server says PAYMENT_REQUIRED, the portal that REST needs a subscription."""
    portal.access.commercial_plan = False

    assert refresh(portal)["error"] == "PAYMENT_REQUIRED"
    assert (ask("profile")["status"], ask("profile")["error"]) == (401, "ACCESS_DENIED")


def test_access_tokens_live_an_hour_by_the_portals_clock(portal, clock):
    """After 3600 seconds, or when told so: 401 expired_token, and a refresh helps."""
    token = refresh(portal)["access_token"]
    clock.advance(3599)
    alive = by_token(portal, token, "profile")["status"]
    clock.advance(1)
    expired = by_token(portal, token, "profile")

    assert (alive, expired["status"], expired["error"]) == (200, 401, "expired_token")
    fresh = refresh(portal)["access_token"]
    portal.expire_access_tokens()
    assert by_token(portal, fresh, "profile")["error"] == "expired_token"


def test_a_revoked_refresh_token(portal):
    """Nothing but a new authorisation helps."""
    portal.revoke_refresh_token()

    assert refresh(portal)["error"] == "invalid_grant"


def test_an_authorisation_code_works_once_and_for_thirty_seconds(portal, clock):
    """The authorize page prints it, as for an app without a return address."""

    def code():
        return portal.handle("GET", "/oauth/authorize/").body.decode().rpartition(": ")[2].partition("<")[0]

    def exchange(value):
        return refresh(portal, grant_type="authorization_code", code=value, refresh_token=None)

    good, late = code(), code()
    first, again = exchange(good), exchange(good)
    clock.advance(31)

    assert set(first) >= {"access_token", "refresh_token"}
    assert "expires" not in first
    assert again["error"] == exchange(late)["error"] == "invalid_grant"


def test_the_token_goes_into_the_body_or_the_query_not_a_header(portal):
    """Tokens in headers are accepted only if the portal is set so."""
    token = refresh(portal)["access_token"]
    header = {"Authorization": f"Bearer {token}"}
    refused = portal.handle("POST", "/rest/profile", "", header)
    portal.interpretations.auth_in_header = True

    assert refused.status == 401
    assert portal.handle("POST", "/rest/profile", "", header).status == 200
    assert portal.handle("GET", "/rest/profile", f"auth={token}").status == 200


def test_a_missing_scope(portal, ask):
    """401 insufficient_scope; userfieldconfig without crm has an empty code and says it in words."""
    portal.set_scopes({"userfieldconfig"})
    fields = ask("userfieldconfig.list", moduleId="crm")

    assert (ask("crm.type.list")["status"], ask("crm.type.list")["error"]) == (401, "insufficient_scope")
    assert (fields["error"], fields["error_description"]) == ("", "The current method required more scopes. (crm)")
    assert ask("scope")["result"] == ["userfieldconfig"]
    assert ask("method.get", name="crm.type.list")["result"] == {"isExisting": True, "isAvailable": False}
    assert ask("method.get", name="crm.nothing")["result"] == {"isExisting": False, "isAvailable": False}


def test_columns_of_users_depend_on_the_scope(portal, ask):
    """Brief has no mail, basic no last login, user everything."""

    def columns(*scopes):
        portal.set_scopes(scopes)
        return set(ask("user.get")["result"][0])

    assert not {"EMAIL", "LAST_LOGIN"} & columns("user_brief")
    assert {"EMAIL", "LAST_LOGIN"} & columns("user_basic") == {"EMAIL"}
    assert {"EMAIL", "LAST_LOGIN"} <= columns("user")


def test_without_crm_administration(portal, ask):
    """The list of types is denied, each type and the owner types are not."""
    portal.set_admin(crm=False)

    assert (ask("crm.type.list")["status"], ask("crm.type.list")["error"]) == (400, "ACCESS_DENIED")
    assert ask("crm.automatedsolution.list")["error"] == "ACCESS_DENIED"
    assert ask("crm.type.getByEntityTypeId", entityTypeId=177)["result"]["type"]["id"] == 13
    codes = {row["SYMBOL_CODE"]: row["SYMBOL_CODE_SHORT"] for row in ask("crm.enum.ownertype")["result"]}
    assert codes["DYNAMIC_177"] == "Tb1"


def test_without_portal_administration(portal, ask):
    """profile says so, and workflow templates are denied."""
    portal.set_admin(portal=False)

    assert ask("profile")["result"]["ADMIN"] is False
    assert ask("bizproc.workflow.template.list")["error"] == "ACCESS_DENIED"


def test_a_type_that_this_user_may_not_read(portal, ask):
    """The type, its fields and its items are denied; its categories and stages are left out without a word."""
    portal.deny_type(177)

    for method in ("crm.type.getByEntityTypeId", "crm.item.fields", "crm.item.list"):
        assert ask(method, entityTypeId=177)["error"] == "ACCESS_DENIED"
    assert ask("crm.category.list", entityTypeId=177)["result"]["categories"] == []
    assert ask("crm.status.list", filter={"ENTITY_ID": "DYNAMIC_177_STAGE_7"})["result"] == []
    assert all(row.get("ENTITY_TYPE_ID") != 177 for row in ask("crm.status.entity.types")["result"])


def test_some_methods_need_an_application(portal, ask):
    """A webhook is told so, in a batch too; an application is answered."""
    token = refresh(portal)["access_token"]
    text = "Access denied! Application context required"

    for method in ("app.info", "bizproc.robot.list", "crm.automation.trigger.list"):
        assert ask(method)["error_description"] == text
        assert by_token(portal, token, method)["status"] == 200
    assert ask("batch", cmd={"a": "app.info"})["result"]["result_error"]["a"]["error_description"] == text


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_renamed_portal_sends_everybody_on(portal, status):
    """The old host answers with the whole path at the new one; the new host answers itself; tokens are still given."""
    portal.move_to("new.bitrix24.test", status)
    old = portal.handle("POST", portal.webhook_path + "profile", base_url="https://demo.bitrix24.test")
    new = portal.handle("POST", portal.webhook_path + "profile", base_url="https://new.bitrix24.test")

    assert (old.status, old.headers["Location"]) == (status, f"https://new.bitrix24.test{portal.webhook_path}profile")
    assert new.status == 200
    assert refresh(portal)["http"] == 200


def test_method_names_in_any_case(portal, ask):
    """Method names are accepted in any case, as b24pysdk writes crm.item.List, unless the portal is set to be strict."""
    lenient = ask("crm.type.getbyentitytypeid", entityTypeId=177)["status"]
    seen = portal.requests[-1].method
    portal.interpretations.method_names = "documented"

    assert (lenient, seen) == (200, "crm.type.getByEntityTypeId")
    assert ask("crm.type.getbyentitytypeid", entityTypeId=177)["status"] == 404

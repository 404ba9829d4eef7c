"""profile, scope, methods, method.get, server.time, app.info, feature.get and the methods that need an application."""

from __future__ import annotations

from ..portal.registry import METHODS, MethodCall, MethodResult, method

# Every scope a portal of this size could have, for `scope` with full=true.
ALL_SCOPES = (
    "bizproc", "catalog", "crm", "department", "disk", "entity", "im", "lists", "log", "sale", "sonet_group", "task",
    "telephony", "user", "user.userfield", "user_basic", "user_brief", "userfieldconfig",
)  # fmt: skip


@method("profile", scope="")
def profile(call: MethodCall) -> MethodResult:
    user = next((row for row in call.world.users if row["ID"] == str(call.caller.user_id)), {})
    shown = {key: user.get(key, "") for key in ("NAME", "LAST_NAME", "PERSONAL_GENDER")}
    shown["TIME_ZONE"] = call.world.zones.name(call.caller.user_id)
    return MethodResult({"ID": str(call.caller.user_id), "ADMIN": call.rights.portal_admin, **shown})


@method("scope", scope="")
def scope(call: MethodCall) -> MethodResult:
    full = str(call.param("full")).lower() in ("true", "1", "y")
    return MethodResult(sorted(ALL_SCOPES if full else call.rights.scopes))


@method("methods", scope="")
def methods(call: MethodCall) -> MethodResult:
    wanted = str(call.param("scope") or "")
    full = str(call.param("full")).lower() in ("true", "1", "y")
    open_to = {wanted} if wanted else call.rights.scopes
    return MethodResult(
        [
            name
            for name, known in METHODS.items()
            if (full and not wanted) or not known.scopes or open_to.intersection(known.scopes)
        ]
    )


@method("method.get", scope="")
def method_get(call: MethodCall) -> MethodResult:
    name = str(call.param("name") or "")
    known = next((entry for key, entry in METHODS.items() if key.lower() == name), None) if name else None
    allowed = known is not None and (not known.scopes or bool(call.rights.scopes.intersection(known.scopes)))
    return MethodResult({"isExisting": known is not None, "isAvailable": allowed})


@method("server.time", scope="")
def server_time(call: MethodCall) -> MethodResult:
    return MethodResult(call.rights.now)


@method("feature.get", scope="")
def feature_get(call: MethodCall) -> MethodResult:
    return MethodResult(
        {"value": "Y" if call.param("CODE") in ("rest_offline_extended", "rest_auth_connector") else "N"}
    )


@method("app.info", scope="", app_only=True)
def app_info(_: MethodCall) -> MethodResult:
    return MethodResult({
        "ID": 5, "CODE": "local.sandbox", "VERSION": 1, "STATUS": "L", "INSTALLED": True, "PAYMENT_EXPIRED": "N",
        "DAYS": None, "LANGUAGE_ID": "en", "LICENSE": "en_ent250", "LICENSE_TYPE": "ent250", "LICENSE_FAMILY": "ent",
    })  # fmt: skip


@method("event.get", "events", "event.offline.list", scope="", app_only=True)
def no_rows(call: MethodCall) -> MethodResult:
    """Returns no rows: no event is bound, and the offline queue is empty."""
    return MethodResult([], total=0) if call.method == "event.offline.list" else MethodResult([])


@method("event.offline.get", scope="", app_only=True)
def event_offline_get(_: MethodCall) -> MethodResult:
    return MethodResult({"process_id": None, "events": []})


@method("event.bind", "event.unbind", "event.offline.clear", "event.offline.error", scope="", app_only=True)
def event_write(_: MethodCall) -> MethodResult:
    return MethodResult(result=True)

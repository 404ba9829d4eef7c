"""The portal's errors, with the status, code and text that the vendor's pages print."""

from __future__ import annotations

from typing import Any

# Controllers answer in the language of the person who asks; the older methods and the REST module in English.
TRANSLATIONS: dict[str, dict[str, str]] = {
    "Access denied": {"ru": "Доступ запрещен", "de": "Zugriff verweigert"},
    "Smart process not found": {"ru": "Смарт-процесс не найден", "de": "Smart-Prozess wurde nicht gefunden"},
    "Element not found": {"ru": "Элемент не найден", "de": "Element wurde nicht gefunden"},
    "Automated solution not found": {
        "ru": "Цифровое рабочее место не найдено",
        "de": "Arbeitsbereich wurde nicht gefunden",
    },
}


class Refused(Exception):  # noqa: N818 - a refusal is an answer of the portal, not an error of this program
    """An answer with an `error` key. `code` is any JSON value: the vendor also uses 0, "" and whole sentences."""

    def __init__(self, status: int, code: Any, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.status = status
        self.code = code
        self.description = description
        # The name in a filter, an order or a selection that was rejected.
        self.not_understood = ""

    def body(self, language: str = "en") -> dict[str, Any]:
        text = TRANSLATIONS.get(self.description, {}).get(language, self.description)
        return {"error": self.code, "error_description": text}


def access_denied(description: str = "Access denied", status: int = 400) -> Refused:
    return Refused(status, "ACCESS_DENIED", description)


def app_context_required() -> Refused:
    return Refused(403, "ACCESS_DENIED", "Access denied! Application context required")


def type_not_found() -> Refused:
    return Refused(400, "NOT_FOUND", "Smart process not found")


def item_not_found() -> Refused:
    return Refused(400, "NOT_FOUND", "Element not found")


def parameter_missing(name: str) -> Refused:
    return Refused(400, "100", f"Could not find value for parameter {{{name}}}")


def field_not_allowed(place: str, field: str) -> Refused:
    refused = Refused(400, "INVALID_ARG_VALUE", f"Invalid {place}: field '{field}' is not allowed in {place}")
    refused.not_understood = f"{place}[{field}]"
    return refused


def type_not_supported(entity_type_id: int) -> Refused:
    return Refused(400, "ENTITY_TYPE_NOT_SUPPORTED", f"Entity type {entity_type_id} is not supported")


def no_auth() -> Refused:
    return Refused(401, "NO_AUTH_FOUND", "Wrong authorization data")


def invalid_credentials() -> Refused:
    """Returns the error for a webhook whose user or code is unknown, or which is not active."""
    return Refused(401, "INVALID_CREDENTIALS", "Invalid request credentials")


def subscription_required() -> Refused:
    """Returns the error for a webhook of a portal whose plan does not include REST."""
    return Refused(401, "ACCESS_DENIED", "REST is available only by subscription.")


def owner_dismissed() -> Refused:
    return Refused(401, "authorization_error", "Unable to authorize user")


def connection_error() -> Refused:
    """Returns the temporary error of a portal that cannot reach the authorisation server."""
    return Refused(401, "CONNECTION_ERROR", "Error connecting to authorization server")


def application_not_found() -> Refused:
    return Refused(401, "APPLICATION_NOT_FOUND", "Application not found")


def wrong_auth_type() -> Refused:
    """Returns the error of a method that needs another kind of credential."""
    return Refused(403, "WRONG_AUTH_TYPE", "Current authorization type is denied for this method")


def wrong_license() -> Refused:
    return Refused(403, "WRONG_LICENSE", "Current license does not allow this method")


def portal_deleted() -> Refused:
    return Refused(403, "PORTAL_DELETED", "Portal was deleted")


def expired_token() -> Refused:
    return Refused(401, "expired_token", "The access token provided has expired.")


def method_not_found() -> Refused:
    return Refused(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")


def query_limit() -> Refused:
    return Refused(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")


def operation_time_limit() -> Refused:
    return Refused(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.")


def overload() -> Refused:
    return Refused(401, "OVERLOAD_LIMIT", "REST API is blocked due to overload")


def insufficient_scope() -> Refused:
    text = "The request requires higher privileges than provided by the webhook token"
    return Refused(401, "insufficient_scope", text)

"""A portal with a clock that only the test moves, and a short way to ask it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import orjson
import pytest

from bitrix24_source.sandbox import Clock, Portal

# Keys that rows of smart processes have beyond crm.item.fields, whatever features are on.
UNLISTED = {
    "utmSource", "utmMedium", "utmCampaign", "utmContent", "utmTerm", "entityTypeId", "isRecurring", "opportunityAccount",
    "taxValueAccount", "accountCurrencyId", "lastCommunicationCallTime", "lastCommunicationEmailTime",
    "lastCommunicationImolTime", "lastCommunicationWebformTime",
}  # fmt: skip
# Columns of the item's table that stay in rows while their feature is off.
LASTING = {
    "begindate", "closedate", "companyId", "contactId", "opportunity", "isManualOpportunity", "taxValue", "currencyId",
    "mycompanyId", "sourceId", "sourceDescription", "previousStageId", "movedTime", "movedBy",
}  # fmt: skip
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2025, 7, 1, 9, 0, tzinfo=timezone.utc))


@pytest.fixture
def portal(clock: Clock) -> Portal:
    return Portal(items=600, clock=clock)


@pytest.fixture
def ask(portal: Portal) -> Ask:
    """Asks by the webhook in JSON; the HTTP status is put beside the answer."""
    return lambda method, **params: asked(portal, method, **params)


def asked(portal: Portal, method: str, **params: Any) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    reply = portal.handle("POST", portal.webhook_path + method, "", headers, orjson.dumps(params))
    answer: dict[str, Any] = orjson.loads(reply.body)
    return {"status": reply.status, **answer}

"""Whatever a client sends, the portal answers in JSON and never breaks."""

from __future__ import annotations

import json
import random
from typing import Any

import orjson
import pytest

from bitrix24_source.sandbox import Portal
from bitrix24_source.sandbox.portal.registry import METHODS

NAMES = [
    "id",
    "ID",
    "entityTypeId",
    "filter",
    "FILTER",
    "select",
    "SELECT",
    "order",
    "ORDER",
    "start",
    "START",
    "fields",
    "moduleId",
    "name",
    "0",
    "1",
    "logic",
    "title",
    ">id",
    "@id",
    ">=updatedTime",
    "%title",
    "!title",
    "stageId",
    "ENTITY_ID",
    "sort",
    "SORT",
    "cmd",
    "halt",
    "activityId",
    "=ownerType",
    "=ownerId",
    "BINDINGS",
    "OWNER_ID",
    "CREATED_TIME",
    "opportunity",
    "contactIds",
    "ufCrm13Approved",
    "TIMESTAMP_X",
    "ACTIVE",
    "relations",
    "code",
    "scope",
    "entityId",
    "language",
    "observers",
]
VALUES: list[Any] = [None, True, False, 0, -1, 177, "", "x", "ID", [], {}, "2025-01-01T00:00:00+03:00", "$result[a][0]"]
OFTEN: dict[str, list[Any]] = {"entityTypeId": [177, "1030", 2, 3], "moduleId": ["crm"], "order": [{"id": "DESC"}, {}]}


def nonsense(chance: random.Random, depth: int = 0) -> Any:
    if depth > 2 or chance.random() < 0.6:
        return chance.choice(VALUES)
    inner = [nonsense(chance, depth + 1) for _ in range(chance.randrange(3))]
    return inner if chance.random() < 0.5 else {chance.choice(NAMES): value for value in inner}


@pytest.mark.parametrize("scenario", ["demo", "hostile"])
def test_nonsense_is_answered(scenario):
    """Every method with parameters of every wrong kind: a result or an error, in JSON."""
    portal, chance = Portal(scenario, items=120), random.Random(7)
    portal.limits.capacity = None
    token = portal.access.issue().access_token
    for name in [*METHODS, "batch"] * 6:
        params = {chance.choice(NAMES): nonsense(chance) for _ in range(chance.randrange(5))}
        params |= {key: chance.choice(values) for key, values in OFTEN.items() if chance.random() < 0.7}
        body = orjson.dumps(params | {"auth": token})
        answer = json.loads(portal.handle("POST", f"/rest/{name}", "", {"Content-Type": "application/json"}, body).body)

        assert {"result", "error"} & answer.keys(), (name, params)

"""The vendor's example answers have the keys of the sandbox's answers, level by level.

The folder is named by BITRIX24_SAMPLES; without it these tests are skipped.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

FOLDER = os.environ.get("BITRIX24_SAMPLES")
pytestmark = pytest.mark.skipif(not FOLDER, reason="BITRIX24_SAMPLES does not name the folder of the vendor's examples")

BY_APP = {"app.info", "event.offline.get", "event.offline.list"}
# What is asked of the sandbox so that its first row is of the same kind as the vendor's.
QUESTIONS: dict[str, dict[str, Any]] = {
    "batch/01": {"cmd": {"get_user": "user.current", "get_department": "department.get?PARENT=1"}},
    "batch/02": {"cmd": {"get_user": "user.current", "get_department": "department.get"}},
    "batch/03": {"halt": 1, "cmd": {"get_user": "user.current", "get_department": "department.get"}},
    "bizproc.workflow.template.list/01": {"SELECT": ["ID", "NAME", "USER_ID", "SYSTEM_CODE"]},
    "crm.activity.list/02": {"filter": {"TYPE_ID": 2}, "select": ["ID", "COMMUNICATIONS"]},
    "crm.activity.list/03": {"filter": {"TYPE_ID": 4}, "select": ["ID", "FILES"]},
    "crm.category.list/01": {"entityTypeId": 2, "filter": {"id": 1}},
    "crm.item.add/01": {"entityTypeId": 2, "fields": {"title": "x", "observers": [2], "contactIds": [4]}},
    "crm.item.fields/01": {"entityTypeId": 177},
    "crm.item.get/01": {"entityTypeId": 1, "id": 1},
    "crm.item.list/01": {"entityTypeId": 1, "select": [
        "id", "assignedById", "stageId", "opportunity", "sourceId", "title", "name", "lastName", "isManualOpportunity"]},
    "crm.item.productrow.list/01": {"filter": {"=ownerType": "Tb1", "=ownerId": [*range(1, 20)]}},
    "crm.stagehistory.list/01": {"entityTypeId": 2},
    "crm.status.list/01": {"filter": {"ENTITY_ID": "DEAL_STAGE"}},
    "crm.type.get/01": {"id": 19},
    "crm.type.getByEntityTypeId/01": {"entityTypeId": 1036},
    "department.get/01": {"PARENT": 1},
    "method.get/01": {"name": "user.get"},
    "userfieldconfig.get/01": {"moduleId": "crm", "id": 7002},
    "userfieldconfig.list/01": {"moduleId": "crm", "select": {"0": "*", "language": "de"},
                                "filter": {"userTypeId": "enumeration"}},
}  # fmt: skip
# Keys of the vendor's that the sandbox need not have, each with the reason.
OPTIONAL = {
    "parentId": "a link to a type of the vendor's own portal",
    "ufCrm_": "a custom field of the vendor's own portal",
    "next": "comes only while there is more",
    "TIMESTAMP_X": "user.current shows it in one sample and not in the other",
}
# Answers whose list is empty here by design: nothing is bound to events and no file hangs on an activity.
EMPTY_HERE = {"event.offline.get/01", "event.offline.list/01"}
SINGLE_ROWS = {"department.get/02"}  # a row printed alone, not an answer


def samples(pattern: str) -> list[Path]:
    return sorted(Path(FOLDER).glob(pattern)) if FOLDER else []


def key_of(sample: Path) -> str:
    return f"{sample.parent.name}/{sample.name[:2]}"


def missing(theirs: Any, ours: Any, where: str = "") -> list[str]:
    """The paths of keys that the vendor shows and the sandbox does not, and of values of another kind.

    Of a list, each of the vendor's elements is held against the one of the sandbox that is most like it.
    """
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            return [f"{where} is no object"]
        gone = [f"{where}/{key}" for key in theirs.keys() - ours.keys() if not key.startswith(tuple(OPTIONAL))]
        return gone + [
            place for key in theirs.keys() & ours.keys() for place in missing(theirs[key], ours[key], f"{where}/{key}")
        ]
    if isinstance(theirs, list) and theirs and isinstance(theirs[0], dict):
        if not (isinstance(ours, list) and ours):
            return [f"{where} is empty"]
        return [place for row in theirs for place in min((missing(row, own, f"{where}[]") for own in ours), key=len)]
    if isinstance(ours, list) is not isinstance(theirs, list):
        return [f"{where} is a list on one side only"]
    return [] if None in (theirs, ours) or kind(theirs) == kind(ours) else [f"{where} is {theirs!r}, not {ours!r}"]


def kind(value: Any) -> str:
    """Numbers, texts and booleans are told apart, for the vendor writes some numbers and flags as texts."""
    return "number" if type(value) in (int, float) else type(value).__name__


@pytest.fixture
def answer(portal):
    """Asks what the sample answers, by the webhook or, where one is needed, by an application."""

    def ask(key: str) -> tuple[int, Any]:
        method, params = key.partition("/")[0], dict(QUESTIONS.get(key, {}))
        path = portal.webhook_path + method
        if method in BY_APP:
            path, params["auth"] = f"/rest/{method}", portal.access.issue().access_token
        reply = portal.handle("POST", path, "", {"Content-Type": "application/json"}, orjson.dumps(params))
        return reply.status, orjson.loads(reply.body)

    return ask


@pytest.mark.parametrize(
    "sample",
    [sample for sample in samples("*/*.ok.json") if not key_of(sample).startswith(("oauth", *SINGLE_ROWS))],
    ids=key_of,
)
def test_good_answers(portal, answer, sample):
    """Every key of the vendor's example is in the sandbox's answer."""
    key = key_of(sample)
    if key in ("batch/02", "batch/03"):
        portal.set_scopes({"crm"})
    status, ours = answer(key)
    gone = missing(orjson.loads(sample.read_bytes()), ours)
    expected = (
        [f"/result{'/events' if key.startswith('event.offline.get') else ''} is empty"] if key in EMPTY_HERE else []
    )

    assert (status, gone) == (200, expected)


@pytest.mark.parametrize(
    "sample", [sample for sample in samples("*/*.error.json") if not key_of(sample).startswith("oauth")], ids=key_of
)
def test_errors_have_the_same_two_keys(answer, sample):
    """`error` and `error_description`, whatever their values."""
    assert set(orjson.loads(sample.read_bytes())) == set(answer("no.such.method/01")[1])


@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token"])
def test_token_answers_have_exactly_the_vendors_keys(portal, grant):
    """`expires` and `user_id` in a renewal only."""
    folder = Path(FOLDER or "") / ("oauth.token" if grant == "authorization_code" else "oauth.refresh")
    app = portal.credentials("https://demo.bitrix24.test")["oauth2"]
    code = f"&code={portal.access.issue_code()}&refresh_token={app['refresh_token']}"
    query = f"grant_type={grant}&client_id={app['client_id']}&client_secret={app['client_secret']}{code}"
    ours = orjson.loads(portal.handle("GET", "/oauth/token/", query).body)

    assert set(ours) == set(orjson.loads((folder / "01.ok.json").read_bytes()))

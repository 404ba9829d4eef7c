"""What every answer of the portal looks like, whoever asks and in whatever encoding."""

from __future__ import annotations

import json

import orjson


def test_success_carries_result_and_time(ask):
    """`time` has the eight keys of the vendor's page, with the server's zone in the dates."""
    answer = ask("server.time")

    assert answer["result"] == "2025-07-01T12:00:00+03:00"
    assert set(answer["time"]) == {
        "start", "finish", "duration", "processing", "date_start", "date_finish", "operating_reset_at", "operating",
    }  # fmt: skip
    assert answer["time"]["date_start"] == "2025-07-01T12:00:00+03:00"


def test_errors_are_flat(ask):
    """An error is two strings and no result."""
    assert ask("no.such.method") == {
        "status": 404, "error": "ERROR_METHOD_NOT_FOUND", "error_description": "Method not found!",
    }  # fmt: skip


def test_unknown_type_by_id_has_the_code_zero(ask):
    """crm.type.get says `error: "0"`, as a text."""
    answer = ask("crm.type.get", id=99999)

    assert (answer["status"], answer["error"]) == (400, "0")


def test_total_and_next_stand_beside_the_result(ask):
    """A list has `total`, and `next` only while there is more."""
    first = ask("crm.item.list", entityTypeId=177)
    last = ask("crm.item.list", entityTypeId=177, start=150)

    assert (first["total"], first["next"], len(first["result"]["items"])) == (180, 50, 50)
    assert "next" not in last
    assert len(last["result"]["items"]) == 30


def test_form_query_and_json_say_the_same(portal):
    """A filter reaches the method in a JSON body, a form, and a query string with percent-encoded names."""
    path, form = portal.webhook_path + "crm.item.list", "entityTypeId=177&filter%5B%3E%3Did%5D=179&select[]=id"
    json_body = orjson.dumps({"entityTypeId": 177, "filter": {">=id": 179}, "select": ["id"]})
    urlencoded = {"Content-Type": "application/x-www-form-urlencoded"}
    replies = [
        portal.handle("POST", path, "", {"Content-Type": "application/json"}, json_body),
        portal.handle("POST", path, "", urlencoded, form.encode()),
        portal.handle("GET", path, form),
    ]

    assert [json.loads(reply.body)["result"] for reply in replies] == [{"items": [{"id": 179}, {"id": 180}]}] * 3


def test_multipart_is_read_too(portal):
    """`multipart/form-data` is the one encoding that all methods of the vendor take."""
    body = b'--x\r\nContent-Disposition: form-data; name="entityTypeId"\r\n\r\n177\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    reply = portal.handle("POST", portal.webhook_path + "crm.item.list", "", headers, body)

    assert json.loads(reply.body)["total"] == 180


def test_format_suffix_is_no_part_of_the_name(portal, ask):
    """`profile.json` is `profile`."""
    assert ask("profile.json")["result"] == ask("profile")["result"]
    assert [seen.method for seen in portal.requests] == ["profile", "profile"]


def test_every_request_is_remembered_without_the_code(portal, ask):
    """`portal.requests` counts HTTP requests, names the commands of a batch, and holds no credential."""
    ask("batch", cmd={"a": "profile", "b": "crm.type.list?start=0"})
    portal.handle("GET", "/oauth/token/", "grant_type=x")

    batch, token = portal.requests
    assert (batch.method, batch.commands, batch.path_without_code) == (
        "batch",
        ("profile", "crm.type.list"),
        "/rest/1/batch",
    )
    assert (token.method, token.status) == ("oauth.token", 400)
    assert portal.webhook_code not in repr(portal.requests)


def test_version_3_knows_nothing_of_this(portal):
    """Everything here is a version 2 method; under /rest/api/ it is not found."""
    reply = portal.handle("POST", portal.webhook_path.replace("/rest/", "/rest/api/") + "profile")

    assert reply.status == 404


def test_other_pages_are_web_pages(portal):
    """Whoever forgets /rest/ gets HTML."""
    reply = portal.handle("GET", "/crm/deal/list/")

    assert reply.headers["Content-Type"].startswith("text/html")

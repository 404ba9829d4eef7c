"""What the portal can be told to do wrong, seen through `requests` in the same process."""

from __future__ import annotations

import orjson
import pytest
import requests

from bitrix24_source.sandbox import Fault, SandboxAdapter


@pytest.fixture
def session(portal):
    with requests.Session() as session:
        session.mount("https://", SandboxAdapter(portal))
        yield session


@pytest.fixture
def post(portal, session):
    base = "https://demo.bitrix24.test" + portal.webhook_path
    return lambda method="profile", **more: session.post(base + method, json={}, **{"timeout": 10, **more})


@pytest.mark.parametrize("code", [0, "", "expired_token", "Access denied.", " ERROR_UNEXPECTED_ANSWER ", 200040300010])
def test_error_codes_of_every_kind(portal, post, code):
    """Zero, empty, lower case, a sentence, stray spaces, a big number: as told, also under HTTP 200."""
    portal.faults.add(Fault(method="profile", kind="error", status=200, error=code, description="x"))
    answer = post()

    assert answer.status_code == 200
    assert answer.json() == {"error": code, "error_description": "x"}


def test_nth_and_times(portal, post):
    """The third call is the first to fail, the fifth is good again; other methods never fail."""
    portal.faults.add(Fault(method="profile", nth=3, times=2))
    answers = [post().status_code for _ in range(6)]

    assert answers == [200, 200, 500, 500, 200, 200]
    assert post("scope").status_code == 200


def test_always(portal, post):
    """`times=None` never stops, until the faults are cleared."""
    portal.faults.add(Fault(method="*", times=None))
    broken = {post().status_code for _ in range(5)}
    portal.faults.clear()

    assert broken == {500}
    assert post().status_code == 200


def test_only_for_certain_parameters(portal, session):
    """`when` looks at what was asked."""
    portal.faults.add(Fault(method="crm.item.fields", when=lambda params: params["entityTypeId"] == 1030))
    url = "https://demo.bitrix24.test" + portal.webhook_path + "crm.item.fields"

    assert session.post(url, json={"entityTypeId": 177}).status_code == 200
    assert session.post(url, json={"entityTypeId": 1030}).status_code == 500


def test_a_web_page_instead_of_json(portal, post):
    """A 502 of a proxy, in HTML."""
    portal.faults.add(Fault(kind="http", status=502))
    answer = post()

    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (502, "text/html")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind="reset"), requests.ConnectionError),
        (Fault(kind="reset", at="headers"), requests.ConnectionError),
        (Fault(kind="reset", at="body"), requests.exceptions.ChunkedEncodingError),
        (Fault(kind="hang"), requests.ReadTimeout),
        (Fault(kind="slow", seconds=60), requests.ReadTimeout),
    ],
)
def test_broken_connections_raise_what_a_socket_would(portal, post, fault, error):
    """Resets before and in the answer, silence, and an answer slower than the time-out."""
    portal.faults.add(fault)

    with pytest.raises(error):
        post()
    assert post().status_code == 200


def test_a_slow_answer_within_the_time_out_arrives(portal, post, clock):
    """Nobody really waits: the portal's clock moves on."""
    portal.faults.add(Fault(kind="slow", seconds=9))
    before = clock.monotonic()

    assert post().status_code == 200
    assert clock.monotonic() - before == 9


def test_cut_json_and_bad_bytes(portal, post):
    """A truncated body has the length it says; invalid UTF-8 is no JSON; an empty body is empty."""
    portal.faults.add(Fault(kind="truncate"), Fault(kind="invalid_utf8"), Fault(kind="empty"))
    answers = [post() for _ in range(3)]

    assert int(answers[0].headers["Content-Length"]) == len(answers[0].content)
    for answer in answers:
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(answer.content)
    assert answers[2].content == b""


@pytest.mark.parametrize(
    ("code", "status"), [("QUERY_LIMIT_EXCEEDED", 503), ("OPERATION_TIME_LIMIT", 429), ("OVERLOAD_LIMIT", 401)]
)
def test_limits_by_order(portal, post, code, status):
    """Both spellings: kind="limit" with the code, or the code as the kind."""
    portal.faults.add(Fault(kind=code), Fault(kind="limit", error=code))

    assert [(post().status_code, post().json()["error"])] == [(status, code)]


def test_redirects_to_anywhere(portal, post):
    """The location is as told, http and foreign hosts included."""
    portal.faults.add(Fault(kind="redirect", status=301, location="http://evil.example/rest/1/x/profile"))
    answer = post(allow_redirects=False)

    assert (answer.status_code, answer.headers["Location"]) == (301, "http://evil.example/rest/1/x/profile")


def test_expired_token_in_the_middle(portal, post):
    """One call is told that the token has expired, the next is not."""
    portal.faults.add(Fault(kind="expired_token"))

    assert [post().status_code, post().status_code] == [401, 200]


def test_the_token_endpoint_has_faults_of_its_own(portal, session, post):
    """`*` means REST; `oauth.token` is named. A reset in its answer loses a pair that was already issued."""
    portal.faults.add(Fault(method="*", times=None), Fault(method="oauth.token", kind="reset", at="body"))
    app = portal.credentials("https://demo.bitrix24.test")["oauth2"]
    params = {
        "grant_type": "refresh_token",
        **{key: app[key] for key in ("client_id", "client_secret", "refresh_token")},
    }

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        session.get(app["token_url"], params=params)
    assert session.get(app["token_url"], params=params).json()["error"] == "invalid_grant"


def test_an_unknown_fault_is_refused_at_once():
    """A typing error in a test is not a fault that never strikes."""
    with pytest.raises(ValueError, match="No such fault"):
        Fault(kind="explode")
    with pytest.raises(ValueError, match="single command"):
        Fault(kind="reset", where="command")

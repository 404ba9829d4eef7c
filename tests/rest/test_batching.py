"""Many calls in few requests: each is answered, sent again, or failed by name."""

from __future__ import annotations

from datetime import datetime, timezone

import orjson
import pytest
import requests
import requests_mock
from hypothesis import given
from hypothesis import strategies as st

from bitrix24_source.errors import Bitrix24Error, ConfigError, LimitError, PortalError, UnavailableError
from bitrix24_source.rest.auth import StaticAuth
from bitrix24_source.rest.batching import call_many, gather, merge_generators
from bitrix24_source.rest.client import Client
from bitrix24_source.rest.protocol import Call, Response
from bitrix24_source.sandbox import Clock, Fault, Portal

FOUR = [Call("profile"), Call("crm.type.list"), Call("server.time"), Call("scope")]
NAMES = tuple(call.method for call in FOUR)


def methods(portal: Portal) -> list[tuple[str, ...]]:
    """What each request asked for: the commands of a batch, or the one method."""
    return [seen.commands or (seen.method,) for seen in portal.requests]


def answered(outcomes) -> list[bool]:
    return [isinstance(outcome, Response) for outcome in outcomes]


def type_list(key: int) -> Call:
    return Call("crm.type.list", {"filter": {"id": key}})


# --- how calls travel ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "calls"),
    [([], 0), ([1], 1), ([2], 2), ([50], 50), ([50, 1], 51), ([50, 50, 20], 120)],
)
def test_fifty_travel_together(client, portal, sent, calls):
    """120 calls are 3 requests; no batch ever holds more than fifty commands, and one call alone is no batch."""
    outcomes = call_many(client, [Call("server.time")] * calls)

    assert [True] * calls == answered(outcomes)
    assert sent == [len(commands) for commands in methods(portal)]
    assert {"server.time", "batch"} >= {seen.method for seen in portal.requests}


def test_order_is_kept(client, portal):
    """The outcome at position n belongs to the call at position n, over all batches."""
    for number in range(6):
        portal.add_type(f"Process {number}", entity_type_id=1030 + 2 * number)
    ids = [row["id"] for row in portal.types()]
    wanted = [ids[n % len(ids)] for n in range(120)]
    outcomes = call_many(client, [type_list(key) for key in wanted])

    assert wanted == [outcome.result["types"][0]["id"] for outcome in outcomes]


def test_errors_stand_where_their_calls_stood(client):
    """A call that the portal refuses is an error in its place, named by its method, and disturbs no other."""
    calls = [Call("profile"), Call("no.such.method"), Call("crm.item.fields", {"entityTypeId": 99999}), Call("scope")]
    outcomes = call_many(client, calls)

    assert answered(outcomes) == [True, False, False, True]
    assert str(outcomes[1]).startswith("this portal does not have the method")
    assert "no.such.method at demo.bitrix24.test" in str(outcomes[1])
    assert "crm.item.fields at demo.bitrix24.test" in str(outcomes[2])


def test_a_call_alone_fails_by_value_too(client):
    """One call, which travels without a batch, is accounted for in the same way."""
    (outcome,) = call_many(client, [Call("no.such.method")])

    assert isinstance(outcome, PortalError)


# --- what is sent again -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT", "INTERNAL_SERVER_ERROR"])
def test_only_limited_commands_are_sent_again(client, portal, code):
    """Of a batch in which two commands were refused for a while, those two alone travel again."""
    for method in ("crm.type.list", "scope"):
        portal.faults.add(Fault(method, "error", where="command", error=code))
    outcomes = call_many(client, FOUR)

    assert answered(outcomes) == [True] * 4
    assert methods(portal) == [NAMES, ("crm.type.list", "scope")]


@pytest.mark.parametrize("code", ["QUERY_LIMIT_EXCEEDED", "INTERNAL_SERVER_ERROR"])
def test_a_refused_batch_is_sent_again_whole(client, portal, code):
    """A refusal of the batch itself concerns all of it."""
    portal.faults.add(Fault("batch", error=code, status=503))
    outcomes = call_many(client, FOUR)

    assert answered(outcomes) == [True] * 4
    assert methods(portal) == [NAMES, NAMES]


def test_a_limited_command_waits_for_its_reset(client, portal, clock):
    """A command whose method used up its budget waits for the moment that the batch's earlier answers named, no longer."""
    call_many(client, FOUR)
    reset_at = client.budget._latest["crm.type.list"].reset_at
    portal.faults.add(Fault("crm.type.list", "OPERATION_TIME_LIMIT", where="command"))

    assert answered(call_many(client, FOUR)) == [True] * 4
    assert 0 <= clock.now().timestamp() - reset_at <= 0.1
    assert methods(portal)[2:] == [("crm.type.list",)]


@pytest.mark.parametrize("seconds", [45, 200])
def test_a_limited_command_waits_for_the_moment_it_was_told(scripted_client, clock, seconds):
    """The reset moment beside the refused command in the batch's answer is the one that counts."""
    moment = int(clock.now().timestamp()) + seconds
    limited = {
        "result": {"c0": 1},
        "result_error": {"c1": {"error": "OPERATION_TIME_LIMIT"}},
        "result_time": {"c1": {"operating": 481, "operating_reset_at": moment}},
    }
    client = scripted_client({"json": {"result": limited}}, {"json": {"result": 2}})

    assert [outcome.result for outcome in call_many(client, FOUR[:2])] == [1, 2]
    assert seconds <= clock.monotonic() <= seconds + 0.1


def test_the_longest_wait_serves_all(client, portal, clock):
    """Commands refused for different reasons wait once, for the one that takes longest, and travel together again."""
    portal.faults.add(Fault("scope", "QUERY_LIMIT_EXCEEDED", where="command"))
    portal.faults.add(Fault("profile", "OPERATION_TIME_LIMIT", where="command"))

    assert answered(call_many(client, FOUR)) == [True] * 4
    assert methods(portal) == [NAMES, ("profile", "scope")]
    assert 60 <= clock.monotonic() <= 61


def test_overload_inside_a_batch_is_final(client, portal, clock):
    """OVERLOAD_LIMIT of a command is its outcome at once."""
    portal.faults.add(Fault("scope", "OVERLOAD_LIMIT", where="command", times=None))
    outcomes = call_many(client, FOUR)

    assert answered(outcomes) == [True, True, True, False]
    assert (len(portal.requests), clock.monotonic()) == (1, 0)


def test_a_command_that_stays_refused_fails_by_name(client, portal, clock):
    """A passing reason that does not pass becomes the command's outcome after a bounded number of tries and minutes."""
    portal.faults.add(Fault("scope", "QUERY_LIMIT_EXCEEDED", where="command", times=None))
    portal.faults.add(Fault("scope", "QUERY_LIMIT_EXCEEDED", times=None))
    outcomes = call_many(client, FOUR)

    assert answered(outcomes) == [True, True, True, False]
    assert isinstance(outcomes[3], LimitError)
    assert "scope at demo.bitrix24.test" in str(outcomes[3])
    assert methods(portal) == [NAMES] + [("scope",)] * 10
    assert clock.monotonic() < 130


def test_two_that_stay_refused(client, portal):
    """The same where what stays is more than one: ten requests in all, each accounted for."""
    portal.faults.add(Fault("scope", "QUERY_LIMIT_EXCEEDED", where="command", times=None))
    portal.faults.add(Fault("profile", "QUERY_LIMIT_EXCEEDED", where="command", times=None))
    outcomes = call_many(client, FOUR)

    assert answered(outcomes) == [False, True, True, False]
    assert methods(portal) == [NAMES] + [("profile", "scope")] * 9


def test_an_unanswered_command_is_sent_again(scripted_client, mocker):
    """A command of which the portal said nothing at all is asked again, alone."""
    client = scripted_client({"json": {"result": {"result": {"c0": 1, "c1": 2, "c3": 4}}}}, {"json": {"result": 3}})
    outcomes = call_many(client, FOUR)

    assert [outcome.result for outcome in outcomes] == [1, 2, 3, 4]
    assert [request.path.rpartition("/")[2] for request in mocker.request_history] == ["batch", "server.time"]


@pytest.mark.parametrize("result", [[], None, {"result": [], "result_error": []}])
def test_a_portal_that_answers_no_command(scripted_client, mocker, result):
    """A batch that is answered with nothing for ever fails every call by its name, after ten requests."""
    outcomes = call_many(scripted_client({"json": {"result": result}}), FOUR)

    assert [
        f"the portal left this command of a batch unanswered - {name} at crm.example.com - try again later"
        for name in NAMES
    ] == [str(outcome) for outcome in outcomes]
    assert len(mocker.request_history) == 10


# --- time-outs ----------------------------------------------------------------------------------------------------------


def test_a_batch_that_times_out_is_halved(client, portal):
    """What the portal cannot finish in time is asked in halves, in order, down to single calls."""
    portal.faults.add(Fault("batch", "hang", times=None, when=lambda params: len(params["cmd"]) > 13))
    outcomes = call_many(client, [Call("profile"), *[Call("server.time")] * 48, Call("scope")])

    assert answered(outcomes) == [True] * 50
    assert [len(commands) for commands in methods(portal)] == [50, 25, 12, 13, 25, 12, 13]
    assert outcomes[0].result["ID"]
    assert "crm" in outcomes[49].result


def test_single_calls_are_asked_again_after_a_time_out(client, portal):
    """A call that is alone cannot be halved: it is tried again."""
    client.call("profile")
    portal.faults.add(Fault("batch", "hang", times=None), Fault("scope", "hang"))
    outcomes = call_many(client, FOUR)

    assert answered(outcomes) == [True] * 4
    assert (
        methods(portal)[1:]
        == [NAMES, NAMES[:2], *((name,) for name in NAMES[:2]), NAMES[2:], ("server.time",)] + [("scope",)] * 2
    )


def test_a_portal_that_never_answers_is_given_up(client, portal):
    """When nothing at all comes back, the network is to blame and not each call: that is raised, and soon."""
    portal.faults.add(Fault("*", "hang", times=None))
    with pytest.raises(UnavailableError, match="did not answer in time"):
        call_many(client, FOUR)

    assert methods(portal) == [NAMES, NAMES[:2], ("profile",), ("profile",), ("profile",)]


@pytest.mark.parametrize("kind", ["truncate", "empty", "reset", "invalid_utf8"])
def test_a_batch_whose_answer_is_spoilt(client, portal, kind):
    """An answer that cannot be read says nothing of any command: all are asked again."""
    portal.faults.add(Fault("batch", kind))

    assert answered(call_many(client, FOUR)) == [True] * 4
    assert methods(portal) == [NAMES, NAMES]


# --- what concerns all calls is raised ----------------------------------------------------------------------------------


def test_a_dead_webhook_is_raised(client, portal):
    """A credential that is not accepted is no outcome of a call: nothing else would work either."""
    portal.expire_webhook()
    for calls in (FOUR, FOUR[:1]):
        with pytest.raises(Bitrix24Error, match="there is no active webhook"):
            call_many(client, calls)

    assert len(portal.requests) == 2


def test_untrusted_certificates_are_raised(scripted_client):
    """A setting that somebody must mend ends the run at once, also where one call is left."""
    with pytest.raises(ConfigError, match="TLS"):
        call_many(scripted_client({"exc": requests.exceptions.SSLError("certificate verify failed")}), FOUR[:1])


@given(
    plan=st.lists(st.sampled_from(["answer", "refuse", "limit", "silence"]), min_size=1, max_size=60),
    again=st.lists(st.sampled_from(["answer", "refuse", "limit", "silence"]), min_size=1, max_size=60),
)
def test_every_call_has_its_own_outcome(plan, again):
    """Whatever happens to each command, and to those sent again: as many outcomes as calls, each of its own call."""
    seen: dict[int, int] = {}

    def fate(number: int) -> str:
        seen[number] = seen.get(number, 0) + 1
        return plan[number] if seen[number] == 1 else again[number % len(again)] if seen[number] == 2 else "answer"

    def one(number: int) -> dict[str, object]:
        kind = fate(number)
        if kind == "refuse":
            return {"error": "NOT_FOUND", "error_description": f"number {number}"}
        if kind == "limit":
            return {"error": "QUERY_LIMIT_EXCEEDED"}
        return {} if kind == "silence" else {"result": number}

    def portal(request, _context) -> bytes:
        body = orjson.loads(request.body)
        if "cmd" not in body:
            return orjson.dumps(one(body["n"]) or {"error": "ERROR_UNEXPECTED_ANSWER"})
        answers = {key: one(int(command.partition("=")[2])) for key, command in body["cmd"].items()}
        return orjson.dumps({"result": {
            "result": {key: answer["result"] for key, answer in answers.items() if "result" in answer} or [],
            "result_error": {key: answer for key, answer in answers.items() if "error" in answer} or [],
        }})  # fmt: skip

    with requests_mock.Mocker() as mocker:
        mocker.post(requests_mock.ANY, content=portal)
        clock = Clock(datetime(2025, 7, 1, tzinfo=timezone.utc))
        client = Client(StaticAuth("webhook", "https://crm.example.com/rest/1/abc/"), clock=clock)
        outcomes = call_many(client, [Call("m", {"n": number}) for number in range(len(plan))])

    assert len(outcomes) == len(plan)
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, Response):
            assert outcome.result == number
        else:
            assert f"number {number})" in str(outcome)


# --- readers side by side ----------------------------------------------------------------------------------------------


def asks(*rounds: int):
    """Asks for so many calls in each round, and returns how many outcomes it was sent in all."""
    received = 0
    for number in rounds:
        received += len((yield [Call("server.time")] * number))
    return received


def test_readers_travel_together(client, portal):
    """What several readers ask for in the same round goes in one request; those that are done no longer take part."""
    assert gather(client, [asks(2, 3), asks(1), asks(4, 1, 1)]) == [5, 1, 6]
    assert [len(commands) for commands in methods(portal)] == [7, 4, 1]


def test_readers_that_ask_nothing(client, portal):
    """A reader may return without asking, and no reader at all is fine: no request is made."""
    assert gather(client, [asks(), asks()]) == [0, 0]
    assert gather(client, []) == []
    assert portal.requests == []


def test_a_round_without_calls(client, portal):
    """A reader that asks for nothing in one round is sent nothing, and goes on."""
    assert gather(client, [asks(0, 1)]) == [1]
    assert len(portal.requests) == 1


def test_each_reader_gets_its_own_outcomes(client):
    """Outcomes are dealt out to the readers that asked, in their order."""

    def reads(*names: str):
        outcomes = yield [Call(name) for name in names]
        return [
            type(outcome.result).__name__ if isinstance(outcome, Response) else outcome.code for outcome in outcomes
        ]

    assert gather(client, [reads("server.time", "no.such"), reads("scope"), reads("no.such", "profile")]) == [
        ["str", "ERROR_METHOD_NOT_FOUND"],
        ["list"],
        ["ERROR_METHOD_NOT_FOUND", "dict"],
    ]


def test_readers_nest(client, portal):
    """Readers side by side are a reader themselves, so that families of them share batches with others."""
    assert gather(client, [merge_generators([asks(1), asks(2, 2)]), asks(3)]) == [[1, 4], 3]
    assert [len(commands) for commands in methods(portal)] == [6, 2]

"""What calls look like on the wire, read back by a decoder that shares no code with the encoder."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitrix24_source.errors import Bitrix24Error, PortalError, ScopeError, UnavailableError
from bitrix24_source.rest.batch_codec import decode_batch, encode_batch, encode_command
from bitrix24_source.rest.json_codec import has_long_integer, outline_of
from bitrix24_source.rest.protocol import Call, Response, TimeUsage, parse_response, time_usage_in
from bitrix24_source.sandbox import query_to_params

WHERE = "crm.type.list at demo"


def answered(envelope: object, status: int = 200) -> Response:
    return parse_response(status, orjson.dumps(envelope), WHERE)


# --- envelopes ------------------------------------------------------------------------------------------------------


def test_answer_with_everything():
    """result, total, next, budget and the server's clock are read from their places."""
    time = {"operating": 1.25, "operating_reset_at": 1757425271, "date_start": "2025-07-01T15:00:00+03:00"}

    answer = answered({"result": {"types": []}, "total": 137, "next": 50, "time": time})

    assert answer == Response({"types": []}, 137, 50, TimeUsage(1.25, 1757425271), "2025-07-01T15:00:00+03:00")


def test_answer_with_nothing_but_a_result():
    """Everything beside `result` is optional, and absence is not zero."""
    assert Response(result=False, total=None, next=None, operating=None, server_time="") == answered({"result": False})


@pytest.mark.parametrize("result", [None, False, 0, "", [], {}])
def test_falsy_results_are_results(result):
    """Presence of `result` is what counts: a method may answer null, false, 0 or an empty list."""
    assert result == answered({"result": result}).result


def test_next_zero_is_an_offset():
    """`next` 0 is not the absence of `next`."""
    assert answered({"result": [], "next": 0}).next == 0


def test_numbers_as_strings():
    """`total` and `next` count where they come as text, as in legacy methods."""
    answer = answered({"result": [], "total": "137", "next": "50"})

    assert (answer.total, answer.next) == (137, 50)


@pytest.mark.parametrize(
    ("code", "envelope"),
    [
        ("", {"error": 0, "error_description": "nobody knows"}),
        ("", {"error": "0"}),
        ("", {"error": ""}),
        ("", {"error": None}),
        ("NOT_FOUND", {"error": 0, "error_description": "Smart process not found"}),
        ("INSUFFICIENT_SCOPE", {"error": "insufficient_scope"}),
        ("ACCESS_DENIED", {"error": "Access denied."}),
        ("ERROR_UNEXPECTED_ANSWER", {"error": " ERROR_UNEXPECTED_ANSWER "}),
        ("200040300010", {"error": 200040300010, "error_description": "Access Denied"}),
        ("NOT_FOUND", {"error": "NOT_FOUND", "result": []}),
        ("ACCESS_DENIED", {"error": {"code": "ACCESS_DENIED", "message": "Kein Zugriff", "validation": []}}),
        ("BITRIX_REST_V3_EXCEPTION_X", {"error": {"code": "BITRIX_REST_V3_EXCEPTION_X", "message": "?"}}),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_every_spelling_of_an_error(code, envelope, status):
    """The key `error` makes an answer an error, whatever it holds and whatever the HTTP status."""
    with pytest.raises(Bitrix24Error) as caught:
        answered(envelope, status)

    assert code == caught.value.code


def test_errors_bring_the_moment_of_their_end():
    """The reset moment in a refusal's own `time` is kept with the error."""
    time = {"operating": 481, "operating_reset_at": 1757425271}

    with pytest.raises(UnavailableError) as caught:
        answered({"error": "OPERATION_TIME_LIMIT", "time": time}, 429)

    assert caught.value.reset_at == 1757425271


@pytest.mark.parametrize(
    ("kind", "status", "body", "said"),
    [
        (
            UnavailableError,
            502,
            b"<html><body>Bad Gateway</body></html>",
            "a web page and not Bitrix24's REST (HTTP 502)",
        ),
        (UnavailableError, 200, b"\n <!DOCTYPE html>", "a web page and not Bitrix24's REST (HTTP 200)"),
        (PortalError, 404, b"<html>", "a web page and not Bitrix24's REST (HTTP 404)"),
        (UnavailableError, 200, b"", "the answer is empty (HTTP 200)"),
        (UnavailableError, 200, b'{"result": {"types": [', "the answer is cut off or no valid JSON (HTTP 200)"),
        (UnavailableError, 200, b'{"result": "\xc3\x28"}', "the answer is cut off or no valid JSON (HTTP 200)"),
        (UnavailableError, 200, b"[1, 2", "the answer is cut off or no valid JSON (HTTP 200)"),
        (UnavailableError, 200, b"[" * 200_000, "the answer is cut off or no valid JSON (HTTP 200)"),
        (UnavailableError, 200, b'"text"', "the answer is not Bitrix24's REST (HTTP 200)"),
        (UnavailableError, 503, b"try later", "the answer is not Bitrix24's REST (HTTP 503)"),
        (PortalError, 403, b"Forbidden", "the answer is not Bitrix24's REST (HTTP 403)"),
        (UnavailableError, 200, b'{"time": {}}', "the answer is cut off or no valid JSON (HTTP 200)"),
    ],
)
def test_what_is_no_answer(kind, status, body, said):
    """A body without an envelope is named for what it is, and its status says whether later may be better."""
    with pytest.raises(kind) as caught:
        parse_response(status, body, WHERE)

    assert said in str(caught.value)
    assert WHERE in str(caught.value)


def test_bodies_are_never_quoted():
    """An unreadable answer is described and not repeated: it may hold anything."""
    with pytest.raises(UnavailableError) as caught:
        parse_response(502, b"<html>s3cret</html>", WHERE)

    assert "s3cret" not in str(caught.value)


def test_what_a_strict_parser_refuses_is_read():
    """NaN and half a surrogate pair, which PHP can send, do not make an answer unreadable."""
    answer = parse_response(200, b'{"result": ["\\ud800", NaN]}', WHERE)

    assert answer.result[0] == "\ud800"


@pytest.mark.parametrize(
    ("expected", "time"),
    [
        (TimeUsage(1.5, 1757425271), {"operating": 1.5, "operating_reset_at": 1757425271}),
        (TimeUsage(1.5, None), {"operating": "1.5"}),
        (TimeUsage(0.0, 7), {"operating": None, "operating_reset_at": "7"}),
        (TimeUsage(0.0, None), {"operating": float("nan")}),
        (None, {"operating_reset_at": 1757425271}),
        (None, {"operating": "much"}),
        (None, []),
        (None, None),
    ],
)
def test_operating(expected, time):
    """The time budget is read where it is reported, and is unknown, not zero, where it is not."""
    assert expected == time_usage_in(time)


# --- batches --------------------------------------------------------------------------------------------------------


def test_batch_ids_are_never_numeric():
    """Commands have names that PHP does not turn into a list, and none stops the others."""
    calls = [Call("profile"), Call("crm.type.list", {"start": 50})]

    assert encode_batch(calls).params == {"halt": 0, "cmd": {"c0": "profile", "c1": "crm.type.list?start=50"}}


@pytest.mark.parametrize("size", [0, 51])
def test_batches_take_one_to_fifty(size):
    """A batch that the portal would refuse is never written."""
    with pytest.raises(ValueError, match="1 to 50 calls"):
        encode_batch([Call("profile")] * size)


def test_operators_survive_phps_first_equals_sign():
    """A filter operator with `=` is encoded in the name: PHP would split there, and the filter would silently vanish."""
    written = encode_command(Call("crm.item.list", {"filter": {">=updatedTime": "2025-07-01T00:00:00+03:00"}}))

    assert written == "crm.item.list?filter[%3E%3DupdatedTime]=2025-07-01T00%3A00%3A00%2B03%3A00"
    assert query_to_params(written.partition("?")[2]) == {"filter": {">=updatedTime": "2025-07-01T00:00:00+03:00"}}


def test_booleans_and_nothing():
    """true, false and null are what PHP casts back to them: 1, 0 and the empty text."""
    assert encode_command(Call("m", {"yes": True, "no": False, "none": None})) == "m?yes=1&no=0&none="


@pytest.mark.parametrize("empty", [[], {}, ()])
def test_empty_lists_cannot_be_written(empty):
    """An empty list or map has no spelling in a query: dropping it would change the call's meaning."""
    with pytest.raises(ValueError, match=r"filter\[@id\] is empty"):
        encode_command(Call("crm.item.list", {"filter": {"@id": empty}}))


def test_references_stay_bare():
    """A reference to an earlier result is written as in the vendor's examples."""
    written = encode_command(Call("crm.item.list", {"filter": {">id": "$result[c0][items][49][id]"}}))

    assert written == "crm.item.list?filter[%3Eid]=$result[c0][items][49][id]"


_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="[]\0"), min_size=1, max_size=8)
_FIRST_NAMES = _NAMES.filter(lambda name: not set(name) & set(". ") and not name.isdigit())  # PHP rewrites those
_TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["a=b", "a&b", "a+b c", "%41", "#?/;", "Ивановы & сыновья", "🙂", "$result[a]&b=1", "$result[+]"]),
)
_TREES = st.recursive(
    _TEXTS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4), st.dictionaries(_NAMES, inner, min_size=1, max_size=4)
    ),
    max_leaves=12,
)


def as_php_keeps_it(value: object) -> object:
    """PHP has one kind of array: what is numbered from zero on is a list."""
    if isinstance(value, dict):
        inner = {key: as_php_keeps_it(item) for key, item in value.items()}
        return list(inner.values()) if list(inner) == [str(i) for i in range(len(inner))] else inner
    return [as_php_keeps_it(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(_FIRST_NAMES, _TREES, max_size=4))
def test_php_reads_what_was_written(params):
    """Whatever names and values a command has, an independent reader of PHP's rules finds the same ones."""
    method, _, query = encode_command(Call("crm.item.list", params)).partition("?")

    assert method == "crm.item.list"
    assert {key: as_php_keeps_it(value) for key, value in params.items()} == query_to_params(query)


CALLS = [Call("profile"), Call("crm.type.list"), Call("crm.status.list")]


def test_every_command_has_its_outcome():
    """Answers, errors and silence come back in the order of the calls."""
    answer = Response({
        "result": {"c0": {"ID": "1"}},
        "result_error": {"c1": {"error": "insufficient_scope", "error_description": ""}},
        "result_total": [], "result_next": [],
        "result_time": {"c0": {"operating": 0.5, "operating_reset_at": 9}},
    })  # fmt: skip

    first, second, third = decode_batch(CALLS, answer)

    assert first == Response({"ID": "1"}, operating=TimeUsage(0.5, 9))
    assert isinstance(second, ScopeError)
    assert "crm.type.list" in str(second)
    assert third is None


def test_paging_of_commands():
    """total and next of a command come from their own maps."""
    answer = Response({"result": {"c1": {"types": [1]}}, "result_total": {"c1": 137}, "result_next": {"c1": 50}})

    assert Response({"types": [1]}, 137, 50) == decode_batch(CALLS, answer)[1]


@pytest.mark.parametrize("result", [[], None, False, "", {"result": []}, {"result": [], "result_error": []}, {}])
def test_phps_empty_map(result):
    """[] in place of a map, or no map at all, leaves every command unanswered and nothing broken."""
    assert decode_batch(CALLS, Response(result)) == [None, None, None]


@pytest.mark.parametrize("empty", [None, False, 0, "", [], {}])
def test_empty_answers_are_answers(empty):
    """A command that answered with nothing is answered."""
    assert decode_batch(CALLS[:1], Response({"result": {"c0": empty}})) == [Response(empty)]


@pytest.mark.parametrize("error", ["NOT_FOUND", {"error": "NOT_FOUND"}, {"error": {"code": "NOT_FOUND"}}])
def test_spellings_of_a_commands_error(error):
    """A command's error is understood as text, as v2's object and as v3's."""
    (outcome,) = decode_batch(CALLS[:1], Response({"result": [], "result_error": {"c0": error}}))

    assert getattr(outcome, "code", None) == "NOT_FOUND"


@pytest.mark.parametrize("inside", [True, False])
def test_a_limited_command_brings_the_moment_of_its_end(inside):
    """The reset moment is found in the error's own `time` and in the batch's map of times."""
    time = {"operating": 481, "operating_reset_at": 1757425271}
    error = {"error": "OPERATION_TIME_LIMIT", **({"time": time} if inside else {})}
    times = {} if inside else {"c0": time}

    (outcome,) = decode_batch(CALLS[:1], Response({"result": [], "result_error": {"c0": error}, "result_time": times}))

    assert getattr(outcome, "reset_at", None) == 1757425271


def test_secrets_that_the_portal_repeats_are_scrubbed():
    """What the portal says in an error goes through the caller's scrubber, outside and inside a batch."""
    envelope = {"error": "ERROR_CORE", "error_description": "no s3cret"}

    def redact(text: str) -> str:
        return text.replace("s3cret", "***")

    with pytest.raises(PortalError, match=r"no \*\*\*"):
        parse_response(400, orjson.dumps(envelope), WHERE, redact)
    (inside,) = decode_batch(CALLS[:1], Response({"result_error": {"c0": envelope}}), str, redact)
    assert "no ***" in str(inside)


def test_long_integers_keep_their_digits():
    """An integer beyond 64 bits arrives whole, so that what no column can take can still be kept."""
    body = (
        b'{"result": {"big": 99999999999999999999, "more": -123456789012345678901234567890, "small": 7, "real": 1.5}}'
    )

    result = parse_response(200, body, "here").result

    assert result == {"big": 99999999999999999999, "more": -123456789012345678901234567890, "small": 7, "real": 1.5}


def test_long_integers_behind_long_fractions_keep_their_digits():
    """Seconds with twenty decimals come before the rows and do not hide what is among these."""
    body = b'{"result": {"took": [0.00012302398681640625, 0.00052499771118164062], "big": 99999999999999999999}}'

    assert parse_response(200, body, "here").result["big"] == 99999999999999999999


@pytest.mark.parametrize("tail", [b"}", b""])
def test_long_fractions_are_no_long_integers(tail):
    """Every batch tells such seconds; decoding it a second time because of them would take longer than all the rest."""
    assert not has_long_integer(outline_of(b'{"duration": 0.00012302398681640625' + tail))
    assert has_long_integer(outline_of(b'{"duration": 99999999999999999999' + tail))


def test_number_of_absurd_length_is_no_reason_to_fail():
    """An integer that even Python refuses to read is rounded, and the answer is still an answer."""
    assert parse_response(200, b'{"result": [1' + b"0" * 300 + b", 5]}", "here").result[1] == 5
    assert parse_response(200, b'{"result": ["x", 1' + b"0" * 5000 + b"]}", "here").result[0] == "x"

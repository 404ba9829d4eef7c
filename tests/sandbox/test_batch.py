"""Fifty commands in one request: references, halting, errors, empty maps, limits of size."""

from __future__ import annotations

import orjson

from bitrix24_source.sandbox import Fault, Portal


def test_results_by_command(ask):
    """The answers stand under the commands' names, with totals and nexts only for lists."""
    inner = ask("batch", cmd={"me": "profile", "items": "crm.item.list?entityTypeId=177&select[]=id"})["result"]

    assert inner["result"]["me"]["ID"] == "1"
    assert inner["result_total"] == {"items": 180}
    assert inner["result_next"] == {"items": 50}
    assert set(inner["result_time"]) == {"me", "items"}
    assert "operating" in inner["result_time"]["items"]


def test_empty_maps_are_lists(ask):
    """PHP writes an empty map as `[]`, so errors, totals and nexts of a good batch are lists."""
    inner = ask("batch", cmd={"me": "profile"})["result"]

    assert (inner["result_error"], inner["result_total"], inner["result_next"]) == ([], [], [])


def test_a_list_of_commands_answers_in_lists(ask):
    """Commands numbered from 0 come back as lists, not maps."""
    assert isinstance(ask("batch", cmd=["profile", "server.time"])["result"]["result"], list)


def test_references_chain_pages(ask):
    """The second page starts behind the last id of the first."""
    page = "crm.item.list?entityTypeId=177&start=-1&order[id]=ASC&select[]=id&filter[>id]="
    inner = ask("batch", cmd={"a": page + "0", "b": page + "$result[a][items][49][id]"})["result"]["result"]

    assert [row["id"] for row in inner["b"]["items"]] == list(range(51, 101))


def test_after_a_short_page_the_chain_starts_over(ask, portal):
    """The literal text counts as 0 and page 1 comes again; a portal may be told to refuse it instead."""
    page = "crm.item.list?entityTypeId=177&start=-1&order[id]=ASC&select[]=id&filter[>id]="
    commands = {"a": page + "170", "b": page + "$result[a][items][49][id]"}
    again = ask("batch", cmd=commands)["result"]["result"]["b"]["items"][0]
    portal.interpretations.garbage_id = "error"
    refused = ask("batch", cmd=commands)["result"]["result_error"]

    assert again == {"id": 1}
    assert refused["b"]["error"] == "INVALID_ARG_VALUE"


def test_a_failed_command_does_not_stop_the_others(ask):
    """Without halt the rest runs, and the failure is named by its command; the HTTP status is 200."""
    answer = ask("batch", cmd={"bad": "crm.type.get?id=999", "good": "profile"})

    assert answer["status"] == 200
    assert answer["result"]["result_error"] == {"bad": {"error": "0", "error_description": "Smart process not found"}}
    assert set(answer["result"]["result"]) == {"good"}


def test_halt_stops_at_the_first_failure(ask):
    """With halt the commands behind the failure are in neither map."""
    inner = ask("batch", halt=1, cmd={"a": "profile", "bad": "no.such", "b": "profile"})["result"]

    assert set(inner["result"]) == {"a"}
    assert set(inner["result_error"]) == {"bad"}


def test_fifty_one_commands_are_refused(ask, portal):
    """The whole request fails, or only the surplus commands, as the portal is set; the vendor documents both."""
    commands = {f"c{place}": "profile" for place in range(51)}
    whole = ask("batch", cmd=commands)
    portal.interpretations.batch_overflow = "commands"
    single = ask("batch", cmd=commands)["result"]

    assert (whole["status"], whole["error"]) == (400, "ERROR_BATCH_LENGTH_EXCEEDED")
    assert len(single["result"]) == 50
    assert single["result_error"]["c50"]["error"] == "ERROR_BATCH_LENGTH_EXCEEDED"


def test_no_batch_in_a_batch(ask):
    """A nested batch is refused by itself."""
    inner = ask("batch", cmd={"b": "batch?cmd[a]=profile"})["result"]

    assert inner["result_error"]["b"]["error"] == "ERROR_BATCH_METHOD_NOT_ALLOWED"


def test_one_command_can_be_broken(ask, portal):
    """A fault on a command leaves its neighbours alone, strikes the nth time, and then is over."""
    portal.faults.add(Fault(method="profile", where="command", nth=2, kind="OPERATION_TIME_LIMIT"))
    first = ask("batch", cmd={"a": "profile", "b": "profile", "c": "profile"})["result"]

    assert set(first["result_error"]) == {"b"}
    assert first["result_error"]["b"]["error"] == "OPERATION_TIME_LIMIT"


def test_a_batch_is_cut_off_after_sixty_seconds(clock):
    """The cloud gives one request a minute; the gateway then answers with a web page."""
    slow = Portal(items=600, clock=clock, latency=(2.0, 0.0))
    body = orjson.dumps({"cmd": {f"c{place}": "profile" for place in range(50)}})
    reply = slow.handle("POST", slow.webhook_path + "batch", "", {"Content-Type": "application/json"}, body)

    assert reply.status == 504
    assert reply.headers["Content-Type"].startswith("text/html")

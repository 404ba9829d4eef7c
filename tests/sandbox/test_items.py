"""Items: pages in every mode, filters, order, select, changes, and a million of them for nothing."""

from __future__ import annotations

import time
from itertools import pairwise

import orjson
import pytest

from bitrix24_source.sandbox import Portal

from .conftest import UNLISTED

TYPE = 177


@pytest.fixture
def ids(ask):
    """The ids of one page for a filter."""
    return lambda start=0, **filters: [
        row["id"]
        for row in ask("crm.item.list", entityTypeId=TYPE, start=start, filter=filters, select=["id"])["result"][
            "items"
        ]
    ]


def test_offsets_walk_through_all(ask, portal):
    """`start` and `next` bring every id once."""
    found, start = [], 0
    while start is not None:
        answer = ask("crm.item.list", entityTypeId=TYPE, start=start, select=["id"])
        found += [row["id"] for row in answer["result"]["items"]]
        start = answer.get("next")

    assert found == portal.items(TYPE).ids()


def test_fast_mode_does_not_count(ask, portal):
    """`start=-1` gives no `total`, or 0 on older portals, and never a `next`."""
    answer = ask("crm.item.list", entityTypeId=TYPE, start=-1)
    portal.interpretations.fast_total = "zero"

    assert not {"total", "next"} & answer.keys()
    assert ask("crm.item.list", entityTypeId=TYPE, start=-1)["total"] == 0


def test_keyset_pages_survive_changes(ask, portal):
    """Deleting behind and adding ahead during the walk loses nothing that stayed."""
    items, found, last = portal.items(TYPE), [], 0
    stays = set(items.ids()) - {3, 60, 61, 170}
    while True:
        page = ask("crm.item.list", entityTypeId=TYPE, start=-1, filter={">id": last}, select=["id"])["result"]["items"]
        found += [row["id"] for row in page]
        if len(page) < 50:
            break
        last = found[-1]
        for number in (3, 60, 61, 170):
            if number in items:
                items.delete(number)
        items.add(title="new")

    assert stays <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({">id": 178}, [179, 180]),
        ({">=id": 179, "<id": 180}, [179]),
        ({"@id": [5, 7, 9999]}, [5, 7]),
        ({"id": "6"}, [6]),
        ({"=id": [1, 2]}, [1, 2]),
        ({"!id": 1, "<=id": 3}, [2, 3]),
        ({"!@id": [1, 2], "<=id": 3}, [3]),
        ({"%title": "#17", ">id": 177}, [178, 179]),
        ({"=%title": "%#9"}, [9]),
        ({"!%title": "#"}, []),
        ({"0": {"logic": "OR", "0": {"id": 3}, "1": {">id": 179}}}, [3, 180]),
        ({"0": {"logic": "OR", "0": {"@id": [4]}, "1": {"id": 5, "<id": 5}}, "<id": 100}, [4]),
        ({">id": "$result[x][items][49][id]", "<id": 3}, [1, 2]),
    ],
)
def test_filter_operators(ids, filters, expected):
    """The vendor's prefixes, alone, together and nested in OR."""
    assert ids(**filters) == expected


def test_numbers_are_equal_to_their_strings(ask):
    """A user id may be sent as text."""
    row = ask("crm.item.get", entityTypeId=TYPE, id=1)["result"]["item"]
    same = ask("crm.item.list", entityTypeId=TYPE, filter={"assignedById": str(row["assignedById"]), "id": 1})

    assert same["total"] == 1


def test_custom_yes_no_fields_take_one_and_zero_only(ask):
    """A filter with "Y" on a custom boolean finds nothing; 1 and 0 divide all items between them."""
    totals = {
        value: ask("crm.item.list", entityTypeId=TYPE, filter={"ufCrm13Approved": value})["total"] for value in "Y10"
    }

    assert totals["Y"] == 0
    assert totals["1"] + totals["0"] == 180
    assert totals["1"] > 0


def test_moments_compare_as_moments(ids, ask):
    """One instant in two zones is the same; a literal without a zone is read in the server's."""
    row = ask("crm.item.get", entityTypeId=TYPE, id=5)["result"]["item"]
    at = row["createdTime"]

    assert at.endswith("+03:00")
    assert ids(createdTime=at) == [5]
    assert ids(createdTime=at[:19]) == [5]
    assert ids(createdTime=at.replace("+03:00", "Z")) == []


def test_a_portal_may_ignore_the_bound_on_a_time(ids, portal):
    """A portal that ignores ISO times in filters finds everything where a bound in the far future should find nothing."""
    assert ids(**{">=updatedTime": "2099-01-01T00:00:00+03:00"}) == []
    portal.interpretations.time_filter = "iso_ignored"

    assert len(ids(**{">=updatedTime": "2099-01-01T00:00:00+03:00"})) == 50
    assert ids(**{">=updatedTime": "2099-01-01 00:00:00"}) == []


def test_unknown_fields_in_filter_and_order_are_refused(ask):
    """INVALID_ARG_VALUE, with the name of the field."""
    by_filter = ask("crm.item.list", entityTypeId=TYPE, filter={"FIELD": 1})
    by_order = ask("crm.item.list", entityTypeId=TYPE, order={"field": "ASC"})

    assert by_filter["error_description"] == "Invalid filter: field 'FIELD' is not allowed in filter"
    assert (by_order["status"], by_order["error"]) == (400, "INVALID_ARG_VALUE")


def test_unknown_fields_in_select_are_passed_over(ask):
    """Only what was selected and exists comes back."""
    rows = ask("crm.item.list", entityTypeId=TYPE, select=["id", "nothing"])["result"]["items"]

    assert rows[0] == {"id": 1}


def test_order_by_any_field_and_backwards(ask):
    """Descending ids, and two keys of which the first counts more."""
    down = ask("crm.item.list", entityTypeId=TYPE, order={"id": "DESC"}, select=["id"])["result"]["items"]
    two = ask(
        "crm.item.list", entityTypeId=TYPE, order={"assignedById": "ASC", "id": "DESC"}, select=["id", "assignedById"]
    )
    keys = [(row["assignedById"], -row["id"]) for row in two["result"]["items"]]

    assert [row["id"] for row in down[:2]] == [180, 179]
    assert keys == sorted(keys)


def test_rows_hold_more_than_the_field_list(ask):
    """`utm*`, amounts in the account's currency and others come unlisted; `contacts` is listed and comes only when named."""
    fields = ask("crm.item.fields", entityTypeId=TYPE)["result"]["fields"]
    row = ask("crm.item.get", entityTypeId=TYPE, id=1)["result"]["item"]

    assert set(row) - set(fields) == UNLISTED
    assert set(fields) - set(row) == {"contacts"}


def test_fm_only_on_people_and_companies_without_a_narrow_select(ask):
    """`fm` comes with everything or `*`, never by name, and not on smart processes."""

    def keys(**more):
        return set(ask("crm.item.list", **more)["result"]["items"][0])

    assert "fm" in keys(entityTypeId=3)
    assert "fm" in keys(entityTypeId=4, select=["*"])
    assert "fm" not in keys(entityTypeId=3, select=["id", "fm"])
    assert "fm" not in keys(entityTypeId=TYPE)
    assert "fm" not in keys(entityTypeId=2)


def test_file_links_carry_the_credential_of_whoever_asks(ask, portal):
    """`urlMachine` holds the webhook code, or the access token of an application."""
    name = "ufCrm13_1739433003"
    row = next(row for row in ask("crm.item.list", entityTypeId=TYPE)["result"]["items"] if row[name])
    token = portal.access.issue().access_token
    reply = portal.handle("GET", "/rest/crm.item.get", f"auth={token}&entityTypeId={TYPE}&id={row['id']}")

    assert portal.webhook_code in row[name][0]["urlMachine"]
    assert token in orjson.loads(reply.body)["result"]["item"][name][0]["urlMachine"]


def test_original_names_of_custom_fields(ask):
    """`useOriginalUfNames=Y` turns them in the field list, rows, select and filter."""
    asked = {"entityTypeId": TYPE, "useOriginalUfNames": "Y"}
    fields = ask("crm.item.fields", **asked)["result"]["fields"]
    rows = ask("crm.item.list", **asked, select=["id", "UF_CRM_13_APPROVED"], filter={"UF_CRM_13_APPROVED": 1})[
        "result"
    ]

    assert "UF_CRM_13_APPROVED" in fields
    assert "ufCrm13Approved" not in fields
    assert {row["UF_CRM_13_APPROVED"] for row in rows["items"]} == {"Y"}


def test_writing_through_the_api(ask):
    """add, update, get and delete make a round trip; read-only fields stay."""
    number = ask("crm.item.add", entityTypeId=TYPE, fields={"title": "Станок", "id": 5})["result"]["item"]["id"]
    changed = ask("crm.item.update", entityTypeId=TYPE, id=number, fields={"stageId": "DT177_7:CLIENT"})["result"][
        "item"
    ]
    deleted = ask("crm.item.delete", entityTypeId=TYPE, id=number)

    assert number == 181
    assert (changed["title"], changed["stageId"], changed["previousStageId"]) == (
        "Станок",
        "DT177_7:CLIENT",
        "DT177_7:NEW",
    )
    assert deleted["result"] == []
    assert ask("crm.item.get", entityTypeId=TYPE, id=number)["error"] == "NOT_FOUND"


def test_a_change_moves_updated_time_and_is_found_by_it(ids, portal, clock):
    """An old item that is touched now is the only one an incremental filter finds."""
    since = clock.now().isoformat()
    clock.advance(60)
    portal.items(TYPE).update(7, title="touched")

    assert portal.items(TYPE).get(7)["updatedTime"] == "2025-07-01T12:01:00+03:00"
    assert ids(start=-1, **{">=updatedTime": since}) == [7]


def test_stage_history_follows_the_items(ask, portal):
    """The last line of an item's history is the stage it stands in; a move adds a line, a delete takes all."""

    def history():
        return ask("crm.stagehistory.list", entityTypeId=TYPE, filter={"OWNER_ID": 4})["result"]["items"]

    before = history()
    assert before[-1]["STAGE_ID"] == portal.items(TYPE).get(4)["stageId"]
    assert next(row["TYPE_ID"] for row in before) == 1
    portal.items(TYPE).update(4, stageId="DT177_7:FAIL")
    moved = history()
    assert [row["STAGE_SEMANTIC_ID"] for row in moved][len(before) :] == ["F"]
    assert moved[-1]["ID"] > 180 * 3
    portal.items(TYPE).delete(4)
    assert history() == []


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_changes_over_dense_and_sparse_ids(step, clock):
    """Counting, offsets and windows agree with a plain list after deletes, changes and additions."""
    portal = Portal(scenario="bench", items=500, clock=clock, id_step=step)
    items, store = portal.items(177), portal.world.objects[177]
    before = items.ids()
    for number in before[10:200:3]:
        items.delete(number)
    for number in before[::50]:
        if number in items:
            items.update(number, title="x")
    added = [items.add(title="y") for _ in range(3)]
    items.delete(added[1])
    now = items.ids()

    assert all(low < high for low, high in pairwise(now))
    assert now == [number for number in before if number not in before[10:200:3]] + [added[0], added[2]]
    for low, high in ((0, 10**9), (now[5], now[90]), (now[11] + 1, now[-1]), (now[-1] + 1, 10**9)):
        window = [number for number in now if low <= number <= high]
        assert store.total(low, high) == len(window)
        for first in (0, 1, 49, 60, 400):
            assert store.slice(low, high, first, 50) == window[first : first + 50]
            assert store.slice(low, high, first, 50, descending=True) == window[::-1][first : first + 50]


def test_a_million_items_cost_nothing_until_they_are_asked_for():
    """Building takes no time, a batch of fifty pages far less than a second, at the far end as at the near one."""
    started = time.process_time()
    portal = Portal(scenario="bench", items=1_000_000)
    page = "crm.item.list?entityTypeId=177&start=-1&order[id]=ASC&filter[>id]="
    commands = {f"c{place}": page + str(990_000 + 50 * place) for place in range(50)}
    body = orjson.dumps({"cmd": commands})
    reply = portal.handle("POST", portal.webhook_path + "batch", "", {"Content-Type": "application/json"}, body)
    rows = [row for part in orjson.loads(reply.body)["result"]["result"].values() for row in part["items"]]

    assert len({row["id"] for row in rows}) == 2500
    assert len(rows[0]) == 45
    assert time.process_time() - started < 1.5


def test_the_same_seed_gives_the_same_answers(clock):
    """Items, fields and people are a function of the seed; another seed gives other values."""

    def answers(seed: int) -> list[bytes]:
        portal = Portal(items=600, seed=seed, clock=clock)
        queries = (("crm.item.list", "entityTypeId=177"), ("crm.item.fields", "entityTypeId=1034"), ("user.get", ""))
        return [orjson.dumps(orjson.loads(portal.handle("GET", portal.webhook_path + name, query).body)["result"])
                .replace(portal.webhook_code.encode(), b"") for name, query in queries]  # fmt: skip

    assert answers(3) == answers(3)
    assert answers(3)[0] != answers(4)[0]

"""Rights of product rows, short pages, times of activity, `time` of an answer, and the token server of a region."""

from __future__ import annotations

import orjson
import pytest

from bitrix24_source.sandbox import Portal

from .conftest import asked

TYPE = 177


def product_rows(ask, owner):
    return ask("crm.item.productrow.list", filter={"=ownerType": "Tb1", "=ownerId": owner})


def test_a_list_of_owners_is_judged_by_item_one(portal, ask):
    """Who is no administrator and may not read item 1 is refused every list, and may still ask for single owners."""
    portal.set_admin(crm=False)
    portal.hide_items(TYPE, [1])

    assert product_rows(ask, [2, 3, 4, 5])["error"] == "ACCESS_DENIED"
    assert "productRows" in product_rows(ask, 2)["result"]
    assert product_rows(ask, 1)["error"] == "ACCESS_DENIED"
    portal.set_admin(crm=True)
    assert "productRows" in product_rows(ask, [1, 2, 3])["result"]


def test_hidden_items_are_in_no_list(portal, ask):
    """Items that an owner may not read are missing from crm.item.list and refused by crm.item.get."""
    portal.hide_items(TYPE, [1, 2])
    assert ask("crm.item.list", entityTypeId=TYPE)["total"] == 180
    portal.set_admin(crm=False)

    assert ask("crm.item.list", entityTypeId=TYPE)["total"] == 178
    assert ask("crm.item.get", entityTypeId=TYPE, id=1)["error"] == "ACCESS_DENIED"


def test_a_filter_on_several_values_makes_short_pages(portal, ask):
    """An item that fits by two contacts fills two lines of a page, so that even the first page is short and no end."""
    contacts = list(range(1, 301))
    first = ask("crm.item.list", entityTypeId=TYPE, filter={"@contactIds": contacts}, order={"id": "ASC"}, start=-1)
    seen = [row["id"] for row in first["result"]["items"]]
    found, last = [], 0
    while rows := ask(
        "crm.item.list", entityTypeId=TYPE, filter={"@contactIds": contacts, ">id": last}, order={"id": "ASC"}, start=-1
    )["result"]["items"]:
        found += [row["id"] for row in rows]
        last = found[-1]

    assert 0 < len(seen) < 50
    assert found == [number for number in portal.items(TYPE) if portal.items(TYPE)[number]["contactIds"]]


def test_an_activity_moves_no_updated_time(portal, clock):
    """lastActivityTime and lastActivityBy move, and an incremental reader does not hear of it."""
    before = portal.items(TYPE)[5]
    clock.advance(60)
    portal.put_activity(900, [(TYPE, 5)], SUBJECT="Call")
    after = portal.items(TYPE)[5]

    assert after["lastActivityTime"] == "2025-07-01T12:01:00+03:00"
    assert after["updatedTime"] == before["updatedTime"]


def test_start_is_a_whole_second(portal, ask, clock):
    """`duration` counts from the whole second, `processing` is 0, and short calls have no `operating`."""
    clock.advance(0.75)
    time = ask("profile")["time"]

    assert (time["start"], time["duration"], time["processing"], time["operating"]) == (1751360400, 0.75, 0, 0)
    assert isinstance(time["start"], int)
    portal.interpretations.time_start = "exact"
    assert ask("profile")["time"]["start"] == 1751360400.75


def test_operating_may_be_absent_or_outside_only(portal, ask):
    """As switches for self-hosted portals."""
    told = ask("batch", cmd={"a": "profile"})
    portal.interpretations.operating = "outer_only"
    outer = ask("batch", cmd={"a": "profile"})
    portal.interpretations.operating = "absent"
    absent = ask("batch", cmd={"a": "profile"})

    assert ["operating" in answer["result"]["result_time"]["a"] for answer in (told, outer, absent)] == [
        True,
        False,
        False,
    ]
    assert ["operating" in answer["time"] for answer in (told, outer, absent)] == [True, True, False]


@pytest.mark.parametrize(
    ("region", "own", "other"),
    [("ru", "oauth.bitrix24.tech", "oauth.bitrix.info"), ("de", "oauth.bitrix.info", "oauth.bitrix24.tech")],
)
def test_the_token_server_of_a_region(clock, region, own, other):
    """Each region has one; whether the other answers too is a switch."""
    portal = Portal(items=60, clock=clock)
    portal.set_region(region)

    def refresh(host):
        access = portal.access
        query = f"grant_type=refresh_token&client_id={access.client_id}&client_secret={access.client_secret}"
        url = f"{query}&refresh_token={access.refresh_token}"
        return orjson.loads(portal.handle("GET", "/oauth/token/", url, base_url=f"https://{host}").body)

    assert refresh(other)["domain"] == own
    portal.interpretations.other_region = "refuses"
    assert refresh(other)["error"] == "invalid_client"
    answer = refresh(own)
    assert (answer["domain"], answer["client_endpoint"]) == (own, "https://demo.bitrix24.test/rest/")
    assert asked(portal, "profile")["status"] == 200

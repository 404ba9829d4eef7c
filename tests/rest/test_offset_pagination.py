"""All rows of a list, each once, however the portal pages; and a portal that never ends its list is told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitrix24_source.errors import PortalError
from bitrix24_source.rest.batching import gather
from bitrix24_source.rest.client import Client
from bitrix24_source.rest.error_codes import error_from_code
from bitrix24_source.rest.offset_pagination import ListResult, OffsetList, read_all
from bitrix24_source.rest.protocol import Response
from bitrix24_source.sandbox import Fault, Portal

TYPES = OffsetList("crm.type.list", "types", ("id",), {"order": {"id": "ASC"}})
BARE = OffsetList("crm.status.list", "", ("id",))

Pages = Callable[[int], Response]


def rows(begin: int, end: int) -> list[dict[str, Any]]:
    return [{"id": key} for key in range(begin, end)]


def read(listed: OffsetList, page: Pages) -> tuple[ListResult, list[int]]:
    """Reads a list from a portal that is a function of `start`, and tells which offsets were asked for."""
    asked: list[int] = []
    reader, outcomes = read_all(listed), None
    while True:
        try:
            calls = reader.send(outcomes)
        except StopIteration as end:
            return end.value, asked
        starts = [int(call.params.get("start", 0)) for call in calls]
        asked += starts
        outcomes = [page(start) for start in starts]


def paged(size: int, *, total: bool = True, next_: bool = True) -> Pages:
    """A portal that pages by fifty, as documented, with or without its two signals."""

    def page(start: int) -> Response:
        end = min(size, start + 50)
        return Response(rows(start, end), size if total else None, end if next_ and end < size else None)

    return page


# --- how lists end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "asked"),
    [
        (0, [0]), (1, [0]), (49, [0]), (50, [0]), (51, [0, 50]), (99, [0, 50]), (100, [0, 50]), (101, [0, 50, 100]),
        (237, [0, 50, 100, 150, 200]),
    ],
)  # fmt: skip
def test_total_and_next(size, asked):
    """With both signals each page is asked for once, and a list of exactly 50 or 100 rows costs no page too many."""
    listing, starts = read(BARE, paged(size))

    assert rows(0, size) == listing.rows
    assert listing.error is None
    assert starts == asked


@given(size=st.integers(0, 320), total=st.booleans(), next_=st.booleans())
def test_every_row_once(size, total, next_):
    """Whichever signals a portal gives: every row is there once, in order, and nothing is reported."""
    listing, asked = read(BARE, paged(size, total=total, next_=next_))

    assert listing == ListResult(rows(0, size))
    assert len(set(asked)) == len(asked)


def test_total_zero_with_rows():
    """A `total` of 0 beside rows is not believed: full pages are followed until one is not full."""
    listing, asked = read(BARE, lambda start: Response(rows(start, min(start + 50, 120)), 0))

    assert listing == ListResult(rows(0, 120))
    assert asked == [0, 50, 100]


@pytest.mark.parametrize("size", [51, 120, 500])
@pytest.mark.parametrize("total", [True, False])
def test_lists_that_come_whole(size, total):
    """More rows than a page holds, and no `next`: the list came whole, and is not asked for again."""
    listing, asked = read(BARE, lambda _start: Response(rows(0, size), size if total else None))

    assert listing == ListResult(rows(0, size))
    assert asked == [0]


@pytest.mark.parametrize(("asked", "whole"), [([0], True), ([0, 50], False)])
def test_fifty_rows_of_a_list_that_comes_whole(asked, whole):
    """Fifty rows without any signal are the end where the method is documented to come whole, and a full page elsewhere."""
    listed = OffsetList("crm.status.list", "", ("id",), whole=whole)
    listing, starts = read(listed, paged(50, total=False, next_=False))

    assert listing == ListResult(rows(0, 50))
    assert starts == asked


def test_next_zero_does_not_start_again():
    """A `next` of 0 after a page is no way forward."""
    listing, asked = read(BARE, lambda _start: Response(rows(0, 7), next=0))

    assert listing == ListResult(rows(0, 7))
    assert asked == [0]


def test_next_leads_where_it_says():
    """Without a total the portal's own offset counts, also when its pages are not of fifty."""
    listing, asked = read(
        BARE, lambda start: Response(rows(start, start + 20), next=start + 20 if start < 60 else None)
    )

    assert listing == ListResult(rows(0, 80))
    assert asked == [0, 20, 40, 60]


def test_rows_added_while_reading():
    """Rows that appear behind the promised total while pages are read are read too."""
    listing, asked = read(BARE, lambda start: paged(130 if start else 100)(start))

    assert listing == ListResult(rows(0, 130))
    assert asked == [0, 50, 100]


def test_pages_that_overlap():
    """A row that two pages share, because others were removed or added meanwhile, is there once."""
    listing, _ = read(BARE, lambda start: Response(rows(max(0, start - 3), min(start + 50, 90)), 90))

    assert listing.error is None
    assert rows(0, 90) == list(listing.rows)


# --- where the rows lie -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "listed", "result"),
    [
        (rows(1, 3), TYPES, {"types": rows(1, 3)}),
        (rows(1, 3), TYPES, {"types": {"0": {"id": 1}, "5": {"id": 2}}}),
        (rows(1, 2), TYPES, {"types": {"id": 1}}),
        (rows(1, 3), BARE, rows(1, 3)),
        (rows(1, 3), BARE, {"3": {"id": 1}, "7": {"id": 2}}),
        ([], TYPES, {"types": []}),
        ([], TYPES, {"types": {}}),
        ([], TYPES, []),
        (None, TYPES, {"types": None}),
        (None, TYPES, None),
        (None, BARE, None),
        (None, BARE, False),
        (None, BARE, ""),
        ([{"id": 1}, None, "text", []], BARE, [{"id": 1}, None, "text", []]),
    ],
)
def test_where_rows_lie(expected, listed, result):
    """Rows are below their key or bare, as a list or as the map that PHP writes for a list with gaps; nothing else is a page."""
    assert expected == listed.entries_in(Response(result))


def test_the_first_page_is_asked_for_without_an_offset():
    """`start` is sent from the second page on, beside the method's own parameters."""
    assert TYPES.page(0).params == {"order": {"id": "ASC"}}
    assert TYPES.page(50).params == {"order": {"id": "ASC"}, "start": 50}


# --- portals that never end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "signals",
    [{"total": 500}, {"next": 50}, {"total": 500, "next": 50}, {"total": 0}, {}],
    ids=str,
)
def test_a_portal_that_ignores_start(signals):
    """A page that comes again is reported with the rows there are, and never asked for in a circle."""
    listing, asked = read(BARE, lambda _start: Response(rows(0, 50), **signals))

    assert rows(0, 50) == list(listing.rows)
    assert isinstance(listing.error, PortalError)
    assert str(listing.error).startswith("the portal repeats a page of a list")
    assert "crm.status.list" in str(listing.error)
    assert len(asked) <= 10


def test_a_portal_with_ever_new_rows():
    """A list without an end, each page new, is given up and reported."""
    listing, asked = read(BARE, lambda start: Response(rows(start, start + 50), next=start + 50))

    assert isinstance(listing.error, PortalError)
    assert len(asked) == 2000


@pytest.mark.parametrize("failing", [0, 50, 100])
def test_a_page_that_fails(failing):
    """A page that cannot be read ends the list with its error, and what came before is kept."""
    error = error_from_code("ACCESS_DENIED", "", "crm.status.list")
    listing, _ = read(BARE, lambda start: error if start == failing else paged(150)(start))

    assert listing.error is error
    assert rows(0, failing) == list(listing.rows)


# --- against the sandbox ------------------------------------------------------------------------------------------------


def test_sixty_types(clock, session, connect):
    """All types of a portal with more than fifty, in three requests for two lists, side by side."""
    portal = Portal(scenario="hostile", items=0, clock=clock)
    session.adapters["https://"].portal = portal
    client = connect(webhook_url=portal.base_url + portal.webhook_path)
    owners = OffsetList("crm.enum.ownertype", "", ("ID",), whole=True)
    types, known = gather(client, [read_all(TYPES), read_all(owners)])

    assert sorted(row["id"] for row in portal.types()) == [row["id"] for row in types.rows]
    assert len(types.rows) > 50
    assert known.error is None
    assert len(portal.requests) == 2


def test_first_page_asked_before(client: Client, portal: Portal):
    """A first page that came with something else is not asked for again."""
    first = client.call("crm.type.list", TYPES.params)
    (listing,) = gather(client, [read_all(TYPES, first)])

    assert len(portal.types()) == len(listing.rows)
    assert len(portal.requests) == 1


def test_a_page_that_is_limited_is_read_later(client: Client, portal: Portal):
    """A limit in the middle of paging costs a wait and no row."""
    portal.faults.add(Fault("crm.type.list", "QUERY_LIMIT_EXCEEDED"))
    (listing,) = gather(client, [read_all(TYPES)])

    assert listing.error is None
    assert len(portal.types()) == len(listing.rows)


def test_pages_after_the_first_share_a_request(scripted_client, mocker):
    """What `total` promises is asked for at once: a list of 237 rows is two requests."""

    def portal(request: Any, _context: Any) -> bytes:
        body = orjson.loads(request.body)
        if "cmd" not in body:
            return orjson.dumps({"result": rows(0, 50), "total": 237, "next": 50})
        starts = {key: int(command.rpartition("=")[2]) for key, command in body["cmd"].items()}
        return orjson.dumps(
            {"result": {"result": {key: rows(start, min(start + 50, 237)) for key, start in starts.items()}}}
        )

    (listing,) = gather(scripted_client({"content": portal}), [read_all(BARE)])

    assert listing == ListResult(rows(0, 237))
    assert len(mocker.request_history) == 2


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ({"id": None}, "id null"),
        ({"id": ""}, 'id ""'),
        ({"id": "7.0"}, 'id "7.0"'),
        ({"id": "abc"}, 'id "abc"'),
        ({"id": 7.5}, "id 7.5"),
        ({"id": True}, "id true"),
        ({"id": [7]}, "id a list"),
        ({"id": {"a": 7}}, "id a map"),
        ({"id": "+7 999 123-45-67"}, "id a text of 16 characters"),
        ({"id": "anna@example.com"}, "id a text of 16 characters"),
        ({}, "id null"),
        (None, "null"),
        ("+79991234567", "a text of 12 characters"),
        ([1], "a list"),
    ],
)
def test_entries_without_an_id_are_reported(entry, shown):
    """An entry whose id names no row is left out, and reported in words that show nobody's data."""
    listing, _ = read(BARE, lambda _start: Response([*rows(0, 2), entry, entry], 4))

    assert listing == ListResult(rows(0, 2), unusable=(shown,))


def test_of_two_rows_with_one_id_the_last_counts():
    """Two rows of one page that differ and share their id: the last one is loaded, the first is reported."""
    twins = [{"id": 1, "name": "first"}, {"id": "1", "name": "last"}]

    listing, _ = read(BARE, lambda _start: Response(twins, 2))

    assert listing == ListResult(twins[1:], unusable=("id 1",))


def test_no_list_is_no_empty_list():
    """An answer that holds no list is an error: what was loaded before stays."""
    listing, _ = read(TYPES, lambda _start: Response({"types": None}))

    assert listing.error is not None

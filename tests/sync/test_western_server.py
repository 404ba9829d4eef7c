"""Dates of a server west of UTC, which prints them on the evening before."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from bitrix24_source.sandbox import Portal


def test_days_of_a_server_west_of_utc(clock, portal_with, memory_job):
    """The wire says 19:00-05:00 of the day before; the table has the day that people see."""
    portal: Portal = portal_with({177: 60}, zone=ZoneInfo("America/Lima"))
    portal.items(177).update(5, begindate="2025-04-29T00:00:00+00:00")
    crm = memory_job(portal)
    wire = crm.connect().call("crm.item.list", {"entityTypeId": 177, "filter": {"id": 5}, "start": -1})
    crm.run()

    assert "2025-04-28T19:00:00-05:00" == wire.result["items"][0]["begindate"]
    assert date(2025, 4, 29) == crm.items()[5]["begindate"]
    assert [] == crm.issues()

"""What tests of whole tables begin with: a small demo portal, and a job that loads it, with dlt or without.

portal      few items of smart processes, and some dozen leads, deals, contacts and their like
crm         runs without dlt; `loaded` is for what the destination does with the rows, or is asked
small_job   after one run of the items of `small_portal`: a copy of it, which takes a tenth of a load
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fixtures.item_warehouse import PLAIN
from fixtures.jobs import Job, MemoryJob

from bitrix24_source.sandbox import Clock, Portal

EACH = 60
"""leads, deals, contacts, companies and activities of the portal"""


def small_company(clock: Clock) -> Portal:
    """The demo portal with less of everything: each run of it takes half the time."""
    portal = Portal("demo", items=12, clock=clock)
    for number in (1, 2, 3, 4):
        for id_ in portal.items(number).ids()[EACH:]:
            portal.items(number).delete(id_)
    for row in portal.world.activities[EACH:]:
        portal.delete_activity(int(row["ID"]))
    return portal


@pytest.fixture
def portal(clock: Clock) -> Portal:
    return small_company(clock)


@pytest.fixture
def crm(memory_job: Callable[..., MemoryJob], portal: Portal) -> MemoryJob:
    return memory_job(portal)


@pytest.fixture
def loaded(job: Callable[..., Job], portal: Portal) -> Job:
    return job(portal)


def small_portal(clock: Clock) -> Portal:
    """Two smart processes, 177 and 1030, with nothing odd about them."""
    portal = Portal("empty", clock=clock)
    for number, items in ((177, 60), (1030, 5)):
        portal.add_type(f"Process {number}", entity_type_id=number, items=items, off=PLAIN)
    return portal


@pytest.fixture
def small_job(copied_job: Callable[..., Job], engine: str) -> Job:
    return copied_job(small_portal, engine=engine)

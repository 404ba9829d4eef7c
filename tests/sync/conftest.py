"""What tests of whole tables begin with: a small demo portal, and a job that loads it, with dlt or without.

portal      few items of smart processes, and some hundred leads, deals, contacts and their like
crm         runs without dlt; `loaded` is for what the destination does with the rows, or is asked
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fixtures.jobs import Job, MemoryJob

from bitrix24_source.sandbox import Clock, Portal


@pytest.fixture
def portal(clock: Clock) -> Portal:
    return Portal("demo", items=12, clock=clock)


@pytest.fixture
def crm(memory_job: Callable[..., MemoryJob], portal: Portal) -> MemoryJob:
    return memory_job(portal)


@pytest.fixture
def loaded(job: Callable[..., Job], portal: Portal) -> Job:
    return job(portal)

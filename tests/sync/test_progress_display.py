"""What a person sees while items are loaded: rows of each table as they come, requests, and what is left."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from dlt.common.runtime.collector import Collector


class Watching(Collector):
    """Writes down what dlt and we tell it."""

    def __init__(self):
        self.counts = Counter()
        self.messages = []
        self.on_message = lambda _message: None

    def update(self, name, inc=1, total=None, inc_total=None, message=None, label=""):  # dlt's own signature
        if self.step.startswith("Extract"):
            self.counts[name] += inc
            if message:
                self.messages.append((name, message))
                self.on_message(message)

    def _start(self, step):
        self.step = step

    def _stop(self):
        pass


@pytest.fixture
def watching():
    return Watching()


def test_rows_requests_and_what_is_left(clock, portal_with, warehouse, watching):
    """Each item table counts up to the rows that it has in the end, and a long one says about how many are still to come.

    Of a slow portal it says in minutes, too, how long it will still take; within a third, once half of it has come. Requests are
    counted, so that somebody who waits sees that something happens.
    """
    portal = portal_with({177: 12_000, 1030: 70, 1032: 0})
    portal.costs.latency = (1.0, 0.0)
    crm = warehouse(portal, progress=watching)
    said = []
    watching.on_message = lambda text: said.append((text, clock.monotonic()))
    crm.pipeline.extract(crm.source(connections=1).with_resources("spa_items"))
    ended = clock.monotonic()
    of_long_one = [message for name, message in watching.messages if name == "spa_items_177"]
    left = [int(found[1].replace(",", "")) for text in of_long_one if (found := re.match(r"about ([\d,]+) left", text))]
    minutes = [
        (int(found[1]), (ended - at) / 60) for text, at in said if (found := re.search(r"left, ([\d,]+) min", text))
    ]

    assert {"spa_items_177": 12_000, "spa_items_1030": 70}.items() <= watching.counts.items()
    assert 0 == watching.counts["spa_items_1032"]
    assert len(crm.portal.requests) == watching.counts["Bitrix24 requests"]
    assert len(left) >= 2
    assert sorted(left, reverse=True) == left
    assert 6000 < left[0] <= 12_000
    assert all(re.fullmatch(r"(about [\d,]+ left(, [\d,]+ min)?)?", message) for _, message in watching.messages)
    assert len(minutes) >= 2
    # Before, the reader's requests ahead count for much: their time has passed, and their rows have not come.
    assert all(abs(expected - real) <= 1 + real / 3 for expected, real in minutes[len(minutes) // 2 :]), minutes

"""What a sweep finds: rows that are gone, missing, marked although they exist, or of another time of change."""

from __future__ import annotations

from datetime import datetime, timezone

import pyarrow as pa
import pytest

from bitrix24_source.errors import PortalError
from bitrix24_source.sync.comparison import SeenKeys, compare
from bitrix24_source.sync.ports import TIMESTAMP, StoredKeys

DAY = datetime(2025, 7, 1, tzinfo=timezone.utc)


def stored(ids, deleted=(), times=None):
    updated = None if times is None else pa.array(times, TIMESTAMP)
    return StoredKeys(pa.array(ids, pa.int64()), updated, pa.array([id_ in deleted for id_ in ids], pa.bool_()))


def seen(ids, times=None, fetched=()):
    keys = SeenKeys()
    keys.add(pa.array(ids, pa.int64()), times)
    keys.fetched.append(pa.array(list(fetched), pa.int64()))
    return keys


def test_each_kind_of_difference():
    """Ids decide what is gone and missing, marks what came back."""
    found = compare(stored([1, 2, 3, 4], deleted={4}), seen([2, 3, 4, 5]))

    assert (found.active, list(found.gone), list(found.missing), list(found.restored)) == (3, [1], [5], [4])
    assert found.to_read == [4, 5]


def test_what_is_on_its_way_is_not_read_again():
    """Rows that this load has read whole."""
    assert compare(stored([1]), seen([1, 2, 3], fetched=[2])).to_read == [3]


@pytest.mark.parametrize(
    ("portal", "table", "is_changed"),
    [
        ("2025-07-01T03:00:00+03:00", DAY, False),
        ("2025-07-01T03:00:01+03:00", DAY, True),
        ("2025-07-01T03:00:00+03:00", None, True),
        (None, None, False),
        (None, DAY, True),
    ],
)
def test_times_are_compared_as_instants(portal, table, is_changed):
    """Whatever offset the portal writes them with; a time that is missing on one side only differs."""
    found = compare(stored([7], times=[table]), seen([7], [portal]))

    assert (list(found.changed) == [7]) is is_changed


@pytest.mark.parametrize(
    ("gone", "of", "is_plausible", "is_unusual"),
    [(0, 5, True, False), (1, 1, True, True), (3, 10, True, False), (4, 10, True, True), (10, 10, True, True),
     (11, 11, False, True), (20, 100, True, False), (21, 100, False, True)],
)  # fmt: skip
def test_how_much_may_go(gone, of, is_plausible, is_unusual):
    """Few rows always, of many no more than a share; a whole list or a great part of a small one is unusual."""
    found = compare(stored(range(1, of + 1)), seen(range(gone + 1, of + 1)))

    assert found.is_unusual(0.2) is is_unusual
    if is_plausible:
        found.require_plausible("deals", 0.2)
    else:
        with pytest.raises(PortalError, match=f"{gone} of {of} items are gone"):
            found.require_plausible("deals", 0.2)

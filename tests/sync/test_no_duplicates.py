"""One row for each item, also where one run brings it for two reasons."""

from __future__ import annotations

from datetime import timedelta

import pytest

pytestmark = pytest.mark.all_databases


def mark_as_deleted(home, id_):
    """As a run does that may not see the item for a while."""
    home.query("update {}.spa_items_177 set deleted_at = now() where id = ?", id_)


def test_items_of_two_kinds_of_change_are_one_row(warehouse, portal_with):
    """One marked as deleted, then visible again and changed since: two reasons to read it, and one row.

    One read as changed in one request, and gone before the next one reads the ids: one row, whichever of both it tells.
    """
    portal = portal_with({177: 60})
    home = warehouse(portal)
    home.run()
    mark_as_deleted(home, 7)
    portal.clock.advance(timedelta(hours=1).total_seconds())
    portal.items(177).update(7, title="Back")
    portal.items(177).update(57, title="Last words")
    portal.clock.advance(60)
    home.adapter.asked.clear()
    home.adapter.before = lambda _number: delete_once_it_was_read(home, 57)

    home.run(sweep=True)

    assert list(range(1, 61)) == home.ids()
    assert ("Back", None) == home.one(7, "title", "deleted_at")
    assert 57 not in portal.items(177)


def delete_once_it_was_read(home, id_):
    if any(id_ in (asked.ids or ()) for asked in home.adapter.asked) and id_ in home.portal.items(177):
        home.portal.items(177).delete(id_)
